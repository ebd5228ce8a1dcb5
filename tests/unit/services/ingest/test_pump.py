import asyncio
from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from random import Random

import pytest

from services.ingest import cursors, metrics
from services.ingest import pump as room
from services.ingest.cursors import Behind, Conflict, Cursors
from services.ingest.intake import Intake, Push
from services.ingest.pump import Pump
from services.ingest.seen import Seen
from tests.unit.services.ingest.fakes import NOW, FakeBroker, PlainNames, Wall, a_json
from uproar.detector import Policy
from uproar.errors import Unavailable
from uproar.watermark import Frontier, State, Watermark
from uproar.wire import ACCEPTED_AT, TRACEPARENT

PARTITIONS = 3
THEN = datetime(2015, 6, 1, 9, 0, tzinfo=UTC)


class House:
    def __init__(self, folder, wall: Wall | None = None, networks: Collection[str] = ()) -> None:
        self.broker, self.wall = FakeBroker(), wall or Wall()
        intake = Intake(
            seen=Seen(folder), authors=Seen(folder / "authors"), key=b"", send=self.broker.send
        )
        names = PlainNames("acme")
        intake.watch(dict.fromkeys(names.subjects), names)
        self.cursors = Cursors(folder)
        self.pump = Pump(
            intake=intake,
            cursors=self.cursors,
            send=self.broker.send,
            partitions=PARTITIONS,
            rng=Random(1),
            networks=networks,
            clock=self.wall,
        )

    async def push(self, *items: bytes, source="push", **given):
        trace = "00-" + "1" * 32 + "-" + "2" * 16 + "-01"
        push = Push(items=items, source=source, received_at=self.wall(), traceparent=trace, **given)
        return await self.pump.take(push)

    async def replay(self, *items: bytes, minute: float | None, source="storm", **given):
        up_to = None if minute is None else THEN + timedelta(minutes=minute)
        return await self.push(*items, source=source, up_to=up_to, **given)

    def frontier(self) -> datetime | None:
        """What detection makes of the watermarks."""
        frontier = Frontier()
        for record in self.broker.records:
            if record.partition is None:
                continue
            mark = room.POSTS.decode(record)
            frontier.observe(
                Watermark(
                    source=mark.source,
                    at=mark.at,
                    state=mark.state,
                    partition=record.partition,
                    partitions=PARTITIONS,
                )
            )
        return frontier.limit


@pytest.fixture
def house(tmp_path):
    return House(tmp_path)


def old(id: str, minute: float = 0, **given) -> bytes:  # noqa: A002
    created_at = (THEN + timedelta(minutes=minute)).isoformat()
    return a_json(id, created_at=created_at, **given)


def said(house: House, source: str) -> list[State]:
    return [report.state for report in house.broker.reports if report.source == source]


# ------------------------------------------------------------------------- live by the wall clock


async def test_a_push_is_live_from_its_first_post_and_moves_though_nothing_comes(house):
    await house.pump.tick()
    assert house.broker.records == []
    await house.push(a_json())
    assert said(house, "push") == [State.LIVE]
    for _ in range(3):
        house.wall.pass_by(1)
        await house.pump.tick()
    assert house.frontier() == house.wall() - timedelta(seconds=10)


async def test_every_partition_gets_each_watermark_once_and_with_its_headers(house):
    await house.push(a_json())
    await house.pump.tick()
    marks = [record for record in house.broker.records if record.partition is not None]
    assert [record.partition for record in marks] == [0, 1, 2]
    for record in marks:
        assert record.key is None
        assert record.header(ACCEPTED_AT) == house.wall().isoformat().encode()
        assert (record.header(TRACEPARENT) or b"").startswith(b"00-")


async def test_a_push_without_a_readable_post_makes_nothing_live(house):
    await house.push()
    await house.push(b"{}")
    assert house.cursors.get("push") is None


async def test_a_push_may_be_ended_and_begin_anew(house):
    await house.push(a_json("1"))
    await house.push(source="push", end=True)
    assert said(house, "push") == [State.LIVE, State.ENDED]
    assert house.broker.watermarks[-1].state is State.ENDED
    await house.push(a_json("2"))
    assert said(house, "push")[-1] is State.LIVE


async def test_requests_of_a_live_push_do_not_wait_for_each_other(house):
    house.broker.open.clear()
    pushes = [asyncio.create_task(house.push(a_json(str(n)))) for n in range(3)]
    await asyncio.sleep(0.05)
    house.broker.open.set()
    await asyncio.gather(*pushes)
    assert len(house.broker.posts) == 3


