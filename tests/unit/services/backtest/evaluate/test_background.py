import numpy as np
import pytest

from services.backtest.evaluate.background import Background, Brand, Temper
from services.backtest.evaluate.brands import GIANT, SIZES, Part, brands, tempers

BEGIN = 28_401_120  # a Monday, 00:00 UTC


def temper(**changes):
    flat = {
        "name": "flat",
        "weekday": (1.0,) * 24,
        "weekend": (1.0,) * 24,
        "days": (1.0,) * 7,
        "noise": (0.0, 0.0, 0.0),
        "drift": 0.0,
        "bursts": 0.0,
        "least": 1.0,
        "tail": 2.0,
        "minutes": 60.0,
        "answers": 0.0,
    }
    return Temper(**(flat | changes))


def simulate(brand, *, days, lanes=1, seed=1):
    background = Background([brand] * lanes, BEGIN, np.random.default_rng(seed))
    parts = [background.day() for _ in range(days)]
    return (
        np.concatenate([p.negative for p in parts]),
        np.concatenate([p.other for p in parts]),
    )


def phi(counts, width):
    sums = counts.reshape(-1, width, counts.shape[1]).sum(axis=1).astype(float)
    return (sums.var() - sums.mean()) / sums.mean() ** 2


def test_a_flat_temper_is_a_poisson_process_of_the_asked_rate_and_share():
    negative, other = simulate(
        Brand(name="x", rate=60, temper=temper(), share=0.3, swing=0.0), days=20
    )
    posts = negative + other
    assert posts.mean() * 60 == pytest.approx(60, rel=0.02)
    assert negative.sum() / posts.sum() == pytest.approx(0.3, abs=0.01)
    assert phi(posts, 60) == pytest.approx(0, abs=0.01)


@pytest.mark.parametrize("name", ["AAPL", "KO", "Free", "Southwest"])
def test_a_fitted_temper_keeps_the_asked_rate(name):
    brand = Brand(name="x", rate=40, temper=tempers()[name])
    negative, other = simulate(brand, days=30, lanes=60)
    assert (negative + other).mean() * 60 == pytest.approx(40, rel=0.15)


def test_noise_makes_hours_vary_more_than_chance_and_hang_together():
    brand = Brand(name="x", rate=600, temper=temper(noise=(0.0, 0.2, 0.0)))
    posts = np.add(*simulate(brand, days=30, lanes=10))
    assert phi(posts, 60) == pytest.approx(0.2, abs=0.05)
    hours = posts.reshape(-1, 60, 10).sum(axis=1)
    after = [np.corrcoef(hours[:-lag].ravel(), hours[lag:].ravel())[0, 1] for lag in (1, 12)]
    assert after[0] > 0.5
    assert after[1] < 0.1


def test_hours_and_days_have_their_factors():
    weekday = tuple(2.0 if hour < 12 else 0.0 for hour in range(24))
    days = (1.0,) * 5 + (0.5, 1.5)
    brand = Brand(name="x", rate=60, temper=temper(weekday=weekday, days=days))
    posts = np.add(*simulate(brand, days=7, lanes=20)).mean(axis=1).reshape(7, 24, 60).sum(axis=2)
    assert posts[0, :12].mean() == pytest.approx(120, rel=0.05)
    assert posts[0, 12:].sum() == 0
    assert posts[5].mean() == pytest.approx(30, rel=0.05)
    assert posts[6].mean() == pytest.approx(90, rel=0.05)


def test_bursts_lift_the_daily_maximum_and_not_the_mean():
    calm = Brand(name="x", rate=60, temper=temper())
    lively = Brand(name="x", rate=60, temper=temper(bursts=0.5, least=5.0, tail=1.5))
    maxima = {}
    for brand in (calm, lively):
        posts = np.add(*simulate(brand, days=30, lanes=20))
        assert posts.mean() * 60 == pytest.approx(60, rel=0.1)
        hours = posts.reshape(30, 24, 60, 20).sum(axis=2)
        maxima[brand.temper.bursts] = np.quantile(hours.max(axis=1), 0.9)
    assert maxima[0.5] > 2 * maxima[0.0]


def test_answers_make_small_counts_come_together():
    brand = Brand(name="x", rate=0.5, temper=temper(answers=0.4))
    posts = np.add(*simulate(brand, days=60, lanes=40))
    assert posts.mean() * 60 == pytest.approx(0.5, rel=0.05)
    hours = posts.reshape(-1, 60, 40).sum(axis=1)
    assert hours.var() / hours.mean() > 1.3


def test_the_same_seed_gives_the_same_years():
    brand = brands(Part.TUNE)[3]
    first, again = simulate(brand, days=2, seed=7), simulate(brand, days=2, seed=7)
    assert np.array_equal(first[0], again[0])
    assert not np.array_equal(first[0], simulate(brand, days=2, seed=8)[0])


def test_the_two_parts_have_all_sizes_and_no_series_of_the_other():
    names = {part: {b.temper.name for b in brands(part, sets=2)} for part in Part}
    assert not names[Part.TUNE] & names[Part.REPORT]
    for part in Part:
        assert [b.rate for b in brands(part)] == [*SIZES, GIANT]
