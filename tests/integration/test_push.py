"""Ingest as a real process on a real broker: pushed over HTTP, read back from Kafka."""

import asyncio
import gzip
import json
import re
import signal
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from services.ingest.replay import Summary, replay
from tests.broker import broker
from tests.integration.ingest_house import PARTITIONS, TOKEN, House, only
from tests.shared import SHARED
from uproar.errors import Malformed, Misconfigured, Unavailable
from uproar.post import Post
from uproar.topics import SOURCES
from uproar.watermark import SourceState, State, Watermark
from uproar.wire import ACCEPTED_AT, TRACEPARENT

BAG = datetime(2026, 1, 5, 10, 0, tzinfo=UTC)


@pytest.fixture
def house(tmp_path):
    with broker() as address:
        made = House(address, tmp_path)
        yield made
        made.close()


def a_post(id="1", minute: float = 0, **fields) -> dict:  # noqa: A002
    created_at = (BAG + timedelta(minutes=minute)).isoformat()
    return {"id": id, "text": f"Acme lost my bag, claim {id}", "created_at": created_at} | fields


def a_file(path: Path, count: int) -> Path:
    """Posts of a crisis, one every ten seconds, not in order."""
    posts = [a_post(str(n), n / 6) for n in range(count)]
    lines = [json.dumps(post) for post in posts[1::2] + posts[::2]]
    path.write_bytes(gzip.compress("\n".join(lines).encode()))
    return path


# ----------------------------------------------------------------------------------------- pushes


