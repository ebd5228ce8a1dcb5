"""
Kills: real processes, a real broker and real sockets, and SIGKILL in the middle of it.

Two parts: an alerter that is killed while it delivers to stand-ins that fail, and the whole product
of which one service after the other is killed while it reads a crisis.
"""

import asyncio
import json
import signal
import sqlite3
import tempfile
from collections import Counter
from contextlib import closing
from dataclasses import dataclass, fields
from pathlib import Path
from random import Random
from threading import Thread
from typing import Any

from services.demo.standins import Fault, StandIns
from services.demo.story import WATCH
from tests.broker import broker
from tests.build import a_backlash
from tests.chaos.verdict import REPEATED
from tests.e2e import house as product
from tests.integration.test_alerter import House, send
from uproar.topics import BACKLASH

WHOLE = ("classifier", "alerter", "ingest")
"""What is killed of the whole product, one after the other."""
_FAULTS = (Fault.RATE_LIMITED, Fault.UNAVAILABLE, Fault.SERVER_ERROR, Fault.DROPPED, Fault.CUT)


@dataclass(slots=True, kw_only=True)
class Real:
    """What became of the real processes; see :class:`tests.chaos.verdict.Verdict`."""

    pages_lost: int = 0
    pagerduty_duplicates: int = 0
    slack_duplicates: int = 0
    unlabelled: int = 0
    posts_lost: int = 0

    def add(self, other: "Real") -> None:
        """Count both."""
        for field in fields(self):
            setattr(self, field.name, getattr(self, field.name) + getattr(other, field.name))


def campaign(number: int, *, seed: int, kafka: bool) -> Real:
    """Kill so many processes and count what is missing or there twice."""
    total = Real()
    kind = "kafka" if kafka else "embedded"
    whole = min(len(WHOLE), number)
    if number > whole:
        with broker(kind) as servers, tempfile.TemporaryDirectory() as folder:
            total.add(asyncio.run(_alerter(number - whole, Random(seed), servers, Path(folder))))
    if whole:
        with broker(kind) as servers, tempfile.TemporaryDirectory() as folder:
            total.add(_product(WHOLE[:whole], seed, servers, Path(folder)))
    return total


# -------------------------------------------------------------- an alerter that is delivering


async def _alerter(number: int, rng: Random, servers: str, folder: Path) -> Real:
    async with StandIns() as standins:
        home = House(folder, servers, standins)
        await home.begin()
        incidents = []
        try:
            for n in range(number):
                event = a_backlash(subject=f"brand-{n}")
                incidents.append(event.incident)
                for _ in range(rng.randrange(3)):
                    path = rng.choice(("/slack", "/pagerduty", "/webhook"))
                    standins.trouble(rng.choice(_FAULTS), path=path)
                await send(servers, BACKLASH, event)
                await asyncio.sleep(rng.random() * 0.5)
                await asyncio.to_thread(home.end, signal.SIGKILL)
                print(f"SIGKILL {n + 1}: the alerter", flush=True)
                home.start()
                await home.until(lambda: home.ask("/ready"))

            async def done() -> bool:
                found = {item["id"] for item in await home.items("/v1/incidents?limit=200")}
                status = await home.ask("/v1/status")
                return set(incidents) <= found and status["outbox"]["pending"] == 0

            await home.until(done)
        finally:
            if home._process and home._process.poll() is None:
                await asyncio.to_thread(home.end, signal.SIGKILL)
        return _judged(standins, incidents)


def _judged(standins: StandIns, incidents: list[str]) -> Real:
    real = Real()
    slack = [m.body for m in standins.messages if m.service == "slack" and m.what == "post"]
    keys = Counter(alert.key.split(":")[2] for alert in standins.pagerduty.alerts)
    events = [m.body["data"]["id"] for m in standins.messages if m.service == "webhook"]
    for incident in incidents:
        posts = [body for body in slack if _incident(body) == incident]
        real.pages_lost += [bool(posts), keys[incident] > 0, incident in events].count(False)
        real.pagerduty_duplicates += max(0, keys[incident] - 1)
        real.slack_duplicates += max(0, len(posts) - 1)
        real.unlabelled += sum(REPEATED not in json.dumps(body) for body in posts[1:])
    return real


def _incident(body: dict[str, Any]) -> str | None:
    found: str | None = body.get("metadata", {}).get("event_payload", {}).get("incident")
    return found


# ---------------------------------------------------------------------------- the whole product


def _product(victims: tuple[str, ...], seed: int, servers: str, folder: Path) -> Real:
    """Kill services in the middle of a replay, and compare with the back-test of the same file."""
    posts = product.short_story(seed)
    file = product.write(folder / "story.jsonl", posts)
    expected = product.outcome(file)
    wanted = {(event.id, event.page) for event in expected.backlash}
    count = sum(reading.posts for reading in expected.readings if not reading.decision)
    settings = {"UPROAR_WATCH": str(WATCH), "UPROAR_KAFKA_BOOTSTRAP_SERVERS": servers}
    with product.house(folder, **settings) as home:
        replay = Thread(target=_replay, args=(home, file))
        replay.start()
        scored = "uproar_classifier_posts_total"
        for victim in victims:
            home.wait("posts to be scored", lambda: home.metric("classifier", scored) > 0)
            killed = home.kill_service(victim)
            print(f"SIGKILL: {victim}", flush=True)
            home.wait(
                f"another {victim}",
                lambda v=victim, k=killed: home._children().get(v) not in {None, k},
            )
        replay.join()
        home.wait_until_judged(product.end_of(posts))
        home.wait("all events to arrive", lambda: home.events() >= wanted)
        told = home.events()
        counted = _counted(folder / "data" / "alerter" / "uproar.db")
    lost = sum(page for event, page in wanted if (event, page) not in told)
    return Real(pages_lost=lost, posts_lost=max(0, count - counted))


def _replay(home: product.House, file: Path) -> None:
    """Be a person whose replay fails: start it again, it goes on where it was."""
    for _ in range(20):
        try:
            home.replay(file)
        except AssertionError:
            continue
        return


def _counted(path: Path) -> int:
    """How many posts detection has counted, by its own readings."""
    with closing(sqlite3.connect(path)) as connection:
        (count,) = connection.execute(
            "SELECT sum(posts) FROM readings WHERE NOT decision"
        ).fetchone()
        return int(count or 0)
