"""Problems: every error of the API as RFC 9457, and bodies no larger than they may be."""

from http import HTTPStatus
from typing import Any, Final

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from uproar.errors import Malformed, Unavailable
from uproar.incident import IllegalTransition

MAX_BODY_BYTES: Final = 1024 * 1024
_RETRY_AFTER_SECONDS = "2"

log = structlog.get_logger(room="alerter/api")


class Problem(Exception):
    """Why a request is refused: a status, one sentence, and headers that go with it."""

    def __init__(self, status: HTTPStatus, detail: str, **headers: str) -> None:
        super().__init__(detail)
        self.status, self.detail, self.headers = status, detail, headers


def problem(
    status: int, detail: str | None, *, headers: dict[str, str] | None = None, **more: Any
) -> JSONResponse:
    """Make the answer ``{"type","title","status","detail",...}``."""
    title = HTTPStatus(status).phrase
    body = {"type": "about:blank", "title": title, "status": status, "detail": detail or title}
    return JSONResponse(
        body | more, status_code=status, headers=headers, media_type="application/problem+json"
    )


def add_problems(app: FastAPI) -> None:
    """Answer every error of an application, those of its framework included, as a problem."""

    @app.exception_handler(Problem)
    async def _problem(_: Request, error: Problem) -> JSONResponse:
        headers = {name.replace("_", "-"): value for name, value in error.headers.items()}
        return problem(error.status, error.detail, headers=headers)

    @app.exception_handler(HTTPException)
    async def _http(_: Request, error: HTTPException) -> JSONResponse:
        return problem(error.status_code, str(error.detail), headers=dict(error.headers or {}))

    @app.exception_handler(RequestValidationError)
    async def _invalid(_: Request, error: RequestValidationError) -> JSONResponse:
        errors = [
            {"where": ".".join(map(str, item["loc"])), "why": item["msg"]}
            for item in error.errors()[:20]
        ]
        detail = "; ".join(f"{item['where']}: {item['why']}" for item in errors)
        return problem(HTTPStatus.UNPROCESSABLE_ENTITY, detail, errors=errors)

    @app.exception_handler(IllegalTransition)
    async def _illegal(_: Request, error: IllegalTransition) -> JSONResponse:
        return problem(HTTPStatus.CONFLICT, str(error))

    @app.exception_handler(Malformed)
    async def _malformed(_: Request, error: Malformed) -> JSONResponse:
        return problem(HTTPStatus.UNPROCESSABLE_ENTITY, str(error))

    @app.exception_handler(Unavailable)
    async def _unavailable(_: Request, error: Unavailable) -> JSONResponse:
        log.warning("cannot answer", reason=str(error))
        return problem(
            HTTPStatus.SERVICE_UNAVAILABLE,
            "the database does not answer; try again",
            headers={"Retry-After": _RETRY_AFTER_SECONDS},
        )

    @app.exception_handler(Exception)
    async def _bug(_: Request, error: Exception) -> JSONResponse:
        log.error("bug", exc_info=error)
        return problem(HTTPStatus.INTERNAL_SERVER_ERROR, "a bug of uproar's; its log tells more")


class BodyLimit:
    """Refuse a body of more than 1 MiB, whether it announces its length or not."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if _announced(scope) > MAX_BODY_BYTES:
            answer = problem(_TOO_LARGE.status_code, _TOO_LARGE.detail, headers=_CLOSE)
            await answer(scope, receive, send)
            return
        taken = 0

        async def counted() -> Message:
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > MAX_BODY_BYTES:
                raise _TOO_LARGE  # where the body is read, that is: the application answers
            return message

        await self._app(scope, counted, send)


_CLOSE: Final = {"Connection": "close"}
_TOO_LARGE: Final = HTTPException(
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    f"the body may have {MAX_BODY_BYTES} bytes",
    headers=_CLOSE,
)


def _announced(scope: Scope) -> int:
    lengths = [value for name, value in scope["headers"] if name == b"content-length"]
    return int(lengths[0]) if lengths and lengths[0].isdigit() else 0
