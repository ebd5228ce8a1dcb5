"""Deliveries: the outbox. Written in the incident's transaction, leased, settled under a fence."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final

import msgspec
from sqlalchemy import ColumnElement, Row, Select, func, insert, select, update

from services.alerter.notifier import (
    Delivery,
    DeliveryId,
    Outcome,
    Refused,
    Retry,
    Sent,
    Unknown,
)
from services.alerter.store.database import Database, Transaction, insert_into
from services.alerter.store.deletions import BLANK
from services.alerter.store.tables import DELIVERIES, RECEIVERS
from uproar.incident import IncidentId
from uproar.notice import Notice, NoticeKind
from uproar.routing import ReceiverName


class State(StrEnum):
    """Where a delivery stands."""

    PENDING = "pending"
    LEASED = "leased"
    SENT_UNKNOWN = "sent_unknown"
    RETRY_AT = "retry_at"
    DELIVERED = "delivered"
    DEAD = "dead"
    SUPERSEDED = "superseded"


_WAITING: Final = (State.PENDING, State.SENT_UNKNOWN, State.RETRY_AT)
_UNFINISHED: Final = (*_WAITING, State.LEASED)
_MAX_REASON: Final = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Backlog:
    """How much is not delivered yet, and since when the oldest of it waits."""

    pending: int
    oldest: datetime | None


# --------------------------------------------------- inside the transaction of the incident


async def enqueue(transaction: Transaction, new: Sequence[Delivery]) -> None:
    """Write deliveries that are due at once."""
    if not new:
        return
    rows = [
        {
            "id": delivery.id,
            "incident": delivery.incident,
            "episode": delivery.episode,
            "sequence": delivery.sequence,
            "receiver": delivery.receiver,
            "kind": delivery.kind.value,
            "priority": delivery.priority,
            "payload": msgspec.to_builtins(delivery.notice),
            "state": State.PENDING.value,
            "attempt": 0,
            "next_at": delivery.created_at,
            "fence": 0,
            "doubtful": False,
            "deadline": delivery.deadline,
            "created_at": delivery.created_at,
            "accepted_at": delivery.accepted_at,
            "traceparent": delivery.traceparent,
        }
        for delivery in new
    ]
    await transaction.execute(insert(DELIVERIES), rows)


async def redact(transaction: Transaction, incident: str, posts: Collection[str]) -> None:
    """Blank posts that were taken back in what is said of an incident, sent or not."""
    query = select(DELIVERIES.c.id, DELIVERIES.c.payload).where(DELIVERIES.c.incident == incident)
    for row in (await transaction.execute(query)).all():
        quotes = row.payload["quotes"]
        if not any(quote["post"] in posts for quote in quotes):
            continue
        blank = {"text": BLANK, "url": None}
        kept = [quote | blank if quote["post"] in posts else quote for quote in quotes]
        await transaction.execute(
            update(DELIVERIES)
            .where(DELIVERIES.c.id == row.id)
            .values(payload=row.payload | {"quotes": kept})
        )


# ----------------------------------------------------------------------------------- for people


async def of_incident(transaction: Transaction, incident: str) -> list[dict[str, Any]]:
    """Return the deliveries of an incident in the order in which they were written."""
    shown = [column for column in DELIVERIES.c if column.name not in {"payload", "lease_owner"}]
    query = select(*shown).where(DELIVERIES.c.incident == incident)
    query = query.order_by(DELIVERIES.c.sequence, DELIVERIES.c.created_at, DELIVERIES.c.id)
    return [dict(row) for row in (await transaction.execute(query)).mappings()]


async def backlog(transaction: Transaction) -> Backlog:
    """Tell how much waits to be delivered, canaries apart."""
    query = select(func.count(), func.min(DELIVERIES.c.created_at)).where(
        _in(_UNFINISHED), DELIVERIES.c.kind != NoticeKind.CANARY.value
    )
    pending, oldest = (await transaction.execute(query)).one()
    return Backlog(pending=pending, oldest=oldest)


# ------------------------------------------------------------------------------ for the workers


class SqlOutbox:
    """:class:`services.alerter.notifier.Outbox`, which says what each method promises."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def lease(
        self,
        receiver: ReceiverName,
        *,
        now: datetime,
        owner: str,
        limit: int,
        lease_for: timedelta,
    ) -> Sequence[Delivery]:
        due = _due(receiver, now).limit(limit)
        async with self._database.reading() as transaction:  # a look that makes no writer wait
            if not (await transaction.execute(due)).first():
                return ()
        async with self._database.writing() as transaction:
            rows = (await transaction.execute(due.with_for_update(skip_locked=True))).all()
            leased = [await _leased(transaction, row) for row in rows]
            await transaction.execute(
                update(DELIVERIES)
                .where(DELIVERIES.c.id.in_([delivery.id for delivery in leased]))
                .values(
                    state=State.LEASED.value,
                    attempt=DELIVERIES.c.attempt + 1,
                    fence=DELIVERIES.c.fence + 1,
                    lease_owner=owner,
                    lease_until=now + lease_for,
                )
            )
        return leased

    async def settle(
        self, delivery: Delivery, outcome: Outcome, *, now: datetime, next_at: datetime | None
    ) -> bool:
        statement = (
            update(DELIVERIES)
            .where(
                DELIVERIES.c.id == delivery.id,
                DELIVERIES.c.fence == delivery.fence,
                _in(_UNFINISHED),
            )
            .values(lease_owner=None, lease_until=None, **_settled(outcome, now, next_at))
        )
        async with self._database.writing() as transaction:
            return (await transaction.execute(statement)).rowcount == 1

    async def rate_limited(self, receiver: ReceiverName, until: datetime) -> None:
        async with self._database.writing() as transaction:
            row = {"name": receiver, "next_at": until}
            statement = insert_into(transaction, RECEIVERS).values(**row)
            await transaction.execute(
                statement.on_conflict_do_update(
                    index_elements=["name"], set_=row, where=RECEIVERS.c.next_at < until
                )
            )

    async def reclaim(self, *, now: datetime) -> int:
        run_out = (DELIVERIES.c.state == State.LEASED.value) & (DELIVERIES.c.lease_until <= now)
        async with self._database.reading() as transaction:
            if not (await transaction.execute(select(DELIVERIES.c.id).where(run_out))).first():
                return 0
        async with self._database.writing() as transaction:
            reclaimed = await transaction.execute(
                update(DELIVERIES)
                .where(run_out)
                .values(
                    state=State.SENT_UNKNOWN.value,
                    doubtful=True,
                    next_at=now,
                    lease_owner=None,
                    lease_until=None,
                    last_error="its sender died or was too slow: it may have arrived",
                )
            )
        return reclaimed.rowcount


