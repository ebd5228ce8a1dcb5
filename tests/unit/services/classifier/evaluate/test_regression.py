"""services/classifier/evaluate/regression.py and folds.py: heads refitted on what they may see."""

import numpy as np
import pytest

from services.classifier.evaluate.folds import FOLDS, fold_of, held_out, held_out_levels
from services.classifier.evaluate.regression import Logistic, Ordinal

RNG = np.random.default_rng(5)
ROWS = RNG.normal(size=(600, 5))
ODDS = 1.5 * ROWS[:, 0] - 1.0 * ROWS[:, 1] + 0.5
TRUTH = (RNG.random(600) < 1 / (1 + np.exp(-ODDS))).astype(int)


def test_it_finds_the_chances_that_made_the_labels():
    rows = np.random.default_rng(6).normal(size=(5000, 5))
    true = 1 / (1 + np.exp(-1.5 * rows[:, 0] + rows[:, 1] - 0.5))
    truth = (np.random.default_rng(7).random(5000) < true).astype(float)
    chance = Logistic(rows, truth).chance(rows)
    assert np.abs(chance - true).mean() < 0.02
    assert chance.mean() == pytest.approx(truth.mean(), abs=1e-3)


def test_rows_that_can_be_told_apart_wholly_do_not_break_it():
    features = np.array([[-1.0], [-2], [1], [2]])
    chance = Logistic(features, np.array([0, 0, 1, 1.0])).chance(features)
    assert np.isfinite(chance).all()
    assert (chance[:2] < 0.5).all()
    assert (chance[2:] > 0.5).all()


def test_scale_and_origin_of_the_features_do_not_matter():
    one = Logistic(ROWS, TRUTH.astype(float)).chance(ROWS)
    other = Logistic(ROWS * 1e4 + 7, TRUTH.astype(float)).chance(ROWS * 1e4 + 7)
    assert one == pytest.approx(other, abs=1e-5)


def test_levels_have_shares_that_sum_to_one_and_grow_with_the_feature():
    levels = np.clip(np.round(ROWS[:, 0] + 2), 0, 4).astype(int)
    shares = Ordinal(ROWS, levels).shares(ROWS)
    assert shares.shape == (600, 5)
    assert shares.sum(axis=1) == pytest.approx(np.ones(600))
    assert (shares >= -1e-12).all()
    assert np.corrcoef(shares @ np.arange(5), levels)[0, 1] > 0.9


def test_a_row_is_judged_by_a_head_that_never_saw_its_part():
    features = np.concatenate([np.eye(4)[:, :2], np.eye(4)[:, :2]])  # noise, but for one part
    parts = ["a"] * 4 + ["b"] * 4
    truth = np.array([0, 1, 0, 1, 1, 0, 1, 0])  # the two parts contradict each other
    chance = held_out(features, truth, parts)
    assert ((chance > 0.5).astype(int) != truth).sum() >= 4
    seen = Logistic(features, truth.astype(float)).chance(features)
    assert not np.allclose(chance, seen)


def test_a_part_without_which_only_one_class_is_left_has_no_answer():
    chance = held_out(ROWS[:6], np.array([0, 0, 1, 0, 0, 0]), ["a", "a", "b", "c", "c", "c"])
    assert np.isnan(chance[2])
    assert not np.isnan(np.delete(chance, 2)).any()


def test_levels_are_predicted_by_part_too():
    levels = np.clip(np.round(ROWS[:, 0] + 1), 0, 2).astype(int)
    shares = held_out_levels(ROWS, levels, list(range(10)) * 60)
    assert (shares.argmax(axis=1) == levels).mean() > 0.8


def test_near_copies_are_in_one_fold_and_the_folds_are_alike():
    assert fold_of("Where is my bag?") == fold_of("where is my bag 😡 https://e.org/1")
    sizes = np.bincount([fold_of(f"post {at}") for at in range(3000)], minlength=FOLDS)
    assert sizes.min() > 230
