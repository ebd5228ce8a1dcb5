"""A worker whose Faust has died, or stands still, ends with an error: it must not go on reading nothing."""

import asyncio
import threading
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest
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

    def done(self, partition): ...

    async def handle(self, partition, records) -> Effects:
        return Effects()

    async def tick(self, partition) -> Effects:
        return Effects()


@asynccontextmanager
async def joined(directory, **given):
    """A worker that does its work on a real broker, and the task in which it runs."""
    with broker() as address:
        settings = address.settings()
        await asyncio.to_thread(ensure_topics, settings)
        worker = Worker(
            name="uproar-ends",
            source=POSTS.name,
            dead_letters=POSTS.dead_letters,
            handler=Idle(),
            settings=settings,
            partitions=4,
            directory=directory,
            **given,
        )
        running = asyncio.create_task(worker.run(asyncio.Event()))
        while worker.problem() is not None:
            assert not running.done()
            await asyncio.sleep(0.1)
        yield worker, running
        if not running.done():
            running.cancel()
            await asyncio.wait({running})


async def test_a_consumer_that_dies_ends_the_worker_with_an_error(tmp_path, monkeypatch):
    monkeypatch.setattr(room, "PROBE_EVERY", 1.0)
    async with joined(tmp_path) as (_, running):
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


@pytest.mark.parametrize("flag", ["rebalancing", "in_recovery"])
async def test_a_move_of_partitions_that_stands_still_ends_the_worker(tmp_path, flag):
    async with joined(tmp_path, patience=timedelta(seconds=1)) as (worker, running):
        setattr(worker._app, flag, True)  # as Faust leaves it where what ends it never comes
        await asyncio.wait({running}, timeout=30)
        assert running.done()
        assert "no step of a rebalance" in str(running.exception())
