"""Past: incidents as they were known at a past moment. Each line of a timeline is a version."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import product
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Select,
    and_,
    bindparam,
    or_,
    select,
    true,
    tuple_,
    union_all,
)

from services.alerter.store import history
from services.alerter.store.database import Transaction
from services.alerter.store.history import Filter, Place, Row
from services.alerter.store.incidents import MAX_SPAN
from services.alerter.store.tables import EVIDENCE, INCIDENTS, TRANSITIONS
from uproar.incident import State

AHEAD: Final = timedelta(hours=1)
"""Event time is never further ahead of the wall clock: ingest refuses posts of the future."""

_T = TRANSITIONS.c
_NEWEST: Final = (_T.opened_at.desc(), _T.incident.desc())
_MAX_BRANCHES: Final = 64
_VERSION: Final = ("level", "severity", "posts", "authors", "episode", "sequence")
_LASTING: Final = frozenset({State.RESOLVED})
"""In this state most incidents stand for ever; in the others few do, and not for long."""


async def incidents(
    transaction: Transaction,
    wanted: Filter,
    at: datetime,
    *,
    limit: int,
    after: Place | None = None,
) -> list[Row]:
    """Return at most ``limit`` incidents as they stood at a moment, the newest first."""
    if wanted.subjects == []:
        return []
    conditions = _conditions(wanted, at)
    branches = _branches(wanted, at)
    if wanted.text is not None:
        named = await history.mentioning(transaction, wanted.text, wanted.subjects)
        few = not isinstance(named, Select)
        if few:  # each is found by its id: the states are decided for these alone
            branches = [_T.after.in_([state.value for state in wanted.states or State])]
        conditions.append(_T.incident.in_(named))
    if after is not None:
        place = tuple_(
            bindparam("opened_at", after[0], _T.opened_at.type, unique=True),
            bindparam("id", after[1], _T.incident.type, unique=True),
        )
        conditions.append(place > tuple_(_T.opened_at, _T.incident))
    found = union_all(
        *(select(_ranked(branch, *conditions).limit(limit).subquery()) for branch in branches)
    ).subquery()
    newest = (
        select(found.c.incident, found.c.sequence)
        .order_by(found.c.opened_at.desc(), found.c.incident.desc())
        .limit(limit)
        .subquery()
    )
    listed = and_(newest.c.incident == _T.incident, newest.c.sequence == _T.sequence)
    query = select(TRANSITIONS).join(newest, listed).order_by(*_NEWEST)
    return await stood(transaction, await _rows(transaction, query))


async def incident(transaction: Transaction, incident_id: str, at: datetime) -> Row | None:
    """Return one incident as it stood at a moment; None where it was not known then."""
    now = await history.incident(transaction, incident_id)
    if now is None:
        return None
    query = select(TRANSITIONS).where(_T.incident == now["id"], _T.at <= at)
    last = await _rows(transaction, query.order_by(_T.sequence.desc()).limit(1))
    return (await stood(transaction, last))[0] if last else None


async def evidence(transaction: Transaction, incident_id: str, at: datetime) -> list[Row]:
    """Return the posts that had been cited until a moment; what was deleted since stays blank."""
    query = (
        select(EVIDENCE)
        .where(
            EVIDENCE.c.incident == incident_id,
            or_(EVIDENCE.c.cited_at.is_(None), EVIDENCE.c.cited_at <= at),
        )
        .order_by(EVIDENCE.c.sequence.desc(), EVIDENCE.c.place)
    )
    return await _rows(transaction, query)


def _conditions(wanted: Filter, at: datetime) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = [
        _T.at <= at,
        or_(_T.until.is_(None), _T.until > at),
        _T.opened_at <= at + AHEAD,
    ]
    if wanted.severity_min is not None:
        conditions.append(_T.severity >= wanted.severity_min)
    if wanted.since is not None:
        conditions.append(_T.opened_at >= wanted.since)
    if wanted.until is not None:
        conditions.append(_T.opened_at < wanted.until)
    return conditions


def _branches(wanted: Filter, at: datetime) -> list[ColumnElement[bool]]:
    """
    Cut what is asked for into lists that are short or lie in order in one index.

    Of all the time that an incident was open few moments are the one asked for. So a version is
    kept by the length of its life: one that lasted 2 ** n minutes and holds at a moment has begun
    in the 2 ** n minutes before it, and no other need be looked at.
    """
    lasting = [state for state in wanted.states if state in _LASTING]
    brief = [state for state in wanted.states if state not in _LASTING]
    branches: list[ColumnElement[bool]] = [_T.after == state.value for state in lasting]
    if not wanted.states:
        branches = [true()]
    for state, span in product(brief, range(MAX_SPAN + 1)):
        began = at - timedelta(minutes=2**span)
        branches.append(and_(_T.after == state.value, _T.span == span, _T.at >= began))
    branches += [and_(_T.after == state.value, _T.span.is_(None)) for state in brief]
    if wanted.subjects is None:
        return branches
    if len(branches) * len(wanted.subjects) > _MAX_BRANCHES:
        within = _T.subject.in_(wanted.subjects)
        return [and_(branch, within) for branch in branches]
    return [
        and_(branch, _T.subject == subject)
        for branch, subject in product(branches, wanted.subjects)
    ]


def _ranked(*conditions: ColumnElement[bool]) -> Select[Any]:
    query = select(_T.incident, _T.sequence, _T.opened_at).where(*conditions)
    return query.order_by(*_NEWEST)


async def stood(transaction: Transaction, versions: Sequence[Row]) -> list[Row]:
    """Put versions together with what of an incident never changes."""
    ids = {version["incident"] for version in versions}
    rows = await transaction.execute(select(INCIDENTS).where(INCIDENTS.c.id.in_(ids)))
    now = {row["id"]: dict(row) for row in rows.mappings()}
    return [now[version["incident"]] | _then(version) for version in versions]


async def _rows(transaction: Transaction, query: Select[Any]) -> list[Row]:
    return [dict(row) for row in (await transaction.execute(query)).mappings()]


def _then(version: Row) -> Row:
    known = {name: version[name] for name in _VERSION}
    return known | {
        "state": version["after"],
        "updated_at": version["at"],
        **(version["standing"] or {}),
    }
