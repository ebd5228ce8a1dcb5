"""Source: the contract of a connector, a reader of one network. Not how its posts go on (pump)."""

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Gone:
    """
    What its network says was taken back: a post, or with ``author`` alone all posts of an account.

    Attributes:
        network: Half of the ids of its posts.
        id: The post, as its network names it.
        author: The account, as its posts named their author.
        at: When (UTC).
    """

    network: str
    at: datetime
    id: str | None = None
    author: str | None = None


@dataclass(frozen=True, slots=True)
class Unreadable:
    """What a network sent and nobody can read: the bytes, and why."""

    raw: bytes
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """
    What a connector read in one go.

    Attributes:
        cursor: Where reading goes on behind it, in the network's own words.
        posts: Input posts as JSON objects, as one would push them (``uproar.inbox``).
        up_to: No post written before this will follow; None where nothing of it could be read.
        gone: What was taken back.
        unreadable: What could not be read.
        gap: Why posts before it are missing for good; None: none are.
    """

    cursor: str
    posts: Sequence[bytes] = ()
    up_to: datetime | None = None
    gone: Sequence[Gone] = ()
    unreadable: Sequence[Unreadable] = ()
    gap: str | None = None


class Source(Protocol):
    """
    A connector reads one network and yields what it read, in order, for ever.

    The contract, which ``tests/contract/test_sources.py`` asks of every connector:

    - ``name`` is the name of its stream: its watermark, its cursor, its line in ``/v1/status``.
    - ``read(cursor)`` goes on behind a cursor that it gave before, or begins (None). It may repeat
      posts, and must not skip any: repeats fall to their id, gaps are silence about a crisis. Where
      the network itself has let posts go, the frame says so (``gap``).
    - It yields a frame at least every half minute, with ``up_to`` moved on: a source that says
      nothing for a minute is blind. A network that does not say how far it has come gives the wall
      clock less its usual delay. ``up_to`` never lies in the future.
    - A cursor is stored only once the broker has acknowledged the posts before it. The connector
      keeps no position of its own and writes no file.
    - It reads no further than it is asked, and holds little in memory: while the broker is away the
      network must wait, or drop us and be resumed.
    - What cannot be read is the network's fault: yield what is readable, and the rest as
      ``unreadable``.
    - When the network is down, silent or says good-bye it raises ``Unavailable``; it is started
      again, with a back-off.
    - It does not match, clean, pseudonymise or de-duplicate: intake does, for all the same.
    - What is taken back on the network comes as ``gone``.
    - ``parse`` of a connector is a pure function of bytes, tested on recorded frames.
    """

    name: str

    def read(self, cursor: str | None) -> AsyncGenerator[Frame, None]:
        """Yield frames from behind the cursor on."""

    def since(self, moment: datetime) -> str:
        """Return a cursor behind which everything follows that was written at a moment or later."""
