"""uproar/prior.py: from ordinary talk to talk in which a third is negative."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from uproar.prior import blame, ordinary, suspected

chances = st.floats(0, 1)


@pytest.mark.parametrize(
    ("said", "meant"), [(0, 0), (0.2, 1 / 3), (1 / 3, 0.5), (0.5, 2 / 3), (1, 1)]
)
def test_a_fifth_of_ordinary_talk_is_a_third_of_talk_where_something_may_be_going_on(said, meant):
    assert blame(said) == pytest.approx(meant)


@given(chances, chances)
def test_it_keeps_the_order_and_stays_a_probability(one, other):
    assert 0 <= blame(one) <= 1
    assert (one <= other) <= (blame(one) <= blame(other))


@given(chances)
def test_there_is_a_way_back(chance):
    assert ordinary(blame(chance)) == pytest.approx(chance)


@given(st.lists(st.tuples(chances, chances), max_size=20))
def test_the_three_still_sum_to_one_and_many_are_as_each_by_itself(drawn):
    negative = np.array([one for one, _ in drawn])
    positive = np.array([(1 - one) * part for one, part in drawn])
    neutral = 1 - negative - positive
    bad, good = suspected(negative, positive)
    np.testing.assert_allclose(bad, [blame(one) for one in negative.tolist()])
    np.testing.assert_allclose(bad + good + neutral / (1 + negative), np.ones(len(drawn)))


def test_it_is_bayes_rule_with_all_three_equally_common():
    ordinary, even = np.array([0.2, 0.4, 0.4]), np.full(3, 1 / 3)
    said = np.array([0.35, 0.4, 0.25])
    meant = said * even / ordinary
    meant /= meant.sum()
    negative, positive = suspected(said[:1], said[2:])
    assert (negative[0], positive[0]) == (pytest.approx(meant[0]), pytest.approx(meant[2]))


def test_a_post_without_score_stays_without():
    negative, positive = suspected(np.array([-1.0, 0.2]), np.array([0.0, 0.2]))
    assert negative[0] == -1.0
    assert positive[0] == 0.0
