"""What Faust drops of a changelog is read again: the recovery of a table ends, with all of its rows."""

import asyncio

import pytest
from aiokafka.consumer.fetcher import Fetcher
from kafka import KafkaProducer

from services.broker import ensure_topics
from services.classifier.handler import Effects
from services.classifier.worker import Worker
from tests.broker import cluster
from uproar.topics import POSTS

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(300)]

CHANGELOG = "uproar-detect-watch-changelog"
ROWS = 50
SOON = 40.0
"""Seconds: long before a recovery counts as halted."""


class Keeps:
    """A handler that remembers the rows it was given."""

    def __init__(self):
        self.rows = {}

    def assigned(self, partition, rows, *, offsets_valid):
        self.rows[partition] = dict(rows)

    def revoked(self, partition): ...

    def done(self, partition): ...

    async def handle(self, partition, records) -> Effects:
        return Effects()

    async def tick(self, partition) -> Effects:
        return Effects()


def fill(address):
    producer = KafkaProducer(**address.kafka_python)
    for number in range(ROWS):
        for partition in range(4):
            key = b"%d/row%d" % (partition, number)
            producer.send(CHANGELOG, key=key, value=b"%d" % number, partition=partition)
    producer.flush(30)
    producer.close()


async def test_the_end_of_a_changelog_that_was_dropped_is_read_again(tmp_path, monkeypatch):
    fetched, dropped = Fetcher.fetched_records, []

    async def drops(self, *args, **kwargs):
        records = await fetched(self, *args, **kwargs)
        for place in [tp for tp in records if tp.topic == CHANGELOG and tp.partition == 2]:
            if not dropped or dropped[-1] < ROWS - 1:  # once, up to its end
                dropped.append(records.pop(place)[-1].offset)
        return records

    monkeypatch.setattr(Fetcher, "fetched_records", drops)
    handler = Keeps()
    with cluster() as kafka:
        settings = kafka.address.settings()
        await asyncio.to_thread(ensure_topics, settings)
        await asyncio.to_thread(fill, kafka.address)
        worker = Worker(
            name="uproar-detect",
            source=POSTS.name,
            dead_letters=POSTS.dead_letters,
            handler=handler,
            settings=settings,
            partitions=4,
            directory=tmp_path,
            table="watch",
        )
        stop = asyncio.Event()
        running = asyncio.create_task(worker.run(stop))
        async with asyncio.timeout(SOON):
            while worker.problem() is not None:
                assert not running.done()
                await asyncio.sleep(0.1)
        stop.set()
        await running
    assert dropped[-1] == ROWS - 1
    whole = {b"row%d" % number: b"%d" % number for number in range(ROWS)}
    assert handler.rows == dict.fromkeys(range(4), whole)
