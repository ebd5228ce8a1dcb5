"""The alerter as a process, with a broker, without one, and with one that forgets."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from random import Random
from typing import Any
from uuid import uuid4

import httpx
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from services.alerter import access
from services.alerter.advance import Advancer
from services.alerter.app import wall_clock
from services.alerter.consume import Consumer, Taker
from services.alerter.settings import AlerterSettings
from services.alerter.store import history
from services.broker import Follower, ensure_topics, survey, topic_specs
from services.demo.standins import StandIns
from tests.broker import FORGETS, Address, Broker, a_broker, broker, free_port
from tests.build import a_backlash, a_deletion, a_moment, a_reading, a_source_state, some_evidence
from tests.databases import migrated, new_url
from uproar.backlash import Backlash, EpisodeId, Event
from uproar.post import PostId
from uproar.topics import BACKLASH, DEAD_LETTER, DELETIONS, READINGS, SOURCES, SUBJECTS, Topic
from uproar.wire import ACCEPTED_AT, Record

SECONDS = 120
Json = dict[str, Any]


class House:
    """One alerter process, its folder, its stand-ins, and an admin's key to it."""

    def __init__(
        self,
        directory: Path,
        address: Address,
        receivers: StandIns,
        database_url: str | None = None,
    ) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = directory / "log"
        config = directory / "uproar.toml"
        config.write_text(_config(receivers))
        self.database_url = database_url or new_url(directory)
        self._environment = (
            os.environ
            | address.environment
            | {
                "UPROAR_DATABASE_URL": self.database_url,
                "UPROAR_CONFIG": str(config),
                "UPROAR_ALERTER_PORT": str(self.port),
                "UPROAR_ALERTER_CLASSIFIER_URL": "http://127.0.0.1:1",
            }
        )
        self._process: subprocess.Popen[bytes] | None = None
        self._headers: dict[str, str] = {}

    def start(self) -> None:
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "services.alerter"],
                env=self._environment,
                stdout=log,
                stderr=log,
            )

    async def begin(self) -> None:
        """Make a key, start, and return when it is ready."""
        key = await asyncio.to_thread(access.create, self.database_url, "admin", "Ada")
        self._headers = {"Authorization": f"Bearer {key}"}
        self.start()
        await self.until(lambda: self.ask("/ready"))

    def end(self, sign: signal.Signals = signal.SIGTERM) -> int:
        assert self._process is not None
        self._process.send_signal(sign)
        return self._process.wait(timeout=60)

    async def ask(self, path: str, method: str = "GET", **given: Any) -> Json | None:
        """Return the answer, None where there is none or it is no success."""
        try:
            async with httpx.AsyncClient(timeout=20) as client:
                answer = await client.request(
                    method, self.url + path, headers=self._headers, **given
                )
        except httpx.TransportError:
            return None
        return answer.json() if answer.is_success and answer.content else None

    async def until(self, true: Callable[[], Any]) -> Any:
        """Ask again and again until the answer is something, and return it."""
        try:
            async with asyncio.timeout(SECONDS):
                while not (answer := await true()):  # noqa: ASYNC110
                    await asyncio.sleep(0.1)
                return answer
        except TimeoutError:
            raise AssertionError(f"waited in vain; its log:\n{self.log.read_text()}") from None

    async def items(self, path: str) -> list[Json]:
        return ((await self.ask(path)) or {"items": []})["items"]


def _config(receivers: StandIns) -> str:
    lines = [
        '[[subject]]\nid = "air-quillon"\nname = "Air Quillon"\nhandles = ["@airquillon"]\n',
    ]
    for kind, options in receivers.tables().items():
        fields = [f"{name} = {json.dumps(value)}" for name, value in options.items()]
        lines.append("\n".join(["[[receiver]]", f'name = "{kind}"', f'type = "{kind}"', *fields]))
    return "\n".join(lines)


@pytest.fixture
def address() -> Iterator[Address]:
    """A broker for this test alone: all alerters are of one consumer group, which remembers."""
    with broker() as its_address:
        yield its_address


@pytest.fixture
async def receivers() -> AsyncIterator[StandIns]:
    async with StandIns() as running:
        yield running


@contextmanager
def running(house: House) -> Iterator[None]:
    try:
        yield
    finally:
        if house._process and house._process.poll() is None:
            house._process.kill()
            house._process.wait()


async def send(address: Address, topic: Topic, *values: Any, headers=()) -> None:
    producer = AIOKafkaProducer(**address.aiokafka, acks="all")
    await producer.start()
    try:
        for value in values:
            raw = value if isinstance(value, bytes) else topic.codec.encode(value)
            await producer.send_and_wait(topic.name, value=raw, key=b"k", headers=list(headers))
    finally:
        await producer.stop()


async def dead_letters(address: Address) -> list[str]:
    topic = TopicPartition(BACKLASH.dead_letters, 0)
    consumer = AIOKafkaConsumer(**address.aiokafka)
    await consumer.start()
    try:
        consumer.assign([topic])
        await consumer.seek_to_beginning(topic)
        batches = await consumer.getmany(timeout_ms=3000)
        messages = [message for batch in batches.values() for message in batch]
        return [DEAD_LETTER.decode(message.value).reason for message in messages]
    finally:
        await consumer.stop()


