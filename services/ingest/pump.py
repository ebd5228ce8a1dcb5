"""
Pump: what each stream is, and its watermark into every posts partition. Not what its posts say.

A push without ``up_to`` goes by the wall clock: live from its first post until ingest stops. With
``up_to`` a stream has its own time, and is live only where no other stream is. A network that a
connector reads has its own time too; once that has come near the present it is live beside others,
and until then it is so only where no other is. A backfill holds nothing back. A watermark is sent
once the posts it covers are acknowledged.
"""

import asyncio
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random
from weakref import WeakValueDictionary

import structlog

from services.ingest import metrics
from services.ingest.admit import CANARY, check_live, check_network, check_own, live_besides
from services.ingest.cursors import ACTIVE, Clock, Conflict, Cursors, Stream
from services.ingest.intake import Intake, Outcome, Push, Send
from services.traces import new_traceparent
from uproar.errors import Unavailable
from uproar.topics import POSTS, SOURCES
from uproar.watermark import State, Watermark
from uproar.wire import ACCEPTED_AT, TRACEPARENT, Record

log = structlog.get_logger(room="ingest/pump")

BEHIND = timedelta(seconds=10)
SILENCE = timedelta(seconds=60)
LATE = timedelta(minutes=60)
"""Detection judges what comes no later than this behind the watermark."""
REPORT_EVERY = timedelta(seconds=10)
TURN_SECONDS = 25.0
PARTING_SECONDS = 3.0


def _wall_clock() -> datetime:
    return datetime.now(UTC)


