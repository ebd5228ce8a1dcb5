"""Surprise: how improbable a count is, given what is usual and how certain that is."""

import math
from typing import Final

import numpy as np

from uproar.watch import Array

MOST: Final = 300.0
"""Greatest statistic that is told apart."""
_LN10: Final = math.log(10)


def surprise(count: Array, mean: Array, size: Array) -> Array:
    """
    Say how improbable a negative-binomial count is.

    A saddlepoint approximation (Lugannani and Rice, in Barndorff-Nielsen's form): within 0.1 of
    the exact tail, also far out and for counts that are no whole numbers.

    Args:
        count: What was heard.
        mean: What is usual, > 0.
        size: How certain that is: variance = mean + mean^2 / size.

    Returns:
        -log10 P(N >= count), 0 where the count is about the mean or less, at most MOST.
    """
    whole = np.maximum(count, 1.0)  # less than one post is that part of one
    part = np.clip((count - mean) / np.maximum(whole - mean, 1e-9), 0.0, 1.0)
    x = np.where(whole - 0.5 > mean, whole - 0.5, mean * 2)
    tilt = np.log(x * (mean + size) / (mean * (x + size)))
    deviance = x * np.log(x / mean) - (x + size) * np.log((x + size) / (mean + size))
    root = np.sqrt(2 * np.maximum(deviance, 1e-12))
    # Closer to the mean the formula is 0/0, and nothing is strange.
    more = (whole - 0.5 > mean) & (root > 0.01)
    lattice = np.maximum(2 * np.sinh(tilt / 2), 1e-12) * np.sqrt(x * (x + size) / size)
    z = np.maximum(root + np.log(lattice / root) / root, 0.0)
    # -ln of the normal tail beyond z (Sampford's bound, within 1 % from z = 1 on)
    tail = z * z / 2 + 0.5 * np.log(2 * np.pi) - np.log(4 / (3 * z + np.sqrt(z * z + 8)))
    return np.where(more, np.minimum(part * tail / _LN10, MOST), 0.0)


def at_most(count: Array, mean: Array, size: Array) -> Array:
    """
    Return a cheap upper border of :func:`surprise`, to tell where it need not be computed.

    The deviance of a negative binomial above its mean is less than that of a normal law of the same
    variance; one and a half units of log10 cover the prefactor.
    """
    above = np.maximum(np.maximum(count, 1.0) - mean, 0.0)
    border: Array = above * above / (mean + mean * mean / size) * (0.5 / _LN10) + 1.5
    return border
