"""Posts become assessments, each on its own; watermarks follow what stood before them."""

import asyncio
import threading
from datetime import UTC, datetime

import numpy as np
import pytest
from aiokafka.partitioner import murmur2
from hypothesis import given
from hypothesis import strategies as st

from services.classifier.engine.mending import PATIENCE, Mending
from services.classifier.follow import WatchList
from services.classifier.partitioner import partition_of
from services.classifier.score import Score, Scorer, assess
from tests.build import NOON, a_moment, a_post, a_subject, a_watermark, some_scores
from tests.unit.services.classifier.fakes import a_watch_list
from uproar.errors import Malformed, Misconfigured
from uproar.post import fingerprint
from uproar.topics import ASSESSMENTS, POSTS, SUBJECTS
from uproar.watermark import State
from uproar.wire import Record


class ScriptedEngine:
    """``x0.7`` in a text is 0.7 negative; ``blank`` gives NaN, ``broken`` fails the batch."""

    name = "scripted"
    heads = ("negative", "neutral", "positive", "complaint")

    def __init__(self, marks: tuple[str, str] | None = None) -> None:
        self.marks = marks
        self.batches: list[list[str]] = []
        self.threads: set[int] = set()
        self.down = False

    def score(self, texts):
        self.batches.append(list(texts))
        self.threads.add(threading.get_ident())
        if self.down or any("broken" in text for text in texts):
            raise RuntimeError("out of memory")
        rows = []
        for text in texts:
            negative = float(text.split("x")[1][:7]) if "x" in text else 0.5
            row = [negative, (1 - negative) / 2, (1 - negative) / 2, negative]
            rows.append([np.nan] * 4 if "blank" in text else row)
        return np.array(rows, np.float32).reshape(-1, 4)


@pytest.fixture
def engine():
    return ScriptedEngine()


def a_score(engine, watch_list: WatchList | None = None) -> Score:
    return Score(
        Scorer(engine),
        watch_list=watch_list or a_watch_list(a_subject("air-quillon"), a_subject("air-other")),
        posts_partitions=3,
        partitions=4,
        now=lambda: NOON,
    )


@pytest.fixture
def score(engine):
    return a_score(engine)


def read(value, *, offset: int = 0, headers=()) -> Record:
    sent = POSTS.record(value, key="k", headers=headers)
    return Record(topic=sent.topic, value=sent.value, headers=headers, partition=2, offset=offset)


def values(stage):
    return [ASSESSMENTS.decode(record) for record in stage]


async def test_a_post_about_two_subjects_gives_two_assessments_on_their_own_partitions(score):
    post = a_post(text="x0.7123456 lost", subjects=("air-quillon", "air-other"))
    headers = (("traceparent", b"t"),)
    effects = await score.handle(2, [read(post, headers=headers)])
    first, second = effects.stages[0]
    assert [r.key for r in (first, second)] == [b"air-quillon", b"air-other"]
    assert [r.partition for r in (first, second)] == [
        partition_of("air-quillon", 4),
        partition_of("air-other", 4),
    ]
    assert first.headers == headers
    verdict = ASSESSMENTS.decode(first)
    assert verdict.scores.negative == 0.7123
    assert (verdict.model, verdict.subject) == ("scripted", "air-quillon")


async def test_what_a_post_says_of_itself_is_kept(score):
    post = a_post(text="word " * 400, lang="en", views=7, repost_of="x:1", backfill=True)
    (verdict,) = values((await score.handle(2, [read(post)])).stages[0])
    assert verdict.text == ("word " * 400)[:1000]
    assert verdict.fingerprint == fingerprint(post.text)
    assert (verdict.lang, verdict.views, verdict.repost_of) == ("en", 7, "x:1")
    assert verdict.backfill


def test_own_is_what_the_sender_says_or_the_subject_whose_account_it_is():
    posts = [
        a_post(own=True, subjects=("a", "b")),
        a_post(own_of=("b",), subjects=("a", "b")),
        a_post(subjects=("a", "b")),
    ]
    verdicts = dict.fromkeys(("a", "b"), some_scores())
    own = [[a.own for a in assess(post, verdicts, "m")] for post in posts]
    assert own == [[True, True], [False, True], [False, False]]


def test_a_subject_that_is_named_twice_is_assessed_once():
    assert len(assess(a_post(subjects=("a", "a")), {"a": None}, "m")) == 1


async def test_a_post_about_nobody_is_dropped(score, engine):
    effects = await score.handle(2, [read(a_post(subjects=()))])
    assert [list(stage) for stage in effects.stages] == [[], []]
    assert engine.batches == []


