"""Severity: how bad a wave is, 0..100. First version: how many people, and how unusual that is."""

import math
from typing import Final

CROWD: Final = 10_000.0
"""People beyond the usual at which size alone tells no more."""
TWICE: Final = 2.0
"""Thresholds at which strangeness alone tells no more."""


def severity(*, excess: float, statistic: float, threshold: float) -> int:
    """
    Rate a wave; more people, or a stranger count, never lower it.

    Half of it is size, on a logarithmic scale: 3 people beyond the usual give 8 of 50 points, 100
    give 25, 10,000 give all. Half is strangeness: 25 of 50 points at the paging threshold, all at
    twice that.

    Args:
        excess: Negative posts of distinct authors beyond the usual, in the deciding window.
        statistic: -log10 of the probability that chance gives so many.
        threshold: Statistic from which the paging level is reached.
    """
    size = math.log10(1 + max(excess, 0.0)) / math.log10(1 + CROWD)
    strangeness = max(statistic, 0.0) / (TWICE * threshold)
    return round(50 * min(size, 1.0) + 50 * min(strangeness, 1.0))
