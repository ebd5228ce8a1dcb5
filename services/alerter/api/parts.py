"""Parts: what the routers are given, who is asking, and what may stand in a request."""

import base64
import binascii
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated, Any, Final

from fastapi import Depends, Path, Query, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import AfterValidator, BaseModel, ConfigDict

from services.alerter.access import Access, Identity, Role
from services.alerter.advance import Advancer
from services.alerter.api.classifier import Classifier
from services.alerter.api.limits import Limits
from services.alerter.api.problems import Problem
from services.alerter.callbacks import Callbacks
from services.alerter.notifier import Notifier
from services.alerter.store.database import Database
from uproar.routing import Receiver, Route
from uproar.schedule import Schedule

MAX_LIMIT: Final = 200
_BEARER = HTTPBearer(auto_error=False, description="`Authorization: Bearer KEY` (uproar keys)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What the API stands on."""

    database: Database
    access: Access
    advancer: Advancer
    clock: Callable[[], datetime]
    problems: Callable[[], dict[str, str]]
    classifier: Callable[[], Classifier]
    callbacks: Callbacks
    receivers: Mapping[Receiver, Notifier]
    console_url: str
    routes: Sequence[Route] = ()
    schedules: Sequence[Schedule] = ()
    limits: Limits = field(default_factory=Limits)


def parts(request: Request) -> Parts:
    """Return the parts that the application was built with."""
    found: Parts = request.app.state.parts
    return found


Given = Annotated[Parts, Depends(parts)]


def address(request: Request) -> str:
    """Return the address that a request came from."""
    return request.client.host if request.client else "unknown"


def bearer_of(request: Request) -> str:
    """Return the key that a request brings, or nothing."""
    scheme, _, key = request.headers.get("Authorization", "").partition(" ")
    return key.strip() if scheme.lower() == "bearer" else ""


async def asking(request: Request) -> Identity | None:
    """
    Return who is asking, looked up and counted once a request; None without a key.

    Raises:
        Problem: 401, the key is worth nothing; 429, too many requests.
        Unavailable: The database does not answer.
    """
    if not hasattr(request.state, "asking"):
        request.state.asking = await _asking(request)
    found: Identity | None = request.state.asking
    return found


async def _asking(request: Request) -> Identity | None:
    given, key = parts(request), bearer_of(request)
    if not key:
        given.limits.count_address(address(request), now=given.clock())
        return None
    found = await given.access.by_key(key)
    if found is None:
        given.limits.count_address(address(request), now=given.clock())
        raise Problem(
            HTTPStatus.UNAUTHORIZED, "this key is unknown or revoked", WWW_Authenticate="Bearer"
        )
    given.limits.count_key(found.key or found.name, now=given.clock())
    return replace(found, via=f"api {address(request)}")


async def identity(
    request: Request,
    _: Annotated[HTTPAuthorizationCredentials | None, Depends(_BEARER)],  # for the OpenAPI
) -> Identity | None:
    """Return who is asking, as :func:`asking`."""
    return await asking(request)


def _at_least(role: Role) -> Callable[[Identity | None], Identity]:
    def check(who: Annotated[Identity | None, Depends(identity)]) -> Identity:
        if who is None:
            raise Problem(
                HTTPStatus.UNAUTHORIZED,
                "send a key: Authorization: Bearer KEY (uproar keys create)",
                WWW_Authenticate="Bearer",
            )
        if not who.role.may(role):
            raise Problem(
                HTTPStatus.FORBIDDEN, f"this needs the role {role}; the key is a {who.role}'s"
            )
        return who

    return check


Viewer = Annotated[Identity, Depends(_at_least(Role.VIEWER))]
Responder = Annotated[Identity, Depends(_at_least(Role.RESPONDER))]
Admin = Annotated[Identity, Depends(_at_least(Role.ADMIN))]


# --------------------------------------------------------------------- what requests may say


def _plain(text: str) -> str:
    if "\x00" in text:
        raise ValueError("null bytes are not allowed")
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise ValueError("lone surrogates are not allowed") from None
    return text


def _zoned(moment: datetime) -> datetime:
    if moment.tzinfo is None:
        raise ValueError("say in which time zone: RFC 3339, for example 2026-01-31T09:00:00Z")
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ValueError("this time is out of range") from None


Text = Annotated[str, AfterValidator(_plain)]
Moment = Annotated[datetime, AfterValidator(_zoned)]
Id = Annotated[Text, Path(min_length=1, max_length=200)]
Limit = Annotated[int, Query(ge=1, le=MAX_LIMIT, description="how many at most")]
Since = Annotated[Moment | None, Query(description="not before this time (RFC 3339)")]
Until = Annotated[Moment | None, Query(description="before this time (RFC 3339)")]
AsOf = Annotated[
    Moment | None, Query(description="as it was known at this time (RFC 3339)", examples=[None])
]
Cursor = Annotated[
    Text | None, Query(max_length=500, description="`next` of the page before this one")
]


class Body(BaseModel):
    """A JSON object sent to the API: what it does not know it refuses, so that typos show."""

    model_config = ConfigDict(extra="forbid")


class Page(BaseModel):
    """A list: ``next`` is the cursor of the next page, null on the last one."""

    next: str | None = None


def cursor_of(*place: datetime | str | bool) -> str:
    """Write down where a page ends."""
    plain = [item.isoformat() if isinstance(item, datetime) else item for item in place]
    return base64.urlsafe_b64encode(json.dumps(plain).encode()).decode().rstrip("=")


def place_of(cursor: str | None, *types: type) -> tuple[Any, ...] | None:
    """
    Read a cursor of ours.

    Raises:
        Problem: 422, the cursor is none of ours.
    """
    if cursor is None:
        return None
    try:
        padded = cursor.encode("ascii") + b"=" * (-len(cursor) % 4)
        plain = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
        if not isinstance(plain, list):
            raise TypeError
        return tuple(_item(item, kind) for item, kind in zip(plain, types, strict=True))
    except (ValueError, TypeError, binascii.Error, RecursionError, OverflowError):
        raise Problem(
            HTTPStatus.UNPROCESSABLE_ENTITY, "cursor: use the `next` of a page as it is"
        ) from None


def _item(item: object, kind: type) -> object:
    if kind is datetime and isinstance(item, str):
        return _zoned(datetime.fromisoformat(item))
    if not isinstance(item, kind):
        raise TypeError
    return _plain(item) if isinstance(item, str) else item
