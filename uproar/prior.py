"""Prior: what a post says in ordinary talk -> what it says where something may be going on."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

ODDS: Final = 2.0
"""
How much likelier a post is to be a negative one, as odds, when the three sentiments are equally
common than when a fifth of all posts is negative, as in ordinary talk: (1/2) / (1/4).
"""


def blame(negative: float) -> float:
    """
    Give the probability that a post is negative, for who suspects a crisis.

    Models publish what holds in ordinary talk (:class:`uproar.assessment.Scores`). Whether
    something has begun is asked of talk in which it may have: the share of negative posts is a
    third there and not a fifth, the evidence in the post is the same (prior shift: Saerens, Latinne
    and Decaestecker 2002, "Adjusting the outputs of a classifier to new a priori probabilities").

    Args:
        negative: Calibrated for ordinary talk, 0..1.
    """
    return ODDS * negative / (1 + (ODDS - 1) * negative)


def ordinary(blame: float) -> float:
    """Give the probability in ordinary talk behind a :func:`blame`."""
    return blame / (ODDS - (ODDS - 1) * blame)


def suspected(
    negative: NDArray[np.float64], positive: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """
    Do the same with many posts, and with their probabilities to be positive.

    Args:
        negative: float64, shape (posts,); below 0 where there is no score, which stays.
        positive: float64, shape (posts,).
    """
    odd = 1 + (ODDS - 1) * np.maximum(negative, 0.0)
    return np.where(negative < 0, negative, ODDS * negative / odd), positive / odd
