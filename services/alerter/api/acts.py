"""Acts over HTTP: what a responder does to an incident; every one is in its timeline and the audit."""

from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter
from pydantic import Field, model_validator

from services.alerter.access import Identity
from services.alerter.api.incidents import Incident, seen
from services.alerter.api.parts import Body, Given, Id, Moment, Responder, Text
from services.alerter.api.problems import Problem
from services.alerter.api.route import ApiRoute
from services.alerter.store import history
from services.alerter.store.database import Transaction
from uproar.incident import MAX_SNOOZE, Act, IncidentId, Verb
from uproar.incident import Incident as Standing

router = APIRouter(prefix="/v1/incidents", tags=["acts"], route_class=ApiRoute)

Words = Annotated[Text, Field(min_length=1, max_length=4000, pattern=r"\S")]
Name = Annotated[Text, Field(min_length=1, max_length=200, pattern=r"\S")]
_MAX_MINUTES = int(MAX_SNOOZE / timedelta(minutes=1))


class Note(Body):
    """What a person says of an act; it stands in the timeline."""

    note: Annotated[Text, Field(max_length=4000, examples=["we are on it"])] | None = None


class Snooze(Note):
    """Until when it shall be left alone: a time, or minutes from now."""

    until: Moment | None = Field(default=None, examples=[None])
    minutes: Annotated[int, Field(ge=1, le=_MAX_MINUTES, examples=[60])] | None = None

    @model_validator(mode="after")
    def _one(self) -> "Snooze":
        if (self.until is None) is (self.minutes is None):
            raise ValueError("say either until or minutes")
        return self


class Assignment(Note):
    """Whose it is now; null takes it from everybody."""

    assignee: Name | None = Field(examples=["Bo"])


class Remark(Body):
    """A note."""

    note: Words = Field(examples=["Legal has seen the draft."])


class FalseAlarm(Body):
    """Why it is no backlash: `uproar labels` exports it, so that detection can learn from it."""

    reason: Words = Field(examples=["a football match, not the brand"])


class Rating(Note):
    """How bad a person thinks it is; it stands until its level rises."""

    severity: Annotated[int, Field(ge=0, le=100, examples=[80])]


class Merge(Note):
    """Which incident shall speak for this one."""

    into: Name = Field(examples=["e_0123456789abcdef0123"])


class Split(Note):
    """What shall leave: an incident that was merged into this one; without, its last episode."""

    incident: Name | None = Field(default=None, examples=[None])


@router.post("/{incident_id}/acknowledge")
async def acknowledge(
    given: Given, who: Responder, incident_id: Id, note: Note | None = None
) -> Incident:
    """Say that somebody is on it; said again, it changes nothing. 409 once it is resolved."""
    return await _do(given, who, incident_id, Verb.ACKNOWLEDGE, note)


@router.post("/{incident_id}/resolve")
async def resolve(
    given: Given, who: Responder, incident_id: Id, note: Note | None = None
) -> Incident:
    """Close it; only growth to a higher level, or to twice its size, opens it again."""
    return await _do(given, who, incident_id, Verb.RESOLVE, note)


@router.post("/{incident_id}/reopen")
async def reopen(
    given: Given, who: Responder, incident_id: Id, note: Note | None = None
) -> Incident:
    """Open it again, with nobody on it; a verdict of false alarm is taken back."""
    return await _do(given, who, incident_id, Verb.REOPEN, note)


@router.post("/{incident_id}/snooze")
async def snooze(given: Given, who: Responder, incident_id: Id, asked: Snooze) -> Incident:
    """Leave it alone for a while; a higher level or twice its size wakes it sooner."""
    until = asked.until or given.clock() + timedelta(minutes=asked.minutes or 0)
    return await _do(given, who, incident_id, Verb.SNOOZE, asked, until=until)


@router.post("/{incident_id}/assign")
async def assign(given: Given, who: Responder, incident_id: Id, asked: Assignment) -> Incident:
    """Say whose it is."""
    return await _do(given, who, incident_id, Verb.ASSIGN, asked, assignee=asked.assignee)


@router.post("/{incident_id}/notes", status_code=HTTPStatus.CREATED)
async def add_note(given: Given, who: Responder, incident_id: Id, remark: Remark) -> Incident:
    """Write into its timeline."""
    return await _do(given, who, incident_id, Verb.NOTE, Note(note=remark.note))


@router.post("/{incident_id}/severity")
async def rate(given: Given, who: Responder, incident_id: Id, asked: Rating) -> Incident:
    """Say how bad it is."""
    return await _do(given, who, incident_id, Verb.RATE, asked, severity=asked.severity)


@router.post("/{incident_id}/false-alarm")
async def false_alarm(
    given: Given, who: Responder, incident_id: Id, verdict: FalseAlarm
) -> Incident:
    """Close it as no backlash; the rest of this episode stays quiet. Reopening takes it back."""
    note = Note(note=verdict.reason)
    return await _do(given, who, incident_id, Verb.FALSE_ALARM, note)


@router.post("/{incident_id}/merge")
async def merge(given: Given, who: Responder, incident_id: Id, asked: Merge) -> Incident:
    """Let another incident speak for this one, which is closed; `split` there undoes it."""
    one, into = await _both(given, who, incident_id, asked.into)
    act = _act(who, Verb.MERGE, asked)
    return await _answer(given, await given.advancer.merge(one, into, act), incident_id)


@router.post("/{incident_id}/split")
async def split(
    given: Given, who: Responder, incident_id: Id, asked: Split | None = None
) -> Incident:
    """
    Take out what was merged into it, as it stood before; or make its last episode an incident.

    The answer is what left. `merge` undoes it.
    """
    act = _act(who, Verb.SPLIT, asked)
    if asked is None or asked.incident is None:
        one, _ = await _both(given, who, incident_id, incident_id)
        return await _answer(given, await given.advancer.split(one, act), incident_id)
    one, member = await _both(given, who, incident_id, asked.incident)
    async with given.database.reading() as transaction:
        leaves = await seen(transaction, who, member)
    if leaves["merged_into"] != one:
        raise Problem(HTTPStatus.CONFLICT, f"{member} is not merged into {one}")
    return await _answer(given, await given.advancer.unmerge(member, act), member)


async def _do(
    given: Given,
    who: Identity,
    incident_id: str,
    verb: Verb,
    note: Note | None,
    **more: datetime | str | int | None,
) -> Incident:
    one, _ = await _both(given, who, incident_id, incident_id)
    act = _act(who, verb, note, **more)
    return await _answer(given, await given.advancer.act(one, act), incident_id)


def _act(who: Identity, verb: Verb, note: Note | None, **more: Any) -> Act:
    return Act(verb=verb, by=who.name, note=note.note if note else None, via=who.via, **more)


async def _both(given: Given, who: Identity, one: str, other: str) -> tuple[IncidentId, IncidentId]:
    """Return the ids of two incidents that whoever asks may see; raises Problem (404)."""
    async with given.database.reading() as transaction:
        return (await _id(transaction, who, one), await _id(transaction, who, other))


async def _id(transaction: Transaction, who: Identity, incident_id: str) -> IncidentId:
    return IncidentId((await seen(transaction, who, incident_id))["id"])


async def _answer(given: Given, done: Standing | None, incident_id: str) -> Incident:
    if done is None:
        raise Problem(HTTPStatus.NOT_FOUND, f"there is no incident {incident_id[:100]!r}")
    async with given.database.reading() as transaction:
        return Incident.model_validate(await history.incident(transaction, done.id))
