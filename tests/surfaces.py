"""A whole alerter but for Kafka, in this process, and every surface on which people see and act."""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from random import Random
from typing import Any

import httpx

from services.alerter.access import Access, Role
from services.alerter.advance import Advancer
from services.alerter.api.classifier import Classifier
from services.alerter.api.parts import Parts
from services.alerter.app import application
from services.alerter.callbacks import Callbacks
from services.alerter.deliver import Deliverer
from services.alerter.notifier import Notifier
from services.alerter.notifier.exchange import Surroundings
from services.alerter.notifiers import build, new_client, receivers
from services.alerter.settings import ReceiverTable
from services.alerter.store.database import Database
from services.alerter.store.incidents import Arrival
from services.alerter.store.outbox import SqlOutbox
from services.demo.standins import StandIns
from services.demo.standins.pagerduty import Alert, AlertState
from services.demo.standins.pagerduty_webhooks import Subscription
from services.demo.standins.slack import Posted
from services.process import Health, serve
from tests.broker import free_port
from tests.build import a_backlash
from uproar.backlash import EpisodeId, Event
from uproar.routing import ReceiverName, Route

INSTALLATION = "i1"


def now() -> datetime:
    return datetime.now(UTC)


@dataclass(kw_only=True)
class Surfaces:
    """
    What a person can see and do, by surface.

    Attributes:
        api: Speaks REST as a responder called Ada.
        console: Speaks to the console in a session.
    """

    standins: StandIns
    database: Database
    advancer: Advancer
    callbacks: Callbacks
    notifiers: dict[ReceiverName, Notifier]
    written: asyncio.Event
    url: str
    api: httpx.AsyncClient
    console: httpx.AsyncClient

    async def page(self, incident: str, **given: Any) -> None:
        """Let detection open an incident; returns when Slack and PagerDuty have its page."""
        given = {"subject": incident} | given  # two of one subject are episodes of one incident
        event = a_backlash(Event.OPENED, incident=EpisodeId(incident), **given)
        await self.advancer.hear(event, Arrival())
        await until(lambda: bool(self.in_slack(incident)) and bool(self.in_pagerduty(incident)))

    def in_slack(self, incident: str) -> Posted | None:
        """The message of an incident."""
        for posted in self.standins.slack.top_level():
            payload = (posted.metadata or {}).get("event_payload", {})
            if payload.get("incident") == incident:
                return posted
        return None

    def in_pagerduty(self, incident: str) -> Alert | None:
        """The newest alert of an incident."""
        found = [a for a in self.standins.pagerduty.alerts if f":{incident}:" in a.key]
        return found[-1] if found else None

    async def status(self, incident: str) -> dict[str, Any]:
        """The incident as REST shows it."""
        answer = await self.api.get(f"/v1/incidents/{incident}")
        return answer.raise_for_status().json()

    async def press(self, incident: str, action: str, **given: Any) -> bool:
        """Press a button of Slack's message."""
        message = self.in_slack(incident)
        assert message is not None
        return await self.standins.slack.clicks.press(message, f"uproar_{action}", **given)

    def pagerduty_acts(self, incident: str, state: AlertState, by: str = "Ben") -> None:
        """Do what a person does in PagerDuty's own app."""
        alert = self.in_pagerduty(incident)
        assert alert is not None
        self.standins.pagerduty.move(alert, state, by=by)


async def until(
    true: Callable[[], bool | Awaitable[bool]], *, every: float = 0.01, within: float = 60
) -> None:
    """Wait until something is true."""
    async with asyncio.timeout(within):
        while True:
            found = true()
            if found if isinstance(found, bool) else await found:
                return
            await asyncio.sleep(every)


def tables(standins: StandIns, *, socket: bool = False) -> list[ReceiverTable]:
    """Slack and PagerDuty, each with its way back."""
    given = standins.tables()
    back = {"app_token": standins.app_token}
    if not socket:
        back = {"signing_secret": standins.signing_secret}
    hears = {
        "webhook_secret": standins.webhook_secret,
        "api_token": standins.api_token,
        "rest_url": f"{standins.url}/pagerduty",
    }
    return [
        ReceiverTable(name="war-room", type="slack", options=given["slack"] | back),
        ReceiverTable(name="duty", type="pagerduty", options=given["pagerduty"] | hears),
        ReceiverTable(name="am", type="alertmanager", options=given["alertmanager"]),
        ReceiverTable(name="mail", type="email", options=given["email"]),
    ]


