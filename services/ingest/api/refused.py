"""Refused: a request that is answered with a problem (RFC 9457)."""

from typing import Any

import msgspec
from fastapi import Response

RETRY_AFTER_SECONDS = 2


class Refused(Exception):
    """
    Why a request is not taken.

    Args:
        status: HTTP status.
        title: What kind of problem it is, the same for all of its kind.
        detail: What is wrong with this request, and where.
        more: Further members of the problem.
    """

    def __init__(self, status: int, title: str, detail: str, **more: Any) -> None:
        super().__init__(detail)
        self.status, self.title, self.detail, self.more = status, title, detail, more

    def answer(self) -> Response:
        """Return the problem as a response."""
        body = {"title": self.title, "status": self.status, "detail": self.detail, **self.more}
        headers = {}
        if self.status == 401:
            headers["WWW-Authenticate"] = 'Bearer realm="uproar ingest"'
        if self.status == 503:
            headers["Retry-After"] = str(RETRY_AFTER_SECONDS)
        return Response(
            msgspec.json.encode(body), self.status, headers, media_type="application/problem+json"
        )
