import asyncio
import contextlib
import json
from datetime import timedelta
from random import Random

import pytest

from services.ingest import listen as room
from services.ingest.cursors import Cursors
from services.ingest.intake import Intake, Push
from services.ingest.listen import Listener
from services.ingest.pump import Pump
from services.ingest.seen import Seen
from services.ingest.source import Frame, Gone, Unreadable
from tests.unit.services.ingest.fakes import NOW, FakeBroker, PlainNames, Wall
from uproar.errors import Unavailable
from uproar.topics import DEAD_LETTER, DELETIONS, POSTS
from uproar.watermark import State

AUTHOR = "did:plc:ann"


def a_post(id="1", **given) -> bytes:  # noqa: A002
    post = {"id": id, "source": "net", "text": f"acme lost bag {id}", "author": AUTHOR}
    return json.dumps(
        post | {"created_at": (NOW - timedelta(seconds=30)).isoformat()} | given
    ).encode()


class Script:
    """A source that plays lists of frames, one for each time that it is read."""

    name = "net"

    def __init__(self, *runs) -> None:
        self.runs, self.cursors = list(runs), []
        self.over = asyncio.Event()

    def since(self, moment) -> str:
        return f"since {moment.isoformat()}"

    async def read(self, cursor):
        self.cursors.append(cursor)
        if not self.runs:
            self.over.set()
            await asyncio.Event().wait()
        for frame in self.runs.pop(0):
            if isinstance(frame, Exception):
                raise frame
            yield frame


class House:
    def __init__(self, folder, wall=None) -> None:
        self.broker, self.wall = FakeBroker(), wall or Wall()
        self.seen, self.authors = Seen(folder), Seen(folder / "authors")
        self.intake = Intake(seen=self.seen, authors=self.authors, key=b"k", send=self.broker.send)
        names = PlainNames("acme")
        self.intake.watch(dict.fromkeys(names.subjects), names)
        self.cursors = Cursors(folder)
        self.pump = Pump(
            intake=self.intake,
            cursors=self.cursors,
            send=self.broker.send,
            partitions=2,
            rng=Random(1),
            networks=["net"],
            clock=self.wall,
        )

    def listener(self, source) -> Listener:
        return Listener(
            source,
            take=self.pump.take,
            stream=self.cursors.get,
            send=self.broker.send,
            rng=Random(1),
            first_delay=0.001,
        )

    async def play(self, *runs) -> tuple[Script, Listener]:
        source = Script(*runs)
        listener = self.listener(source)
        async with running(listener):
            await asyncio.wait_for(source.over.wait(), 20)
        return source, listener

    def topic(self, name):
        return [record for record in self.broker.records if record.topic == name]


@contextlib.asynccontextmanager
async def running(listener):
    task = asyncio.create_task(listener.run())
    try:
        yield task
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


@pytest.fixture
def house(tmp_path, monkeypatch):
    monkeypatch.setattr(room, "RETRY_SECONDS", 0.001)
    return House(tmp_path)


def a_frame(cursor="c1", *posts, behind: float = 1, **given) -> Frame:
    return Frame(cursor=cursor, posts=posts, up_to=NOW - timedelta(seconds=behind), **given)


async def test_its_posts_go_on_and_its_watermark_follows_them(house):
    await house.play([a_frame("c1", a_post("1"), a_post("2", text="nobody"))])
    assert [post.id for post in house.broker.posts] == ["net:1"]
    assert house.broker.posts[0].author not in {None, AUTHOR}
    kinds = [type(value).__name__ for value in house.broker.values()]
    assert kinds == ["Post", "Watermark", "Watermark"]
    assert house.cursors.get("net").cursor == "c1"


async def test_it_is_started_again_where_it_was_and_says_what_is_wrong(house):
    runs = [[a_frame("c1", a_post())], [Unavailable("gone")], [a_frame("c2")]]
    source, listener = await house.play(*runs)
    assert source.cursors == [None, "c1", "c1", "c2"]
    assert listener.problem() == "the network ended the stream"


async def test_a_restart_goes_on_at_the_last_cursor(house, tmp_path):
    await house.play([a_frame("c7", a_post())])
    source, _ = await House(tmp_path, house.wall).play()
    assert source.cursors == ["c7"]


async def test_without_a_cursor_it_goes_on_at_what_it_has_reached(house, tmp_path):
    """A broker that lost what it had: ``uproar up`` takes ingest back (standalone/rewind.py)."""
    await house.play([a_frame("c7", a_post())])
    house.cursors.get("net").cursor = None
    source, _ = await house.play()
    assert source.cursors == [f"since {(NOW - timedelta(seconds=1)).isoformat()}"]


async def test_a_broker_that_is_away_is_waited_for_and_nothing_is_read_meanwhile(house):
    house.broker.down = True
    source = Script([a_frame("c1", a_post("1")), a_frame("c2", a_post("2"))])
    listener = house.listener(source)
    async with running(listener):
        await until(lambda: listener.problem() == "the broker is down")
        assert house.cursors.get("net") is None
        house.broker.down = False
        await asyncio.wait_for(source.over.wait(), 20)
    assert [post.id for post in house.broker.posts] == ["net:1", "net:2"]


async def until(true) -> None:
    async with asyncio.timeout(20):
        while not true():  # noqa: ASYNC110 - a plain attribute tells nobody
            await asyncio.sleep(0.001)


async def test_what_cannot_be_read_is_buried_with_its_reason_and_the_rest_goes_on(house):
    bad = [Unreadable(b'{"odd', "no JSON")]
    await house.play([a_frame("c1", a_post("1"), a_post("2", views=-1), unreadable=bad)])
    letters = [DEAD_LETTER.decode(one.value) for one in house.topic(POSTS.dead_letters)]
    assert [(one.origin, one.reason) for one in letters] == [
        ("net", "no JSON"),
        ("net", "views: Expected 'int' >= 0"),
    ]
    assert len(house.broker.posts) == 1


