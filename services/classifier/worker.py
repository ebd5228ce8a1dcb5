"""
Knows Faust: its stream, its table and its group, as the partitions need them.

Faust never gets an acknowledgement: its own arithmetic loses records after an exception and at a
rebalance. What a record means is the handler's business, what is done of it the partitions'.
"""

import asyncio
import time
import uuid
from collections import defaultdict
from collections.abc import Awaitable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import faust
import structlog
from aiokafka import TopicPartition
from aiokafka.errors import IllegalStateError, KafkaError, MessageSizeTooLargeError
from aiokafka.structs import OffsetAndMetadata
from faust.exceptions import ProducerSendError

from services.broker import KafkaSettings
from services.classifier import metrics
from services.classifier.guard import Guard
from services.classifier.handler import Handler
from services.classifier.partitions import Partitions
from services.classifier.snapshot import Keeper
from services.classifier.standstill import Standstill
from services.classifier.transport import HastyTransport, Transport
from uproar.errors import Unavailable
from uproar.wire import Record

DOWN = (KafkaError, ProducerSendError)
CALL_TIMEOUT = 30.0  # seconds, as all below: a question to the broker
PROBE_EVERY, PROBE_MISSING = 5.0, 15.0
GATHER_SECONDS = 0.02  # for a batch that is not full; a push comes at once, so longer only delays
STOP_TIMEOUT = 10.0
HALTS = 3  # times the patience: then a move of partitions is not waited for any longer
READ_AGAIN = 5.0  # without a step of a recovery: then what it lacks is fetched anew
_DAY = 86_400.0
_BYTES = {"key_type": bytes, "value_type": bytes}
_RAW = _BYTES | {"key_serializer": "raw", "value_serializer": "raw"}


