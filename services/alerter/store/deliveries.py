"""Deliveries: written in the incident's transaction, and shown to people. Not sent (outbox)."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

import msgspec
from sqlalchemy import ColumnElement, func, insert, select, update

from services.alerter.notifier import Delivery
from services.alerter.store.database import Transaction
from services.alerter.store.deletions import BLANK
from services.alerter.store.tables import DELIVERIES
from uproar.notice import NoticeKind
from uproar.routing import SUPERSEDES


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Backlog:
    """
    What is not delivered, canaries apart.

    Attributes:
        pending: How many wait or are on their way.
        oldest: Since when the oldest of them waits.
        dead: How many nobody will ever get.
        by_receiver: The same for each receiver that has any.
    """

    pending: int
    oldest: datetime | None
    dead: int
    by_receiver: dict[str, "Backlog"] = field(default_factory=dict)


# --------------------------------------------------- inside the transaction of the incident


async def enqueue(transaction: Transaction, new: Sequence[Delivery]) -> None:
    """
    Write deliveries: due at once, or for who stands by, at the deadline of the one before.

    What has not gone out and says less than a new one is superseded; a page never is.
    """
    new = [d for d in new if d.deadline or not d.standby or await _alerted(transaction, d)]
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


async def _alerted(transaction: Transaction, delivery: Delivery) -> bool:
    """Tell whether who stands by has been told of the incident, or may yet be."""
    query = select(DELIVERIES.c.id).where(
        DELIVERIES.c.incident == delivery.incident,
        DELIVERIES.c.receiver == delivery.receiver,
        DELIVERIES.c.state != State.SUPERSEDED.value,
    )
    return (await transaction.execute(query.limit(1))).first() is not None


async def _supersede(transaction: Transaction, by: Delivery) -> None:
    kinds = [kind.value for kind in SUPERSEDES.get(by.kind, ())]
    if not kinds:
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
    """Tell how much waits to be delivered, and how much never will be."""
    idle = (DELIVERIES.c.standby > 0) & (DELIVERIES.c.attempt == 0)  # perhaps never needed
    receiver, state, oldest = DELIVERIES.c.receiver, DELIVERIES.c.state, DELIVERIES.c.created_at
    query = (
        select(receiver, state, func.count(), func.min(oldest))
        .where(
            within((*UNFINISHED, State.DEAD)), DELIVERIES.c.kind != NoticeKind.CANARY.value, ~idle
        )
        .group_by(receiver, state)
    )
    each: dict[str, Backlog] = {}
    for name, which, count, since in await transaction.execute(query):
        was = each.get(name, Backlog(pending=0, oldest=None, dead=0))
        if which == State.DEAD:
            each[name] = replace(was, dead=count)
        else:
            each[name] = replace(
                was, pending=was.pending + count, oldest=min(since, was.oldest or since)
            )
    return Backlog(
        pending=sum(one.pending for one in each.values()),
        oldest=min((one.oldest for one in each.values() if one.oldest), default=None),
        dead=sum(one.dead for one in each.values()),
        by_receiver=each,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """
    What should not be.

    Attributes:
        unheard: Pages that nobody has, though their deadline is long past.
        stray: Receivers for whom deliveries wait, and who are not there.
    """

    unheard: int
    stray: frozenset[str]


async def audit(transaction: Transaction, *, late: datetime, receivers: Collection[str]) -> Audit:
    """Look for pages due before ``late`` that nobody has, and for receivers that are not there."""
    other = DELIVERIES.alias("other")
    heard = (
        select(other.c.id)
        .where(
            other.c.incident == DELIVERIES.c.incident,
            other.c.sequence == DELIVERIES.c.sequence,
            other.c.state == State.DELIVERED.value,
        )
        .correlate(DELIVERIES)
    )
    waits = within(UNFINISHED) & (DELIVERIES.c.kind != NoticeKind.CANARY.value)
    pages = (
        select(DELIVERIES.c.incident, DELIVERIES.c.sequence)
        .where(waits, DELIVERIES.c.deadline < late, ~heard.exists())
        .distinct()
    )
    unheard = await transaction.scalar(select(func.count()).select_from(pages.subquery()))
    waiting = await transaction.scalars(select(DELIVERIES.c.receiver).where(waits).distinct())
    return Audit(unheard=unheard or 0, stray=frozenset(waiting) - frozenset(receivers))


def within(states: Collection[State]) -> ColumnElement[bool]:
    """Ask for deliveries in one of these states."""
    return DELIVERIES.c.state.in_([state.value for state in states])
