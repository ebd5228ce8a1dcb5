"""The watch list over HTTP, and what detection saw of each subject."""

from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from services.alerter.access import Identity
from services.alerter.api.parts import (
    Admin,
    Body,
    Cursor,
    Given,
    Id,
    Limit,
    Page,
    Since,
    Text,
    Until,
    Viewer,
    cursor_of,
    place_of,
)
from services.alerter.api.problems import Problem
from services.alerter.api.route import ApiRoute
from services.alerter.store import audit, readings, subjects
from services.alerter.store.database import Transaction
from services.alerter.store.subjects import Watched
from uproar.errors import Malformed
from uproar.subject import DEFAULT_BUDGET, Kind, Subject, watch_list

router = APIRouter(prefix="/v1/subjects", tags=["subjects"], route_class=ApiRoute)

Word = Annotated[Text, Field(min_length=1, max_length=200)]
Words = Annotated[tuple[Word, ...], Field(max_length=2000)]


class SubjectFields(Body):
    """A subject less its id, as a ``[[subject]]`` of the watch list says it."""

    name: Annotated[Word, Field(examples=["Air Quillon"])]
    kind: Kind = Kind.BRAND
    aliases: Words = ()
    handles: Words = ()
    own_accounts: Words = ()
    keywords: Words = ()
    exclude: Words = ()
    languages: Words = ()
    sector: Word | None = None
    country: Word | None = None
    budget: Word = DEFAULT_BUDGET
    route: Word | None = None
    purpose: Annotated[Text, Field(max_length=2000)] | None = Field(
        default=None, description="why a person is watched; required for kind=person"
    )
    language: Literal["en", "fr"] | None = Field(
        default=None, description="in which people are told, where their receiver names none"
    )


class NewSubject(SubjectFields):
    """A subject to be watched."""

    id: Annotated[Text, Field(min_length=1, max_length=100)]


class ReplacedSubject(SubjectFields):
    """A subject as it shall be; an id, where given, must be the address's."""

    id: Annotated[Text, Field(max_length=100)] | None = None


class WatchedSubject(NewSubject):
    """A subject as it stands; ``version`` counts its changes."""

    version: int
    updated_at: datetime


class Subjects(Page):
    """Whom we watch for."""

    items: list[WatchedSubject]


class Reading(BaseModel):
    """Five minutes of a subject, or one decision about it, in numbers."""

    model_config = ConfigDict(from_attributes=True)

    at: datetime = Field(description="end of the time it covers (event time)")
    seconds: int
    posts: int
    negative: float
    positive: float
    authors: int
    unscored: int
    baseline: float
    statistic: float
    threshold: float
    window_seconds: int
    negative_share: float | None
    baseline_share: float | None
    gate: str
    decision: bool
    heard: float | None
    certainty: float | None
    slow: bool
    rules: str | None


class Readings(Page):
    """What detection saw of a subject."""

    items: list[Reading]


class ReadingQuery(Body):
    """Which readings; ``since`` and ``until`` judge ``at``."""

    since: Since = None
    until: Until = None
    limit: Limit = 50
    cursor: Cursor = None


@router.get("")
async def listed(given: Given, who: Viewer, limit: Limit = 50, cursor: Cursor = None) -> Subjects:
    """List whom we watch for, by id."""
    after = place_of(cursor, str)
    async with given.database.reading() as transaction:
        rows = await subjects.page(
            transaction, sight=who.subjects, limit=limit + 1, after=after[0] if after else None
        )
    shown = rows[:limit]
    return Subjects(
        items=[_shown(row) for row in shown],
        next=cursor_of(shown[-1].subject.id) if len(rows) > limit else None,
    )


@router.post("", status_code=HTTPStatus.CREATED)
async def create(given: Given, who: Admin, new: NewSubject) -> WatchedSubject:
    """Watch a subject; ingest and detect know of it within seconds. 409 if its id is taken."""
    subject = _subject(new.model_dump())
    async with given.database.writing() as transaction:
        written = await subjects.create(transaction, subject, now=given.clock())
        if written is not None:
            await _note(given, who, transaction, "subject.create", subject.id)
    if written is None:
        raise Problem(HTTPStatus.CONFLICT, f"subject {subject.id!r} is watched already: PUT it")
    return _shown(written)


@router.get("/{subject_id}")
async def one(given: Given, who: Viewer, subject_id: Id) -> WatchedSubject:
    """Show one subject."""
    return _shown(await _known(given, who, subject_id))


