"""
Transport: Faust's, whose consumer lets the broker wait for records only shortly.

Faust allows 1.5 s, and no setting reaches that. It is for the embedded broker alone, where it costs most of
the way from a post to its page. With a Faust table, on Apache Kafka, recovery once came to a halt with it
(ten rebalances in a crisis: no record of the changelog came any more), and there it brings nothing.
"""

from typing import Any

from faust.transport.drivers.aiokafka import AIOKafkaConsumerThread
from faust.transport.drivers.aiokafka import Consumer as FaustConsumer
from faust.transport.drivers.aiokafka import Transport as FaustTransport

from services.broker import FETCH_WAIT_MS


class _Thread(AIOKafkaConsumerThread):  # type: ignore[misc]
    # Private names, pinned with faust-streaming==0.15.3 and aiokafka, and kept by a test.
    def _create_worker_consumer(self, transport: FaustTransport) -> Any:
        consumer = super()._create_worker_consumer(transport)
        consumer._fetch_max_wait_ms = FETCH_WAIT_MS  # before it starts: the fetcher takes it then
        return consumer


class _Consumer(FaustConsumer):  # type: ignore[misc]
    def _new_consumer_thread(self) -> _Thread:
        return _Thread(self, loop=self.loop, beacon=self.beacon)


class Transport(FaustTransport):  # type: ignore[misc]
    """Kafka by aiokafka, with a fetch of at most :data:`services.broker.FETCH_WAIT_MS`."""

    Consumer = _Consumer
