"""Publish: brings the watch list, and what must be erased, from the database to their topics."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Final

import structlog
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError

from services.alerter.metrics import RETRIES, SUBJECTS_PUBLISHED
from services.alerter.settings import AlerterSettings
from services.alerter.store import erasure, subjects
from services.alerter.store.database import Database
from services.alerter.store.subjects import Watched
from services.broker import aiokafka, ensure_topics
from uproar.errors import Misconfigured, Unavailable
from uproar.post import Deletion
from uproar.topics import DELETIONS, SUBJECTS

log = structlog.get_logger(room="alerter/publish")

LOOK_EVERY: Final = timedelta(seconds=1)
PROBE_EVERY: Final = timedelta(seconds=5)
RETRY_AFTER: Final = timedelta(seconds=2)
_REQUEST_TIMEOUT_MS: Final = 10_000
_PARTITION: Final = TopicPartition(SUBJECTS.name, 0)


class BrokerForgot(Exception):
    """The topic ends before what we wrote to it: this is another broker, or an emptied one."""


class Publisher:
    """Keeps ``uproar.subjects.v1`` equal to the table; all of it anew after each connection."""

    def __init__(
        self, settings: AlerterSettings, database: Database, clock: Callable[[], datetime]
    ) -> None:
        self.problem: str | None = "the broker has not answered yet"
        self._settings, self._database, self._clock = settings, database, clock
        self._end = 0

    async def run(self, stop: asyncio.Event) -> None:
        """Publish until ``stop`` is set, whatever becomes of the broker meanwhile."""
        while not stop.is_set():
            try:
                async with self._connected() as (producer, reader):
                    await self._send(producer, await self._everything())
                    self.problem = None
                    await self._keep_up(producer, reader, stop)
            except (KafkaError, OSError, Unavailable, Misconfigured, BrokerForgot) as error:
                self.problem = f"the watch list cannot be published: {error or type(error)}"
                RETRIES.labels(part="publish").inc()
                log.warning("cannot publish", reason=repr(error))
                await _pause(stop, RETRY_AFTER)

    async def _keep_up(
        self, producer: AIOKafkaProducer, reader: AIOKafkaConsumer, stop: asyncio.Event
    ) -> None:
        looks = 0
        while not stop.is_set():
            async with self._database.reading() as transaction:
                changed = await subjects.unpublished(transaction)
                gone = await erasure.untold(transaction)
            await self._send(producer, changed)
            await self._tell_of_erasures(producer, gone)
            looks += 1
            if looks % (PROBE_EVERY // LOOK_EVERY) == 0:
                ends = await reader.end_offsets([_PARTITION])
                if ends[_PARTITION] < self._end:
                    raise BrokerForgot("the broker is another one: telling it the whole list")
            await _pause(stop, LOOK_EVERY)

    async def _everything(self) -> Iterable[Watched]:
        async with self._database.reading() as transaction:
            return await subjects.everything(transaction)

    async def _send(self, producer: AIOKafkaProducer, rows: Iterable[Watched]) -> None:
        """Send one record at a time: on the embedded broker a batch has a wrong end offset."""
        for row in rows:
            gone = row.deleted_at is not None
            record = SUBJECTS.record(None if gone else row.subject, key=row.subject.id)
            sent = await producer.send_and_wait(
                record.topic, value=record.value, key=record.key, partition=_PARTITION.partition
            )
            self._end = sent.offset + 1
            async with self._database.writing() as transaction:
                await subjects.mark_published(transaction, row.subject.id, row.version)
            SUBJECTS_PUBLISHED.inc()

    async def _tell_of_erasures(self, producer: AIOKafkaProducer, gone: Iterable[Deletion]) -> None:
        for deletion in gone:
            record = DELETIONS.record(deletion, key=deletion.id or deletion.author)
            await producer.send_and_wait(record.topic, value=record.value, key=record.key)
            async with self._database.writing() as transaction:
                await erasure.mark_told(transaction, deletion, now=self._clock())
            log.info("erasure told")

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[tuple[AIOKafkaProducer, AIOKafkaConsumer]]:
        await asyncio.to_thread(ensure_topics, self._settings)
        options = aiokafka(self._settings)
        self._end = 0
        producer = AIOKafkaProducer(
            **options, acks="all", request_timeout_ms=_REQUEST_TIMEOUT_MS
        )  # not idempotent: the embedded broker refuses that to aiokafka, and a repeat is harmless
        reader = AIOKafkaConsumer(**options, request_timeout_ms=_REQUEST_TIMEOUT_MS)
        try:
            await producer.start()
            await reader.start()
            yield producer, reader
        finally:
            for client in (producer, reader):
                with contextlib.suppress(Exception):  # it is gone already
                    await asyncio.wait_for(client.stop(), RETRY_AFTER.total_seconds())


async def _pause(stop: asyncio.Event, pause: timedelta) -> None:
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(stop.wait(), pause.total_seconds())
