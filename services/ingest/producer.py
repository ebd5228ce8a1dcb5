"""
Producer: records in, acknowledgements out. The only file that knows librdkafka.

librdkafka packs and sends in threads of its own, outside of the interpreter's lock: a record costs
4 us of ours, where kafka-python's producer took 76, twice as much as all the rest of accepting a
post.

A delivery that fails condemns the producer: it can promise no order to what stands behind that
record. A new one is built, and what was not acknowledged is sent again, in order. A post sent twice
falls to its id further on.
"""

import asyncio
import contextlib
import logging
import threading
import time
from collections.abc import Sequence
from functools import partial
from typing import Any

import structlog
from confluent_kafka import KafkaError, KafkaException
from confluent_kafka import Producer as Librdkafka

from services.broker import KafkaSettings, librdkafka
from services.ingest import metrics
from uproar.errors import Unavailable
from uproar.wire import MAX_VALUE_BYTES, Record

log = structlog.get_logger(room="ingest/producer")

MAX_WAITING_BYTES = 64 * 1024 * 1024
OLDEST_SECONDS = 15.0
RETRY_SECONDS = 1.0
PROBE_SECONDS = 5.0
CONNECT_SECONDS = 10.0
POLL_SECONDS = 0.1
_OVERHEAD = 200  # bytes a record costs beside its key and value
_ANY_PARTITION = -1

OPTIONS: dict[str, Any] = {
    "acks": "all",
    "enable.idempotence": True,
    "linger.ms": 5,
    "partitioner": "murmur2_random",  # as every other client of ours
    "message.timeout.ms": 10 * 60 * 1000,  # longer than an outage
    "message.max.bytes": MAX_VALUE_BYTES,
    "queue.buffering.max.messages": 0,  # we count bytes
    "reconnect.backoff.max.ms": 2_000,
    "allow.auto.create.topics": False,
    "log_level": 3,
}


class _Batch:
    """Records that were handed over together; the waiter is told once, when all are acknowledged."""

    __slots__ = ("acknowledged", "missing", "since", "size")

    def __init__(self, records: Sequence[Record], acknowledged: asyncio.Future[None]) -> None:
        self.missing = dict(enumerate(records))
        self.size = sum(_size(record) for record in records)
        self.since = time.monotonic()
        self.acknowledged = acknowledged