@asynccontextmanager
async def watch_list(address: Address) -> AsyncIterator[dict[str, str | None]]:
    """What ingest and detect know of the watch list: names by id, None for a deleted one."""
    known: dict[str, str | None] = {}

    def take(records: list[Record]) -> None:
        for record in records:
            name = None if record.value is None else SUBJECTS.decode(record).name
            known[record.key.decode()] = name

    follower = Follower(address.settings(), SUBJECTS.name, take)
    follower.start()
    try:
        yield known
    finally:
        await follower.stop()


def an_event(event: Event = Event.OPENED, *, episode: str = "e_1", sequence: int = 0, **given):
    if episode != "e_1":
        given.setdefault("subject", episode)  # two of one subject are episodes of one incident
    return a_backlash(event, incident=EpisodeId(episode), sequence=sequence, **given)


def texts(receivers: StandIns, service: str) -> list[tuple[str, str]]:
    return [(m.what, m.effect) for m in receivers.messages if m.service == service]


async def test_an_event_becomes_a_page_and_a_person_answers_it(
    tmp_path: Path, address: Address, receivers: StandIns
):
    house = House(tmp_path, address, receivers)
    with running(house):
        await house.begin()
        accepted = wall_clock().isoformat().encode()
        evidence = (some_evidence("push:1", text="they broke my guitar"),)
        await send(
            address,
            BACKLASH,
            b"{not json",
            an_event(evidence=evidence),
            an_event(evidence=evidence),
            headers=[(ACCEPTED_AT, accepted)],
        )
        await send(address, READINGS, a_reading(), a_reading(a_moment(minutes=5)))
        await send(address, SOURCES, a_source_state(reported_at=wall_clock()))

        (incident,) = await house.until(lambda: house.items("/v1/incidents"))
        assert (incident["id"], incident["subject_name"]) == ("e_1", "Air Quillon")

        async def all_sent() -> bool:
            rows = await house.items("/v1/incidents/e_1/deliveries")
            return [row["state"] for row in rows] == ["delivered"] * 5

        await house.until(all_sent)
        assert await house.ask(
            "/v1/incidents/e_1/acknowledge", "POST", json={"note": "calling them"}
        )

        async def acknowledged() -> bool:
            return receivers.pagerduty.alerts and "acknowledge" in {
                message.what for message in receivers.messages if message.service == "pagerduty"
            }

        await house.until(acknowledged)
        assert texts(receivers, "slack")[0] == ("post", "new")
        assert ("trigger", "new") in texts(receivers, "pagerduty")
        assert texts(receivers, "webhook")[0][0] == "incident.opened"
        timeline = await house.items("/v1/incidents/e_1/timeline")
        assert [(line["happened"], line["by"]) for line in timeline] == [
            ("opened", "uproar"),
            ("acknowledge", "Ada"),
        ]
        assert len(await house.items("/v1/subjects/air-quillon/readings")) == 2
        assert any("malformed" in reason for reason in await dead_letters(address))
        status = await house.ask("/v1/status")
        assert status["sources"][0]["state"] == "live"
        async with httpx.AsyncClient() as client:
            metrics = (await client.get(f"{house.url}/metrics")).text
        assert "uproar_alerter_post_to_page_seconds_count 5.0" in metrics

        await send(address, DELETIONS, a_deletion(id=PostId("push:1")))

        async def blanked() -> bool:
            cited = await house.items("/v1/incidents/e_1/evidence")
            return [post["text"] for post in cited] == ["[deleted]"]

        await house.until(blanked)
        assert await asyncio.to_thread(house.end) == 0


async def test_a_change_of_the_watch_list_reaches_its_topic_within_seconds(
    tmp_path: Path, address: Address, receivers: StandIns
):
    house = House(tmp_path, address, receivers)
    with running(house):
        await house.begin()
        async with watch_list(address) as known:

            async def knows(**names: str | None) -> None:
                expected = {name.replace("_", "-"): value for name, value in names.items()}

                async def same() -> bool:
                    return {n: known.get(n, "?") for n in expected} == expected

                await house.until(same)

            await knows(air_quillon="Air Quillon")
            mine = f"s{uuid4().hex}"
            assert await house.ask("/v1/subjects", "POST", json={"id": mine, "name": "New"})
            await knows(**{mine: "New"})
            assert await house.ask(f"/v1/subjects/{mine}", "PUT", json={"name": "Newer"})
            await knows(**{mine: "Newer"})
            await house.ask(f"/v1/subjects/{mine}", "DELETE")
            await knows(**{mine: None})


