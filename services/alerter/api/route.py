"""Route: what every route of the API honours: Idempotency-Key on POST, If-None-Match on GET."""

import hashlib
from collections.abc import Callable, Coroutine
from http import HTTPStatus
from typing import Any, Final

from fastapi import Request, Response
from fastapi.responses import StreamingResponse

from services.alerter.api.idempotency import IdempotentRoute

Handler = Callable[[Request], Coroutine[Any, Any, Response]]
_DIGEST: Final = 16


class ApiRoute(IdempotentRoute):
    """A route that answers 304 to who has the answer already."""

    def get_route_handler(self) -> Handler:
        handle = super().get_route_handler()

        async def tagged(request: Request) -> Response:
            response = await handle(request)
            whole = not isinstance(response, StreamingResponse)
            if request.method != "GET" or response.status_code != HTTPStatus.OK or not whole:
                return response
            tag = f'"{hashlib.blake2b(bytes(response.body), digest_size=_DIGEST).hexdigest()}"'
            response.headers["ETag"] = tag
            response.headers.setdefault("Cache-Control", "private, no-cache")
            if _has(request.headers.get("If-None-Match", ""), tag):
                kept = {name: response.headers[name] for name in ("ETag", "Cache-Control")}
                return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=kept)
            return response

        return tagged


class SecretApiRoute(ApiRoute):
    """A route whose answers hold a secret: they are kept nowhere."""

    secret = True


def _has(asked: str, tag: str) -> bool:
    """Compare weakly, as RFC 9110 asks of If-None-Match."""
    tags = {one.strip().removeprefix("W/") for one in asked.split(",")}
    return tag in tags or "*" in tags
