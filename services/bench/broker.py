"""Broker: the one that a measurement may use, and all that must be in it before ingest starts."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from services.broker import KafkaSettings
from services.ingest.producer import Producer
from services.standalone.embedded import Tansu
from uproar.subject import Subject
from uproar.topics import SUBJECTS


@asynccontextmanager
async def broker(kafka: str | None, *, folder: Path) -> AsyncIterator[str]:
    """Give the bootstrap servers of a Kafka, or of an embedded broker that ends with the block."""
    if kafka is not None:
        yield kafka
        return
    embedded = Tansu(folder / "broker.log")
    await embedded.start()
    try:
        yield embedded.servers
    finally:
        await embedded.stop()


async def publish(settings: KafkaSettings, subjects: Sequence[Subject]) -> None:
    """Put subjects on the topic of the watch list, as the alerter would."""
    producer = Producer(settings)
    producer.start()
    try:
        records = [SUBJECTS.record(subject, key=subject.id) for subject in subjects]
        for at in range(0, len(records), 1000):
            await producer.send(records[at : at + 1000])
    finally:
        await producer.close()
