"""What every connector promises, whatever its network: spoken to on this machine, on its own wire."""

import asyncio
import tracemalloc
from collections.abc import Callable, Mapping
from contextlib import aclosing, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any, Protocol, Self

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.ingest.settings import SourceTable
from services.ingest.source import Frame, Source
from services.ingest.sources import SOURCES, bluesky, build
from services.ingest.sources.bluesky import wire
from tests.jetstream import Jetstream
from tests.shared import ROOT
from uproar.errors import Malformed, Misconfigured, Unavailable
from uproar.inbox import read_post

NOW = datetime(2026, 11, 20, 10, 0, tzinfo=UTC)
PATIENCE = 30.0  # seconds: a test that waits so long has failed
MEGABYTE = 1024 * 1024


class Network(Protocol):
    """A network on this machine; it keeps what it has said, and has troubles when told to."""

    sent: int

    @property
    def options(self) -> Mapping[str, Any]: ...
    async def __aenter__(self) -> Self: ...
    async def __aexit__(self, *_: object) -> None: ...
    async def stop(self) -> None: ...
    def cut(self) -> None: ...
    async def publish(self, text: str, *, rkey: str, at: datetime | None = None) -> str: ...
    async def delete(self, rkey: str) -> None: ...
    async def close_account(self) -> None: ...
    async def babble(self, raw: str, *, at: datetime | None = None) -> None: ...


@dataclass(frozen=True)
class Variant:
    """How to try a connector: its network, its pure function, and what makes it quick here."""

    network: Callable[[], Network]
    parse: Callable[..., Any]
    post: Callable[[Any], bytes | None]
    hurry: Callable[[pytest.MonkeyPatch], None]
    impatient: Callable[[pytest.MonkeyPatch], None]


VARIANTS = {
    "bluesky": Variant(
        network=Jetstream,
        parse=wire.parse,
        post=lambda heard: heard.post,
        hurry=lambda patch: patch.setattr(bluesky, "BATCH_SECONDS", 0.05),
        impatient=lambda patch: patch.setattr(bluesky, "SILENCE_SECONDS", 0.2),
    )
}


def recorded(network: str) -> dict[str, bytes]:
    """Frames by what they show: invented texts on the network's own wire."""
    path = ROOT / "tests" / "data" / network / "frames.jsonl"
    rows = [msgspec.json.decode(line) for line in path.read_bytes().splitlines()]
    return {row["name"]: msgspec.json.encode(row["frame"]) for row in rows}


RECORDED = [(kind, name) for kind in VARIANTS for name in recorded(kind)]


@pytest.fixture(params=VARIANTS)
def variant(request, monkeypatch) -> Variant:
    VARIANTS[request.param].hurry(monkeypatch)
    return VARIANTS[request.param]


@pytest.fixture
async def network(variant):
    async with variant.network() as running:
        yield running


@pytest.fixture
def source(request, network) -> Source:
    kind = request.node.callspec.params["variant"]
    return build([SourceTable(name="some", type=kind, options=network.options)])[0]


async def read(source: Source, cursor: str | None, until: Callable[[list[Frame]], object]):
    """Read frames until something is true of them."""
    frames: list[Frame] = []
    async with asyncio.timeout(PATIENCE), aclosing(source.read(cursor)) as coming:
        async for frame in coming:
            frames.append(frame)
            if until(frames):
                return frames
    raise AssertionError(f"the source ended after {texts(frames)}")


def texts(frames: list[Frame]) -> list[str]:
    return [msgspec.json.decode(post)["text"] for frame in frames for post in frame.posts]


def never(_: list[Frame]) -> bool:
    return False


def ago(seconds: float) -> datetime:
    return datetime.now(UTC) - timedelta(seconds=seconds)


# ------------------------------------------------------------------------------------ the reading


def test_every_connector_has_a_variant_here():
    assert set(VARIANTS) == set(SOURCES)


async def test_what_is_published_comes_in_order_and_can_be_taken_in(network, source):
    ids = [await network.publish(f"post {n}", rkey=f"r{n}", at=ago(30 - n)) for n in range(5)]
    frames = await read(source, source.since(ago(60)), lambda f: len(texts(f)) == 5)
    assert texts(frames) == [f"post {n}" for n in range(5)]
    raw = [post for frame in frames for post in frame.posts]
    posts = [read_post(one, stream="some", now=datetime.now(UTC), key=b"k") for one in raw]
    assert [post.id.partition(":")[2] for post in posts] == ids
    assert {post.network for post in posts} == {source.type}
    assert all(post.author and post.url for post in posts)


