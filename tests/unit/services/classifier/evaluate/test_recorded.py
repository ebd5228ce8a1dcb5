"""services/classifier/evaluate/recorded.py: answers told again without the model, and without a text."""

import numpy as np
import pytest

from services.classifier.evaluate.recorded import Recorded, Recorder
from uproar.errors import Misconfigured


class Small:
    """Scores a text by its length."""

    name = "small"
    heads = ("negative", "neutral", "positive", "complaint")
    thresholds = {"complaint": 0.4}
    marks = ("<", ">")

    def score(self, texts):
        return np.array([[len(text) / 64, 0.25, 0.5, 0.125] for text in texts], np.float32)


@pytest.fixture
def recorded(tmp_path):
    recorder = Recorder(Small())
    recorder.score(["one", "three"])
    recorder.score(["secret words"])
    recorder.held_out["folds"] = np.array([0.5, 0.25])
    recorder.write(tmp_path / "deep" / "answers.npz")
    return tmp_path / "deep" / "answers.npz"


def test_it_answers_as_the_model_did_in_any_order(recorded):
    engine = Recorded(recorded)
    assert np.array_equal(engine.score(["three", "one"]), Small().score(["three", "one"]))
    assert (engine.name, engine.heads, engine.thresholds, engine.marks) == (
        "small", Small.heads, {"complaint": 0.4}, ("<", ">"),
    )  # fmt: skip
    assert engine.held_out["folds"].tolist() == [0.5, 0.25]


def test_what_it_was_never_asked_has_no_score(recorded):
    rows = Recorded(recorded).score(["one", "two", ""])
    assert np.isnan(rows).all(axis=1).tolist() == [False, True, True]


def test_no_text_is_written(recorded):
    with np.load(recorded) as stored:
        assert "secret" not in " ".join(str(stored[key]) for key in stored.files)
    assert b"secret" not in recorded.read_bytes()


def test_a_file_that_is_no_record_is_refused_with_its_name(tmp_path):
    (tmp_path / "x.npz").write_bytes(b"nothing")
    for file in ("x.npz", "none.npz"):
        with pytest.raises(Misconfigured, match=file):
            Recorded(tmp_path / file)
