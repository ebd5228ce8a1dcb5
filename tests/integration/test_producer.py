"""The producer on a real broker: what is acknowledged is there, what is not is sent again."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from kafka import KafkaConsumer, TopicPartition

from services.broker import ensure_topics
from services.ingest.producer import Producer
from tests.broker import FORGETS, Address, Cluster, a_broker, cluster
from uproar.errors import Unavailable
from uproar.wire import Record

TOPIC = "uproar.posts.v1"
PARTITIONS = 4
QUICK = {"message.timeout.ms": 3000, "socket.timeout.ms": 1000}
"""So that a delivery fails in seconds, not after the ten minutes of real life."""


@asynccontextmanager
async def producer(address: Address, **options) -> AsyncIterator[Producer]:
    made = Producer(address.settings(), **options)
    made.start()
    try:
        yield made
    finally:
        await made.close(timeout=1)


def some_records(numbers, *, partition=None) -> list[Record]:
    return [
        Record(topic=TOPIC, key=b"%d" % n, value=b"value %d" % n, partition=partition)
        for n in numbers
    ]


def read(address: Address, *, wanted: int, seconds: float = 60) -> dict[int, list[bytes]]:
    """Read the topic until so many different values have come, and then what comes in a second."""
    consumer = KafkaConsumer(**address.kafka_python, group_id=None, auto_offset_reset="earliest")
    values: dict[int, list[bytes]] = {n: [] for n in range(PARTITIONS)}
    try:
        consumer.assign([TopicPartition(TOPIC, n) for n in range(PARTITIONS)])
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            for at, messages in consumer.poll(timeout_ms=250).items():
                values[at.partition] += [message.value for message in messages]
            if len({v for each in values.values() for v in each}) >= wanted:
                end = min(end, time.monotonic() + 1)
    finally:
        consumer.close(timeout_ms=1000)
    return values


def different(values: dict[int, list[bytes]]) -> set[bytes]:
    return {value for each in values.values() for value in each}


@pytest.fixture
def broker():
    """A broker of one's own: most tests here kill it."""
    made = a_broker()
    try:
        made.start()
        ensure_topics(made.address.settings())
        yield made
    finally:
        made.remove()


