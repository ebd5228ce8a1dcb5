"""A stand-in for anybody's endpoint that takes Standard Webhooks: it checks every signature."""

import base64
import hashlib
import hmac
import json
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final

from fastapi import APIRouter, Request, Response
from fastapi.responses import PlainTextResponse

from services.demo.standins.ledger import Ledger

_KEY: Final = hashlib.sha256(b"uproar stand-in").digest()
SECRET: Final = "whsec_" + base64.b64encode(_KEY).decode()
MAX_BODY: Final = 20_000
_TOLERANCE: Final = timedelta(minutes=5)


@dataclass(slots=True)
class WebhookStandIn:
    """An endpoint that does each message once, however often it comes."""

    ledger: Ledger
    ids: set[str] = field(default_factory=set)

    def refusal(self, body: bytes, request: Request) -> str | None:
        """Tell what is wrong with a request; None where nothing is."""
        names = ("webhook-id", "webhook-timestamp", "webhook-signature")
        message_id, timestamp, signatures = (request.headers.get(name, "") for name in names)
        if not message_id or "." in message_id or not timestamp.isdecimal():
            return "headers are missing"
        age = abs(self.ledger.clock().timestamp() - int(timestamp))
        if age > _TOLERANCE.total_seconds():
            return "the timestamp is too far from now"
        signed = f"{message_id}.{timestamp}.".encode() + body
        want = b"v1," + base64.b64encode(hmac.new(_KEY, signed, hashlib.sha256).digest())
        given = [s.encode("utf-8", "replace") for s in signatures.split(" ")]
        if not any(hmac.compare_digest(want, one) for one in given):
            return "no signature fits"
        return None

    def take(self, message_id: str, event: dict[str, Any]) -> None:
        """Do what the event says, or nothing where it has been done."""
        effect = "dropped" if message_id in self.ids else "new"
        self.ids.add(message_id)
        said = event["data"].get("title", "")
        self.ledger.write(
            "webhook", event["type"], text=said, key=message_id, body=event, effect=effect
        )


def router(webhook: WebhookStandIn) -> APIRouter:
    """Serve /webhook."""
    routes = APIRouter()

    @routes.post("/webhook")
    async def receive(request: Request) -> Response:
        body = await request.body()
        if len(body) > MAX_BODY:
            return PlainTextResponse("more than 20 KB", status_code=413)
        if refusal := webhook.refusal(body, request):
            return PlainTextResponse(refusal, status_code=401)
        try:
            event = json.loads(body)
        except ValueError:
            event = None
        if not isinstance(event, dict) or {"type", "timestamp", "data"} - set(event):
            return PlainTextResponse("type, timestamp and data are wanted", status_code=400)
        webhook.take(request.headers["webhook-id"], event)
        return Response(status_code=204)

    return routes
