"""
A storm: 1,000 incidents in a minute. Everybody is named within 60 s, and the API still answers.

Figures are printed (`-s`). Asserted is what was promised, that everybody is told of everything, in few
messages and within the minute that the receivers' own limits allow: not the speed of this machine.
"""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from services.demo.standins import StandIns
from tests.broker import broker
from tests.build import a_backlash
from tests.integration.test_alerter import House, running, send
from uproar.topics import BACKLASH

NUMBER = 1000
WITHIN = 60.0
"""Seconds between the moment at which an incident is in the database and a message that names it."""


@asynccontextmanager
async def strict() -> AsyncIterator[StandIns]:
    """Stand-ins with the limits of the real ones: Slack takes one message a second and channel."""
    async with StandIns() as standins:
        standins.slack.per_second = 1.0
        yield standins


@pytest.mark.slow
async def test_a_thousand_incidents_in_a_minute_are_each_named_within_a_minute(tmp_path: Path):
    with broker() as address:
        async with strict() as standins:
            house = House(tmp_path, address, standins)
            with running(house):
                await house.begin()
                asking = asyncio.create_task(_ask(house))
                begun = datetime.now(UTC)
                for first in range(0, NUMBER, 50):
                    events = [a_backlash(subject=f"s{n}") for n in range(first, first + 50)]
                    await send(address, BACKLASH, *events)

                async def all_sent() -> bool:
                    status = await house.ask("/v1/status")
                    told = status["incidents"]["open"] == NUMBER
                    return told and status["outbox"]["pending"] == 0

                async with asyncio.timeout(280):
                    while not await all_sent():  # noqa: ASYNC110
                        await asyncio.sleep(0.5)
                asking.cancel()
                (latencies,) = await asyncio.gather(asking)
                items = await _all(house)

    opened = {one["id"]: datetime.fromisoformat(one["created_at"]) for one in items}
    assert len(opened) == NUMBER
    waits = {}
    for service in ("slack", "pagerduty", "webhook"):
        named = _named(standins, service, set(opened))
        assert set(named) == set(opened), f"{service} was not told of some"
        waits[service] = max((named[i] - opened[i]).total_seconds() for i in opened)
    latencies.sort()
    p99 = latencies[int(len(latencies) * 0.99)]
    messages = {service: sum(m.service == service for m in standins.messages) for service in waits}
    print(
        f"\nopened in {(max(opened.values()) - begun).total_seconds():.1f} s; "
        f"longest wait for a message that names it, in seconds: "
        f"{ {service: round(wait, 1) for service, wait in waits.items()} }; messages {messages}; "
        f"API p50 {latencies[len(latencies) // 2] * 1000:.0f} ms, p99 {p99 * 1000:.0f} ms "
        f"of {len(latencies)} requests"
    )
    assert messages["slack"] < NUMBER / 5
    assert messages["pagerduty"] < NUMBER / 5
    assert max(waits.values()) < WITHIN


async def _ask(house: House) -> list[float]:
    """Be a person who looks at the console all the time; returns how long each answer took."""
    took: list[float] = []
    paths = ["/v1/status", "/v1/incidents?limit=50", "/v1/incidents?status=open&severity_min=50"]
    async with httpx.AsyncClient(headers=house._headers, timeout=30) as client:
        try:
            while True:
                for path in paths:
                    begun = time.perf_counter()
                    (await client.get(house.url + path)).raise_for_status()
                    took.append(time.perf_counter() - begun)
                    await asyncio.sleep(0.05)
        except asyncio.CancelledError:
            return took


async def _all(house: House) -> list[dict]:
    items: list[dict] = []
    cursor = ""
    while True:
        page = await house.ask(f"/v1/incidents?limit=200{cursor}")
        items += page["items"]
        if page["next"] is None:
            return items
        cursor = f"&cursor={page['next']}"


def _named(standins: StandIns, service: str, incidents: set[str]) -> dict[str, datetime]:
    """When each incident was first named to a receiver."""
    named: dict[str, datetime] = {}
    for message in (m for m in standins.messages if m.service == service):
        said = json.dumps(message.body)
        for incident in incidents - set(named):
            if incident in said:
                named[incident] = message.at
    return named
