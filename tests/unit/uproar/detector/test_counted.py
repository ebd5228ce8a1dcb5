"""The decision over counted minutes says what the detector says of the posts behind them."""

from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.build import EXACT, a_subject, an_assessment, some_scores
from uproar.backlash import Backlash
from uproar.detector import Detector
from uproar.detector.counted import Event, Minute, run_counted
from uproar.prior import ordinary
from uproar.subject import SubjectId, alarms_per_day
from uproar.watch import minute_of

BEGIN = datetime(2026, 3, 2, tzinfo=UTC)
FIRST = minute_of(BEGIN)
BUDGETS = ("1/week", "1/month", "1/year")


class Said(NamedTuple):
    """A post of somebody who writes once: minute, about whom, how negative it is heard to be."""

    minute: int
    lane: int
    heard: float

    @property
    def counts(self) -> tuple[float, int, bool]:
        """What it adds: negative posts, posts, authors of negative ones."""
        return self.heard, 1, self.heard >= 0.5


def counted(said: list[Said], days: int) -> list[Event]:
    """Run it over the counts of posts."""
    lanes = len(BUDGETS)
    minutes: dict[int, np.ndarray] = defaultdict(lambda: np.zeros((3, lanes)))
    minutes[0] += 0
    minutes[days * 1440] += 0
    for post in said:
        minutes[post.minute][:, post.lane] += post.counts

    def of_time() -> Iterator[tuple[int, Minute]]:
        for minute in sorted(minutes):
            negative, posts, authors = minutes[minute]
            yield FIRST + minute, Minute(negative, posts, authors.astype(np.int64))

    return run_counted(
        of_time(), lanes=lanes, alarms_per_day=np.array([alarms_per_day(b) for b in BUDGETS])
    )


def detected(said: list[Said], days: int) -> list[Backlash]:
    """Run the detector over the posts."""
    detector = Detector(readings=False)
    for lane, budget in enumerate(BUDGETS):
        detector.watch(a_subject(f"s{lane}", budget=budget))
    detector.close_buckets(BEGIN)
    posts = [
        an_assessment(
            f"p{number}",
            subject=SubjectId(f"s{post.lane}"),
            created_at=BEGIN + timedelta(minutes=post.minute),
            scores=some_scores(ordinary(post.heard)),
        )
        for number, post in enumerate(said)
    ]
    detector.observe_many(posts, range(len(posts)))
    return detector.close_buckets(BEGIN + timedelta(days=days)).backlash


def assert_the_same(said: list[Said], days: int) -> list[Event]:
    events, backlash = counted(said, days), detected(said, days)
    assert [(e.minute, f"s{e.lane}", e.event, e.level, e.page) for e in events] == [
        (minute_of(b.at), b.subject, b.event.value, b.level.value, b.page) for b in backlash
    ]
    for one, other in zip(events, backlash, strict=True):
        assert one.statistic == pytest.approx(other.why.statistic, abs=0.02)
        assert one.threshold == pytest.approx(other.why.threshold, abs=0.02)
    return events


def background(days: int, rng: np.random.Generator) -> list[Said]:
    """Three subjects: a small, a middling, a large one."""
    said = []
    for lane, an_hour in enumerate((0.2, 1, 5)):
        minutes = np.flatnonzero(rng.random(days * 1440) < an_hour / 60).tolist()
        said += [Said(minute, lane, float(rng.choice(EXACT))) for minute in minutes]
    return said


def crowd(lane: int, people: int, begin: float, minutes: int) -> list[Said]:
    """So many angry people, from a day on."""
    first = int(begin * 1440)
    return [Said(first + minutes * n // people, lane, 15 / 16) for n in range(people)]


def test_it_pages_when_the_detector_pages():
    waves = [
        *crowd(0, 12, 4.31, 40),
        *crowd(1, 60, 4.2, 90),
        *crowd(2, 250, 4.6, 60),
        *crowd(2, 40, 3.1, 9),
    ]
    events = assert_the_same([*background(5, np.random.default_rng(1)), *waves], 5)
    assert {event.lane for event in events if event.page} == {0, 1, 2}
    assert {event.event for event in events} == {"opened", "grew", "subsided", "ended"}


said = st.lists(
    st.builds(
        crowd,
        lane=st.integers(0, 2),
        people=st.integers(1, 40),
        begin=st.floats(0, 2.9),
        minutes=st.integers(1, 300),
    ),
    max_size=12,
).map(lambda waves: [post for wave in waves for post in wave if post.minute < 4 * 1440])


@given(said=said)
@settings(max_examples=4, deadline=None)
def test_whatever_is_counted_it_says_what_the_detector_says(said: list[Said]):
    assert_the_same(said, 4)


def test_silence_says_nothing():
    assert counted([], 30) == []


def test_minutes_of_silence_may_be_left_out():
    said = [*background(2, np.random.default_rng(3)), *crowd(1, 60, 2.1, 60)]
    lanes, days = len(BUDGETS), 3
    minutes = np.zeros((days * 1440 + 1, 3, lanes))
    for post in said:
        minutes[post.minute, :, post.lane] += post.counts
    whole = [
        (FIRST + number, Minute(negative, posts, authors.astype(np.int64)))
        for number, (negative, posts, authors) in enumerate(minutes)
    ]
    allowed = np.array([alarms_per_day(b) for b in BUDGETS])
    assert run_counted(whole, lanes=lanes, alarms_per_day=allowed) == counted(said, days)
    assert any(event.page for event in counted(said, days))


def test_lanes_do_not_touch_each_other():
    rng = np.random.default_rng(4)
    all_ = [*background(4, rng), *crowd(0, 20, 3.5, 30), *crowd(2, 300, 3.5, 60)]
    together = counted(all_, 4)
    for lane in range(3):
        alone = counted([post for post in all_ if post.lane == lane], 4)
        assert [event for event in together if event.lane == lane] == alone
