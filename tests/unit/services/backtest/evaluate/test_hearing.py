import numpy as np
import pytest

from services.backtest.evaluate.hearing import PERFECT, SHIPPED, Hearing, row


def hear(ear, negative, other, seed=1):
    return Hearing([ear] * negative.shape[1], np.random.default_rng(seed)).hear(negative, other)


def test_a_perfect_ear_counts_what_is():
    rng = np.random.default_rng(1)
    negative, other = rng.poisson(2, (50, 3)), rng.poisson(5, (50, 3))
    heard = hear(PERFECT, negative, other)
    assert np.array_equal(heard.negative, negative)
    assert np.array_equal(heard.authors, negative)
    assert np.array_equal(heard.posts, negative + other)


@pytest.mark.parametrize("count", [1, 3, 40])
@pytest.mark.parametrize("negative", [True, False])
def test_the_sum_of_probabilities_has_the_models_mean_and_variance(count, negative):
    posts = np.full((100_000, 1), count)
    none = np.zeros_like(posts)
    heard = hear(SHIPPED, posts, none) if negative else hear(SHIPPED, none, posts)
    called = SHIPPED.hit if negative else SHIPPED.slip
    above, below = (
        (SHIPPED.found, SHIPPED.missed) if negative else (SHIPPED.mistaken, SHIPPED.passed)
    )
    mean = called * above[0] + (1 - called) * below[0]
    spread = called * (1 - called) * (above[0] - below[0]) ** 2
    spread += called * above[1] + (1 - called) * below[1]
    assert heard.negative.mean() == pytest.approx(count * mean, rel=0.02)
    assert heard.negative.var() == pytest.approx(count * spread, rel=0.05)
    assert heard.authors.mean() == pytest.approx(count * called, rel=0.03)


def test_the_shipped_model_hears_a_third_where_a_third_is_negative():
    """That is the stream it is calibrated for: summed, its probabilities count the negative posts."""
    many = np.full((2_000, 1), 60)
    heard = hear(SHIPPED, many // 3, many - many // 3).negative.mean()
    assert heard == pytest.approx(20, rel=0.2)


def test_who_is_called_negative_has_at_least_half_a_post_in_the_sum():
    rng = np.random.default_rng(2)
    heard = hear(SHIPPED, rng.poisson(1, (5000, 2)), rng.poisson(20, (5000, 2)))
    assert (heard.negative >= 0.5 * heard.authors - 1e-4).all()
    assert (heard.negative <= heard.authors + 0.5 * (heard.posts - heard.authors) + 1e-4).all()
    assert row(heard, 7).posts.shape == (2,)
