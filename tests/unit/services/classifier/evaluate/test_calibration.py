"""services/classifier/evaluate/calibration.py: exact probabilities have no error, others their own."""

import numpy as np
import pytest

from services.classifier.evaluate.calibration import at_share, debiased_ece, ece


def a_model(rows, rng, wrong=0.0):
    """Make probabilities and labels; ``wrong`` is added to what is true."""
    chance = rng.uniform(0.1, 0.8, rows)
    return np.clip(chance + wrong, 0, 1), (rng.random(rows) < chance).astype(float)


def test_ece_is_the_mean_gap_of_its_bins():
    chance = np.array([0.1, 0.1, 0.9, 0.9])
    assert ece(chance, np.array([0, 0, 1, 1.0]), bins=2) == pytest.approx(0.1)
    assert ece(chance, np.array([1, 1, 0, 0.0]), bins=2) == pytest.approx(0.9)
    assert ece(np.array([0.3]), np.array([1.0])) == pytest.approx(0.7)


def test_exact_probabilities_have_no_debiased_error_though_a_plain_one():
    rng = np.random.default_rng(1)
    plain, debiased = [], []
    for _ in range(30):
        chance, truth = a_model(400, rng)
        plain.append(ece(chance, truth))
        debiased.append(debiased_ece(chance, truth, rng))
    assert np.mean(plain) > 0.05
    assert abs(np.mean(debiased)) < 0.012


def test_an_error_of_a_tenth_is_found():
    rng = np.random.default_rng(2)
    found = [debiased_ece(*a_model(2000, rng, wrong=0.1), rng) for _ in range(10)]
    assert 0.06 < np.mean(found) < 0.11


def test_a_fifth_is_true_in_every_group_and_no_row_comes_twice():
    truth = np.array([1] * 60 + [0] * 60 + [1] * 3 + [0] * 90, float)
    groups = np.array([0] * 120 + [1] * 93)
    kept = at_share(truth, groups, np.random.default_rng(3))
    assert len(set(kept)) == len(kept)
    for group in (0, 1):
        inside = kept[groups[kept] == group]
        assert truth[inside].mean() == pytest.approx(0.2)
    assert (groups[kept] == 0).sum() == 75
    assert (groups[kept] == 1).sum() == 15
