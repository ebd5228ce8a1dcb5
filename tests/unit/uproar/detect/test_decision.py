"""Which level a minute reaches, and what is said of it."""

from typing import Any

import numpy as np
import pytest

from uproar.detect import baseline, budget, crowd
from uproar.detect.decision import Decision, Finding, decide, finding
from uproar.detect.policy import ALERT, CRISIS, SHORT, SLOW, WATCH, Policy
from uproar.detect.surprise import MOST
from uproar.detect.tally import add_counts
from uproar.watch import AUTHORS, STATISTICS, Some, Table

POLICY = Policy()
NOW = 24 * 9 * 60
"""The minute at which stories begin: nine days are known."""


def lived(rate: float = 6, *, share: float = 0.5) -> Table:
    table = Table(1)
    budget.begin(table, POLICY)
    budget.allow(table, np.array([1 / 30]), POLICY)
    baseline.born(table, np.array([0]))
    for hour in range(1, NOW // 60):
        baseline.advance(table, np.array([hour * 12 + 11]), POLICY)
        table["hour_all"] += rate
        table["hour_negative"] += rate * share
    baseline.advance(table, np.array([NOW // 5]), POLICY)
    return table


READY = {rate: lived(rate).pack(np.array([0])) for rate in (0.5, 6, 100, 1000)}


def a_subject(rate: float = 6) -> Table:
    """A subject of so many posts an hour, half of them complaints."""
    table = Table(1)
    table.unpack(np.array([0]), READY[rate])
    budget.allow(table, np.array([1 / 30]), POLICY)
    return table


def wave(
    table: Table,
    people: float,
    *,
    minutes: int = 30,
    posts: float | None = None,
    authors: int = AUTHORS,
    begin: int = NOW,
) -> int:
    """Let people complain, evenly; return the first minute behind them."""
    for minute in range(begin, begin + minutes):
        baseline.advance(table, np.array([minute // 5]), POLICY)
        negative = people / minutes
        said = np.array([negative if posts is None else posts / minutes])
        add_counts(table, minute, np.array([negative]), said, said)
    crowd.remember_strangers(table, np.array([authors]), begin + minutes - 1)
    return begin + minutes


def judge(table: Table, minute: int, *, exact: bool = True) -> Decision:
    baseline.advance(table, np.array([(minute - 1) // 5]), POLICY)
    return decide(table, minute, POLICY, exact=np.array([exact]))


def found(table: Table, minute: int) -> Finding:
    return finding(judge(table, minute), 0)


def level_of(people: float, **given: Any) -> int:
    table = a_subject()
    return found(table, wave(table, people, **given)).level


# --------------------------------------------------------------------------------------------- level


def test_a_quiet_subject_has_nothing_to_say_unless_it_is_asked():
    table = a_subject()
    minute = wave(table, 1.5, posts=3)
    assert len(judge(table, minute, exact=False).rows) == 0
    asked = judge(table, minute)
    assert asked.rows.tolist() == [0]
    assert (asked.level[0], asked.loud[0], asked.lively[0]) == (-1, False, False)


def test_a_wave_speaks_unasked():
    table = a_subject()
    assert judge(table, wave(table, 40), exact=False).level[0] >= ALERT


def test_a_larger_wave_reaches_no_lower_level():
    levels = [level_of(people) for people in range(0, 160, 8)]
    assert levels == sorted(levels)
    assert levels[0] == -1
    assert levels[-1] == CRISIS


def test_a_level_needs_its_authors():
    levels = [level_of(160, authors=authors) for authors in range(AUTHORS + 1)]
    assert levels == sorted(levels)
    assert levels[0] == -1
    assert levels[1] < ALERT
    assert levels[-1] == CRISIS


def test_a_wave_of_nobody_is_loud_and_reaches_nothing_and_says_why():
    table = a_subject()
    one = found(table, wave(table, 160, authors=0))
    assert (one.level, one.lively, one.loud, one.authors) == (-1, False, True, 0)
    assert one.gate == "too few authors"


def test_what_is_mostly_not_negative_reaches_nothing_and_says_why():
    table = a_subject()
    one = found(table, wave(table, 60, posts=600))
    assert (one.level, one.lively, one.loud) == (-1, False, True)
    assert one.gate == "negative share below the usual"


def test_a_few_angry_minutes_in_happy_hours_reach_nothing():
    happy = a_subject()
    minute = wave(happy, 15, minutes=120, posts=500)
    one = found(happy, wave(happy, 25, minutes=10, posts=60, begin=minute))
    assert one.loud
    assert one.level == -1
    assert one.gate == "what came on top is mostly not negative"


def test_thresholds_decide():
    table = a_subject()
    minute = wave(table, 40)
    before = found(table, minute)
    table["thresholds"] = MOST * 2
    after = found(table, minute)
    assert before.level >= ALERT
    assert (after.level, after.loud) == (-1, False)
    assert after.statistic == pytest.approx(before.statistic, rel=0.5)


# ------------------------------------------------------------------------------------- the ceiling


def the_ceiling(table: Table) -> float:
    usual = judge(table, NOW + 30).seen.usual_negative[0, SHORT - 1]
    return float(POLICY.ceiling_times * usual + POLICY.ceiling_people)


def staged(table: Table) -> Table:
    """Let a month pass in which somebody raised every alarm on every day."""
    for _ in range(30):
        table["top"], table["reached"] = np.log1p(MOST), 7
        whole = Some(table, np.arange(1))
        budget.close_days(whole, np.ones(1, np.int64), POLICY)
        whole.put()
    return table


@pytest.mark.parametrize("rate", [0.5, 6])
def test_whoever_raises_alarms_for_a_month_silences_no_crowd_beyond_the_ceiling(rate: float):
    table = staged(a_subject(rate))
    most = the_ceiling(a_subject(rate))
    minute = wave(table, most * 1.5, minutes=55)
    decision = judge(table, minute, exact=False)
    assert decision.level.tolist() == [max(ALERT, decision.level[0])]
    assert decision.seen.flooded.all()
    one = finding(decision, 0)
    assert one.lively
    assert one.loud


@pytest.mark.parametrize("rate", [6, 100, 1000])
def test_a_stranger_hour_earlier_in_the_day_hides_no_crowd_beyond_the_ceiling(rate: float):
    table, most = staged(a_subject(rate)), the_ceiling(a_subject(rate))
    table["top"] = np.log1p(200.0)
    decision = judge(table, wave(table, most * 1.3, minutes=55), exact=False)
    assert decision.level[0] >= ALERT
    assert finding(decision, 0).statistic > 0


def test_the_ceiling_opens_no_gate():
    most = the_ceiling(a_subject())
    for given in ({"authors": 1}, {"posts": most * 20}):
        table = staged(a_subject())
        one = found(table, wave(table, most * 1.5, minutes=55, **given))
        assert one.flooded
        assert one.level < ALERT


def test_below_the_ceiling_the_budget_holds():
    table = staged(a_subject())
    one = found(table, wave(table, the_ceiling(a_subject()) * 0.3, minutes=55))
    assert not one.flooded
    assert one.level < ALERT


# ----------------------------------------------------------------------------------- what is told


def test_the_deciding_window_is_that_of_the_highest_level():
    table = a_subject()
    decision = judge(table, wave(table, 60))
    place, thresholds = decision.place[0], decision.thresholds[0]
    assert decision.seen.statistic[0, place] >= thresholds[decision.level[0], place]
    one = finding(decision, 0)
    assert one.threshold == pytest.approx(thresholds[one.level, place])
    assert one.statistic >= one.threshold
    assert one.alert == pytest.approx(thresholds[ALERT, place])
    assert set(one.gates.values()) == {"open"}
    assert one.gate == "open"


def test_a_short_sharp_wave_is_decided_by_a_short_window_and_a_long_one_by_a_longer():
    sharp, long = a_subject(), a_subject()
    one = found(sharp, wave(sharp, 25, minutes=5))
    other = found(long, wave(long, 90, minutes=350))
    assert one.minutes < other.minutes
    assert one.lively


def test_what_only_the_long_windows_remember_is_loud_and_not_lively():
    table = a_subject()
    minute = wave(table, 120, minutes=60)
    crowd.remember_strangers(table, np.array([AUTHORS]), minute - 1)
    later = found(table, minute + 120)
    assert later.loud
    assert later.level >= WATCH
    assert not later.lively


def test_the_slow_sum_decides_for_the_counts_of_the_day():
    table = a_subject()
    minute = wave(table, 120, minutes=1200)
    table["slow"] = 10 * table["thresholds"][0, CRISIS, SLOW]
    one = found(table, minute)
    assert one.slow
    assert one.level >= ALERT
    assert one.minutes > 12 * 60


def test_numbers_are_those_of_the_deciding_window():
    table = a_subject()
    one = found(table, wave(table, 40, minutes=20, posts=50))
    assert one.share == pytest.approx(one.negative / one.posts, abs=0.02)
    assert 0.7 < one.share < 0.9
    assert one.usual_share == pytest.approx(0.5, abs=0.05)
    assert 0 < one.baseline < one.negative
    assert 0 < one.excess < 40


def test_without_a_post_there_is_no_share():
    table = a_subject(0.5)
    one = found(table, NOW + 24 * 60 * 3)
    assert (one.posts, one.share, one.negative) == (0, None, 0)


def test_what_was_seen_is_noted_as_the_greatest_of_the_day():
    table = a_subject()
    minute = wave(table, 40)
    decision = judge(table, minute)
    assert np.expm1(table["top"][0].astype(float)) == pytest.approx(
        decision.seen.statistic[0], rel=0.02, abs=0.01
    )
    assert table["top"].shape == (1, STATISTICS)
