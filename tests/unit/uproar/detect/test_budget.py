"""Thresholds from a budget of alarms, a subject's own days, and steering."""

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from uproar.detect import budget
from uproar.detect.policy import ALERT, CRISIS, LEVELS, WATCH, WINDOWS, Policy
from uproar.detect.surprise import MOST
from uproar.subject import alarms_per_day
from uproar.watch import STATISTICS, Row, Some, Table

POLICY = Policy()
MONTHLY = alarms_per_day("1/month")
BUDGETS = ["1/year", "1/month", "1/week", "10/week"]
Draw = Callable[[np.random.Generator, tuple[int, ...]], np.ndarray]


def rows(count: int = 1, per_day: float = MONTHLY) -> Table:
    """Subjects of which no day is known."""
    table = Table(count)
    budget.begin(table, POLICY)
    budget.allow(table, np.full(count, per_day), POLICY)
    return table


def end_day(table: Table, days: int = 1) -> None:
    whole = Some(table, slice(0, len(table)))
    budget.close_days(whole, np.full(len(table), days), POLICY)
    whole.put()


def live_day(table: Table, statistic: np.ndarray) -> np.ndarray:
    """Let a day with these greatest statistics pass; return which levels were reached."""
    reached = (statistic[:, None, :] >= table["thresholds"]).any(axis=2)
    budget.note(table, statistic)
    table["reached"] = reached @ (1 << np.arange(len(LEVELS)))
    end_day(table)
    return reached


# ----------------------------------------------------------------------------- of which no day is known


def test_a_subject_without_history_has_the_thresholds_of_the_pool():
    for level, times in ((WATCH, POLICY.watch), (ALERT, 1), (CRISIS, POLICY.crisis)):
        rare = -math.log(-math.log(1 - MONTHLY * times)) - 0.5772
        widths = [math.sqrt(6) / math.pi * deviation for deviation in POLICY.pool_deviation]
        expected = [
            max(
                math.expm1(
                    mean + width * rare + min(width, POLICY.most_width) * POLICY.windows_apart
                ),
                POLICY.floor[level],
            )
            for mean, width in zip(POLICY.pool_mean, widths, strict=True)
        ]
        assert rows()["thresholds"][0, level] == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("allowed", BUDGETS)
def test_watch_comes_before_alert_and_alert_before_crisis(allowed: str):
    levels = rows(per_day=alarms_per_day(allowed))["thresholds"][0]
    assert levels.shape == (len(LEVELS), STATISTICS)
    assert (np.diff(levels, axis=0) > 0).all()


def test_a_smaller_budget_asks_for_more():
    levels = np.stack([rows(per_day=alarms_per_day(b))["thresholds"][0] for b in BUDGETS])
    assert (np.diff(levels, axis=0) <= 0).all()
    higher, lower = levels[:-1, ALERT], levels[1:, ALERT]
    assert (lower < higher)[lower > POLICY.floor[ALERT] + 1e-6].all()


@given(per_day=st.floats(1e-5, 1e4), top=st.floats(0, 7), days=st.integers(0, 60))
@settings(max_examples=40, deadline=None)
def test_no_budget_and_no_calm_make_a_common_count_an_alarm(per_day: float, top: float, days: int):
    table = rows(per_day=per_day)
    for _ in range(days):
        table["top"] = top
        end_day(table)
    levels = table["thresholds"][0]
    assert (levels >= np.array(POLICY.floor)[:, None] - 1e-5).all()
    assert (np.diff(levels, axis=0) >= 0).all()
    assert np.isfinite(levels).all()


def test_a_changed_budget_holds_at_once():
    table = rows(2)
    before = table["thresholds"].copy()
    budget.allow(table, np.array([MONTHLY, MONTHLY / 12]), POLICY)
    assert (table["thresholds"][0] == before[0]).all()
    assert (table["thresholds"][1] >= before[1]).all()
    assert (table["thresholds"][1, ALERT] > before[1, ALERT]).all()


# ------------------------------------------------------------------------------------------- own days


def test_the_greatest_statistic_of_a_day_is_kept():
    table = rows()
    for statistic in (1.0, 9.0, 2.0):
        budget.note(table, np.full((1, STATISTICS), statistic))
    assert table["top"][0] == pytest.approx(math.log1p(9), rel=1e-3)
    end_day(table)
    assert not table["top"].any()
    assert table["days"] == 1


def test_a_restless_subject_needs_more_than_a_steady_one():
    rng = np.random.default_rng(4)
    table = rows(2)
    for _ in range(60):
        restless, steady = rng.lognormal(2, 0.4, STATISTICS), rng.lognormal(0.4, 0.2, STATISTICS)
        live_day(table, np.stack([restless, steady]))
    restless, steady = table["thresholds"][:, ALERT]
    assert (restless > 1.5 * steady).all()


