"""A fetch that partitions overtook: what nobody takes comes again."""

from types import SimpleNamespace

import pytest
from aiokafka import TopicPartition
from faust.transport.drivers.aiokafka import AIOKafkaConsumerThread

from services.classifier import transport

KEPT, LOST = TopicPartition("rows", 0), TopicPartition("rows", 1)
RECORDS = {
    place: [SimpleNamespace(offset=offset) for offset in (7, 8, 9)] for place in (KEPT, LOST)
}


class Consumer:
    def __init__(self):
        self.places = {}

    def assignment(self):
        return {KEPT}

    def seek(self, place, offset):
        self.places[place] = offset


@pytest.fixture
def thread():
    thread = object.__new__(transport._Thread)
    thread.consumer = SimpleNamespace(flow_active=True)
    return thread


@pytest.fixture
def faust(monkeypatch, thread):
    """Faust's own fetch, and what a rebalance does meanwhile."""
    seen = SimpleNamespace(partitions=None, meanwhile=lambda: None)

    async def fetch(_, consumer, partitions, **limits):
        seen.meanwhile()
        seen.partitions, seen.limits = set(partitions), limits
        return dict(RECORDS)

    monkeypatch.setattr(AIOKafkaConsumerThread, "_fetch_records", fetch)
    return seen


async def test_what_is_fetched_while_records_flow_is_handed_on(thread, faust):
    consumer = Consumer()
    assert await thread._fetch_records(consumer, {KEPT}, timeout=1.0, max_records=9) == RECORDS
    assert consumer.places == {}
    assert faust.limits == {"timeout": 1.0, "max_records": 9}


async def test_what_comes_when_the_flow_has_stopped_is_read_again(thread, faust):
    consumer = Consumer()
    faust.meanwhile = lambda: setattr(thread.consumer, "flow_active", False)
    assert await thread._fetch_records(consumer, {KEPT}) == {}
    assert consumer.places == {KEPT: 7}, "from its first record; of others only who has them"


async def test_a_fetch_asks_for_what_it_was_begun_for(thread, faust):
    active = {KEPT}
    faust.meanwhile = active.clear  # as a rebalance does with Faust's own set: empty, it means all
    await thread._fetch_records(Consumer(), active)
    assert faust.partitions == {KEPT}