@asynccontextmanager
async def surfaces(database: Database, *, socket: bool = False) -> AsyncIterator[Surfaces]:
    """Run the alerter on a migrated database, its receivers being stand-ins."""
    stop, written, port = asyncio.Event(), asyncio.Event(), free_port()
    url = f"http://127.0.0.1:{port}"
    async with StandIns() as standins, new_client() as sending:
        given = tables(standins, socket=socket)
        around = Surroundings(client=sending, installation=INSTALLATION, clock=now)
        notify, told = build(given, around), receivers(given)
        advancer = Advancer(
            database,
            routes=[Route(name="default", receivers=told)],
            console_url=url,
            clock=now,
            written=written,
        )
        callbacks = Callbacks(database, advancer, notify, now)
        deliverer = Deliverer(
            SqlOutbox(database), notify, clock=now, rng=Random(1), owner="test", written=written
        )
        access = Access(database, now)
        parts = Parts(
            database=database,
            access=access,
            advancer=advancer,
            clock=now,
            problems=dict,
            classifier=lambda: Classifier(model="small", ready=True),
            callbacks=callbacks,
            receivers={one: notify[one.name] for one in told},
            console_url=url,
        )
        if not socket:
            standins.slack.clicks.request_url = f"{url}/v1/slack/interactions"
        standins.pagerduty.subscription = Subscription(f"{url}/v1/pagerduty/webhooks")
        async with asyncio.TaskGroup() as group, _people(url, access) as (api, console):
            app = application(parts, Health())
            group.create_task(serve(app, host="127.0.0.1", port=port, stop=stop))
            group.create_task(deliverer.run(stop))
            group.create_task(callbacks.run(stop))
            try:
                await until(lambda: _answers(api))
                if socket:
                    await until(lambda: bool(standins.slack.clicks.sockets))
                yield Surfaces(
                    standins=standins,
                    database=database,
                    advancer=advancer,
                    callbacks=callbacks,
                    notifiers=notify,
                    written=written,
                    url=url,
                    api=api,
                    console=console,
                )
            finally:
                stop.set()
                await standins.pagerduty.subscription.settled()


@asynccontextmanager
async def _people(
    url: str, access: Access
) -> AsyncIterator[tuple[httpx.AsyncClient, httpx.AsyncClient]]:
    _, key = await access.create_key("Ada", Role.RESPONDER)
    session = await access.log_in_by_key(key)
    assert session
    given: dict[str, Any] = {"base_url": url, "trust_env": False}
    bearer = {"Authorization": f"Bearer {key}"}
    async with (
        httpx.AsyncClient(headers=bearer, **given) as api,
        httpx.AsyncClient(headers={"Cookie": f"uproar_session={session}"}, **given) as console,
    ):
        yield api, console


async def _answers(api: httpx.AsyncClient) -> bool:
    try:
        return (await api.get("/live")).is_success
    except httpx.TransportError:
        return False


async def acknowledged_everywhere(there: Surfaces, incident: str, by: str) -> bool:
    """Tell whether every surface shows that this person is on it."""
    message, alert = there.in_slack(incident), there.in_pagerduty(incident)
    if not (message and f"{by} is on it" in message.text):
        return False
    if not (alert and alert.state is AlertState.ACKNOWLEDGED):
        return False
    shown = await there.status(incident)
    if (shown["status"], shown["acknowledged_by"]) != ("acknowledged", by):
        return False
    page = (await there.console.get(f"/incidents/{incident}")).text
    return f"{by} is on it since" in page


async def acknowledge(there: Surfaces, incident: str, surface: str) -> str:
    """Acknowledge on one surface; returns the name under which the others show it."""
    match surface:
        case "slack":
            assert await there.press(incident, "acknowledge", user="Anna")
            return "Anna (Slack)"
        case "pagerduty":
            there.pagerduty_acts(incident, AlertState.ACKNOWLEDGED, by="Ben")
            return "Ben (PagerDuty)"
        case "rest":
            answer = await there.api.post(f"/v1/incidents/{incident}/acknowledge")
            answer.raise_for_status()
            return "Ada"
        case _:
            page = (await there.console.get(f"/incidents/{incident}")).text
            token = re.search(r'name="token" value="(\w+)"', page)
            assert token
            answer = await there.console.post(
                f"/incidents/{incident}/acknowledge", data={"token": token[1]}
            )
            assert answer.status_code == 303
            return "Ada"
