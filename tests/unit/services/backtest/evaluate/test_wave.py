import numpy as np
import pytest

from services.backtest.evaluate.background import Counts
from services.backtest.evaluate.trial import lay_over
from services.backtest.evaluate.wave import FAST, Wave, analytic, draw, onset


def test_the_analytic_curve_peaks_when_it_says_and_is_whole():
    curve = analytic("fast", FAST)
    assert curve.share.sum() == pytest.approx(1)
    assert abs(int(curve.share.argmax()) - 60) <= 1
    assert len(curve.share) == 24 * 60


def test_the_onset_is_the_first_post_of_the_first_hour_that_holds_ten():
    counts = np.zeros(100)
    counts[[3, 5]] = 4  # eight in an hour: not yet
    counts[40], counts[45], counts[50] = 1, 8, 9
    assert onset(counts) == 40
    assert onset(np.array([0, 0, 1.0, 0])) == 2  # never ten: the first post
    assert onset(np.array([12.0, 0])) == 0


@pytest.mark.parametrize("size", [10, 400, 50_000])
def test_a_drawn_crisis_has_its_size_and_share(size):
    rng = np.random.default_rng(1)
    wave = draw(analytic("fast", FAST), lane=0, begin=0, size=size, share=0.8, rng=rng)
    assert wave.posts.sum() == pytest.approx(size, rel=0.02)
    assert wave.negative.sum() / wave.posts.sum() == pytest.approx(
        0.8, abs=0.25 if size < 99 else 0.05
    )


def test_a_crisis_is_laid_over_the_days_it_falls_into_and_nothing_else():
    days = [
        Counts(b, np.zeros((1440, 2), np.int32), np.zeros((1440, 2), np.int32))
        for b in (0, 1440, 2880)
    ]
    wave = Wave(1, 1430, np.arange(1, 31), np.ones(30, np.int64))
    for day in days:
        lay_over(day, wave)
    assert days[0].negative[1430:, 1].tolist() == list(range(1, 11))
    assert days[1].negative[:21, 1].tolist() == [*range(11, 31), 0]
    assert days[1].other.sum() == 20
    assert sum(day.negative[:, 0].sum() for day in days) == 0
    assert days[2].negative.sum() == 0
