"""Exchange: one HTTPS request to a receiver, and what its failure means. It retries nothing."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, Final

import httpx

from services.alerter.notifier import Retry, Unknown

TIMEOUT: Final = httpx.Timeout(10.0, connect=5.0, pool=5.0)
MAX_ANSWER: Final = 64 * 1024
DEFAULT_WAIT: Final = timedelta(seconds=30)
LONGEST_WAIT: Final = timedelta(hours=1)

# Nothing has left us when these are raised. Any other failure may have come after the arrival.
_NEVER_SENT: Final = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.ProxyError,
    httpx.UnsupportedProtocol,
    httpx.LocalProtocolError,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """
    What every notifier is given.

    Attributes:
        client: From :func:`services.alerter.notifiers.new_client`; closed by who opened it.
        installation: Tells this installation's incidents from those of another.
        clock: Wall clock.
    """

    client: httpx.AsyncClient
    installation: str
    clock: Callable[[], datetime]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came back: no more of it than was asked for."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def text(self) -> str:
        """The body as text; never fails."""
        return self.body.decode("utf-8", "replace").strip()


async def send(
    client: httpx.AsyncClient,
    url: str,
    body: bytes | None,
    *,
    headers: Mapping[str, str],
    extensions: Mapping[str, Any] | None = None,
    most: int = MAX_ANSWER,
) -> Answer | Retry | Unknown:
    """
    POST a body, or GET where there is none, and follow no redirect.

    No more than ``most`` bytes of the answer are read. Who asks for a list must say how long it may
    be: half a list is no JSON.

    Returns:
        The answer, whatever its status; Retry where nothing was sent; Unknown where it may have
        arrived. The reasons name no address: it may be a secret.
    """
    headers = {"Accept-Encoding": "identity", **headers}
    try:
        async with client.stream(
            "GET" if body is None else "POST",
            url,
            content=body,
            headers=headers,
            timeout=TIMEOUT,
            follow_redirects=False,
            extensions=dict(extensions or {}),
        ) as response:
            received = bytearray()
            async for chunk in response.aiter_raw():
                received += chunk
                if len(received) >= most:
                    break
            return Answer(
                status=response.status_code,
                headers=response.headers,
                body=bytes(received[:most]),
            )
    except (*_NEVER_SENT, httpx.InvalidURL) as error:
        return Retry(f"cannot be reached ({type(error).__name__})")
    except httpx.HTTPError as error:
        return Unknown(f"the answer was lost ({type(error).__name__})")


def failure(answer: Answer, *, now: datetime) -> Retry | None:
    """Tell what all receivers mean alike: leave me alone, try later, look elsewhere."""
    status = answer.status
    if status == httpx.codes.TOO_MANY_REQUESTS:
        return Retry("HTTP 429, too many requests", after=retry_after(answer, now=now))
    if status in {408, 425}:
        return Retry(f"HTTP {status}")
    if 300 <= status < 400:
        return Retry(f"HTTP {status}: it redirects, which is not followed")
    return None


def retry_after(answer: Answer, *, now: datetime) -> timedelta:
    """Read how long the receiver wants to be left alone: 1 s to 1 h, 30 s where it does not say."""
    said = answer.headers.get("retry-after", "").strip()
    try:
        wait = timedelta(seconds=float(said))
    except (ValueError, OverflowError):
        try:
            wait = parsedate_to_datetime(said) - now
        except (ValueError, TypeError, OverflowError):
            wait = DEFAULT_WAIT
    return max(timedelta(seconds=1), min(wait, LONGEST_WAIT))