@router.put("/{subject_id}", responses={201: {"model": WatchedSubject}})
async def replace(
    given: Given,
    who: Admin,
    subject_id: Id,
    new: ReplacedSubject,
    response: Response,
) -> WatchedSubject:
    """Write a subject as it shall be: 201 where it is new."""
    if new.id not in {None, subject_id}:
        raise Malformed(f"the body's id is {new.id!r}, the address's {subject_id!r}")
    subject = _subject(new.model_dump() | {"id": subject_id})
    async with given.database.writing() as transaction:
        known = await subjects.find(transaction, subject.id)
        written = await subjects.put(transaction, subject, now=given.clock())
        if known is None:
            await _note(given, who, transaction, "subject.create", subject.id)
        else:
            changed = _changed(known.subject, written.subject)
            await _note(given, who, transaction, "subject.replace", subject.id, detail=changed)
    response.status_code = HTTPStatus.OK if known else HTTPStatus.CREATED
    return _shown(written)


@router.delete("/{subject_id}", status_code=HTTPStatus.NO_CONTENT)
async def delete(given: Given, who: Admin, subject_id: Id) -> None:
    """Watch a subject no longer; its incidents stay, and the watch-list file cannot revive it."""
    async with given.database.writing() as transaction:
        if not await subjects.delete(transaction, subject_id, now=given.clock()):
            raise _unknown(subject_id)
        await _note(given, who, transaction, "subject.delete", subject_id)


@router.get("/{subject_id}/readings")
async def seen(
    given: Given, who: Viewer, subject_id: Id, asked: Annotated[ReadingQuery, Query()]
) -> Readings:
    """Show what detection saw of a subject and what it expected, the newest first; 90 days."""
    await _known(given, who, subject_id)
    after = place_of(asked.cursor, datetime, bool)
    async with given.database.reading() as transaction:
        rows = await readings.page(
            transaction,
            subject_id,
            since=asked.since,
            until=asked.until,
            limit=asked.limit + 1,
            after=after and (after[0], after[1]),
        )
    shown, more = rows[: asked.limit], len(rows) > asked.limit
    return Readings(
        items=[Reading.model_validate(row) for row in shown],
        next=cursor_of(shown[-1]["at"], shown[-1]["decision"]) if more else None,
    )


def _subject(fields: dict[str, Any]) -> Subject:
    """Let the library judge: the API and the watch-list file accept the same."""
    given = {name: value for name, value in fields.items() if value is not None}
    return watch_list({"subject": [given]})[0]


def _shown(row: Watched) -> WatchedSubject:
    fields = {name: getattr(row.subject, name) for name in NewSubject.model_fields}
    return WatchedSubject.model_construct(**fields, version=row.version, updated_at=row.updated_at)


async def _note(
    given: Given,
    who: Identity,
    transaction: Transaction,
    what: str,
    subject_id: str,
    *,
    detail: dict[str, Any] | None = None,
) -> None:
    await audit.note(
        transaction,
        now=given.clock(),
        who=who.name,
        via=who.via,
        what=what,
        target=subject_id,
        subject=subject_id,
        detail=detail,
    )


def _changed(before: Subject, after: Subject) -> dict[str, Any]:
    """
    Say for each field that is another what it was and is; of a list what came and what went.

    Of a person the names of the fields alone: the audit outlives the watch on them.
    """
    changed: dict[str, Any] = {}
    private = Kind.PERSON in {before.kind, after.kind}
    for name in SubjectFields.model_fields:
        was, now = getattr(before, name), getattr(after, name)
        if was == now:
            continue
        if private:
            changed[name] = {}
        elif isinstance(was, tuple):
            added, removed = (sorted(set(now) - set(was)), sorted(set(was) - set(now)))
            changed[name] = {"added": added, "removed": removed}
        else:
            changed[name] = {"was": was, "now": now}
    return changed


async def _known(given: Given, who: Identity, subject_id: str) -> Watched:
    async with given.database.reading() as transaction:
        found = await subjects.find(transaction, subject_id) if who.sees(subject_id) else None
    if found is None:
        raise _unknown(subject_id)
    return found


def _unknown(subject_id: str) -> Problem:
    return Problem(HTTPStatus.NOT_FOUND, f"there is no subject {subject_id[:100]!r}")
