"""services/classifier/train/calibrate.py and measure.py: known answers."""

import numpy as np
import pytest

from services.classifier.train.calibrate import calibrate, platt, temperature
from services.classifier.train.measure import f1_by_class, recall_by_class


def test_a_model_that_is_too_sure_is_cooled_by_the_right_factor():
    rng = np.random.default_rng(1)
    logits = rng.normal(size=(20_000, 3))
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    labels = (shares.cumsum(axis=1) < rng.random((20_000, 1))).sum(axis=1)
    assert temperature(logits * 2.5, labels) == pytest.approx(2.5, rel=0.08)


def test_platt_finds_the_scale_and_shift_that_made_the_labels():
    rng = np.random.default_rng(2)
    logits = rng.normal(size=40_000) * 3
    truth = 1 / (1 + np.exp(-(0.5 * logits - 1.0)))
    scale, shift = platt(logits, (rng.random(40_000) < truth).astype(float))
    assert (scale, shift) == (pytest.approx(0.5, abs=0.03), pytest.approx(-1.0, abs=0.05))


def test_heads_without_rows_stay_as_they_are():
    found = calibrate(
        np.ones((2, 5), np.float32), np.array([-1, -1]), np.full((2, 2), -1, np.float32)
    )
    assert found.scale.tolist() == [1] * 5
    assert found.shift.tolist() == [0] * 5
    assert platt(np.array([1.0]), np.array([1.0])) == (1.0, 0.0)


def test_rows_that_could_not_be_read_do_not_count():
    logits = np.array([[3, 0, 0, 1, 1], [np.nan] * 5, [0, 3, 0, -1, -1]], np.float32)
    sentiment = np.array([0, 1, 1])
    found = calibrate(logits, sentiment, np.array([[1, 1], [1, 1], [0, 0]], np.float32))
    assert np.isfinite(found.scale).all()
    assert np.isfinite(found.shift).all()


def test_f1_and_recall_are_those_of_the_textbook():
    truth, guess = np.array([0, 0, 0, 1, 1, 2]), np.array([0, 0, 1, 1, 2, 2])
    assert recall_by_class(truth, guess, 3).tolist() == pytest.approx([2 / 3, 1 / 2, 1])
    assert f1_by_class(truth, guess, 3).tolist() == pytest.approx([4 / 5, 1 / 2, 2 / 3])
