"""Incidents over HTTP, as they stand or stood: list, detail, timeline, evidence, deliveries."""

from collections.abc import AsyncIterator
from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse, StreamingResponse
from pydantic import BaseModel, Field

from services.alerter.access import Identity
from services.alerter.api.export import Format, answer, wanted
from services.alerter.api.parts import (
    MAX_LIMIT,
    AsOf,
    Body,
    Cursor,
    Given,
    Id,
    Limit,
    Page,
    Parts,
    Since,
    Text,
    Until,
    Viewer,
    cursor_of,
    place_of,
)
from services.alerter.api.problems import Problem
from services.alerter.api.route import ApiRoute
from services.alerter.report import HEADERS as REPORT_HEADERS
from services.alerter.report import rendered
from services.alerter.report.reasons import explained
from services.alerter.store import deliveries, history, past
from services.alerter.store.database import Transaction
from services.alerter.store.deliveries import State as DeliveryState
from services.alerter.store.filter import Filter, Place
from uproar.backlash import Level
from uproar.incident import Happening, State, Verdict
from uproar.notice import NoticeKind

router = APIRouter(prefix="/v1/incidents", tags=["incidents"], route_class=ApiRoute)


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
    episode: int = Field(description="which wave of it this is; the numbers are those of the wave")
    began_at: datetime | None = Field(default=None, description="event time of the wave's start")
    assignee: str | None = None
    snoozed_until: datetime | None = None
    verdict: Verdict | None = Field(default=None, description="what people judged the wave to be")
    verdict_reason: str | None = None
    verdict_by: str | None = None
    verdict_at: datetime | None = None
    merged_into: str | None = Field(default=None, description="the incident that speaks for it")
    why: dict[str, Any] = Field(description="the reasons of its last event, in numbers")


class Episode(BaseModel):
    """One wave of an incident."""

    id: str = Field(description="the name that detection gave it")
    number: int
    level: Level
    severity: int
    posts: int
    authors: int
    title: str
    began_at: datetime
    happened_at: datetime
    verdict: Verdict | None
    verdict_reason: str | None
    verdict_by: str | None
    verdict_at: datetime | None


class Whole(Incident):
    """An incident with its waves and what was merged into it."""

    episodes: list[Episode] = []
    merged: list[str] = Field(default=[], description="ids of the incidents it speaks for")


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
    via: str | None = Field(default=None, description="through which surface it was done")
    episode: int = 1
    other: str | None = Field(default=None, description="the other incident, or the assignee")


class Explained(BaseModel):
    """Why one thing that happened paged, or did not."""

    sequence: int
    at: datetime
    happened: Happening
    page: bool
    reasons: list[str]
    told: list[str] = Field(description="receivers that a notice was written for")


class Explanation(Page):
    """Why people were told, or were not."""

    incident: str
    items: list[Explained]


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
    deadline: datetime | None = Field(description="by when a page wants a receipt")
    standby: int = Field(
        description="0: told at once; else only where those before gave no receipt"
    )
    bundle: str | None = Field(description="the delivery in whose message it went out, in a storm")
    delivered_at: datetime | None = Field(description="the receipt")
    accepted_at: datetime | None = Field(description="where post-to-page begins")
    doubtful: bool = Field(description="an attempt may have arrived without a receipt")
    provider_ref: str | None
    last_error: str | None
    traceparent: str | None


class Deliveries(Page):
    """What was sent to whom."""

    items: list[Delivery]


class IncidentQuery(Body):
    """Which incidents; ``since`` and ``until`` judge ``opened_at``."""

    status: tuple[State, ...] = ()
    subject: Annotated[Text, Field(max_length=200)] | None = None
    severity_min: Annotated[int, Field(ge=0, le=100)] | None = None
    since: Since = None
    until: Until = None
    q: (
        Annotated[
            Text,
            Field(max_length=200, description="words, all of them, in title, notes, evidence"),
        ]
        | None
    ) = None
    as_of: AsOf = None
    format: Annotated[Format | None, Query(description="csv and ndjson: the whole list")] = None
    limit: Limit = 50
    cursor: Cursor = None


@router.get(
    "",
    response_model=Incidents,
    responses={200: {"content": {"text/csv": {}, "application/x-ndjson": {}}}},
)
async def incidents(
    request: Request, given: Given, who: Viewer, asked: Annotated[IncidentQuery, Query()]
) -> Incidents | StreamingResponse:
    """
    List incidents, those that opened last first; `as_of`: as they were known then.

    CSV or NDJSON (`format=`, or the Accept header) brings all of them, from the cursor on.
    """
    form = wanted(request, asked.format)
    wish = Filter(
        states=asked.status,
        subject=asked.subject,
        sight=who.subjects,
        severity_min=asked.severity_min,
        since=asked.since,
        until=asked.until,
        text=asked.q,
    )
    place = place_of(asked.cursor, datetime, str)
    after = place and (place[0], place[1])
    if form is not Format.JSON:
        return await answer(form, _pages(given, wish, asked.as_of, after))
    rows = await _listed(given, wish, asked.as_of, limit=asked.limit + 1, after=after)
    listed, more = rows[: asked.limit], len(rows) > asked.limit
    return Incidents(
        items=[Incident.model_validate(row) for row in listed],
        next=cursor_of(listed[-1]["opened_at"], listed[-1]["id"]) if more else None,
    )


