"""History: incidents as people and programs read them. It changes nothing."""

from collections.abc import Collection
from dataclasses import dataclass
from itertools import product
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Select,
    and_,
    func,
    literal_column,
    select,
    true,
    union_all,
)

from services.alerter.store import mentions
from services.alerter.store.database import Transaction
from services.alerter.store.filter import Filter, Place, behind, tens_from
from services.alerter.store.tables import EPISODES, EVIDENCE, INCIDENTS, TRANSITIONS
from uproar.incident import State
from uproar.subject import Kind

SHOWN: Final = INCIDENTS.c.kind != literal_column(f"'{Kind.CANARY.value}'")
"""The one place that leaves canaries out of lists, counts and reports; as the indexes say it."""

UNRESOLVED: Final = tuple(state for state in State if state is not State.RESOLVED)
"""In these few incidents stand, and not for long; resolved is all the history."""

_NEWEST: Final = (INCIDENTS.c.opened_at.desc(), INCIDENTS.c.id.desc())
_MAX_BRANCHES: Final = 64

Row = dict[str, Any]


async def incidents(
    transaction: Transaction, wanted: Filter, *, limit: int, after: Place | None = None
) -> list[Row]:
    """Return at most ``limit`` incidents, the newest first, behind the place ``after``."""
    if wanted.subjects == []:
        return []
    if wanted.text is not None:
        return await _mentioning(transaction, wanted, limit=limit, after=after)
    conditions = [SHOWN, *_conditions(wanted)]
    if after is not None:
        conditions.append(behind(after, INCIDENTS.c.opened_at, INCIDENTS.c.id))
    branches = [_ranked(branch, *conditions).limit(limit) for branch in _branches(wanted)]
    if len(branches) == 1:
        listed = branches[0].subquery()
    else:
        found = union_all(*(select(branch.subquery()) for branch in branches)).subquery()
        newest = (found.c.opened_at.desc(), found.c.id.desc())
        listed = select(found.c.id).order_by(*newest).limit(limit).subquery()
    query = select(INCIDENTS).join(listed, listed.c.id == INCIDENTS.c.id).order_by(*_NEWEST)
    return await _rows(transaction, query)


def _branches(wanted: Filter) -> list[ColumnElement[bool]]:
    """
    Cut what is asked for into lists that each lie in order in one index, to be merged.

    An engine that is asked for two states at once, or for a range of severities, sorts or skips
    all that ever stood in any.
    """
    states = [INCIDENTS.c.state == state.value for state in wanted.states]
    if wanted.subjects is not None:
        subjects = [INCIDENTS.c.subject == subject for subject in wanted.subjects]
        if len(subjects) * max(1, len(states)) > _MAX_BRANCHES:
            subjects = [INCIDENTS.c.subject.in_(wanted.subjects)]
        if not states:
            return subjects
        return [and_(*pair) for pair in product(subjects, states)]
    if not wanted.severity_min:
        return states or [true()]
    if State.RESOLVED not in wanted.states and states:
        return states
    ones, tens = tens_from(wanted.severity_min)
    branches: list[ColumnElement[bool]] = [INCIDENTS.c.severity == one for one in ones]
    branches += [INCIDENTS.c.tens == ten for ten in tens]
    if states:  # of a severity nearly all are resolved: few are passed over
        within = INCIDENTS.c.state.in_([state.value for state in wanted.states])
        branches = [and_(branch, within) for branch in branches]
    return branches


def _ranked(*conditions: ColumnElement[bool]) -> Select[Any]:
    return select(INCIDENTS.c.id, INCIDENTS.c.opened_at).where(*conditions).order_by(*_NEWEST)


async def _mentioning(
    transaction: Transaction, wanted: Filter, *, limit: int, after: Place | None
) -> list[Row]:
    """List what mentions some words."""
    sought = mentions.asked(wanted, now=True)
    if sought is None:
        return []
    ids = await mentions.listed(transaction, wanted, sought, limit=limit, after=after)
    rows = await _rows(transaction, select(INCIDENTS).where(INCIDENTS.c.id.in_(ids)))
    by_id = {row["id"]: row for row in rows}
    return [by_id[one] for one in ids]


async def incident(transaction: Transaction, incident_id: str) -> Row | None:
    """Return one incident, by its id or by the name of one of its episodes."""
    rows = await _rows(transaction, select(INCIDENTS).where(INCIDENTS.c.id == incident_id))
    if not rows:
        whole = select(EPISODES.c.incident).where(EPISODES.c.id == incident_id).scalar_subquery()
        rows = await _rows(transaction, select(INCIDENTS).where(INCIDENTS.c.id == whole))
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


async def episodes(transaction: Transaction, incident_id: str) -> list[Row]:
    """Return the episodes of an incident, the first first."""
    query = select(EPISODES).where(EPISODES.c.incident == incident_id).order_by(EPISODES.c.number)
    return await _rows(transaction, query)


async def merged(transaction: Transaction, incident_id: str) -> list[Row]:
    """Return the incidents for which this one speaks."""
    query = select(INCIDENTS).where(INCIDENTS.c.merged_into == incident_id).order_by(*_NEWEST)
    return await _rows(transaction, query)


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """How many incidents stand in each state, and how bad the worst is that is not resolved."""

    by_state: dict[State, int]
    worst_severity: int | None


async def counts(
    transaction: Transaction,
    sight: frozenset[str] | None = None,
    *,
    states: Collection[State] = UNRESOLVED,
) -> Counts:
    """Count the incidents that may be seen; those that are resolved only on demand, for they are many."""
    query = (
        select(INCIDENTS.c.state, func.count(), func.max(INCIDENTS.c.severity))
        .where(
            SHOWN,
            INCIDENTS.c.state.in_([state.value for state in states]),
            true() if sight is None else INCIDENTS.c.subject.in_(sorted(sight)),
        )
        .group_by(INCIDENTS.c.state)
    )
    found = {State(row[0]): (row[1], row[2]) for row in await transaction.execute(query)}
    worst = [severity for state, (_, severity) in found.items() if state is not State.RESOLVED]
    return Counts(
        by_state={state: found.get(state, (0, 0))[0] for state in states},
        worst_severity=max(worst, default=None),
    )


def _conditions(wanted: Filter) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if wanted.severity_min is not None:
        conditions.append(INCIDENTS.c.severity >= wanted.severity_min)
    if wanted.since is not None:
        conditions.append(INCIDENTS.c.opened_at >= wanted.since)
    if wanted.until is not None:
        conditions.append(INCIDENTS.c.opened_at < wanted.until)
    return conditions


async def _rows(transaction: Transaction, query: Select[Any]) -> list[Row]:
    return [dict(row) for row in (await transaction.execute(query)).mappings()]
