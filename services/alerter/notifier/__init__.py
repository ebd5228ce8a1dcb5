"""
Notifier and Outbox: the two contracts of delivery, and the values that pass between them.

No channel's JSON stands here (notifiers), no SQL (store), and nobody is called from here (deliver).
"""

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, NamedTuple, NewType, Protocol

from uproar.incident import IncidentId, State
from uproar.notice import Notice, NoticeKind
from uproar.routing import ReceiverName

DeliveryId = NewType("DeliveryId", str)


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """
    One notice on its way to one receiver, as it was leased.

    Attributes:
        id: ULID, the same for every attempt: receivers that can, drop a repeat by it.
        episode: Which wave of the incident it belongs to, from 1.
        sequence: The transition it tells of; deliveries of one incident to one receiver go out in
            this order.
        notice: What to say; complete, so that a later delivery can replace the message of an earlier.
        attempt: Which attempt this lease is, from 1.
        fence: The number of the lease; a receipt counts only under the newest.
        doubtful: An earlier attempt may have arrived: its outcome was Unknown, or its process died.
        parent_ref: What the last delivery of this incident to this receiver gave as ``Sent.ref``:
            the message to update. None where nothing was delivered yet, and after a bundle: a
            message that names many incidents is no one's to update.
        created_at: When it was written into the outbox (wall clock).
        deadline: By when a page wants a receipt; passing it gives nothing up, it sends those who
            stand by.
        standby: 0 for a receiver that is told at once; 1 for the first who is told of a page only
            where one before it gave no receipt by its deadline, and so on.
        ended: The incident is resolved; of a storm: all of them.
        bundle: The notices of other incidents that go out in the same message, in a storm.
        bundle_ref: ``Sent.ref`` of the bundle in which this incident's page went out; None where it
            went out alone.
        bundle_state: How far that bundle has come: open where one of its incidents is, resolved where
            all are, else acknowledged. None where there is no bundle.
        accepted_at: When ingest accepted the batch that led to it; None for a person's act.
        traceparent: W3C trace of the same batch.
    """

    id: DeliveryId
    incident: IncidentId
    episode: int
    sequence: int
    receiver: ReceiverName
    kind: NoticeKind
    notice: Notice
    created_at: datetime
    attempt: int = 1
    fence: int = 1
    doubtful: bool = False
    parent_ref: str | None = None
    deadline: datetime | None = None
    standby: int = 0
    ended: bool = False
    bundle: tuple[Notice, ...] = ()
    bundle_ref: str | None = None
    bundle_state: State | None = None
    accepted_at: datetime | None = None
    traceparent: str | None = None

    @property
    def priority(self) -> int:
        """Which goes first where several are due; 0, a page, is the most urgent."""
        return 0 if self.notice.page else self.kind.priority


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """
    How much a receiver takes.

    Attributes:
        every: One message so often, in the long run; None: as many as come.
        burst: How many at once after a rest.
        bundle: How many incidents one message can name, when more pages come than it takes.
    """

    every: timedelta | None = None
    burst: int = 1
    bundle: int = 1

    def allowed(self, spent: datetime | None, *, now: datetime) -> int | None:
        """Return how many messages may go now; None where there is no limit."""
        if self.every is None:
            return None
        return self.burst - math.ceil((self._spent(spent, now) - now) / self.every)

    def spend(self, spent: datetime | None, count: int, *, now: datetime) -> datetime:
        """Return until when the bucket is spent, once so many messages have gone (GCRA)."""
        return self._spent(spent, now) + count * (self.every or timedelta())

    def _spent(self, spent: datetime | None, now: datetime) -> datetime:
        """Read what is stored; more than a bucket was written before the clock was set back."""
        full = now + self.burst * (self.every or timedelta())
        return now if spent is None or spent > full else max(spent, now)


UNLIMITED: Final = Pace()
PATIENCE: Final = timedelta(seconds=10)
"""How long pages may queue one by one before they are bundled."""

# --------------------------------------------------------------------------- what a send can be


@dataclass(frozen=True, slots=True)
class Sent:
    """The receiver has it. ``ref`` is what a later delivery of the incident needs to update it."""

    ref: str | None = None


@dataclass(frozen=True, slots=True)
class Retry:
    """
    The receiver does not have it and may take it later.

    Attributes:
        reason: For people; without secrets.
        after: The receiver asked to be left alone so long: this holds for everything sent to it.
            None: only this delivery waits, and the caller says how long.
    """

    reason: str
    after: timedelta | None = None


@dataclass(frozen=True, slots=True)
class Refused:
    """The receiver will never take it: wrong credentials, no such channel. A person must mend it."""

    reason: str


@dataclass(frozen=True, slots=True)
class Unknown:
    """It may have arrived or not: the answer was lost. The next attempt is marked doubtful."""

    reason: str


Outcome = Sent | Retry | Refused | Unknown


