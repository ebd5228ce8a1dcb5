"""services/classifier/engine/native: the encoder in C against the one on CTranslate2 and against torch."""

from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.classifier.engine import SHIPPED, native
from services.classifier.engine.native import NativeEncoder, Unsuitable
from services.classifier.engine.native.weights import read
from services.classifier.engine.portable import PortableEncoder
from tests.shared import ROOT
from uproar.errors import Misconfigured

FOLDER = ROOT / "services/classifier/weights" / SHIPPED
WORDS = read(FOLDER / "model.bin")["encoder/embeddings_0/weight"].shape[0]

here = pytest.mark.skipif(
    native._library() is None,
    reason="the encoder in C was not built, or this processor lacks AVX-512 VNNI",
)


@cache
def shipped() -> NativeEncoder:
    return NativeEncoder(FOLDER)


MANY = st.lists(
    st.integers(1, 128).flatmap(
        lambda size: st.lists(st.integers(0, WORDS - 1), min_size=size, max_size=size)
    ),
    min_size=1,
    max_size=12,
)


@here
@settings(max_examples=60, deadline=None)
@given(MANY, st.randoms())
def test_a_vector_does_not_depend_on_the_neighbours_by_a_single_bit(texts, chance):
    alone = np.concatenate([shipped().encode([ids]) for ids in texts])
    order = list(range(len(texts)))
    chance.shuffle(order)
    assert np.array_equal(shipped().encode([texts[at] for at in order]), alone[order])


@here
@pytest.mark.parametrize("length", [1, 2, 5, 6, 7, 15, 16, 17, 31, 32, 33, 127, 128])
def test_every_length_is_the_same_alone_and_among_others(length):
    rng = np.random.default_rng(length)
    texts = [rng.integers(0, WORDS, size).tolist() for size in (3, length, 40, length, 11)]
    together = shipped().encode(texts)
    assert np.array_equal(together, np.concatenate([shipped().encode([ids]) for ids in texts]))
    assert np.isfinite(together).all()


@here
def test_threads_do_not_disturb_each_other():
    rng = np.random.default_rng(4)
    batches = [
        [rng.integers(0, WORDS, rng.integers(1, 128)).tolist() for _ in range(8)] for _ in range(24)
    ]
    alone = [shipped().encode(batch) for batch in batches]
    with ThreadPoolExecutor(4) as pool:
        for one, other in zip(alone, pool.map(shipped().encode, batches), strict=True):
            assert np.array_equal(one, other)


@here
@pytest.mark.parametrize("length", [4, 16, 30, 61, 128])
def test_it_is_as_near_to_exact_arithmetic_as_ctranslate2_is(length):
    """Both round activations to int8, and a rounding that tips over tips others: compare the errors."""
    rng = np.random.default_rng(length)
    texts = [rng.integers(5, WORDS, length).tolist() for _ in range(4)]
    exact = np.stack([_exact(ids) for ids in texts])
    ours, theirs = shipped().encode(texts), PortableEncoder(FOLDER).encode(texts)
    scale = exact.std()
    assert np.abs(ours - exact).mean() < 1.25 * np.abs(theirs - exact).mean() + 0.002 * scale
    assert np.abs(ours - exact).max() < 0.35 * scale
    for one, other in zip(ours, exact, strict=True):
        assert one @ other / np.linalg.norm(one) / np.linalg.norm(other) > 0.995


def _exact(ids: list[int]) -> np.ndarray:
    """Run the same weights in float64 on torch, nothing rounded."""
    torch = pytest.importorskip("torch", reason="uproar[torch] is not installed")
    stored = read(FOLDER / "model.bin")

    def tensor(name):
        return torch.tensor(np.array(stored[name]), dtype=torch.float64)

    def linear(x, name):
        weight = tensor(f"{name}/weight") / tensor(f"{name}/weight_scale")[:, None]
        return x @ weight.T + tensor(f"{name}/bias")

    def norm(x, name):
        weights = tensor(f"{name}/gamma"), tensor(f"{name}/beta")
        return torch.nn.functional.layer_norm(x, x.shape[-1:], *weights, 1e-12)

    words, heads = "encoder/embeddings_0/weight", int(stored["encoder/num_heads"])
    x = tensor(words)[ids] / tensor(f"{words}_scale")[ids][:, None]
    x = norm(
        x + tensor("encoder/position_encodings/encodings")[: len(ids)],
        "encoder/layernorm_embedding",
    )
    for layer in range(sum(name.endswith("ffn/linear_0/weight") for name in stored)):
        attention, feed = f"encoder/layer_{layer}/self_attention", f"encoder/layer_{layer}/ffn"
        parts = linear(x, f"{attention}/linear_0").chunk(3, dim=1)
        query, key, value = (part.reshape(len(ids), heads, -1).transpose(0, 1) for part in parts)
        mixed = torch.nn.functional.scaled_dot_product_attention(query, key, value)
        x = x + linear(mixed.transpose(0, 1).reshape(x.shape), f"{attention}/linear_1")
        x = norm(x, f"{attention}/layer_norm")
        wide = torch.nn.functional.gelu(linear(x, f"{feed}/linear_0"))
        x = norm(x + linear(wide, f"{feed}/linear_1"), f"{feed}/layer_norm")
    return x.mean(0).numpy()


@here
def test_no_texts_have_no_vectors():
    assert shipped().encode([]).shape == (0, 384)


def test_where_it_was_not_built_it_says_so(monkeypatch):
    native._library.cache_clear()
    monkeypatch.setattr(native, "LIBRARY", Path("/nowhere/encoder.so"))
    with pytest.raises(Unsuitable, match="not built"):
        NativeEncoder(FOLDER)
    monkeypatch.undo()
    native._library.cache_clear()


@here
@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("encoder/activation", np.int8(0), "BERT"),
        ("encoder/pre_norm", np.int8(1), "BERT"),
        ("encoder/num_heads", np.int16(5), "heads"),
        ("encoder/layer_0/ffn/linear_0/weight", np.zeros((100, 384), np.int8), "multiples"),
        ("encoder/layer_0/ffn/linear_0/weight", np.zeros((128, 384), np.float32), "int8"),
    ],
)
def test_a_model_of_another_build_is_left_to_ctranslate2(monkeypatch, name, value, reason):
    stored = dict(read(FOLDER / "model.bin")) | {name: np.asarray(value)}
    monkeypatch.setattr(native, "read", lambda file: stored)
    with pytest.raises(Unsuitable, match=reason):
        NativeEncoder(FOLDER)


@pytest.mark.parametrize("size", [0, 3, 40, 5_000])
def test_weights_that_are_cut_short_are_refused_with_their_name(tmp_path, size):
    (tmp_path / "model.bin").write_bytes((FOLDER / "model.bin").read_bytes()[:size])
    with pytest.raises(Misconfigured, match=r"model\.bin"):
        read(tmp_path / "model.bin")


def test_weights_of_another_version_are_refused(tmp_path):
    (tmp_path / "model.bin").write_bytes(b"\x63\x00\x00\x00" + bytes(64))
    with pytest.raises(Misconfigured, match="version 99"):
        read(tmp_path / "model.bin")


def test_missing_weights_are_refused(tmp_path):
    with pytest.raises(Misconfigured, match=r"model\.bin"):
        read(tmp_path / "model.bin")