class Worker:
    """
    One agent on one topic: a Faust app of its own, so that agents scale apart.

    Args:
        name: Name of the app and of its consumer group.
        source: Topic to read; ``dead_letters`` takes what can never be processed.
        partitions: Of the source topic, and of the table's changelog.
        directory: For Faust's own files; not shared with another process.
        table: Name of the Faust table that keeps the rows; its changelog topic is
            ``<name>-<table>-changelog`` and must exist.
        keeper: Keeps rows and offsets instead, for a broker that keeps neither. The group then
            has a name of its own at every start: the embedded broker lets a process that joins
            where another was killed wait for 11 s, and one that founds a group for 3.
        batch: Records handed over at once, at most, over all partitions.
        session: After how long without a sign of life others get our partitions.
        patience: After how long without progress :meth:`problem` speaks of it.
    """

    def __init__(
        self,
        *,
        name: str,
        source: str,
        dead_letters: str,
        handler: Handler,
        settings: KafkaSettings,
        partitions: int,
        directory: Path,
        table: str | None = None,
        keeper: Keeper | None = None,
        keep_every: timedelta = timedelta(minutes=5),
        batch: int = 256,
        session: timedelta = timedelta(seconds=6),
        patience: timedelta = timedelta(seconds=60),
    ) -> None:
        self._name, self._batch, self._patience = name, batch, patience
        group = name if keeper is None else f"{name}-{uuid.uuid4().hex[:8]}"
        self._app = app = _app(group, settings, partitions, directory / f"faust-{name}", session)
        transport = Transport if keeper is None else HastyTransport
        app.transport = transport(app.conf.broker_consumer, app)
        topic = app.topic(source, partitions=partitions, allow_empty=True, **_RAW)
        app.agent(topic, name=f"consume-{source}")(self._consume)
        self._group = _Group(app, source)
        if table is not None:
            self._group.table = app.Table(table, partitions=partitions, **_BYTES)
            self._group.changelog = f"{name}-{table}-changelog"
        self._keeper, self._keep_every = keeper, keep_every.total_seconds()
        self._guard = Guard(name, handler, dead_letters=dead_letters, down=DOWN)
        self._partitions = Partitions(name, self._group, handler, self._guard, keeper)
        self._bug: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._settled_at = self._answered_at = self._kept_at = time.monotonic()
        self._standstill, self._read_again_at = Standstill(), 0.0
        self._joined = False
        self._log = structlog.get_logger(room="classifier/worker", agent=name)

    async def run(self, stop: asyncio.Event) -> None:
        """
        Read and handle until ``stop`` is set.

        Raises:
            Unavailable: It cannot start: no broker, or wrong credentials.
            RuntimeError: Faust, or its consumer, has died or come to a halt: start anew.
            Exception: A bug of ours; nothing of its batch is committed.
        """
        self._app.finalize()
        start = asyncio.create_task(self._app.start())
        stopping = asyncio.create_task(stop.wait())
        ticking = asyncio.create_task(self._tick_forever(start))
        try:
            await asyncio.wait({start, stopping, ticking}, return_when=asyncio.FIRST_COMPLETED)
            if ticking.done():
                ticking.result()
            if not start.done():
                return
            if (failure := start.exception()) is not None:
                raise Unavailable(f"{self._name} cannot join its group: {failure!r}") from failure
            ends: set[asyncio.Future[Any]] = {stopping, ticking, self._bug}
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            for end in (self._bug, ticking):
                if end.done():
                    end.result()
        finally:
            for task in (start, stopping, ticking):
                task.cancel()
            await self._leave()

    async def _leave(self) -> None:
        """Keep what is done, then leave the group, so that others need not wait for our session."""
        try:
            await self._keep()
            await asyncio.wait_for(self._app.stop(), STOP_TIMEOUT)
        except Exception as error:  # whatever it is, the reason why we leave counts more
            reason = repr(error)
            self._log.warning("did not leave the group: others wait a session", reason=reason)

    async def _consume(self, stream: Any) -> None:
        # noack() first: noack_take() alone acknowledges its whole queue unprocessed when it ends
        async for events in stream.noack().noack_take(self._batch, within=GATHER_SECONDS):
            try:
                batches = defaultdict(list)
                for message in (event.message for event in events):
                    if message.generation_id == self._group.generation:
                        batches[message.partition].append(_record(message))
                await self._partitions.take(batches)
            except Exception as bug:
                if not self._bug.done():
                    self._bug.set_exception(bug)
                await asyncio.Event().wait()  # touch no further record

    async def _tick_forever(self, start: asyncio.Future[Any]) -> None:
        while True:
            await asyncio.sleep(1.0 if self._joined else 0.2)
            if not start.done() and not self._app.in_recovery:
                continue  # it joins its group, and there is no consumer to ask
            if self._app.crashed:
                raise RuntimeError("Faust crashed") from self._app.crash_reason
            await self._probe()
            if not self._app.started or self._group.moving:
                await self._move_on()
                continue
            self._settled_at = time.monotonic()
            self._standstill.over()
            await self._partitions.tick()
            self._joined = True
            if time.monotonic() - self._kept_at >= self._keep_every:
                await self._keep()

    async def _move_on(self) -> None:
        """Mend a move of partitions that makes no step, or end where that does not help."""
        now = time.monotonic()
        answered = now - self._answered_at <= PROBE_MISSING
        stands = self._standstill.lasts(self._group.step, now=now, answered=answered)
        if stands > (halt := HALTS * self._patience.total_seconds()):
            raise RuntimeError(f"no step of a rebalance, or of restoring the state, in {halt:g} s")
        if stands > READ_AGAIN and now - self._read_again_at > READ_AGAIN:
            self._read_again_at = now
            await self._group.read_again()

    async def _keep(self) -> None:
        self._kept_at = time.monotonic()
        if self._keeper is not None and self._joined:
            await self._keeper.save()

    async def _probe(self) -> None:
        """Ask the broker something now and then: a consumer that gets no answer only waits."""
        metrics.LAG_RECORDS.labels(self._name).set(self._partitions.waiting)
        if time.monotonic() - self._answered_at < PROBE_EVERY:
            return
        try:
            await self._group.ask("topics", timeout=PROBE_EVERY)
            self._answered_at = time.monotonic()
        except (*DOWN, TimeoutError) as error:
            self._log.debug("the broker does not answer", reason=repr(error))

    def problem(self) -> str | None:
        """Say why this agent is not doing its work; None when it does. Does not block."""
        now = time.monotonic()
        if not self._joined:
            return "joining its group and restoring its state"
        if (away := now - self._settled_at) > self._patience.total_seconds():
            return f"has been rebalancing or restoring its state for {away:.0f} s"
        if (silent := now - self._answered_at) > PROBE_MISSING:
            return f"the broker has not answered for {silent:.0f} s"
        return self._guard.problem() or self._partitions.problem(self._patience)


