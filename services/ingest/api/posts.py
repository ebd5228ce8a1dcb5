"""POST /v1/posts: may it come in, what is it told. What becomes of its posts is intake's."""

import asyncio
import hmac
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from random import Random
from typing import Any

import msgspec
import structlog
from fastapi import FastAPI, Request, Response
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from services import traces
from services.ingest import metrics
from services.ingest.api.body import read_body, tell_apart
from services.ingest.api.openapi import BODY, PARAMETERS, RESPONSES
from services.ingest.api.refused import Refused
from services.ingest.cursors import Behind, Conflict
from services.ingest.intake import Outcome, Push, Verdict
from services.reference import add_reference
from uproar.errors import Malformed, Unavailable
from uproar.inbox import stream_name
from uproar.post import event_time

log = structlog.get_logger(room="ingest/api")

MAX_REQUESTS = 64
ANSWER_SECONDS = 30.0
DEFAULT_SOURCE = "push"
_LOCAL = {"127.0.0.1", "localhost", "::1"}

Take = Callable[[Push], Awaitable[Outcome]]
"""Takes a push and returns its verdicts; raises Conflict or Unavailable."""


def make_app(
    take: Take,
    *,
    token: bytes | None,
    rng: Random,
    answer_seconds: float = ANSWER_SECONDS,
) -> FastAPI:
    """
    Make the application.

    Args:
        take: What becomes of a push.
        token: What must follow ``Authorization: Bearer``; None lets programs of this machine push.
        rng: For trace ids.
        answer_seconds: How long a client waits for the broker before it is told to come again.
    """
    app = FastAPI(
        title="uproar ingest",
        description="Posts come in here; send `Authorization: Bearer TOKEN`.",
        docs_url=None,
        redoc_url=None,
    )
    add_reference(app)
    door = _Door(take, token, rng, answer_seconds)

    @app.post(
        "/v1/posts",
        status_code=202,
        tags=["posts"],
        responses=RESPONSES,
        openapi_extra={"requestBody": BODY, "parameters": PARAMETERS},
    )
    async def push(request: Request) -> Response:
        """Take posts: a JSON object, an array, or one object a line; a verdict for each."""
        return await door.answer(request)

    @app.exception_handler(HTTPException)
    async def problem(_: Request, error: HTTPException) -> Response:
        answer = Refused(error.status_code, str(error.detail), str(error.detail)).answer()
        answer.headers.update(error.headers or {})
        return answer

    return app


