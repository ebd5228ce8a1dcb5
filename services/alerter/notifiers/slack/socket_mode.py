"""Socket Mode: clicks through a WebSocket that we open, for teams whose firewall lets nobody in."""

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable
from typing import Any, Final

import msgspec
import structlog
import websockets

from services.alerter.notifiers.slack.api import SlackApi, SlackError
from uproar.errors import Unavailable

LONGEST_WAIT: Final = 60.0
_OPENS_WITHIN: Final = 10.0
_MAX_MESSAGE: Final = 1024 * 1024

log = structlog.get_logger(room="alerter/slack")

Hear = Callable[[Any], Awaitable[None]]
"""Takes the payload of one interaction and returns once it is durable; raises Unavailable."""


class Lost(Exception):
    """There is no connection, and why; without the address, which is a secret."""


class SocketMode:
    """
    One connection at a time, opened anew whenever it ends.

    An interaction is acknowledged after what it means is durable: Slack shows the person an error
    otherwise.

    Args:
        api: Calls Slack with the app-level token (xapp-...).
    """

    def __init__(self, api: SlackApi) -> None:
        self._api, self._failures = api, 0
        self.problem: str | None = "Slack's socket is not open yet"

    async def run(self, hear: Hear) -> None:
        """Hear until cancelled."""
        while True:
            try:
                await self._once(
                    hear
                )  # it ends well where Slack asks us to come back, every few hours
            except Lost as error:
                self.problem = f"Slack's socket: {error}"
                log.warning("no socket", reason=str(error))
                self._failures += 1
                await asyncio.sleep(min(LONGEST_WAIT, 0.5 * 2 ** min(self._failures, 10)))

    async def _once(self, hear: Hear) -> None:
        address = await self._address()
        try:
            async with websockets.connect(
                address, open_timeout=_OPENS_WITHIN, max_size=_MAX_MESSAGE
            ) as socket:
                await self._read(socket, hear)
        except (OSError, TimeoutError, websockets.WebSocketException) as error:
            raise Lost(f"cannot be opened ({type(error).__name__})") from None

    async def _address(self) -> str:
        answer = await self._api.call("apps.connections.open", {}, form=True)
        if isinstance(answer, dict):
            return str(answer.get("url"))
        raise Lost(answer.outcome.reason if isinstance(answer, SlackError) else answer.reason)

    async def _read(self, socket: websockets.ClientConnection, hear: Hear) -> None:
        """Read until Slack asks us to open another; each message is taken beside the next."""
        greeted = False
        async with asyncio.TaskGroup() as group:
            while message := await _next(socket):
                match message.get("type"):
                    case "hello":
                        greeted, self.problem, self._failures = True, None, 0
                    case "disconnect" if greeted:
                        return
                    case _:
                        group.create_task(_take(socket, message, hear))
        raise Lost("the connection broke")


async def _next(socket: websockets.ClientConnection) -> dict[str, Any] | None:
    """Return the next message; None where the connection is gone."""
    try:
        return _object(await socket.recv())
    except websockets.ConnectionClosed:
        return None


async def _take(socket: websockets.ClientConnection, message: dict[str, Any], hear: Hear) -> None:
    envelope = message.get("envelope_id")
    if not isinstance(envelope, str):
        return
    try:
        if message.get("type") == "interactive":
            await hear(message.get("payload"))
    except Unavailable as error:
        log.warning("a click could not be kept", reason=str(error))
        return
    except Exception:  # our own fault with one click must not end the process that pages
        log.exception("a click could not be taken")
        return
    with contextlib.suppress(websockets.ConnectionClosed):
        await socket.send(json.dumps({"envelope_id": envelope}))


def _object(raw: str | bytes) -> dict[str, Any]:
    """Read a message; one that is none of Slack's says nothing."""
    try:
        message = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        message = None
    return message if isinstance(message, dict) and message else {"type": "unknown"}
