"""Source: the contract of a connector, a reader of one network. Not how its posts go on (pump)."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """
    What a connector read in one go.

    Attributes:
        posts: Input posts as JSON objects, as one would push them (``uproar.inbox``).
        cursor: Where reading goes on behind them, in the network's own words.
        up_to: No post written before this will follow, where the network says so.
    """

    posts: Sequence[bytes]
    cursor: str
    up_to: datetime | None = None


class Source(Protocol):
    """
    A connector reads one network and yields what it read, in order, for ever.

    The contract:

    - ``name`` is the name of its stream: its watermark, its cursor, its line in ``/v1/status``.
    - ``read(cursor)`` goes on behind a cursor that it gave before, or begins (None). It may repeat
      posts, and must not skip any: repeats fall to their id, gaps are silence about a crisis.
    - A cursor is stored only once the broker has acknowledged the posts before it. The connector
      keeps no position of its own and writes no file.
    - A frame that cannot be read is the network's fault: yield what is readable and log the rest.
    - When the network is down it raises ``Unavailable``; it is started again, with a back-off.
    - It does not match, clean, pseudonymise or de-duplicate: intake does, for all the same.
    - ``parse`` of a connector is a pure function of bytes, tested on recorded frames.
    """

    name: str

    def read(self, cursor: str | None) -> AsyncIterator[Frame]:
        """Yield frames from behind the cursor on."""
