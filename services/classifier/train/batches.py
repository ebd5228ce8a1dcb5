"""Batches: rows as numbers, and which of them are seen when. Pure but for the tokeniser."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from services.classifier.engine.tokens import Tokeniser
from services.classifier.train.data import Row
from services.classifier.train.targets import BINARY

_CHUNK = 2048  # rows sorted by length together: little padding, still well mixed


@dataclass(frozen=True, slots=True)
class Encoded:
    """
    Rows as numbers.

    Attributes:
        ids: Tokens of each; empty for a row that cannot be read, which is never drawn.
        sentiment: (rows,) class, -1 unknown; ``level`` likewise.
        binary: (rows, heads) 1, 0, -1 unknown.
    """

    ids: list[list[int]]
    sentiment: NDArray[np.int64]
    binary: NDArray[np.float32]
    level: NDArray[np.int64]

    @property
    def lengths(self) -> list[int]:
        """Tokens of each row."""
        return [len(ids) for ids in self.ids]


def encode(rows: Sequence[Row], tokeniser: Tokeniser) -> Encoded:
    """Tokenise rows."""
    return Encoded(
        ids=[ids or [] for ids in tokeniser.encode([row.text for row in rows])],
        sentiment=np.array([row.target.sentiment for row in rows], np.int64),
        binary=np.array([row.target.binary for row in rows], np.float32).reshape(-1, len(BINARY)),
        level=np.array([row.target.level for row in rows], np.int64),
    )


def thinned(
    repeats: Sequence[float], lengths: Sequence[int], most: int | None
) -> NDArray[np.float64]:
    """Scale how often rows are seen, all alike, so that the run sees at most ``most`` rows."""
    wanted = np.asarray(repeats, float)
    total = float((wanted * (np.asarray(lengths) > 0)).sum())
    return wanted if most is None or total <= most else wanted * (most / total)


def plan(
    lengths: Sequence[int], repeats: Sequence[float] | NDArray[np.float64], budget: int,
    rng: np.random.Generator,
) -> list[list[int]]:  # fmt: skip
    """
    Draw the batches of the whole run.

    Args:
        lengths: Tokens of each row; 0 is never drawn.
        repeats: How often each row is to be seen; its fraction is a chance.
        budget: Tokens of a batch, padding included.
        rng: Where chance comes from.

    Returns:
        Row numbers of each batch.
    """
    whole = np.floor(repeats).astype(int)
    times = whole + (rng.random(len(whole)) < np.asarray(repeats) - whole)
    drawn = np.repeat(np.arange(len(lengths)), times * (np.asarray(lengths) > 0))
    rng.shuffle(drawn)
    batches = []
    for start in range(0, len(drawn), _CHUNK):
        chunk = sorted(drawn[start : start + _CHUNK].tolist(), key=lambda row: lengths[row])
        batches += list(packed(chunk, lengths, budget))
    order = rng.permutation(len(batches))
    return [batches[at] for at in order]


def packed(rows: list[int], lengths: Sequence[int], budget: int) -> Iterator[list[int]]:
    """Fill batches with rows, of which the longest comes last."""
    batch: list[int] = []
    for row in rows:
        if batch and (len(batch) + 1) * lengths[row] > budget:
            yield batch
            batch = []
        batch.append(row)
    if batch:
        yield batch