async def until(true, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not become true in time"
        await asyncio.sleep(0.05)


async def test_what_is_acknowledged_is_there_in_order(broker):
    async with producer(broker.address) as sender:
        for start in range(0, 300, 100):
            await sender.send(some_records(range(start, start + 100), partition=2))
        await sender.send(some_records(range(300, 400)))
        assert sender.problem() is None
    values = await asyncio.to_thread(read, broker.address, wanted=400)
    assert [v for v in values[2] if int(v[6:]) < 300] == [b"value %d" % n for n in range(300)]
    assert sum(map(len, values.values())) == 400
    assert all(values.values())


async def test_a_header_without_value_is_refused_where_it_is_made(broker):
    record = Record(topic=TOPIC, key=b"k", value=b"v", headers=(("traceparent", None),))  # type: ignore[arg-type]
    async with producer(broker.address) as sender:
        with pytest.raises(ValueError, match="header"):
            await sender.send([record])
        await sender.send([])


async def test_memory_is_bounded_while_the_broker_is_down(broker):
    waiting: list[asyncio.Task[None]] = []
    async with producer(broker.address, max_waiting_bytes=1_000_000) as sender:
        await sender.send(some_records(range(10)))
        broker.kill()
        with pytest.raises(Unavailable, match="keep up"):
            for _ in range(100):
                waiting.append(asyncio.create_task(sender.send(some_records(range(100)))))
                await asyncio.sleep(0)
                if waiting[-1].done():
                    await waiting[-1]
        assert 10 < len(waiting) < 100
    await asyncio.gather(*waiting, return_exceptions=True)


async def test_a_dead_broker_is_seen_though_nothing_is_sent(broker, monkeypatch):
    monkeypatch.setattr("services.ingest.producer.PROBE_SECONDS", 0.1)
    async with producer(broker.address) as sender:
        await until(lambda: sender.problem() is None)
        broker.kill()
        await until(lambda: "takes a connection" in (sender.problem() or ""))
        broker.restart()
        await until(lambda: sender.problem() is None)


async def test_without_a_broker_it_goes_on_trying(broker, monkeypatch):
    broker.kill()
    monkeypatch.setattr("services.ingest.producer.CONNECT_SECONDS", 0.5)
    async with producer(broker.address) as sender:
        await until(lambda: "no Kafka at" in (sender.problem() or ""))
        sending = asyncio.create_task(sender.send(some_records(range(10))))
        await asyncio.sleep(0.1)
        assert not sending.done()
        broker.restart()
        ensure_topics(broker.address.settings())
        await asyncio.wait_for(sending, 60)


async def test_closing_does_not_wait_for_a_dead_broker(broker):
    sender = Producer(broker.address.settings())
    sender.start()
    await sender.send(some_records(range(10)))
    broker.kill()
    sending = asyncio.create_task(sender.send(some_records(range(10, 20))))
    await asyncio.sleep(0.1)
    await asyncio.wait_for(sender.close(timeout=0.5), 60)
    with pytest.raises(Unavailable, match="stopped"):
        await sending
    with pytest.raises(Unavailable, match="stopping"):
        await sender.send(some_records([1]))


async def test_a_failed_delivery_condemns_the_producer_and_what_was_owed_is_sent_again(broker):
    async with producer(broker.address, **QUICK) as sender:
        await sender.send(some_records(range(100)))
        broker.kill()
        sending = [
            asyncio.create_task(sender.send(some_records(range(start, start + 50))))
            for start in range(100, 300, 50)
        ]
        await until(lambda: "sending again" in (sender.problem() or "") or sender._generation > 0)
        assert not any(task.done() for task in sending)
        broker.restart()  # the embedded one is empty now: only what was owed can be in it
        ensure_topics(broker.address.settings())
        await asyncio.wait_for(asyncio.gather(*sending), 120)
        await sender.send(some_records(range(300, 310)))
    values = await asyncio.to_thread(read, broker.address, wanted=210)
    assert different(values) == {b"value %d" % n for n in range(100 if FORGETS else 0, 310)}


@pytest.mark.slow
@pytest.mark.kafka
async def test_one_node_killed_and_back_loses_nothing(tmp_path):
    with cluster() as kafka:
        await _survive(kafka, node=None)


@pytest.mark.slow
@pytest.mark.kafka
@pytest.mark.timeout(600)
async def test_the_wedge_of_three_nodes_is_overcome(tmp_path):
    """One of three nodes is down for longer than the delivery timeout: some producers wedge."""
    with cluster(nodes=3) as kafka:
        await _survive(kafka, node=2)


async def _survive(kafka: Cluster, *, node: int | None) -> None:
    both = {"UPROAR_KAFKA_REPLICATION": 2} if node else {}  # so that one missing is one too many
    ensure_topics(kafka.address.settings(**both))
    async with producer(kafka.address, **QUICK) as sender:
        await asyncio.wait_for(sender.send(some_records(range(500))), 60)
        await asyncio.to_thread(kafka.kill, node)
        sending = [
            asyncio.create_task(sender.send(some_records(range(start, start + 100))))
            for start in range(500, 2500, 100)
        ]
        await until(lambda: sender._generation > 0, 120)
        assert not all(task.done() for task in sending)
        await asyncio.to_thread(kafka.restart, node)
        await asyncio.wait_for(asyncio.gather(*sending), 180)
        await asyncio.wait_for(sender.send(some_records(range(2500, 2600))), 60)
    values = await asyncio.to_thread(read, kafka.address, wanted=2600)
    assert different(values) == {b"value %d" % n for n in range(2600)}
