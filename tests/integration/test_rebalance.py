"""
Workers come and go in the middle of a stream: nothing is lost, and what is doubled is counted.

On Apache Kafka with a table; on the embedded broker, which cannot restore one, without.
"""

import threading
import time
from collections import Counter, defaultdict

import pytest

from tests.broker import FORGETS
from tests.contract.worker_suite import Topics, Worker, eventually

TABLE = None if FORGETS else "rows"


@pytest.fixture
def topics(address):
    topics = Topics(address)
    yield topics
    topics.close()


class Stream(threading.Thread):
    """About 300 records a second until it is told to end."""

    def __init__(self, topics: Topics) -> None:
        super().__init__(daemon=True)
        self.sent: list[bytes] = []
        self._topics, self._over = topics, threading.Event()

    def run(self) -> None:
        while not self._over.wait(0.1):
            values = [b"%d" % (len(self.sent) + n) for n in range(32)]
            self._topics.send(values)
            self.sent += values

    def end(self) -> None:
        self._over.set()
        self.join()


@pytest.fixture
def spawn(topics, tmp_path):
    workers: list[Worker] = []

    def start(name: str) -> Worker:
        spec = {"snapshot": False, "table": TABLE}
        workers.append(Worker(topics, tmp_path / name, tmp_path, **spec))
        return workers[-1]

    yield start
    for worker in workers:
        worker.kill()


def test_nothing_is_lost_when_workers_join_leave_and_die(topics, spawn, capsys):
    stream = Stream(topics)
    stream.start()
    first = spawn("first")
    eventually(lambda: len(topics.values()) > 100, "the first worker at work")
    for farewell in (Worker.stop, Worker.kill):
        second = spawn(farewell.__name__)
        eventually(lambda w=second: w.has_said("partitions taken over"), "the second at work")
        time.sleep(2)
        farewell(second)
        time.sleep(1)
    stream.end()
    topics.await_values(stream.sent)
    eventually(lambda: topics.committed() == dict(topics.sent), "everything committed")
    assert first.stop() == 0
    seen = Counter(topics.values())
    lost = [value for value in stream.sent if value not in seen]
    doubled = sum(seen.values()) - len(seen)
    with capsys.disabled():
        print(f"\nrebalance: sent {len(stream.sent)}, lost {len(lost)}, doubled {doubled}")
    assert lost == []
    if TABLE:
        assert counts_of(topics) == Counter(topics.sent)


def counts_of(topics: Topics) -> dict[int, int]:
    """What the table has counted, per partition: repeats must not count."""
    highest: dict[tuple[int, bytes], int] = defaultdict(int)
    for record in topics.read(topics.out):
        headers = dict(record.headers)
        place = int(headers["from"].split(b"/")[0]), record.key
        highest[place] = max(highest[place], int(headers["count"]))
    totals: Counter[int] = Counter()
    for (partition, _), count in highest.items():
        totals[partition] += count
    return totals
