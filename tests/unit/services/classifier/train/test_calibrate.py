"""services/classifier/train/calibrate.py: known answers."""

import numpy as np
import pytest

pytest.importorskip("torch", reason="uproar[torch] is not installed")

from services.classifier.train.batches import Encoded
from services.classifier.train.calibrate import calibrate, platt, temperature, threshold
from services.classifier.train.targets import BINARY, COLUMNS

STREAM = (0.2, 0.4, 0.4)


def labelled(sentiment, binary=None, level=None):
    """Build rows with these labels; what is not given is unknown."""
    rows = len(sentiment)
    unknown = np.full((rows, len(BINARY)), -1, np.float32)
    return Encoded(
        ids=[[0]] * rows,
        sentiment=np.array(sentiment),
        binary=unknown if binary is None else np.array(binary, np.float32),
        level=np.full(rows, -1) if level is None else np.array(level),
    )


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


def test_heads_without_rows_stay_as_they_are_but_for_the_stream():
    found = calibrate(np.ones((2, len(COLUMNS)), np.float32), labelled([-1, -1]), STREAM)
    assert found.scale.tolist() == [1] * len(COLUMNS)
    assert found.shift.tolist() == [*np.log(STREAM), *[0] * (len(COLUMNS) - 3)]
    assert set(found.thresholds.values()) == {0.5}
    assert platt(np.array([1.0]), np.array([1.0])) == (1.0, 0.0)


def test_rows_that_could_not_be_read_do_not_count():
    rows = np.zeros((3, len(COLUMNS)), np.float32)
    rows[0, 0], rows[2, 1] = 3, 3
    rows[1] = np.nan
    binary = [[1] * 5, [1] * 5, [0] * 5]
    found = calibrate(rows, labelled([0, 1, 1], binary, [0, 1, 4]), STREAM)
    assert np.isfinite(found.scale).all()
    assert np.isfinite(found.shift).all()


def test_the_sentiment_is_right_as_often_as_it_says_in_the_stream_it_is_for():
    rng = np.random.default_rng(4)
    truth = rng.choice(3, 60_000, p=STREAM)
    logits = np.zeros((60_000, len(COLUMNS)), np.float32)
    logits[:, :3] = 2.0 * (np.eye(3)[truth] + rng.normal(scale=0.7, size=(60_000, 3)))
    balanced = rng.choice(60_000, 20_000, p=(1 / np.bincount(truth))[truth] / 3)
    found = calibrate(logits[balanced], labelled(truth[balanced]), STREAM)
    shares = np.exp(found.scale[:3] * logits[:, :3] + found.shift[:3])
    negative = (shares / shares.sum(axis=1, keepdims=True))[:, 0]
    for low in (0.1, 0.3, 0.5, 0.7):
        inside = (negative >= low) & (negative < low + 0.2)
        assert (truth[inside] == 0).mean() == pytest.approx(negative[inside].mean(), abs=0.05)


def test_the_threshold_is_where_both_classes_are_found_best():
    truth = np.array([0] * 80 + [1] * 20)
    chance = np.concatenate([np.linspace(0.0, 0.2, 80), np.linspace(0.3, 0.45, 20)])
    assert 0.2 < threshold(chance, truth) <= 0.3
    assert threshold(chance, np.zeros(100, int)) == 0.5