# -------------------------------------------------------------------------- streams of own time


async def test_a_watermark_follows_the_acknowledged_posts_of_its_batch(house):
    await house.replay(old("1"), old("2", 1), minute=2)
    values = house.broker.values()
    assert [type(value).__name__ for value in values] == ["Post"] * 2 + ["Watermark"] * PARTITIONS
    assert house.frontier() == THEN + timedelta(minutes=2)


async def test_a_stream_ends_with_the_minute_of_its_last_post(house):
    await house.replay(old("1", 0.5), minute=1)
    outcome = await house.replay(old("2", 1.5), minute=None, end=True)
    assert outcome.reached == THEN + timedelta(minutes=2)
    assert house.frontier() == THEN + timedelta(minutes=2)
    assert said(house, "storm") == [State.LIVE, State.ENDED]


async def test_the_last_minute_counts_though_its_post_concerns_nobody(house):
    await house.replay(old("1"), old("2", 5.5, text="nobody"), minute=None, end=True)
    assert house.frontier() == THEN + timedelta(minutes=6)


async def test_going_back_is_refused_and_says_where_to_go_on(house):
    await house.replay(old("1"), minute=10)
    with pytest.raises(Behind, match="09:10") as refused:
        await house.replay(old("2", 3), minute=5)
    assert refused.value.stream.reached == THEN + timedelta(minutes=10)
    assert len(house.broker.posts) == 1


async def test_the_same_request_again_changes_nothing(house):
    for _ in range(2):
        outcome = await house.replay(old("1"), minute=10)
    assert outcome.counts["duplicate"] == 1
    assert outcome.reached == THEN + timedelta(minutes=10)


async def test_a_post_older_than_its_stream_is_taken_and_counted_as_late(house):
    await house.replay(old("1"), minute=10)
    outcome = await house.replay(old("2", 5), old("3", 10), minute=11)
    assert (outcome.counts["accepted"], outcome.late) == (2, 1)


async def test_a_replay_is_refused_while_another_source_is_live(house):
    await house.push(a_json())
    with pytest.raises(Conflict, match="push is live"):
        await house.replay(old("1"), minute=1)
    await house.push(source="push", end=True)
    await house.replay(old("1"), minute=1)


async def test_two_replays_at_once_are_refused(house):
    await house.replay(old("1"), minute=1)
    with pytest.raises(Conflict, match="storm is live"):
        await house.replay(old("2"), minute=1, source="another")


async def test_a_replay_may_begin_after_one_that_fell_silent_and_not_while_it_is_waited_for(house):
    await house.replay(old("1"), minute=1)
    house.wall.pass_by(59)
    await house.pump.tick()
    with pytest.raises(Conflict):
        await house.replay(old("2"), minute=1, source="another")
    house.wall.pass_by(2)
    await house.pump.tick()
    await house.replay(old("2"), minute=1, source="another")


async def test_a_stream_not_heard_of_for_a_minute_is_blind_until_its_next_request(house):
    await house.replay(old("1"), minute=1)
    house.wall.pass_by(61)
    await house.pump.tick()
    assert house.broker.watermarks[-1].state is State.BLIND
    await house.replay(old("2", 2), minute=3)
    assert house.broker.watermarks[-1].state is State.LIVE
    assert said(house, "storm") == [State.LIVE, State.BLIND, State.LIVE]


async def test_a_stream_whose_request_waits_for_the_broker_is_heard_of(house):
    await house.replay(old("1"), minute=1)
    house.broker.open.clear()
    waiting = asyncio.create_task(house.replay(old("2", 1), minute=2))
    await asyncio.sleep(0.01)
    house.wall.pass_by(61)
    await house.pump.tick()
    house.broker.open.set()
    await waiting
    assert said(house, "storm") == [State.LIVE]


async def test_an_empty_request_keeps_a_stream_alive(house):
    await house.replay(old("1"), minute=1)
    for _ in range(5):
        house.wall.pass_by(50)
        await house.pump.tick()
        await house.replay(minute=1)
    assert State.BLIND not in said(house, "storm")


async def test_where_there_is_no_room_for_a_stream_its_posts_are_not_sent(house, monkeypatch):
    monkeypatch.setattr(cursors, "MAX_STREAMS", 1)
    await house.push(a_json("1"))
    with pytest.raises(Conflict, match="end one"):
        await house.push(a_json("2"), source="shop")
    assert [post.id for post in house.broker.posts] == ["push:1"]


