"""Counted minutes: what they say is what the partition says of the posts behind them."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from tests.build import a_subject, an_assessment
from uproar.detector import Detector
from uproar.detector.counted import Minute, run_counted
from uproar.prior import blame
from uproar.watch import minute_of

MONDAY = datetime(2026, 3, 2, tzinfo=UTC)
DAYS = 9


def stories(lanes, rng):
    """So many brands: a week of calm of different sizes, then a wave over every second one."""
    posts = []
    for lane in range(lanes):
        rate = 2.0 ** (lane - 1)  # an hour
        count = rng.poisson(rate * 24 * DAYS)
        times = rng.uniform(0, DAYS * 1440, count)
        negative = np.where(rng.random(count) < 0.3, 0.9, 0.05)
        if lane % 2:
            wave = 8 * 1440 + rng.uniform(0, 50, 40 + 4 * round(rate))
            times = np.concatenate([times, wave])
            negative = np.concatenate([negative, np.full(len(wave), 0.9)])
        posts += [(float(t), lane, float(p)) for t, p in zip(times, negative, strict=True)]
    return sorted(posts)


def by_detector(posts, lanes):
    detector = Detector()
    for lane in range(lanes):
        detector.watch(a_subject(f"lane{lane}"))
    told = [
        an_assessment(
            f"p:{n:06}",
            subject=f"lane{lane}",
            created_at=MONDAY + timedelta(minutes=t),
            negative=p,
            author=f"a{n}",
        )
        for n, (t, lane, p) in enumerate(posts)
    ]
    detector.close_buckets(MONDAY)
    detector.observe_many(told, range(len(told)))
    events = detector.close_buckets(MONDAY + timedelta(days=DAYS + 2)).backlash
    return [
        (minute_of(e.at), int(e.subject[4:]), e.event.value, e.level.value, e.page) for e in events
    ]


def by_minutes(posts, lanes):
    begin, brought = minute_of(MONDAY), {}
    for t, lane, p in posts:
        negative, all_, authors = brought.setdefault(begin + int(t), np.zeros((3, lanes)))
        negative[lane] += blame(p)
        all_[lane] += 1
        authors[lane] += blame(p) >= 0.5
    nothing = np.zeros(lanes)
    minutes = [(begin, Minute(nothing, nothing, nothing))]
    minutes += [(m, Minute(a[0], a[1], a[2].astype(int))) for m, a in sorted(brought.items())]
    minutes += [(begin + (DAYS + 2) * 1440, Minute(nothing, nothing, nothing))]
    asked = np.full(lanes, 12 / 365.25)
    return [
        (e.minute, e.lane, e.event, e.level, e.page)
        for e in run_counted(minutes, lanes=lanes, alarms_per_day=asked)
    ]


@pytest.mark.parametrize("seed", [1, 2])
def test_counted_minutes_give_the_events_of_the_posts_behind_them(seed):
    lanes = 6
    posts = stories(lanes, np.random.default_rng(seed))
    expected = by_detector(posts, lanes)
    assert any(page for *_, page in expected)
    assert sorted(by_minutes(posts, lanes)) == sorted(expected)


def test_more_than_a_million_posts_an_hour_are_counted_as_a_million_and_page_nobody():
    """Hours are kept in half precision, which ends there: beyond, nothing may become infinite."""
    begin = minute_of(MONDAY)
    an_hour = np.array([3_000_000.0])
    usual = Minute(an_hour * 0.1 / 60, an_hour / 60, (an_hour * 0.1 / 60).astype(int))
    minutes = [(begin + minute, usual) for minute in range(3 * 1440)]
    with np.errstate(all="raise"):
        events = list(run_counted(minutes, lanes=1, alarms_per_day=np.array([12 / 365.25])))
    assert [event for event in events if event.page] == []
