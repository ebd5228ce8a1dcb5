"""Student: a model of a firehose student's shape with weights by chance, to measure speed and nothing else."""

import json
import shutil
import struct
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.classifier.engine.native.weights import VERSION

LAYERS, WIDTH, FEED, HEADS = 4, 256, 1024, 8
_POSITIONS = 128
_NUMBERS = {np.dtype(np.float32): 0, np.dtype(np.int8): 1, np.dtype(np.int16): 2}


def write(folder: Path, *, like: Path) -> None:
    """
    Write a student into an empty folder.

    Args:
        folder: Where.
        like: A model whose tokeniser and vocabulary it takes.
    """
    for name in ("tokenizer.json", "vocabulary.json", "config.json"):
        shutil.copy(like / name, folder / name)
    words = len(json.loads((like / "vocabulary.json").read_text("utf-8")))
    rng = np.random.default_rng(1)
    (folder / "model.bin").write_bytes(_packed(_variables(rng, words)))
    head = {
        "names": ["negative", "neutral", "positive"],
        "weight": rng.normal(0, 0.1, (3, WIDTH)).round(4).tolist(),
        "bias": [0.0, 0.0, 0.0],
    }
    stored = {"format": 1, "name": "student-by-chance", "groups": [head]}
    (folder / "heads.json").write_text(json.dumps(stored))


def _variables(rng: np.random.Generator, words: int) -> dict[str, NDArray[Any]]:
    found: dict[str, Any] = {
        "encoder/activation": np.int8(3),
        "encoder/embeddings_merge": np.int8(0),
        "encoder/multi_query_attention": np.int8(0),
        "encoder/num_heads": np.int16(HEADS),
        "encoder/pre_norm": np.int8(0),
        "encoder/scale_embeddings": np.int8(0),
        "encoder/position_encodings/encodings": _floats(rng, _POSITIONS, WIDTH),
        **_matrix(rng, "encoder/embeddings_0", words, WIDTH),
        **_norm("encoder/layernorm_embedding"),
    }
    for layer in range(LAYERS):
        attention = f"encoder/layer_{layer}/self_attention"
        feed = f"encoder/layer_{layer}/ffn"
        found |= _linear(rng, f"{attention}/linear_0", 3 * WIDTH, WIDTH)
        found |= _linear(rng, f"{attention}/linear_1", WIDTH, WIDTH)
        found |= _linear(rng, f"{feed}/linear_0", FEED, WIDTH)
        found |= _linear(rng, f"{feed}/linear_1", WIDTH, FEED)
        found |= _norm(f"{attention}/layer_norm") | _norm(f"{feed}/layer_norm")
    return {name: np.asarray(found[name]) for name in sorted(found)}


def _matrix(rng: np.random.Generator, name: str, rows: int, columns: int) -> dict[str, Any]:
    return {
        f"{name}/weight": rng.integers(-127, 128, (rows, columns), dtype=np.int8),
        f"{name}/weight_scale": np.full(rows, 1000, np.float32),
    }


def _linear(rng: np.random.Generator, name: str, rows: int, columns: int) -> dict[str, Any]:
    return {**_matrix(rng, name, rows, columns), f"{name}/bias": _floats(rng, rows)}


def _norm(name: str) -> dict[str, Any]:
    return {
        f"{name}/gamma": np.ones(WIDTH, np.float32),
        f"{name}/beta": np.zeros(WIDTH, np.float32),
    }


def _floats(rng: np.random.Generator, *shape: int) -> NDArray[np.float32]:
    return rng.normal(0, 0.02, shape).astype(np.float32)


def _packed(variables: dict[str, NDArray[Any]]) -> bytes:
    """Write variables as CTranslate2 stores them."""
    parts = [struct.pack("<I", VERSION), _text("TransformerEncoderSpec"), struct.pack("<I", 1)]
    parts.append(struct.pack("<I", len(variables)))
    for name, array in variables.items():
        shape = struct.pack(f"<B{array.ndim}I", array.ndim, *array.shape)
        raw = array.tobytes()
        parts += [_text(name), shape, struct.pack("<BI", _NUMBERS[array.dtype], len(raw)), raw]
    parts.append(struct.pack("<I", 0))  # no names that stand for others
    return b"".join(parts)


def _text(text: str) -> bytes:
    raw = text.encode() + b"\x00"
    return struct.pack("<H", len(raw)) + raw
