"""
Stand-ins: a local Slack, PagerDuty and webhook endpoint that take only what the real ones take.

They check what they receive against the documented limits and answer as the real ones would; they
are for the demo, for tests and for trying uproar without an account. They wake nobody.
"""

import asyncio
import socket
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

import uvicorn
from fastapi import FastAPI
from fastapi.responses import HTMLResponse

from services.demo.standins import (
    alertmanager,
    mail,
    pagerduty,
    pagerduty_webhooks,
    slack,
    slack_clicks,
    webhook,
)
from services.demo.standins.alertmanager import AlertmanagerStandIn
from services.demo.standins.faults import Fault, Trouble, Troubles
from services.demo.standins.ledger import Ledger, Received
from services.demo.standins.mail import MailStandIn
from services.demo.standins.page import page
from services.demo.standins.pagerduty import PagerDutyStandIn
from services.demo.standins.slack import SlackStandIn
from services.demo.standins.webhook import WebhookStandIn

__all__ = ["Fault", "Received", "StandIns", "Trouble"]


class StandIns:
    """
    All stand-ins behind one port of this machine; an asynchronous context manager.

    Args:
        port: Where to listen; 0 takes a free one.
    """

    token = slack.TOKEN
    channel = slack.CHANNEL
    signing_secret = slack_clicks.SIGNING_SECRET
    app_token = slack_clicks.APP_TOKEN
    routing_key = pagerduty.ROUTING_KEY
    webhook_secret = pagerduty_webhooks.WEBHOOK_SECRET
    api_token = pagerduty_webhooks.API_TOKEN
    secret = webhook.SECRET

    def __init__(self, port: int = 0) -> None:
        self._port = port
        self.ledger = Ledger()
        self.slack = SlackStandIn(ledger=self.ledger)
        self.pagerduty = PagerDutyStandIn(self.ledger)
        self.webhook = WebhookStandIn(self.ledger)
        self.alertmanager = AlertmanagerStandIn(self.ledger)
        self.mail = MailStandIn(self.ledger)
        self.troubles = self.mail.troubles = Troubles(self._app())

    @property
    def url(self) -> str:
        """Where they listen."""
        return f"http://127.0.0.1:{self._port}"

    @property
    def messages(self) -> list[Received]:
        """All that was received, in order."""
        return self.ledger.messages

    def trouble(self, fault: Fault, **about: Any) -> None:
        """Let the next requests fail; see :class:`services.demo.standins.faults.Trouble`."""
        self.troubles.waiting.append(Trouble(fault=fault, **about))

    def tables(self) -> dict[str, dict[str, Any]]:
        """Return the ``[[receiver]]`` table of each stand-in by its type."""
        return {
            "slack": {
                "token": self.token,
                "channel": self.channel,
                "api_url": f"{self.url}/slack/api",
            },
            "pagerduty": {"routing_key": self.routing_key, "api_url": f"{self.url}/pagerduty"},
            "webhook": {
                "url": f"{self.url}/webhook",
                "secret": self.secret,
                "allow_private": True,
            },
            "alertmanager": {"urls": [f"{self.url}/alertmanager"]},
            "email": {
                "server": "127.0.0.1",
                "port": self.mail.port,
                "security": "none",
                "sender": "uproar <uproar@example.org>",
                "to": [mail.ADDRESS],
            },
        }

    @property
    def webhook_url(self) -> str:
        """Slack's incoming webhook."""
        return f"{self.url}/slack/services/{slack.HOOK}"

    async def __aenter__(self) -> Self:
        await self.mail.start()
        listener = socket.create_server(("127.0.0.1", self._port))
        self._port = listener.getsockname()[1]
        self.slack.clicks.address = f"127.0.0.1:{self._port}"
        config = uvicorn.Config(
            self.troubles,
            log_config=None,
            access_log=False,
            lifespan="off",
            http="h11",  # the faults close its socket
            ws="websockets-sansio",
            timeout_graceful_shutdown=1,
        )
        self._server = uvicorn.Server(config)
        # Its public serve() would take the signals of the process for itself.
        self._serving = asyncio.create_task(self._server._serve([listener]))
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.slack.clicks.close()
        await self.mail.stop()
        self._server.should_exit = True
        with suppress(asyncio.CancelledError):
            await self._serving

    def _app(self) -> FastAPI:
        app = FastAPI(title="uproar's stand-ins", docs_url=None, redoc_url=None, openapi_url=None)
        app.include_router(slack.router(self.slack))
        app.include_router(pagerduty.router(self.pagerduty))
        app.include_router(webhook.router(self.webhook))
        app.include_router(alertmanager.router(self.alertmanager))

        @app.get("/")
        async def look() -> HTMLResponse:
            events = [m for m in self.messages if m.service == "webhook"]
            letters = [m for m in self.messages if m.service in {"email", "alertmanager"}]
            shown = page(list(self.slack.messages.values()), self.pagerduty.alerts, events, letters)
            return HTMLResponse(shown, headers={"Content-Security-Policy": _POLICY})

        @app.get("/messages")
        async def listing(since: int = 0) -> dict[str, Any]:
            return {"items": self.ledger.listing(since), "next": None}

        return app


_POLICY = "default-src 'none'; style-src 'unsafe-inline'"
