"""services/classifier/engine/dequantised.py: the same file in floats says what int8 says."""

import csv

import numpy as np
import pytest

pytest.importorskip("torch", reason="uproar[torch] is not installed")

from services.classifier.engine import SHIPPED
from services.classifier.engine.dequantised import DequantisedEncoder
from services.classifier.engine.int8 import Int8Engine
from tests.shared import ROOT
from uproar.errors import Misconfigured

FOLDER = ROOT / "services/classifier/weights" / SHIPPED
CHECK = ROOT / "tests/unit/services/classifier/engine/check.tsv"


@pytest.fixture(scope="module")
def texts():
    with CHECK.open(encoding="utf-8") as lines:
        return [row["text"] for row in csv.DictReader(lines, delimiter="\t", quoting=3)]


def test_it_agrees_with_int8_but_for_what_rounding_costs(texts):
    floats = Int8Engine(FOLDER, encoder="dequantised")
    integers = Int8Engine(FOLDER, encoder="portable")
    assert floats.encoder == "dequantised"
    one, other = floats.pooled(texts), integers.pooled(texts)
    likeness = (
        (one * other).sum(axis=1) / np.linalg.norm(one, axis=1) / np.linalg.norm(other, axis=1)
    )
    assert likeness.min() > 0.995
    scores, rounded = floats.score(texts), integers.score(texts)
    assert np.abs(scores - rounded).mean() < 0.02
    assert (scores[:, :3].argmax(axis=1) == rounded[:, :3].argmax(axis=1)).mean() > 0.95


def test_it_can_read_what_int8_can_read():
    engine = Int8Engine(FOLDER, encoder="dequantised")
    scores = engine.score(["hello there", "", "日本語のテキスト"])
    assert np.isnan(scores[:, 0]).tolist() == [False, True, True]


def test_neighbours_change_the_last_digits_at_most(texts):
    engine = Int8Engine(FOLDER, encoder="dequantised")
    alone = np.concatenate([engine.score([text]) for text in texts[:20]])
    assert np.abs(engine.score(texts)[:20] - alone).max() < 1e-4


def test_a_gpu_that_is_not_there_is_said(monkeypatch):
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(Misconfigured, match="sees no GPU"):
        DequantisedEncoder(FOLDER, device="cuda")
