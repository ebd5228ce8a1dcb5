import numpy as np
import pytest

from services.backtest.evaluate import rivals
from services.backtest.evaluate.background import STEPS_A_DAY
from services.backtest.evaluate.rivals import RIVALS

DAYS = 20


def calm(lanes=2, seed=1):
    return np.random.default_rng(seed).poisson(2.0, (DAYS * STEPS_A_DAY, lanes)).astype(np.float32)


@pytest.mark.parametrize("name", sorted(RIVALS))
def test_a_rival_scores_a_day_of_ten_times_as_much_far_above_calm(name):
    counts = calm()
    counts[-STEPS_A_DAY:, 1] *= 10
    scores = rivals.score(RIVALS[name], counts)
    assert scores.shape == counts.shape
    usual = scores[15 * STEPS_A_DAY : -STEPS_A_DAY].max()
    assert scores[-STEPS_A_DAY:, 1].max() > 1.5 * usual
    assert scores[-STEPS_A_DAY:, 0].max() < 1.5 * usual


@pytest.mark.parametrize("name", sorted(RIVALS))
def test_a_rival_does_not_know_the_future(name):
    counts = calm()
    before = rivals.score(RIVALS[name], counts)
    counts[-5 * STEPS_A_DAY :] += 50
    after = rivals.score(RIVALS[name], counts)
    assert np.allclose(before[: -5 * STEPS_A_DAY], after[: -5 * STEPS_A_DAY])


@pytest.mark.parametrize("name", sorted(RIVALS))
def test_a_rival_takes_a_series_shorter_than_its_memory(name):
    counts = calm()[: 2 * STEPS_A_DAY]
    assert np.isfinite(rivals.score(RIVALS[name], counts)).all()


def test_the_day_rule_is_the_one_that_is_documented():
    counts = calm()
    hours = np.convolve(counts[:, 0], np.ones(12))[: len(counts)]
    week, day = hours[-7 * STEPS_A_DAY :], hours[-STEPS_A_DAY:]
    expected = (day.mean() - week.mean()) / (week.std() + 0.5)
    assert rivals.day_against_week(counts.astype(float))[-1, 0] == pytest.approx(expected)


def test_a_threshold_lets_as_many_days_pass_as_asked():
    scores = np.zeros((12 * STEPS_A_DAY, 1))
    scores[5::STEPS_A_DAY, 0] = np.arange(12)
    maxima = rivals.daily_maxima(scores, warm=2)
    assert maxima.tolist() == list(range(11, 1, -1))
    assert rivals.threshold(maxima, 0.3) == 9
    assert rivals.threshold(maxima, 0.01) > 11


def test_a_delay_is_told_from_the_onset_to_the_end_of_the_five_minutes():
    scores = np.zeros((2 * STEPS_A_DAY, 2))
    scores[10, 0] = 5.0
    assert rivals.delays(scores, [0, 0, 1], [48, 55, 48], [4.0, 4.0, 4.0]) == [
        7.0,
        float("inf"),
        float("inf"),
    ]
    assert rivals.delays(scores, [0], [48], [6.0]) == [float("inf")]
