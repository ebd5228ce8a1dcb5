"""
Deliver: the outbox workers: lease what is due, call the notifier, keep the receipt or the next try.

They need the database and the receivers, no broker. They know no channel's JSON. A wall clock may
jump: how old a lease is, is measured on the clock of the event loop, which does not.
"""

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from random import Random
from typing import Final

import structlog

from services.alerter import metrics
from services.alerter.notifier import (
    Delivery,
    Lease,
    Notifier,
    Outbox,
    Outcome,
    Refused,
    Retry,
    Sent,
    Unknown,
)
from services.traces import Kind, span, trace_id
from uproar.errors import Unavailable
from uproar.notice import NoticeKind
from uproar.routing import ReceiverName

POLL: Final = timedelta(seconds=1)
TIMEOUT: Final = timedelta(seconds=20)  # below the grace in which a process must stop
LEASE: Final = timedelta(seconds=30)  # a timeout, and time to write down what came of it
HELD: Final = timedelta(minutes=5)  # between two attempts at a page or trigger that was refused
AT_ONCE: Final = 8  # incidents told to one receiver at the same time
WAITS: Final = tuple(timedelta(seconds=s) for s in (2, 5, 10, 20, 40, 60, 120, 300))
GIVE_UP: Final = timedelta(days=7)  # after the incident has ended; before, nothing is given up

log = structlog.get_logger(room="alerter/deliver")


def wait_before(attempt: int, rng: Random) -> timedelta:
    """Return how long to wait after a failed attempt (from 1): full jitter below a growing ceiling."""
    return WAITS[min(attempt, len(WAITS)) - 1] * rng.random()