def _due(receiver: ReceiverName, now: datetime) -> Select[Any]:
    """Of each incident the first unfinished delivery, where it waits and its time has come."""
    before = DELIVERIES.alias("before")
    first = (
        select(func.min(before.c.sequence))
        .where(
            before.c.receiver == DELIVERIES.c.receiver,
            before.c.incident == DELIVERIES.c.incident,
            before.c.state.in_([state.value for state in _UNFINISHED]),
        )
        .correlate(DELIVERIES)
        .scalar_subquery()
    )
    left_alone = select(RECEIVERS.c.name).where(
        RECEIVERS.c.name == receiver, RECEIVERS.c.next_at > now
    )
    return (
        select(DELIVERIES)
        .where(
            DELIVERIES.c.receiver == receiver,
            _in(_WAITING),
            DELIVERIES.c.next_at <= now,
            DELIVERIES.c.sequence == first,
            ~left_alone.exists(),
        )
        .order_by(DELIVERIES.c.priority, DELIVERIES.c.created_at, DELIVERIES.c.id)
    )


async def _leased(transaction: Transaction, row: Row[Any]) -> Delivery:
    query = (
        select(DELIVERIES.c.provider_ref)
        .where(
            DELIVERIES.c.incident == row.incident,
            DELIVERIES.c.receiver == row.receiver,
            DELIVERIES.c.state == State.DELIVERED.value,
            DELIVERIES.c.provider_ref.is_not(None),
        )
        .order_by(DELIVERIES.c.sequence.desc())
        .limit(1)
    )
    parent_ref = await transaction.scalar(query)
    return Delivery(
        id=DeliveryId(row.id),
        incident=IncidentId(row.incident),
        episode=row.episode,
        sequence=row.sequence,
        receiver=ReceiverName(row.receiver),
        kind=NoticeKind(row.kind),
        notice=msgspec.convert(row.payload, Notice),
        created_at=row.created_at,
        attempt=row.attempt + 1,
        fence=row.fence + 1,
        doubtful=row.doubtful,
        parent_ref=parent_ref,
        deadline=row.deadline,
        accepted_at=row.accepted_at,
        traceparent=row.traceparent,
    )


def _settled(outcome: Outcome, now: datetime, next_at: datetime | None) -> dict[str, Any]:
    match outcome:
        case Sent():
            return {
                "state": State.DELIVERED.value,
                "delivered_at": now,
                "provider_ref": outcome.ref,
                "last_error": None,
            }
        case Retry():
            state: dict[str, Any] = {"state": State.RETRY_AT.value, "next_at": next_at or now}
        case Unknown():
            state = {
                "state": State.SENT_UNKNOWN.value,
                "next_at": next_at or now,
                "doubtful": True,
            }
        case Refused():
            state = {"state": State.DEAD.value}
    return state | {"last_error": outcome.reason[:_MAX_REASON]}


def _in(states: Collection[State]) -> ColumnElement[bool]:
    return DELIVERIES.c.state.in_([state.value for state in states])