def test_what_is_accepted_is_in_kafka_and_bad_input_loses_nothing_else(house):
    house.start()
    future = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    bad = [
        b'{"id":"broken"', json.dumps(a_post(7)), json.dumps({"text": "acme", "created_at": "2026-01-01T00:00:00Z"}),
        json.dumps(a_post("f", created_at=future)), json.dumps(a_post("e", created_at="1970-01-01T00:00:00Z")),
        json.dumps(a_post("v", views="many")), json.dumps(a_post("u", subjects=["nobody"])),
        json.dumps(a_post("n")).replace('"text"', '"rating": NaN, "text"'), b'{"id":"\xff"}', b"[" * 50_000,
        json.dumps(a_post("h", views=10**40)), json.dumps(a_post("s", source="a b")), b"null", b"7",
    ]  # fmt: skip
    good = [
        a_post("1", author="@Ann", lang="en"), a_post("2", text="acme \x00 \ud800!"),
        a_post("3", text="Acme " + "x" * 900_000), a_post("4", text="Zenith", source="Reddit"),
        a_post("5", text="nobody we know"), a_post("6", text="?", subjects=["zenith", "acme"]),
        a_post("8", author="acmehelp"),
    ]  # fmt: skip
    lines = [line if isinstance(line, bytes) else line.encode() for line in bad]
    for post in good:
        lines.insert(len(lines) // 2, json.dumps(post).encode())
    answer = house.post(b"\n".join(lines), headers={"Content-Type": "application/x-ndjson"})
    told = answer.json()
    assert answer.status_code == 202, told
    assert [told[k] for k in ("accepted", "unmatched", "rejected", "cut")] == [6, 1, len(bad), 1]
    again = house.post([a_post("1"), a_post("9")]).json()
    assert [verdict["verdict"] for verdict in again["verdicts"]] == ["duplicate", "accepted"]
    posts = {post.id: post for post in house.posts(wanted=7)}
    assert set(posts) == {"push:1", "push:2", "push:3", "reddit:4", "push:6", "push:8", "push:9"}
    assert posts["push:1"].author not in {None, "Ann", "@Ann"}
    assert "\x00" not in posts["push:2"].text
    assert posts["push:3"].cut
    assert posts["push:6"].subjects == ("zenith", "acme")
    assert posts["push:8"].own_of == ("acme",)


def test_a_body_that_cannot_be_read_or_may_not_come_in_is_refused(house):
    house.start()
    chunks = (b" " * 65_536 for _ in range(20))
    for answer, status in [
        (house.post(b"[{"), 400), (house.post(b""), 400), (house.post(chunks), 413),
        (house.post(b"[]" + b" " * 1024 * 1024), 413), (house.post([], params={"source": "a b"}), 422),
        (house.post([], headers={"Authorization": "Bearer wrong"}), 401),
        (house.post(gzip.compress(b" " * 9_000_000), headers={"Content-Encoding": "gzip"}), 413),
        (house.post([], params={"up_to": "2099-01-01T00:00:00Z"}), 422),
    ]:  # fmt: skip
        assert answer.status_code == status
        assert answer.headers["content-type"] == "application/problem+json"
    assert house.post([a_post()]).json()["accepted"] == 1


def test_a_change_of_the_watch_list_arrives_within_ten_seconds(house):
    house.start()
    numbers = iter(range(10_000))

    def verdict() -> str:
        post = a_post(f"g{next(numbers)}", text="Globex is late")
        return house.post([post]).json()["verdicts"][0]["verdict"]

    assert verdict() == "unmatched"
    house.watch("globex", name="Globex")
    house.until(lambda: verdict() == "accepted", seconds=10)
    house.unwatch("globex")
    house.until(lambda: verdict() == "unmatched", seconds=10)


def test_a_live_push_moves_every_partition_and_leaves_when_ingest_stops(house):
    house.start()
    house.post([a_post()])
    begun = datetime.now(UTC)

    def moved(marks) -> bool:
        return Counter(mark.state for mark in marks)[State.LIVE] >= 3 * PARTITIONS

    house.watermarks(moved)
    assert house.end() == 0
    marks = house.watermarks(lambda marks: any(mark.state is State.BLIND for mark in marks))
    for number in range(PARTITIONS):
        here = [mark for mark, record in marks if record.partition == number]
        assert [mark.at for mark in here] == sorted(mark.at for mark in here)
        assert [mark.state for mark in here if mark.state is not State.LIVE] == [State.BLIND]
        assert here[-1].state is State.BLIND
        assert abs(here[0].at + timedelta(seconds=10) - begun) < timedelta(seconds=30)
    for _, record in marks:
        assert re.fullmatch(
            rb"00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}", record.header(TRACEPARENT) or b""
        )
        assert datetime.fromisoformat(
            (record.header(ACCEPTED_AT) or b"").decode()
        ) >= begun - timedelta(minutes=1)
    reports = house.read(
        lambda values: [v.state for v in values][-1:] == [State.BLIND], topic=SOURCES
    )
    states = [value.state for value, _ in reports if isinstance(value, SourceState)]
    assert states[0] is State.LIVE
    assert states[-1] is State.BLIND


# ------------------------------------------------------------------------------ it tells the truth


def test_it_is_ready_only_with_a_broker_and_says_what_is_missing(house):
    house.start()
    metrics = httpx.get(f"{house.url}/metrics").text
    assert "uproar_ingest_subjects 2.0" in metrics
    assert httpx.get(f"{house.url}/live").json() == {"live": True}


@pytest.mark.parametrize(
    ("environment", "code", "said"),
    [
        (
            {"UPROAR_INGEST_TOKEN": "", "UPROAR_INGEST_HOST": "0.0.0.0"},
            78,
            "set UPROAR_INGEST_TOKEN",
        ),
        ({"UPROAR_INGEST_PORT": "http"}, 78, "UPROAR_INGEST_PORT"),
        ({"UPROAR_KAFKA_PARTITIONS": "7"}, 78, "uproar.posts.v1 has 4 partitions instead of 7"),
        ({"UPROAR_KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1"}, 69, "no Kafka at 127.0.0.1:1"),
    ],
)
def test_it_does_not_start_on_what_a_person_must_mend_and_says_so(house, environment, code, said):
    house.start(ready=False, **environment)
    assert house._process is not None
    assert house._process.wait(60) == code
    house._process = None
    assert said in (house.folder / "log").read_text()


def test_it_does_not_start_on_a_taken_port(house, tmp_path):
    house.start()
    other = House(house.address, tmp_path / "other")
    other.folder.mkdir()
    other.port = house.port
    other.start(ready=False)
    assert other._process is not None
    assert other._process.wait(60) == 78
    other._process = None
    other.close()
    assert "cannot listen" in (other.folder / "log").read_text()


# ------------------------------------------------------------------------------------- replays


async def play(house: House, file: Path, **options) -> Summary:
    return await replay(file, to=house.url, token=TOKEN, **options)


def assert_whole(house: House, count: int) -> Counter[str]:
    """Every post is there, behind no watermark that is later than it, and the stream has ended."""
    end = BAG + timedelta(minutes=(count - 1) // 6 + 1)
    found = house.read(
        lambda values: sum(m.state is State.ENDED for m in only(Watermark, values)) >= PARTITIONS
    )
    reached = dict.fromkeys(range(PARTITIONS), BAG - timedelta(days=1))
    late = set()
    seen = Counter[str]()
    for value, record in found:
        assert record.partition is not None
        if isinstance(value, Watermark):
            reached[record.partition] = max(reached[record.partition], value.at)
        elif isinstance(value, Post):
            seen[value.id] += 1
            if value.created_at < reached[record.partition] and seen[value.id] == 1:
                late.add(value.id)
    assert set(seen) == {f"crisis:{n}" for n in range(count)}
    assert late == set()
    assert set(reached.values()) == {end}
    return seen


async def test_a_replay_goes_in_order_and_ends_with_the_minute_of_its_last_post(house, tmp_path):
    house.start()
    summary = await play(house, a_file(tmp_path / "Crisis.jsonl.gz", 1300))
    assert (summary.source, summary.posts, summary.skipped, summary.bad) == ("crisis", 1300, 0, 0)
    assert summary.counts["accepted"] == 1300
    assert set(assert_whole(house, 1300).values()) == {1}
    again = await play(house, tmp_path / "Crisis.jsonl.gz")
    assert (again.skipped, again.counts["accepted"]) == (1300, 0)


async def test_a_replay_goes_on_after_its_client_was_cut_off(house, tmp_path):
    house.start()
    file = a_file(tmp_path / "crisis.jsonl.gz", 1300)

    class CutOff:
        def begin(self, posts: int) -> None:
            pass

        def moved(self, posts: int, reached: datetime | None) -> None:
            if posts >= 500:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        await play(house, file, progress=CutOff())
    summary = await play(house, file)
    assert summary.skipped == 500
    assert_whole(house, 1300)


async def test_a_replay_survives_a_killed_ingest(house, tmp_path):
    house.start()
    file = a_file(tmp_path / "crisis.jsonl.gz", 4000)
    killed = asyncio.Event()

    class Killer:
        def begin(self, posts: int) -> None:
            pass

        def moved(self, posts: int, reached: datetime | None) -> None:
            if posts >= 1000 and not killed.is_set():
                killed.set()
                house.end(signal.SIGKILL)

    playing = asyncio.create_task(play(house, file, progress=Killer()))
    await killed.wait()
    await asyncio.to_thread(house.start)
    summary = await playing
    assert summary.posts == 4000
    assert_whole(house, 4000)
    states = [v.state for v, _ in house.read(lambda values: len(values) > 2, topic=SOURCES)]
    assert states[0] is State.LIVE
    assert states[-1] is State.ENDED


async def test_a_replay_says_why_it_is_refused(house, tmp_path):
    file = a_file(tmp_path / "crisis.jsonl.gz", 5)
    with pytest.raises(Unavailable, match="no ingest at"):
        await play(house, file, patience_seconds=0)
    house.start()
    with pytest.raises(Malformed, match="401"):
        await replay(file, to=house.url, token="wrong")
    with pytest.raises(Misconfigured, match="speed"):
        await play(house, file, speed=0)
    house.post([a_post()])
    with pytest.raises(Malformed, match="push is live"):
        await play(house, file)
    summary = await play(house, file, backfill=True)
    assert summary.counts["accepted"] == 5


async def test_a_replay_at_a_speed_takes_its_time(house, tmp_path):
    house.start()
    began = time.monotonic()
    summary = await play(house, a_file(tmp_path / "crisis.jsonl.gz", 60), speed=600)
    assert time.monotonic() - began >= 590 / 600
    assert summary.counts["accepted"] == 60
    assert_whole(house, 60)


async def test_a_replay_may_bring_its_own_watch_list_and_reports_what_is_wrong(house, tmp_path):
    house.start()
    watch = tmp_path / "watch.toml"
    watch.write_text('[[subject]]\nid = "zenith"\nname = "Bag"\n')
    lines = [json.dumps(a_post("1")), "{", json.dumps(a_post("2", views=-1))]
    (tmp_path / "crisis.jsonl").write_text("\n".join(lines))
    summary = await play(house, tmp_path / "crisis.jsonl", watch=watch)
    assert summary.bad == 1
    assert summary.reasons[0][0] == 2
    assert summary.rejected == [("2", "views: Expected 'int' >= 0")]
    assert house.posts(wanted=1)[0].subjects == ("zenith",)


@pytest.mark.skipif(SHARED is None, reason="../shared/data is absent")
async def test_a_recorded_stream_is_replayed_whole(house):
    assert SHARED is not None
    house.watch("virgin", name="Virgin America", handles=("VirginAmerica",))
    house.start()
    file = SHARED / "data" / "replays" / "airline_virginamerica_2015.jsonl"
    summary = await play(house, file)
    assert (summary.posts, summary.bad, summary.counts["rejected"]) == (502, 0, 0)
    assert summary.counts["accepted"] > 400
    ids = Counter(post.id for post in house.posts(wanted=summary.counts["accepted"]))
    assert len(ids) == summary.counts["accepted"]
