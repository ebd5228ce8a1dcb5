"""History: incidents as people and programs read them. It changes nothing."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, Select, bindparam, func, or_, select, tuple_

from services.alerter.store.database import Transaction
from services.alerter.store.tables import EVIDENCE, INCIDENTS, TRANSITIONS
from uproar.incident import State
from uproar.subject import Kind

SHOWN: Final = INCIDENTS.c.kind != Kind.CANARY.value
"""The one place that leaves canaries out of lists, counts and reports."""

Row = dict[str, Any]
Place = tuple[datetime, str]
"""Where a page of a list ended: opened_at and id of its last incident."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """Which incidents are asked for; ``since`` (inclusive) and ``until`` judge ``opened_at``."""

    states: Sequence[State] = ()
    subject: str | None = None
    severity_min: int | None = None
    since: datetime | None = None
    until: datetime | None = None
    text: str | None = None


async def incidents(
    transaction: Transaction, wanted: Filter, *, limit: int, after: Place | None = None
) -> list[Row]:
    """Return at most ``limit`` incidents, the newest first, behind the place ``after``."""
    query = select(INCIDENTS).where(SHOWN, *_conditions(wanted))
    if after is not None:
        query = query.where(tuple_(INCIDENTS.c.opened_at, INCIDENTS.c.id) < _place(after))
    return await _rows(
        transaction,
        query.order_by(INCIDENTS.c.opened_at.desc(), INCIDENTS.c.id.desc()).limit(limit),
    )


async def incident(transaction: Transaction, incident_id: str) -> Row | None:
    """Return one incident."""
    rows = await _rows(transaction, select(INCIDENTS).where(INCIDENTS.c.id == incident_id))
    return rows[0] if rows else None


async def timeline(transaction: Transaction, incident_id: str) -> list[Row]:
    """Return the transitions of an incident, the first first."""
    query = (
        select(TRANSITIONS)
        .where(TRANSITIONS.c.incident == incident_id)
        .order_by(TRANSITIONS.c.sequence)
    )
    return await _rows(transaction, query)


async def evidence(transaction: Transaction, incident_id: str) -> list[Row]:
    """Return every post that an incident's events have cited, those cited last first."""
    query = (
        select(EVIDENCE)
        .where(EVIDENCE.c.incident == incident_id)
        .order_by(EVIDENCE.c.sequence.desc(), EVIDENCE.c.place)
    )
    return await _rows(transaction, query)


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """How many incidents stand in each state, and how bad the worst is that is not resolved."""

    by_state: dict[State, int]
    worst_severity: int | None


async def counts(transaction: Transaction) -> Counts:
    """Count the incidents."""
    query = (
        select(INCIDENTS.c.state, func.count(), func.max(INCIDENTS.c.severity))
        .where(SHOWN)
        .group_by(INCIDENTS.c.state)
    )
    found = {State(row[0]): (row[1], row[2]) for row in await transaction.execute(query)}
    worst = [severity for state, (_, severity) in found.items() if state is not State.RESOLVED]
    return Counts(
        by_state={state: found.get(state, (0, 0))[0] for state in State},
        worst_severity=max(worst, default=None),
    )


def _conditions(wanted: Filter) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if wanted.states:
        conditions.append(INCIDENTS.c.state.in_([state.value for state in wanted.states]))
    if wanted.subject is not None:
        conditions.append(INCIDENTS.c.subject == wanted.subject)
    if wanted.severity_min is not None:
        conditions.append(INCIDENTS.c.severity >= wanted.severity_min)
    if wanted.since is not None:
        conditions.append(INCIDENTS.c.opened_at >= wanted.since)
    if wanted.until is not None:
        conditions.append(INCIDENTS.c.opened_at < wanted.until)
    if wanted.text:
        conditions.append(_mentions(wanted.text))
    return conditions


def _mentions(text: str) -> ColumnElement[bool]:
    cited = select(EVIDENCE.c.incident).where(EVIDENCE.c.text.icontains(text, autoescape=True))
    return or_(
        INCIDENTS.c.title.icontains(text, autoescape=True),
        INCIDENTS.c.subject_name.icontains(text, autoescape=True),
        INCIDENTS.c.id.in_(cited),
    )


def _place(after: Place) -> ColumnElement[Any]:
    """Bind both values with the types of their columns."""
    opened_at, incident_id = after
    return tuple_(
        bindparam("opened_at", opened_at, INCIDENTS.c.opened_at.type, unique=True),
        bindparam("id", incident_id, INCIDENTS.c.id.type, unique=True),
    )


async def _rows(transaction: Transaction, query: Select[Any]) -> list[Row]:
    return [dict(row) for row in (await transaction.execute(query)).mappings()]
