"""Outbox: deliveries are leased in order and at the receiver's pace, and settled under a fence."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final

import msgspec
from sqlalchemy import (
    ColumnElement,
    Integer,
    Row,
    Select,
    bindparam,
    func,
    or_,
    select,
    tuple_,
    update,
)

from services.alerter.notifier import (
    PATIENCE,
    UNLIMITED,
    Delivery,
    DeliveryId,
    Lease,
    Outcome,
    Pace,
    Refused,
    Retry,
    Sent,
    Unknown,
)
from services.alerter.store.database import Database, Transaction, insert_into
from services.alerter.store.deliveries import UNFINISHED, WAITING, State, stored, within
from services.alerter.store.standby import NEEDED, PAGE, WANTED
from services.alerter.store.tables import DELIVERIES, INCIDENTS, RECEIVERS
from services.alerter.store.together import Together
from uproar.incident import State as IncidentState
from uproar.notice import Notice, NoticeKind
from uproar.routing import ReceiverName

_MAX_REASON: Final = 1000
# No wait is longer: a time further ahead was written before the clock was set back.
_LONGEST_WAIT: Final = timedelta(minutes=6)
_LONGEST_REST: Final = timedelta(hours=1, minutes=1)


# ------------------------------------------------------------------------------- what is due
# Built once: they are asked every second.

_BEFORE: Final = DELIVERIES.alias("before")

_FIRST: Final = (
    select(func.min(_BEFORE.c.sequence))
    .where(
        _BEFORE.c.receiver == DELIVERIES.c.receiver,
        _BEFORE.c.incident == DELIVERIES.c.incident,
        within(UNFINISHED, of=_BEFORE),
    )
    .correlate(DELIVERIES)
    .scalar_subquery()
)
"""The first delivery of an incident to a receiver that is not done: those behind it wait."""

_RESTS: Final = (
    select(RECEIVERS.c.name)
    .where(
        RECEIVERS.c.name == bindparam("receiver"),
        RECEIVERS.c.next_at > bindparam("now"),
        RECEIVERS.c.next_at <= bindparam("longest_rest"),
    )
    .exists()
)
_COME: Final = or_(
    DELIVERIES.c.next_at <= bindparam("now"), DELIVERIES.c.next_at > bindparam("longest_wait")
)
_AWAITED: Final = select(DELIVERIES.c.receiver).where(within(WAITING), _COME).distinct()
_DUE: Final = (
    select(DELIVERIES)
    .where(
        DELIVERIES.c.receiver == bindparam("receiver"),
        within(WAITING),
        _COME,
        DELIVERIES.c.sequence == _FIRST,
        or_(DELIVERIES.c.bundle.is_(None), DELIVERIES.c.bundle == DELIVERIES.c.id),
        WANTED,
        ~_RESTS,
    )
    .order_by(DELIVERIES.c.priority, DELIVERIES.c.created_at, DELIVERIES.c.id)
    .limit(bindparam("limit", type_=Integer))
)
"""Of each incident the first unfinished delivery, where it waits and its time has come."""

_NEW: Final = _DUE.where(
    PAGE,
    DELIVERIES.c.kind == NoticeKind.TRIGGER.value,
    DELIVERIES.c.attempt == 0,
    DELIVERIES.c.bundle.is_(None),
)
"""Pages that nobody has tried to send."""

_QUEUE: Final = select(func.count()).select_from(_NEW.subquery())
_LOCKED: Final = {query: query.with_for_update(skip_locked=True) for query in (_DUE, _NEW)}

_LEASES: Final = select(DELIVERIES.c.id, DELIVERIES.c.fence).where(within([State.LEASED]))
_IDLE: Final = select(DELIVERIES.c.id).where(
    DELIVERIES.c.standby > 0, within([State.PENDING]), ~NEEDED
)
"""What is kept for those who stand by, and not needed any more."""


def _moment(receiver: ReceiverName, now: datetime) -> dict[str, Any]:
    return {
        "receiver": receiver,
        "now": now,
        "longest_wait": now + _LONGEST_WAIT,
        "longest_rest": now + _LONGEST_REST,
    }


def _carried(ids: Collection[str]) -> ColumnElement[bool]:
    """Deliveries and what goes out in their bundles."""
    return or_(DELIVERIES.c.id.in_(ids), DELIVERIES.c.bundle.in_(ids))


# ---------------------------------------------------------------------------------- the outbox


class SqlOutbox:
    """:class:`services.alerter.notifier.Outbox`, which says what each method promises."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._receipts = Together(database)

    async def lease(
        self,
        receiver: ReceiverName,
        *,
        now: datetime,
        owner: str,
        limit: int,
        pace: Pace = UNLIMITED,
    ) -> Sequence[Delivery]:
        moment = _moment(receiver, now)
        async with self._database.reading() as transaction:  # a look that makes no writer wait
            if not (await transaction.execute(_DUE, moment | {"limit": 1})).first():
                return ()
        async with self._database.writing() as transaction:
            spent = await _spent(transaction, receiver) if pace.every else None
            allowed = pace.allowed(spent, now=now)
            limit = limit if allowed is None else min(limit, allowed)
            if limit <= 0:
                return ()
            rows = await _taken(transaction, moment, limit, pace)
            leased = await _leased(transaction, rows)
            if pace.every:
                await _keep(
                    transaction, receiver, spent_until=pace.spend(spent, len(leased), now=now)
                )
            await transaction.execute(
                update(DELIVERIES)
                .where(_carried([delivery.id for delivery in leased]), within(WAITING))
                .values(
                    state=State.LEASED.value,
                    attempt=DELIVERIES.c.attempt + 1,
                    fence=DELIVERIES.c.fence + 1,
                    lease_owner=owner,
                    leased_at=now,
                )
            )
        return leased

    async def due(self, *, now: datetime) -> Collection[ReceiverName]:
        moment = {"now": now, "longest_wait": now + _LONGEST_WAIT}
        async with self._database.reading() as transaction:
            return set((await transaction.scalars(_AWAITED, moment)).all())

    async def settle(
        self, delivery: Delivery, outcome: Outcome, *, now: datetime, next_at: datetime | None
    ) -> bool:
        statement = (
            update(DELIVERIES)
            .where(
                _carried([delivery.id]), DELIVERIES.c.fence == delivery.fence, within(UNFINISHED)
            )
            .values(lease_owner=None, leased_at=None, **_settled(outcome, now, next_at))
        )

        async def write(transaction: Transaction) -> bool:
            settled = (await transaction.execute(statement)).rowcount > 0
            if settled and isinstance(outcome, Refused):
                await _call(transaction, delivery, now)
            return settled

        return bool(await self._receipts.write(write))

    async def rate_limited(self, receiver: ReceiverName, until: datetime, *, now: datetime) -> None:
        async with self._database.writing() as transaction:
            row = await _row(transaction, receiver)
            known = row.next_at if row else None
            if known is None or known < until or known > now + _LONGEST_REST:
                await _keep(transaction, receiver, next_at=until)

    async def leases(self) -> Collection[Lease]:
        async with self._database.reading() as transaction:
            return [Lease(DeliveryId(i), fence) for i, fence in await transaction.execute(_LEASES)]

    async def reclaim(self, leases: Collection[Lease], *, now: datetime) -> int:
        async with self._database.writing() as transaction:
            reclaimed = await transaction.execute(
                update(DELIVERIES)
                .where(
                    within([State.LEASED]),
                    tuple_(DELIVERIES.c.id, DELIVERIES.c.fence).in_(list(leases)),
                )
                .values(
                    state=State.SENT_UNKNOWN.value,
                    doubtful=True,
                    next_at=now,
                    lease_owner=None,
                    leased_at=None,
                    last_error="its sender died or was too slow: it may have arrived",
                )
            )
        return reclaimed.rowcount

    async def stand_down(self) -> int:
        async with self._database.reading() as transaction:
            if not (await transaction.execute(_IDLE)).first():
                return 0
        async with self._database.writing() as transaction:
            ended = update(DELIVERIES).where(DELIVERIES.c.id.in_(_IDLE))
            return (await transaction.execute(ended.values(state=State.SUPERSEDED.value))).rowcount


