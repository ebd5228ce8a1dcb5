"""Cursors: what each stream is and how far it has come, kept in the data folder. Not its posts."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path

import msgspec

from uproar.errors import Malformed, Misconfigured
from uproar.watermark import SourceState, State

MAX_STREAMS = 1000
CAUGHT_UP = timedelta(seconds=30)
"""A network that has come so near to the present holds nobody back."""

ACTIVE = frozenset({State.LIVE, State.BACKFILL})


class Conflict(Malformed):
    """A request that contradicts what its stream, or another one, is."""


class Behind(Conflict):
    """A request from before what its stream has reached; the stream says where to go on."""

    def __init__(self, why: str, stream: "Stream") -> None:
        super().__init__(why)
        self.stream = stream


class Clock(StrEnum):
    """Whose time a stream goes by."""

    WALL = "wall"
    OWN = "own"
    NETWORK = "network"


@dataclass(slots=True, kw_only=True)
class Stream:
    """
    One stream of posts.

    Attributes:
        source: Its name.
        clock: The wall clock's time (a live push), its own (``up_to``), or a network's that a
            connector reads.
        state: What it is now.
        reached: How far its event time has come, as its last watermark says.
        newest: Event time of its newest post.
        last_post_at: Wall clock of the last post taken.
        heard_at: Wall clock of its last request.
        cursor: Where a connector goes on, in its network's own words.
    """

    source: str
    clock: Clock
    state: State
    heard_at: datetime
    reached: datetime | None = None
    newest: datetime | None = None
    last_post_at: datetime | None = None
    cursor: str | None = None

    def move(self, at: datetime | None) -> None:
        """Come as far as ``at``; never back."""
        if at is not None and (self.reached is None or at > self.reached):
            self.reached = at

    def took(self, newest: datetime | None, now: datetime) -> None:
        """Note that posts have come, and the event time of the newest."""
        if newest is not None:
            self.newest = max(newest, self.newest or newest)
            self.last_post_at = now

    def end(self) -> None:
        """Come as far as the end of the minute of the last post, and end."""
        self.state = State.ENDED
        if self.newest is not None:
            self.move(self.newest.replace(second=0, microsecond=0) + timedelta(minutes=1))

    def is_behind(self, now: datetime) -> bool:
        """Tell whether a network's stream is still catching up on the present."""
        return self.reached is None or now - self.reached > CAUGHT_UP

    def report(self, now: datetime) -> SourceState:
        """Say what the stream is, for the topic of sources."""
        own = self.reached.isoformat() if self.clock is Clock.OWN and self.reached else None
        return SourceState(
            source=self.source,
            state=self.state,
            event_time=self.reached,
            cursor=self.cursor if self.clock is Clock.NETWORK else own,
            last_post_at=self.last_post_at,
            reported_at=now,
        )


_DECODER = msgspec.json.Decoder(list[Stream])


class Cursors:
    """The streams that were ever heard of, at most 1,000; those that ended long ago go first."""

    def __init__(self, folder: Path) -> None:
        """
        Load the streams of the last run.

        Raises:
            Misconfigured: The file is there but cannot be read.
        """
        folder.mkdir(parents=True, exist_ok=True)
        self._file = folder / "cursors.json"
        try:
            raw = self._file.read_bytes() if self._file.exists() else b"[]"
            self._streams = {stream.source: stream for stream in _DECODER.decode(raw)}
        except (OSError, msgspec.MsgspecError, ValueError) as error:
            raise Misconfigured(
                f"{self._file} cannot be read ({error}): mend it, or remove it and replays begin anew"
            ) from error

    def __iter__(self) -> Iterator[Stream]:
        return iter(list(self._streams.values()))

    def get(self, source: str) -> Stream | None:
        """Return the stream of that name, if it was ever heard of."""
        return self._streams.get(source)

    def check_room(self) -> None:
        """
        Look whether a stream may be added; whose posts are on their way is added in any case.

        Raises:
            Conflict: There are 1,000 already and none of them has ended.
        """
        if len(self._streams) >= MAX_STREAMS and not self._idle():
            raise Conflict(f"{MAX_STREAMS} streams are under way: end one with ?end=true")

    def add(self, stream: Stream) -> list[str]:
        """Add a stream; return the names of those that went for it."""
        gone = []
        while len(self._streams) >= MAX_STREAMS and (idle := self._idle()):
            gone.append(min(idle, key=lambda known: known.heard_at).source)
            del self._streams[gone[-1]]
        self._streams[stream.source] = stream
        return gone

    def _idle(self) -> list[Stream]:
        return [known for known in self._streams.values() if known.state not in ACTIVE]

    def save(self) -> None:
        """Keep the streams; a crash leaves either the former file or the new one, whole."""
        spare = self._file.with_suffix(".new")
        spare.write_bytes(msgspec.json.encode(list(self._streams.values())))
        spare.replace(self._file)