async def test_a_flood_of_what_cannot_be_read_buries_a_few_samples_and_counts_all(house):
    counted = room.metrics.UNREADABLE_FRAMES.labels("net")._value
    before = counted.get()
    frames = [a_frame("c1", unreadable=[Unreadable(b"x", "odd")] * 50) for _ in range(20)]
    await house.play(frames)
    assert len(house.topic(POSTS.dead_letters)) == room.LETTERS_A_MINUTE
    assert counted.get() - before == 1000


async def test_what_is_taken_back_is_passed_on_where_it_had_been_sent_on(house):
    gone = [
        Gone(network="net", id="1", at=NOW),
        Gone(network="net", id="2", at=NOW),
        Gone(network="net", author=AUTHOR, at=NOW),
        Gone(network="net", author="did:plc:bob", at=NOW),
    ]
    posts = [a_post("1"), a_post("2", text="about nobody", author="did:plc:bob")]
    await house.play([a_frame("c1", *posts, gone=gone)])
    told = [DELETIONS.decode(record) for record in house.topic(DELETIONS.name)]
    assert [(one.id, one.author) for one in told] == [
        ("net:1", None),
        (None, house.broker.posts[0].author),
    ]


async def test_a_gap_is_counted(house):
    counted = room.metrics.SOURCE_GAPS.labels("net")._value
    before = counted.get()
    await house.play([a_frame("c1", gap="the network forgot")])
    assert counted.get() - before == 1


async def test_the_wait_between_attempts_grows_and_is_never_over_a_minute(house):
    listener = house.listener(Script())
    listener._first_delay = 1.0
    delays = [listener._delay(failures) for failures in range(1, 50)]
    assert 0.5 <= delays[0] <= 1
    assert 30 <= delays[-1] <= 60
    assert max(delays) <= 60


async def test_a_fault_of_ours_ends_it(house):
    listener = house.listener(Script([ValueError("bug")]))
    with pytest.raises(ValueError, match="bug"):
        await listener.run()


# ---------------------------------------------------------------------- its time beside others'


def states(house, source="net"):
    return [report.state for report in house.broker.reports if report.source == source]


async def push(house, source="push", **given):
    trace = "00-" + "1" * 32 + "-" + "2" * 16 + "-01"
    fresh = a_post(f"{source}{len(house.broker.posts)}", created_at=house.wall().isoformat())
    await house.pump.take(
        Push(items=[fresh], source=source, received_at=house.wall(), traceparent=trace, **given)
    )


async def test_alone_it_is_live_in_its_own_time_though_it_is_hours_behind(house):
    await house.play([a_frame("c1", a_post(), behind=3600)])
    mark = house.broker.watermarks[-1]
    assert (mark.at, mark.state) == (NOW - timedelta(hours=1), State.LIVE)


async def test_beside_others_it_holds_nobody_back_until_it_has_caught_up(house):
    await push(house)
    await house.play([a_frame("c1", a_post(), behind=3600), a_frame("c2", behind=600)])
    assert states(house) == [State.BACKFILL]
    assert [mark for mark in house.broker.watermarks if mark.source == "net"] == []
    await house.play([a_frame("c3", behind=2)])
    assert states(house) == [State.BACKFILL, State.LIVE]
    assert house.broker.watermarks[-1].at == NOW - timedelta(seconds=2)


async def test_it_stands_aside_for_a_push_while_it_is_behind(house):
    await house.play([a_frame("c1", a_post(), behind=3600)])
    await push(house)
    assert states(house) == [State.LIVE, State.BACKFILL]
    last = [mark for mark in house.broker.watermarks if mark.source == "net"][-1]
    assert last.state is State.BACKFILL


async def test_what_it_brings_while_it_stands_aside_is_history_once_it_is_too_late_to_be_judged(
    house,
):
    await house.play([a_frame("c1", a_post("1"), behind=7200)])
    await push(house)
    frames = [("2", 7100), ("3", 1800), ("4", 1)]
    await house.play([a_frame(f"c{name}", a_post(name), behind=s) for name, s in frames])
    brought = {post.id: post.backfill for post in house.broker.posts if post.stream == "net"}
    assert brought == {"net:1": False, "net:2": True, "net:3": False, "net:4": False}


async def test_a_push_and_a_network_that_is_near_are_live_side_by_side(house):
    await house.play([a_frame("c1", a_post())])
    await push(house)
    assert states(house) == [State.LIVE]
    assert states(house, "push") == [State.LIVE]


async def test_a_replay_leaves_when_a_network_comes_to_the_present(house):
    await push(house, "storm", up_to=NOW - timedelta(days=1))
    await house.play([a_frame("c1", behind=3600)])
    assert states(house, "storm") == [State.LIVE]
    await house.play([a_frame("c2", behind=1)])
    assert states(house, "storm") == [State.LIVE, State.BLIND]


async def test_nobody_else_may_push_under_its_name(house):
    with pytest.raises(room.Conflict, match="read from its network"):
        await push(house, "net")


async def test_it_never_says_to_have_come_further_than_the_present(house):
    await house.play([a_frame("c1", behind=-86_400)])
    assert house.broker.watermarks[-1].at == NOW


async def test_frames_of_which_nothing_can_be_read_leave_it_blind(house):
    await house.play([a_frame("c1", a_post())])
    house.wall.pass_by(61)
    await house.play([Frame(cursor="c1", unreadable=[Unreadable(b"x", "odd")])])
    await house.pump.tick()
    assert states(house) == [State.LIVE, State.BLIND]
