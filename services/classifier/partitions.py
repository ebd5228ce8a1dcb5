"""
Partitions: those that are ours, read without a hole, carried through the handler, then committed.

Nothing is lost, something may be repeated: an offset counts as done when everything that its
record led to is acknowledged, and only what is done without a hole is committed. It knows no
Kafka client: the worker is one, and is asked through :class:`Client`.
"""

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Protocol

import structlog

from services.classifier import metrics
from services.classifier.guard import Guard
from services.classifier.handler import Effects, Handler
from services.classifier.snapshot import Keeper
from uproar.wire import Record

SEEK_PAUSE = 2.0  # seconds: a seek may be overtaken by records already fetched, so not again before


class Moved(Exception):
    """The partition is no longer ours, or ours anew: drop the batch, it will be read again."""


class Client(Protocol):
    """
    A member of a consumer group on one topic, and a producer.

    What the world refuses raises one of the errors that the guard was told of.
    """

    @property
    def generation(self) -> int:
        """Changes whenever partitions are handed out anew."""

    @property
    def moving(self) -> bool:
        """True while partitions are handed out or their state is restored."""

    def assigned(self) -> set[int]:
        """Partitions that are ours."""

    def end(self, number: int) -> int:
        """Offset behind the last record of a partition, as far as is known; 0 when it is not."""

    async def committed(self, numbers: set[int]) -> dict[int, int | None]:
        """Offsets committed; None: never."""

    async def beginnings(self, numbers: set[int]) -> dict[int, int]:
        """Offsets of the oldest records that are still there."""

    async def seek(self, number: int, offset: int) -> None: ...

    async def commit(self, offsets: Mapping[int, int]) -> bool:
        """Commit; False when it was refused. Does not raise."""

    async def send(self, records: Sequence[Record]) -> None:
        """Send records; returns when all are acknowledged by all replicas in sync."""

    def rows(self, number: int) -> Mapping[bytes, bytes]:
        """All rows of a partition in the table; nothing where there is no table."""

    async def write(self, number: int, rows: Mapping[bytes, bytes]) -> None:
        """Write rows into the table; returns when its changelog has acknowledged them."""


@dataclass(slots=True, kw_only=True)
class _Part:
    """A partition as it stands with us, for one generation of the group."""

    client: Client
    number: int
    generation: int
    expected: int = 0  # offset of the next record to handle
    committed: int = -1
    hold: int | None = None
    moved_at: float = 0.0
    sought_at: float = -SEEK_PAUSE

    @property
    def done(self) -> int:
        return self.expected if self.hold is None else min(self.expected, self.hold)

    @property
    def ahead(self) -> bool:
        return self.done > self.committed

    @property
    def waiting(self) -> int:
        return max(0, self.client.end(self.number) - self.expected)

    def check(self) -> None:
        if self.generation != self.client.generation or self.client.moving:
            raise Moved


