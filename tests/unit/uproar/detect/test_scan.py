"""What is heard in each window, and how strange that is."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from uproar.detect import baseline, budget, crowd
from uproar.detect.policy import BINS_OF, DAY, SHORT, SLOW, SPAN, WATCH, WINDOWS, Policy
from uproar.detect.scan import Scan, newest_authors, of_statistics, scan
from uproar.detect.tally import add_counts
from uproar.watch import STATISTICS, Table

POLICY = Policy()
NOW = 24 * 9
"""The hour at which stories begin: nine days are known."""


def lived(rate: float = 6, *, share: float = 0.5, hours: int = NOW, rows: int = 1) -> Table:
    """Subjects who were written about at an even rate."""
    table = Table(rows)
    budget.begin(table, POLICY)
    budget.allow(table, np.full(rows, 1 / 30), POLICY)
    baseline.born(table, np.zeros(rows, np.int64))
    for hour in range(1, hours):
        baseline.advance(table, np.full(rows, hour * 12 + 11), POLICY)
        table["hour_all"] += rate
        table["hour_negative"] += rate * share
    baseline.advance(table, np.full(rows, hours * 12), POLICY)
    return table


def hear(table: Table, minute: int, negative: float, posts: float | None = None) -> None:
    """Let a minute bring posts."""
    count = len(table)
    baseline.advance(table, np.full(count, minute // 5), POLICY)
    said = np.full(count, negative if posts is None else posts)
    add_counts(table, minute, np.full(count, negative), said, said)


def look(table: Table, minute: int, *, exact: bool = True) -> Scan:
    """Look at all rows behind a minute."""
    baseline.advance(table, np.full(len(table), (minute - 1) // 5), POLICY)
    return scan(table, minute, POLICY, exact=np.full(len(table), exact))


@pytest.mark.parametrize("minutes", [1, 3, 5, 34, 59, 60, 61, 185])
def test_every_window_covers_the_time_it_says_and_expects_in_proportion(minutes: int):
    seen = look(lived(), NOW * 60 + minutes)
    step = np.where(np.arange(WINDOWS) < SHORT, 5, 60)
    assert (seen.covered <= SPAN).all()
    assert (seen.covered > SPAN - step).all()
    assert np.allclose(seen.usual_negative[0] / seen.covered, 3 / 60, rtol=0.1)
    assert np.allclose(seen.usual_posts[0] / seen.covered, 6 / 60, rtol=0.1)
    assert seen.usual_share[0] == pytest.approx(0.5, rel=0.05)


@pytest.mark.parametrize("ago", [0, 9, 25, 50, 110, 300, 1000])
def test_a_post_is_in_the_windows_that_reach_back_to_it(ago: int):
    table, end = lived(0, share=0, hours=60), 100 * 60 + 5
    hear(table, end - 1 - ago, 1.0)
    seen = look(table, end)
    assert (seen.negative[0] > 0).tolist() == (seen.covered > ago).tolist()
    assert (seen.posts == seen.negative).all()


def test_a_window_that_holds_the_usual_is_not_strange():
    table = lived()
    for minute in range(NOW * 60, NOW * 60 + 180, 10):
        hear(table, minute, 0.5, 1)
    seen = look(table, NOW * 60 + 180)
    assert (seen.statistic < 1).all()


def test_more_complaints_are_stranger_in_every_window_that_holds_them():
    statistics = []
    for negative in (0, 3, 12, 30):
        table = lived()
        for minute in range(NOW * 60 + 5, NOW * 60 + 25):
            hear(table, minute, negative / 20)
        statistics.append(look(table, NOW * 60 + 25).statistic[0, :WINDOWS])
    assert (np.diff(statistics, axis=0) >= 0).all()
    assert (statistics[3][1:DAY] > statistics[1][1:DAY]).all()


def test_happy_posts_are_not_strange():
    table = lived()
    hear(table, NOW * 60, 0.0, 400)
    assert look(table, NOW * 60 + 1).statistic.max() == 0


def test_one_burst_of_five_minutes_shows_in_the_shortest_window_and_hardly_in_the_longer_ones():
    table = lived()
    hear(table, NOW * 60, 300)
    seen = look(table, NOW * 60 + 5)
    assert seen.negative[0, 0] == 300
    assert (seen.negative[0, 1:] < 150).all()
    assert seen.statistic[0, 0] > 2 * seen.statistic[0, 1:WINDOWS].max()
    assert (seen.posts >= seen.negative).all()


def test_the_same_posts_over_half_an_hour_are_a_wave():
    burst, wave = lived(), lived()
    hear(burst, NOW * 60 + 29, 60)
    for minute in range(NOW * 60, NOW * 60 + 30):
        hear(wave, minute, 2)
    hour = BINS_OF.argmax()
    assert (
        look(wave, NOW * 60 + 30).statistic[0, hour] > look(burst, NOW * 60 + 30).statistic[0, hour]
    )


def test_a_window_longer_than_what_is_known_says_nothing():
    for hours in (1, 2, 4, 10, 20):
        table = lived(10, hours=hours)
        hear(table, hours * 60 + 5, 100)
        known = look(table, hours * 60 + 6).statistic[0, :WINDOWS] > 0
        assert not known[hours - 1 < SPAN / 60].any()
        assert known[0] == (hours >= 4)


def test_the_slow_sum_is_a_statistic_once_a_day_is_known():
    table, young = lived(), lived(hours=20)
    table["slow"] = young["slow"] = 7.0
    assert look(table, NOW * 60 + 1).statistic[0, SLOW] == 7
    assert look(young, 20 * 60 + 1).statistic[0, SLOW] == 0


READY = lived().pack(np.array([0]))


@given(
    said=st.lists(
        st.tuples(st.integers(0, 400), st.integers(0, 60), st.integers(0, 3)), max_size=12
    ),
    top=st.floats(0, 2),
)
@settings(max_examples=60, deadline=None)
def test_what_is_not_worked_out_could_neither_reach_a_level_nor_be_the_greatest_of_the_day(
    said: list[tuple[int, int, int]], top: float
):
    table, now = Table(1), NOW * 60 + 401
    table.unpack(np.array([0]), READY)
    budget.allow(table, np.array([1 / 30]), POLICY)
    table["top"] = top
    for minute, negative, times in sorted(said):
        hear(table, NOW * 60 + minute, negative / 4, negative / 4 * (1 + times))
    exact, spared = (look(table, now, exact=e).statistic[0] for e in (True, False))
    left = spared != exact
    assert (spared[left] == 0).all()
    greatest = np.expm1(table["top"][0].astype(float))
    assert (exact[left] < np.maximum(greatest, 0)[left] * 1.01).all() or not left.any()
    assert (exact[left] < table["thresholds"][0, WATCH][left]).all()


def test_rows_are_looked_at_each_by_itself():
    both = lived(rows=2)
    for minute in range(NOW * 60, NOW * 60 + 30):
        baseline.advance(both, np.full(2, minute // 5), POLICY)
        add_counts(both, minute, np.array([0.1, 3]), np.array([0.2, 3]), np.array([0.2, 3]))
    seen = look(both, NOW * 60 + 30)
    assert seen.statistic[1, 1] > 3 > seen.statistic[0, 1]
    narrowed = seen.of(np.array([1]))
    assert (narrowed.statistic[0] == seen.statistic[1]).all()
    assert (narrowed.negative[0] == seen.negative[1]).all()


def test_distinct_authors_are_counted_in_each_window():
    table = Table(2)
    for author, minute in ((1, 1000), (2, 1100), (3, 1395), (3, 1399), (4, 1399)):
        crowd.remember(table, np.array([1]), np.array([author], np.uint64), minute)
    covered = np.array([5, 30, 60, 180, 360, 1440])
    counted = newest_authors(table, np.array([1, 0]), 1400, covered)
    assert counted.tolist() == [[2, 2, 2, 2, 3, 4], [0] * 6]


def test_the_windows_of_a_day_stand_for_the_slow_sum_too():
    windows = np.arange(WINDOWS)[None]
    assert of_statistics(windows).tolist() == [[*range(WINDOWS), DAY]]
    assert of_statistics(windows).shape == (1, STATISTICS)
