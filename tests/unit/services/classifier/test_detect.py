"""Watermarks close minutes, decisions leave with their trace, and silence is set aside."""

import asyncio
from datetime import UTC, datetime, timedelta
from random import Random

import numpy as np
import pytest

from services.classifier import metrics
from services.classifier.detect import FRONTIER, Detect, event_times
from services.classifier.follow import WatchList
from services.classifier.partitioner import partition_of
from services.traces import trace_id
from tests.build import (
    NOON,
    a_deletion,
    a_moment,
    a_source_state,
    a_subject,
    a_watermark,
    an_assessment,
)
from tests.unit.services.classifier.fakes import a_watch_list
from uproar.backlash import Event
from uproar.detector import Detector
from uproar.errors import Malformed
from uproar.post import OLDEST
from uproar.subject import SubjectId
from uproar.topics import ASSESSMENTS, BACKLASH, DELETIONS, READINGS, SOURCES, SUBJECTS
from uproar.watch import WATCH
from uproar.watermark import Frontier, State
from uproar.wire import Record

TRACE = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
CALM, BURST = 24 * 60, 20  # minutes


class Clock:
    """Wall clock and monotonic clock of a test."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def now(self) -> datetime:
        return NOON + timedelta(days=3, seconds=self.seconds)

    def monotonic(self) -> float:
        return self.seconds


@pytest.fixture
def clock():
    return Clock()


def a_detect(
    clock: Clock, watch_list: WatchList | None = None, *, remembers: bool = False
) -> Detect:
    detect = Detect(
        watch_list=watch_list or a_watch_list(a_subject()),
        partitions=1,
        rng=Random(7),
        remembers=remembers,
        now=clock.now,
        monotonic=clock.monotonic,
    )
    detect.heard.set()
    return detect


@pytest.fixture
def detect(clock):
    detect = a_detect(clock)
    detect.assigned(0, {}, offsets_valid=True)
    return detect


class Topic:
    """One assessments partition on paper."""

    def __init__(self) -> None:
        self.records: list[Record] = []

    def add(self, value, headers=()) -> Record:
        raw = ASSESSMENTS.record(value, key="k", headers=headers)
        record = Record(
            topic=raw.topic,
            value=raw.value,
            key=raw.key,
            headers=headers,
            partition=0,
            offset=len(self.records),
        )
        self.records.append(record)
        return record


def the_story() -> Topic:
    """A calm day with a post every seven minutes, then twenty minutes of anger."""
    topic, number = Topic(), 0
    for minute in range(CALM + BURST):
        if minute < CALM and minute % 7 == 0:
            negative = 0.9 if minute % 3 == 0 else 0.1
            number += 1
            at = a_moment(minutes=minute)
            topic.add(an_assessment(f"push:{number}", negative=negative, created_at=at))
        for k in range(20 if minute >= CALM else 0):
            number += 1
            at = a_moment(minutes=minute, seconds=k)
            topic.add(an_assessment(f"push:{number}", negative=0.95, created_at=at))
        if minute < CALM and minute % 10 != 9:
            continue
        accepted = f"2026-03-05T00:00:{minute % 60:02}Z".encode()
        headers = (("traceparent", TRACE), ("accepted-at", accepted))
        topic.add(a_watermark(a_moment(minutes=minute + 1)), headers)
    return topic


def straight(topic: Topic):
    """What the Detector says of the same, without anything around it."""
    detector, frontier, backlash = Detector(), Frontier(), []
    detector.watch(a_subject())
    for record in topic.records:
        value = ASSESSMENTS.decode(record)
        if record.headers:
            frontier.observe(value)
            assert frontier.limit is not None
            backlash += detector.close_buckets(frontier.limit).backlash
        else:
            detector.observe_many([value], [record.offset or 0])
    return backlash


async def play(detect: Detect, records, step: int = 200) -> list[Record]:
    out: list[Record] = []
    for start in range(0, len(records), step):
        effects = await detect.handle(0, records[start : start + step])
        out += [record for stage in effects.stages for record in stage]
    return out


def events(records):
    return [BACKLASH.decode(record) for record in records if record.topic == BACKLASH.name]


async def test_it_says_what_the_detector_says_however_batches_are_cut(clock):
    topic = the_story()
    expected = straight(topic)
    assert [e.event for e in expected][:1] == [Event.OPENED]
    for step in (7, 200, 10_000):
        detect = a_detect(clock)
        detect.assigned(0, {}, offsets_valid=True)
        assert events(await play(detect, topic.records, step)) == expected


async def test_a_decision_bears_trace_and_acceptance_of_the_watermark_that_closed_its_minute(
    detect,
):
    out = await play(detect, the_story().records)
    opened = next(record for record in out if record.topic == BACKLASH.name)
    assert opened.key == b"air-quillon"
    assert trace_id(opened.header("traceparent")) == trace_id(TRACE)
    assert opened.header("traceparent") != TRACE
    minute = (events(out)[0].at - NOON) // timedelta(minutes=1)
    assert opened.header("accepted-at") == f"2026-03-05T00:00:{(minute - 1) % 60:02}Z".encode()
    assert {record.topic for record in out} == {BACKLASH.name, READINGS.name}


async def test_a_crash_at_any_place_repeats_ids_and_loses_none(clock):
    topic = the_story()
    expected = [event.id for event in straight(topic)]
    rng = Random(3)
    for _ in range(8):
        detect, rows, said = a_detect(clock), {}, []
        detect.assigned(0, rows, offsets_valid=True)
        crash_at, at, done = rng.randrange(len(topic.records)), 0, 0
        while at < len(topic.records):
            effects = await detect.handle(0, topic.records[at : at + 100])
            said += [event.id for event in events(list(effects.stages[0]))]
            crashed = at <= crash_at < at + 100
            if crashed and rng.random() < 0.5:
                at = done  # sent, but neither kept nor committed
            else:
                rows |= effects.rows
                at = min(at + 100, len(topic.records))
                done = at if effects.hold is None else min(at, effects.hold)
            if crashed:
                crash_at, at, detect = -1, done, a_detect(clock)
                detect.assigned(0, dict(rows), offsets_valid=True)
        assert list(dict.fromkeys(said)) == expected


async def test_each_partition_watches_its_own_subjects_and_keeps_no_row_of_others(clock):
    names = [f"brand-{number}" for number in range(40)]
    watch_list = a_watch_list(*(a_subject(name) for name in names[:30]))
    detect = Detect(watch_list=watch_list, partitions=4, rng=Random(7), now=clock.now)
    for number in range(4):
        detect.assigned(number, {}, offsets_valid=True)
    watch_list.follow([SUBJECTS.record(a_subject(name), key=name) for name in names[30:]])
    kept = []
    for number in range(4):
        mark = a_watermark(partition=0, partitions=1)
        kept.append(await detect.handle(number, [Topic().add(mark)]))
    for number, effects in enumerate(kept):
        rows = {key.decode() for key in effects.rows if not key.startswith(b"~")}
        assert (
            rows == {name for name in names if partition_of(SubjectId(name), 4) == number} != set()
        )
        detect.assigned((number + 1) % 4, effects.rows, offsets_valid=True)
        strange = await detect.handle((number + 1) % 4, [Topic().add(a_watermark(partitions=1))])
        assert not rows & {key.decode() for key in strange.rows}


async def test_nothing_is_handled_before_the_watch_list_is_read(clock):
    watch_list = WatchList()
    detect = a_detect(clock, watch_list)
    detect.assigned(0, {}, offsets_valid=True)
    handling = asyncio.create_task(detect.handle(0, [Topic().add(a_watermark())]))
    done, _ = await asyncio.wait({handling}, timeout=0.1)
    assert done == set()
    watch_list.listed.set()
    await handling


async def test_a_subject_that_ingest_knew_a_little_earlier_is_waited_for(clock):
    watch_list = a_watch_list()
    detect = a_detect(clock, watch_list)
    detect.assigned(0, {}, offsets_valid=True)
    handling = asyncio.create_task(detect.handle(0, [Topic().add(an_assessment())]))
    await asyncio.sleep(0.05)
    watch_list.follow([SUBJECTS.record(a_subject(), key="air-quillon")])
    effects = await handling
    assert effects.hold == 0


async def test_a_subject_that_never_comes_is_waited_for_once(clock, monkeypatch):
    monkeypatch.setattr("services.classifier.follow.LIST_PATIENCE", 0.05)
    watch_list = a_watch_list()
    detect = a_detect(clock, watch_list)
    detect.assigned(0, {}, offsets_valid=True)
    await detect.handle(0, [Topic().add(an_assessment())])
    monkeypatch.setattr("services.classifier.follow.LIST_PATIENCE", 1e9)
    assert (await detect.handle(0, [Topic().add(an_assessment())])).hold is None


async def test_a_subject_taken_from_the_list_is_heard_no_more(detect):
    detect.watch_list.follow([SUBJECTS.record(None, key="air-quillon")])
    out = await play(detect, the_story().records)
    assert events(out) == []


async def test_a_deleted_post_leaves_no_text_in_evidence(detect):
    topic = the_story()
    await play(detect, topic.records[: -BURST * 21 + 20])
    gone = [f"push:{n}" for n in range(1, 1000)]
    detect.follow_deletions([DELETIONS.record(a_deletion(id=g), key=g) for g in gone])
    out = await play(detect, [topic.records[-BURST * 21 + 20]])
    (opened,) = events(out)
    assert opened.evidence == ()


# --------------------------------------------------------------------------------------- silence


async def two_sources(detect: Detect) -> None:
    """``push`` has come to 12:10, ``other`` to 12:01; a post waits in between."""
    topic = Topic()
    records = [
        topic.add(an_assessment(created_at=a_moment(minutes=5))),
        topic.add(a_watermark(a_moment(minutes=1), source="other")),
        topic.add(a_watermark(a_moment(minutes=10)), (("traceparent", TRACE),)),
    ]
    await detect.handle(0, records)


def report(detect: Detect, source: str, at: datetime, state: State = State.LIVE) -> None:
    value = a_source_state(source, reported_at=at, state=state)
    detect.follow_sources([SOURCES.record(value, key=source)])


async def closed_to(detect: Detect) -> datetime | None:
    await detect.tick(0)
    return detect._parts[0].frontier.limit


async def test_a_live_source_not_heard_of_for_a_minute_is_set_aside_and_taken_back(detect, clock):
    report(detect, "push", clock.now())
    report(detect, "other", clock.now())
    await two_sources(detect)
    assert await closed_to(detect) == a_moment(minutes=1)
    clock.seconds += 61
    report(detect, "push", clock.now())
    assert await closed_to(detect) == a_moment(minutes=10)
    report(detect, "other", clock.now())
    await detect.tick(0)
    await detect.handle(0, [Topic().add(a_watermark(a_moment(minutes=20)))])
    assert await closed_to(detect) == a_moment(minutes=10)


async def test_closing_by_the_clock_alone_keeps_what_changed(detect, clock):
    report(detect, "other", clock.now())
    await two_sources(detect)
    clock.seconds += 61
    report(detect, "push", clock.now())
    effects = await detect.tick(0)
    assert FRONTIER in effects.rows
    assert b"air-quillon" in effects.rows
    (reading,) = [r for r in effects.stages[0] if r.topic == READINGS.name]
    assert trace_id(reading.header("traceparent")) == trace_id(TRACE)


@pytest.mark.parametrize("state", [State.ENDED, State.BLIND, State.BACKFILL])
async def test_what_has_said_that_it_is_not_live_is_not_missed(detect, clock, state):
    report(detect, "other", clock.now(), state)
    report(detect, "push", clock.now())
    await two_sources(detect)
    clock.seconds += 3600
    report(detect, "push", clock.now())
    assert await closed_to(detect) == a_moment(minutes=1)


async def test_a_report_from_before_our_start_is_as_old_as_it_says(clock):
    detect = a_detect(clock)
    detect.heard.clear()
    report(detect, "other", clock.now() - timedelta(seconds=61))
    report(detect, "push", clock.now() - timedelta(seconds=9))
    detect.heard.set()
    detect.assigned(0, {}, offsets_valid=True)
    await two_sources(detect)
    assert await closed_to(detect) == a_moment(minutes=10)


async def test_a_report_that_comes_while_we_listen_counts_whatever_its_clock_says(detect, clock):
    late = clock.now() - timedelta(hours=2)
    report(detect, "other", late)
    report(detect, "push", late)
    await two_sources(detect)
    assert await closed_to(detect) == a_moment(minutes=1)


async def test_an_old_report_read_again_is_no_news(detect, clock):
    written = clock.now()
    report(detect, "other", written)
    await two_sources(detect)
    clock.seconds += 61
    report(detect, "push", clock.now())
    report(detect, "other", written)
    assert await closed_to(detect) == a_moment(minutes=10)


async def test_a_source_that_only_the_kept_frontier_knows_is_waited_for_for_a_minute(detect, clock):
    await two_sources(detect)
    rows = {FRONTIER: detect._parts[0].frontier.dump()}
    again = a_detect(clock)
    again.assigned(0, rows, offsets_valid=True)
    await again.tick(0)
    clock.seconds += 61
    report(again, "push", clock.now())
    assert await closed_to(again) == a_moment(minutes=10)


async def test_nobody_is_silent_before_the_reports_have_been_read(clock):
    detect = a_detect(clock)
    detect.heard.clear()
    detect.assigned(0, {}, offsets_valid=True)
    await two_sources(detect)
    clock.seconds += 3600
    assert await closed_to(detect) == a_moment(minutes=1)


# ------------------------------------------------------------------------------------ what is kept


async def test_rows_of_another_broker_are_all_written_anew(detect, clock):
    topic = the_story()
    rows = {}
    for start in range(0, len(topic.records), 100):
        rows |= (await detect.handle(0, topic.records[start : start + 100])).rows
    again = a_detect(clock)
    again.assigned(0, rows, offsets_valid=False)
    effects = await again.handle(0, [Topic().add(a_watermark(a_moment(minutes=CALM + BURST)))])
    assert b"air-quillon" in effects.rows


async def test_after_a_restart_the_metric_says_how_far_detection_is(detect, clock):
    end = a_moment(minutes=5)
    rows = (await detect.handle(0, [Topic().add(a_watermark(end))])).rows
    metrics.EVENT_TIME.set(0)
    a_detect(clock).assigned(0, rows, offsets_valid=True)
    assert metrics.EVENT_TIME._value.get() == end.timestamp()


async def test_the_metric_waits_for_the_slowest_partition_and_for_what_is_not_kept_yet(clock):
    """It said "judged" while another partition had not begun, and a stop then lost its posts."""
    detect, end = a_detect(clock), a_moment(minutes=5)
    metrics.EVENT_TIME.set(0)
    for partition in (0, 1):
        detect.assigned(partition, {}, offsets_valid=True)
    await detect.handle(0, [Topic().add(a_watermark(end))])
    detect.done(0)
    assert metrics.EVENT_TIME._value.get() == 0
    await detect.handle(1, [Topic().add(a_watermark(end))])
    assert metrics.EVENT_TIME._value.get() == 0
    detect.done(1)
    assert metrics.EVENT_TIME._value.get() == end.timestamp()


async def test_who_spoke_before_a_restart_does_not_count_again_where_nothing_can_be_read_again(
    clock,
):
    def a_minute(number: int) -> list[Record]:
        topic = Topic()
        at = a_moment(minutes=number, seconds=1)
        topic.add(an_assessment(f"push:{number}", negative=0.9, created_at=at, author="anna"))
        topic.add(a_watermark(a_moment(minutes=number + 1)))
        return topic.records

    first = a_detect(clock, remembers=True)
    first.assigned(0, {}, offsets_valid=True)
    rows = (await first.handle(0, a_minute(0))).rows
    second = a_detect(clock, remembers=True)
    second.assigned(0, rows, offsets_valid=False)
    row = (await second.handle(0, a_minute(1))).rows[b"air-quillon"]
    assert np.frombuffer(row, WATCH)["bins_negative"].sum() == pytest.approx(0.9, abs=0.1)


def a_row(*marks, aside: str | None = None) -> bytes:
    frontier = Frontier()
    for mark in marks:
        frontier.observe(mark)
    if aside:
        frontier.set_aside(aside)
    return frontier.dump()


def test_a_source_is_read_again_from_the_oldest_open_minute():
    mark = a_watermark
    rows = {
        b"0/air-quillon": b"whatever",
        b"0/~frontier": a_row(mark(a_moment(minutes=5.5), source="b"), mark(a_moment(minutes=9))),
        b"1/~frontier": a_row(mark(a_moment(minutes=6.5), source="b"), mark(a_moment(minutes=8))),
    }
    assert event_times(rows) == {"push": a_moment(minutes=5), "b": a_moment(minutes=5)}


def test_a_source_that_stands_before_the_open_minute_is_read_from_where_it_stands():
    row = a_row(
        a_watermark(a_moment(minutes=9)),
        a_watermark(
            a_moment(minutes=2), source="b", state=State.BACKFILL, partition=0, partitions=2
        ),
        a_watermark(a_moment(minutes=2), source="b", partition=1, partitions=2),
        aside="b",
    )
    assert event_times({b"0/~frontier": row})["b"] == a_moment(minutes=2)


def test_where_nothing_was_closed_everything_is_read_again():
    row = a_row(a_watermark(partition=0, partitions=2))
    assert event_times({b"0/~frontier": row}) == {"push": OLDEST}


@pytest.mark.parametrize(
    "value",
    [
        an_assessment(created_at=datetime(1970, 1, 1, tzinfo=UTC)),
        a_watermark(datetime(9999, 1, 1, tzinfo=UTC)),
    ],
)
async def test_what_can_never_be_is_malformed_before_anything_is_remembered(detect, value):
    topic = Topic()
    with pytest.raises(Malformed):
        await detect.handle(0, [topic.add(an_assessment()), topic.add(value)])
    assert detect._parts[0].detector.oldest_waiting is None


async def test_records_of_the_lists_that_cannot_be_read_are_ignored(detect):
    broken = Record(topic=SUBJECTS.name, value=b"{", key=b"x", partition=0, offset=0)
    detect.watch_list.follow([broken])
    detect.follow_sources([broken])
    detect.follow_deletions([broken])
    assert events(await play(detect, the_story().records)) != []
