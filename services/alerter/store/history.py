"""History: incidents as people and programs read them. It changes nothing."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import product
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Select,
    and_,
    bindparam,
    cast,
    column,
    func,
    literal_column,
    select,
    table,
    true,
    tuple_,
    union_all,
)
from sqlalchemy.dialects.postgresql import TSQUERY

from services.alerter.store import search
from services.alerter.store.columns import UtcDateTime
from services.alerter.store.database import SQLITE, Transaction
from services.alerter.store.tables import EPISODES, EVIDENCE, INCIDENTS, TRANSITIONS
from uproar.incident import State
from uproar.subject import Kind

SHOWN: Final = INCIDENTS.c.kind != literal_column(f"'{Kind.CANARY.value}'")
"""The one place that leaves canaries out of lists, counts and reports; as the indexes say it."""

SEARCH: Final = table(
    search.TABLE,
    column("rowid"),
    column("incident"),
    column("opened_at", UtcDateTime),
    column("terms"),
)
_PLACE: Final = tuple_(INCIDENTS.c.opened_at, INCIDENTS.c.id)
_NEWEST: Final = (INCIDENTS.c.opened_at.desc(), INCIDENTS.c.id.desc())
_MAX_BRANCHES: Final = 64
_FEW: Final = 1000  # ids that are looked up one by one
_RARE: Final = 70  # from this severity on incidents are too few to be met soon in the list
_WORST: Final = 100

Row = dict[str, Any]
Place = tuple[datetime, str]
"""Where a page of a list ended: opened_at and id of its last incident."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """
    Which incidents are asked for; ``since`` (inclusive) and ``until`` judge ``opened_at``.

    Attributes:
        sight: The only subjects that whoever asks may see; None: all.
        text: Words that the incident or its evidence mentions, all of them.
    """

    states: Sequence[State] = ()
    subject: str | None = None
    sight: frozenset[str] | None = None
    severity_min: int | None = None
    since: datetime | None = None
    until: datetime | None = None
    text: str | None = None

    @property
    def subjects(self) -> list[str] | None:
        """The subjects that are asked for and may be seen; None: all."""
        if self.subject is None:
            return None if self.sight is None else sorted(self.sight)
        seen = self.sight is None or self.subject in self.sight
        return [self.subject] if seen else []


async def incidents(
    transaction: Transaction, wanted: Filter, *, limit: int, after: Place | None = None
) -> list[Row]:
    """Return at most ``limit`` incidents, the newest first, behind the place ``after``."""
    if wanted.subjects == []:
        return []
    if wanted.text is not None:
        return await _mentioning(transaction, wanted, wanted.text, limit=limit, after=after)
    conditions = [SHOWN, *_conditions(wanted)]
    if after is not None:
        conditions.append(_place(after) > _PLACE)
    found = union_all(
        *(
            select(_ranked(branch, *conditions).limit(limit).subquery())
            for branch in _branches(wanted)
        )
    ).subquery()
    listed = (
        select(found.c.id).order_by(found.c.opened_at.desc(), found.c.id.desc()).limit(limit)
    ).subquery()
    query = select(INCIDENTS).join(listed, listed.c.id == INCIDENTS.c.id).order_by(*_NEWEST)
    return await _rows(transaction, query)


def _branches(wanted: Filter) -> list[ColumnElement[bool]]:
    """
    Cut what is asked for into lists that each lie in order in one index, to be merged.

    An engine that is asked for two states at once, or for a range of severities, sorts or skips
    all that ever stood in any.
    """
    states = [state.value for state in wanted.states]
    if wanted.subjects is None and not states and (wanted.severity_min or 0) >= _RARE:
        return [INCIDENTS.c.severity == one for one in range(wanted.severity_min or 0, _WORST + 1)]
    if wanted.subjects is None:
        return [INCIDENTS.c.state == state for state in states] or [true()]
    pairs = list(product(wanted.subjects, states or list(State)))
    if len(pairs) > _MAX_BRANCHES:
        within = INCIDENTS.c.subject.in_(wanted.subjects)
        return [and_(within, INCIDENTS.c.state == state) for state in states] or [within]
    return [
        and_(INCIDENTS.c.subject == subject, INCIDENTS.c.state == state) for subject, state in pairs
    ]


def _ranked(*conditions: ColumnElement[bool]) -> Select[Any]:
    return select(INCIDENTS.c.id, INCIDENTS.c.opened_at).where(*conditions).order_by(*_NEWEST)


async def _mentioning(
    transaction: Transaction, wanted: Filter, said: str, *, limit: int, after: Place | None
) -> list[Row]:
    """List what mentions some words: both engines find it in the order of the list."""
    sqlite = transaction.dialect.name == SQLITE
    asked = search.asked(said, wanted.subjects, sqlite=sqlite)
    if asked is None:
        return []
    conditions = [SHOWN, *_conditions(wanted)]
    if wanted.states:
        conditions.append(INCIDENTS.c.state.in_([state.value for state in wanted.states]))
    if wanted.subjects is not None:
        conditions.append(INCIDENTS.c.subject.in_(wanted.subjects))
    query = select(INCIDENTS).join(SEARCH, SEARCH.c.incident == INCIDENTS.c.id).where(*conditions)
    if not sqlite:
        query = query.where(SEARCH.c.terms.op("@@")(cast(asked, TSQUERY)))
        if after is not None:
            query = query.where(tuple_(SEARCH.c.opened_at, SEARCH.c.incident) < _place(after))
        order = (SEARCH.c.opened_at.desc(), SEARCH.c.incident.desc())
        return await _rows(transaction, query.order_by(*order).limit(limit))
    query = query.where(literal_column("search").op("MATCH")(asked))
    if after is not None:
        place = await search.row_of(transaction, after[1])
        query = query.where(SEARCH.c.rowid < place)
    return await _rows(transaction, query.order_by(SEARCH.c.rowid.desc()).limit(limit))


async def mentioning(
    transaction: Transaction, said: str, subjects: Sequence[str] | None
) -> Collection[str] | Select[Any]:
    """Return the ids of what mentions some words; the query for them where they are many."""
    sqlite = transaction.dialect.name == SQLITE
    asked = search.asked(said, subjects, sqlite=sqlite)
    if asked is None:
        return ()
    match = literal_column("search").op("MATCH")(asked)
    if not sqlite:
        match = SEARCH.c.terms.op("@@")(cast(asked, TSQUERY))
    query = select(SEARCH.c.incident).where(match)
    few = list(await transaction.scalars(query.limit(_FEW + 1)))
    return few if len(few) <= _FEW else query


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


async def counts(transaction: Transaction, sight: frozenset[str] | None = None) -> Counts:
    """Count the incidents that may be seen."""
    query = (
        select(INCIDENTS.c.state, func.count(), func.max(INCIDENTS.c.severity))
        .where(SHOWN, true() if sight is None else INCIDENTS.c.subject.in_(sorted(sight)))
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
    if wanted.severity_min is not None:
        conditions.append(INCIDENTS.c.severity >= wanted.severity_min)
    if wanted.since is not None:
        conditions.append(INCIDENTS.c.opened_at >= wanted.since)
    if wanted.until is not None:
        conditions.append(INCIDENTS.c.opened_at < wanted.until)
    return conditions


def _place(after: Place) -> ColumnElement[Any]:
    """Bind both values with the types of their columns."""
    opened_at, incident_id = after
    return tuple_(
        bindparam("opened_at", opened_at, INCIDENTS.c.opened_at.type, unique=True),
        bindparam("id", incident_id, INCIDENTS.c.id.type, unique=True),
    )


async def _rows(transaction: Transaction, query: Select[Any]) -> list[Row]:
    return [dict(row) for row in (await transaction.execute(query)).mappings()]
