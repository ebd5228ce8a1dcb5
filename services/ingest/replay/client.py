"""Client: one batch of posts to ingest over HTTP, until it has been answered."""

import asyncio
from datetime import datetime
from types import TracebackType
from typing import Any, Self

import httpx

from uproar.errors import Malformed, Misconfigured, Unavailable

MAX_DELAY_SECONDS = 10.0


class Lost(Exception):
    """The connection was lost: ingest may start again, and may have forgotten what it had."""


class Behind(Exception):
    """Ingest has come further with this stream already."""

    def __init__(self, reached: datetime) -> None:
        super().__init__(reached)
        self.reached = reached


class Client:
    """The other side: sends a batch until it has been answered."""

    def __init__(
        self, to: str, token: str | None, source: str, patience: float, *, backfill: bool
    ) -> None:
        self.source, self._patience = source, patience
        self._fixed = {"source": source} | ({"backfill": "true"} if backfill else {})
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        try:
            self._http = httpx.AsyncClient(
                base_url=to, headers=headers, timeout=60.0, trust_env=False
            )
        except httpx.InvalidURL as error:
            raise Misconfigured(f"--to {to}: {error}") from error

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._http.aclose()

    async def send(
        self, batch: list[bytes], *, up_to: datetime | None = None, end: bool = False
    ) -> dict[str, Any]:
        """
        Send posts and return the answer; try again while ingest is busy.

        Raises:
            Behind: The stream has come further than ``up_to``.
            Lost: The connection broke.
            Malformed: Ingest refuses the stream.
            Unavailable: It is busy for too long.
        """
        params = dict(self._fixed)
        if up_to is not None:
            params["up_to"] = up_to.isoformat()
        if end:
            params["end"] = "true"
        delay, waited = 0.25, 0.0
        while True:
            response = await self._post(params, b"\n".join(batch))
            busy = response.status_code in {408, 429} or response.status_code >= 500
            if not busy:
                return _answer(response)
            if waited >= self._patience:
                raise Unavailable(f"ingest at {self._http.base_url}: {_detail(response)}")
            delay = max(delay, _retry_after(response))
            await asyncio.sleep(delay)
            waited, delay = waited + delay, min(delay * 2, MAX_DELAY_SECONDS)

    async def _post(self, params: dict[str, str], body: bytes) -> httpx.Response:
        kind = {"Content-Type": "application/x-ndjson"}
        try:
            return await self._http.post("/v1/posts", params=params, content=body, headers=kind)
        except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
            raise Misconfigured(f"--to {self._http.base_url}: {error}") from error
        except httpx.TransportError as error:
            raise Lost(f"{self._http.base_url}: {type(error).__name__} {error}") from error


def _answer(response: httpx.Response) -> dict[str, Any]:
    if response.status_code == 202:
        answer: dict[str, Any] = response.json()
        return answer
    if response.status_code == 409 and (reached := _problem(response).get("up_to_reached")):
        raise Behind(datetime.fromisoformat(reached))
    raise Malformed(f"ingest says {response.status_code}: {_detail(response)}")


def _problem(response: httpx.Response) -> dict[str, Any]:
    try:
        problem = response.json()
    except ValueError:
        return {}
    return problem if isinstance(problem, dict) else {}


def _detail(response: httpx.Response) -> str:
    return str(_problem(response).get("detail") or response.text[:200] or response.reason_phrase)


def _retry_after(response: httpx.Response) -> float:
    given = response.headers.get("retry-after", "")
    return min(float(given), 60.0) if given.isdigit() else 0.0
