"""Watermarks: how far event time has come, carried as records; Frontier: the minimum over them."""

import json
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

REMEMBERED: Final = 256
"""Sources that ended and are still known by name, at most."""


class State(StrEnum):
    """What a source is: live, bringing history, ended by its own word, or out of our sight."""

    LIVE = "live"
    BACKFILL = "backfill"
    ENDED = "ended"
    BLIND = "blind"


@dataclass(frozen=True, slots=True, kw_only=True)
class Watermark:
    """
    No post of ``source`` with an earlier event time than ``at`` will come behind this record.

    Attributes:
        source: Name of the stream.
        at: Event time reached (UTC), exclusive: a post written at ``at`` may still come.
        state: LIVE counts in the minimum; ENDED counts once more and leaves; BLIND leaves at once;
            BACKFILL holds nothing back.
        partition: The posts partition it came through; None on the posts topic itself.
        partitions: How many posts partitions there are; None on the posts topic itself.
    """

    source: str
    at: datetime
    state: State = State.LIVE
    partition: int | None = None
    partitions: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceState:
    """
    What ingest says every 10 seconds of one source (``uproar.sources.v1``, compacted).

    Attributes:
        source: Name of the stream.
        state: As in its last watermark.
        event_time: How far its event time has come; None before its first post.
        cursor: Where reading goes on after a restart, in the source's own words.
        last_post_at: Wall clock of the newest post taken.
        reported_at: Wall clock of this report.
    """

    source: str
    state: State
    event_time: datetime | None
    cursor: str | None
    last_post_at: datetime | None
    reported_at: datetime


class Frontier:
    """
    How far event time has come on everything that is listened to: no minute before it is open.

    The minimum over all live sources, and for each over all posts partitions. A live source holds
    everything back until it is heard in every partition. One that ended counts until all its
    partitions have said so, then once more with its last watermarks, also if it was set aside, and
    leaves; a blind one leaves when all its partitions have said so, without that. Until then the
    partition that is behind counts, so that the contents of a minute do not depend on which
    partition was read faster.

    After a crash some marks are read again. Those of a source that has left, up to where it ended,
    are repeats: taken for news they would wait for ever for those that are not read again.
    Those of a blind one are not known for repeats, as it may come back where it was: where nobody else is
    listened to, what it had said to be over may close by the crash, a little earlier than without it.
    """

    def __init__(self) -> None:
        self._sources: dict[str, _Source] = {}
        self._ended: dict[str, datetime] = {}  # where those that left ended, the newest last
        self._limit: datetime | None = None

    @property
    def limit(self) -> datetime | None:
        """No post older than this is waited for; None before the first. Never goes back."""
        return self._limit

    @property
    def reached(self) -> dict[str, datetime | None]:
        """How far each source that is remembered has come; None until it is heard everywhere."""
        return {name: source.limit for name, source in self._sources.items()}

    def observe(self, watermark: Watermark) -> None:
        """Take a watermark of one source, as it came through one posts partition."""
        name = watermark.source
        if name in self._ended and name not in self._sources and watermark.at <= self._ended[name]:
            return
        source = self._sources.setdefault(name, _Source())
        source.hear(watermark)
        over = source.gone and State.ENDED in source.states
        if over:  # it has said all: what it was not waited for any more counts, too
            source.aside = False
        self._advance()
        if source.gone:
            del self._sources[name]
            if over:
                self._remember(name, source.newest)
            self._advance()

    def _remember(self, name: str, at: datetime) -> None:
        self._ended.pop(name, None)
        self._ended[name] = at
        if len(self._ended) > REMEMBERED:
            del self._ended[next(iter(self._ended))]

    def set_aside(self, source: str) -> None:
        """Stop waiting for a source that is not heard of; what it says is still remembered."""
        self._sources.setdefault(source, _Source()).aside = True
        self._advance()

    def take_back(self, source: str) -> None:
        """Count a source again that was set aside."""
        if known := self._sources.get(source):
            known.aside = False
            self._advance()

    def _advance(self) -> None:
        limits = [s.limit for s in self._sources.values() if s.counted]
        if not limits or None in limits:
            return
        limit = min(limit for limit in limits if limit is not None)
        self._limit = limit if self._limit is None else max(limit, self._limit)

    def dump(self) -> bytes:
        """Write everything that is remembered, to be read by :meth:`load`."""
        return json.dumps(
            {
                "limit": None if self._limit is None else self._limit.isoformat(),
                "sources": {name: source.dump() for name, source in self._sources.items()},
                "ended": {name: at.isoformat() for name, at in self._ended.items()},
            }
        ).encode()

    @classmethod
    def load(cls, raw: bytes) -> "Frontier":
        """Read what :meth:`dump` wrote."""
        frontier, written = cls(), json.loads(raw)
        if written["limit"] is not None:
            frontier._limit = datetime.fromisoformat(written["limit"])
        frontier._sources = {
            name: _Source.load(source) for name, source in written["sources"].items()
        }
        ended = written.get("ended", {})  # not in rows of before
        frontier._ended = {name: datetime.fromisoformat(at) for name, at in ended.items()}
        return frontier


@dataclass(slots=True)
class _Source:
    """One source in all posts partitions: partition -> (time reached, state)."""

    partitions: int = 1
    heard: dict[int, tuple[datetime, State]] = field(default_factory=dict)
    aside: bool = False

    def hear(self, watermark: Watermark) -> None:
        self.partitions = watermark.partitions or 1
        number, at = watermark.partition or 0, watermark.at
        if number in self.heard:
            known, state = self.heard[number]
            if state is State.ENDED and at < known:
                return  # read again: what it said last counts
            at = max(at, known)
        self.heard[number] = (at, watermark.state)

    @property
    def states(self) -> set[State]:
        return {state for _, state in self.heard.values()}

    @property
    def newest(self) -> datetime:
        return max(at for at, _ in self.heard.values())

    @property
    def counted(self) -> bool:
        """Whether the minimum asks for it: blind or backfill in all partitions does not count."""
        return not self.aside and bool(self.states & {State.LIVE, State.ENDED})

    @property
    def gone(self) -> bool:
        return len(self.heard) >= self.partitions and State.LIVE not in self.states

    @property
    def limit(self) -> datetime | None:
        if len(self.heard) < self.partitions:
            return None
        return min(at for at, _ in self.heard.values())

    def dump(self) -> dict[str, Any]:
        return {
            "partitions": self.partitions,
            "aside": self.aside,
            "heard": [[n, at.isoformat(), state] for n, (at, state) in self.heard.items()],
        }

    @classmethod
    def load(cls, written: dict[str, Any]) -> "_Source":
        heard = written["heard"]
        return cls(
            partitions=written["partitions"],
            aside=written["aside"],
            heard={n: (datetime.fromisoformat(at), State(state)) for n, at, state in heard},
        )
