"""
What any worker must do, whatever client it is made of: run by integration (and chaos) on a broker.

The worker is a process of its own with a scripted handler (tests/integration/worker_process.py).
"""

import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import KafkaAdminClient

from services.classifier.snapshot import read
from tests.broker import Address

PATIENCE = 90.0  # seconds: a limit for the hopeless, not an expectation


def eventually(look, what, seconds=PATIENCE):
    end = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < end, f"not within {seconds:.0f} s: {what}"
        time.sleep(0.05)
    return found


class Topics:
    """Topics of one test, its records in and out."""

    def __init__(self, address: Address, partitions: int = 4, name: str | None = None) -> None:
        self.address, self.partitions = address, partitions
        self.name = name or f"w-{uuid.uuid4().hex[:8]}"
        self.source, self.out, self.dead = (f"{self.name}-{x}" for x in ("in", "out", "dead"))
        self.changelog = f"{self.name}-rows-changelog"
        self.admin = KafkaAdminClient(**address.kafka_python)
        wanted = {
            self.source: {"num_partitions": partitions, "replication_factor": address.replication},
            self.out: {"num_partitions": 1, "replication_factor": address.replication},
            self.dead: {"num_partitions": 1, "replication_factor": address.replication},
            self.changelog: {
                "num_partitions": partitions,
                "replication_factor": address.replication,
                "configs": {"cleanup.policy": "compact"},
            },
        }
        if name is None:
            self.admin.create_topics(wanted, timeout_ms=20_000)
            self.admin.wait_for_topics(list(wanted))
        self.producer = KafkaProducer(**address.kafka_python, linger_ms=5)
        self._readers: dict[str, KafkaConsumer] = {}
        self.seen: dict[str, list] = defaultdict(list)
        self.sent: Counter[int] = Counter()

    def send(self, values, *, partition: int | None = None, key: bytes | None = None) -> None:
        """Append values, round robin over the partitions; returns when they are acknowledged."""
        futures = []
        for n, value in enumerate(values):
            to = n % self.partitions if partition is None else partition
            self.sent[to] += 1
            headers = [("traceparent", b"t"), ("traceparent", b"u")]
            sending = self.producer.send(
                self.source, key=key or b"k%d" % (n % 7), value=value, partition=to, headers=headers
            )
            futures.append(sending)
        for sending in futures:
            sending.get(30)

    def read(self, topic: str) -> list:
        """All records of a topic of one partition so far."""
        if topic not in self._readers:
            reader = KafkaConsumer(**self.address.kafka_python, group_id=None)
            reader.assign([TopicPartition(topic, 0)])
            reader.seek_to_beginning()
            self._readers[topic] = reader
        for batch in self._readers[topic].poll(timeout_ms=100).values():
            self.seen[topic].extend(batch)
        return self.seen[topic]

    def values(self) -> list[bytes]:
        return [record.value for record in self.read(self.out)]

    def await_values(self, values, seconds: float = PATIENCE) -> None:
        """Wait until every value has come out, whatever else has."""
        missing = set(values)
        wanted = len(missing)

        def all_there() -> bool:
            missing.difference_update(self.values())
            return not missing

        eventually(all_there, f"all {wanted} values", seconds)

    def committed(self) -> dict[int, int]:
        groups = self.admin.list_group_offsets(self.name)
        offsets = groups.get(self.name, {})
        return {tp.partition: at.offset for tp, at in offsets.items()}

    def close(self) -> None:
        for reader in self._readers.values():
            reader.close()
        self.producer.close(timeout=5)
        self.admin.close()


class Worker:
    """A worker process."""

    def __init__(self, topics: Topics, directory: Path, controls: Path, **spec: object) -> None:
        directory.mkdir(exist_ok=True)
        self.log = directory / "log"
        known = {
            "name": topics.name,
            "source": topics.source,
            "out": topics.out,
            "dead_letters": topics.dead,
            "table": "rows",
            "partitions": topics.partitions,
            "directory": str(directory),
            "controls": str(controls),
        }
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    "tests.integration.worker_process",
                    json.dumps(known | spec),
                ],
                env=os.environ | topics.address.environment,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def stop(self, seconds: float = PATIENCE) -> int:
        self._process.send_signal(signal.SIGTERM)
        return self.wait(seconds)

    def wait(self, seconds: float = PATIENCE) -> int:
        return self._process.wait(seconds)

    def has_said(self, words: str) -> bool:
        assert self._process.poll() is None, self.log.read_text()
        return words in self.log.read_text()


