"""Bluesky as ingest reads it: a real process, a real broker, and a Jetstream on this machine."""

import asyncio
import re
import signal
from collections import Counter
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from atproto import AsyncJetstreamClient

from tests import jetstream
from tests.broker import broker
from tests.integration.ingest_house import PARTITIONS, House, only
from tests.jetstream import DID, Jetstream
from uproar.post import Deletion, Post
from uproar.topics import DEAD_LETTER, DELETIONS, SOURCES
from uproar.watermark import State


@pytest.fixture
async def network():
    async with Jetstream() as running:
        yield running


@pytest.fixture
def house(network, tmp_path):
    (tmp_path / "uproar.toml").write_text(
        f'[[source]]\ntype = "bluesky"\nurl = "{network.options["url"]}"\n'
    )
    with broker() as address:
        made = House(address, tmp_path)
        yield made
        made.close()


async def start(house: House) -> None:
    config = str(house.folder / "uproar.toml")
    await asyncio.to_thread(house.start, UPROAR_CONFIG=config)


def accepted(house: House) -> float:
    metrics = httpx.get(f"{house.url}/metrics").text
    found = re.search(r'posts_total\{verdict="accepted"\} (\S+)', metrics)
    return float(found[1]) if found else 0.0


def degraded(house: House) -> dict[str, str]:
    return dict(httpx.get(f"{house.url}/ready").json().get("degraded", {}))


async def until(house: House, true) -> None:
    await asyncio.to_thread(house.until, true)


async def posts(house: House, wanted: int) -> Counter[str]:
    """Every post that is in Kafka, and how often."""

    def read() -> Counter[str]:
        found = house.read(lambda values: len({v.id for v in only(Post, values)}) >= wanted)
        return Counter(post.id for post, _ in found if isinstance(post, Post))

    return await asyncio.to_thread(read)


def ago(seconds: float) -> datetime:
    return datetime.now(UTC) - timedelta(seconds=seconds)


async def test_the_stand_in_speaks_what_the_library_of_bluesky_expects(network):
    """The oracle of our wire: atproto's own client reads it, filters, cursor and all."""
    await network.publish("before", rkey="a", at=ago(20))
    await network.publish("a word", rkey="b", at=ago(10))
    await network.delete("b")
    await network.close_account()
    since = int(ago(15).timestamp() * 1_000_000)
    asked = {"cursor": since, "kinds": ["commit", "account"], "collections": [jetstream.POSTS]}
    client = AsyncJetstreamClient(asked, base_uri=f"{network.options['url']}/xrpc", compress=False)
    heard: list[object] = []

    async def hear(message: object) -> None:
        heard.append(message)
        if len(heard) == 3:
            await client.stop()

    await asyncio.wait_for(client.start(hear), 30)
    first, second, third = heard
    assert (first.did, first.operation, first.record["text"]) == (DID, "create", "a word")
    assert (second.operation, second.rkey) == ("delete", "b")
    assert (third.account.active, third.account.status) == (False, "deleted")


async def test_its_posts_watermarks_and_deletions_are_in_kafka(house, network):
    await start(house)
    await until(house, lambda: network.readers == 1)
    ids = [await network.publish(f"Acme lost bag {n}", rkey=f"r{n}") for n in range(5)]
    await network.publish("about nobody", rkey="other")
    await network.babble('{"odd')
    assert set(await posts(house, 5)) == {f"bluesky:{name}" for name in ids}

    await network.delete("r3")
    await network.delete("other")
    await network.close_account()
    two = lambda values: len(values) >= 2
    told = await asyncio.to_thread(house.read, two, topic=DELETIONS)
    gone = [value for value, _ in told if isinstance(value, Deletion)]
    assert gone[0].id == f"bluesky:{ids[3]}"
    assert gone[1].author not in {None, DID}
    assert len(gone) == 2

    def is_live(values) -> bool:
        return bool(values) and values[-1].state is State.LIVE and values[-1].cursor is not None

    reports = await asyncio.to_thread(house.read, is_live, topic=SOURCES)
    assert reports[-1][0].source == "bluesky"
    marks = await asyncio.to_thread(house.watermarks, lambda marks: len(marks) >= PARTITIONS)
    assert {record.partition for _, record in marks} == set(range(PARTITIONS))
    assert all(mark.source == "bluesky" and mark.at <= datetime.now(UTC) for mark, _ in marks)
    [(letter, _)] = await asyncio.to_thread(house.letters, 1)
    assert DEAD_LETTER.decode(letter).beginning == '{"odd'
    assert degraded(house) == {}


async def test_killed_cut_off_and_alone_it_loses_no_post(house, network, record_property):
    """SIGKILL, five broken connections and an outage of the network, in a stream of 1,500 posts."""
    await start(house)
    await until(house, lambda: network.readers == 1)
    begin, count, wanted = ago(300), 0, set()

    async def publish(number: int) -> None:
        nonlocal count
        for _ in range(number):
            at = begin + timedelta(milliseconds=190 * count)
            name = await network.publish(f"Acme lost bag {count}", rkey=f"r{count}", at=at)
            wanted.add(f"bluesky:{name}")
            count += 1
            if count % 50 == 0:
                await network.babble('{"odd')
                await asyncio.sleep(0)

    for _ in range(5):
        await publish(100)
        await until(house, lambda: network.readers == 1)
        network.cut()
    await publish(250)
    await until(house, lambda: accepted(house) >= 300)
    await asyncio.to_thread(house.end, signal.SIGKILL)
    await publish(250)
    await network.stop()
    starting = asyncio.create_task(start(house))
    await starting
    await network.start()
    await publish(500)
    found = await posts(house, len(wanted))
    assert set(found) == wanted
    record_property("doubled", sum(found.values()) - len(found))


async def test_a_network_that_is_away_is_said_by_ready_and_stops_nothing_else(house, network):
    await network.stop()
    await start(house)
    await until(house, lambda: "cannot be reached" in degraded(house).get("bluesky", ""))
    post = {"id": "1", "text": "Acme lost it", "created_at": datetime.now(UTC).isoformat()}
    assert (await asyncio.to_thread(house.post, [post])).json()["accepted"] == 1
    refused = await asyncio.to_thread(house.post, [post], params={"source": "bluesky"})
    assert refused.status_code == 409


async def test_a_source_that_nobody_knows_is_named_at_the_start(house):
    (house.folder / "uproar.toml").write_text('[[source]]\ntype = "myspace"\n')
    config = str(house.folder / "uproar.toml")
    await asyncio.to_thread(house.start, ready=False, UPROAR_CONFIG=config)
    assert house.exit_code() == 78
    assert "'myspace' is none of bluesky" in (house.folder / "log").read_text()