async def test_a_live_push_may_end_beside_another_one(house):
    await house.push(a_json("1"))
    await house.push(a_json("2"), source="shop")
    await house.push(a_json("3"), source="shop", end=True)
    assert said(house, "shop") == [State.LIVE, State.ENDED]
    with pytest.raises(Conflict, match="push is live"):  # but a new one brings a time of its own
        await house.push(a_json("4"), source="market", end=True)


async def test_nothing_is_kept_of_streams_that_went(house, monkeypatch):
    monkeypatch.setattr(cursors, "MAX_STREAMS", 2)
    for number in range(5):
        await house.replay(old("1"), minute=1, source=f"file-{number}")
        await house.replay(old("2"), minute=None, source=f"file-{number}", end=True)
    kept = {stream.source for stream in house.cursors}
    assert kept == {"file-3", "file-4"}
    assert set(house.pump._said) == kept
    assert not house.pump._turns
    for metric in (metrics.EVENT_TIME, metrics.SOURCE_STATE):
        (family,) = metric.collect()
        sources = {sample.labels["source"] for sample in family.samples}
        assert {source for source in sources if source.startswith("file-")} == kept


async def test_peoples_posts_come_before_a_replay(house):
    await house.replay(old("1"), minute=1)
    await house.push(a_json("2"))
    assert said(house, "storm") == [State.LIVE, State.BLIND]
    with pytest.raises(Conflict, match="push is live"):
        await house.replay(old("3", 2), minute=3)


async def test_the_canary_stands_in_nobodys_way(house):
    await house.push(a_json("1"), source="canary")
    await house.replay(old("2"), minute=1)
    await house.push(a_json("3"), source="canary")
    assert said(house, "storm") == [State.LIVE]


async def test_a_stream_is_either_live_or_has_its_own_time(house):
    await house.push(a_json("1"))
    with pytest.raises(Conflict, match="wall clock"):
        await house.replay(old("2"), minute=1, source="push")
    await house.push(source="push", end=True)
    await house.replay(old("3"), minute=1)
    with pytest.raises(Conflict, match="its own time"):
        await house.push(a_json("4"), source="storm")


async def test_requests_of_one_stream_are_taken_in_order(house):
    house.broker.open.clear()
    first = asyncio.create_task(house.replay(old("1"), minute=1))
    await asyncio.sleep(0.01)
    second = asyncio.create_task(house.replay(old("2", 1), minute=2))
    await asyncio.sleep(0.01)
    house.broker.open.set()
    await asyncio.gather(first, second)
    assert [mark.at for mark in house.broker.watermarks[::PARTITIONS]] == [
        THEN + timedelta(minutes=1),
        THEN + timedelta(minutes=2),
    ]


async def test_a_request_does_not_wait_for_ever_behind_another(house, monkeypatch):
    monkeypatch.setattr(room, "TURN_SECONDS", 0.05)
    house.broker.open.clear()
    first = asyncio.create_task(house.replay(old("1"), minute=1))
    await asyncio.sleep(0.01)
    with pytest.raises(Unavailable, match="still waits"):
        await house.replay(old("2"), minute=2)
    house.broker.open.set()
    await first


async def test_a_failed_request_moves_nothing(house):
    house.broker.down = True
    with pytest.raises(Unavailable):
        await house.replay(old("1"), minute=9)
    house.broker.down = False
    outcome = await house.replay(old("1"), minute=5)
    assert outcome.counts["accepted"] == 1
    assert house.frontier() == THEN + timedelta(minutes=5)
    assert said(house, "storm") == [State.LIVE]


# --------------------------------------------------------------------------------------- backfills


async def test_a_backfill_closes_nothing_and_nor_does_its_end(house):
    await house.push(a_json("1"))
    await house.replay(old("2"), minute=1, backfill=True)
    outcome = await house.replay(old("3", 1), minute=None, backfill=True, end=True)
    assert outcome.reached == THEN + timedelta(minutes=2)
    assert all(post.backfill for post in house.broker.posts[1:])
    assert house.broker.watermarks == []
    assert said(house, "storm") == [State.BACKFILL, State.ENDED]