class Producer:
    """
    Sends records; keeps them until the broker has them; heals by itself.

    Records are handed to librdkafka on the event loop, which only queues them. A thread of ours
    serves its reports, and builds another producer when one is condemned.
    """

    def __init__(
        self,
        settings: KafkaSettings,
        *,
        max_waiting_bytes: int = MAX_WAITING_BYTES,
        **options: Any,
    ) -> None:
        """
        Make a producer; nothing happens before :meth:`start`.

        Args:
            settings: How to reach the broker.
            max_waiting_bytes: How much may wait for its acknowledgement.
            options: Of librdkafka, over those of this room.
        """
        self._settings, self._most = settings, max_waiting_bytes
        self._options = {**librdkafka(settings), **OPTIONS, **options}
        self._loop = asyncio.get_running_loop()
        self._lock = threading.Condition()
        self._owed: dict[_Batch, None] = {}  # a set that keeps the order of the first sending
        self._waiting_bytes = 0
        self._generation = 0
        self._kafka: Librdkafka | None = None
        self._stopping = self._closed = False
        self._trouble: str | None = "not connected yet"
        self._complaint = ""
        self._unreachable: str | None = None
        self._thread = threading.Thread(target=self._run, name="producer", daemon=True)
        self._probing: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Connect, and go on trying until it works."""
        self._thread.start()
        self._probing = asyncio.create_task(self._probe())

    async def send(self, records: Sequence[Record]) -> None:
        """
        Hand records over in order and wait until the broker has acknowledged every one.

        A caller that stops waiting takes nothing back: the records stay and will be sent.

        Raises:
            Unavailable: Too much waits for its acknowledgement already, or the producer was closed.
        """
        if not records:
            return
        for record in records:
            if any(value is None for _, value in record.headers):
                raise ValueError(f"a header of {record.topic} is None: not every client reads that")
            if _size(record) > MAX_VALUE_BYTES:
                raise ValueError(f"a record of {record.topic} is over {MAX_VALUE_BYTES} bytes")
        batch = _Batch(records, self._loop.create_future())
        with self._lock:
            if self._stopping:
                raise Unavailable("ingest is stopping")
            if self._waiting_bytes + batch.size > self._most:
                raise Unavailable("the broker does not keep up: too much waits for its answer")
            self._waiting_bytes += batch.size
            self._owed[batch] = None
            if self._kafka is not None:
                self._hand_over(self._kafka, batch)
        await asyncio.shield(batch.acknowledged)

    def problem(self) -> str | None:
        """Say why records do not get through, or None; sets the metrics of what waits."""
        with self._lock:
            batches = list(self._owed)
            trouble = self._trouble or self._unreachable
        age = time.monotonic() - min((b.since for b in batches), default=time.monotonic())
        metrics.UNACKNOWLEDGED_RECORDS.set(sum(len(b.missing) for b in batches))
        metrics.UNACKNOWLEDGED_SECONDS.set(age)
        if trouble is None and age > OLDEST_SECONDS:
            trouble = f"the broker owes an acknowledgement since {age:.0f} s"
        return trouble

    async def close(self, timeout: float = 5.0) -> None:
        """Send no more; wait so many seconds for what is under way, then give it up."""
        if self._probing:
            self._probing.cancel()
        with self._lock:
            self._stopping = True
            waiters = [batch.acknowledged for batch in self._owed]
        if waiters:
            await asyncio.wait(waiters, timeout=timeout)
        with self._lock:
            self._closed = True
            left = list(self._owed)
            self._lock.notify()
        for batch in left:
            if not batch.acknowledged.done():
                batch.acknowledged.set_exception(Unavailable("ingest stopped before the answer"))
                batch.acknowledged.exception()  # nobody may be waiting any more
        if self._thread.is_alive():
            await asyncio.to_thread(self._thread.join, 5.0)

    def _hand_over(self, kafka: Librdkafka, batch: _Batch) -> None:
        """Queue what is missing of a batch; our lock is held."""
        generation = self._generation
        try:
            for index, record in batch.missing.items():
                kafka.produce(
                    record.topic,
                    value=record.value,
                    key=record.key,
                    headers=list(record.headers),
                    partition=_ANY_PARTITION if record.partition is None else record.partition,
                    on_delivery=partial(self._report, generation, batch, index),
                )
        except (KafkaException, BufferError) as error:
            self._condemn(generation, error)

    # --------------------------------------------------------------------------- our own thread

    def _run(self) -> None:
        while not self._closed:
            try:
                kafka = self._connected()
                if kafka is not None:
                    self._serve(kafka)
            except Exception as error:  # whatever it is, the thread must not end unseen
                self._in_trouble(f"no Kafka at {self._settings.bootstrap_servers}: {error}")
            self._pause()

    def _connected(self) -> Librdkafka | None:
        """Build a producer and wait until a broker has let it in; None when we are closed."""
        logger = logging.getLogger("kafka.librdkafka")
        kafka = Librdkafka({**self._options, "error_cb": self._complain}, logger=logger)
        while not self._closed:
            try:
                kafka.list_topics(timeout=CONNECT_SECONDS)
            except KafkaException as error:
                kafka.poll(0)  # it complains of the reason
                reason = self._complaint or str(error)
                self._in_trouble(f"no Kafka at {self._settings.bootstrap_servers}: {reason}")
                self._pause()
            else:
                return kafka
        return None

    def _serve(self, kafka: Librdkafka) -> None:
        """Send again what is owed, then serve the reports until it is condemned or we stop."""
        with self._lock:
            self._kafka, self._trouble = kafka, None
            generation = self._generation
            for batch in list(self._owed):
                self._hand_over(kafka, batch)
        metrics.PRODUCERS.inc()
        while generation == self._generation and not self._closed:
            kafka.poll(POLL_SECONDS)
        with self._lock:
            self._kafka = None
        kafka.purge(blocking=False)

    def _pause(self) -> None:
        with self._lock:
            self._lock.wait_for(lambda: self._closed, RETRY_SECONDS)

    def _in_trouble(self, reason: str) -> None:
        if reason != self._trouble:
            log.warning("no connection", reason=reason)
        self._trouble = reason

    # ------------------------------------------------------------------- called by librdkafka's poll

    def _report(
        self, generation: int, batch: _Batch, index: int, error: KafkaError | None, _: Any
    ) -> None:
        if error is not None:
            self._condemn(generation, error)
            return
        with self._lock:
            batch.missing.pop(index, None)
            if batch.missing or batch not in self._owed:
                return
            del self._owed[batch]
            self._waiting_bytes -= batch.size
        with contextlib.suppress(RuntimeError):  # the loop has been closed: the process ends
            self._loop.call_soon_threadsafe(_tell, batch.acknowledged)

    def _complain(self, error: KafkaError) -> None:
        self._complaint = error.str()

    def _condemn(self, generation: int, error: object) -> None:
        with self._lock:
            if generation != self._generation:
                return  # an error of a producer that is condemned already
            self._generation += 1
            self._kafka = None
            self._trouble = f"a delivery failed, sending again: {error}"
        log.warning("producer condemned", reason=str(error))

    # ----------------------------------------------------------------------------- the event loop

    async def _probe(self) -> None:
        """While nothing is sent, a dead broker would go unseen: look whether one takes a connection."""
        while True:
            self._unreachable = await _unreachable(self._settings.servers)
            self.problem()  # for the metrics
            await asyncio.sleep(PROBE_SECONDS)


def _size(record: Record) -> int:
    return len(record.value or b"") + len(record.key or b"") + _OVERHEAD


def _tell(acknowledged: asyncio.Future[None]) -> None:
    if not acknowledged.done():
        acknowledged.set_result(None)


async def _unreachable(servers: Sequence[str]) -> str | None:
    for server in servers:
        host, _, port = server.rpartition(":")
        with contextlib.suppress(OSError, ValueError, TimeoutError):
            connecting = asyncio.open_connection(host.strip("[]"), int(port))
            _, writer = await asyncio.wait_for(connecting, timeout=2)
            writer.close()
            return None
    return f"none of {', '.join(servers)} takes a connection"
