"""
Producer: records in, acknowledgements out. With services/broker.py the only file that knows kafka.

A kafka-python producer wedges for good after one delivery timeout: records on healthy partitions
stay pending for ever. So the first delivery error condemns it: a new one is built, and what was not
acknowledged is sent again, in order. A post sent twice falls to its id further on.
"""

import asyncio
import contextlib
import threading
import time
from collections import deque
from collections.abc import Sequence
from functools import partial
from typing import Any

import structlog
from kafka import KafkaProducer

from services.broker import KafkaSettings, kafka_python
from services.ingest import metrics
from uproar.errors import Unavailable
from uproar.wire import MAX_VALUE_BYTES, Record

log = structlog.get_logger(room="ingest/producer")

MAX_WAITING_BYTES = 64 * 1024 * 1024
OLDEST_SECONDS = 15.0
RETRY_SECONDS = 1.0
PROBE_SECONDS = 5.0
_OVERHEAD = 200  # bytes a record costs beside its key and value

OPTIONS: dict[str, Any] = {
    "acks": "all",
    "enable_idempotence": True,
    "linger_ms": 5,
    "batch_size": 128 * 1024,
    "delivery_timeout_ms": 10 * 60 * 1000,  # longer than an outage: the timeout is what wedges it
    "max_block_ms": 10_000,
    "reconnect_backoff_max_ms": 2_000,
    "allow_auto_create_topics": False,
    "metrics_enabled": False,  # kafka-python's own; ours are in metrics.py
}


class _Batch:
    """Records that were handed over together; the waiter is told once, when all are acknowledged."""

    __slots__ = ("acknowledged", "complete", "missing", "since", "size")

    def __init__(self, records: Sequence[Record], acknowledged: asyncio.Future[None]) -> None:
        self.missing = dict(enumerate(records))
        self.complete = False
        self.size = sum(_size(record) for record in records)
        self.since = time.monotonic()
        self.acknowledged = acknowledged


class Producer:
    """
    Sends records; keeps them until the broker has them; heals by itself.

    One thread owns the kafka-python producer: its ``send`` may block. Acknowledgements arrive on
    kafka-python's own thread and reach the event loop once a batch.
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
            options: Of kafka-python, over those of this room.
        """
        self._settings, self._most = settings, max_waiting_bytes
        self._options = {**kafka_python(settings), **OPTIONS, **options}
        self._loop = asyncio.get_running_loop()
        self._lock = threading.Condition()
        self._fresh: deque[_Batch] = deque()
        self._sent: dict[_Batch, None] = {}  # a set that keeps the order of the first sending
        self._waiting_bytes = 0
        self._generation = 0
        self._stopping = self._closed = False
        self._trouble: str | None = "not connected yet"
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
                raise ValueError(f"a header of {record.topic} is None: kafka-python refuses it")
            if len(record.value or b"") > MAX_VALUE_BYTES:
                raise ValueError(f"a value of {record.topic} is over {MAX_VALUE_BYTES} bytes")
        batch = _Batch(records, self._loop.create_future())
        with self._lock:
            if self._stopping:
                raise Unavailable("ingest is stopping")
            if self._waiting_bytes + batch.size > self._most:
                raise Unavailable("the broker does not keep up: too much waits for its answer")
            self._waiting_bytes += batch.size
            self._fresh.append(batch)
            self._lock.notify()
        await asyncio.shield(batch.acknowledged)

    def problem(self) -> str | None:
        """Say why records do not get through, or None; sets the metrics of what waits."""
        with self._lock:
            batches = [*self._sent, *self._fresh]
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
            waiters = [batch.acknowledged for batch in [*self._sent, *self._fresh]]
        if waiters:
            await asyncio.wait(waiters, timeout=timeout)
        with self._lock:
            self._closed = True
            left = [*self._sent, *self._fresh]
            self._lock.notify()
        for batch in left:
            if not batch.acknowledged.done():
                batch.acknowledged.set_exception(Unavailable("ingest stopped before the answer"))
                batch.acknowledged.exception()  # nobody may be waiting any more
        if self._thread.is_alive():
            await asyncio.to_thread(self._thread.join, 5.0)

    # --------------------------------------------------------------------------- our own thread

    def _run(self) -> None:
        while not self._closed:
            try:
                kafka = KafkaProducer(**self._options)
            except Exception as error:  # whatever it is, the thread must not end unseen
                self._in_trouble(f"no Kafka at {self._settings.bootstrap_servers}: {error}")
                self._pause()
                continue
            with self._lock:
                generation = self._generation
                self._fresh.extendleft(reversed(self._sent))  # again, in their order
                self._sent.clear()
                self._trouble = None
            metrics.PRODUCERS.inc()
            try:
                self._feed(kafka, generation)
            except Exception as error:  # whatever it is: a new producer, and nothing is lost
                self._condemn(generation, error)
            _abandon(kafka)
            self._pause()

    def _feed(self, kafka: KafkaProducer, generation: int) -> None:
        """Hand batches to kafka-python until this producer is condemned or we stop."""
        condemn = partial(self._condemn, generation)
        while True:
            with self._lock:
                while not self._fresh and generation == self._generation and not self._closed:
                    self._lock.wait()
                if generation != self._generation or self._closed:
                    return
                batch = self._fresh.popleft()
                if batch.complete:  # the condemned producer's last acknowledgements
                    continue
                self._sent[batch] = None
                records = list(batch.missing.items())
            for index, record in records:
                future = kafka.send(
                    record.topic,
                    value=record.value,
                    key=record.key,
                    headers=list(record.headers),
                    partition=record.partition,
                )
                future.add_callback(partial(self._acknowledge, batch, index))
                future.add_errback(condemn)
                if generation != self._generation:
                    return

    def _pause(self) -> None:
        with self._lock:
            self._lock.wait_for(lambda: self._closed, RETRY_SECONDS)

    def _in_trouble(self, reason: str) -> None:
        if reason != self._trouble:
            log.warning("no connection", reason=reason)
        self._trouble = reason

    # --------------------------------------------------------------------- kafka-python's thread

    def _acknowledge(self, batch: _Batch, index: int, _metadata: Any) -> None:
        with self._lock:
            batch.missing.pop(index, None)
            if batch.missing or batch.complete:
                return
            batch.complete = True
            self._sent.pop(batch, None)
            self._waiting_bytes -= batch.size
        with contextlib.suppress(RuntimeError):  # the loop has been closed: the process ends
            self._loop.call_soon_threadsafe(_tell, batch.acknowledged)

    def _condemn(self, generation: int, error: BaseException) -> None:
        with self._lock:
            if generation != self._generation:
                return  # an error of a producer that is condemned already
            self._generation += 1
            self._trouble = f"a delivery failed, sending again: {error!r}"
            self._lock.notify()
        log.warning("producer condemned", reason=repr(error))

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


def _abandon(kafka: KafkaProducer) -> None:
    """End a producer without waiting: a wedged one never flushes, and its exit hook would hang."""
    with contextlib.suppress(Exception):
        kafka.close(timeout=0)
    with contextlib.suppress(Exception):
        kafka._sender.force_close()  # close() raises before it comes to this when records wait
    kafka._closed = True


async def _unreachable(servers: Sequence[str]) -> str | None:
    for server in servers:
        host, _, port = server.rpartition(":")
        with contextlib.suppress(OSError, ValueError, TimeoutError):
            connecting = asyncio.open_connection(host.strip("[]"), int(port))
            _, writer = await asyncio.wait_for(connecting, timeout=2)
            writer.close()
            return None
    return f"none of {', '.join(servers)} takes a connection"