class _Group:
    """Faust's consumer, producer and table as a :class:`services.classifier.partitions.Client`."""

    def __init__(self, app: Any, source: str) -> None:
        self.table: Any = None
        self.changelog = ""
        self._app, self._source = app, source
        self._log = structlog.get_logger(room="classifier/worker", agent=app.conf.id)

    @property
    def generation(self) -> int:
        return int(self._app.consumer_generation_id)

    @property
    def moving(self) -> bool:
        return bool(self._app.rebalancing or self._app.in_recovery or self._app.should_stop)

    @property
    def step(self) -> tuple[int, int]:
        """How far a move of partitions is: its generation, and the records of the table restored."""
        restored = self._app.tables.recovery.active_offsets.values()
        return self.generation, sum(offset for offset in restored if offset is not None)

    async def read_again(self) -> None:
        """
        Have the records that a recovery still lacks fetched anew.

        Faust drops what a fetch brings that began before the rebalance, and aiokafka has counted it
        as read: where it was the end of a changelog, nothing would ever come.
        """
        recovery = self._app.tables.recovery
        lacking = {tp for tp, records in recovery.active_remaining().items() if records > 0}
        if not recovery.in_recovery or not lacking:
            return
        places = {tp: max(recovery.active_offsets[tp], 0) for tp in lacking}
        self._log.warning("recovery stands still: reading again", partitions=sorted(places))
        try:
            await self._answer(self._app.consumer.seek_wait(places))
        except (*DOWN, TimeoutError, IllegalStateError) as error:
            self._log.info("not read again, tried once more soon", reason=repr(error))

    def assigned(self) -> set[int]:
        return {tp.partition for tp in self._app.consumer.assignment() if tp.topic == self._source}

    def end(self, number: int) -> int:
        try:
            return self._app.consumer.highwater(self._tp(number)) or 0
        except (IllegalStateError, AssertionError):  # not ours any more
            return 0

    async def committed(self, numbers: set[int]) -> dict[int, int | None]:
        return {n: await self.ask("committed", self._tp(n)) for n in numbers}

    async def beginnings(self, numbers: set[int]) -> dict[int, int]:
        offsets = await self.ask("beginning_offsets", [self._tp(n) for n in numbers])
        return {tp.partition: offset for tp, offset in offsets.items()}

    async def seek(self, number: int, offset: int) -> None:
        # On the consumer's thread: Faust's seek() runs on ours, and aiokafka's fetcher falls over it.
        await self._answer(self._app.consumer.seek_wait({self._tp(number): offset}))

    async def commit(self, offsets: Mapping[int, int]) -> bool:
        wanted = {self._tp(n): OffsetAndMetadata(offset, "") for n, offset in offsets.items()}
        try:
            await self.ask("commit", wanted)
        except (*DOWN, TimeoutError, IllegalStateError) as error:
            self._log.info("commit refused, the next one covers it", reason=repr(error))
            return False
        return True

    async def send(self, records: Sequence[Record]) -> None:
        send = self._app.producer.send
        try:
            sent = [
                await send(r.topic, r.key, r.value, r.partition, None, list(r.headers))
                for r in records
            ]
        except ProducerSendError as error:
            if not isinstance(error.__cause__, MessageSizeTooLargeError):
                raise
            raise ValueError("a handler made a record too large to send") from error
        for answer in await asyncio.gather(*sent, return_exceptions=True):
            if isinstance(answer, BaseException):
                raise answer

    def rows(self, number: int) -> Mapping[bytes, bytes]:
        prefix, rows = b"%d/" % number, {} if self.table is None else self.table.data
        return {k.removeprefix(prefix): v for k, v in rows.items() if k.startswith(prefix)}

    async def write(self, number: int, rows: Mapping[bytes, bytes]) -> None:
        if self.table is None:
            raise ValueError("a handler keeps rows, but its worker has no table")
        # Not `table[key] = value`: that needs a current event and hides a failed send.
        keyed = {b"%d/%s" % (number, key): value for key, value in rows.items()}
        await self.send(
            [
                Record(topic=self.changelog, key=key, value=value, partition=number)
                for key, value in keyed.items()
            ]
        )
        self.table.data.update(keyed)

    async def ask(self, method: str, *args: Any, timeout: float = CALL_TIMEOUT) -> Any:
        # Private names, pinned with faust-streaming==0.15.3 and kept by the rebalance test:
        # Consumer._thread (runs the aiokafka consumer) and ConsumerThread._consumer (that one).
        # `committed` has no public way, and Faust's own commit() crashes the app on any error.
        thread = self._app.consumer._thread
        call = thread.call_thread(getattr(thread._consumer, method), *args)
        return await self._answer(call, timeout)

    async def _answer(self, call: Awaitable[Any], timeout: float = CALL_TIMEOUT) -> Any:
        """Wait for what the consumer's thread says."""
        try:
            return await asyncio.wait_for(call, timeout)
        except asyncio.CancelledError:
            if (asking := asyncio.current_task()) is None or asking.cancelling():
                raise
            # Not we were cancelled but the thread's answer: it has died. A task group would take our
            # end for one that somebody asked for, and the process would go on without this agent.
            raise RuntimeError("Faust's consumer has died") from self._app.crash_reason

    def _tp(self, number: int) -> TopicPartition:
        return TopicPartition(self._source, number)


