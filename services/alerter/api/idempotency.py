"""
Idempotency-Key: a POST that is sent again gets the first answer and changes nothing more.

Each key of the API has its own; who brings none is refused before anything is written or repeated.
The act and its answer are two transactions. Where the process, or the database, dies between them,
a repeat gets 409 for a minute, and after that is done a second time.
"""

import contextlib
import hashlib
from collections.abc import Callable, Coroutine
from http import HTTPStatus
from typing import Any, Final

from fastapi import Request, Response
from fastapi.routing import APIRoute

from services.alerter.access import Identity
from services.alerter.api.parts import Parts, asking, parts
from services.alerter.api.problems import Problem
from services.alerter.store import answers
from services.alerter.store.answers import Answer
from uproar.errors import Unavailable

HEADER: Final = "Idempotency-Key"
MAX_KEY: Final = 255

Handler = Callable[[Request], Coroutine[Any, Any, Response]]


class IdempotentRoute(APIRoute):
    """A route that honours the header on POST."""

    secret = False
    """Whether answers must not be kept: a repeat then gets 409 instead of the first answer."""

    def get_route_handler(self) -> Handler:
        handle = super().get_route_handler()

        async def once(request: Request) -> Response:
            key = request.headers.get(HEADER)
            if request.method != "POST" or key is None:
                return await handle(request)
            who = await asking(request)
            if who is None:
                return await handle(request)  # and be refused
            if not 1 <= len(key) <= MAX_KEY or not key.isprintable():
                raise Problem(
                    HTTPStatus.BAD_REQUEST, f"{HEADER}: 1 to {MAX_KEY} printable characters"
                )
            scope = _scope(who, request.url.path, key)
            return await _once(request, scope, handle, secret=self.secret)

        return once


def _scope(who: Identity, path: str, key: str) -> str:
    return _digest((who.key or who.name).encode(), path.encode(), key.encode())


async def _once(request: Request, scope: str, handle: Handler, *, secret: bool) -> Response:
    given = parts(request)
    asked = _digest(await request.body())
    async with given.database.writing() as transaction:
        there = await answers.claim(transaction, scope, asked, now=given.clock())
    if there is not None:
        return _again(there, asked)
    answered = False
    try:
        response = await handle(request)
        answered = response.status_code < HTTPStatus.BAD_REQUEST
        if answered:
            await _keep(given, scope, response, secret=secret)
        return response
    finally:
        if not answered:  # what failed has changed nothing: it may be tried again
            async with given.database.writing() as transaction:
                await answers.release(transaction, scope)


def _again(there: Answer, asked: str) -> Response:
    if there.request != asked:
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, f"this {HEADER} was used with another body")
    if there.status is None:
        raise Problem(HTTPStatus.CONFLICT, "the first request with this key is still under way")
    if there.body is None:
        raise Problem(
            HTTPStatus.CONFLICT, "this was done, and its answer was a secret: it is shown once"
        )
    return Response(
        there.body,
        status_code=there.status,
        headers={"Idempotent-Replayed": "true"},
        media_type="application/json",
    )


async def _keep(given: Parts, scope: str, response: Response, *, secret: bool) -> None:
    body = None if secret else bytes(response.body).decode()
    with contextlib.suppress(Unavailable):  # it is done: who asked for it must not hear otherwise
        async with given.database.writing() as transaction:
            await answers.fulfil(transaction, scope, status=response.status_code, body=body)


def _digest(*parts_: bytes) -> str:
    return hashlib.sha256(b"\x00".join(parts_)).hexdigest()
