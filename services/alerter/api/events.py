"""Events: what happens to incidents, as it happens: server-sent, and replayed from the database."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractContextManager
from http import HTTPStatus
from typing import Annotated, Final

from fastapi import APIRouter, Header, Query, Request
from fastapi.responses import StreamingResponse
from pydantic import BaseModel
from starlette.types import Receive, Scope, Send

from services.alerter.access import Identity
from services.alerter.api.incidents import Incident, Line
from services.alerter.api.parts import Given, Parts, Viewer, bearer_of
from services.alerter.api.problems import Problem
from services.alerter.api.route import ApiRoute
from services.alerter.store import feed
from uproar.errors import Unavailable

router = APIRouter(prefix="/v1/events", tags=["events"], route_class=ApiRoute)

LOOK_EVERY: Final = 1.0  # seconds
_QUIET: Final = 15  # looks after which a word keeps proxies from hanging up
_BATCH: Final = 100
_MAX_PLACE: Final = 2**63 - 1


class EventStream(StreamingResponse):
    """Server-sent events; ``room`` is held from the beginning to the end, or refused."""

    media_type = "text/event-stream"

    def __init__(self, said: AsyncIterator[str], room: AbstractContextManager[None]) -> None:
        super().__init__(said, headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        self._room = room

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._room:
            await super().__call__(scope, receive, send)


class Happened(BaseModel):
    """One line of a timeline, and the incident as it stood with it."""

    incident: Incident
    line: Line


@router.get(
    "",
    status_code=HTTPStatus.OK,
    response_class=EventStream,
    responses={200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}}},
)
async def events(
    request: Request,
    given: Given,
    who: Viewer,
    last_event_id: Annotated[str | None, Header(max_length=40)] = None,
    follow: Annotated[bool, Query(description="false: end where now is")] = True,  # noqa: FBT002
) -> EventStream:
    """
    Stream what happens (`event: transition`); the `id` of each is where `Last-Event-ID` goes on.

    Without that header it begins now.
    """
    place = _place(last_event_id)
    if place is None:
        async with given.database.reading() as transaction:
            place = await feed.end(transaction)
    said = _stream(request, given, who, place, follow=follow)
    return EventStream(said, given.limits.stream(who.key or who.name))


async def _stream(
    request: Request, given: Parts, who: Identity, place: int, *, follow: bool
) -> AsyncIterator[str]:
    yield "retry: 2000\n\n"
    quiet = 0
    while not await request.is_disconnected():
        try:
            async with given.database.reading() as transaction:
                found = await feed.lines(transaction, after=place, limit=_BATCH, sight=who.subjects)
        except Unavailable:
            return  # the client comes again with its Last-Event-ID
        for standing, line in found:
            place = line["position"]
            said = Happened(
                incident=Incident.model_validate(standing), line=Line.model_validate(line)
            )
            yield f"id: {place}\nevent: transition\ndata: {said.model_dump_json()}\n\n"
        if len(found) == _BATCH:
            continue
        if not follow:
            return
        quiet += 1
        if quiet % _QUIET == 0:
            if not await _still(given, request):
                return
            yield ": nothing new\n\n"
        await asyncio.sleep(LOOK_EVERY)


async def _still(given: Parts, request: Request) -> bool:
    """Tell whether the key still opens: a revoked one must not go on listening."""
    try:
        return await given.access.by_key(bearer_of(request)) is not None
    except Unavailable:
        return False


def _place(last: str | None) -> int | None:
    if last is None or not last.strip():
        return None
    if not last.isascii() or not last.isdigit() or int(last) > _MAX_PLACE:
        raise Problem(
            HTTPStatus.UNPROCESSABLE_ENTITY, "Last-Event-ID: use the id of an event as it is"
        )
    return int(last)
