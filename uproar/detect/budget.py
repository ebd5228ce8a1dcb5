"""
Budget: from which statistic on a level is reached, so that chance reaches it as often as asked.

Two layers. The first reads the tail of the subject's own days: a Gumbel law of ln(1 + the greatest
statistic of a day), by statistic, shrunk to a pool while few days are known. The second steers: each
time a level is reached its threshold rises a little, each day it is not reached it sinks a very
little, in the proportion of the budget (adaptive conformal inference, Gibbs and Candes 2021). So
in the long run chance reaches a level as often as asked whatever the law of the days is, because a
correction that stays within its borders can only be the sum of as many rises as sinks.

A day moves a threshold by at most a fifth, so no single day, true or staged, silences a subject.
"""

import math
from typing import Final

import numpy as np

from uproar.detect.policy import ALERT, WATCH, Policy
from uproar.watch import Array, Row, Rows, Some

_EULER: Final = 0.5772
_BETA: Final = math.sqrt(6) / math.pi
"""Scale of a Gumbel law, in standard deviations."""
_MOST_CHANCE: Final = 0.9
MOST_MOVE: Final = math.log(1.2)
"""A day moves a threshold by at most a fifth."""
_BELIEF: Final = (1.0, 0.5, 0.25, 0.125, 0.0625, 0.0)
"""How far a day may be believed."""
CORRECTION_OF: Final = np.array([0, 1, 1])
"""Which correction holds for each level: crisis is too rare to have one of its own."""


def chances(per_day: Array, policy: Policy) -> Array:
    """Return how likely chance may reach each level on a day; shape (rows, levels)."""
    times = np.array([policy.watch, 1.0, policy.crisis])
    return np.asarray(np.minimum(per_day[:, None] * times, _MOST_CHANCE), np.float64)


def allow(w: Rows, per_day: Array, policy: Policy) -> None:
    """Set how many alarms a day are asked of rows, and their thresholds."""
    w["per_day"] = per_day
    set_thresholds(w, policy)


def begin(w: Rows, policy: Policy) -> None:
    """Start the budget of rows of which no day is known."""
    w["mean"], w["deviation"] = np.array(policy.pool_mean), np.array(policy.pool_deviation)
    w["correction"] = policy.windows_apart
    w["busy"] = 1.0


def set_thresholds(w: Rows, policy: Policy) -> None:
    """Work out the thresholds of rows from their days and corrections."""
    w["thresholds"] = _thresholds(w, policy)


def _thresholds(w: Rows, policy: Policy) -> Array:
    """Return the statistic from which each level is reached; (rows, levels, statistics)."""
    mean, deviation = _moments(w, policy)
    beta = _BETA * deviation
    middle = mean - _EULER * beta
    # A day without a post cannot alarm: the others may the more.
    busy = np.maximum(w["busy"].astype(np.float64), policy.least_busy)
    chance = chances(w["per_day"].astype(np.float64), policy) / busy[:, None]
    chance = np.minimum(chance, _MOST_CHANCE)
    rare = -np.log(-np.log1p(-chance))
    steered = w["correction"][:, CORRECTION_OF].astype(np.float64)[:, :, None]
    reached = middle[:, None, :] + beta[:, None, :] * rare[:, :, None]
    # A wide law would let a single alarm move its threshold far.
    reached += np.minimum(beta, policy.most_width)[:, None, :] * steered
    reached = np.expm1(np.minimum(reached, 6.0))
    reached = np.maximum(reached, np.array(policy.floor)[:, None])
    return np.asarray(np.maximum.accumulate(reached, axis=1))


def _moments(w: Rows, policy: Policy) -> tuple[Array, Array]:
    """Return mean and deviation of a row's days, shrunk to the pool."""
    days = w["days"][:, None].astype(np.float64)
    own = days / (days + policy.pool_days)
    pool_mean, pool_deviation = np.array(policy.pool_mean), np.array(policy.pool_deviation)
    mean = own * w["mean"] + (1 - own) * pool_mean
    variance = own * w["deviation"].astype(np.float64) ** 2 + (1 - own) * pool_deviation**2
    return mean, np.sqrt(variance)


def note(w: Rows, statistic: Array) -> None:
    """Keep the greatest statistic of today; shape (rows, statistics)."""
    w["top"] = np.maximum(w["top"], np.log1p(statistic).astype(np.float16))


