"""Folds: which rows a refitted head learns from and which it is judged on; pure."""

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from services.classifier.evaluate.regression import Logistic, Ordinal
from services.classifier.evaluate.rows import same

FOLDS = 10


def fold_of(text: str, folds: int = FOLDS) -> int:
    """Give the fold of a text: the same in every run, and for near copies."""
    digest = hashlib.blake2b(same(text).encode(), digest_size=8).digest()
    return int.from_bytes(digest) % folds


def held_out(
    features: NDArray[np.float64], truth: NDArray[np.int64], parts: Sequence[object]
) -> NDArray[np.float64]:
    """
    Predict every row by a head that was fitted on all parts but its own.

    Args:
        features: (rows, width).
        truth: (rows,) 1 or 0.
        parts: (rows,) fold or domain of each row.

    Returns:
        (rows,) probability of 1; NaN for a part without which one class is missing.
    """
    names = np.array([str(part) for part in parts])
    chance = np.full(len(truth), np.nan)
    for part in np.unique(names):
        inside = names == part
        known = truth[~inside]
        if known.min() != known.max():
            model = Logistic(features[~inside], known.astype(float))
            chance[inside] = model.chance(features[inside])
    return chance


def held_out_levels(
    features: NDArray[np.float64], levels: NDArray[np.int64], parts: Sequence[object]
) -> NDArray[np.float64]:
    """Predict likewise the probability of each level: (rows, levels)."""
    names = np.array([str(part) for part in parts])
    shares = np.zeros((len(levels), int(levels.max()) + 1))
    for part in np.unique(names):
        inside = names == part
        model = Ordinal(features[~inside], levels[~inside])
        found = model.shares(features[inside])
        shares[inside, : found.shape[1]] = found
    return shares
