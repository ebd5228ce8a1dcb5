"""Incidents as they are written: lock one, save what became of it. Reading for people: history."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime, timedelta
from enum import Enum
from typing import Any, Final

import msgspec
from sqlalchemy import RowMapping, func, insert, select, text, update

from services.alerter.store import networks
from services.alerter.store.database import SQLITE, Transaction, insert_into
from services.alerter.store.tables import BACKLASH, EPISODES, EVIDENCE, INCIDENTS, TRANSITIONS
from uproar.backlash import MAX_EVIDENCE, Backlash, BacklashId, EpisodeId, Evidence, Level, Why
from uproar.incident import Episode, Incident, IncidentId, State, Transition, Verdict, belongs
from uproar.post import PostId
from uproar.subject import Kind, Subject

_FEED: Final = 7_089_234_772
"""On PostgreSQL one transaction at a time adds lines: their positions grow as they are seen; and
none adds any while posts are taken back."""
_APART: Final = ("evidence", "heard", "episodes")
_STANDING: Final = (
    "title",
    "why",
    "peak_severity",
    "happened_at",
    "began_at",
    "acknowledged_at",
    "acknowledged_by",
    "resolved_at",
    "resolved_by",
    "assignee",
    "snoozed_until",
    "verdict",
    "verdict_reason",
    "verdict_by",
    "verdict_at",
    "merged_into",
)
"""What a version keeps of an incident beside the columns of its line."""
MAX_SPAN: Final = 24
"""2 ** 24 minutes are 32 years."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """When ingest accepted what led to an event, and the trace that began there."""

    accepted_at: datetime | None = None
    traceparent: str | None = None


async def alone(transaction: Transaction) -> None:
    """
    Let nobody else move incidents, or take posts back, before this transaction ends.

    It comes first in a transaction, before a row is read or locked: so what is read of tombstones
    and evidence still holds when it is told on, and nobody waits for each other.
    """
    if transaction.dialect.name != SQLITE:
        await transaction.execute(text(f"SELECT pg_advisory_xact_lock({_FEED})"))


async def locked(transaction: Transaction, incident: IncidentId) -> Incident | None:
    """
    Return an incident that nobody else can change before this transaction ends.

    It may be asked for by the name of any of its episodes.
    """
    query = select(INCIDENTS).where(INCIDENTS.c.id == incident).with_for_update()
    row = (await transaction.execute(query)).mappings().one_or_none()
    if row is None:
        whole = await home_of(transaction, incident)
        return await locked(transaction, whole) if whole and whole != incident else None
    heard = await transaction.scalars(select(BACKLASH.c.id).where(BACKLASH.c.incident == incident))
    named = await transaction.scalars(
        select(EPISODES.c.id).where(EPISODES.c.incident == incident).order_by(EPISODES.c.number)
    )
    return replace(
        _incident(row),
        evidence=await cited(transaction, incident),
        heard=frozenset(map(BacklashId, heard)),
        episodes=tuple(map(EpisodeId, named)),
    )


async def home(transaction: Transaction, event: Backlash, *, kind: Kind) -> Incident | None:
    """
    Return the incident that an event belongs to, locked; None where it begins one.

    A canary's episodes stay apart: each post of it is an incident of its own.
    """
    known = await home_of(transaction, event.incident)
    if known is not None:
        return await locked(transaction, known)
    if kind is Kind.CANARY:
        return None
    query = (
        select(EPISODES.c.incident)
        .where(EPISODES.c.subject == event.subject, EPISODES.c.began_at <= event.at)
        .order_by(EPISODES.c.began_at.desc(), EPISODES.c.number.desc())
        .limit(1)
    )
    last = await transaction.scalar(query)
    found = await locked(transaction, IncidentId(last)) if last else None
    return found if found and belongs(event, found) else None


async def home_of(transaction: Transaction, episode: str) -> IncidentId | None:
    """Return the incident that an episode is of."""
    query = select(EPISODES.c.incident).where(EPISODES.c.id == episode)
    found = await transaction.scalar(query)
    return IncidentId(found) if found else None


async def episode(transaction: Transaction, incident: IncidentId, number: int) -> Episode | None:
    """Return one episode of an incident."""
    query = select(EPISODES).where(EPISODES.c.incident == incident, EPISODES.c.number == number)
    row = (await transaction.execute(query)).mappings().one_or_none()
    if row is None:
        return None
    known = {field.name: row[field.name] for field in fields(Episode)}
    verdict = row["verdict"] and Verdict(row["verdict"])
    return Episode(**known | {"level": Level(row["level"]), "verdict": verdict})


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
    await _save_episode(transaction, incident)


async def save(transaction: Transaction, incident: Incident) -> None:
    """Write what became of an incident that :func:`locked` gave."""
    await transaction.execute(
        update(INCIDENTS).where(INCIDENTS.c.id == incident.id).values(**_row(incident))
    )
    await _save_episode(transaction, incident)


async def _save_episode(transaction: Transaction, incident: Incident) -> None:
    row = _fields(incident.last) | {"incident": incident.id, "subject": incident.subject}
    statement = insert_into(transaction, EPISODES).values(**row)
    await transaction.execute(statement.on_conflict_do_update(index_elements=["id"], set_=row))


async def write_down(
    transaction: Transaction,
    incident: Incident,
    lines: Sequence[Transition],
    *,
    kind: Kind = Kind.BRAND,
) -> None:
    """
    Add lines to the timeline; the last one says how the incident stands from now on.

    The transaction must be :func:`alone`.
    """
    position = await transaction.scalar(select(func.max(TRANSITIONS.c.position))) or 0
    standing = {name: _plain(getattr(incident, name)) for name in _STANDING}
    standing["why"] = msgspec.to_builtins(incident.why)
    for place, line in enumerate(lines, start=position + 1):
        await _end_version(transaction, line)
        row = _fields(line) | {
            "position": place,
            "subject": incident.subject,
            "opened_at": None if kind is Kind.CANARY else incident.opened_at,
            "standing": standing,
        }
        await transaction.execute(insert(TRANSITIONS).values(**row))


async def _end_version(transaction: Transaction, line: Transition) -> None:
    """Note until when the line before this one was how the incident stood."""
    if line.sequence == 1:
        return
    before = (TRANSITIONS.c.incident == line.incident) & (
        TRANSITIONS.c.sequence == line.sequence - 1
    )
    since = await transaction.scalar(select(TRANSITIONS.c.at).where(before))
    if since is not None:
        until = max(since, line.at)  # clocks of two machines differ
        await transaction.execute(
            update(TRANSITIONS).where(before).values(until=until, span=span_of(until - since))
        )


def span_of(duration: timedelta) -> int:
    """Return the smallest power of two, in minutes, that a time fits into."""
    minutes = math.ceil(duration / timedelta(minutes=1))
    return min(MAX_SPAN, max(0, minutes - 1).bit_length())


async def heard(transaction: Transaction, event: Backlash) -> bool:
    """Tell whether an event was taken before, whatever incident it named then."""
    return (
        await transaction.scalar(select(BACKLASH.c.id).where(BACKLASH.c.id == event.id)) is not None
    )


async def remember_event(
    transaction: Transaction,
    incident: IncidentId,
    event: Backlash,
    arrival: Arrival,
    *,
    now: datetime,
) -> None:
    """Note that an event has been taken; a repeat of it finds it in ``Incident.heard``."""
    await transaction.execute(
        insert(BACKLASH).values(
            id=event.id,
            incident=incident,
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
            "cited_at": incident.updated_at,
        }
        for place, post in enumerate(evidence)
    }
    if not rows:
        return
    await networks.remember(transaction, rows)
    statement = insert_into(transaction, EVIDENCE).values(list(rows.values()))
    new = {
        column.name: statement.excluded[column.name]
        for column in EVIDENCE.c
        if column.name != "cited_at"  # when it was cited first
    }
    await transaction.execute(
        statement.on_conflict_do_update(index_elements=["incident", "post"], set_=new)
    )


def _row(incident: Incident) -> dict[str, Any]:
    row = _fields(incident)
    for apart in _APART:
        del row[apart]
    return row | {"why": msgspec.to_builtins(incident.why)}


def _fields(value: Incident | Episode | Transition) -> dict[str, Any]:
    """Return the fields of a value as they are stored: enums by their text."""
    pairs = ((field.name, getattr(value, field.name)) for field in fields(value))
    return {name: item.value if isinstance(item, Enum) else item for name, item in pairs}


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value


def _incident(row: RowMapping) -> Incident:
    known = {field.name: row[field.name] for field in fields(Incident) if field.name in row}
    return Incident(
        **known
        | {
            "state": State(row["state"]),
            "level": Level(row["level"]),
            "why": msgspec.convert(row["why"], Why),
            "evidence": (),
            "verdict": row["verdict"] and Verdict(row["verdict"]),
            "merged_from": row["merged_from"] and State(row["merged_from"]),
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
