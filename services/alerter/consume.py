"""Consume: backlash, readings, sources and deletions into the database, and only then the offset."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import structlog
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord
from aiokafka.errors import KafkaError

from services.alerter.advance import Advancer
from services.alerter.metrics import EVENTS, RETRIES
from services.alerter.settings import AlerterSettings
from services.alerter.store import readings
from services.alerter.store.database import Database
from services.alerter.store.incidents import Arrival
from services.broker import FETCH_WAIT_MS, aiokafka, ensure_topics
from services.traces import Kind, span, trace_id
from uproar.errors import Malformed, Misconfigured, Unavailable
from uproar.topics import BACKLASH, DEAD_LETTER, DELETIONS, READINGS, SOURCES, Topic
from uproar.watermark import SourceState
from uproar.wire import ACCEPTED_AT, TRACEPARENT, Record, dead_letter

log = structlog.get_logger(room="alerter/consume")

GROUP: Final = "uproar-alerter"
RETRY_AFTER: Final = timedelta(seconds=2)
_POLL_MS: Final = 500
_MAX_RECORDS: Final = 500
_REQUEST_TIMEOUT_MS: Final = 15_000
Keep = Callable[[list[Any]], Awaitable[None]]
Bury = Callable[[Record], Awaitable[None]]
"""Sends a dead letter and returns when it is acknowledged."""

_TOPICS: Final[Mapping[str, Topic]] = {
    topic.name: topic for topic in (BACKLASH, READINGS, SOURCES, DELETIONS)
}


class Taker:
    """Takes records of one partition, in order, into the database; what never fits is buried."""

    def __init__(
        self, database: Database, advancer: Advancer, clock: Callable[[], datetime]
    ) -> None:
        self._database, self._advancer, self._clock = database, advancer, clock
        for topic in _TOPICS:  # 0 from the start: Prometheus sees the first rise
            EVENTS.labels(topic=topic, outcome="malformed")

    async def take(self, records: Sequence[Record], bury: Bury) -> int:
        """
        Take what can be taken now.

        Returns:
            How many records, from the first, need not be read again. Fewer than given: the
            database does not answer, and the rest is to be tried again.
        """
        done = 0
        try:
            if records[0].topic == BACKLASH.name:
                for record in records:
                    await self._one(record, bury)
                    done += 1
            else:
                await self._many(records, bury)
                done = len(records)
        except Unavailable as error:
            log.warning("cannot keep", topic=records[0].topic, reason=str(error))
        return done

    async def _one(self, record: Record, bury: Bury) -> None:
        try:
            event = BACKLASH.decode(record)
            with span("hear", parent=record.header(TRACEPARENT), kind=Kind.CONSUMER) as step:
                step.note(uproar__incident=event.incident, uproar__page=event.page)
                arrival = Arrival(
                    accepted_at=_accepted_at(record), traceparent=step.traceparent or None
                )
                incident = await self._advancer.hear(event, arrival)
        except Malformed as error:
            await self._bury(record, str(error), bury)
            return
        outcome = "stored" if incident else "repeated"
        EVENTS.labels(topic=record.topic, outcome=outcome).inc()
        log.info(
            "backlash",
            outcome=outcome,
            incident=event.incident,
            happened=event.event.value,
            page=event.page,
            trace_id=trace_id(record.header(TRACEPARENT)),
        )

    async def _many(self, records: Sequence[Record], bury: Bury) -> None:
        taken: list[tuple[Record, Any]] = []
        for record in records:
            if record.topic == SOURCES.name and record.value is None:
                taken.append((record, (record.key or b"").decode("utf-8", "replace")))
                continue  # the tombstone of a source: its name alone
            try:
                taken.append((record, _TOPICS[record.topic].decode(record)))
            except Malformed as error:
                await self._bury(record, str(error), bury)
        keep = self._keep(records[0].topic)
        try:
            await keep([value for _, value in taken])
        except Malformed:  # one of them does not fit the database: find out which
            taken = [pair for pair in taken if await self._fits(pair, keep, bury)]
        EVENTS.labels(topic=records[0].topic, outcome="stored").inc(len(taken))

    async def _fits(self, pair: tuple[Record, Any], keep: Keep, bury: Bury) -> bool:
        try:
            await keep([pair[1]])
        except Malformed as error:
            await self._bury(pair[0], str(error), bury)
            return False
        return True

    def _keep(self, topic: str) -> Keep:
        return {
            READINGS.name: self._keep_readings,
            SOURCES.name: self._keep_sources,
            DELETIONS.name: self._advancer.forget,
        }[topic]

    async def _keep_readings(self, values: list[Any]) -> None:
        async with self._database.writing() as transaction:
            await readings.add(transaction, values, now=self._clock())

    async def _keep_sources(self, values: list[Any]) -> None:
        async with self._database.writing() as transaction:
            for value in values:
                if isinstance(value, SourceState):
                    await readings.report(transaction, [value])
                else:
                    await readings.drop(transaction, value)

    async def _bury(self, record: Record, reason: str, bury: Bury) -> None:
        letter = dead_letter(record, reason, at=self._clock())
        await bury(
            Record(
                topic=_TOPICS[record.topic].dead_letters,
                value=DEAD_LETTER.encode(letter),
                key=record.key,
            )
        )
        EVENTS.labels(topic=record.topic, outcome="malformed").inc()
        log.warning("dead letter", origin=letter.origin, reason=letter.reason)


class Consumer:
    """Reads the four topics; goes on after whatever becomes of the broker or the database."""

    def __init__(self, settings: AlerterSettings, taker: Taker) -> None:
        self.problem: str | None = "the broker has not answered yet"
        self._settings, self._taker = settings, taker

    async def run(self, stop: asyncio.Event) -> None:
        """Read until ``stop`` is set."""
        while not stop.is_set():
            try:
                async with self._connected() as (consumer, burial):
                    self.problem = None
                    await self._read(consumer, burial, stop)
            except (KafkaError, OSError, Unavailable, Misconfigured) as error:
                self.problem = f"backlash events cannot be read: {error or type(error)}"
                RETRIES.labels(part="consume").inc()
                log.warning("cannot read", reason=repr(error))
                await _pause(stop, RETRY_AFTER)

    async def _read(
        self, consumer: AIOKafkaConsumer, burial: AIOKafkaProducer, stop: asyncio.Event
    ) -> None:
        async def bury(record: Record) -> None:
            await burial.send_and_wait(record.topic, value=record.value, key=record.key)

        while not stop.is_set():
            batches = await consumer.getmany(timeout_ms=_POLL_MS, max_records=_MAX_RECORDS)
            for partition, messages in batches.items():
                done = await self._taker.take([_record(message) for message in messages], bury)
                if done:
                    await consumer.commit({partition: messages[done - 1].offset + 1})
                if done == len(messages):
                    self.problem = None
                    continue
                self.problem = "backlash events cannot be kept: the database does not answer"
                RETRIES.labels(part="consume").inc()
                consumer.seek(partition, messages[done].offset)
                await _pause(stop, RETRY_AFTER)

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[tuple[AIOKafkaConsumer, AIOKafkaProducer]]:
        await asyncio.to_thread(ensure_topics, self._settings)
        options = aiokafka(self._settings) | {"request_timeout_ms": _REQUEST_TIMEOUT_MS}
        consumer = AIOKafkaConsumer(
            *_TOPICS,
            **options,
            group_id=GROUP,
            auto_offset_reset="earliest",
            enable_auto_commit=False,
            session_timeout_ms=6_000,  # how long nobody reads after a process was killed
            heartbeat_interval_ms=2_000,
            fetch_max_wait_ms=FETCH_WAIT_MS,
        )
        burial = AIOKafkaProducer(**options, acks="all")
        try:
            await consumer.start()
            await burial.start()
            yield consumer, burial
        finally:
            for client in (consumer, burial):
                with contextlib.suppress(Exception):  # it is gone already
                    await asyncio.wait_for(client.stop(), RETRY_AFTER.total_seconds())


def _record(message: ConsumerRecord) -> Record:
    return Record(
        topic=message.topic,
        partition=message.partition,
        offset=message.offset,
        key=message.key,
        value=message.value,
        headers=tuple(message.headers or ()),
    )


def _accepted_at(record: Record) -> datetime | None:
    """Read the wall clock of acceptance; a broken one costs a measurement, not a page."""
    try:
        moment = datetime.fromisoformat((record.header(ACCEPTED_AT) or b"").decode("ascii"))
    except ValueError:
        return None
    return moment.astimezone(UTC) if moment.tzinfo else None


async def _pause(stop: asyncio.Event, pause: timedelta) -> None:
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(stop.wait(), pause.total_seconds())
