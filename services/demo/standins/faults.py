"""Faults: what a receiver may do instead of answering well. Cuts are real: the socket is closed."""

import asyncio
import json
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send


class Fault(StrEnum):
    """How a receiver fails."""

    RATE_LIMITED = "rate_limited"  # 429 with Retry-After; nothing is taken
    OK_FALSE = "ok_false"  # 200 with ok:false and `error`; nothing is taken
    BAD_REQUEST = "bad_request"
    UNAUTHORIZED = "unauthorized"
    GONE = "gone"
    REDIRECT = "redirect"
    SERVER_ERROR = "server_error"
    UNAVAILABLE = "unavailable"
    GARBLED = "garbled"  # taken, but the answer is no sense
    SILENT = "silent"  # taken, never answered
    DROPPED = "dropped"  # taken, then the connection is cut
    CUT = "cut"  # the connection is cut before anything is taken


_STATUS: Final = {
    Fault.RATE_LIMITED: 429,
    Fault.OK_FALSE: 200,
    Fault.BAD_REQUEST: 400,
    Fault.UNAUTHORIZED: 401,
    Fault.GONE: 410,
    Fault.REDIRECT: 302,
    Fault.SERVER_ERROR: 500,
    Fault.UNAVAILABLE: 503,
}
_TAKEN: Final = {Fault.GARBLED, Fault.SILENT, Fault.DROPPED}
_SILENCE_SECONDS: Final = 120


@dataclass(slots=True, kw_only=True)
class Trouble:
    """
    A fault that some of the next requests meet.

    Attributes:
        path: Only requests whose path begins so (``/slack``, ``/pagerduty``, ``/webhook``,
            ``/alertmanager``; ``/email`` for letters).
        times: How many of them.
        error: Slack's word in an OK_FALSE.
        retry_after: Seconds, in a RATE_LIMITED; None leaves the header out.
    """

    fault: Fault
    path: str = "/"
    times: int = 1
    error: str = "internal_error"
    retry_after: int | None = 1


@dataclass(slots=True)
class Troubles:
    """ASGI middleware, outermost: lets the next request meet the first trouble that waits for it."""

    app: ASGIApp
    waiting: list[Trouble] = field(default_factory=list)
    met: list[Fault] = field(default_factory=list)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        trouble = self._next(scope["path"]) if scope["type"] == "http" else None
        if trouble is None:
            await self.app(scope, receive, send)
            return
        if trouble.fault in _TAKEN:
            await self.app(scope, receive, _nowhere)
        if trouble.fault is Fault.SILENT:
            with suppress(TimeoutError):
                await asyncio.wait_for(_gone(receive), timeout=_SILENCE_SECONDS)
        if trouble.fault in {Fault.SILENT, Fault.DROPPED, Fault.CUT}:
            send.__self__.transport.abort()  # type: ignore[attr-defined]  # uvicorn's own socket
            await _gone(receive)
            return
        await _answer(trouble, send)

    def next(self, path: str, known: Collection[Fault]) -> Fault | None:
        """Return the fault that waits for a path, if it is one of those that can happen now."""
        trouble = self._next(path, known)
        return trouble.fault if trouble else None

    def _next(self, path: str, known: Collection[Fault] = frozenset(Fault)) -> Trouble | None:
        for trouble in self.waiting:
            if path.startswith(trouble.path) and trouble.fault in known:
                trouble.times -= 1
                if trouble.times <= 0:
                    self.waiting.remove(trouble)
                self.met.append(trouble.fault)
                return trouble
        return None


async def _answer(trouble: Trouble, send: Send) -> None:
    headers = [(b"content-type", b"application/json")]
    if trouble.fault is Fault.RATE_LIMITED and trouble.retry_after is not None:
        headers.append((b"retry-after", str(trouble.retry_after).encode()))
    if trouble.fault is Fault.REDIRECT:
        headers.append((b"location", b"/elsewhere"))
    said: Any = {"ok": False, "error": trouble.error}
    body = b"<html>a proxy's page</html>" if trouble.fault is Fault.GARBLED else json.dumps(said)
    status = _STATUS.get(trouble.fault, 200)
    await send({"type": "http.response.start", "status": status, "headers": headers})
    content = body if isinstance(body, bytes) else body.encode()
    await send({"type": "http.response.body", "body": content})


async def _nowhere(message: Message) -> None:
    """Take an answer that nobody gets to see."""


async def _gone(receive: Receive) -> None:
    """Wait until the client has hung up."""
    while (await receive())["type"] != "http.disconnect":
        pass
