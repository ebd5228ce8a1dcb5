"""services/classifier/train/anchors.py: the base's vectors, less what all posts share."""

import numpy as np
import pytest

pytest.importorskip("torch", reason="uproar[torch] is not installed")

import torch

from services.classifier.train.anchors import anchors
from services.classifier.train.model import untrained
from services.classifier.train.settings import Embedding
from tests.unit.services.classifier.train.tiny import a_base

LENGTHS = (3, 4, 5, 6, 7, 8, 9, 5)


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    folder = a_base(tmp_path_factory.mktemp("base") / "base")
    rows = np.random.default_rng(4).integers(4, 30, size=(len(LENGTHS), max(LENGTHS))).tolist()
    ids = [[0, *row[:length], 2] for row, length in zip(rows, LENGTHS, strict=True)]
    return untrained(folder, list(range(57)), 2), ids


def one_alone(model, row):
    model.eval()
    mask = torch.ones(1, len(row), dtype=torch.long)
    return model.pooled(torch.tensor([row]), mask).detach().numpy()


def likenesses(vectors):
    return vectors.astype(float) @ vectors.T.astype(float)


def test_directions_that_are_skipped_are_gone_and_the_next_ones_take_their_place(base, tmp_path):
    model, ids = base
    wanted = list(range(len(ids)))
    every = np.concatenate([one_alone(model, row) for row in ids])  # an oracle without batches
    unit = every / np.linalg.norm(every, axis=1, keepdims=True)
    left, strength, _ = np.linalg.svd(unit - unit.mean(axis=0), full_matrices=False)
    for skip in (0, 2):
        found = anchors(model, ids, wanted, Embedding(size=3, skip=skip), tmp_path / f"{skip}.npy")
        turned = (left * strength)[:, skip : skip + 3]
        expected = turned / np.linalg.norm(turned, axis=1, keepdims=True)
        assert found.shape == (len(ids), 3)
        np.testing.assert_allclose(likenesses(found), likenesses(expected), atol=0.02)


def test_rows_that_the_run_does_not_see_have_no_anchor(base, tmp_path):
    model, ids = base
    found = anchors(model, ids, [0, 2, 3, 5, 6], Embedding(size=2), tmp_path / "some.npy")
    assert np.flatnonzero(np.abs(found).sum(axis=1)).tolist() == [0, 2, 3, 5, 6]
