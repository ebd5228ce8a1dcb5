"""
Transport: Faust's, whose consumer loses nothing that a fetch brings while partitions move.

A fetch that began before a rebalance waits on through it. Faust gives it its own set of partitions, which
the rebalance empties, and an empty set means all; what then comes is dropped, for the flow is stopped,
while aiokafka has counted it as read. Where it was the end of a changelog, recovery never ended
(seen on Apache Kafka, on a busy machine: in two of five runs of ten rebalances).
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from faust.transport.drivers.aiokafka import AIOKafkaConsumerThread
from faust.transport.drivers.aiokafka import Consumer as FaustConsumer
from faust.transport.drivers.aiokafka import Transport as FaustTransport

from services.broker import FETCH_WAIT_MS

Fetched = Mapping[Any, Sequence[Any]]
"""Records by their partition."""


class _Thread(AIOKafkaConsumerThread):  # type: ignore[misc]
    # Private names, pinned with faust-streaming==0.15.3 and aiokafka, and kept by a test.
    async def _fetch_records(
        self, consumer: Any, active_partitions: Collection[Any], **limits: Any
    ) -> Fetched:
        fetched: Fetched = await super()._fetch_records(
            consumer, frozenset(active_partitions), **limits
        )
        if self.consumer.flow_active:
            return fetched
        for place, records in fetched.items():  # nobody takes them: they are to come again
            if place in consumer.assignment():
                consumer.seek(place, records[0].offset)
        return {}


class _HastyThread(_Thread):
    def _create_worker_consumer(self, transport: FaustTransport) -> Any:
        consumer = super()._create_worker_consumer(transport)
        consumer._fetch_max_wait_ms = FETCH_WAIT_MS  # before it starts: the fetcher takes it then
        return consumer


class _Consumer(FaustConsumer):  # type: ignore[misc]
    thread: type[_Thread] = _Thread

    def _new_consumer_thread(self) -> _Thread:
        return self.thread(self, loop=self.loop, beacon=self.beacon)


class _HastyConsumer(_Consumer):
    thread = _HastyThread


class Transport(FaustTransport):  # type: ignore[misc]
    """Kafka by aiokafka."""

    Consumer = _Consumer


class HastyTransport(Transport):
    """
    The same with a fetch of at most :data:`services.broker.FETCH_WAIT_MS`.

    Faust allows 1.5 s, and no setting reaches that. On the embedded broker it costs most of the way
    from a post to its page; Apache Kafka answers as soon as there is something.
    """

    Consumer = _HastyConsumer