async def test_it_answers_and_delivers_with_the_broker_down_also_when_started_so(
    tmp_path: Path, receivers: StandIns
):
    away = a_broker()
    try:
        away.start()
        house = House(tmp_path, away.address, receivers)
        away.kill()
        with running(house):
            await house.begin()
            ready = await house.ask("/ready")
            assert set(ready["degraded"]) == {"consume", "publish"}
            assert await house.items("/v1/subjects")
            assert (await house.ask("/v1/status"))["status"] == "degraded"

            await asyncio.to_thread(away.restart)
            await house.until(lambda: fine(house))
            await send(away.address, BACKLASH, an_event())
            await house.until(lambda: house.items("/v1/incidents"))
            away.kill()

            assert await house.ask("/v1/incidents/e_1/resolve", "POST")

            async def resolved() -> bool:
                told = {m.what for m in receivers.messages if m.service == "pagerduty"}
                return "resolve" in told

            await house.until(resolved)
            await house.until(lambda: degraded(house))
    finally:
        away.remove()


@pytest.mark.skipif(not FORGETS, reason="Apache Kafka keeps what it has over a restart")
async def test_a_broker_that_forgot_everything_is_told_the_list_and_listened_to(
    tmp_path: Path, receivers: StandIns
):
    tansu = a_broker()
    try:
        tansu.start()
        house = House(tmp_path, tansu.address, receivers)
        with running(house):
            await house.begin()
            await send_until_heard(tansu, house, an_event())
            tansu.kill()
            tansu.restart()

            async with watch_list(tansu.address) as known:

                async def told() -> bool:
                    return known.get("air-quillon") == "Air Quillon"

                await house.until(told)
            await send_until_heard(tansu, house, an_event(episode="e_2"))
            assert len(await house.items("/v1/incidents")) == 2
        settings = tansu.address.settings()
        specs = topic_specs(settings).values()
        assert {spec.name: spec.partitions for spec in specs}.items() <= survey(settings).items()
    finally:
        tansu.remove()


async def send_until_heard(tansu: Broker, house: House, event: Backlash) -> None:
    await house.until(lambda: fine(house))
    await send(tansu.address, BACKLASH, event)
    await house.until(lambda: house.ask(f"/v1/incidents/{event.incident}"))


async def fine(house: House) -> bool:
    ready = await house.ask("/ready")
    return bool(ready) and "degraded" not in ready


async def degraded(house: House) -> bool:
    ready = await house.ask("/ready")
    return bool(ready) and "publish" in ready.get("degraded", {})


async def test_killed_at_once_after_an_event_and_started_again_it_pages_once(
    tmp_path: Path, address: Address, receivers: StandIns
):
    house, rng = House(tmp_path, address, receivers), Random(1)
    episodes = [f"e_{uuid4().hex}" for _ in range(5)]
    with running(house):
        await house.begin()
        for episode in episodes:
            await house.until(lambda: fine(house))  # it reads: or the kill hits an empty house
            await send(address, BACKLASH, an_event(episode=episode))
            await asyncio.sleep(rng.uniform(0, 0.5))  # somewhere between the topic and the receipt
            await asyncio.to_thread(house.end, signal.SIGKILL)
            house.start()

        async def all_there() -> bool:
            found = {item["id"] for item in await house.items("/v1/incidents")}
            return set(episodes) <= found

        await house.until(all_there)

        async def all_paged() -> bool:
            status = await house.ask("/v1/status")
            return status["outbox"]["pending"] == 0

        await house.until(all_paged)
        for episode in episodes:
            assert len(await house.items(f"/v1/incidents/{episode}/timeline")) == 1
        assert len(receivers.pagerduty.alerts) == len(episodes)


async def test_a_crash_between_the_database_and_the_offset_opens_no_second_incident(
    tmp_path: Path, address: Address, monkeypatch: pytest.MonkeyPatch
):
    for name, value in address.environment.items():
        monkeypatch.setenv(name, value)
    settings = AlerterSettings.load()
    await asyncio.to_thread(ensure_topics, settings)
    episode = EpisodeId(f"e_{uuid4().hex}")
    events = [
        a_backlash(incident=episode),
        a_backlash(Event.GREW, incident=episode, sequence=1),
    ]
    async with migrated(new_url(tmp_path)) as database:
        advancer = Advancer(
            database, routes=[], console_url="", clock=wall_clock, written=asyncio.Event()
        )

        async def lines() -> int:
            async with database.reading() as transaction:
                return len(await history.timeline(transaction, episode))

        async def consume(stop_at: int) -> None:
            stop = asyncio.Event()
            task = asyncio.create_task(
                Consumer(settings, Taker(database, advancer, wall_clock)).run(stop)
            )
            async with asyncio.timeout(SECONDS):
                while not task.done() and await lines() < stop_at:  # noqa: ASYNC110
                    await asyncio.sleep(0.05)
            stop.set()
            await task

        async def dies(*_: object) -> None:
            raise RuntimeError("the process dies before the offset is committed")

        await send(address, BACKLASH, events[0])
        with monkeypatch.context() as patched:
            patched.setattr(AIOKafkaConsumer, "commit", dies)
            with pytest.raises(RuntimeError, match="dies before"):
                await consume(99)
        assert await lines() == 1

        await send(address, BACKLASH, events[1])
        await consume(2)

        assert await lines() == 2