# ------------------------------------------------------------------------------- what is leased


async def _taken(
    transaction: Transaction, moment: dict[str, Any], limit: int, pace: Pace
) -> Sequence[Row[Any]]:
    """Lock what is due; in a storm bind the new pages together and return the first of them."""
    rows = await _locked(transaction, _DUE, moment | {"limit": limit})
    if pace.bundle == 1 or pace.every is None or not rows or not _new(rows[0]):
        return rows
    most = PATIENCE // pace.every
    if (await transaction.scalar(_QUEUE, moment | {"limit": most + 1}) or 0) <= most:
        return rows
    bound = await _locked(transaction, _NEW, moment | {"limit": pace.bundle})
    await transaction.execute(
        update(DELIVERIES)
        .where(DELIVERIES.c.id.in_([row.id for row in bound]))
        .values(bundle=bound[0].id)
    )
    lead = select(DELIVERIES).where(DELIVERIES.c.id == bound[0].id)
    return (await transaction.execute(lead)).all()


async def _locked(
    transaction: Transaction, query: Select[Any], moment: dict[str, Any]
) -> Sequence[Row[Any]]:
    found: Sequence[Row[Any]] = (await transaction.execute(_LOCKED[query], moment)).all()
    return found


def _new(row: Row[Any]) -> bool:
    page = row.deadline is not None and row.kind == NoticeKind.TRIGGER.value
    return page and row.attempt == 0 and row.bundle is None


