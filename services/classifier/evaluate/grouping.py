"""Grouping: what embeddings are for. Pairs that mean the same, and events told apart online; pure."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float32]
MOST_LEADERS = 400
_HEAVIEST = 200


def retrieved(one: Vectors, other: Vectors) -> NDArray[np.bool_]:
    """
    Say of each pair whether its other half is the nearest of all.

    Args:
        one: (pairs, size), of length 1.
        other: The same pairs in the other language.

    Returns:
        (2 pairs,): from one to the other, then back.
    """
    likeness = one @ other.T
    at = np.arange(len(one))
    return np.concatenate([likeness.argmax(axis=1) == at, likeness.argmax(axis=0) == at])


def centred(vectors: Vectors, mean: Vectors) -> Vectors:
    """Take a mean away and give each vector length 1 again."""
    moved = vectors - mean
    unit: Vectors = moved / np.maximum(np.linalg.norm(moved, axis=1, keepdims=True), 1e-9)
    return unit


def led(vectors: Vectors, likeness: float) -> NDArray[np.int64]:
    """
    Group a stream online: a post joins the nearest leader, or becomes one.

    Args:
        vectors: (posts, size), of length 1, in the order of the stream.
        likeness: Cosine from which on a post joins.

    Returns:
        (posts,) number of its group. At most 400 leaders live; the one that heard nothing for
        longest makes place. A leader is the mean of its posts, the last 200 weighing most.
    """
    leaders = np.zeros((MOST_LEADERS, vectors.shape[1]), np.float32)
    weight = np.zeros(MOST_LEADERS)
    heard = np.full(MOST_LEADERS, -1)
    name = np.zeros(MOST_LEADERS, np.int64)
    groups = np.empty(len(vectors), np.int64)
    live = made = 0
    for at, vector in enumerate(vectors):
        close = leaders[:live] @ vector
        best = int(close.argmax()) if live else -1
        if live and close[best] >= likeness:
            weight[best] = min(weight[best] + 1, _HEAVIEST)
            moved = leaders[best] + (vector - leaders[best]) / np.float32(weight[best])
            leaders[best] = moved / max(float(np.linalg.norm(moved)), 1e-9)
        else:
            best = live if live < MOST_LEADERS else int(heard.argmin())
            live = min(live + 1, MOST_LEADERS)
            leaders[best], weight[best], name[best] = vector, 1, made
            made += 1
        heard[best], groups[at] = at, name[best]
    return groups


def best_match_f1(events: Sequence[str], groups: NDArray[np.int64]) -> dict[str, float]:
    """Give for each event the F1 of the group that matches it best."""
    _, event = np.unique(np.asarray(events), return_inverse=True)
    names = sorted(set(events))
    _, group = np.unique(groups, return_inverse=True)
    both = np.zeros((len(names), group.max() + 1))
    np.add.at(both, (event, group), 1)
    sizes = both.sum(axis=1, keepdims=True) + both.sum(axis=0, keepdims=True)
    found = (2 * both / np.maximum(sizes, 1)).max(axis=1)
    return dict(zip(names, found.tolist(), strict=True))