async def test_without_a_cursor_it_begins_with_what_comes_next(network, source):
    await network.publish("long ago", rkey="old", at=ago(3600))

    async def publish() -> None:
        for number in range(200):
            await network.publish(f"new {number}", rkey=f"n{number}")
            await asyncio.sleep(0.02)

    publishing = asyncio.create_task(publish())
    frames = await read(source, None, texts)
    publishing.cancel()
    assert "long ago" not in texts(frames)


async def test_it_goes_on_behind_each_of_its_cursors_and_skips_nothing(
    network, source, monkeypatch
):
    monkeypatch.setattr(bluesky, "MAX_BATCH", 2)
    for number in range(12):
        await network.publish(f"post {number}", rkey=f"r{number}", at=ago(600 - 20 * number))
    frames = await read(source, source.since(ago(700)), lambda f: len(texts(f)) == 12)
    for count in range(1, len(frames)):
        left = texts(frames[count:])
        again = await read(source, frames[count - 1].cursor, lambda f: "post 11" in texts(f))
        assert texts(again)[-len(left) :] == left


async def test_what_is_published_while_nobody_reads_is_read_later(network, source):
    await network.publish("before", rkey="a", at=ago(90))
    cursor = (await read(source, source.since(ago(100)), texts))[-1].cursor
    await network.publish("meanwhile", rkey="b", at=ago(60))
    assert "meanwhile" in texts(await read(source, cursor, lambda f: "meanwhile" in texts(f)))


async def test_no_post_comes_behind_a_moment_that_it_has_passed(network, source):
    for number in range(40):
        await network.publish(f"post {number}", rkey=f"r{number}", at=ago(400 - 10 * number))
    frames = await read(source, source.since(ago(500)), lambda f: len(texts(f)) == 40)
    reached = [frame.up_to for frame in frames if frame.up_to]
    assert reached
    assert all(moment <= datetime.now(UTC) for moment in reached)
    for former, later in pairwise(frames):
        for post in later.posts:
            created_at = datetime.fromisoformat(msgspec.json.decode(post)["created_at"])
            assert former.up_to is None or created_at >= former.up_to


async def test_what_is_taken_back_is_told(network, source):
    post = await network.publish("a mistake", rkey="r1", at=ago(20))
    await network.delete("r1")
    await network.close_account()
    begin = source.since(ago(60))
    frames = await read(source, begin, lambda f: sum(len(one.gone) for one in f) == 2)
    gone = [one for frame in frames for one in frame.gone]
    [sent] = [msgspec.json.decode(post) for frame in frames for post in frame.posts]
    assert [(one.id, one.author) for one in gone] == [(post, None), (None, sent["author"])]
    assert {one.network for one in gone} == {source.type}


# -------------------------------------------------------------------------------------- troubles


async def test_a_network_that_is_down_is_said_to_be(network, source):
    await network.stop()
    with pytest.raises(Unavailable):
        await read(source, None, never)


async def test_a_connection_that_breaks_gives_what_came_before_and_then_says_so(network, source):
    await network.publish("before the break", rkey="a", at=ago(30))
    seen: list[str] = []

    def cut(frames: list[Frame]) -> bool:
        seen.extend(texts(frames[-1:]))
        network.cut()
        return False

    with pytest.raises(Unavailable):
        await read(source, source.since(ago(60)), cut)
    assert seen == ["before the break"]


async def test_a_silent_network_is_not_waited_for_for_ever(network, source, variant, monkeypatch):
    variant.impatient(monkeypatch)
    with pytest.raises(Unavailable):
        await read(source, None, never)