_REFS: Final = (
    select(DELIVERIES.c.incident, DELIVERIES.c.provider_ref, DELIVERIES.c.bundle)
    .where(
        DELIVERIES.c.receiver == bindparam("receiver"),
        DELIVERIES.c.incident.in_(bindparam("incidents", expanding=True)),
        within([State.DELIVERED]),
        DELIVERIES.c.provider_ref.is_not(None),
    )
    .order_by(DELIVERIES.c.sequence.desc())
)
"""Where a receiver has incidents already, the last message first."""
_ENDED: Final = select(INCIDENTS.c.id).where(
    INCIDENTS.c.id.in_(bindparam("incidents", expanding=True)),
    INCIDENTS.c.state == IncidentState.RESOLVED.value,
)
_MEMBERS: Final = (
    select(INCIDENTS.c.state)
    .join(DELIVERIES, DELIVERIES.c.incident == INCIDENTS.c.id)
    .where(DELIVERIES.c.bundle == bindparam("bundle"))
    .distinct()
)


async def _leased(transaction: Transaction, rows: Sequence[Row[Any]]) -> list[Delivery]:
    """Put together what a notifier needs to know; all are of one receiver."""
    if not rows:
        return []
    incidents = list({row.incident for row in rows})
    refs: dict[str, list[Any]] = {}
    given = {"receiver": rows[0].receiver, "incidents": incidents}
    for ref in await transaction.execute(_REFS, given):
        refs.setdefault(ref.incident, []).append(ref)
    ended = set(await transaction.scalars(_ENDED, {"incidents": incidents}))
    return [
        await _delivery(transaction, row, refs.get(row.incident, ()), ended=row.incident in ended)
        for row in rows
    ]


async def _delivery(
    transaction: Transaction, row: Row[Any], refs: Sequence[Row[Any]], *, ended: bool
) -> Delivery:
    bundle = next((ref for ref in refs if ref.bundle), None)
    if row.bundle:  # a storm is over once all of it is: its lead must not take the others along
        ended = await _slowest(transaction, row.bundle) is IncidentState.RESOLVED
    return replace(
        stored(row._mapping),
        attempt=row.attempt + 1,
        fence=row.fence + 1,
        doubtful=row.doubtful,
        parent_ref=next((ref.provider_ref for ref in refs if not ref.bundle), None),
        deadline=row.deadline,
        standby=row.standby,
        ended=ended,
        bundle=await _bound(transaction, row) if row.bundle else (),
        bundle_ref=bundle.provider_ref if bundle else None,
        bundle_state=await _slowest(transaction, bundle.bundle) if bundle else None,
    )