class WorkerSuite:
    """
    Inherit, and say how the rows are kept: in a table with its changelog, or in a snapshot.

    ``done`` is where reading would go on, per partition: what the group committed, or what the
    snapshot holds.
    """

    snapshot = False

    @pytest.fixture
    def done(self, topics: Topics, tmp_path: Path) -> Callable[[], dict[int, int]]:
        def look() -> dict[int, int]:
            if not self.snapshot:
                return topics.committed()
            kept = read(tmp_path / "one" / "snapshot")
            return kept.offsets if kept else {}

        return look

    @pytest.fixture
    def all_done(self, topics: Topics, done) -> Callable[[], bool]:
        return lambda: {p: at for p, at in done().items() if at} == dict(topics.sent)

    @pytest.fixture
    def topics(self, address: Address) -> Iterator[Topics]:
        topics = Topics(address)
        yield topics
        topics.close()

    @pytest.fixture
    def spawn(self, topics: Topics, tmp_path: Path) -> Iterator[Callable[..., Worker]]:
        workers: list[Worker] = []

        def start(directory: str = "one", **spec: object) -> Worker:
            spec = {"snapshot": self.snapshot, "keep_every": 1} | spec
            workers.append(Worker(topics, tmp_path / directory, tmp_path, **spec))
            return workers[-1]

        yield start
        for worker in workers:
            worker.kill()

    def test_batches_come_in_order_with_their_headers(self, topics, spawn, all_done):
        topics.send(b"%d" % n for n in range(2000))
        worker = spawn()
        topics.await_values(b"%d" % n for n in range(2000))
        came = defaultdict(list)
        for record in topics.read(topics.out):
            headers = record.headers
            partition, offset = dict(headers)["from"].split(b"/")
            came[int(partition)].append(int(offset))
            assert headers[:2] == [("traceparent", b"t"), ("traceparent", b"u")]
        assert {p: list(range(500)) for p in range(4)} == came
        eventually(all_done, "everything done")
        assert worker.stop() == 0

    def test_the_malformed_are_buried_with_the_reason_and_the_rest_goes_on(
        self, topics, spawn, all_done
    ):
        values = [b"bad %d" % n if n % 100 == 50 else b"%d" % n for n in range(1000)]
        bad = {value for value in values if value.startswith(b"bad")}
        topics.send(values)
        topics.send([None], partition=1)  # a tombstone, which a client may skip unseen
        topics.send([b"last"], partition=1)
        spawn()
        topics.await_values({*values, b"last"} - bad)
        eventually(lambda: len(topics.read(topics.dead)) >= 11, "eleven dead letters")
        assert set(topics.values()).isdisjoint(bad)
        letters = topics.read(topics.dead)
        assert len(letters) == 11
        for letter in letters:
            body, headers = json.loads(letter.value), dict(letter.headers)
            assert body["schema"] == "dead-letter"
            assert body["origin"].encode() == headers["origin"]
            assert headers["error"].startswith(b"bad: ")
            assert headers["traceparent"] == b"u"
        eventually(all_done, "everything done")

    def test_while_the_world_is_down_it_tries_again_in_place(
        self, topics, spawn, tmp_path, done, all_done
    ):
        (tmp_path / "down").touch()
        topics.send(b"%d" % n for n in range(500))
        worker = spawn()
        eventually(lambda: worker.has_said("trying again"), "a first attempt")
        worker.kill()
        worker = spawn()
        eventually(lambda: worker.log.read_text().count("trying again") >= 6, "more attempts")
        assert (topics.values(), sum(done().values())) == ([], 0)
        (tmp_path / "down").unlink()
        topics.await_values(b"%d" % n for n in range(500))
        assert len(topics.values()) == 500
        eventually(all_done, "everything done")

    def test_a_bug_ends_the_process_uncommitted_and_it_resumes_there(
        self, topics, spawn, tmp_path, done, all_done
    ):
        (tmp_path / "bug").touch()
        topics.send([b"%d" % n for n in range(300)], partition=2)
        topics.send([b"bug", b"behind"], partition=2)
        worker = spawn(batch=50)
        assert worker.wait() == 70
        assert done().get(2, 0) <= 300
        assert b"behind" not in topics.values()
        (tmp_path / "bug").unlink()
        spawn()
        topics.await_values([b"bug", b"behind", *(b"%d" % n for n in range(300))])
        eventually(all_done, "everything done")

    def test_rows_are_there_again_after_a_kill_and_count_nothing_twice(self, topics, spawn, done):
        topics.send((b"%d" % n for n in range(400)), key=b"k")
        worker = spawn()
        topics.await_values(b"%d" % n for n in range(400))
        eventually(lambda: any(done().values()), "something kept")
        topics.send((b"%d" % n for n in range(400, 800)), key=b"k")
        worker.kill()  # somewhere in the middle
        spawn()
        topics.send((b"%d" % n for n in range(800, 1200)), key=b"k")
        topics.await_values(b"%d" % n for n in range(1200))
        highest: Counter[int] = Counter()
        for record in topics.read(topics.out):
            headers = dict(record.headers)
            partition = int(headers["from"].split(b"/")[0])
            highest[partition] = max(highest[partition], int(headers["count"]))
        assert dict.fromkeys(range(4), 300) == highest
