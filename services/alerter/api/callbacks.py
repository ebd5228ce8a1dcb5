"""Callbacks over HTTP: what Slack and PagerDuty tell us, signed. Whatever is wrong with it is a 401."""

from http import HTTPStatus

from fastapi import APIRouter, Request, Response

from services.alerter.api.parts import Given
from services.alerter.api.problems import Problem
from services.alerter.notifier.callback import Signed

router = APIRouter(prefix="/v1", tags=["callbacks"])


@router.post("/slack/interactions")
async def slack(request: Request, given: Given) -> Response:
    """
    Take a press on a button of a message in Slack.

    The Interactivity Request URL of the Slack app; `signing_secret` of the receiver is the app's.
    """
    await _receive(request, given, "slack")
    return Response(status_code=HTTPStatus.OK)  # an empty body leaves the message as it is


@router.post("/pagerduty/webhooks", status_code=HTTPStatus.ACCEPTED)
async def pagerduty(request: Request, given: Given) -> Response:
    """
    Take what people did in PagerDuty.

    The URL of a v3 webhook subscription; `webhook_secret` of the receiver is what PagerDuty showed
    when the subscription was made.
    """
    await _receive(request, given, "pagerduty")
    return Response(status_code=HTTPStatus.ACCEPTED)


async def _receive(request: Request, given: Given, kind: str) -> None:
    signed = Signed(headers=request.headers, body=await request.body())
    if not await given.callbacks.receive(kind, signed):
        raise Problem(HTTPStatus.UNAUTHORIZED, "no receiver's secret has signed this")
