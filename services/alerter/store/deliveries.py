"""Deliveries: written in the incident's transaction, and shown to people. Not sent (outbox)."""

from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from enum import StrEnum
from itertools import chain
from typing import Any, Final

import msgspec
from sqlalchemy import (
    ColumnElement,
    FromClause,
    RowMapping,
    insert,
    literal_column,
    select,
    update,
)

from services.alerter.notifier import Delivery, DeliveryId
from services.alerter.store.database import Transaction
from services.alerter.store.deletions import BLANK
from services.alerter.store.tables import DELIVERIES
from uproar.incident import IncidentId
from uproar.incident import State as IncidentState
from uproar.notice import Notice, NoticeKind
from uproar.routing import SUPERSEDES, ReceiverName


class State(StrEnum):
    """Where a delivery stands."""

    PENDING = "pending"
    LEASED = "leased"
    SENT_UNKNOWN = "sent_unknown"
    RETRY_AT = "retry_at"
    DELIVERED = "delivered"
    DEAD = "dead"
    SUPERSEDED = "superseded"


WAITING: Final = (State.PENDING, State.SENT_UNKNOWN, State.RETRY_AT)
UNFINISHED: Final = (*WAITING, State.LEASED)


def stored(row: RowMapping) -> Delivery:
    """Return a delivery as it was written; how it stands is looked up by who asks."""
    return Delivery(
        id=DeliveryId(row["id"]),
        incident=IncidentId(row["incident"]),
        episode=row["episode"],
        sequence=row["sequence"],
        receiver=ReceiverName(row["receiver"]),
        kind=NoticeKind(row["kind"]),
        notice=msgspec.convert(row["payload"], Notice),
        created_at=row["created_at"],
        accepted_at=row["accepted_at"],
        traceparent=row["traceparent"],
    )


# --------------------------------------------------- inside the transaction of the incident


async def enqueue(transaction: Transaction, new: Sequence[Delivery]) -> None:
    """
    Write deliveries: due at once, or for who stands by, at the deadline of the one before.

    What has not gone out and says less than a new one is superseded; a page never is.
    """
    if any(d.standby and not d.deadline for d in new):
        known = {d.incident: await heard(transaction, d.incident) for d in new}
        new = [d for d in new if d.deadline or not d.standby or d.receiver in known[d.incident]]
    if not new:
        return
    for delivery in new:
        await _supersede(transaction, delivery)
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
            "next_at": _due_at(delivery),
            "fence": 0,
            "doubtful": False,
            "deadline": delivery.deadline,
            "standby": delivery.standby,
            "created_at": delivery.created_at,
            "accepted_at": delivery.accepted_at,
            "traceparent": delivery.traceparent,
        }
        for delivery in new
    ]
    await transaction.execute(insert(DELIVERIES), rows)


def _due_at(delivery: Delivery) -> datetime:
    """Return the deadline of the one before it, for the page of who stands by."""
    if delivery.deadline is None:
        return delivery.created_at
    return delivery.created_at + delivery.standby * (delivery.deadline - delivery.created_at)


async def heard(
    transaction: Transaction, incident: IncidentId
) -> dict[ReceiverName, IncidentState]:
    """Return who has been told of an incident, or may yet be, and how it stood the last time."""
    query = (
        select(DELIVERIES.c.receiver, DELIVERIES.c.payload["state"].as_string())
        .where(
            DELIVERIES.c.incident == incident,
            DELIVERIES.c.state != State.SUPERSEDED.value,
        )
        .order_by(DELIVERIES.c.sequence)
    )
    rows = await transaction.execute(query)
    return {ReceiverName(receiver): IncidentState(state) for receiver, state in rows}


async def _supersede(transaction: Transaction, by: Delivery) -> None:
    kinds = [kind.value for kind in SUPERSEDES.get(by.kind, ())]
    if not kinds or by.sequence == 1:
        return
    await transaction.execute(
        update(DELIVERIES)
        .where(
            DELIVERIES.c.incident == by.incident,
            DELIVERIES.c.receiver == by.receiver,
            DELIVERIES.c.kind.in_(kinds),
            DELIVERIES.c.deadline.is_(None),
            within((State.PENDING, State.RETRY_AT)),
            ~DELIVERIES.c.doubtful,
        )
        .values(state=State.SUPERSEDED.value)
    )


async def redact(transaction: Transaction, incident: str, posts: Collection[str]) -> None:
    """Blank posts that were taken back in what is said of an incident, sent or not."""
    blank = {"text": BLANK, "url": None}
    await _requote(transaction, incident, posts, lambda quote: [quote | blank])


async def unquote(transaction: Transaction, incident: str, posts: Collection[str]) -> None:
    """Leave posts out of what was said of an incident."""
    await _requote(transaction, incident, posts, lambda _: [])


async def _requote(
    transaction: Transaction,
    incident: str,
    posts: Collection[str],
    change: Callable[[dict[str, Any]], list[dict[str, Any]]],
) -> None:
    query = select(DELIVERIES.c.id, DELIVERIES.c.payload).where(DELIVERIES.c.incident == incident)
    for row in (await transaction.execute(query)).all():
        quotes = row.payload["quotes"]
        if not any(quote["post"] in posts for quote in quotes):
            continue
        said = [change(quote) if quote["post"] in posts else [quote] for quote in quotes]
        await transaction.execute(
            update(DELIVERIES)
            .where(DELIVERIES.c.id == row.id)
            .values(payload=row.payload | {"quotes": list(chain.from_iterable(said))})
        )


# ----------------------------------------------------------------------------------- for people


async def of_incident(transaction: Transaction, incident: str) -> list[dict[str, Any]]:
    """Return the deliveries of an incident in the order in which they were written."""
    shown = [column for column in DELIVERIES.c if column.name not in {"payload", "lease_owner"}]
    query = select(*shown).where(DELIVERIES.c.incident == incident)
    query = query.order_by(DELIVERIES.c.sequence, DELIVERIES.c.created_at, DELIVERIES.c.id)
    return [dict(row) for row in (await transaction.execute(query)).mappings()]


def within(states: Collection[State], *, of: FromClause = DELIVERIES) -> ColumnElement[bool]:
    """Ask for deliveries in one of these states; literally, so that nothing is bound each time."""
    return of.c.state.in_([literal_column(f"'{state.value}'") for state in states])
