"""The detector against the oracle, and what must hold whatever is written."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.build import EXACT, a_subject, an_assessment, some_scores
from tests.oracle import Oracle, Said
from uproar.assessment import Assessment
from uproar.backlash import Backlash, Event, Level
from uproar.detect import baseline, budget
from uproar.detect.policy import Policy
from uproar.detect.surprise import surprise
from uproar.detector import Closed, Detector
from uproar.outlook.severity import severity
from uproar.prior import ordinary
from uproar.subject import SubjectId, alarms_per_day
from uproar.watch import WATCH, Table

BEGIN = datetime(2026, 3, 2, 0, 0, tzinfo=UTC)
LIVELY = settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


class Wave(NamedTuple):
    """Posts of a time: from an hour on, so many, within so many minutes, heard as this negative."""

    hour: float
    posts: int
    minutes: int
    negative: float
    authors: int


TEXTS = (None, "a{0}", None, "a{0}.b{0}", "c{0}", None, "d{0}.b{0}", "e{0}.f{0}", None, "a{0}.f{0}")
"""What the posts of a wave say: some are copies, some share one of two names with others."""


def waves(hours: int) -> st.SearchStrategy[list[Wave]]:
    wave = st.builds(
        Wave,
        hour=st.floats(0, hours - 1),
        posts=st.integers(1, 40),
        minutes=st.integers(1, 600),
        negative=st.sampled_from(EXACT),
        authors=st.integers(1, 60),
    )
    return st.lists(wave, min_size=1, max_size=12)


def posts_of(drawn: Sequence[Wave], *, subject: str = "air-quillon") -> list[Assessment]:
    """Spread the posts of waves over their time; in order."""
    posts = []
    for number, wave in enumerate(drawn):
        for place in range(wave.posts):
            at = timedelta(hours=wave.hour, minutes=wave.minutes * place / wave.posts)
            posts.append(
                an_assessment(
                    f"push:{number}-{place}",
                    subject=SubjectId(subject),
                    created_at=BEGIN + at,
                    author=f"a{number}-{place * 7 % wave.authors}",
                    fingerprint=(text := TEXTS[place % len(TEXTS)]) and text.format(number),
                    scores=some_scores(ordinary(wave.negative)),
                )
            )
    return sorted(posts, key=lambda post: (post.created_at, post.post))


def run(
    posts: Sequence[Assessment], until: datetime, *, closes: Sequence[datetime] = ()
) -> tuple[Closed, Detector]:
    """Give a detector posts as event time comes to them, closing at moments; what does it say?"""
    detector, closed = Detector(), Closed()
    for subject in sorted({post.subject for post in posts}):
        detector.watch(a_subject(subject))
    detector.close_buckets(BEGIN)
    rest = list(enumerate(posts))
    for moment in [*sorted(closes), until]:
        now = [(n, post) for n, post in rest if post.created_at < moment]
        rest = [(n, post) for n, post in rest if post.created_at >= moment]
        detector.observe_many([post for _, post in now], [n for n, _ in now])
        more = detector.close_buckets(moment)
        closed.backlash.extend(more.backlash)
        closed.readings.extend(more.readings)
    return closed, detector


def told(events: Sequence[Backlash]) -> list[tuple[object, ...]]:
    return [(e.at, e.event, e.level, e.page, e.posts) for e in events]


def unquoted(event: Backlash) -> Backlash:
    """What it says without the posts that it quotes, and without why it quotes none."""
    gates = {name: said for name, said in event.why.gates.items() if name != "evidence"}
    return replace(event, why=replace(event.why, gates=gates), evidence=(), narratives=())


@given(drawn=waves(hours=120))
@LIVELY
def test_the_detector_says_what_the_oracle_says(drawn: list[Wave]):
    posts, days = posts_of(drawn), 7
    closed, _ = run(posts, BEGIN + timedelta(days=days))
    said = [
        Said(
            p.created_at.timestamp(),
            p.post,
            p.author,
            tuple((p.fingerprint or "").split(".")) if p.fingerprint else (),
            2 * p.scores.negative / (1 + p.scores.negative),
        )
        for p in posts
    ]
    begin = int(BEGIN.timestamp() // 60)
    oracle = Oracle(alarms_per_day("1/month")).run(said, begin, begin + days * 1440)
    assert told(closed.backlash) == [
        (
            datetime.fromtimestamp(t.minute * 60, tz=UTC),
            t.change.event,
            t.change.level,
            t.change.page,
            t.posts,
        )
        for t in oracle
    ]
    for event, t in zip(closed.backlash, oracle, strict=True):
        assert abs(event.why.statistic - t.statistic) < 0.02


moments = st.lists(st.floats(1, 72 * 60).map(lambda m: BEGIN + timedelta(minutes=m)), max_size=20)


@given(drawn=waves(hours=70), closes=moments, data=st.data())
@LIVELY
def test_neither_the_order_of_arrival_nor_the_steps_of_closing_matter(
    drawn: list[Wave], closes: list[datetime], data: st.DataObject
):
    posts, until = posts_of(drawn), BEGIN + timedelta(hours=80)
    shuffled = data.draw(st.permutations(posts))
    one, _ = run(posts, until)
    other, _ = run(shuffled, until, closes=closes)
    assert one == other


@given(drawn=waves(hours=30), restarts=st.lists(st.integers(1, 40 * 60), min_size=1, max_size=5))
@LIVELY
def test_a_restart_after_which_nothing_comes_again_changes_nothing(
    drawn: list[Wave], restarts: list[int]
):
    posts, until = posts_of(drawn), BEGIN + timedelta(hours=41)
    moments = [BEGIN + timedelta(minutes=minutes) for minutes in sorted(restarts)]

    def a_detector() -> Detector:
        detector = Detector(remembers=True)
        detector.watch(a_subject(posts[0].subject))
        return detector

    whole, live = a_detector(), a_detector()
    rows: dict[SubjectId, bytes] = {}
    expected, said = [], []
    whole.close_buckets(BEGIN)
    live.close_buckets(BEGIN)
    begin = BEGIN
    for moment in [*moments, until]:
        now = [post for post in posts if begin <= post.created_at < moment]
        for detector, told in ((whole, expected), (live, said)):
            detector.observe_many(now, range(len(now)))
            told.extend(detector.close_buckets(moment).backlash)
        rows |= live.changed_rows()
        live, begin = a_detector(), moment
        live.load(rows, offsets_valid=False)
    # No text outlasts the restart: what is told after it quotes only what was written since.
    assert [unquoted(event) for event in said] == [unquoted(event) for event in expected]
    one, other = (d._watches.table.pack(np.array([0])) for d in (whole, live))
    for name in WATCH.names:
        if name != "offset":
            assert np.allclose(one[name], other[name], rtol=1e-6), name


@given(drawn=waves(hours=70))
@LIVELY
def test_rows_are_the_same_whether_a_subject_was_caught_up_at_once_or_by_the_minute(
    drawn: list[Wave],
):
    posts, until = posts_of(drawn), BEGIN + timedelta(hours=200)
    last = until - timedelta(minutes=1)
    end = an_assessment("push:end", created_at=last, author="z", scores=some_scores(0.0))
    idle, busy = [*posts, end], [*posts, end]
    _, jumped = run(idle, until)
    _, walked = run(busy, until, closes=[BEGIN + timedelta(hours=n) for n in range(1, 200)])
    one, other = (d._watches.table.pack(np.array([0])) for d in (jumped, walked))
    for name in WATCH.names:
        if name not in {"offset", "closed_to"}:
            assert np.allclose(one[name], other[name], rtol=1e-5, atol=1e-6), name


@given(hours=st.integers(1, 4000), seed=st.integers(0, 99), step=st.integers(1, 30))
@LIVELY
def test_idle_hours_are_caught_up_in_closed_form(hours: int, seed: int, step: int):
    rng, policy = np.random.default_rng(seed), Policy()
    known, place = rng.integers(0, 1 << 24), rng.integers(1, 24, 3)

    def a_table() -> Table:
        row = Table(1)
        budget.begin(row, policy)
        budget.allow(row, np.array([1 / 30]), policy)
        row["known"], row["slow"], row["days"] = known, 5.0, 3
        row["negative"], row["all"], row["exposure"] = 5.0, 20.0, 60.0
        row["top"], row["mean"], row["deviation"], row["reached"] = 2.0, 1.0, 0.3, 3
        if seed % 2:
            row["hours_all"][0, place], row["hours_negative"][0, place] = 9 / 16, 3 / 16
        return row

    jumped, walked = a_table(), a_table()
    baseline.advance(jumped, np.array([hours * 12]), policy)
    for hour in [*range(1, hours, step), hours]:
        baseline.advance(walked, np.array([hour * 12]), policy)
    one, other = (row.pack(np.array([0])) for row in (jumped, walked))
    for name in WATCH.names:
        assert np.allclose(one[name], other[name], rtol=1e-4, atol=1e-6), name


@given(
    count=st.floats(0, 1e5),
    more=st.floats(0, 1e4),
    mean=st.floats(1e-4, 1e5),
    size=st.floats(0.05, 1e4),
)
def test_more_complaints_are_never_less_strange(
    count: float, more: float, mean: float, size: float
):
    low, high = surprise(np.array([count, count + more]), np.full(2, mean), np.full(2, size))
    assert high >= low - 1e-9


@given(
    excess=st.floats(0, 1e6),
    statistic=st.floats(0, 300),
    more=st.floats(0, 1e3),
    harder=st.floats(0, 50),
)
def test_a_worse_wave_is_never_rated_lower(
    excess: float, statistic: float, more: float, harder: float
):
    low = severity(excess=excess, statistic=statistic, threshold=4)
    high = severity(excess=excess + more, statistic=statistic + harder, threshold=4)
    assert 0 <= low <= high <= 100


@given(drawn=waves(hours=100))
@LIVELY
def test_an_incident_pages_once_at_alert_and_once_at_crisis_and_tells_its_life_in_order(
    drawn: list[Wave],
):
    closed, _ = run(posts_of(drawn), BEGIN + timedelta(days=7))
    incidents: dict[str, list[Backlash]] = {}
    for event in closed.backlash:
        incidents.setdefault(event.incident, []).append(event)
    assert len({event.id for event in closed.backlash}) == len(closed.backlash)
    for events in incidents.values():
        ranks = [event.level.rank for event in events]
        assert ranks == sorted(ranks)
        assert [e.event for e in events].count(Event.OPENED) == 1
        assert events[0].event is Event.OPENED
        assert Event.ENDED not in {e.event for e in events[:-1]}
        pages = [event.level for event in events if event.page]
        assert pages == sorted({e.level for e in events} - {Level.WATCH}, key=lambda x: x.rank)
        for before, event in pairwise(events):
            assert before.at < event.at
            assert not (before.event is Event.SUBSIDED and event.event is Event.SUBSIDED)
