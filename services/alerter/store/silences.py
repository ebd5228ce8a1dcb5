"""Silences: whose incidents tell nobody for a while, and what was held back meanwhile."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Row, delete, insert, or_, select, update

from services.alerter.store.database import Transaction
from services.alerter.store.tables import INCIDENTS, SILENCES
from uproar.incident import IncidentId, State


@dataclass(frozen=True, slots=True, kw_only=True)
class Silence:
    """
    A time in which a subject's incidents tell nobody.

    Attributes:
        subject: Whose; None: everybody's.
        severity: From this one on it pages all the same; None: whatever happens.
    """

    id: str
    subject: str | None
    starts_at: datetime
    ends_at: datetime
    severity: int | None
    reason: str
    created_by: str
    created_at: datetime


class Held(StrEnum):
    """What a silence holds back of an incident: the most urgent of it."""

    NOTICE = "notice"  # updates of what people know already
    TRIGGER = "trigger"  # somebody must take it: it came back, or nobody has heard of it
    PAGE = "page"


async def create(transaction: Transaction, silence: Silence) -> None:
    """Keep a silence."""
    await transaction.execute(insert(SILENCES).values(**asdict(silence)))


async def page(
    transaction: Transaction,
    *,
    now: datetime,
    sight: frozenset[str] | None = None,
    limit: int,
    after: str | None = None,
) -> Sequence[Silence]:
    """Return silences that are not over and may be seen, by id, behind the id ``after``."""
    query = select(SILENCES).where(SILENCES.c.ends_at > now)
    if sight is not None:
        theirs = SILENCES.c.subject.in_(sorted(sight))
        query = query.where(or_(theirs, SILENCES.c.subject.is_(None)))
    if after is not None:
        query = query.where(SILENCES.c.id > after)
    rows = await transaction.execute(query.order_by(SILENCES.c.id).limit(limit))
    return [_silence(row) for row in rows]


async def find(transaction: Transaction, silence: str) -> Silence | None:
    """Return one silence."""
    row = (
        await transaction.execute(select(SILENCES).where(SILENCES.c.id == silence))
    ).one_or_none()
    return _silence(row) if row else None


async def remove(transaction: Transaction, silence: str) -> bool:
    """End a silence at once; False where there is none."""
    gone = await transaction.execute(delete(SILENCES).where(SILENCES.c.id == silence))
    return gone.rowcount == 1


async def covers(transaction: Transaction, subject: str, *, severity: int, now: datetime) -> bool:
    """Tell whether a subject's incident of this severity tells nobody now."""
    query = (
        select(SILENCES.c.id)
        .where(
            or_(SILENCES.c.subject == subject, SILENCES.c.subject.is_(None)),
            SILENCES.c.starts_at <= now,
            SILENCES.c.ends_at > now,
            or_(SILENCES.c.severity.is_(None), SILENCES.c.severity > severity),
        )
        .limit(1)
    )
    return await transaction.scalar(query) is not None


async def hushed(transaction: Transaction, incident: IncidentId) -> Held | None:
    """Return what is held back of an incident."""
    query = select(INCIDENTS.c.hushed).where(INCIDENTS.c.id == incident)
    found: str | None = await transaction.scalar(query)
    return Held(found) if found else None


async def hush(transaction: Transaction, incident: IncidentId, what: Held | None) -> None:
    """Note what is held back; None: nothing any more."""
    held = what.value if what else None
    await transaction.execute(
        update(INCIDENTS).where(INCIDENTS.c.id == incident).values(hushed=held)
    )


async def held_back(transaction: Transaction) -> Sequence[tuple[IncidentId, str, int]]:
    """Return id, subject and severity of the incidents of which something is held back."""
    query = select(INCIDENTS.c.id, INCIDENTS.c.subject, INCIDENTS.c.severity).where(
        INCIDENTS.c.hushed.is_not(None)
    )
    rows = await transaction.execute(query)
    return [(IncidentId(row.id), row.subject, row.severity) for row in rows]


async def due(transaction: Transaction, *, now: datetime) -> Sequence[IncidentId]:
    """Return the incidents whose snooze is over."""
    query = select(INCIDENTS.c.id).where(
        INCIDENTS.c.snoozed_until <= now, INCIDENTS.c.state == State.SNOOZED.value
    )
    return [IncidentId(found) for found in await transaction.scalars(query)]


def _silence(row: Row[Any]) -> Silence:
    return Silence(**row._asdict())