async def test_a_live_stream_is_no_backfill_and_the_other_way_round(house):
    await house.push(a_json("1"))
    with pytest.raises(Conflict, match="push is live"):
        await house.push(a_json("2"), backfill=True)
    await house.replay(old("3"), minute=1, backfill=True, source="history")
    await house.push(source="push", end=True)
    with pytest.raises(Conflict, match="is a backfill"):
        await house.replay(old("4"), minute=2, source="history")


async def test_a_backfill_goes_on_where_it_was(house):
    await house.replay(old("1"), minute=5, backfill=True)
    with pytest.raises(Behind):
        await house.replay(old("2"), minute=1, backfill=True)


# -------------------------------------------------------------------------------- stop and restart


async def test_the_state_of_each_stream_under_way_is_said_again(house):
    await house.push(a_json("1"))
    house.wall.pass_by(10)
    await house.pump.tick()
    await house.pump.report()
    last = house.broker.reports[-1]
    assert (last.source, last.state, last.reported_at) == ("push", State.LIVE, house.wall())
    assert last.event_time == house.wall() - timedelta(seconds=10)
    assert last.last_post_at == NOW


async def test_a_network_that_is_to_be_read_is_told_of_as_long_as_it_is_blind_and_a_push_is_not(
    tmp_path,
):
    house = House(tmp_path, networks=["sky"])
    await house.push(a_json("1"), source="sky", up_to=NOW, cursor="1")
    await house.replay(old("2"), minute=1, backfill=True)
    house.wall.pass_by(61)
    await house.pump.tick()
    house.broker.records.clear()

    await house.pump.report()

    assert [(told.source, told.state) for told in house.broker.reports] == [("sky", State.BLIND)]


async def test_a_stopping_ingest_takes_its_live_streams_along(house):
    await house.push(a_json("1"))
    await house.pump.tick()
    await house.pump.part()
    assert [mark.state for mark in house.broker.watermarks[-PARTITIONS:]] == [State.BLIND] * 3
    assert said(house, "push")[-1] is State.BLIND


async def test_stopping_does_not_wait_for_a_dead_broker(house, monkeypatch):
    monkeypatch.setattr(room, "PARTING_SECONDS", 0.05)
    await house.push(a_json("1"))
    house.broker.open.clear()
    await house.pump.part()


async def test_after_sigkill_a_stream_goes_on_where_it_was(house, tmp_path):
    await house.replay(old("1"), minute=10)
    again = House(tmp_path, house.wall)
    running = asyncio.create_task(again.pump.run())
    await asyncio.sleep(0.05)
    running.cancel()
    assert [mark.state for mark in again.broker.watermarks] == [State.BLIND] * PARTITIONS
    with pytest.raises(Behind):
        await again.replay(old("2"), minute=5)
    await again.replay(old("3", 10), minute=11)
    assert again.broker.watermarks[-1].state is State.LIVE


async def test_a_stream_that_is_back_before_its_farewell_is_not_said_to_have_left(house, tmp_path):
    await house.replay(old("1"), minute=10)
    again = House(tmp_path, house.wall)
    await again.replay(old("2", 10), minute=11)
    running = asyncio.create_task(again.pump.run())
    await asyncio.sleep(0.05)
    running.cancel()
    assert {mark.state for mark in again.broker.watermarks} == {State.LIVE}


async def test_the_pump_goes_on_when_the_broker_does_not_keep_up(house):
    await house.push(a_json("1"))
    house.broker.down = True
    running = asyncio.create_task(house.pump.run())
    await asyncio.sleep(0.05)
    assert not running.done()
    running.cancel()


# ------------------------------------------------------------------------------------- its trace


async def test_the_watermark_that_closes_a_minute_goes_on_with_the_streams_last_push(tmp_path):
    house = House(tmp_path)
    await house.push(a_json("1"))
    await house.pump.tick()
    marks = [record for record in house.broker.records if record.partition is not None]
    pushed = [record for record in house.broker.records if record.key == b"push:1"]
    assert {m.header(TRACEPARENT) for m in marks} == {pushed[0].header(TRACEPARENT)}


async def test_a_stream_that_has_left_is_no_longer_remembered(tmp_path):
    house = House(tmp_path)
    await house.push(a_json("1"))
    await house.replay(a_json("2"), minute=None, end=True, backfill=True, source="old")
    assert set(house.pump._traces) == {"push"}
    await house.pump.part()
    assert house.pump._traces == {}


def test_what_is_too_late_for_detection_is_history_for_ingest():
    assert Policy().late == room.LATE
