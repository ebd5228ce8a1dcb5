"""Past: incidents as they were known at a past moment. Each line of a timeline is a version."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import product
from typing import Any, Final

from sqlalchemy import ColumnElement, Select, and_, func, or_, select, true, union_all

from services.alerter.store import history, mentions
from services.alerter.store.database import Transaction
from services.alerter.store.filter import Filter, Place, behind
from services.alerter.store.history import Row
from services.alerter.store.incidents import MAX_SPAN
from services.alerter.store.search import Asked
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


_SPANS: Final = (tuple(range(7)), *((n, n + 1) for n in range(7, MAX_SPAN, 2)))
"""Lengths that are looked through together: all up to an hour, then two and two."""
_AT_ONCE: Final = 500
"""So many are looked at together at most."""


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
    if wanted.text is None:
        found = await _standing(transaction, wanted, at, limit=limit, after=after)
    else:
        found = await _mentioning(transaction, wanted, at, limit=limit, after=after)
    lines = select(TRANSITIONS).where(_T.incident.in_(found), *_conditions(wanted, at))
    rows = await stood(transaction, await _rows(transaction, lines))
    by_id = {row["id"]: row for row in rows}
    return [by_id[incident] for incident in found]


async def _standing(
    transaction: Transaction, wanted: Filter, at: datetime, *, limit: int, after: Place | None
) -> list[str]:
    conditions = _conditions(wanted, at)
    if after is not None:
        conditions.append(behind(after, _T.opened_at, _T.incident))
    ranked = [_in_order(branch, *conditions) for branch in _lasting(wanted)]
    ranked += [_few(branch, *conditions) for branch in _brief(wanted, at)]
    found = union_all(*(select(one.limit(limit).subquery()) for one in ranked)).subquery()
    newest = (
        select(found.c.incident)
        .order_by(found.c.opened_at.desc(), found.c.incident.desc())
        .limit(limit)
    )
    return list(await transaction.scalars(newest))


async def _mentioning(
    transaction: Transaction, wanted: Filter, at: datetime, *, limit: int, after: Place | None
) -> list[str]:
    """Look through what mentions the words, or through what stood so, whichever is the less."""
    sought = mentions.asked(wanted, now=False)
    if sought is None:
        return []
    brief = wanted.states and not _LASTING.intersection(wanted.states)
    look = _standing_that_mention if brief else _mentioned_that_stood
    found: list[str] = []
    # Some did not stand so, and a second look has PostgreSQL sort all that mentions the words anew.
    many = min(2 * limit, _AT_ONCE)
    while len(found) < limit:
        named, last = await look(transaction, wanted, sought, at, after, many)
        found += named
        if last is None:
            break
        opened = select(INCIDENTS.c.opened_at).where(INCIDENTS.c.id == last)
        after = ((await transaction.scalars(opened)).one(), last)
        many = min(2 * many, _AT_ONCE)
    return found[:limit]


async def _standing_that_mention(  # noqa: PLR0917
    transaction: Transaction,
    wanted: Filter,
    sought: Asked,
    at: datetime,
    after: Place | None,
    many: int,
) -> tuple[list[str], str | None]:
    """Of the next that stood in a state in which few stand keep those that mention the words."""
    ids = await _standing(transaction, wanted, at, limit=many, after=after)
    named = await mentions.among(transaction, ids, sought)
    return [one for one in ids if one in named], ids[-1] if len(ids) == many else None


async def _mentioned_that_stood(  # noqa: PLR0917
    transaction: Transaction,
    wanted: Filter,
    sought: Asked,
    at: datetime,
    after: Place | None,
    many: int,
) -> tuple[list[str], str | None]:
    """Of the next that mention the words keep those that stood as they are asked for."""
    opened = replace(wanted, until=min(wanted.until or at + AHEAD, at + AHEAD))
    ids = await mentions.listed(transaction, opened, sought, limit=many, after=after)
    conditions = [_T.incident.in_(ids), *_conditions(wanted, at)]
    if wanted.states:
        conditions.append(_T.after.in_([state.value for state in wanted.states]))
    stood_so = set(await transaction.scalars(select(_T.incident).where(*conditions)))
    return [one for one in ids if one in stood_so], ids[-1] if len(ids) == many else None


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


def _lasting(wanted: Filter) -> list[ColumnElement[bool]]:
    """
    Cut what is asked for of the lasting states into lists that each lie in order in one index.

    The state is hidden from the index of lengths: nearly all stand so, it would sort them all.
    """
    states = [state.value for state in wanted.states if state in _LASTING]
    if wanted.states and not states:
        return []
    so = func.coalesce(_T.after, "").in_(states) if states else true()
    return _about(wanted, [so])


def _brief(wanted: Filter, at: datetime) -> list[ColumnElement[bool]]:
    """
    Cut what is asked for of the other states into short lists.

    Of all the time that an incident was open few moments are the one asked for. So a version is
    kept by the length of its life: one that lasted 2 ** n minutes and holds at a moment has begun
    in the 2 ** n minutes before it, and no other need be looked at.
    """
    states = [state.value for state in wanted.states if state not in _LASTING]
    branches = []
    for state, spans in product(states, _SPANS):
        began = at - timedelta(minutes=2 ** spans[-1])
        branches.append(and_(_T.after == state, _T.span.in_(spans), _T.at >= began))
    branches += [and_(_T.after == state, _T.span.is_(None)) for state in states]
    return _about(wanted, branches)


def _about(wanted: Filter, branches: list[ColumnElement[bool]]) -> list[ColumnElement[bool]]:
    if wanted.subjects is None:
        return branches
    if len(branches) * len(wanted.subjects) > _MAX_BRANCHES:
        within = _T.subject.in_(wanted.subjects)
        return [and_(branch, within) for branch in branches]
    return [
        and_(branch, _T.subject == subject)
        for branch, subject in product(branches, wanted.subjects)
    ]


def _in_order(*conditions: ColumnElement[bool]) -> Select[Any]:
    return select(_T.incident, _T.opened_at).where(*conditions).order_by(*_NEWEST)


def _few(*conditions: ColumnElement[bool]) -> Select[Any]:
    """Find few by their length, and sort them: so that no engine walks along the list for them."""
    opened_at = func.coalesce(_T.opened_at, None, type_=_T.opened_at.type).label("opened_at")
    query = select(_T.incident, opened_at).where(*conditions)
    return query.order_by(opened_at.desc(), _T.incident.desc())


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
