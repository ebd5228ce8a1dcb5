"""Incidents as they are written: lock one, save what became of it. Reading for people: history."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from enum import Enum
from typing import Any

import msgspec
from sqlalchemy import RowMapping, insert, select, update

from services.alerter.store.database import Transaction, insert_into
from services.alerter.store.tables import BACKLASH, EVIDENCE, INCIDENTS, TRANSITIONS
from uproar.backlash import MAX_EVIDENCE, Backlash, BacklashId, Evidence, Level, Why
from uproar.incident import Incident, IncidentId, State, Transition
from uproar.post import PostId
from uproar.subject import Subject


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """When ingest accepted what led to an event, and the trace that began there."""

    accepted_at: datetime | None = None
    traceparent: str | None = None


async def locked(transaction: Transaction, incident: IncidentId) -> Incident | None:
    """Return an incident that nobody else can change before this transaction ends."""
    query = select(INCIDENTS).where(INCIDENTS.c.id == incident).with_for_update()
    row = (await transaction.execute(query)).mappings().one_or_none()
    if row is None:
        return None
    heard = await transaction.scalars(select(BACKLASH.c.id).where(BACKLASH.c.incident == incident))
    return _incident(row, await cited(transaction, incident), frozenset(map(BacklashId, heard)))


async def cited(transaction: Transaction, incident: IncidentId) -> tuple[Evidence, ...]:
    """Return the evidence of the last event that brought any."""
    newest = (
        select(EVIDENCE.c.sequence)
        .where(EVIDENCE.c.incident == incident)
        .order_by(EVIDENCE.c.sequence.desc())
        .limit(1)
        .scalar_subquery()
    )
    query = (
        select(EVIDENCE)
        .where(EVIDENCE.c.incident == incident, EVIDENCE.c.sequence == newest)
        .order_by(EVIDENCE.c.place)
        .limit(MAX_EVIDENCE)
    )
    return tuple(_evidence(row) for row in (await transaction.execute(query)).mappings())


async def create(
    transaction: Transaction, incident: Incident, subject: Subject, *, now: datetime
) -> None:
    """Write a new incident; the subject is remembered as it is now."""
    row = _row(incident) | {
        "subject_name": subject.name,
        "kind": subject.kind.value,
        "created_at": now,
    }
    await transaction.execute(insert(INCIDENTS).values(**row))


async def save(transaction: Transaction, incident: Incident) -> None:
    """Write what became of an incident that :func:`locked` gave."""
    await transaction.execute(
        update(INCIDENTS).where(INCIDENTS.c.id == incident.id).values(**_row(incident))
    )


async def write_down(transaction: Transaction, lines: Sequence[Transition]) -> None:
    """Add lines to the timeline."""
    await transaction.execute(insert(TRANSITIONS), [_fields(line) for line in lines])


async def remember_event(
    transaction: Transaction, event: Backlash, arrival: Arrival, *, now: datetime
) -> None:
    """Note that an event has been taken; a repeat of it finds it in ``Incident.heard``."""
    await transaction.execute(
        insert(BACKLASH).values(
            id=event.id,
            incident=event.incident,
            at=event.at,
            received_at=now,
            accepted_at=arrival.accepted_at,
            traceparent=arrival.traceparent,
        )
    )


async def arrival(transaction: Transaction, incident: IncidentId) -> Arrival:
    """Return how the incident's last event came here."""
    query = (
        select(BACKLASH.c.accepted_at, BACKLASH.c.traceparent)
        .where(BACKLASH.c.incident == incident)
        .order_by(BACKLASH.c.received_at.desc())
        .limit(1)
    )
    row = (await transaction.execute(query)).one_or_none()
    if row is None:
        return Arrival()
    return Arrival(accepted_at=row.accepted_at, traceparent=row.traceparent)


async def add_evidence(
    transaction: Transaction, incident: Incident, evidence: Sequence[Evidence]
) -> None:
    """Keep the posts that an event cites; a post cited before moves to the newest ones."""
    rows = {
        post.id: {
            "incident": incident.id,
            "post": post.id,
            "text": post.text,
            "url": post.url,
            "author": post.author,
            "created_at": post.created_at,
            "why": post.why,
            "sequence": incident.sequence,
            "place": place,
        }
        for place, post in enumerate(evidence)
    }
    if not rows:
        return
    statement = insert_into(transaction, EVIDENCE).values(list(rows.values()))
    new = {column.name: statement.excluded[column.name] for column in EVIDENCE.c}
    await transaction.execute(
        statement.on_conflict_do_update(index_elements=["incident", "post"], set_=new)
    )


def _row(incident: Incident) -> dict[str, Any]:
    row = _fields(incident)
    for apart in ("evidence", "heard"):
        del row[apart]
    return row | {"why": msgspec.to_builtins(incident.why)}


def _fields(value: Incident | Transition) -> dict[str, Any]:
    """Return the fields of a value as they are stored: enums by their text."""
    pairs = ((field.name, getattr(value, field.name)) for field in fields(value))
    return {name: item.value if isinstance(item, Enum) else item for name, item in pairs}


def _incident(
    row: RowMapping, evidence: tuple[Evidence, ...], heard: frozenset[BacklashId]
) -> Incident:
    known = {field.name: row[field.name] for field in fields(Incident) if field.name in row}
    return Incident(
        **known
        | {
            "state": State(row["state"]),
            "level": Level(row["level"]),
            "why": msgspec.convert(row["why"], Why),
            "evidence": evidence,
            "heard": heard,
        }
    )


def _evidence(row: RowMapping) -> Evidence:
    return Evidence(
        id=PostId(row["post"]),
        text=row["text"],
        url=row["url"],
        author=row["author"],
        created_at=row["created_at"],
        why=row["why"],
    )