class Pump:
    """Takes pushes, keeps the streams, sends their watermarks and says every 10 s what they are."""

    def __init__(
        self,
        *,
        intake: Intake,
        cursors: Cursors,
        send: Send,
        partitions: int,
        rng: Random,
        networks: Collection[str] = (),
        clock: Callable[[], datetime] = _wall_clock,
    ) -> None:
        """
        Make a pump.

        Args:
            intake: Judges posts and sends on what is accepted.
            cursors: The streams as they were when ingest ended.
            send: Hands records to the broker.
            partitions: How many posts partitions there are.
            rng: For trace ids.
            networks: Streams that connectors read; nobody else may push to them.
            clock: The wall clock.
        """
        self._intake, self._cursors, self._send = intake, cursors, send
        self._partitions, self._rng, self._clock = partitions, rng, clock
        self._networks = frozenset(networks)
        # Each as long as somebody waits for it.
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._said: dict[str, State] = {}  # by source, the state of the last report
        self._traces: dict[str, str] = {}  # by live source, that of its last push
        self._cut_off = [stream for stream in cursors if stream.state in ACTIVE]
        for stream in self._cut_off:  # ingest was killed: they have left until heard of again
            stream.state = State.BLIND

    # ------------------------------------------------------------------------------- one request

    async def take(self, push: Push) -> Outcome:
        """
        Take the posts of a push, then move its stream on.

        Requests of a stream that has its own time are taken one after the other, in order.

        Raises:
            Conflict: The push contradicts what its stream, or another one, is.
            Unavailable: The broker or the watch list is missing; it may be sent again.
        """
        if push.cursor is not None:  # its one connector waits for each
            return await self._take_network(push)
        if push.source in self._networks:
            raise Conflict(f"{push.source} is read from its network: push under another ?source")
        if push.up_to is None and not push.end and not push.backfill:
            return await self._take_live(push)
        turn = self._turns.setdefault(push.source, asyncio.Lock())
        try:
            await asyncio.wait_for(turn.acquire(), TURN_SECONDS)
        except TimeoutError as error:
            raise Unavailable("an earlier request of this stream still waits") from error
        try:
            return await self._take_own(push)
        finally:
            turn.release()

    async def _take_live(self, push: Push) -> Outcome:
        stream = self._cursors.get(push.source)
        check_live(push, stream)
        if stream is None:
            self._cursors.check_room()
        outcome = await self._intake.take(push)
        if outcome.newest is not None:
            await self._go_live(push, outcome.newest)
        return outcome

    async def _go_live(self, push: Push, newest: datetime) -> None:
        stream = self._cursors.get(push.source)
        now = self._clock()
        if stream is None:
            stream = Stream(source=push.source, clock=Clock.WALL, state=State.BLIND, heard_at=now)
            self._add(stream)
        stream.took(newest, now)
        stream.heard_at = now
        self._traces[push.source] = push.traceparent
        if stream.state is State.LIVE:
            return
        stream.clock, stream.state = Clock.WALL, State.LIVE
        if push.source != CANARY:
            await self._make_way(stream, now)
        await self._changed(stream)

    async def _make_way(self, stream: Stream, now: datetime) -> None:
        """People's posts come first: a replay leaves; a network that is behind stands aside."""
        for other in live_besides(self._cursors, stream.source):
            if other.clock is Clock.OWN:
                await self._leave(other)
            elif other.clock is Clock.NETWORK and other.is_behind(now):
                other.state = State.BACKFILL
                await self._send(self._watermarks([other], now))
                await self._changed(other)

    async def _take_network(self, push: Push) -> Outcome:
        stream = self._cursors.get(push.source)
        check_network(push, stream)
        if stream is None:
            self._cursors.check_room()
        outcome = await self._intake.take(replace(push, backfill=self._is_history(stream, push)))
        now = self._clock()
        if stream is None:
            stream = Stream(source=push.source, clock=Clock.WALL, state=State.BLIND, heard_at=now)
            self._add(stream)
        stream.clock, stream.cursor = Clock.NETWORK, push.cursor
        stream.took(outcome.newest, now)
        if push.up_to is not None:
            await self._move_network(stream, min(push.up_to, now), push)
        self._cursors.save()
        return outcome

    def _is_history(self, stream: Stream | None, push: Push) -> bool:
        """Whether posts come too late to be judged beside people's: they teach what is usual."""
        if stream is None or stream.state is not State.BACKFILL or push.up_to is None:
            return False
        return self._clock() - push.up_to > LATE

    async def _move_network(self, stream: Stream, up_to: datetime, push: Push) -> None:
        now, former = self._clock(), stream.state
        stream.move(up_to)
        stream.heard_at = now
        near = not stream.is_behind(now)
        alone = not live_besides(self._cursors, stream.source)
        stream.state = State.LIVE if near or alone else State.BACKFILL
        if near and former is not State.LIVE:
            await self._make_way(stream, now)
        self._traces[push.source] = push.traceparent
        if State.LIVE in {former, stream.state}:
            await self._send(self._watermarks([stream], push.received_at))
        if self._said.get(stream.source) is not stream.state:
            await self._changed(stream)

    async def _take_own(self, push: Push) -> Outcome:
        now = self._clock()
        stream = self._admit(push, now)
        stream.state = State.BACKFILL if push.backfill else State.LIVE
        stream.heard_at = now
        late_before = None if stream.clock is Clock.WALL else stream.reached
        outcome = await self._intake.take(push, late_before=late_before)
        stream.took(outcome.newest, self._clock())
        stream.move(push.up_to)
        if push.end:
            stream.end()
        if not push.backfill:  # a backfill closes nothing, nor does its end
            self._traces[push.source] = push.traceparent
            await self._send(self._watermarks([stream], push.received_at))
        stream.heard_at = self._clock()
        outcome.reached = stream.reached
        self._cursors.save()
        if self._said.get(stream.source) is not stream.state:
            await self._changed(stream)
        return outcome

    def _admit(self, push: Push, now: datetime) -> Stream:
        stream = self._cursors.get(push.source)
        check_own(push, stream, self._cursors)
        if stream is None:
            self._cursors.check_room()
            stream = Stream(source=push.source, clock=Clock.OWN, state=State.BLIND, heard_at=now)
            self._add(stream)
        elif stream.state not in ACTIVE:
            stream.clock = Clock.OWN
        return stream

    def _add(self, stream: Stream) -> None:
        for source in self._cursors.add(stream):  # nothing is kept of those that went
            self._said.pop(source, None)
            metrics.EVENT_TIME.remove(source)
            for state in State:
                metrics.SOURCE_STATE.remove(source, state)

    # -------------------------------------------------------------------------------- all the time

    async def run(self) -> None:
        """Move the live streams on every second and report every 10 s, until cancelled."""
        reported = self._clock()
        while True:
            try:
                if self._cut_off:
                    await self._rejoin()
                await self.tick()
                if self._clock() - reported >= REPORT_EVERY:
                    reported = self._clock()
                    await self.report()
            except Unavailable as error:
                log.warning("watermarks wait", reason=str(error))
            await asyncio.sleep(1.0)

    async def tick(self) -> None:
        """Move the streams that go by the wall clock on; give up those not heard of for a minute."""
        now = self._clock()
        by_clock = []
        for stream in self._cursors:
            if stream.state is State.LIVE and stream.clock is Clock.WALL:
                stream.move(now - BEHIND)
                by_clock.append(stream)
            elif self._is_silent(stream, now):
                await self._leave(stream)
        await self._send(self._watermarks(by_clock, now))

    def _is_silent(self, stream: Stream, now: datetime) -> bool:
        turn = self._turns.get(stream.source)
        busy = turn is not None and turn.locked()
        return stream.state in ACTIVE and now - stream.heard_at > SILENCE and not busy

    async def report(self) -> None:
        """Say of each stream under way, and of each network that is to be read, what it is."""
        for stream in self._cursors:
            if stream.state in ACTIVE or stream.source in self._networks:
                await self._report(stream)
        self._cursors.save()

    async def part(self) -> None:
        """Ingest stops: its live streams leave the minimum, so that nobody waits for them."""
        try:
            async with asyncio.timeout(PARTING_SECONDS):
                for stream in self._cursors:
                    if stream.state in ACTIVE:
                        await self._leave(stream)
        except (Unavailable, TimeoutError) as error:
            log.warning("could not say good-bye", reason=str(error) or "no answer in time")

    async def _rejoin(self) -> None:
        """Say that what was under way when ingest was killed has left, unless it is back already."""
        left = [stream for stream in self._cut_off if stream.state is State.BLIND]
        await self._send(self._watermarks(left, self._clock()))
        for stream in left:
            await self._changed(stream)
        self._cut_off = []

    async def _leave(self, stream: Stream) -> None:
        was_live = stream.state is State.LIVE
        stream.state = State.BLIND
        if was_live:
            await self._send(self._watermarks([stream], self._clock()))
        await self._changed(stream)

    async def _changed(self, stream: Stream) -> None:
        log.info("stream", source=stream.source, state=stream.state, reached=stream.reached)
        if stream.state not in ACTIVE:
            self._traces.pop(stream.source, None)
        self._cursors.save()
        await self._report(stream)

    async def _report(self, stream: Stream) -> None:
        self._said[stream.source] = stream.state
        for state in State:
            metrics.SOURCE_STATE.labels(stream.source, state).set(state is stream.state)
        if stream.reached is not None:
            metrics.EVENT_TIME.labels(stream.source).set(stream.reached.timestamp())
        record = SOURCES.record(stream.report(self._clock()), key=stream.source)
        await self._send([record])  # one a send: the embedded broker miscounts batches

    def _watermarks(self, streams: Sequence[Stream], accepted_at: datetime) -> list[Record]:
        """
        Make the watermark of each stream, once for every posts partition.

        It goes on with the trace of the stream's last push: what is decided when it closes a minute
        belongs to that.
        """
        accepted = (ACCEPTED_AT, accepted_at.isoformat().encode())
        fresh = new_traceparent(self._rng)
        marks = [
            (
                Watermark(source=stream.source, at=stream.reached, state=stream.state),
                ((TRACEPARENT, self._traces.get(stream.source, fresh).encode()), accepted),
            )
            for stream in streams
            if stream.reached is not None
        ]
        return [
            POSTS.record(mark, key=None, headers=headers, partition=partition)
            for mark, headers in marks
            for partition in range(self._partitions)
        ]
