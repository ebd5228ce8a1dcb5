"""Lexical: how rare each word piece is in the training rows, and which directions tell rows apart."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

_COMMON = 3
"""Main directions that say nothing of the contents: what all posts share, and their language."""
_EVEN = 0.5
"""Power of a direction's variance that it is divided by: 0 leaves them as they are, 1 makes all alike."""


def learn(
    texts: Sequence[Sequence[int]], words: NDArray[np.float32], size: int, file: Path
) -> None:
    """
    Write what :class:`services.classifier.engine.lexical.Lexical` needs.

    Args:
        texts: Token ids of the training rows, start and end included.
        words: The word embeddings, (pieces, width).
        size: Numbers of a vector.
        file: ``.npz``, in half precision.
    """
    texts = [list(ids[1:-1]) for ids in texts if len(ids) > 2]
    seen = np.zeros(len(words))
    for ids in texts:
        seen[list(set(ids))] += 1
    rarity = np.log((len(texts) + 1) / (seen + 1)).astype(np.float32) + np.float32(1e-3)
    means = np.stack([(words[ids] * rarity[ids, None]).sum(0) / rarity[ids].sum() for ids in texts])
    means /= np.maximum(np.linalg.norm(means, axis=1, keepdims=True), 1e-9)
    centre = means.mean(axis=0)
    strength, turned = np.linalg.eigh(np.cov(means - centre, rowvar=False))  # the largest last
    best = slice(_COMMON, _COMMON + size)
    strength, turned = strength[::-1][best], turned[:, ::-1][:, best]
    directions = (turned / np.maximum(strength, 1e-12) ** (_EVEN / 2)).T
    half = {"rarity": rarity, "mean": centre, "directions": directions}
    np.savez_compressed(file, **{name: part.astype(np.float16) for name, part in half.items()})