class Deliverer:
    """
    Works through the outbox: one lane a receiver, so that a slow one stalls no other.

    A crash at any moment loses nothing: what was leased falls due again, marked doubtful, once
    somebody has seen the same lease for ``lease``.

    Args:
        outbox: What is to be delivered.
        notifiers: Who delivers it; a receiver that is not here keeps its deliveries waiting.
        clock: Wall clock.
        rng: Chance for the waits.
        owner: Names this process in the leases.
        written: Set by whoever has committed a delivery: it goes out at once, not at the next poll.
    """

    def __init__(
        self,
        outbox: Outbox,
        notifiers: Mapping[ReceiverName, Notifier],
        *,
        clock: Callable[[], datetime],
        rng: Random,
        owner: str,
        written: asyncio.Event,
        poll: timedelta = POLL,
        timeout: timedelta = TIMEOUT,
        lease: timedelta = LEASE,
    ) -> None:
        self._outbox, self._notifiers = outbox, dict(notifiers)
        self._clock, self._rng, self._owner = clock, rng, owner
        self._written, self._poll, self._timeout, self._lease_for = written, poll, timeout, lease
        self._mine: set[Lease] = set()
        self._seen: dict[Lease, float] = {}
        self._wakes = {receiver: asyncio.Event() for receiver in self._notifiers}
        self._troubles: dict[str, str] = {}

    def problem(self) -> str | None:
        """Return what keeps notices from people, for Health; None where all is well."""
        return "; ".join(f"{who}: {why}" for who, why in sorted(self._troubles.items())) or None

    async def run(self, stop: asyncio.Event) -> None:
        """Deliver until ``stop`` is set, then let what is on its way end."""
        async with asyncio.TaskGroup() as group:
            alarms = [group.create_task(self._tick()), group.create_task(self._listen())]
            for receiver in self._notifiers:
                group.create_task(self._work(receiver, stop))
            await stop.wait()
            for alarm in alarms:
                alarm.cancel()
            self._wake()

    def _wake(self, receivers: Iterable[ReceiverName] | None = None) -> None:
        """Have some lanes look what is due; None: all of them."""
        for receiver in self._wakes if receivers is None else receivers:
            if receiver in self._wakes:  # another process may know more of them
                self._wakes[receiver].set()

    async def _listen(self) -> None:
        while True:
            await self._written.wait()
            self._written.clear()
            self._wake()

    async def _tick(self) -> None:
        while True:
            due = None
            try:
                await self._look_after()
                due = await self._outbox.due(now=self._clock())
                self._troubles.pop("outbox", None)
            except Unavailable as error:
                log.warning("cannot look for leases that ran out", reason=str(error))
            self._wake(due)
            await asyncio.sleep(self._poll.total_seconds())

    async def _look_after(self) -> None:
        """Take over the leases of the dead, and stand down who is not needed; raises Unavailable."""
        now = self._now()
        others = set(await self._outbox.leases()) - self._mine
        self._seen = {lease: self._seen.get(lease, now) for lease in others}
        dead = [lease for lease, since in self._seen.items() if self._over(since)]
        if dead and (found := await self._outbox.reclaim(dead, now=self._clock())):
            log.warning("deliveries whose sender died are due again", count=found)
        await self._outbox.stand_down()

    def _now(self) -> float:
        return asyncio.get_running_loop().time()

    def _over(self, since: float) -> bool:
        return self._now() - since >= self._lease_for.total_seconds()

    async def _work(self, receiver: ReceiverName, stop: asyncio.Event) -> None:
        """Deliver what is due for one receiver, as long as there is any; then wait to be woken."""
        wake, busy = self._wakes[receiver], False
        while not stop.is_set():
            wake.clear()
            since = self._now()
            leased = await self._lease(receiver)
            with self._holding(leased):
                await asyncio.gather(*(self._deliver(one, since, stop) for one in leased))
            if not leased:
                await self._idle(receiver, spent=busy)
            busy = bool(leased)

    async def _idle(self, receiver: ReceiverName, *, spent: bool) -> None:
        """Wait to be woken, or where its rate may be spent, until it takes another message."""
        every = self._notifiers[receiver].pace.every if spent else None
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(every.total_seconds() if every else None):
                await self._wakes[receiver].wait()

    @contextlib.contextmanager
    def _holding(self, leased: Sequence[Delivery]) -> Iterator[None]:
        """Keep our own live leases from being taken for those of a dead process."""
        mine = {Lease(delivery.id, delivery.fence) for delivery in leased}
        self._mine |= mine
        try:
            yield
        finally:
            self._mine -= mine

    async def _lease(self, receiver: ReceiverName) -> list[Delivery]:
        try:
            leased = await self._outbox.lease(
                receiver,
                now=self._clock(),
                owner=self._owner,
                limit=AT_ONCE,
                pace=self._notifiers[receiver].pace,
            )
        except Unavailable as error:
            self._troubles["outbox"] = str(error)
            return []
        self._troubles.pop("outbox", None)
        return list(leased)

    async def _deliver(self, delivery: Delivery, since: float, stop: asyncio.Event) -> None:
        with span("deliver", parent=delivery.traceparent, kind=Kind.CLIENT) as step:
            outcome = self._final(delivery, await self._attempt(delivery, since))
            step.note(
                uproar__receiver=delivery.receiver,
                uproar__kind=delivery.kind.value,
                uproar__attempt=delivery.attempt,
                uproar__outcome=_name(outcome),
            )
            if not isinstance(outcome, Sent):
                step.failed(outcome.reason)
        if await self._keep(delivery, outcome, stop):
            self._tell(delivery, outcome)

    async def _attempt(self, delivery: Delivery, since: float) -> Outcome:
        """Send, unless we were held up for so long that the lease may end before the answer."""
        if self._over(since - self._timeout.total_seconds()):
            return Retry("it was leased too long ago to be sent")
        try:
            async with asyncio.timeout(self._timeout.total_seconds()):
                return await self._notifiers[delivery.receiver].notify(delivery)
        except TimeoutError:
            return Unknown(f"no answer within {self._timeout.total_seconds():g} s")
        except Exception as error:  # our own fault must not keep the other pages from going out
            log.exception("a notifier crashed", receiver=delivery.receiver, delivery=delivery.id)
            return Unknown(f"uproar's own fault ({type(error).__name__}): see its log")

    def _final(self, delivery: Delivery, outcome: Outcome) -> Outcome:
        """Give up what could not be delivered for so long that nobody waits for it any more."""
        waited = self._clock() - delivery.created_at
        if isinstance(outcome, Sent | Refused) or not delivery.ended or waited < GIVE_UP:
            return outcome
        return Refused(f"not delivered within {GIVE_UP.days} days; at last: {outcome.reason}")

    async def _keep(self, delivery: Delivery, outcome: Outcome, stop: asyncio.Event) -> bool:
        """Write down what came of it, however long the database is away; False: it was not ours."""
        while True:
            now = self._clock()
            wait = self._wait(delivery, outcome)
            next_at = None if wait is None else now + wait
            try:
                if isinstance(outcome, Retry) and outcome.after:
                    until = now + outcome.after
                    await self._outbox.rate_limited(delivery.receiver, until, now=now)
                return await self._outbox.settle(delivery, outcome, now=now, next_at=next_at)
            except Unavailable as error:
                self._troubles["outbox"] = str(error)
            if stop.is_set():
                log.error("a receipt was lost", delivery=delivery.id, outcome=_name(outcome))
                return False  # its lease runs out, and it is sent again as doubtful
            await asyncio.sleep(self._poll.total_seconds())

    def _wait(self, delivery: Delivery, outcome: Outcome) -> timedelta | None:
        """Tell how long the next attempt waits; None where there is none."""
        match outcome:
            case Sent():
                return None
            case Refused():
                urgent = delivery.notice.page or delivery.kind is NoticeKind.TRIGGER
                return HELD if urgent and not delivery.ended else None
            case Retry(after=timedelta() as after):
                return min(after, WAITS[-1])  # the receiver's own limit lasts as long as it asked
            case _:
                return wait_before(delivery.attempt, self._rng)

    def _tell(self, delivery: Delivery, outcome: Outcome) -> None:
        """Count it, log it, and remember a receiver that takes nothing."""
        notifier = self._notifiers[delivery.receiver]
        metrics.DELIVERIES.labels(notifier=notifier.type, outcome=_name(outcome)).inc()
        said = log.bind(
            receiver=delivery.receiver,
            incident=delivery.incident,
            kind=delivery.kind.value,
            attempt=delivery.attempt,
            trace_id=trace_id(delivery.traceparent),
        )
        if not isinstance(outcome, Sent):
            self._troubles[delivery.receiver] = outcome.reason
            warn = said.error if isinstance(outcome, Refused) else said.warning
            warn("not delivered", outcome=_name(outcome), reason=outcome.reason)
            return
        self._troubles.pop(delivery.receiver, None)
        taken = self._clock() - delivery.accepted_at if delivery.accepted_at else None
        if taken and delivery.notice.page and delivery.kind is not NoticeKind.CANARY:
            metrics.POST_TO_PAGE.observe(taken.total_seconds())
        said.info("delivered", post_to_page_seconds=taken and round(taken.total_seconds(), 3))


def _name(outcome: Outcome) -> str:
    return type(outcome).__name__.lower()