def test_each_statistic_has_a_threshold_of_its_own():
    table = rows()
    quiet = np.where(np.arange(STATISTICS) == 2, 6.0, 1.0)[None]
    for _ in range(40):
        live_day(table, quiet)
    assert table["thresholds"][0, ALERT].argmax() in {2, STATISTICS - 1}
    assert table["thresholds"][0, ALERT, 2] > 2 * table["thresholds"][0, ALERT, 1]


def test_days_without_a_post_are_no_days_of_a_subject():
    table = rows()
    end_day(table, 30)
    assert table["days"] == 0
    assert np.allclose(table["mean"], POLICY.pool_mean, rtol=1e-3)


HISTORIES: dict[str, Callable[[np.random.Generator], np.ndarray]] = {
    "a usual subject": lambda rng: np.maximum(
        rng.normal(POLICY.pool_mean, POLICY.pool_deviation), 0.05
    ),
    "silence": lambda _: np.zeros(STATISTICS),
    "storms": lambda _: np.full(STATISTICS, math.log1p(MOST)),
    "anything": lambda rng: rng.uniform(0, math.log1p(MOST), STATISTICS),
    "now and then a storm": lambda rng: (
        np.full(STATISTICS, math.log1p(MOST)) if rng.random() < 0.1 else np.full(STATISTICS, 0.3)
    ),
}


@given(
    kind=st.sampled_from(sorted(HISTORIES)),
    days=st.integers(0, 70),
    allowed=st.sampled_from(BUDGETS),
    top=st.lists(st.floats(0, math.log1p(MOST)), min_size=STATISTICS, max_size=STATISTICS),
    reached=st.integers(0, 7),
    seed=st.integers(0, 99),
)
@settings(max_examples=200, deadline=None)
def test_a_day_moves_no_threshold_by_more_than_a_fifth(
    *, kind: str, days: int, allowed: str, top: list[float], reached: int, seed: int
):
    rng, table = np.random.default_rng(seed), rows(per_day=alarms_per_day(allowed))
    for _ in range(days):
        live_day(table, np.expm1(HISTORIES[kind](rng))[None])
    before = table["thresholds"].copy()
    table["top"], table["reached"] = np.array(top), reached
    end_day(table)
    ratio = table["thresholds"] / before
    assert ratio.max() <= 1.2 + 1e-3
    assert ratio.min() >= 1 / 1.2 - 1e-3


def test_one_staged_day_leaves_a_subject_warned():
    for days in (0, 1, 3, 10, 60):
        rng, table = np.random.default_rng(days), rows()
        for _ in range(days):
            live_day(table, np.expm1(HISTORIES["a usual subject"](rng))[None])
        before = table["thresholds"][0, ALERT, :WINDOWS].copy()
        live_day(table, np.full((1, STATISTICS), MOST))
        assert (table["thresholds"][0, ALERT, :WINDOWS] <= 1.4 * before).all()


def live_with_a_twin(table: Table, rng: np.random.Generator, days: int) -> None:
    """Let usual days pass, the same for all."""
    for _ in range(days):
        day = np.expm1(HISTORIES["a usual subject"](rng))
        live_day(table, np.tile(day, (len(table), 1)))


def test_a_storm_is_forgotten_in_weeks():
    rng, table = np.random.default_rng(8), rows(2)
    live_with_a_twin(table, rng, 42)
    day = np.expm1(HISTORIES["a usual subject"](rng))
    live_day(table, np.stack([day, np.full(STATISTICS, MOST)]))
    live_with_a_twin(table, rng, 60)
    twin, stormy = table["thresholds"][:, ALERT]
    assert (stormy <= 1.25 * twin).all()


# -------------------------------------------------------------------------------------------- steering

LAWS: dict[str, Draw] = {
    "exponential": lambda rng, shape: rng.exponential(2.0, shape),
    "lognormal": lambda rng, shape: rng.lognormal(0.5, 0.7, shape),
    "normal": lambda rng, shape: np.maximum(rng.normal(6, 1, shape), 0.01),
    "heavy": lambda rng, shape: np.minimum(1.5 * (rng.pareto(2.5, shape) + 1), MOST),
    "two kinds of days": lambda rng, shape: np.where(
        rng.random((shape[0], 1)) < 0.8, rng.normal(2, 0.2, shape), rng.normal(9, 2, shape)
    ).clip(0.01),
}