class _Door:
    """One request after the other: may it come in, what does it say, what is it told."""

    def __init__(self, take: Take, token: bytes | None, rng: Random, patience: float) -> None:
        self._take, self._token, self._rng, self._patience = take, token, rng, patience
        self._inside = 0
        self._under_way: set[asyncio.Future[Outcome]] = set()
        self._telling_apart = asyncio.Lock()

    async def answer(self, request: Request) -> Response:
        self._inside += 1
        start = asyncio.get_running_loop().time()
        try:
            if self._inside > MAX_REQUESTS:
                raise _busy()
            self._check_room()
            self._let_in(request)
            outcome = await self._traced(request)
            response = Response(_body(outcome), 202, media_type="application/json")
        except Refused as refused:
            response = refused.answer()
        except ClientDisconnect:
            response = Response(status_code=400)  # nobody reads it
        except asyncio.CancelledError:  # uvicorn does that to what is open at the end of its grace
            response = Refused(503, "Unavailable", "ingest stops; send the posts again").answer()
        finally:
            self._inside -= 1
        seconds = asyncio.get_running_loop().time() - start
        metrics.PUSH_SECONDS.labels(str(response.status_code)).observe(seconds)
        return response

    async def _traced(self, request: Request) -> Outcome:
        """Take the push as the first step of its trace, or the next one of its sender's."""
        parent = request.headers.get("traceparent")
        with traces.span("push", parent=parent, kind=traces.Kind.SERVER, rng=self._rng) as span:
            try:
                push = await self._push(request, span.traceparent)
                span.note(uproar__source=push.source, uproar__posts=len(push.items))
                outcome = await self._outcome(push)
            except Refused as refused:
                span.failed(str(refused))
                raise
            span.note(uproar__accepted=outcome.counts[Verdict.ACCEPTED])
            return outcome

    def _check_room(self) -> None:
        """Count those too whose client has gone: while the broker is away each holds its body."""
        if len(self._under_way) >= MAX_REQUESTS:
            raise _busy()

    def _let_in(self, request: Request) -> None:
        if self._token is not None:
            scheme, _, given = request.headers.get("authorization", "").partition(" ")
            if scheme.lower() != "bearer" or not hmac.compare_digest(
                given.strip().encode(), self._token
            ):
                raise Refused(401, "Unauthorized", "send Authorization: Bearer TOKEN")
        elif "origin" in request.headers or request.url.hostname not in _LOCAL:
            # without a token only programs of this machine may push, not a page in its browser
            raise Refused(403, "Forbidden", "set UPROAR_INGEST_TOKEN to push from elsewhere")

    async def _push(self, request: Request, traceparent: str) -> Push:
        said = _query(request.query_params)
        try:
            body = await asyncio.wait_for(read_body(request), self._patience)
        except TimeoutError as error:
            raise Refused(408, "Too slow", "the body did not come in time") from error
        metrics.BODY_BYTES.inc(len(body))
        now = datetime.now(UTC)
        up_to = _up_to(said.get("up_to"), now)
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        empty = not body.strip() and (up_to is not None or "end" in said)
        return Push(
            items=[] if empty else await self._told_apart(body, kind),
            source=_source(said.get("source", DEFAULT_SOURCE)),
            received_at=now,
            traceparent=traceparent,
            up_to=up_to,
            end=_flag("end", said),
            backfill=_flag("backfill", said),
        )

    async def _told_apart(self, body: bytes, kind: str) -> list[bytes | Malformed]:
        async with self._telling_apart:  # a megabyte of "[1,1,..." takes 35 for a moment
            return await asyncio.to_thread(tell_apart, body, kind)

    async def _outcome(self, push: Push) -> Outcome:
        # The work goes on when the client's patience ends: its posts may be with the broker already,
        # and only their acknowledgement says whether the next attempt brings duplicates.
        self._check_room()  # others may have come while the body was read
        work = asyncio.ensure_future(self._take(push))
        self._under_way.add(work)
        work.add_done_callback(self._done)
        try:
            return await asyncio.wait_for(asyncio.shield(work), self._patience)
        except Conflict as error:
            raise _conflict(error) from error
        except Unavailable as error:
            raise Refused(503, "Unavailable", str(error)) from error
        except TimeoutError as error:
            detail = "the broker has not acknowledged the posts; send them again"
            raise Refused(503, "Unavailable", detail) from error
        finally:
            trace = traces.trace_id(push.traceparent)
            log.debug("push", source=push.source, posts=len(push.items), trace=trace)

    def _done(self, work: asyncio.Future[Outcome]) -> None:
        self._under_way.discard(work)
        error = None if work.cancelled() else work.exception()
        if error is not None and not isinstance(error, Conflict | Unavailable):
            log.error("push failed", exc_info=error)


def _busy() -> Refused:
    return Refused(503, "Busy", f"{MAX_REQUESTS} requests are under way")


def _conflict(error: Conflict) -> Refused:
    if not isinstance(error, Behind):
        return Refused(409, "Conflict", str(error))
    there = {"up_to_reached": error.stream.reached, "state": error.stream.state}
    return Refused(409, "Behind", str(error), **there)


def _body(outcome: Outcome) -> bytes:
    counts = outcome.counts
    body: dict[str, Any] = {
        **{verdict: counts[verdict] for verdict in Verdict},
        "cut": outcome.cut,
        "late": outcome.late,
        "verdicts": outcome.verdicts,
    }
    if outcome.reached is not None:
        body["up_to_reached"] = outcome.reached
    return msgspec.json.encode(body)


# ------------------------------------------------------------------------------------- the query


def _query(given: Mapping[str, str]) -> dict[str, str]:
    if unknown := sorted(set(given) - {"source", "up_to", "end", "backfill"}):
        raise Refused(
            422, "Unknown parameter", f"{unknown[0][:100]!r}: none of source, up_to, end, backfill"
        )
    return dict(given)


def _source(given: str) -> str:
    try:
        return stream_name(given)
    except Malformed as error:
        raise Refused(422, "Bad parameter", str(error)) from error


def _flag(name: str, said: Mapping[str, str]) -> bool:
    given = said.get(name, "false").lower()
    if given not in {"true", "false", "1", "0"}:
        raise Refused(422, "Bad parameter", f"{name}: {given[:100]!r} is neither true nor false")
    return given in {"true", "1"}


def _up_to(given: str | None, now: datetime) -> datetime | None:
    if given is None:
        return None
    if given[-6:-5] == " ":  # a '+' that nobody escaped
        given = f"{given[:-6]}+{given[-5:]}"
    try:
        moment = msgspec.convert(given, datetime)
        return event_time(moment, now=now)
    except (msgspec.ValidationError, Malformed) as error:
        detail = str(error).replace("created_at", "up_to") if isinstance(error, Malformed) else ""
        raise Refused(
            422, "Bad parameter", detail or f"up_to: {given[:100]!r} is no RFC 3339 time"
        ) from error
