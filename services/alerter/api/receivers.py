"""Receivers over HTTP: who would be told, and a message to one of them that says it is a test."""

import asyncio
from datetime import timedelta
from http import HTTPStatus
from typing import Final

from fastapi import APIRouter
from pydantic import BaseModel, Field
from ulid import ULID

from services.alerter.api.parts import Given, Id, Page, Responder, Viewer
from services.alerter.api.problems import Problem
from services.alerter.api.route import ApiRoute
from services.alerter.notifier import DeliveryId, Sent, Unknown
from services.alerter.notifiers import trial_delivery
from uproar.notice import Language

_TIMEOUT: Final = timedelta(seconds=20)

router = APIRouter(prefix="/v1/receivers", tags=["receivers"], route_class=ApiRoute)


class ReceiverShown(BaseModel):
    """Somebody who can be told; no secret, no address."""

    name: str
    type: str
    language: Language | None = Field(description="null: that of the subject")
    pages_only: bool = Field(description="it only wakes people: updates are kept from it")
    canary: bool = Field(description="it also takes the product's own test posts")


class ReceiverList(Page):
    """All receivers, in the order of uproar.toml."""

    items: list[ReceiverShown]


class Tried(BaseModel):
    """What came of a test message."""

    receiver: str
    delivered: bool
    ref: str | None = Field(description="what the far side calls the message, where it says so")


@router.get("")
async def listed(given: Given, _: Viewer) -> ReceiverList:
    """List the receivers of uproar.toml."""
    return ReceiverList(
        items=[
            ReceiverShown(
                name=receiver.name,
                type=notifier.type,
                language=receiver.language,
                pages_only=receiver.pages_only,
                canary=receiver.canary,
            )
            for receiver, notifier in given.receivers.items()
        ]
    )


@router.post("/{name}/test")
async def test(given: Given, _: Responder, name: Id) -> Tried:
    """Send a message that says it is a test, now; 502 and the reason where it does not arrive."""
    found = next((pair for pair in given.receivers.items() if pair[0].name == name), None)
    if found is None:
        raise Problem(HTTPStatus.NOT_FOUND, f"there is no receiver {name[:100]!r}")
    receiver, notifier = found
    now = given.clock()
    trial = DeliveryId(str(ULID.from_datetime(now)))
    delivery = trial_delivery(receiver, trial, url=given.console_url, now=now)
    try:
        async with asyncio.timeout(_TIMEOUT.total_seconds()):
            outcome = await notifier.notify(delivery)
    except TimeoutError:
        outcome = Unknown(f"no answer within {_TIMEOUT.total_seconds():g} s")
    if not isinstance(outcome, Sent):
        raise Problem(HTTPStatus.BAD_GATEWAY, f"{name}: {outcome.reason}")
    return Tried(receiver=name, delivered=True, ref=outcome.ref)
