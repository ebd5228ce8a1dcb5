"""The statistic of a window against the exact tail."""

import math

import numpy as np
import pytest

from uproar.detect.scan import CEILING, surprise


def exact(count: int, mean: float, size: float) -> float:
    """-log10 P(N >= count), term by term."""
    log_p, log_q = math.log(size / (mean + size)), math.log(mean / (mean + size))
    total, k = 0.0, count
    while True:
        term = math.exp(
            math.lgamma(k + size)
            - math.lgamma(size)
            - math.lgamma(k + 1)
            + size * log_p
            + k * log_q
        )
        total += term
        k += 1
        if term < total * 1e-12:
            return -math.log10(total)


def one(count: float, mean: float, size: float) -> float:
    return float(surprise(np.array(count), np.array(mean), np.array(size)))


@pytest.mark.parametrize("size", [0.2, 1.0, 5.0, 200.0])
@pytest.mark.parametrize("mean", [0.001, 0.05, 0.7, 5.0, 80.0, 3000.0])
def test_the_approximation_is_within_a_tenth_of_the_exact_tail(mean: float, size: float):
    deviation = math.sqrt(mean + mean**2 / size)
    counts = {math.ceil(mean + times * deviation + 1) for times in (1.5, 2.5, 4.0, 6.0)}
    for count in counts | {n for n in (1, 2, 3) if n > 2 * mean + 0.5}:
        true = exact(count, mean, size)
        if true < CEILING:
            assert one(count, mean, size) == pytest.approx(true, abs=0.11)


@pytest.mark.parametrize("mean", [0.0001, 0.3, 10.0, 1e5])
@pytest.mark.parametrize("size", [0.05, 2.0, 1e4])
def test_more_posts_are_never_less_strange(mean: float, size: float):
    counts = np.concatenate([[0, mean], mean + 0.5 + np.geomspace(1e-6, 10 * mean + 50, 400)])
    statistic = surprise(counts, np.full_like(counts, mean), np.full_like(counts, size))
    assert np.isfinite(statistic).all()
    assert (np.diff(statistic) >= -1e-9).all()
    assert statistic[:2].tolist() == [0, 0]


def test_a_usual_count_is_not_strange():
    assert one(10, 10.2, 5) == 0
    assert one(0, 0.01, 0.5) == 0


def test_nothing_is_stranger_than_the_ceiling():
    assert one(1e9, 0.01, 1e4) == CEILING