class Notifier(Protocol):
    """
    Sends notices to one receiver: one channel, one service key, one address.

    There is one instance for each ``[[receiver]]``, made at the start and used until the end. Its
    methods are called from the outbox workers on the event loop, for several incidents at once, but
    never for two deliveries of one incident at the same time. They must not block the loop.

    Attributes:
        name: The receiver's name in uproar.toml.
        type: The kind of receiver: ``slack``, ``pagerduty``, ``webhook``, ...
        pace: How much it takes. With ``pace.bundle`` above 1, a delivery may come with a ``bundle``.
    """

    @property
    def name(self) -> ReceiverName: ...

    @property
    def type(self) -> str: ...

    @property
    def pace(self) -> Pace: ...

    async def notify(self, delivery: Delivery) -> Outcome:
        """
        Send once and tell what came of it.

        It does not retry, sleep or keep state: the outbox does. Whatever the far side answers (or
        does not) is an outcome, never an exception; what cannot be told apart from success is
        ``Unknown``, not ``Retry``, unless a repeat does no harm there. A ``doubtful`` delivery must
        look whether it has arrived before sending again, where the receiver can be asked; where it
        cannot, it says in the message that it may be a repeat.

        The caller cuts it off after a timeout and takes that for ``Unknown``: on cancellation it
        lets go at once. Reasons are shown to people and written to logs: no token, no key, no
        address that is a secret may stand in them.
        """
        ...

    async def check(self) -> Outcome:
        """
        Try the receiver, for ``uproar doctor``: ``Sent`` if a page would get through.

        Quiet where the receiver has a quiet way (nobody is shown a message); outcomes as above.
        """
        ...


class Lease(NamedTuple):
    """One lease of one delivery."""

    delivery: DeliveryId
    fence: int


class Outbox(Protocol):
    """
    The deliveries that are not done, kept by the store; written there in the incident's transaction.

    States: pending, leased, sent_unknown, retry_at, and the ends delivered, dead, superseded.
    Any number of processes may work on one outbox. Every method is one transaction and raises
    ``Unavailable`` where the database does not answer; then nothing has changed, or the lease is
    reclaimed.
    """

    async def lease(
        self,
        receiver: ReceiverName,
        *,
        now: datetime,
        owner: str,
        limit: int,
        pace: Pace = UNLIMITED,
    ) -> Sequence[Delivery]:
        """
        Take what is due for one receiver; nobody else gets it meanwhile.

        Due is, while the receiver is not rate limited at ``now``, of each incident the unfinished
        delivery with the lowest sequence, and only if it is not leased and its ``next_at`` has
        come: so one is in flight for each (receiver, incident), a trigger goes before its
        acknowledgement and that before the resolve, and a delivery that waits holds those behind
        it. Who stands by is due only while those before it have no receipt. Ordered by
        ``priority``, then by ``created_at``. Each lease raises ``attempt`` and ``fence`` by one.
        ``parent_ref``, ``ended`` and what is known of a bundle are looked up here, not when the
        delivery is written.

        No more than ``pace`` allows; what was spent outlives the process. In a storm, when more
        new pages are due than the receiver takes in ``PATIENCE``, they come as one delivery with a
        ``bundle``, which stays together for all attempts. A time that lies further ahead than any
        wait can be was written by a clock that has been set back since: it counts as come.

        When nothing is due it must not write.
        """
        ...

    async def due(self, *, now: datetime) -> Collection[ReceiverName]:
        """
        Return for whom ``lease`` may find something; for anybody else it finds nothing.

        Asked every second, so that a house with many receivers costs one look and not one each.
        """
        ...

    async def settle(
        self, delivery: Delivery, outcome: Outcome, *, now: datetime, next_at: datetime | None
    ) -> bool:
        """
        Keep what came of an attempt: Sent -> delivered (with its ref and ``now`` as the receipt),
        Retry -> retry_at ``next_at``, Unknown -> sent_unknown until ``next_at`` and doubtful from
        then on, Refused -> dead, or with a ``next_at`` retry_at, and whoever stands by is told now.
        What went out in its bundle shares its fate.

        Returns:
            False where the fence is no longer the newest or the delivery is done: nothing changed.
        """
        ...

    async def rate_limited(self, receiver: ReceiverName, until: datetime, *, now: datetime) -> None:
        """
        Lease nothing for this receiver before ``until``; never shortens an earlier limit.

        A limit of a clock that has been set back since is none.
        """
        ...

    async def leases(self) -> Collection[Lease]:
        """Return every lease that is out, whoever holds it."""
        ...

    async def reclaim(self, leases: Collection[Lease], *, now: datetime) -> int:
        """
        Make the deliveries of these leases due again (sent_unknown, doubtful): their sender died.

        Returns:
            How many; a lease that is no longer the newest is none.
        """
        ...

    async def stand_down(self) -> int:
        """End (superseded) what is kept for those who stand by, where it is not needed any more."""
        ...