async def test_a_watermark_goes_to_every_partition_after_the_posts_and_says_where_it_came_by(score):
    mark = a_watermark(a_moment(minutes=-1), state=State.ENDED)
    headers = (("accepted-at", b"now"),)
    records = [read(mark, headers=headers), read(a_post(), offset=1)]
    posts, marks = (await score.handle(2, records)).stages
    assert len(posts) == 1
    assert [record.partition for record in marks] == [0, 1, 2, 3]
    for passed in values(marks):
        assert (passed.source, passed.at, passed.state) == (mark.source, mark.at, State.ENDED)
        assert (passed.partition, passed.partitions) == (2, 3)
    assert {record.headers for record in marks} == {headers}


TWO = ("air-quillon", "air-other")


async def test_a_model_with_marks_judges_a_post_towards_each_of_its_subjects():
    class Sided(ScriptedEngine):
        """What is marked behind a ``but`` is liked, all else is not."""

        def score(self, texts):
            rows = super().score(texts)
            liked = ["<" in text.partition(" but ")[2] for text in texts]
            rows[liked] = [0.1, 0.1, 0.8, 0.1]
            return rows

    engine = Sided(marks=("<", ">"))
    post = a_post(title="Lost", text="Air Quillon x0.90000 but @AirOther is fine", subjects=TWO)
    effects = await a_score(engine).handle(2, [read(post)])
    assert engine.batches == [
        [
            "Lost. <Air Quillon> x0.90000 but @AirOther is fine",
            "Lost. Air Quillon x0.90000 but <@AirOther> is fine",
        ]
    ]
    assert [(v.subject, v.scores.negative) for v in values(effects.stages[0])] == [
        ("air-quillon", pytest.approx(0.9)),
        ("air-other", pytest.approx(0.1)),
    ]


async def test_a_model_without_marks_reads_a_post_once(score, engine):
    post = a_post(text="Air Quillon x0.90000 but Air Other is fine", subjects=TWO)
    effects = await score.handle(2, [read(post)])
    assert engine.batches == [[post.text]]
    assert [v.scores.negative for v in values(effects.stages[0])] == [0.9, 0.9]


async def test_subjects_that_the_text_does_not_name_share_one_reading():
    engine = ScriptedEngine(marks=("<", ">"))
    post = a_post(text="x0.70000 and #boycottboth", subjects=TWO)
    effects = await a_score(engine).handle(2, [read(post)])
    assert engine.batches == [[post.text]]
    assert {v.scores.negative for v in values(effects.stages[0])} == {0.7}


async def test_a_subject_that_is_not_on_the_list_is_not_marked(monkeypatch):
    monkeypatch.setattr("services.classifier.follow.LIST_PATIENCE", 0.0)
    engine = ScriptedEngine(marks=("<", ">"))
    score = a_score(engine, a_watch_list(a_subject("air-quillon")))
    post = a_post(text="Air Quillon and Air Other", subjects=TWO)
    await score.handle(2, [read(post)])
    assert engine.batches == [["<Air Quillon> and Air Other", post.text]]


async def test_nothing_is_read_before_the_watch_list_so_that_a_replay_marks_the_same():
    engine, watch_list = ScriptedEngine(marks=("<", ">")), WatchList()
    handling = asyncio.create_task(
        a_score(engine, watch_list).handle(2, [read(a_post(text="x0.5"))])
    )
    done, _ = await asyncio.wait({handling}, timeout=0.05)
    assert (done, engine.batches) == (set(), [])
    watch_list.follow([SUBJECTS.record(a_subject(), key="air-quillon")])
    watch_list.listed.set()
    await handling
    assert engine.batches == [["x0.5"]]


async def test_what_is_owed_is_marked_like_everything_else():
    engine = ScriptedEngine(marks=("<", ">"))
    score = a_score(engine)
    engine.down = True
    post = a_post(text="Air Quillon x0.90000 but Air Other", subjects=TWO)
    await score.handle(2, [read(post, offset=7)])
    engine.down = False
    filled = await score.tick(2)
    assert engine.batches[-1] == [
        "<Air Quillon> x0.90000 but Air Other",
        "Air Quillon x0.90000 but <Air Other>",
    ]
    assert [v.subject for v in values(filled.stages[0])] == list(TWO)
    assert filled.hold is None


async def test_a_model_that_comes_late_reads_no_text_that_was_written_without_its_marks():
    engine, there, clock = ScriptedEngine(marks=("<", ">")), [], [0.0]

    def load():
        if not there:
            raise Misconfigured("no such folder")
        return engine

    score = a_score(Mending(load, monotonic=lambda: clock[0]))
    effects = await score.handle(2, [read(a_post(text="Air Quillon x0.9"), offset=7)])
    assert [v.scores for v in values(effects.stages[0])] == [None]
    assert "no such folder" in (score._scorer.problem or "")
    there.append(engine)
    clock[0] += PATIENCE.total_seconds()
    filled = await score.tick(2)
    assert engine.batches == [["<Air Quillon> x0.9"]]
    assert [v.scores.negative for v in values(filled.stages[0])] == [pytest.approx(0.9)]
    assert score._scorer.problem is None


