"""How improbable a count is, against the exact tail."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from uproar.detect.surprise import MOST, at_most, surprise

means = st.floats(1e-4, 1e5)
sizes = st.floats(0.05, 1e4)


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
        if true < MOST:
            assert one(count, mean, size) == pytest.approx(true, abs=0.11)


@given(mean=st.floats(0.01, 200), size=st.floats(0.1, 500), times=st.floats(1.5, 9))
def test_it_is_near_the_exact_tail_wherever_that_can_be_summed(
    mean: float, size: float, times: float
):
    count = math.ceil(mean + times * math.sqrt(mean + mean**2 / size) + 1)
    assert one(count, mean, size) == pytest.approx(exact(count, mean, size), abs=0.15)


def test_a_count_between_two_whole_ones_is_as_strange_as_something_between_them():
    low, middle, high = (one(count, 2.0, 3.0) for count in (9, 9.5, 10))
    assert low < middle < high


def test_a_part_of_a_post_is_that_part_of_one():
    whole = one(1, 0.001, 1.0)
    assert one(0.5, 0.001, 1.0) == pytest.approx(whole / 2, rel=0.01)
    assert one(0.001, 0.001, 1.0) == 0


@pytest.mark.parametrize("mean", [0.0001, 0.3, 10.0, 1e5])
@pytest.mark.parametrize("size", [0.05, 2.0, 1e4])
def test_more_posts_are_never_less_strange(mean: float, size: float):
    counts = np.concatenate([[0, mean], mean + 0.5 + np.geomspace(1e-6, 10 * mean + 50, 400)])
    statistic = surprise(counts, np.full_like(counts, mean), np.full_like(counts, size))
    assert np.isfinite(statistic).all()
    assert (np.diff(statistic) >= -1e-9).all()
    assert statistic[:2].tolist() == [0, 0]


@given(count=st.floats(0, 1e5), mean=means, size=sizes)
def test_it_is_a_number_between_0_and_the_most(count: float, mean: float, size: float):
    assert 0 <= one(count, mean, size) <= MOST


@given(excess=st.floats(5, 1e4), mean=st.floats(0.1, 1e4), size=st.floats(0.1, 1e3))
def test_the_same_count_is_stranger_where_more_is_certain(excess: float, mean: float, size: float):
    # Far out: near the mean a wider law may as well be the more lopsided one.
    count = mean + excess * math.sqrt(mean + mean**2 / size)
    assert one(count, mean, size * 2) >= one(count, mean, size) - 1e-9


def test_a_usual_count_is_not_strange():
    assert one(10, 10.2, 5) == 0
    assert one(0, 0.01, 0.5) == 0


def test_nothing_is_stranger_than_the_most():
    assert one(1e9, 0.01, 1e4) == MOST


@given(count=st.floats(0, 1e5), mean=means, size=sizes)
def test_the_cheap_border_is_never_passed(count: float, mean: float, size: float):
    border = float(at_most(np.array(count), np.array(mean), np.array(size)))
    assert one(count, mean, size) <= border


@given(deviations=st.floats(0, 40), mean=means, size=sizes)
def test_nor_is_it_some_deviations_beyond_the_mean(deviations: float, mean: float, size: float):
    count = mean + deviations * math.sqrt(mean + mean**2 / size)
    border = float(at_most(np.array(count), np.array(mean), np.array(size)))
    assert one(count, mean, size) <= border


def test_the_border_spares_the_work_where_hardly_more_than_usual_was_heard():
    assert at_most(np.array(6.0), np.array(5.0), np.array(5.0)) < 2
