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
    chance = np.minimum(chances(w["per_day"].astype(np.float64), policy) / busy[:, None], 0.9)
    rare = -np.log(-np.log1p(-chance)) + w["correction"][:, CORRECTION_OF].astype(np.float64)
    reached = np.expm1(np.minimum(middle[:, None, :] + beta[:, None, :] * rare[:, :, None], 6.0))
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
    _steer(part, np.ones(len(part)), policy)
    _learn(part, policy)
    lived, share = part["top"].any(axis=1), 1 / policy.busy_days
    busy = part["busy"] + share * (lived - part["busy"].astype(np.float64))
    part["busy"] = busy * (1 - share) ** (days[places] - 1.0)
    part["top"] = 0.0
    part["reached"] = 0
    _steer(part, days[places] - 1.0, policy)
    part["thresholds"] = _thresholds(part, policy)
    part.put()


def _learn(w: Some, policy: Policy) -> None:
    """Take today's greatest statistics into mean and deviation, if anything was written."""
    lived = np.flatnonzero(w["top"].any(axis=1))
    if not len(lived):
        return
    part = Some(w, lived)
    mean, deviation = _moments(part, policy)
    known = part["days"][:, None].astype(np.float64)
    # While little is known a single day weighs more, so it may say less.
    cut = (policy.outlier + known / (known + policy.pool_days)) * deviation
    today = np.clip(part["top"].astype(np.float64), mean - cut, mean + cut)
    days = np.minimum(part["days"].astype(np.int64) + 1, policy.memory_days)
    share = 1 / days[:, None].astype(np.float64)
    apart = today - part["mean"]
    part["mean"] = part["mean"] + share * apart
    variance = (1 - share) * (part["deviation"].astype(np.float64) ** 2 + share * apart**2)
    part["deviation"] = np.sqrt(variance)
    part["days"] = days
    part.put()


def _steer(w: Some, days: Array, policy: Policy) -> None:
    """Move the corrections: up where a level was reached today, down by what was allowed."""
    chance = chances(w["per_day"].astype(np.float64), policy)[:, (WATCH, ALERT)]
    reached = (w["reached"][:, None] >> np.array([WATCH, ALERT])) & 1
    # While the tail is the pool's an alarm says more of the pool than of the correction.
    known = w["days"][:, None].astype(np.float64)
    step = policy.steer * known / (known + policy.pool_days)
    moved = w["correction"] + step * (reached - chance * days[:, None])
    w["correction"] = np.clip(moved, policy.least_steer, policy.most_steer)


def rise(row: Row, before: int, after: int) -> None:
    """Note that an episode first reached levels today: from the rank ``before`` (-1: it opens) on."""
    for level in range(before + 1, after + 1):
        row["reached"] |= 1 << level
