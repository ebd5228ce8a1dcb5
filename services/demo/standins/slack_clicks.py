"""Clicks: a person presses a button in the stand-in of Slack; it is POSTed signed, or goes by socket."""

import asyncio
import hashlib
import hmac
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import urlencode

import httpx
from fastapi import APIRouter, Request, Response, WebSocket, WebSocketDisconnect

SIGNING_SECRET: Final = "5tand1n5ign1ng5ecret0000000000000"  # noqa: S105 - opens nothing
APP_TOKEN: Final = "xapp-1-standin-0000000000"  # noqa: S105
_ANSWER_WITHIN: Final = 3.0  # as Slack, which shows the person an error then


@dataclass(slots=True)
class Clicks:
    """
    What people press, and how the app that owns the buttons hears of it.

    Attributes:
        address: Host and port at which the sockets are.
        request_url: Where a press is POSTed; None: it goes through a socket.
        answers: What the app let people know through ``response_url``.
        answers_within: Seconds after which the person is shown an error.
    """

    address: str = ""
    request_url: str | None = None
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    answers: list[dict[str, Any]] = field(default_factory=list)
    sockets: list[WebSocket] = field(default_factory=list)
    opened: int = 0
    presses: int = 0
    answers_within: float = _ANSWER_WITHIN
    _waiting: dict[str, asyncio.Future[None]] = field(default_factory=dict)

    def payload(
        self, message: Any, action_id: str, *, user: str, choice: int = 0
    ) -> dict[str, Any]:
        """
        Write a press as Slack tells it.

        Args:
            message: The message that bears the button.
            action_id: Which button or menu.
            user: Who presses.
            choice: Which option of a menu.

        Raises:
            LookupError: The message has no such button.
        """
        elements = [e for block in message.blocks for e in block.get("elements", [])]
        (element,) = [e for e in elements if e.get("action_id") == action_id] or [None]
        if element is None:
            raise LookupError(action_id)
        self.presses += 1
        action = {"type": element["type"], "action_id": action_id, "block_id": "b"}
        action["action_ts"] = f"{self.clock().timestamp():.6f}.{self.presses}"
        if element["type"] == "static_select":
            action["selected_option"] = element["options"][choice]
        else:
            action["value"] = element["value"]
        return {
            "type": "block_actions",
            "api_app_id": "A0STANDIN",
            "team": {"id": "T0STANDIN", "domain": "standin"},
            "user": {"id": f"U0{user.upper()}", "username": user.lower(), "name": user},
            "channel": {"id": message.channel, "name": "war-room"},
            "container": {"type": "message", "message_ts": message.ts},
            "trigger_id": f"{self.presses}.standin",
            "response_url": f"http://{self.address}/slack/actions/{self.presses}",
            "actions": [action],
        }

    async def press(
        self, message: Any, action_id: str, *, user: str = "Anna", choice: int = 0
    ) -> bool:
        """Press a button; returns whether the app answered in time."""
        payload = self.payload(message, action_id, user=user, choice=choice)
        if self.request_url is None:
            return await self._send(payload)
        body, headers = signed(payload, now=self.clock())
        async with httpx.AsyncClient(trust_env=False, timeout=self.answers_within) as http:
            try:
                answer = await http.post(self.request_url, content=body, headers=headers)
            except httpx.HTTPError:
                return False
        return answer.is_success

    async def _send(self, payload: dict[str, Any]) -> bool:
        if not self.sockets:
            return False
        envelope = f"e-{self.presses}"
        answered = self._waiting[envelope] = asyncio.get_running_loop().create_future()
        message = {"type": "interactive", "envelope_id": envelope, "payload": payload}
        await self.sockets[-1].send_text(json.dumps(message))
        try:
            async with asyncio.timeout(self.answers_within):
                await answered
        except TimeoutError:
            return False
        finally:
            del self._waiting[envelope]
        return True

    async def ask_back(self) -> None:
        """Ask the app to open another connection, as Slack does every few hours."""
        for socket in list(self.sockets):
            await socket.send_text(
                json.dumps({"type": "disconnect", "reason": "refresh_requested"})
            )

    async def close(self) -> None:
        """Cut every socket."""
        for socket in list(self.sockets):
            await socket.close(code=1001)

    def ticket(self) -> str:
        """Return the address of a socket."""
        return f"ws://{self.address}/slack/socket?ticket=standin-ticket"

    def add_routes(self, routes: APIRouter) -> None:
        """Serve the sockets, and the addresses at which a person can be answered."""

        @routes.websocket("/slack/socket")
        async def socket(websocket: WebSocket) -> None:
            await websocket.accept()
            await websocket.send_text(json.dumps({"type": "hello", "num_connections": 1}))
            self.opened += 1
            self.sockets.append(websocket)
            try:
                while True:
                    self._answered(await websocket.receive_text())
            except WebSocketDisconnect:
                self.sockets.remove(websocket)

        @routes.post("/slack/actions/{number}")
        async def answer(number: int, request: Request) -> Response:
            self.answers.append(json.loads(await request.body()) | {"number": number})
            return Response()

    def _answered(self, raw: str) -> None:
        waiting = self._waiting.get(json.loads(raw).get("envelope_id", ""))
        if waiting is not None and not waiting.done():
            waiting.set_result(None)


def signed(
    payload: dict[str, Any], *, now: datetime, secret: str = SIGNING_SECRET
) -> tuple[bytes, dict[str, str]]:
    """Write the body of a press and the headers under which Slack sends it."""
    body = urlencode({"payload": json.dumps(payload)}).encode()
    stamp = str(int(now.timestamp()))
    base = b"v0:" + stamp.encode() + b":" + body
    digest = hmac.new(secret.encode(), base, hashlib.sha256).hexdigest()
    return body, {
        "Content-Type": "application/x-www-form-urlencoded",
        "X-Slack-Request-Timestamp": stamp,
        "X-Slack-Signature": f"v0={digest}",
    }
