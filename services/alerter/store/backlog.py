"""Backlog: how much waits to be delivered, since when, and what should not be. It changes nothing."""

from collections.abc import Collection
from dataclasses import dataclass, field, replace
from datetime import datetime

from sqlalchemy import func, select

from services.alerter.store.database import Transaction
from services.alerter.store.deliveries import UNFINISHED, State, within
from services.alerter.store.standby import WANTED
from services.alerter.store.tables import DELIVERIES
from uproar.notice import NoticeKind


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


async def measured(transaction: Transaction) -> Backlog:
    """
    Tell how much waits to be delivered, and how much never will be.

    A page that nobody has yet waits for those who stand by too, and so does what follows a page
    that went to them.
    """
    receiver, state, oldest = DELIVERIES.c.receiver, DELIVERIES.c.state, DELIVERIES.c.created_at
    query = (
        select(receiver, state, func.count(), func.min(oldest))
        .where(
            within((*UNFINISHED, State.DEAD)), DELIVERIES.c.kind != NoticeKind.CANARY.value, WANTED
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