@pytest.mark.parametrize("together", [True, False])
@pytest.mark.parametrize("law", sorted(LAWS))
def test_in_the_long_run_alarms_come_as_often_as_asked_whatever_the_law_of_the_days(
    law: str, together: bool
):
    rng, table, alarms = np.random.default_rng(1), rows(64), []
    for _ in range(1000):
        shape = (64, 1) if together else (64, STATISTICS)
        drawn = np.broadcast_to(LAWS[law](rng, shape), (64, STATISTICS))
        alarms.append(live_day(table, np.ascontiguousarray(drawn)).mean(axis=0))
    rate = np.mean(alarms[300:], axis=0)
    assert 0.6 * MONTHLY < rate[ALERT] < 1.35 * MONTHLY
    assert 0.6 * POLICY.watch * MONTHLY < rate[WATCH] < 1.35 * POLICY.watch * MONTHLY
    assert rate[CRISIS] < 0.7 * MONTHLY


def test_a_level_that_is_reached_rises_and_one_that_is_not_sinks_very_little():
    table = rows(2)
    table["days"] = 60
    table["top"], table["mean"], table["deviation"] = 1.0, 1.0, 0.3
    table["reached"] = [0, 0b11]
    before = table["correction"].copy()
    end_day(table)
    calm, alarmed = table["correction"] - before
    assert (alarmed > 0).all()
    assert (calm < 0).all()
    assert (-calm < alarmed / 4).all()
    quiet, loud = table["thresholds"]
    assert (quiet <= loud).all()
    assert (quiet[ALERT] < loud[ALERT]).any()


def test_an_alarm_of_a_young_subject_hardly_steers():
    table = rows(2)
    table["days"] = [0, 60]
    table["reached"] = 0b11
    before = table["correction"].copy()
    end_day(table)
    young, old = (table["correction"] - before)[:, 1]
    assert young < old / 3


def test_nobody_steers_a_threshold_beyond_its_borders():
    for staged, border in ((True, POLICY.most_steer), (False, POLICY.least_steer)):
        table = rows()
        table["days"] = 60
        for _ in range(800):
            table["top"], table["reached"] = 1.0, 7 * staged
            end_day(table)
        assert table["correction"][0, 1] == pytest.approx(border, abs=0.01)


def test_what_was_staged_for_a_month_wears_off_in_a_year():
    rng, table = np.random.default_rng(3), rows(2)
    live_with_a_twin(table, rng, 60)
    for _ in range(30):
        day = np.expm1(HISTORIES["a usual subject"](rng))
        live_day(table, np.stack([day, np.full(STATISTICS, MOST)]))
    staged = table["thresholds"][1, ALERT].copy()
    live_with_a_twin(table, rng, 365)
    twin, after = table["thresholds"][:, ALERT]
    assert (after < staged / 2).all()
    assert (after < 3 * twin).all()


# ------------------------------------------------------------------------------------------------ days


@given(
    days=st.integers(1, 400),
    top=st.floats(0, 6),
    reached=st.integers(0, 7),
    known=st.integers(0, 60),
    per_day=st.floats(1e-3, 2),
)
@settings(max_examples=40, deadline=None)
def test_idle_days_end_in_one_step(days: int, top: float, reached: int, known: int, per_day: float):
    jumped, walked = rows(per_day=per_day), rows(per_day=per_day)
    for table in (jumped, walked):
        table["top"], table["reached"], table["days"] = top, reached, known
        table["mean"], table["deviation"] = 1.0, 0.3
    end_day(jumped, days)
    for _ in range(days):
        end_day(walked)
    for name in ("correction", "mean", "deviation", "days", "top", "reached"):
        assert np.allclose(jumped[name], walked[name], rtol=1e-4, atol=1e-4), name
    assert np.allclose(jumped["thresholds"], walked["thresholds"], rtol=1e-2)


def test_rows_for_which_no_day_ended_stay_as_they_are():
    table = rows(3)
    table["top"], table["reached"] = 2.0, 3
    whole = Some(table, np.arange(3))
    budget.close_days(whole, np.array([0, 1, 0]), POLICY)
    whole.put()
    assert table["days"].tolist() == [0, 1, 0]
    assert table["reached"].tolist() == [3, 0, 3]
    assert (table["top"] > 0).all(axis=1).tolist() == [True, False, True]


@pytest.mark.parametrize(
    ("before", "after", "noted"),
    [(-1, WATCH, 0b001), (-1, CRISIS, 0b111), (WATCH, ALERT, 0b010), (ALERT, ALERT, 0)],
)
def test_the_levels_that_an_episode_first_reached_today_are_noted(
    before: int, after: int, noted: int
):
    table = rows()
    budget.rise(Row(table, 0), before, after)
    assert table["reached"] == noted


def test_an_episode_that_rises_twice_a_day_has_reached_both_levels():
    table = rows()
    budget.rise(Row(table, 0), -1, WATCH)
    budget.rise(Row(table, 0), WATCH, CRISIS)
    assert table["reached"] == 0b111
