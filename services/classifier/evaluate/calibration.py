"""Calibration: how far a probability is from the frequency it promises, free of chance's share; pure."""

import numpy as np
from numpy.typing import NDArray

BINS = 15
SHARE = 0.2
"""Of negative posts in the stream that is imagined: a fifth."""
_DRAWS = 200


def ece(chance: NDArray[np.float64], truth: NDArray[np.float64], bins: int = BINS) -> float:
    """
    Give the expected calibration error over bins of equal size.

    Args:
        chance: (rows,) predicted probabilities.
        truth: (rows,) 1 or 0.
        bins: How many.
    """
    order = np.argsort(chance, kind="stable")
    gaps = chance[order] - truth[order]
    edges = np.linspace(0, len(gaps), min(bins, len(gaps)) + 1).astype(int)
    sums = np.add.reduceat(gaps, edges[:-1])
    return float(np.abs(sums).sum() / len(gaps))


def debiased_ece(
    chance: NDArray[np.float64], truth: NDArray[np.float64], rng: np.random.Generator
) -> float:
    """
    Give the ECE minus what it would be on average if every probability were exact.

    Even perfect probabilities have an ECE above 0 on few rows; that part says nothing of the model.
    The difference may fall a little below 0.
    """
    perfect = [ece(chance, (rng.random(len(chance)) < chance).astype(float)) for _ in range(_DRAWS)]
    return ece(chance, truth) - float(np.mean(perfect))


def at_share(
    truth: NDArray[np.float64],
    groups: NDArray[np.int64],
    rng: np.random.Generator,
    share: float = SHARE,
) -> NDArray[np.int64]:
    """
    Choose rows, none twice, so that a share of them is true in every group.

    Args:
        truth: (rows,) 1 or 0.
        groups: (rows,) for example the language.
        rng: Where chance comes from.
        share: The share of true rows.

    Returns:
        Row numbers in ascending order.
    """
    kept = []
    for group in np.unique(groups):
        yes = np.flatnonzero((groups == group) & (truth == 1))
        no = np.flatnonzero((groups == group) & (truth == 0))
        wanted = round(len(no) * share / (1 - share))
        if wanted <= len(yes):
            yes = rng.permutation(yes)[:wanted]
        else:
            no = rng.permutation(no)[: round(len(yes) * (1 - share) / share)]
        kept += [yes, no]
    return np.sort(np.concatenate(kept))
