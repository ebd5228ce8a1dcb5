"""services/classifier/train/soft.py: a teacher's opinions, small and without a text."""

import numpy as np
import pytest

from services.classifier.train import soft
from services.classifier.train.targets import COLUMNS
from uproar.errors import Misconfigured


def some(rows, seed=1):
    return np.random.default_rng(seed).normal(size=(rows, len(COLUMNS))).astype(np.float32) * 3


def test_a_row_finds_its_opinion_whatever_the_order(tmp_path):
    first, second = some(3), some(2, 2)
    soft.write(tmp_path / "t.npz", {"a.jsonl": (["1", "2", "3"], first), "b": (["1", "9"], second)})
    found = soft.read(tmp_path / "t.npz", [("b", ["9"]), ("a.jsonl", ["3", "4", "1"])])
    assert found[0] == pytest.approx(second[1], abs=0.01)
    assert found[1] == pytest.approx(first[2], abs=0.01)
    assert np.isnan(found[2]).all()
    assert found[3] == pytest.approx(first[0], abs=0.01)


def test_rows_the_teacher_could_not_read_and_files_it_never_saw_have_none(tmp_path):
    logits = some(2)
    logits[0] = np.nan
    soft.write(tmp_path / "t.npz", {"a": (["1", "2"], logits)})
    assert np.isnan(soft.read(tmp_path / "t.npz", [("a", ["1"]), ("other", ["2"])])).all()


def test_a_hundred_thousand_rows_fit_what_may_be_committed(tmp_path):
    ids = [f"semeval-{at}" for at in range(100_000)]
    soft.write(tmp_path / "t.npz", {"a": (ids, some(100_000))})
    assert (tmp_path / "t.npz").stat().st_size <= 5_000_000


def test_a_file_of_other_heads_or_none_is_refused_with_its_name(tmp_path):
    np.savez(tmp_path / "old.npz", columns=np.array(["negative"]))
    with pytest.raises(Misconfigured, match=r"old\.npz: a teacher of other heads"):
        soft.read(tmp_path / "old.npz", [])
    with pytest.raises(Misconfigured, match=r"none\.npz"):
        soft.read(tmp_path / "none.npz", [])
