"""Scan: how strange the negative posts of the last 10 minutes to 24 hours are. Not what follows."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from uproar.detect.baseline import Array, Usual, usual
from uproar.detect.policy import BINS_OF, HOURS_OF, Policy
from uproar.watch import BIN, BINS, HOURS, Table

CEILING: Final = 300.0
"""Greatest statistic that is told apart."""


@dataclass(frozen=True, slots=True)
class Scan:
    """
    What was heard and what is usual in each window that ends now; shape (subjects, windows).

    Attributes:
        negative, posts: Heard: negative posts (sum of probabilities) and scored posts.
        statistic: -log10 of the probability that chance gives so many negative posts.
        authors: Distinct authors of negative posts, at most ``AUTHORS``.
    """

    usual: Usual
    negative: Array
    posts: Array
    statistic: Array
    authors: Array


def scan(w: Table, minute: int, policy: Policy) -> Scan:
    """Look at rows whose rings stand at the last minute before ``minute``."""
    expected = usual(w, minute, policy)
    negative = _heard(w["bins_negative"], w["hours_negative"], minute)
    statistic = surprise(negative, expected.negative, 1 / expected.variance)
    written = w["authors_at"][:, None, :] >= (minute - expected.covered)[:, :, None]
    return Scan(
        usual=expected,
        negative=negative,
        posts=np.maximum(_heard(w["bins_all"], w["hours_all"], minute), negative),
        statistic=np.where(expected.known, statistic, 0.0),
        authors=(written & (w["authors"] != 0)[:, None, :]).sum(axis=2),
    )


def _heard(bins: Array, hours: Array, minute: int) -> Array:
    bin_, hour = (minute - 1) // BIN, (minute - 1) // 60
    newest = np.cumsum(bins[:, (bin_ - np.arange(BINS)) % BINS], axis=1, dtype=np.float64)
    longest = np.cumsum(hours[:, (hour - np.arange(HOURS)) % HOURS], axis=1, dtype=np.float64)
    return np.concatenate([newest[:, BINS_OF - 1], longest[:, HOURS_OF - 1]], axis=1)


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
        -log10 P(N >= count), 0 where the count is about the mean or less, at most CEILING.
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
    return np.where(more, np.minimum(part * tail / np.log(10), CEILING), 0.0)