class Partitions:
    """
    The partitions of one agent.

    Args:
        keeper: Keeps rows and offsets in the place of table and group: nothing is committed then.
    """

    def __init__(
        self, agent: str, client: Client, handler: Handler, guard: Guard, keeper: Keeper | None
    ) -> None:
        self._agent, self._client, self._handler = agent, client, handler
        self._guard, self._keeper = guard, keeper
        self._parts: dict[int, _Part] = {}
        self._lock = asyncio.Lock()  # a tick never meets a batch
        self._log = structlog.get_logger(room="classifier/partitions", agent=agent)

    async def take(self, batches: Mapping[int, Sequence[Record]]) -> None:
        """Handle records of some partitions, each in the order of its offsets; commit."""
        began = time.monotonic()
        async with self._lock:
            await self._adopt()
            await asyncio.gather(*(self._take(n, records) for n, records in batches.items()))
            await self._commit()
        metrics.BATCH_SECONDS.labels(self._agent).observe(time.monotonic() - began)

    async def tick(self) -> None:
        """Do what the time alone asks for; skipped while a batch is being tried again."""
        try:
            await asyncio.wait_for(self._lock.acquire(), 1.0)
        except TimeoutError:
            return
        try:
            await self._adopt()
            await asyncio.gather(*(self._tick(part) for part in self._parts.values()))
            await self._commit()
        finally:
            self._lock.release()

    @property
    def waiting(self) -> int:
        """Records that are there and not handled yet."""
        return sum(part.waiting for part in self._parts.values())

    def problem(self, patience: timedelta) -> str | None:
        """Say which partition has records and has not moved for too long; None when none."""
        for part in self._parts.values():
            still = time.monotonic() - part.moved_at
            if still > patience.total_seconds() and part.waiting:
                return f"partition {part.number} has stood still for {still:.0f} s, records waiting"
        return None

    # ------------------------------------------------------------------------------- one partition

    async def _take(self, number: int, records: Sequence[Record]) -> None:
        part = self._parts.get(number)
        if part is None or part.generation != self._client.generation or self._client.moving:
            return  # it will be read again, by us or by others
        try:
            following, hole = _contiguous(records, part.expected)
            if following:
                await self._guard.carry(part, following, partial(self._finish, part))
            if hole:
                await self._go_back(part)
        except Moved:
            self._log.info("partition moved in the middle of a batch", partition=number)

    async def _tick(self, part: _Part) -> None:
        try:
            effects = await self._guard.insist(partial(self._handler.tick, part.number), part)
            if effects.stages or effects.rows:
                await self._perform(part, effects, part.expected)
            if part.waiting and time.monotonic() - part.moved_at > 2 * SEEK_PAUSE:
                await self._go_back(part)  # a hole at the end: no later record shows it
        except Moved:
            return

    async def _finish(self, part: _Part, effects: Effects, records: Sequence[Record]) -> None:
        await self._perform(part, effects, part.expected + len(records))
        metrics.RECORDS.labels(self._agent).inc(len(records))

    async def _perform(self, part: _Part, effects: Effects, after: int) -> None:
        """Do what records led to, in order, each step acknowledged; only then they are done."""
        for stage in effects.stages:
            await self._guard.insist(partial(self._client.send, stage), part)
        if effects.rows and self._keeper is None:
            part.check()  # a row of a former owner must not follow the new one's
            writing = partial(self._client.write, part.number, effects.rows)
            await self._guard.insist(writing, part)
        part.expected, part.hold, part.moved_at = after, effects.hold, time.monotonic()
        if self._keeper is not None:
            self._keeper.land(part.number, effects.rows, part.done)
        self._handler.done(part.number)

    async def _go_back(self, part: _Part) -> None:
        """Read a hole: Faust jumps over records at a rebalance (runs of up to 150, measured)."""
        if time.monotonic() - part.sought_at < SEEK_PAUSE:
            return
        part.sought_at = time.monotonic()
        asking = partial(self._client.beginnings, {part.number})
        beginning = (await self._guard.insist(asking, part))[part.number]
        if beginning > part.expected:
            gone = beginning - part.expected
            self._log.error("retention removed unread records", partition=part.number, count=gone)
            metrics.EXPIRED.labels(self._agent).inc(gone)
            part.expected, part.hold = beginning, None
        metrics.HOLES.labels(self._agent).inc()
        await self._client.seek(part.number, part.expected)

    # --------------------------------------------------------------------------------- all of them

    async def _adopt(self) -> None:
        """Take over what is new in this generation: state as kept, place as committed."""
        if self._client.moving:
            return
        mine, generation = self._client.assigned(), self._client.generation
        for number in set(self._parts) - mine:
            del self._parts[number]
            self._handler.revoked(number)
        new = {n for n in mine if n not in self._parts or self._parts[n].generation != generation}
        if not new:
            return
        try:
            places = await self._places(new, generation)
        except Moved:
            return
        if self._client.moving or generation != self._client.generation:
            return
        for number, (expected, committed) in sorted(places.items()):
            if self._parts.pop(number, None) is not None:
                self._handler.revoked(number)
            keeper = self._keeper
            rows = self._client.rows(number) if keeper is None else keeper.of(number)
            valid = keeper is None or number not in keeper.strange
            self._handler.assigned(number, rows, offsets_valid=valid)
            self._parts[number] = _Part(
                client=self._client,
                number=number,
                generation=generation,
                expected=expected,
                committed=committed,
                moved_at=time.monotonic(),
            )
        self._log.info("partitions taken over", offsets={n: at for n, (at, _) in places.items()})

    async def _places(self, numbers: set[int], generation: int) -> dict[int, tuple[int, int]]:
        """Return for each partition where to read on, and what is committed (-1: nothing)."""
        client, keeper = self._client, self._keeper
        if keeper is not None:  # its group is new and begins at the beginning
            offsets = {n: keeper.offsets.get(n, 0) for n in numbers}
            for number, offset in offsets.items():
                if offset:
                    await client.seek(number, offset)
            return {n: (offset, -1) for n, offset in offsets.items()}
        asker = _Part(client=client, number=min(numbers), generation=generation)
        committed = await self._guard.insist(partial(client.committed, numbers), asker)
        known = {n: (at, at) for n, at in committed.items() if at is not None}
        if unknown := numbers - known.keys():  # only then: an answer waits behind a fetch
            beginnings = await self._guard.insist(partial(client.beginnings, unknown), asker)
            known |= {n: (at, -1) for n, at in beginnings.items()}
        return known

    async def _commit(self) -> None:
        if self._keeper is not None or self._client.moving:
            return
        generation, parts = self._client.generation, self._parts.values()
        new = {p.number: p.done for p in parts if p.generation == generation and p.ahead}
        if new and await self._client.commit(new):
            for number in new.keys() & self._parts.keys():
                self._parts[number].committed = new[number]


def _contiguous(records: Sequence[Record], expected: int) -> tuple[list[Record], bool]:
    """Return what follows on ``expected`` without a hole, and whether a hole comes behind it."""
    following: list[Record] = []
    for record in records:
        offset = -1 if record.offset is None else record.offset
        if offset > expected:
            return following, True
        if offset == expected:  # a smaller one is done already
            following.append(record)
            expected += 1
    return following, False
