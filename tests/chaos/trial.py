"""
Trial: the whole product reads a crisis while something is done to it, and is judged by the back-test.

Real processes, a real broker, real sockets, stand-ins for the receivers. What is done is given by
the caller: kills (``kills``), or the outages and rebalances of ``tests/integration``.
"""

import asyncio
import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from unittest import mock

import httpx
from kafka import KafkaConsumer, TopicPartition
from sqlalchemy import select

from services.alerter.store.database import Database
from services.alerter.store.tables import READINGS
from services.backtest.detecting import Outcome
from services.demo.standins import StandIns
from services.demo.standins.__main__ import toml
from services.demo.story import WATCH
from services.ingest.replay import play, replay
from tests.broker import Address, free_port
from tests.chaos.real import Real, judged
from tests.e2e.house import PATIENCE, House, end_of, house, outcome, short_story, write
from tests.standins import standins
from uproar.topics import ASSESSMENTS, POSTS, Topic
from uproar.watermark import Watermark
from uproar.wire import Record

Slots = Mapping[tuple[str, str], int]
"""How many posts count for a subject in five minutes."""
POSTS_AT_ONCE = 3
"""Posts a request: a moment of the replay is known to so many posts."""


class Pace:
    """
    The progress of a replay that takes its time, and at which others may wait for a moment.

    Args:
        seconds: How long the whole would take at its pace.
        slow_from: From which share of the posts on it keeps that pace.
    """

    def __init__(self, seconds: float, slow_from: float = 0.0) -> None:
        self._seconds, self._slow_from = seconds, slow_from
        self._posts, self._sent = 1, 0
        self.reached: datetime | None = None
        self._moved = threading.Condition()
        self._hurried = threading.Event()
        self._over = False

    def begin(self, posts: int) -> None:
        self._posts = posts

    def moved(self, posts: int, reached: datetime | None) -> None:
        with self._moved:
            news, self._sent, self.reached = posts - self._sent, posts, reached
            self._moved.notify_all()
        if posts >= self._slow_from * self._posts:  # its loop has nothing else to do
            self._hurried.wait(max(0, news) * self._seconds / self._posts)

    def hurry(self) -> None:
        """Wait no more: all that was to be seen has happened."""
        self._hurried.set()

    def end(self) -> None:
        with self._moved:
            self._over = True
            self._moved.notify_all()

    def wait_until(self, share: float) -> None:
        """Wait until ingest has acknowledged a share of the posts."""
        with self._moved:
            there = self._moved.wait_for(
                lambda: self._over or self._sent >= share * self._posts, 5 * PATIENCE
            )
        assert there, "the replay stands still"


@dataclass(slots=True, kw_only=True)
class Trial:
    """
    One crisis, as it is being read.

    Attributes:
        home: The product.
        pace: How far the replay is.
        seed: Of the story.
    """

    home: House
    pace: Pace
    seed: int

    def wait_until_well(self) -> None:
        """Wait until all services are ready and lack nothing."""
        for service in self.home.ports:
            self.home.wait(f"{service} to be well", lambda s=service: self._well(s))

    def _well(self, service: str) -> bool:
        answer = httpx.get(self.home.url(service, "/ready"), timeout=5)
        return answer.is_success and not answer.json().get("degraded")

    def event_time(self) -> float:
        """Return how far detection is, in seconds since 1970."""
        name = "uproar_classifier_event_time_timestamp_seconds"
        return self.home.metric("classifier", name)

    def acknowledged(self) -> float:
        """Return up to when ingest has taken the posts: beyond it detection needs later ones."""
        return self.pace.reached.timestamp() if self.pace.reached else 0.0

    def wait_until_it_goes_on(self, since: float) -> None:
        """Wait until detection is further than a moment."""
        self.home.wait("detection to go on", lambda: self.event_time() > since)

    @contextmanager
    def second_classifier(self) -> Iterator[subprocess.Popen[bytes]]:
        """Run a second classifier of the same group until it is ended by the caller."""
        folder, port = self.home.folder / "second", free_port()
        env = self.home.env | {
            "UPROAR_CLASSIFIER_PORT": str(port),
            "UPROAR_DATA_DIR": str(folder),
        }
        folder.mkdir(exist_ok=True)
        with (folder / "log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-P", "-m", "services.classifier"],
                env=env,
                stdout=log,
                stderr=log,
            )
        try:
            ready = f"http://127.0.0.1:{port}/ready"
            self.home.wait("the second classifier", lambda: httpx.get(ready).is_success)
            yield process
        finally:
            if process.poll() is None:
                process.kill()
            process.wait()


def run(
    folder: Path,
    trouble: Callable[[Trial], None],
    *,
    seed: int,
    pace: Pace,
    address: Address | None = None,
) -> Real:
    """
    Let the product read the crisis of a seed, do something to it meanwhile, and judge it.

    Args:
        folder: An empty one.
        trouble: What is done; it returns when it is over.
        pace: Of the replay, until the trouble is over.
        address: The broker; None for the product's own.

    Raises:
        AssertionError: An event of the back-test is missing, or there is one that it has not.
    """
    posts = short_story(seed)
    file = write(folder / "story.jsonl", posts)
    expected = outcome(file)
    with standins() as receivers:
        config = folder / "uproar.toml"
        config.write_text(WATCH.read_text("utf-8") + toml(receivers), "utf-8")
        with house(folder, **(address.environment if address else {})) as home:
            trial = Trial(home=home, pace=pace, seed=seed)
            _replay_through(trial, file, trouble)
            home.replay(file)  # what a new, empty broker must be given again
            home.wait_until_judged(end_of(posts))
            real = _judge(home, expected, receivers)
            assert home.stop() == 0
    if address is not None:
        real.posts_doubled = doubled(address)
    return real


