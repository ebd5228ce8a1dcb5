"""services/classifier/engine/repeats.py: a copy costs nothing, and says what the first one said."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.classifier.engine.repeats import Repeats


class LengthEngine:
    """Scores a text by its length; a text with ``broken`` in it fails the batch, an empty one has none."""

    name, heads = "length", ("negative", "neutral", "positive")
    marks = ("<", ">")

    def __init__(self):
        self.asked = []

    def score(self, texts):
        self.asked += texts
        if any("broken" in text for text in texts):
            raise RuntimeError("out of memory")
        rows = [[len(text) / 100 if text else np.nan] * 3 for text in texts]
        return np.array(rows, np.float32).reshape(-1, 3)


def test_a_copy_is_not_computed_again():
    engine = LengthEngine()
    repeats = Repeats(engine)
    first = repeats.score(["they lost my bag", "so what"])
    second = repeats.score(["so what", "new", "they lost my bag"])
    assert engine.asked == ["they lost my bag", "so what", "new"]
    assert np.array_equal(second[[2, 0]], first)
    assert (repeats.asked, repeats.repeated) == (5, 2)


def test_copies_in_one_batch_are_computed_once():
    engine = LengthEngine()
    rows = Repeats(engine).score(["same", "other", "same", "same"])
    assert engine.asked == ["same", "other"]
    assert np.array_equal(rows[:, 0], np.array([0.04, 0.05, 0.04, 0.04], np.float32))


def test_reposts_that_differ_in_links_and_handles_read_the_same():
    engine = LengthEngine()
    Repeats(engine).score(["RT @anna: see https://a.org/1", "RT @bert_2: see  http://b.org?x"])
    assert len(engine.asked) == 1


def test_what_differs_in_one_letter_is_another_text():
    engine = LengthEngine()
    Repeats(engine).score(["They lost my bag", "they lost my bag", "they lost my bag!"])
    assert len(engine.asked) == 3


def test_the_oldest_that_nobody_asks_for_is_forgotten_first():
    engine = LengthEngine()
    repeats = Repeats(engine, entries=2)
    for text in ("a", "bb", "a", "ccc"):
        repeats.score([text])
    engine.asked.clear()
    assert repeats.score(["a"])[0, 0] == np.float32(0.01)
    assert engine.asked == []
    repeats.score(["bb"])
    assert engine.asked == ["bb"]


def test_a_failed_batch_is_not_remembered():
    engine = LengthEngine()
    repeats = Repeats(engine)
    with pytest.raises(RuntimeError):
        repeats.score(["broken", "fine"])
    repeats.score(["fine"])
    assert engine.asked == ["broken", "fine", "fine"]
    assert repeats.asked == 1


def test_that_a_text_has_no_score_is_remembered_too():
    engine = LengthEngine()
    repeats = Repeats(engine)
    assert np.isnan(repeats.score([""])).all()
    assert np.isnan(repeats.score(["  "])).all()
    assert len(engine.asked) == 1


TEXTS = st.lists(st.sampled_from(["", "a", "A", "bb", "c c", "@x", "@y", "é", "dddd"]))


@given(st.lists(TEXTS, max_size=6), st.integers(1, 5))
def test_it_answers_as_the_engine_would_however_little_it_may_remember(batches, entries):
    repeats = Repeats(LengthEngine(), entries=entries)
    for batch in batches:
        wanted = LengthEngine().score(batch)
        assert np.array_equal(repeats.score(batch), wanted, equal_nan=True)
    assert len(repeats._slots) <= entries