def _record(message: Any) -> Record:
    return Record(
        topic=message.topic,
        value=message.value,
        key=message.key,
        headers=tuple(message.headers or ()),  # event.headers is a dict: each name once only
        partition=message.partition,
        offset=message.offset,
    )


def _app(
    name: str, settings: KafkaSettings, partitions: int, directory: Path, session: timedelta
) -> Any:
    """Make a Faust app that declares nothing, keeps its table in memory and is quick to notice."""
    credentials: Any = None
    if settings.security_protocol.startswith("SASL"):
        credentials = faust.SASLCredentials(
            username=settings.sasl_username,
            password=settings.password,
            mechanism=settings.sasl_mechanism,
            ssl_context=settings.tls(),
        )
    elif settings.encrypted:
        credentials = faust.SSLCredentials(settings.tls())
    return faust.App(
        name,
        broker=[f"kafka://{server}" for server in settings.servers],
        broker_credentials=credentials,
        datadir=directory,
        store="memory://",
        autodiscover=False,
        web_enabled=False,
        topic_disable_leader=True,
        topic_allow_declare=False,
        topic_partitions=partitions,
        table_standby_replicas=0,
        stream_wait_empty=False,  # nothing is ever acknowledged: waiting for it hangs
        stream_buffer_maxsize=4096,
        broker_session_timeout=session.total_seconds(),
        broker_heartbeat_interval=1,
        broker_rebalance_timeout=20,
        broker_request_timeout=30,
        broker_max_poll_interval=_DAY,  # a long outage must not cost us the partitions
        broker_commit_livelock_soft_timeout=_DAY,  # Faust commits nothing and must not complain
        stream_processing_timeout=_DAY,  # problem() watches over that
        producer_request_timeout=30,
        producer_linger=0.005,
        producer_max_batch_size=262_144,
    )
