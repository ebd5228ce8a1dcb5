"""
Parcel: a base small enough to travel to a machine with a GPU. Exact where the base allows it.

The offline base was rebuilt from 4-bit weights: in every 32 numbers of a row only 16 values occur, a
step times -8 to 7. Such a tensor travels as its steps and half bytes, which is an eighth of single
precision and loses less than half precision does; any other travels in half precision.
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

from uproar.errors import Misconfigured

WORDS = "embeddings.word_embeddings.weight"
_BLOCK = 32
_CLOSE = 0.02  # of a step: what half precision of the product does to it


def pack(base: Path, kept: list[int], file: Path) -> None:
    """
    Write the weights of a base.

    Args:
        base: Folder with ``model.safetensors``.
        kept: Word embeddings to take along; the others arrive as zeros.
        file: An ``.npz``.

    Raises:
        Misconfigured: The base cannot be read.
    """
    try:
        state = load_file(base / "model.safetensors")
    except OSError as error:
        raise Misconfigured(f"base: {base}: {error}") from error
    arrays: dict[str, NDArray[np.generic]] = {
        "kept": np.array(kept, np.int32),
        "words": np.array(len(state[WORDS])),
    }
    for name, tensor in state.items():
        rows = tensor[kept] if name == WORDS else tensor
        steps = quartered(rows) if rows.ndim == 2 and not rows.shape[1] % _BLOCK else None
        if steps is None:
            arrays[f"{name}:plain"] = rows.astype(np.float16)
        else:
            arrays[f"{name}:step"], arrays[f"{name}:halves"] = steps
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("wb") as out:
        np.savez(out, allow_pickle=False, **arrays)


def unpack(file: Path, base: Path) -> None:
    """Write ``model.safetensors`` into a folder, from a parcel."""
    state: dict[str, NDArray[np.float16]] = {}
    with np.load(file, allow_pickle=False) as stored:
        for key in stored.files:
            name, _, kind = key.partition(":")
            if kind == "plain":
                state[name] = stored[key]
            elif kind == "step":
                state[name] = whole(stored[key], stored[f"{name}:halves"])
        words = np.zeros((int(stored["words"]), state[WORDS].shape[1]), np.float16)
        words[stored["kept"]] = state[WORDS]
        state[WORDS] = words
    base.mkdir(parents=True, exist_ok=True)
    save_file(state, base / "model.safetensors")


def quartered(rows: NDArray[np.float16]) -> tuple[NDArray[np.float32], NDArray[np.uint8]] | None:
    """
    Give steps (rows, blocks) and half bytes (rows, width / 2); None if other values occur.

    Args:
        rows: (rows, width), a multiple of 32 wide.
    """
    blocks = rows.astype(np.float32).reshape(len(rows), -1, _BLOCK)
    at = np.abs(blocks).argmax(axis=2)[..., None]
    steps = np.take_along_axis(blocks, at, axis=2) / -8
    steps[steps == 0] = 1
    levels = blocks / steps
    nearest = np.round(levels)
    if np.abs(levels - nearest).max() > _CLOSE or nearest.min() < -8 or nearest.max() > 7:
        return None
    halves = (nearest + 8).astype(np.uint8).reshape(len(rows), -1, 2)
    joined: NDArray[np.uint8] = halves[..., 0] | (halves[..., 1] << np.uint8(4))
    return steps[..., 0].astype(np.float32), joined


def whole(steps: NDArray[np.float32], halves: NDArray[np.uint8]) -> NDArray[np.float16]:
    """Undo :func:`quartered`."""
    levels = np.stack([halves & 15, halves >> 4], axis=-1).reshape(*steps.shape, _BLOCK)
    rows = (levels.astype(np.float32) - 8) * steps[..., None]
    return rows.reshape(len(steps), -1).astype(np.float16)