def _replay_through(trial: Trial, file: Path, trouble: Callable[[Trial], None]) -> None:
    failed: list[BaseException] = []

    def play_it() -> None:
        to, token = trial.home.url("ingest", ""), trial.home.token
        try:
            asyncio.run(replay(file, to=to, token=token, progress=trial.pace))
        except BaseException as error:
            failed.append(error)
        finally:
            trial.pace.end()

    with mock.patch.object(play, "MAX_POSTS", POSTS_AT_ONCE):
        thread = threading.Thread(target=play_it)
        thread.start()
        try:
            trouble(trial)
        finally:
            trial.pace.hurry()
            thread.join()
    if failed:
        raise AssertionError(f"the replay of seed {trial.seed} failed") from failed[0]


def _judge(home: House, expected: Outcome, receivers: StandIns) -> Real:
    wanted = {(event.id, event.page) for event in expected.backlash}
    home.wait("all events to arrive", lambda: home.events() >= wanted)
    _same(wanted, home)
    incidents = [item["id"] for item in home.items("/v1/incidents?limit=200")]
    assert set(incidents) <= {event.incident for event in expected.backlash}
    home.wait("all pages to go out", lambda: _outbox(home)["pending"] == 0)
    real = judged(receivers, [incident for incident in incidents if _has_paged(home, incident)])
    told = home.wait("all readings to arrive", lambda: _whole(home, expected))
    real.posts_lost, real.posts_counted_twice = differences(_counted(expected), told)
    return real


def _same(wanted: set[tuple[str, bool]], home: House) -> None:
    """Show what the timeline has beyond the back-test, between the lines before and behind it."""
    if more := home.events() - wanted:
        lines = [
            f"{'>' if (line['backlash'], line['page']) in more else ' '} {line}"
            for incident in home.items("/v1/incidents?limit=200")
            for line in home.items(f"/v1/incidents/{incident['id']}/timeline")
        ]
        raise AssertionError("events that the back-test has not:\n" + "\n".join(lines))


def differences(expected: Slots, told: Slots) -> tuple[int, int]:
    """Count the posts that are missing, and those too many: also in slots that nobody expects."""
    missing = [expected.get(slot, 0) - told.get(slot, 0) for slot in expected.keys() | told.keys()]
    return sum(n for n in missing if n > 0), -sum(n for n in missing if n < 0)


def _outbox(home: House) -> dict[str, Any]:
    outbox: dict[str, Any] = home.ask("GET", "/v1/status").json()["outbox"]
    return outbox


def _has_paged(home: House, incident: str) -> bool:
    return any(line["page"] for line in home.items(f"/v1/incidents/{incident}/timeline"))


def _counted(expected: Outcome) -> Slots:
    """Return how many posts detection is to count, by subject and five minutes."""
    told = [reading for reading in expected.readings if not reading.decision]
    return {(r.subject, f"{r.at:%Y-%m-%d %H:%M}"): r.posts for r in told}


def _whole(home: House, expected: Outcome) -> Slots:
    """Return what detection has counted, once every reading has come; nothing before."""
    told = asyncio.run(_told(home.database_url))
    return told if told.keys() >= _counted(expected).keys() else {}


async def _told(url: str) -> dict[tuple[str, str], int]:
    database = Database(url)
    try:
        async with database.reading() as transaction:
            rows = await transaction.execute(select(READINGS).where(~READINGS.c.decision))
            return {(r.subject, f"{r.at:%Y-%m-%d %H:%M}"): r.posts for r in rows}
    finally:
        await database.close()


def doubled(address: Address) -> int:
    """Count the posts, and the assessments, that came more than once."""
    return sum(
        sum(count - 1 for count in Counter(_names(address, topic)).values())
        for topic in (POSTS, ASSESSMENTS)
    )


def _names(address: Address, topic: Topic) -> Iterator[tuple[str, str]]:
    """Yield post and subject of every record of a topic but the watermarks."""
    consumer = KafkaConsumer(**address.kafka_python, group_id=None)
    try:
        places = [TopicPartition(topic.name, n) for n in consumer.partitions_for_topic(topic.name)]
        consumer.assign(places)
        consumer.seek_to_beginning()
        ends = consumer.end_offsets(places)
        while any(consumer.position(place) < end for place, end in ends.items()):
            for batch in consumer.poll(timeout_ms=250).values():
                for message in batch:
                    value = topic.decode(Record(topic=topic.name, value=message.value))
                    if not isinstance(value, Watermark):
                        yield (
                            getattr(value, "post", None) or value.id,
                            getattr(value, "subject", ""),
                        )
    finally:
        consumer.close(timeout_ms=1000)


def end(process: subprocess.Popen[bytes], how: signal.Signals) -> None:
    """End a process by a signal, and wait for it."""
    os.kill(process.pid, how)
    process.wait(PATIENCE)
