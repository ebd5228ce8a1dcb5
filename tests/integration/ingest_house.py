"""A house for tests of ingest: a broker with its topics, a watch list, a process that may be killed."""

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import httpx
import pytest
from kafka import KafkaConsumer, KafkaProducer, TopicPartition

from services.broker import ensure_topics
from tests.broker import Address, free_port
from tests.build import a_subject
from tests.shared import ROOT
from uproar.post import Post
from uproar.topics import DEAD_LETTER, POSTS, SUBJECTS, Topic
from uproar.watermark import Watermark
from uproar.wire import Record

TOKEN = "s3cret"
PARTITIONS = 4


def only(kind, values):
    return [value for value in values if isinstance(value, kind)]


class House:
    """A broker with its topics and a watch list, and an ingest process that may be killed."""

    def __init__(self, address: Address, folder: Path) -> None:
        self.address, self.folder, self.port = address, folder, free_port()
        self._kafka = KafkaProducer(**address.kafka_python)
        ensure_topics(address.settings())
        self.watch("acme", name="Acme", own_accounts=("acmehelp",))
        self.watch("zenith", name="Zenith")
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def watch(self, subject: str, **fields) -> None:
        self._put(SUBJECTS.record(a_subject(subject, **fields), key=subject))

    def unwatch(self, subject: str) -> None:
        self._put(SUBJECTS.record(None, key=subject))

    def _put(self, record: Record) -> None:
        self._kafka.send(record.topic, key=record.key, value=record.value).get(30)

    def start(self, *, ready: bool = True, **environment: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "services.ingest"], cwd=ROOT,
            env=os.environ | self.address.environment | {
                "UPROAR_INGEST_TOKEN": TOKEN,
                "UPROAR_INGEST_PORT": str(self.port), "UPROAR_DATA_DIR": str(self.folder),
            } | environment,
            stdout=(self.folder / "log").open("ab"),
            stderr=subprocess.STDOUT,
        )  # fmt: skip
        if ready:
            self.until(lambda: self.probe() == {})

    def end(self, how: signal.Signals = signal.SIGTERM) -> int:
        assert self._process is not None
        self._process.send_signal(how)
        code = self._process.wait(60)
        self._process = None
        return code

    def exit_code(self) -> int:
        """Wait for the process to end by itself."""
        assert self._process is not None
        code = self._process.wait(60)
        self._process = None
        return code

    def close(self) -> None:
        if self._process:
            self.end(signal.SIGKILL)
        self._kafka.close(timeout=5)

    def probe(self) -> dict[str, str] | None:
        """Return what /ready misses, or None where nobody answers."""
        with suppress(httpx.TransportError):
            answer = httpx.get(f"{self.url}/ready").json()
            return answer.get("problems", {})
        return None

    def until(self, true, seconds: float = 90) -> None:
        end = time.monotonic() + seconds
        while not true():
            over = self._process is not None and self._process.poll() is not None
            if over or time.monotonic() > end:
                pytest.fail((self.folder / "log").read_text()[-5000:])
            time.sleep(0.05)

    def post(self, body, **options) -> httpx.Response:
        content = (
            body
            if isinstance(body, bytes) or hasattr(body, "__next__")
            else json.dumps(body).encode()
        )
        headers = {"Authorization": f"Bearer {TOKEN}"} | options.pop("headers", {})
        return httpx.post(
            f"{self.url}/v1/posts", content=content, headers=headers, timeout=60, **options
        )

    def read(self, enough, *, topic=POSTS, seconds: float = 60) -> list[tuple[object, Record]]:
        """Read a topic from its beginning until ``enough(values)``, and half a second more."""
        consumer = KafkaConsumer(
            **self.address.kafka_python, group_id=None, auto_offset_reset="earliest"
        )
        found: list[tuple[object, Record]] = []
        count = PARTITIONS if topic is POSTS else 1
        consumer.assign([TopicPartition(topic.name, n) for n in range(count)])
        end = time.monotonic() + seconds
        satisfied = False
        while time.monotonic() < end:
            for messages in consumer.poll(timeout_ms=200).values():
                for m in messages:
                    record = Record(
                        topic=m.topic, key=m.key, value=m.value, headers=tuple(m.headers),
                        partition=m.partition, offset=m.offset,
                    )  # fmt: skip
                    found.append((topic.decode(record), record))
            if not satisfied and enough([value for value, _ in found]):
                satisfied, end = True, time.monotonic() + 0.5
        consumer.close(timeout_ms=1000)
        assert satisfied, found[-20:]
        return found

    def letters(self, wanted: int) -> list[tuple[bytes | None, Record]]:
        """Read the dead letters of posts: the raw values."""
        dead = Topic(POSTS.dead_letters, DEAD_LETTER)
        found = self.read(lambda values: len(values) >= wanted, topic=dead)
        return [(record.value, record) for _, record in found]

    def posts(self, wanted: int) -> list[Post]:
        found = self.read(lambda values: len({v.id for v in only(Post, values)}) >= wanted)
        return only(Post, [value for value, _ in found])

    def watermarks(self, enough) -> list[tuple[Watermark, Record]]:
        found = self.read(lambda values: enough(only(Watermark, values)))
        return [(value, record) for value, record in found if isinstance(value, Watermark)]
