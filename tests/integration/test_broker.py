"""services/broker.py on a real broker: topics created and checked, a topic followed."""

import asyncio

import aiokafka.client
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.errors import UnknownTopicOrPartitionError
from kafka import KafkaProducer

from services.broker import (
    Follower,
    KafkaSettings,
    ensure_topics,
    kafka_python,
    partition_count,
    survey,
    topic_specs,
)
from services.broker import aiokafka as to_aiokafka
from services.metadata import create_no_topics
from uproar.errors import Misconfigured, Unavailable
from uproar.topics import ALL
from uproar.wire import Record


@pytest.fixture
def settings(address, monkeypatch):
    for name, value in address.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("UPROAR_KAFKA_PARTITIONS", raising=False)
    settings = KafkaSettings.load()
    ensure_topics(settings)
    return settings


def test_topics_are_created_once_and_then_found(settings):
    ensure_topics(settings)
    assert {topic.name for topic in ALL} <= set(topic_specs(settings))


def test_another_partition_count_stops_the_process(settings, monkeypatch):
    wanted = partition_count(settings, "uproar.posts.v1") + 3
    monkeypatch.setenv("UPROAR_KAFKA_PARTITIONS", str(wanted))
    with pytest.raises(Misconfigured, match=f"uproar.posts.v1 has .* instead of {wanted}"):
        ensure_topics(KafkaSettings.load())


@pytest.fixture
def asking_only(monkeypatch) -> None:
    """Clients of aiokafka that make no topics, for one test."""
    monkeypatch.setattr(aiokafka.client, "MetadataRequest", aiokafka.client.MetadataRequest)
    create_no_topics()


@pytest.mark.usefixtures("asking_only")
async def test_asking_for_a_topic_makes_none(settings):
    there = survey(settings)
    options = to_aiokafka(settings) | {"request_timeout_ms": 1_000}
    consumer = AIOKafkaConsumer("uproar.nothing.v1", **options, group_id="nothing")
    producer = AIOKafkaProducer(**options)
    try:
        with pytest.raises(UnknownTopicOrPartitionError):
            await consumer.start()
        await producer.start()
        with pytest.raises(UnknownTopicOrPartitionError):
            await producer.send_and_wait("uproar.nothing.v1", value=b"x")
    finally:
        await consumer.stop()
        await producer.stop()
    assert survey(settings) == there


def test_no_broker_is_unavailable_and_says_where(monkeypatch):
    monkeypatch.setenv("UPROAR_KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:1")
    monkeypatch.setattr("services.broker.BOOTSTRAP_TIMEOUT_MS", 500)
    with pytest.raises(Unavailable, match=r"127\.0\.0\.1:1"):
        ensure_topics(KafkaSettings.load())


def test_a_certificate_that_cannot_be_read_is_misconfigured(monkeypatch, tmp_path):
    monkeypatch.setenv("UPROAR_KAFKA_SECURITY_PROTOCOL", "SSL")
    monkeypatch.setenv("UPROAR_KAFKA_SSL_CAFILE", str(tmp_path / "none.pem"))
    with pytest.raises(Misconfigured, match="UPROAR_KAFKA_SSL"):
        KafkaSettings.load().tls()


async def test_a_topic_is_read_whole_and_then_on(settings):
    producer = KafkaProducer(**kafka_python(settings))
    topic, seen = "uproar.deletions.v1", list[Record]()
    sent = [f"before {n}".encode() for n in range(3)]
    for value in sent:
        producer.send(topic, key=b"k", value=value).get(10)
    follower = Follower(settings, topic, seen.extend)
    follower.start()
    await asyncio.wait_for(follower.whole.wait(), 20)
    assert follower.problem is None
    assert [record.value for record in seen][-3:] == sent
    producer.send(topic, key=b"k", value=b"after", headers=[("traceparent", b"t")]).get(10)
    for _ in range(100):
        if seen[-1].value == b"after":
            break
        await asyncio.sleep(0.05)
    assert (seen[-1].value, seen[-1].header("traceparent")) == (b"after", b"t")
    await follower.stop()
    producer.close(timeout=5)


async def test_a_follower_says_what_is_wrong_and_heals(settings, monkeypatch):
    monkeypatch.setattr("services.broker.BOOTSTRAP_TIMEOUT_MS", 500)
    seen = list[Record]()
    follower = Follower(settings, "uproar.nothing.v1", seen.extend)
    follower.start()
    for _ in range(100):
        if "cannot be read" in (follower.problem or ""):
            break
        await asyncio.sleep(0.05)
    assert "does not exist yet" in (follower.problem or "")
    assert not follower.whole.is_set()
    await follower.stop()
