"""services/classifier/train/parcel.py: a base that travels arrives as it was."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import load_file, save_file

from services.classifier.train.parcel import WORDS, pack, quartered, unpack, whole
from tests.shared import SHARED
from uproar.errors import Misconfigured


def four_bit(rows, seed):
    """Make (rows, 64) numbers of which every 32 are a step times -8 to 7, with -8 among them."""
    rng = np.random.default_rng(seed)
    levels = rng.integers(-7, 8, size=(rows, 2, 32))
    levels[..., 5] = -8
    steps = rng.normal(scale=0.02, size=(rows, 2, 1))
    return (levels * steps).reshape(rows, 64).astype(np.float16)


@given(st.integers(0, 1000))
def test_four_bit_weights_arrive_as_they_were(seed):
    rows = four_bit(5, seed)
    steps, halves = quartered(rows)
    assert halves.nbytes == rows.nbytes / 4
    assert np.abs(whole(steps, halves) - rows).max() <= np.abs(rows).max() * 2e-3


def test_other_weights_are_not_squeezed():
    assert quartered(np.random.default_rng(1).normal(size=(4, 64)).astype(np.float16)) is None


def test_a_row_of_zeros_stays_one():
    assert not whole(*quartered(np.zeros((2, 32), np.float16))).any()


def test_words_that_are_kept_arrive_and_the_others_are_zero(tmp_path):
    words, other = four_bit(6, 1), np.random.default_rng(2).normal(size=(3, 64)).astype(np.float16)
    (tmp_path / "base").mkdir()
    save_file(
        {WORDS: words, "x.weight": other, "x.bias": other[0]}, tmp_path / "base/model.safetensors"
    )
    pack(tmp_path / "base", [0, 4], tmp_path / "p.npz")
    unpack(tmp_path / "p.npz", tmp_path / "there")
    state = load_file(tmp_path / "there" / "model.safetensors")
    assert state[WORDS][[0, 4]] == pytest.approx(words[[0, 4]], abs=2e-4)
    assert not state[WORDS][[1, 2, 3, 5]].any()
    assert np.array_equal(state["x.weight"], other)
    assert np.array_equal(state["x.bias"], other[0])


def test_a_base_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(Misconfigured, match="base"):
        pack(tmp_path, [0], tmp_path / "p.npz")


@pytest.mark.skipif(SHARED is None, reason="../shared is absent")
def test_the_offline_base_is_four_bit_throughout():
    state = load_file(SHARED / "models/multilingual-e5-small/model.safetensors")
    for name in (WORDS, "encoder.layer.11.output.dense.weight"):
        rows = state[name][:2000]
        assert np.abs(whole(*quartered(rows)) - rows).max() < 1e-3, name
