"""
Lexical: the part of an embedding that says which words a post is made of.

What an encoder learns of feelings wears away what it knew of places and names; its word embeddings
were frozen, and still tell one event from another.
"""

from collections.abc import Sequence
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from services.classifier.engine.heads import product, unit
from uproar.errors import Misconfigured

FILE = "lexical.npz"
Floats = NDArray[np.float32]


class Lexical:
    """
    The mean of a post's word embeddings, rare words weighing most, along the directions that tell
    posts apart (after Arora, Liang and Ma 2017, "A simple but tough-to-beat baseline for sentence
    embeddings").

    Args:
        words: (pieces, width); int8 with a ``scale`` of (pieces,), or floats.
        scale: What a stored row was multiplied by; None: nothing.
        file: Written by :mod:`services.classifier.train.lexical`.

    Raises:
        Misconfigured: The file cannot be read, or is of another vocabulary.
    """

    def __init__(self, words: NDArray[np.int8] | Floats, scale: Floats | None, file: Path) -> None:
        try:
            with np.load(file, allow_pickle=False) as stored:
                rarity, self._mean, self._directions = (
                    stored[name].astype(np.float32) for name in ("rarity", "mean", "directions")
                )
        except (OSError, ValueError, KeyError, BadZipFile) as error:
            raise Misconfigured(f"{file}: {error!r}") from error
        if rarity.shape != words.shape[:1] or self._directions.shape[1:] != words.shape[1:]:
            raise Misconfigured(f"{file}: of another vocabulary or width than the model's")
        self._words = words
        self._rarity = rarity
        self._weight = rarity if scale is None else rarity / scale

    def vectors(self, texts: Sequence[Sequence[int] | None]) -> Floats:
        """
        Embed token ids.

        Returns:
            (texts, size), of length 1; NaN for None. A row never depends on the others.
        """
        width = self._words.shape[1]
        means = np.full((len(texts), width), np.nan, np.float32)
        for row, ids in enumerate(texts):
            if ids is not None:
                means[row] = self._meaning(np.asarray(ids[1:-1] or ids))
        return unit(product(means - self._mean, self._directions))

    def _meaning(self, ids: NDArray[np.int64]) -> Floats:
        rows: Floats = (self._words[ids] * self._weight[ids, None]).sum(axis=0)
        mean: Floats = unit((rows / self._rarity[ids].sum())[None])[0]
        return mean


def joined(meanings: Floats, words: Floats) -> Floats:
    """Join what posts mean and what words they are made of: (posts, size) each, weighing the same."""
    return unit(np.concatenate([meanings, words], axis=1))
