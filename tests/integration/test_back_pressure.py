"""A backlog far larger than memory may hold: it stays in the broker, and the classifier reads what it can."""

import re
import urllib.request
from pathlib import Path

import pytest
from confluent_kafka import Producer

from services.broker import librdkafka
from tests.broker import KIND, Address, broker
from tests.build import a_moment, a_post
from tests.contract.worker_suite import eventually
from tests.integration.test_classifier import BRANDS, House
from tests.slowed import slowed
from uproar.post import Post
from uproar.topics import POSTS

FIRST, MORE, SIZE = 20_000, 60_000, 3_000
MEGABYTE = 1024 * 1024


def metric(house: House, name: str) -> float:
    with urllib.request.urlopen(f"http://127.0.0.1:{house.port}/metrics", timeout=60) as answer:
        found = re.findall(rf"^{name}(?:{{.*}})? (\S+)$", answer.read().decode(), re.MULTILINE)
    return sum(map(float, found))


def pid(house: House) -> int:
    assert house._process is not None
    return house._process.pid


def most_memory(house: House) -> int:
    """Bytes the classifier had at its most."""
    status = Path(f"/proc/{pid(house)}/status").read_text()
    found = re.search(r"^VmHWM:\s+(\d+) kB", status, re.MULTILINE)
    assert found is not None
    return int(found[1]) * 1024


def bulky_post(number: int) -> Post:
    """Long addresses weigh as much as long texts, and are quickly scored."""
    return a_post(
        f"push:{number}",
        text=f"Air Quillon lost bag {number}",
        url=f"https://example.org/{number}/{'x' * SIZE}",
        subjects=(BRANDS[0],),
        created_at=a_moment(seconds=number // 100),
    )


def push(house: House, address: Address, start: int, end: int) -> None:
    """By librdkafka: written with kafka-python and over TLS, most is read before all is written."""
    producer = Producer(librdkafka(address.settings()) | {"partitioner": "murmur2_random"})
    for number in range(start, end - 1):
        post = bulky_post(number)
        record = POSTS.record(post, key=post.id)
        producer.produce(record.topic, key=record.key, value=record.value)
        producer.poll(0)
    assert producer.flush(60) == 0
    house.push([bulky_post(end - 1)])


def go_on(house: House) -> None:
    done = metric(house, "uproar_classifier_posts_total")
    more = lambda: metric(house, "uproar_classifier_posts_total") >= done + 256
    eventually(more, "it to go on", seconds=180)


@pytest.mark.skipif(
    KIND == "embedded",
    reason="the embedded broker sends more at once than it is asked for (5 MB a partition for 1 MB), "
    "and holds the backlog in memory itself: UPROAR_TEST_BROKER=kafka",
)
@pytest.mark.timeout(400)
def test_a_backlog_stays_in_the_broker_however_large_it_is(tmp_path, record_property):
    """20,000 posts fill what a reader holds ahead; 180 MB more do not make it larger."""
    with broker() as address:
        house = House(address, 4, tmp_path)
        try:
            house.open()
            house.start()
            with slowed(pid(house)):
                push(house, address, 0, FIRST)
                go_on(house)
                before = most_memory(house)
                push(house, address, FIRST, FIRST + MORE)
                go_on(house)
                assert house.get("/live")[0] == 200
                lag = metric(house, "uproar_classifier_lag_records")
                grown = most_memory(house) - before
        finally:
            house.close()
    record_property("grown_megabytes", grown // MEGABYTE)
    print(f"{lag:,.0f} posts of {SIZE} bytes wait; memory grew {grown // MEGABYTE} MB")
    assert lag * SIZE > 80 * MEGABYTE  # or it says nothing
    assert grown < 40 * MEGABYTE
