"""Webhooks of the stand-in of PagerDuty (v3): signed, repeated until they are taken."""

import asyncio
import hashlib
import hmac
import json
from dataclasses import dataclass, field
from typing import Any, Final

import httpx

WEBHOOK_SECRET: Final = "standin-webhook-secret-000000000000"  # noqa: S105 - opens nothing
API_TOKEN: Final = "standin-rest-key"  # noqa: S105
OURS: Final = "uproar"
"""Who changes an alert when an event of ours does."""
_ANSWER_WITHIN: Final = 5.0
_TRIES: Final = 20


@dataclass(slots=True)
class Subscription:
    """
    Tells a URL of every change of an alert.

    Attributes:
        url: Where webhooks go.
        dropping: How many of the next ones are lost, as PagerDuty does with what it cannot deliver.
    """

    url: str
    dropping: int = 0
    count: int = 0
    statuses: list[int] = field(default_factory=list)
    _under_way: set[asyncio.Task[None]] = field(default_factory=set)

    def tell(self, event_type: str, key: str, *, by: str) -> None:
        """Send a webhook, beside whatever else goes on."""
        self.count += 1
        if self.dropping > 0:
            self.dropping -= 1
            return
        task = asyncio.get_running_loop().create_task(
            self._send(event(event_type, key, by=by, number=self.count))
        )
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def settled(self) -> None:
        """Return when nothing is under way."""
        await asyncio.gather(*self._under_way)

    async def _send(self, body: bytes) -> None:
        headers = signed(body)
        async with httpx.AsyncClient(trust_env=False, timeout=_ANSWER_WITHIN) as http:
            for _ in range(_TRIES):
                try:
                    answer = await http.post(self.url, content=body, headers=headers)
                except httpx.HTTPError:
                    await asyncio.sleep(0.2)
                    continue
                self.statuses.append(answer.status_code)
                if answer.status_code < 500 and answer.status_code != 429:
                    return
                await asyncio.sleep(0.2)


def event(event_type: str, key: str, *, by: str, number: int = 1) -> bytes:
    """Write the body of a webhook."""
    said: dict[str, Any] = {
        "id": f"01STANDIN{number:08d}",
        "event_type": event_type,
        "resource_type": "incident",
        "occurred_at": "2026-03-02T12:00:00.000Z",
        "agent": agent(by),
        "client": None,
        "data": {
            "id": "PINCIDENT",
            "type": "incident",
            "incident_key": key,
            "status": event_type.removeprefix("incident."),
        },
    }
    return json.dumps({"event": said}).encode()


def agent(by: str) -> dict[str, str]:
    """Name who did it: a person, or the integration through which our own events come."""
    if by == OURS:
        return {"id": "PINTEG", "type": "inbound_integration_reference", "summary": "Events API V2"}
    return {"id": "PUSER", "type": "user_reference", "summary": by}


def signed(body: bytes, *, secret: str = WEBHOOK_SECRET) -> dict[str, str]:
    """Return the headers under which PagerDuty sends a body."""
    digest = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    return {
        "Content-Type": "application/json",
        "X-PagerDuty-Signature": f"v1={'0' * 64},v1={digest}",  # as while a secret rotates
        "X-Webhook-Id": hashlib.sha256(body).hexdigest()[:26],
    }
