"""services/classifier/evaluate/metrics.py: against numbers worked out by hand."""

import numpy as np
import pytest

from services.classifier.evaluate.metrics import f1_of_yes, kappa, macro_f1, macro_recall

TRUTH = np.array([0, 0, 0, 1, 1, 2])
GUESS = np.array([0, 0, 1, 1, 2, 2])


def test_macro_f1_is_the_mean_over_classes():
    assert macro_f1(3)(TRUTH, GUESS) == pytest.approx((4 / 5 + 2 / 4 + 2 / 3) / 3)


def test_macro_recall_is_the_mean_over_classes():
    assert macro_recall(3)(TRUTH, GUESS) == pytest.approx((2 / 3 + 1 / 2 + 1) / 3)


def test_a_class_without_rows_counts_as_nothing_found():
    assert macro_recall(4)(TRUTH, GUESS) == pytest.approx((2 / 3 + 1 / 2 + 1) / 4)


def test_f1_of_yes_looks_at_the_one_class_alone():
    assert f1_of_yes(np.array([1, 1, 0, 0]), np.array([1, 0, 1, 0])) == pytest.approx(0.5)
    assert f1_of_yes(np.array([0, 0]), np.array([0, 0])) == 0


def test_kappa_is_the_agreement_beyond_chance():
    first = np.repeat([1, 1, 0, 0], [20, 5, 10, 15])
    second = np.repeat([1, 0, 1, 0], [20, 5, 10, 15])  # the textbook's table
    assert kappa(first, second) == pytest.approx(0.4)
    assert kappa(first, first) == 1
    assert kappa(np.array([1, 1]), np.array([1, 1])) == 1
    assert kappa(np.array([1, 0, 1, 0]), np.array([0, 1, 0, 1])) == -1
