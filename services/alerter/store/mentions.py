"""Mentions: which incidents mention some words, in the order of the list, however many there are."""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Select,
    bindparam,
    cast,
    column,
    literal_column,
    select,
    table,
)
from sqlalchemy.dialects.postgresql import TSQUERY

from services.alerter.store import search
from services.alerter.store.columns import UtcDateTime
from services.alerter.store.database import SQLITE, Transaction
from services.alerter.store.filter import Filter, Place, behind
from services.alerter.store.search import Asked
from services.alerter.store.tables import INCIDENTS, TRANSITIONS

SEARCH: Final = table(
    search.TABLE,
    column("rowid"),
    column("body"),
    column("incident"),
    column("opened_at", UtcDateTime),
    column("terms"),
)
_LOOKED_AT: Final = 1000
"""So many incidents are read before PostgreSQL is asked for all that mention the words: it cannot
give these in order, so a common word must be found on the way, and a rare one is soon sorted."""
_SECOND: Final = timedelta(seconds=1)


def asked(wanted: Filter, *, now: bool) -> Asked | None:
    """
    Return what is looked up for a filter; None: it has no words.

    Args:
        wanted: The filter.
        now: Whether it is about how incidents stand now, which their marks say.
    """
    found = search.words(wanted.text or "")
    if not found:
        return None
    return Asked(
        words=found,
        subjects=wanted.subjects,
        states=[state.value for state in wanted.states] if now else (),
        severity_min=wanted.severity_min if now else None,
    )


async def listed(
    transaction: Transaction, wanted: Filter, sought: Asked, *, limit: int, after: Place | None
) -> list[str]:
    """
    Return the ids of at most ``limit`` incidents behind a place, the newest first.

    Of the filter the times count; all else is in ``sought``.
    """
    if transaction.dialect.name == SQLITE:
        query = await _in_rows(transaction, wanted, sought, after)
        return list(await transaction.scalars(query.limit(limit)))
    term = _term(sought)
    conditions = _times(wanted, SEARCH.c.opened_at)
    if after is not None:
        conditions.append(behind(after, SEARCH.c.opened_at, SEARCH.c.incident))
    found = list(await transaction.scalars(_on_the_way(term, conditions).limit(limit)))
    if len(found) < limit:
        found = list(await transaction.scalars(_sorted(term, conditions).limit(limit)))
    return found


async def among(transaction: Transaction, ids: Sequence[str], sought: Asked) -> Collection[str]:
    """Return which of some incidents mention the words."""
    if transaction.dialect.name != SQLITE:
        named = select(SEARCH.c.incident).where(SEARCH.c.incident.in_(ids), _term(sought))
        return set(await transaction.scalars(named))
    first = select(INCIDENTS.c.opened_at, TRANSITIONS.c.position).where(
        INCIDENTS.c.id.in_(ids),
        TRANSITIONS.c.incident == INCIDENTS.c.id,
        TRANSITIONS.c.sequence == 1,
    )
    rows = [
        search.row_number(row.opened_at, row.position or 0)
        for row in await transaction.execute(first)
    ]
    said = select(SEARCH.c.incident, SEARCH.c.body).where(SEARCH.c.rowid.in_(rows))
    return {row.incident for row in await transaction.execute(said) if sought.holds(row.body)}


async def _in_rows(
    transaction: Transaction, wanted: Filter, sought: Asked, after: Place | None
) -> Select[Any]:
    """FTS5 finds rows in the order of their numbers, and these are in the order of the list."""
    query = (
        select(SEARCH.c.incident)
        .join(INCIDENTS, INCIDENTS.c.id == SEARCH.c.incident)
        .where(
            literal_column(search.TABLE).op("MATCH")(sought.query(sqlite=True)),
            *_times(wanted, INCIDENTS.c.opened_at),  # a row's number knows seconds only
        )
        .order_by(SEARCH.c.rowid.desc())
    )
    if wanted.since is not None:
        query = query.where(SEARCH.c.rowid >= search.row_number(wanted.since))
    ends = [search.row_number(wanted.until + _SECOND)] if wanted.until is not None else []
    if after is not None:
        ends.append(await search.row_of(transaction, after[1]))
    return query.where(SEARCH.c.rowid < min(ends)) if ends else query


def _on_the_way(
    term: ColumnElement[bool], conditions: Sequence[ColumnElement[bool]]
) -> Select[Any]:
    """Walk along the list and keep what mentions the words."""
    newest = (SEARCH.c.opened_at.desc(), SEARCH.c.incident.desc())
    near = (
        select(SEARCH.c.incident, SEARCH.c.opened_at, SEARCH.c.terms)
        .where(*conditions)
        .order_by(*newest)
        .limit(literal_column(str(_LOOKED_AT)))
        .subquery(search.TABLE)
    )
    named = select(near.c.incident).where(term)
    return named.order_by(near.c.opened_at.desc(), near.c.incident.desc())


def _sorted(term: ColumnElement[bool], conditions: Sequence[ColumnElement[bool]]) -> Select[Any]:
    """Look all up that mention the words, and sort them."""
    named = (
        select(SEARCH.c.incident, SEARCH.c.opened_at)
        .where(term, *conditions)
        .cte("named")
        .prefix_with("MATERIALIZED")
    )
    return select(named.c.incident).order_by(named.c.opened_at.desc(), named.c.incident.desc())


def _term(sought: Asked) -> ColumnElement[bool]:
    query: ColumnElement[Any] = bindparam("sought", sought.query(sqlite=False))
    return literal_column(f"{search.TABLE}.terms").op("@@")(cast(query, TSQUERY))


def _times(wanted: Filter, opened_at: ColumnElement[Any]) -> list[ColumnElement[bool]]:
    given: list[tuple[datetime | None, Any]] = [
        (wanted.since, opened_at.__ge__),
        (wanted.until, opened_at.__lt__),
    ]
    return [judge(moment) for moment, judge in given if moment is not None]
