"""Correction: what history teaches of what is usual, and nothing else. No window counts it."""

from typing import Final

import numpy as np

from uproar.detect import baseline
from uproar.detect.baseline import BINS_AN_HOUR, FULL_DAY
from uproar.detect.policy import Policy
from uproar.watch import HOURS, Array, Some

_ROUNDS: Final = 4
"""How often the level is asked anew which hours are outliers: the first time they raise it too."""


def correct(w: Some, hours: Array, negative: Array, posts: Array, policy: Policy) -> None:
    """
    Teach one row the past, in place.

    Posts from before the subject was watched tell that history reaches back so far: the hours since
    are known from now on. A handful of them tells nothing: it would make of a subject that nobody
    listened to one that has long been silent. An hour far beyond the others counts as much as
    theirs may: the past has waves too. What belongs to the open episode teaches nothing.

    Args:
        w: The row, one; its rings stand at the running hour.
        hours: Hours since 1970 in which something was written, in order; (hours,).
        negative: Sum of the probabilities of that to be negative; (hours,).
        posts: How many posts; (hours,).
        policy: How fast the past fades.
    """
    running, since = int(w["bin"][0]) // BINS_AN_HOUR, int(w["since"][0])
    usual = np.ones(len(hours), bool)
    if w["level"][0] > 0:
        usual &= hours < int(w["opened"][0]) // 60 - 1
    early = usual & (hours < since)
    if posts[early].sum() < policy.listened:
        usual &= ~early
    elif early.any():
        oldest = int(hours[early].min())
        _reach_back(w, newest=running - since + 1, oldest=running - oldest, policy=policy)
        w["since"] = oldest
    hours, negative, posts = hours[usual], negative[usual], posts[usual]
    weight = policy.fade ** np.maximum(running - hours - HOURS, 0)
    factor = baseline.factor_of(w, hours[None, :])[0]
    spread = baseline.spread_of(w, policy)
    exposure = float(w["exposure"][0])
    for name, counts in (("negative", negative), ("all", posts)):
        learnt = float(w[name][0])
        taught = weight @ counts
        for _ in range(_ROUNDS if exposure >= FULL_DAY else 0):
            level = (learnt + baseline.JEFFREYS + taught) / exposure
            taught = weight @ np.minimum(counts, baseline.outlier_from(level * factor, spread))
        w[name] = learnt + taught
    w["rated"] = 0


def _reach_back(w: Some, *, newest: int, oldest: int, policy: Policy) -> None:
    """Count the hours of these ages as listened to; no bit: their places in the rings are empty."""
    ages = range(max(newest, 0), oldest + 1)
    w["exposure"] = w["exposure"] + sum(policy.fade ** max(age - HOURS, 0) for age in ages)