def close_days(w: Some, days: Array, policy: Policy) -> None:
    """
    End days: today, and those behind it in which nothing was written.

    Args:
        w: The rows.
        days: How many days ended for each, >= 0.
        policy: How fast to learn and to steer.
    """
    places = np.flatnonzero(days > 0)
    if not len(places):
        return
    part = Some(w, places)
    lived = np.asarray(part["top"].any(axis=1))
    _believe(part, lived, policy)
    part["top"] = 0.0
    part["reached"] = 0
    idle = days[places] - 1.0
    part["busy"] = part["busy"] * (1 - 1 / policy.busy_days) ** idle
    chance = _steered(part, policy)
    part["correction"] = _within(part["correction"] - chance * idle[:, None], policy)
    part["thresholds"] = _thresholds(part, policy)
    part.put()


def _believe(w: Some, lived: Array, policy: Policy) -> None:
    """
    Steer by today, and learn it: whole, or only as far as no threshold moves by more than a fifth.

    The steering is never cut: its rises and falls must be of one measure.
    """
    before = _thresholds(w, policy)
    known = w["days"].astype(np.float64)
    new = _learnt(w, lived, policy)
    old = {name: w[name].astype(np.float64) for name in new}
    w["correction"] = _after_today(w, policy)
    w["days"] = np.where(lived, np.minimum(known + 1, policy.memory_days), known)
    left = np.arange(len(w))
    for part in _BELIEF:
        for name in new:
            moved = old[name][left] + part * (new[name][left] - old[name][left])
            w.change(name)[left] = moved
        rest = Some(w, left)
        far = np.abs(np.log(_thresholds(rest, policy) / before[left])) > MOST_MOVE
        left = left[far.any(axis=(1, 2))]
        if not len(left):
            return
    w.change("days")[left] = known[left]


def _learnt(w: Some, lived: Array, policy: Policy) -> dict[str, Array]:
    """Return what is known of the days, with today: its greatest statistics if anything was written."""
    mean, deviation = _moments(w, policy)
    known = w["days"][:, None].astype(np.float64)
    # While little is known a single day weighs more, so it may say less.
    cut = (policy.outlier + known / (known + policy.pool_days)) * deviation
    today = np.clip(w["top"].astype(np.float64), mean - cut, mean + cut)
    share = np.where(lived[:, None], 1 / np.minimum(known + 1, policy.memory_days), 0.0)
    apart = today - w["mean"]
    variance = (1 - share) * (w["deviation"].astype(np.float64) ** 2 + share * apart**2)
    busy = w["busy"].astype(np.float64)
    return {
        "mean": w["mean"] + share * apart,
        "deviation": np.sqrt(variance),
        "busy": busy + (lived - busy) / policy.busy_days,
    }


def _steered(w: Some, policy: Policy) -> Array:
    """
    Return by how much a day without an alarm lowers the corrections; (rows, 2).

    Not where an episode of that level is open: it can raise no alarm, and lower thresholds would
    only keep it open for longer.
    """
    chance = chances(w["per_day"].astype(np.float64), policy)[:, (WATCH, ALERT)]
    chance *= w["level"][:, None] <= np.array([WATCH, ALERT])
    # While the tail is the pool's an alarm says more of the pool than of the correction.
    known = w["days"][:, None].astype(np.float64)
    return np.asarray(policy.steer * known / (known + policy.pool_days) * chance)


def _after_today(w: Some, policy: Policy) -> Array:
    """Return the corrections: up where a level was reached today, down by what was allowed."""
    reached = (w["reached"][:, None] >> np.array([WATCH, ALERT])) & 1
    known = w["days"][:, None].astype(np.float64)
    step = policy.steer * known / (known + policy.pool_days)
    return _within(w["correction"] + step * reached - _steered(w, policy), policy)


def _within(correction: Array, policy: Policy) -> Array:
    return np.clip(correction, policy.least_steer, policy.most_steer)


def rise(row: Row, before: int, after: int) -> None:
    """Note that an episode first reached levels today: from the rank ``before`` (-1: it opens) on."""
    for level in range(before + 1, after + 1):
        row["reached"] |= 1 << level
