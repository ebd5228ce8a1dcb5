"""Incidents over HTTP: list, detail, timeline, evidence, deliveries; acknowledge and resolve."""

from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from services.alerter.api.idempotency import IdempotentRoute
from services.alerter.api.parts import (
    Body,
    Cursor,
    Given,
    Id,
    Limit,
    Page,
    Responder,
    Since,
    Text,
    Until,
    Viewer,
    cursor_of,
    place_of,
)
from services.alerter.api.problems import Problem
from services.alerter.store import deliveries, history
from services.alerter.store.database import Transaction
from services.alerter.store.deliveries import State as DeliveryState
from services.alerter.store.history import Filter
from uproar.backlash import Level
from uproar.incident import Act, Happening, IncidentId, State, Verb
from uproar.notice import NoticeKind

router = APIRouter(prefix="/v1/incidents", tags=["incidents"], route_class=IdempotentRoute)


class Incident(BaseModel):
    """An incident as it stands."""

    id: str
    status: State = Field(validation_alias="state")
    level: Level
    severity: int = Field(description="0..100, as of its last event")
    peak_severity: int
    subject: str
    subject_name: str
    title: str
    posts: int
    authors: int
    opened_at: datetime = Field(description="event time of its first event")
    happened_at: datetime = Field(description="event time of its last event")
    created_at: datetime
    updated_at: datetime
    acknowledged_at: datetime | None
    acknowledged_by: str | None
    resolved_at: datetime | None
    resolved_by: str | None
    episode: int
    why: dict[str, Any] = Field(description="the reasons of its last event, in numbers")


class Incidents(Page):
    """Incidents, the newest first."""

    items: list[Incident]


class Line(BaseModel):
    """One line of the timeline: what happened, who did it, where the incident stood then."""

    sequence: int
    happened: Happening
    before: State | None
    after: State
    at: datetime
    happened_at: datetime | None = Field(description="event time; null for what people did")
    by: str
    level: Level
    severity: int
    posts: int
    authors: int
    page: bool
    backlash: str | None = Field(description="id of the backlash event")
    summary: str | None


class Timeline(Page):
    """What happened to an incident, the first first."""

    items: list[Line]


class Cited(BaseModel):
    """A post that shows what happened."""

    id: str = Field(validation_alias="post")
    text: str
    url: str | None
    author: str | None = Field(description="a pseudonym")
    created_at: datetime
    why: str


class Evidence(Page):
    """Posts that were cited, those of the last event first."""

    items: list[Cited]


class Delivery(BaseModel):
    """One notice on its way to one receiver."""

    id: str
    sequence: int = Field(description="the line of the timeline that it tells of")
    receiver: str
    kind: NoticeKind
    state: DeliveryState
    attempt: int
    next_at: datetime | None
    created_at: datetime
    deadline: datetime | None
    delivered_at: datetime | None = Field(description="the receipt")
    accepted_at: datetime | None = Field(description="where post-to-page begins")
    doubtful: bool = Field(description="an attempt may have arrived without a receipt")
    provider_ref: str | None
    last_error: str | None
    traceparent: str | None


class Deliveries(Page):
    """What was sent to whom."""

    items: list[Delivery]


class Note(Body):
    """What a person says of an act; it stands in the timeline."""

    note: Annotated[Text, Field(max_length=4000)] | None = None


class IncidentQuery(Body):
    """Which incidents; ``since`` and ``until`` judge ``opened_at``."""

    status: tuple[State, ...] = ()
    subject: Annotated[Text, Field(max_length=200)] | None = None
    severity_min: Annotated[int, Field(ge=0, le=100)] | None = None
    since: Since = None
    until: Until = None
    q: Annotated[Text, Field(max_length=200, description="in title, subject, evidence")] | None = (
        None
    )
    limit: Limit = 50
    cursor: Cursor = None


@router.get("")
async def incidents(given: Given, _: Viewer, asked: Annotated[IncidentQuery, Query()]) -> Incidents:
    """List incidents, those that opened last first."""
    wanted = Filter(
        states=asked.status,
        subject=asked.subject,
        severity_min=asked.severity_min,
        since=asked.since,
        until=asked.until,
        text=asked.q,
    )
    after = place_of(asked.cursor, datetime, str)
    async with given.database.reading() as transaction:
        rows = await history.incidents(
            transaction, wanted, limit=asked.limit + 1, after=after and (after[0], after[1])
        )
    shown, more = rows[: asked.limit], len(rows) > asked.limit
    return Incidents(
        items=[Incident.model_validate(row) for row in shown],
        next=cursor_of(shown[-1]["opened_at"], shown[-1]["id"]) if more else None,
    )


@router.get("/{incident_id}")
async def incident(given: Given, _: Viewer, incident_id: Id) -> Incident:
    """Show one incident."""
    async with given.database.reading() as transaction:
        return await _incident(transaction, incident_id)


@router.get("/{incident_id}/timeline")
async def timeline(given: Given, _: Viewer, incident_id: Id) -> Timeline:
    """Show what happened to an incident, the first first."""
    async with given.database.reading() as transaction:
        found = await _incident(transaction, incident_id)
        rows = await history.timeline(transaction, found.id)
    return Timeline(items=[Line.model_validate(row) for row in rows])


@router.get("/{incident_id}/evidence")
async def evidence(given: Given, _: Viewer, incident_id: Id) -> Evidence:
    """Show every post that was cited, those of the last event first."""
    async with given.database.reading() as transaction:
        found = await _incident(transaction, incident_id)
        rows = await history.evidence(transaction, found.id)
    return Evidence(items=[Cited.model_validate(row) for row in rows])


@router.get("/{incident_id}/deliveries")
async def sent(given: Given, _: Viewer, incident_id: Id) -> Deliveries:
    """Show what was sent to whom, and what is still on its way."""
    async with given.database.reading() as transaction:
        found = await _incident(transaction, incident_id)
        rows = await deliveries.of_incident(transaction, found.id)
    return Deliveries(items=[Delivery.model_validate(row) for row in rows])


@router.post("/{incident_id}/acknowledge")
async def acknowledge(
    given: Given, who: Responder, incident_id: Id, note: Note | None = None
) -> Incident:
    """Say that somebody is on it; said again, it changes nothing. 409 once it is resolved."""
    return await _act(given, incident_id, Verb.ACKNOWLEDGE, who.name, note)


@router.post("/{incident_id}/resolve")
async def resolve(
    given: Given, who: Responder, incident_id: Id, note: Note | None = None
) -> Incident:
    """Close it; only growth to a level that it has not had opens it again."""
    return await _act(given, incident_id, Verb.RESOLVE, who.name, note)


async def _act(given: Given, incident_id: str, verb: Verb, by: str, note: Note | None) -> Incident:
    act = Act(verb=verb, by=by, note=note.note if note else None)
    if await given.advancer.act(IncidentId(incident_id), act) is None:
        raise _unknown(incident_id)
    async with given.database.reading() as transaction:
        return await _incident(transaction, incident_id)


async def _incident(transaction: Transaction, incident_id: str) -> Incident:
    row = await history.incident(transaction, incident_id)
    if row is None:
        raise _unknown(incident_id)
    return Incident.model_validate(row)


def _unknown(incident_id: str) -> Problem:
    return Problem(HTTPStatus.NOT_FOUND, f"there is no incident {incident_id[:100]!r}")