async def test_what_cannot_be_read_is_told_and_its_neighbours_come(network, source):
    garbage = [
        "",
        "no JSON",
        "{",
        "[]",
        "null",
        "7",
        '{"$type":7}',
        '{"a":' * 3000,
        "\x00",
        "\ud7ff" * 100,
    ]
    await network.publish("before", rkey="a", at=ago(30))
    for raw in garbage:
        await network.babble(raw)
    await network.publish("behind", rkey="b")
    frames = await read(source, source.since(ago(60)), lambda f: "behind" in texts(f))
    assert texts(frames) == ["before", "behind"]
    unreadable = [one for frame in frames for one in frame.unreadable]
    assert [one.raw for one in unreadable] == [raw.encode() for raw in garbage]
    assert all(one.reason for one in unreadable)


async def test_a_frame_far_too_large_costs_a_second_at_most_and_is_told(network, source):
    last = ago(60)
    await network.publish("before", rkey="a", at=last)
    cursor = (await read(source, source.since(ago(100)), texts))[-1].cursor
    await network.babble("x" * (8 * MEGABYTE), at=last + timedelta(seconds=0.5))
    await network.publish("behind", rkey="b", at=ago(20))
    frames: list[Frame] = []

    def keep(read: list[Frame]) -> bool:
        frames.append(read[-1])
        return "behind" in texts(frames)

    for _ in range(5):  # as the listener does, which starts it again at its last cursor
        with suppress(Unavailable):
            await read(source, frames[-1].cursor if frames else cursor, keep)
            break
    assert "behind" in texts(frames)
    assert any(frame.gap for frame in frames)


async def test_it_reads_no_further_than_it_is_asked(network, source):
    """60 MB wait at the network; the connector holds a few, and the network is kept waiting."""
    number, size = 30_000, 2_000
    begin = ago(900)
    for n in range(number):
        await network.publish("x" * size, rkey=f"r{n}", at=begin + timedelta(milliseconds=n))
    count = 0
    tracemalloc.start()
    try:
        async with asyncio.timeout(120), aclosing(source.read(source.since(begin))) as coming:
            count += len((await anext(coming)).posts)
            await settled(lambda: network.sent)
            assert network.sent < number // 2
            async for frame in coming:
                count += len(frame.posts)
                if count == number:
                    break
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 24 * MEGABYTE


async def settled(value: Callable[[], int]) -> None:
    """Wait until a number has stopped to grow."""
    last = -1
    while last != (last := value()):  # noqa: ASYNC110 - a socket's buffer tells nobody
        await asyncio.sleep(0.1)


# ------------------------------------------------------------------------------------- its frames


@pytest.mark.parametrize(("kind", "name"), RECORDED)
def test_each_recorded_frame_can_be_read(kind, name):
    variant = VARIANTS[kind]
    post = variant.post(variant.parse(recorded(kind)[name], now=NOW))
    if post is not None:
        assert read_post(post, stream=kind, now=NOW, key=b"k").network == kind


@pytest.mark.parametrize(("kind", "name"), RECORDED)
@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_a_damaged_frame_is_malformed_or_read_and_nothing_else(kind, name, data):
    raw = recorded(kind)[name]
    way = data.draw(st.sampled_from(["cut", "flip", "insert"]))
    place = data.draw(st.integers(0, len(raw) - 1))
    noise = data.draw(st.binary(min_size=1, max_size=8))
    damaged = {
        "cut": raw[:place],
        "flip": raw[:place] + noise + raw[place + len(noise) :],
        "insert": raw[:place] + noise + raw[place:],
    }[way]
    with suppress(Malformed):
        post = VARIANTS[kind].post(VARIANTS[kind].parse(damaged, now=NOW))
        if post is not None:
            read_post(post, stream=kind, now=NOW, key=b"k")


# ------------------------------------------------------------------------------------ its options


@pytest.mark.parametrize("kind", SOURCES)
@pytest.mark.parametrize(
    "options", [{"nonsense": 1}, {"url": 7}, {"url": ""}, {"url": "http://x"}, {"url": "wss://x:y"}]
)
def test_a_wrong_option_is_refused_and_the_source_named(kind, options):
    with pytest.raises(Misconfigured, match="'mine'"):
        build([SourceTable(name="mine", type=kind, options=options)])


def test_all_wrong_sources_are_named_at_once_and_the_types_that_there_are():
    tables = [SourceTable(name=name, type="myspace", options={}) for name in ("one", "two")]
    with pytest.raises(Misconfigured, match=r"(?s)'one'.*bluesky.*'two'"):
        build(tables)