@router.get("/{incident_id}")
async def incident(given: Given, who: Viewer, incident_id: Id, as_of: AsOf = None) -> Whole:
    """Show one incident, by its id or by the name of one of its episodes."""
    async with given.database.reading() as transaction:
        row = await seen(transaction, who, incident_id, as_of)
        waves = await history.episodes(transaction, row["id"])
        merged = await history.merged(transaction, row["id"])
    return Whole.model_validate(
        row
        | {
            "episodes": [wave for wave in waves if wave["number"] <= row["episode"]],
            "merged": [other["id"] for other in merged if who.sees(other["subject"])],
        }
    )


@router.get("/{incident_id}/timeline")
async def timeline(given: Given, who: Viewer, incident_id: Id, as_of: AsOf = None) -> Timeline:
    """Show what happened to an incident, the first first."""
    async with given.database.reading() as transaction:
        row = await seen(transaction, who, incident_id, as_of)
        rows = await history.timeline(transaction, row["id"])
    kept = [line for line in rows if as_of is None or line["at"] <= as_of]
    return Timeline(items=[Line.model_validate(line) for line in kept])


@router.get("/{incident_id}/evidence")
async def evidence(given: Given, who: Viewer, incident_id: Id, as_of: AsOf = None) -> Evidence:
    """Show every post that was cited, those of the last event first; deleted ones stay blank."""
    async with given.database.reading() as transaction:
        row = await seen(transaction, who, incident_id, as_of)
        rows = await past.evidence(transaction, row["id"], as_of or given.clock())
    return Evidence(items=[Cited.model_validate(post) for post in rows])


@router.get("/{incident_id}/deliveries")
async def sent(given: Given, who: Viewer, incident_id: Id) -> Deliveries:
    """Show what was sent to whom, and what is still on its way."""
    async with given.database.reading() as transaction:
        row = await seen(transaction, who, incident_id)
        rows = await deliveries.of_incident(transaction, row["id"])
    return Deliveries(items=[Delivery.model_validate(one) for one in rows])


@router.get("/{incident_id}/explain")
async def explain(given: Given, who: Viewer, incident_id: Id) -> Explanation:
    """Tell for each thing that happened why it paged or did not, in numbers, and who was told."""
    async with given.database.reading() as transaction:
        row = await seen(transaction, who, incident_id)
        lines = await history.timeline(transaction, row["id"])
        told = await deliveries.of_incident(transaction, row["id"])
    return Explanation(
        incident=row["id"], items=[Explained(**one) for one in explained(lines, told)]
    )


@router.get("/{incident_id}/report", response_class=HTMLResponse)
async def report(given: Given, who: Viewer, incident_id: Id) -> HTMLResponse:
    """Show one page to read and to print: what happened, who did what, and what to learn."""
    async with given.database.reading() as transaction:
        row = await seen(transaction, who, incident_id)
        html = await rendered(transaction, row, now=given.clock())
    return HTMLResponse(html, headers=dict(REPORT_HEADERS))


async def seen(
    transaction: Transaction, who: Identity, incident_id: str, as_of: datetime | None = None
) -> history.Row:
    """Return an incident that whoever asks may see; raises Problem (404)."""
    if as_of is None:
        row = await history.incident(transaction, incident_id)
    else:
        row = await past.incident(transaction, incident_id, as_of)
    if row is None or not who.sees(row["subject"]):
        when = f" as of {as_of.isoformat()}" if as_of else ""
        raise Problem(HTTPStatus.NOT_FOUND, f"there is no incident {incident_id[:100]!r}{when}")
    return row


async def _listed(
    given: Parts,
    wish: Filter,
    as_of: datetime | None,
    *,
    limit: int,
    after: Place | None,
) -> list[history.Row]:
    async with given.database.reading() as transaction:
        if as_of is not None:
            return await past.incidents(transaction, wish, as_of, limit=limit, after=after)
        return await history.incidents(transaction, wish, limit=limit, after=after)


async def _pages(
    given: Parts, wish: Filter, as_of: datetime | None, after: Place | None
) -> AsyncIterator[list[Incident]]:
    while True:
        rows = await _listed(given, wish, as_of, limit=MAX_LIMIT, after=after)
        yield [Incident.model_validate(row) for row in rows]
        if len(rows) < MAX_LIMIT:
            return
        after = (rows[-1]["opened_at"], rows[-1]["id"])
