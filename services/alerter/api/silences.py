"""Silences over HTTP: whose incidents tell nobody for a while. What they hold back is told after."""

from datetime import datetime
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field
from ulid import ULID

from services.alerter.access import Identity
from services.alerter.api.parts import (
    Body,
    Cursor,
    Given,
    Id,
    Limit,
    Moment,
    Page,
    Responder,
    Text,
    Viewer,
    cursor_of,
    place_of,
)
from services.alerter.api.problems import Problem
from services.alerter.api.route import ApiRoute
from services.alerter.store import audit, silences

router = APIRouter(prefix="/v1/silences", tags=["silences"], route_class=ApiRoute)


class NewSilence(Body):
    """A silence to be kept."""

    subject: Annotated[Text, Field(min_length=1, max_length=100)] | None = Field(
        default=None, description="whose incidents; null: everybody's", examples=["air-quillon"]
    )
    starts_at: Moment | None = Field(default=None, description="null: now", examples=[None])
    ends_at: Moment = Field(examples=["2026-03-02T18:00:00Z"])
    severity: Annotated[int, Field(ge=0, le=100)] | None = Field(
        default=None, description="from this one on people are told all the same", examples=[80]
    )
    reason: Annotated[Text, Field(min_length=1, max_length=1000, pattern=r"\S")] = Field(
        examples=["a planned launch"]
    )


class Silence(BaseModel):
    """A silence."""

    model_config = ConfigDict(from_attributes=True)

    id: str
    subject: str | None
    starts_at: datetime
    ends_at: datetime
    severity: int | None
    reason: str
    created_by: str
    created_at: datetime


class Silences(Page):
    """The silences that are not over."""

    items: list[Silence]


@router.get("")
async def listed(given: Given, who: Viewer, limit: Limit = 50, cursor: Cursor = None) -> Silences:
    """List the silences that are not over, the oldest first."""
    after = place_of(cursor, str)
    async with given.database.reading() as transaction:
        rows = await silences.page(
            transaction,
            now=given.clock(),
            sight=who.subjects,
            limit=limit + 1,
            after=after[0] if after else None,
        )
    shown = rows[:limit]
    return Silences(
        items=[Silence.model_validate(row) for row in shown],
        next=cursor_of(shown[-1].id) if len(rows) > limit else None,
    )


@router.post("", status_code=HTTPStatus.CREATED)
async def create(given: Given, who: Responder, new: NewSilence) -> Silence:
    """Keep a silence; a key that is limited to subjects may silence these alone."""
    now = given.clock()
    _check(who, new.subject)
    starts_at = new.starts_at or now
    if new.ends_at <= max(starts_at, now):
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "ends_at: it must come after the start")
    made = silences.Silence(
        id=str(ULID.from_datetime(now)),
        subject=new.subject,
        starts_at=starts_at,
        ends_at=new.ends_at,
        severity=new.severity,
        reason=new.reason,
        created_by=who.name,
        created_at=now,
    )
    async with given.database.writing() as transaction:
        await silences.create(transaction, made)
        await audit.note(
            transaction,
            now=now,
            who=who.name,
            via=who.via,
            what="silence.create",
            target=made.id,
            subject=made.subject,
            detail={"ends_at": made.ends_at.isoformat(), "reason": made.reason},
        )
    return Silence.model_validate(made)


@router.get("/{silence_id}")
async def one(given: Given, who: Viewer, silence_id: Id) -> Silence:
    """Show one silence."""
    async with given.database.reading() as transaction:
        found = await silences.find(transaction, silence_id)
    return Silence.model_validate(_seen(who, found, silence_id))


@router.delete("/{silence_id}", status_code=HTTPStatus.NO_CONTENT)
async def remove(given: Given, who: Responder, silence_id: Id) -> None:
    """End a silence now: what it held back is told within seconds."""
    async with given.database.writing() as transaction:
        found = _seen(who, await silences.find(transaction, silence_id), silence_id)
        _check(who, found.subject)
        await silences.remove(transaction, silence_id)
        await audit.note(
            transaction,
            now=given.clock(),
            who=who.name,
            via=who.via,
            what="silence.delete",
            target=found.id,
            subject=found.subject,
        )


def _seen(who: Identity, found: silences.Silence | None, silence_id: str) -> silences.Silence:
    if found is None or not (found.subject is None or who.sees(found.subject)):
        raise Problem(HTTPStatus.NOT_FOUND, f"there is no silence {silence_id[:100]!r}")
    return found


def _check(who: Identity, subject: str | None) -> None:
    if who.subjects is not None and (subject is None or not who.sees(subject)):
        raise Problem(
            HTTPStatus.FORBIDDEN, "this key is limited to some subjects: name one of them"
        )
