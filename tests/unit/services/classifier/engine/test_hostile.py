"""Hostile text: whatever people write is scored or has no score (what it costs: tests/bench)."""

import unicodedata

import numpy as np
import pytest

from services.classifier.engine import SHIPPED
from services.classifier.engine.int8 import Int8Engine
from services.classifier.engine.native import Unsuitable
from services.classifier.engine.repeats import Repeats
from services.classifier.engine.tokens import MAX_TOKENS, Tokeniser
from tests.hostile import HOSTILE, PLAIN
from tests.shared import ROOT

FOLDER = ROOT / "services/classifier/weights" / SHIPPED


@pytest.fixture(scope="module", params=["native", "portable"])
def engine(request):
    try:
        return Int8Engine(FOLDER, encoder=request.param, threads=2)
    except Unsuitable as reason:
        pytest.skip(str(reason))


@pytest.mark.parametrize("kind", HOSTILE)
def test_it_is_scored_or_has_no_score(engine, kind):
    (row,) = engine.score([HOSTILE[kind]])
    most = np.where(np.array(engine.heads) == "complaint_severity", 4, 1)
    assert np.isnan(row).all() or ((row >= 0) & (row <= most)).all()


def test_it_leaves_its_neighbours_their_scores(engine):
    texts = [text for hostile in HOSTILE.values() for text in (hostile, PLAIN)]
    for scorer in (engine, Repeats(engine)):
        rows = scorer.score(texts)
        assert np.array_equal(rows[1::2], np.repeat(engine.score([PLAIN]), len(HOSTILE), axis=0))
        for row, text in zip(rows[::2], HOSTILE.values(), strict=True):
            assert np.array_equal(row, engine.score([text])[0], equal_nan=True)


@pytest.mark.parametrize("kind", HOSTILE)
def test_it_is_never_more_than_the_longest_post(kind):
    ids = Tokeniser(FOLDER / "tokenizer.json").encode([HOSTILE[kind]])[0]
    assert ids is None or 1 <= len(ids) <= MAX_TOKENS


def test_composed_and_decomposed_letters_read_the_same(engine):
    text = "Très déçue, réponse bâclée à l’aéroport"
    one, other = engine.score([unicodedata.normalize(form, text) for form in ("NFC", "NFD")])
    assert np.array_equal(one, other)
