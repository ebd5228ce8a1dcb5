"""The volume detector on bare series."""

from datetime import timedelta

import numpy as np
import pytest

from uproar.detect.volume import strangeness

STEP = timedelta(minutes=5)
DAY = 288
MONTHLY, WEEKLY = 1 / 30, 1 / 7


def background(days: int, seed: int = 0, level: float = 4.0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    hours = np.arange(days * DAY) / 12
    rate = level * (1 + 0.7 * np.sin(2 * np.pi * hours / 24))
    return rng.poisson(rate * rng.gamma(5, 1 / 5, len(rate)))


def judge(counts, alarms_per_day: float = MONTHLY, **given):
    return strangeness(counts, **{"step": STEP, "alarms_per_day": alarms_per_day} | given)


def test_scores_are_between_0_and_1_and_an_alarm_reaches_a_half():
    judged = judge(background(20))
    assert ((judged.score >= 0) & (judged.score <= 1)).all()
    assert (judged.score[judged.alarm] >= 0.5).all()


@pytest.mark.parametrize(("minutes", "times"), [(60, 6), (20, 12), (360, 4)])
def test_a_surge_raises_one_alarm_soon(minutes: int, times: int):
    counts, begin = background(20).astype(float), 15 * DAY + 100
    counts[begin : begin + minutes // 5] *= times
    raised = np.flatnonzero(judge(counts).alarm[begin - DAY // 2 :]) + begin - DAY // 2
    assert len(raised) == 1
    assert 0 <= raised[0] - begin <= max(12, minutes // 5)


def test_a_larger_surge_is_stranger():
    scores = []
    for times in (1, 3, 10, 40):
        counts = background(10).astype(float)
        counts[9 * DAY : 9 * DAY + 6] *= times
        scores.append(judge(counts).score[9 * DAY + 5])
    assert scores == sorted(scores)


def test_alarms_of_chance_stay_near_the_budget():
    raised = sum(judge(background(60, seed), WEEKLY).alarm.sum() for seed in range(6))
    weeks = 6 * 60 / 7
    assert 0.2 * weeks < raised < 2 * weeks


def test_each_point_is_judged_by_those_before_it_alone():
    counts = background(12)
    whole, part = judge(counts), judge(counts[: 8 * DAY])
    assert np.allclose(whole.score[: 8 * DAY], part.score)


@pytest.mark.parametrize("step", [timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)])
def test_any_even_step_is_fine(step: timedelta):
    judged = judge([3, 5, 4] * 40 + [300], step=step, first_hour=7)
    assert judged.score[-1] > max(judged.score[60:-1])


@pytest.mark.parametrize("counts", [[0, 0], [0] * 1000, [7] * 1000, [1e9, 0, 1e9]])
def test_flat_and_wild_series_are_judged_without_a_fault(counts: list[float]):
    assert np.isfinite(judge(counts).score).all()
    assert not judge(counts).alarm.any()
