"""A consumer that dies under us ends the worker with an error: it must not go on, ready, reading nothing."""

import asyncio
import threading

from aiokafka import AIOKafkaConsumer
from aiokafka.consumer.fetcher import Fetcher

from services.broker import ensure_topics
from services.classifier import worker as room
from services.classifier.handler import Effects
from services.classifier.worker import Worker
from tests.broker import broker
from uproar.topics import POSTS


class Idle:
    """A handler that has nothing to do."""

    def assigned(self, partition, rows, *, offsets_valid): ...

    def revoked(self, partition): ...

    async def handle(self, partition, records) -> Effects:
        return Effects()

    async def tick(self, partition) -> Effects:
        return Effects()


async def test_a_consumer_that_dies_ends_the_worker_with_an_error(tmp_path, monkeypatch):
    monkeypatch.setattr(room, "PROBE_EVERY", 1.0)
    with broker() as address:
        settings = address.settings()
        await asyncio.to_thread(ensure_topics, settings)
        worker = Worker(
            name="uproar-dies",
            source=POSTS.name,
            dead_letters=POSTS.dead_letters,
            handler=Idle(),
            settings=settings,
            partitions=4,
            directory=tmp_path,
        )
        running = asyncio.create_task(worker.run(asyncio.Event()))
        while worker.problem() is not None:
            assert not running.done()
            await asyncio.sleep(0.1)

        asked = threading.Event()

        async def silent(_: object) -> None:
            asked.set()
            await asyncio.Event().wait()

        monkeypatch.setattr(AIOKafkaConsumer, "topics", silent)
        await asyncio.to_thread(asked.wait, 60)  # a question to the consumer is under way

        async def broken(*_: object, **__: object) -> None:
            raise KeyError("planted: as aiokafka once did when a partition went while it looked")

        monkeypatch.setattr(Fetcher, "fetched_records", broken)
        await asyncio.wait({running}, timeout=60)
        assert running.done()
        assert not running.cancelled(), "a task group would take that for an end that was asked for"
        assert isinstance(running.exception(), RuntimeError)
