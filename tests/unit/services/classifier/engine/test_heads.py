"""services/classifier/engine/heads.py: the arithmetic after the encoder, on numbers small enough to check."""

import json

import numpy as np
import pytest

from services.classifier.engine.heads import Heads
from uproar.errors import Misconfigured

TRIPLE = {
    "names": ["negative", "neutral", "positive"],
    "weight": [[1, 0], [0, 0], [-1, 0]],
    "bias": [0, 0, 0],
}
ALONE = {"names": ["complaint"], "weight": [[0, 2]], "bias": [-1], "threshold": 0.4}
LEVELS = {
    "names": ["complaint_severity"],
    "weight": [[-9, 0], [0, 0], [0, 0], [0, 0], [9, 0]],
    "bias": [0, -99, -99, -99, 0],
    "levels": [0, 1, 2, 3, 4],
}
POSTS = np.array([[2, 1], [-2, 0], [0, 0.5]], np.float32)


def heads(folder, **changed):
    file = folder / "heads.json"
    groups = [TRIPLE, ALONE, LEVELS]
    file.write_text(json.dumps({"format": 2, "name": "small", "groups": groups} | changed))
    return Heads(file)


def test_a_triple_is_a_softmax_and_a_single_logit_a_logistic_function(tmp_path):
    scores = heads(tmp_path).scores(POSTS)
    e = np.exp([2, 0, -2])
    assert scores[0, :3] == pytest.approx(e / e.sum(), abs=1e-6)
    assert scores[:, 3] == pytest.approx(1 / (1 + np.exp([-1, 1, 0])), abs=1e-6)


def test_levels_give_their_expected_value(tmp_path):
    scores = heads(tmp_path).scores(POSTS)
    assert scores[:, 4] == pytest.approx([4, 0, 2], abs=1e-4)


def test_each_group_has_its_columns_and_its_threshold(tmp_path):
    small = heads(tmp_path)
    assert small.names == ("negative", "neutral", "positive", "complaint", "complaint_severity")
    assert small.thresholds == {"complaint": 0.4}
    assert (small.model, small.width, small.marks) == ("small", 2, None)


def test_a_vector_without_numbers_has_no_scores(tmp_path):
    scores = heads(tmp_path).scores(np.array([[np.nan, np.nan], [2, 1]], np.float32))
    assert np.isnan(scores[0]).all()
    assert not np.isnan(scores[1]).any()


def test_an_embedding_has_length_one_and_goes_through_its_projection(tmp_path):
    plain = heads(tmp_path).embedding(POSTS[:1])
    assert plain[0] == pytest.approx(POSTS[0] / np.sqrt(5), abs=1e-6)
    turned = heads(tmp_path, embedding=[[0, 1], [-1, 0], [0, 0]]).embedding(POSTS[:1])
    assert turned[0] == pytest.approx(np.array([1, -2, 0]) / np.sqrt(5), abs=1e-6)


def test_rows_beyond_a_block_are_the_same_as_alone(tmp_path):
    small = heads(tmp_path)
    many = np.random.default_rng(1).normal(size=(150, 2)).astype(np.float32)
    alone = np.concatenate([small.scores(row[None]) for row in many])
    assert np.array_equal(small.scores(many), alone)
    assert small.scores(many[:0]).shape == (0, 5)


def test_a_file_of_the_first_format_is_still_read(tmp_path):
    old = heads(tmp_path, format=1, groups=[TRIPLE])
    assert old.names == ("negative", "neutral", "positive")


@pytest.mark.parametrize("content", ["", "[]", '{"format": 2}', '{"format": 3, "name": "x"}'])
def test_a_file_that_makes_no_sense_is_refused_with_its_name(tmp_path, content):
    (tmp_path / "heads.json").write_text(content)
    with pytest.raises(Misconfigured, match=r"heads\.json"):
        Heads(tmp_path / "heads.json")