async def test_a_failing_engine_lets_posts_flow_unscored_and_is_asked_again(score, engine):
    effects = await score.handle(2, [read(a_post(text="broken")), read(a_post(text="x0.9"))])
    assert [v.scores for v in values(effects.stages[0])] == [None, None]
    assert [v.model for v in values(effects.stages[0])] == [None, None]
    assert "out of memory" in (score._scorer.problem or "")
    effects = await score.handle(2, [read(a_post(text="x0.9"))])
    assert values(effects.stages[0])[0].scores.negative == pytest.approx(0.9)
    assert score._scorer.problem is None


async def test_scores_are_filled_in_when_the_engine_is_back(score, engine):
    engine.down = True
    headers = (("traceparent", b"t"),)
    records = [read(a_post(id="x:1", text="x0.9"), headers=headers, offset=7)]
    records.append(read(a_post(id="x:2", text="x0.2"), offset=8))
    effects = await score.handle(2, records)
    assert [v.scores for v in values(effects.stages[0])] == [None, None]
    assert effects.hold == 7
    still_down = await score.tick(2)
    assert (list(map(list, still_down.stages)), still_down.hold) == ([[]], 7)
    engine.down = False
    filled = await score.tick(2)
    assert [(v.post, v.scores.negative) for v in values(filled.stages[0])] == [
        ("x:1", pytest.approx(0.9)),
        ("x:2", pytest.approx(0.2)),
    ]
    assert filled.stages[0][0].headers == headers
    assert {v.model for v in values(filled.stages[0])} == {"scripted"}
    assert filled.hold is None
    assert not any(map(list, (await score.tick(2)).stages))


async def test_what_is_owed_holds_the_commit_while_others_flow(score, engine):
    engine.down = True
    await score.handle(2, [read(a_post(id="x:1", text="x0.5"), offset=3)])
    engine.down = False
    effects = await score.handle(2, [read(a_post(id="x:2", text="x0.9"), offset=4)])
    assert values(effects.stages[0])[0].scores is not None
    assert effects.hold == 3
    assert (await score.handle(1, [read(a_post(id="x:3", text="x0.1"), offset=9)])).hold is None


async def test_a_post_that_the_engine_cannot_bear_holds_up_no_other(score, engine):
    broken = [read(a_post(id="x:1", text="broken"), offset=5)]
    await score.handle(2, [*broken, read(a_post(id="x:2", text="x0.9"), offset=6)])
    filled = await score.tick(2)
    assert [v.post for v in values(filled.stages[0])] == ["x:2"]
    assert filled.hold is None


async def test_a_partition_that_is_taken_over_owes_nothing_since_it_is_read_again(score, engine):
    engine.down = True
    await score.handle(2, [read(a_post(), offset=5)])
    score.assigned(2, {}, offsets_valid=True)
    assert (await score.tick(2)).hold is None
    await score.handle(2, [read(a_post(), offset=5)])
    score.revoked(2)
    assert (await score.tick(2)).hold is None


async def test_a_text_the_model_cannot_read_is_owed_nothing(score, engine):
    assert (await score.handle(2, [read(a_post(text="blank"), offset=5)])).hold is None


async def test_a_text_without_a_verdict_leaves_its_neighbours_theirs(score):
    effects = await score.handle(2, [read(a_post(text="blank")), read(a_post(text="x0.9"))])
    assert [v.scores is None for v in values(effects.stages[0])] == [True, False]


async def test_the_engine_works_beside_the_loop(score, engine):
    await score.handle(2, [read(a_post())])
    assert threading.get_ident() not in engine.threads


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (Record(topic=POSTS.name, value=b"{", offset=1, partition=0), "JSON|malformed|truncated"),
        (Record(topic=POSTS.name, value=None, offset=1, partition=0), "empty value"),
        (read(a_post(created_at=datetime(1970, 1, 1, tzinfo=UTC))), "before 2000"),
        (read(a_post(created_at=datetime(2026, 3, 2, 12, 0))), "time zone"),
        (read(a_watermark(datetime(2126, 1, 1, tzinfo=UTC))), "in the future"),
        (read(a_watermark(datetime(9999, 1, 1, tzinfo=UTC))), "out of range"),
        (read(a_post(url="https://example.org/" + "a" * 70_000)), "too long"),
    ],
)
async def test_what_can_never_be_processed_is_malformed(score, record, reason):
    with pytest.raises(Malformed, match=f"(?i){reason}"):
        await score.handle(2, [read(a_post()), record])


@given(st.binary(max_size=40).map(lambda raw: raw.hex()), st.integers(1, 12))
def test_a_subject_lies_where_every_kafka_client_would_put_it(subject, partitions):
    there = (murmur2(subject.encode()) & 0x7FFF_FFFF) % partitions
    assert partition_of(subject, partitions) == there
