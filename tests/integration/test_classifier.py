"""The classifier as a process: real broker, real model, real detector; posts in, backlash out."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections import defaultdict
from collections.abc import Iterator
from datetime import timedelta
from functools import cache
from pathlib import Path

import pytest
from kafka import KafkaConsumer, KafkaProducer, TopicPartition

from services.broker import KafkaSettings, ensure_topics
from services.classifier import engine
from services.classifier.judge import judge
from services.classifier.score import Scorer, assess
from services.classifier.snapshot import read
from tests.broker import FORGETS, Address, a_broker, broker, free_port
from tests.build import a_moment, a_post, a_source_state, a_subject, a_watermark
from tests.contract.worker_suite import PATIENCE, eventually
from uproar.backlash import Backlash, Event
from uproar.detector import Detector
from uproar.post import Post
from uproar.topics import ASSESSMENTS, BACKLASH, POSTS, SOURCES, SUBJECTS
from uproar.watermark import State

TRACE = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
BRANDS = ("air-quillon", "mill-and-moor", "tarn-phones")
CALM, BURST = 24 * 60, 16  # minutes
ANGRY = (
    "{} broke my guitar and refuses to pay for it, what a disgrace",
    "never again {}: they lost my luggage and nobody answers the phone",
    "{} treats its customers like dirt, I want my money back",
    "this is the worst service I have ever seen, shame on {}",
)
PLEASED = ("{} was on time today, lovely crew, thank you", "happy with my new ticket from {}")


@cache
def the_story() -> tuple[Post, ...]:
    """A calm day about three brands, then the anger of many about one and the joy about another."""
    posts: list[Post] = []

    def say(text: str, brand: str, minute: int, second: int = 0) -> None:
        number = len(posts)
        name = brand.replace("-", " ").title()
        # words of its own in both halves, or the posts would be near copies
        own = " ".join(
            f"{place}{number}" for place in ("gate", "row", "seat", "desk", "bag", "case")
        )
        said = f"{text.format(name)}, {own}"
        at = a_moment(minutes=minute, seconds=second)
        posts.append(a_post(f"push:{number}", text=said, subjects=(brand,), created_at=at))

    for minute in range(0, CALM, 12):
        brand = BRANDS[minute // 12 % 3]
        texts = ANGRY if minute % 5 == 0 else PLEASED
        say(texts[minute % len(texts)], brand, minute)
    for minute in range(CALM, CALM + BURST):
        for second in range(0, 60, 5):
            say(ANGRY[second % len(ANGRY)], BRANDS[0], minute, second)
        say(PLEASED[minute % 2], BRANDS[1], minute, 30)
    return tuple(posts)


@cache
def what_the_detector_says() -> dict[str, list[Backlash]]:
    """The same posts without a broker: the model, then one detector."""
    scorer, detector, said = Scorer(engine.load()), Detector(), defaultdict(list)
    watched = {brand: a_subject(brand) for brand in BRANDS}
    for subject in watched.values():
        detector.watch(subject)
    posts = the_story()
    verdicts = judge(posts, watched, scorer)
    for offset, (post, towards) in enumerate(zip(posts, verdicts, strict=True)):
        detector.observe_many(assess(post, towards, scorer.name), [offset])
    for event in detector.close_buckets(a_moment(minutes=CALM + BURST)).backlash:
        said[event.subject].append(event)
    assert [event.event for event in said[BRANDS[0]]][:1] == [Event.OPENED]
    assert set(said) == {BRANDS[0]}
    return dict(said)


class House:
    """A broker, a classifier process on it, and both ends of the pipe."""

    def __init__(self, address: Address, partitions: int, folder: Path) -> None:
        self.partitions, self.log = partitions, folder / "log"
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self._env = (
            os.environ
            | address.environment
            | {
                "UPROAR_KAFKA_PARTITIONS": str(partitions),
                "UPROAR_KAFKA_EPOCH": "one",
                "UPROAR_DATA_DIR": str(folder),
                "UPROAR_CLASSIFIER_PORT": str(self.port),
                "UPROAR_CLASSIFIER_SNAPSHOT": str(FORGETS),
                "UPROAR_CLASSIFIER_SNAPSHOT_SECONDS": "1",
                "UPROAR_CLASSIFIER_BATCH": "64",
                "OMP_NUM_THREADS": "1",
            }
        )
        self._address = address

    def open(self) -> None:
        with pytest.MonkeyPatch.context() as patch:
            for name, value in self._env.items():
                patch.setenv(name, value)
            ensure_topics(KafkaSettings.load())
        self._producer = KafkaProducer(**self._address.kafka_python, linger_ms=5)
        self._out = KafkaConsumer(**self._address.kafka_python, group_id=None)
        watched = [TopicPartition(BACKLASH.name, 0)]
        watched += [TopicPartition(ASSESSMENTS.name, n) for n in range(self.partitions)]
        self._out.assign(watched)
        self._out.seek_to_beginning()
        self.seen: dict[str, list] = defaultdict(list)
        for brand in BRANDS:
            self._send(SUBJECTS.record(a_subject(brand), key=brand))
        self._send(SOURCES.record(a_source_state("push", state=State.ENDED), key="push"))
        self._producer.flush(30)

    def close(self) -> None:
        self.kill()
        with contextlib.suppress(AttributeError):
            self._out.close()
            self._producer.close(timeout=5)

    # ------------------------------------------------------------------------------- the process

    def start(self) -> float:
        """Start the classifier; returns after how many seconds it was ready."""
        began = time.monotonic()
        self.launch()
        eventually(lambda: self.ready()[0] == 200, "the classifier ready")
        return time.monotonic() - began

    def launch(self, **env: str) -> None:
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "services.classifier"],
                env=self._env | env,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def ready(self) -> tuple[int, dict]:
        assert self._process is not None
        assert self._process.poll() is None, self.log.read_text()[-5000:]
        return self.get("/ready")

    def get(self, path: str) -> tuple[int, dict]:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=5) as answer:
                return answer.status, json.loads(answer.read())
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read())
        except OSError:
            return 0, {}

    def stop(self) -> int:
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        return self.wait()

    def wait(self) -> int:
        assert self._process is not None
        return self._process.wait(PATIENCE)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    # ---------------------------------------------------------------------------------- the pipe

    def _send(self, record, partition: int | None = None):
        return self._producer.send(
            record.topic,
            key=record.key,
            value=record.value,
            headers=list(record.headers),
            partition=partition,
        )

    def push(self, posts, *, end: bool = False) -> None:
        """As ingest does: the posts acknowledged, then a watermark into every partition."""
        for post in posts:
            self._send(POSTS.record(post, key=post.id, headers=(("traceparent", TRACE),)))
        self._producer.flush(60)
        last = posts[-1].created_at
        at = last + timedelta(seconds=60 - last.second) if end else last
        mark = a_watermark(at, state=State.ENDED if end else State.LIVE)
        headers = (("traceparent", TRACE), ("accepted-at", b"2026-03-05T00:00:00Z"))
        for partition in range(self.partitions):
            self._send(POSTS.record(mark, key="push", headers=headers), partition)
        self._producer.flush(60)

    def read(self, topic: str) -> list:
        for batch in self._out.poll(timeout_ms=100).values():
            for record in batch:
                self.seen[record.topic].append(record)
        return self.seen[topic]

    def said(self) -> dict[str, list[Backlash]]:
        """Every backlash event once, by subject, in order."""
        events: dict[str, dict[str, Backlash]] = defaultdict(dict)
        for record in self.read(BACKLASH.name):
            event = BACKLASH.decode(record)
            events[event.subject].setdefault(event.id, event)
        return {subject: list(known.values()) for subject, known in events.items()}

    def assessed(self) -> set[str]:
        values = [ASSESSMENTS.decode(record) for record in self.read(ASSESSMENTS.name)]
        return {value.post for value in values if hasattr(value, "post")}


def without_evidence(events: dict[str, list[Backlash]]) -> dict[str, list[tuple]]:
    return {
        s: [(e.id, e.incident, e.at, e.page, e.severity, e.posts) for e in es]
        for s, es in events.items()
    }


@pytest.fixture
def open_house(tmp_path) -> Iterator:
    with contextlib.ExitStack() as stack:

        def start(partitions: int, address: Address | None = None) -> House:
            house = House(address or stack.enter_context(broker()), partitions, tmp_path)
            stack.callback(house.close)
            return house

        yield start


@pytest.mark.parametrize("partitions", [1, 4, 12])
def test_its_events_are_the_detectors_however_many_partitions(open_house, partitions, capsys):
    house = open_house(partitions)
    house.open()
    seconds = house.start()
    with capsys.disabled():
        print(f"\nclassifier: ready after {seconds:.1f} s, {partitions} partitions")
    posts, expected = the_story(), what_the_detector_says()
    for start in range(0, len(posts), 40):
        house.push(posts[start : start + 40], end=start + 40 >= len(posts))
    eventually(lambda: house.said() == expected, f"the same events: {house.said()}")
    record = house.read(BACKLASH.name)[0]
    headers = dict(record.headers)
    assert headers["accepted-at"] == b"2026-03-05T00:00:00Z"
    assert headers["traceparent"].startswith(TRACE[:36])
    assert house.stop() == 0


def test_killed_in_the_middle_it_loses_no_post_and_opens_no_second_episode(open_house):
    house = open_house(4)
    house.open()
    house.start()
    posts, expected = the_story(), what_the_detector_says()
    last_calm = len(posts) - 13 * (BURST - 4)
    house.push(posts[:last_calm])
    eventually(lambda: house.said() != {}, "the episode open")
    house.push(posts[last_calm:-60])
    house.kill()
    house.push(posts[-60:], end=True)
    house.start()
    whole = without_evidence(expected)
    eventually(lambda: without_evidence(house.said()) == whole, "all events, each with its own id")
    ids = {post.id for post in posts}
    eventually(lambda: house.assessed() == ids, "every post assessed")
    assert len({event.incident for events in house.said().values() for event in events}) == 1


@pytest.mark.skipif(not FORGETS, reason="Apache Kafka keeps what it has over a restart")
def test_with_a_new_empty_broker_it_goes_on_from_its_snapshot(open_house, tmp_path):
    posts, expected = the_story(), what_the_detector_says()
    first_angry = next(
        n for n, post in enumerate(posts) if post.created_at >= a_moment(minutes=CALM)
    )
    house = open_house(4)
    house.open()
    house.start()
    house.push(posts[: first_angry + 30])
    eventually(lambda: house.assessed() >= {p.id for p in posts[: first_angry + 30]}, "assessed")
    eventually(lambda: house.said() != {}, "the episode open")
    assert house.stop() == 0
    kept = read(tmp_path / "classifier" / "snapshot")
    assert kept is not None
    again = open_house(4)
    again.open()
    again.launch(UPROAR_KAFKA_EPOCH="two")
    again.push([post for post in posts if post.created_at >= kept.event_times["push"]], end=True)
    before = house.seen[BACKLASH.name]
    again.seen[BACKLASH.name] += before  # what was said survives, with the alerter
    whole = without_evidence(expected)
    eventually(lambda: without_evidence(again.said()) == whole, "one episode over both brokers")


def test_it_says_what_is_missing_while_the_broker_is_away_and_ends_when_told(open_house):
    with contextlib.ExitStack() as stack:
        away = a_broker()
        stack.callback(away.remove)
        away.start()
        house = open_house(4, away.address)
        house.open()
        house.start()
        away.kill()
        _, body = eventually(lambda: (answer := house.ready())[0] == 503 and answer, "not ready")
        assert body["ready"] is False
        assert any("broker" in reason for reason in body["problems"].values())
        assert house.get("/live")[0] == 200
        assert house.stop() in {0, 71}


def test_without_a_broker_it_cannot_start(open_house):
    house = open_house(4, Address(f"127.0.0.1:{free_port()}"))
    house.launch()
    assert house.wait() == 69
    assert "no Kafka at 127.0.0.1" in house.log.read_text()


def test_with_wrong_settings_it_says_which(open_house):
    house = open_house(4, Address("127.0.0.1:9"))
    house.launch(UPROAR_CLASSIFIER_AGENTS="guess", UPROAR_CLASSIFIER_BATCH="0")
    assert house.wait() == 78
    said = house.log.read_text()
    assert "UPROAR_CLASSIFIER_AGENTS" in said
    assert "UPROAR_CLASSIFIER_BATCH" in said
