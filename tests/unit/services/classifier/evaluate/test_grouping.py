"""services/classifier/evaluate/grouping.py: pairs found, events told apart."""

import numpy as np
import pytest

from services.classifier.evaluate.grouping import (
    MOST_LEADERS,
    best_match_f1,
    centred,
    led,
    retrieved,
)


def unit(rows):
    rows = np.asarray(rows, np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def test_a_pair_is_found_when_its_other_half_is_the_nearest():
    one = unit([[1, 0], [0, 1]])
    assert retrieved(one, one).tolist() == [True] * 4
    assert retrieved(one, one[::-1]).tolist() == [False] * 4
    assert retrieved(one, unit([[1, 0.1], [1, 0]])).tolist() == [False, False, True, False]


def test_centring_takes_the_common_direction_away():
    rows = centred(unit([[1, 0.1], [1, -0.1]]), np.array([1, 0], np.float32))
    assert rows[0] @ rows[1] < 0
    assert np.linalg.norm(rows, axis=1) == pytest.approx([1, 1])


def test_posts_that_are_alike_share_a_leader_and_others_do_not():
    rng = np.random.default_rng(1)
    event = rng.integers(4, size=400)
    vectors = unit(np.eye(8)[event] + rng.normal(scale=0.1, size=(400, 8)))
    groups = led(vectors, 0.7)
    assert len(set(groups)) == 4
    scores = best_match_f1([f"e{at}" for at in event], groups)
    assert scores == pytest.approx({"e0": 1, "e1": 1, "e2": 1, "e3": 1})


def test_one_group_for_all_matches_no_event_well():
    scores = best_match_f1(["a", "a", "b", "b"], np.array([0, 0, 0, 0]))
    assert scores == pytest.approx({"a": 2 / 3, "b": 2 / 3})
    assert best_match_f1(["a", "b"], np.array([5, 9])) == {"a": 1, "b": 1}


def test_a_stream_of_strangers_keeps_its_names_apart_beyond_the_most_leaders():
    rng = np.random.default_rng(2)
    groups = led(unit(rng.normal(size=(MOST_LEADERS + 50, 64))), 0.99)
    assert len(set(groups)) == MOST_LEADERS + 50