async def _bound(transaction: Transaction, lead: Row[Any]) -> tuple[Notice, ...]:
    others = (
        select(DELIVERIES.c.payload)
        .where(DELIVERIES.c.bundle == lead.id, DELIVERIES.c.id != lead.id)
        .order_by(DELIVERIES.c.created_at, DELIVERIES.c.id)
    )
    return tuple(msgspec.convert(row, Notice) for row in await transaction.scalars(others))


async def _slowest(transaction: Transaction, bundle: str) -> IncidentState:
    """Return how far the incidents of a bundle have come: open where one is, resolved where all are."""
    stand = {IncidentState(s) for s in await transaction.scalars(_MEMBERS, {"bundle": bundle})}
    if IncidentState.OPEN in stand:
        return IncidentState.OPEN
    return (
        IncidentState.RESOLVED if stand == {IncidentState.RESOLVED} else IncidentState.ACKNOWLEDGED
    )


# ------------------------------------------------------------------------------ what is settled


def _settled(outcome: Outcome, now: datetime, next_at: datetime | None) -> dict[str, Any]:
    again: dict[str, Any] = {"state": State.RETRY_AT.value, "next_at": next_at or now}
    match outcome:
        case Sent():
            return {
                "state": State.DELIVERED.value,
                "delivered_at": now,
                "provider_ref": outcome.ref,
                "last_error": None,
            }
        case Unknown():
            again |= {"state": State.SENT_UNKNOWN.value, "doubtful": True}
        case Refused() if next_at is None:
            again = {"state": State.DEAD.value}
        case Retry() | Refused():
            pass
    return again | {"last_error": outcome.reason[:_MAX_REASON]}


_STANDBY: Final = DELIVERIES.alias("standby")


async def _call(transaction: Transaction, refused: Delivery, now: datetime) -> None:
    """Tell the next who stands by at once: waiting for the deadline brings no receipt."""
    before = DELIVERIES.c
    called = (
        select(_STANDBY.c.id)
        .join(
            DELIVERIES,
            (before.incident == _STANDBY.c.incident) & (before.sequence == _STANDBY.c.sequence),
        )
        .where(
            _carried([refused.id]),
            PAGE,
            _STANDBY.c.standby == before.standby + 1,
            _STANDBY.c.attempt == 0,
            _STANDBY.c.next_at > now,
        )
    )
    ids = (await transaction.scalars(called)).all()
    await transaction.execute(
        update(DELIVERIES).where(DELIVERIES.c.id.in_(ids)).values(next_at=now)
    )


# -------------------------------------------------------------------- what is kept of a receiver


async def _spent(transaction: Transaction, receiver: ReceiverName) -> datetime | None:
    """Return how far the rate is spent; nobody else leases for this receiver meanwhile."""
    row = {"name": receiver}
    await transaction.execute(
        insert_into(transaction, RECEIVERS).values(**row).on_conflict_do_nothing()
    )
    known = await _row(transaction, receiver)
    spent: datetime | None = known.spent_until if known else None
    return spent


async def _row(transaction: Transaction, receiver: ReceiverName) -> Row[Any] | None:
    query = select(RECEIVERS).where(RECEIVERS.c.name == receiver).with_for_update()
    return (await transaction.execute(query)).one_or_none()


async def _keep(transaction: Transaction, receiver: ReceiverName, **known: datetime) -> None:
    statement = insert_into(transaction, RECEIVERS).values(name=receiver, **known)
    await transaction.execute(statement.on_conflict_do_update(index_elements=["name"], set_=known))
