"""Assessments as arrays."""

from datetime import UTC, datetime, timedelta

import numpy as np

from tests.build import a_subject, an_assessment, some_scores
from uproar.assessment import Assessment
from uproar.detect.crowd import name_of
from uproar.detector import Closed, Detector, columns_of
from uproar.prior import blame
from uproar.subject import SubjectId

BEGIN = datetime(2026, 3, 2, tzinfo=UTC)
ONE, TWO = SubjectId("one"), SubjectId("two")


def test_no_posts_are_empty_columns():
    columns = columns_of([])
    assert len(columns) == 0
    assert columns.subjects == []
    assert columns.post.dtype == np.uint64


def test_each_subject_is_named_once():
    posts = [an_assessment(f"p{n}", subject=s) for n, s in enumerate([TWO, ONE, TWO])]
    columns = columns_of(posts)
    assert columns.subjects == [TWO, ONE]
    assert columns.subject.tolist() == [0, 1, 0]


def test_what_is_said_is_kept_as_numbers():
    columns = columns_of(
        [
            an_assessment(
                "p1",
                created_at=BEGIN + timedelta(seconds=1.5),
                author="somebody",
                fingerprint="words.more",
                scores=some_scores(0.75, positive=0.125),
                own=True,
            ),
            an_assessment("p2", created_at=BEGIN, negative=0.25, backfill=True),
        ]
    )
    assert len(columns) == 2
    assert columns.at.tolist() == [BEGIN.timestamp() + 1.5, BEGIN.timestamp()]
    assert columns.post.tolist() == [name_of("p1"), name_of("p2")]
    assert columns.author[0] == name_of("somebody")
    assert columns.copy.tolist() == [[name_of("words"), name_of("more")], [0, 0]]
    assert columns.negative.tolist() == [blame(0.75), blame(0.25)]
    assert columns.positive[0] == 0.125 / 1.75
    assert columns.own.tolist() == [True, False]
    assert columns.backfill.tolist() == [False, True]


def test_a_post_without_author_is_its_own():
    assert columns_of([an_assessment("p1", author=None)]).author.tolist() == [name_of("p1")]


def test_what_could_not_be_scored_is_below_0():
    columns = columns_of([an_assessment("p1", negative=None)])
    assert (columns.negative < 0).all()
    assert columns.positive.tolist() == [0]


def a_story() -> list[Assessment]:
    rng, posts = np.random.default_rng(6), []
    for number in range(300):
        hour = float(rng.uniform(0, 60)) if number % 5 else float(rng.uniform(50, 51))
        posts.append(
            an_assessment(
                f"p{number // 2 * 2 if number % 50 == 0 else number}",
                subject=(ONE, TWO)[number % 2],
                created_at=BEGIN + timedelta(hours=hour),
                author=None if number % 7 == 0 else f"a{int(rng.integers(90))}",
                fingerprint=f"f{int(rng.integers(60))}" if number % 3 == 0 else None,
                negative=None if number % 11 == 0 else float(rng.random()),
                own=number % 13 == 0,
                backfill=number % 17 == 0,
            )
        )
    return sorted(posts, key=lambda post: post.created_at)


def run(*, as_columns: bool) -> tuple[Closed, Detector]:
    detector, closed, posts = Detector(), Closed(), a_story()
    detector.watch(a_subject(ONE))
    for day in range(4):
        if day == 1:
            detector.watch(a_subject(TWO))
        begin, end = (BEGIN + timedelta(days=d) for d in (day - 1, day))
        now = [(n, p) for n, p in enumerate(posts) if begin <= p.created_at < end]
        offsets, part = [n for n, _ in now], [p for _, p in now]
        if as_columns:
            texts = {
                n: p for n, p in enumerate(part) if p.scores and blame(p.scores.negative) >= 0.5
            }
            detector.observe_columns(columns_of(part), np.array(offsets, np.int64), texts=texts)
        else:
            detector.observe_many(part, offsets)
        more = detector.close_buckets(end)
        closed.backlash.extend(more.backlash)
        closed.readings.extend(more.readings)
    return closed, detector


def test_a_detector_sees_the_same_whether_it_is_given_posts_or_columns():
    (one, posts), (other, columns) = run(as_columns=False), run(as_columns=True)
    assert one == other
    assert one.backlash
    assert posts.dropped == columns.dropped
    assert posts.changed_rows() == columns.changed_rows()


def test_columns_without_texts_lack_the_evidence_and_nothing_else():
    detector, posts = Detector(), a_story()
    detector.watch(a_subject(ONE))
    detector.close_buckets(BEGIN)
    detector.observe_columns(columns_of(posts), np.arange(len(posts)))
    (first, *_) = detector.close_buckets(BEGIN + timedelta(days=3)).backlash
    assert first.evidence == ()
    assert first.why.negative > first.why.baseline
