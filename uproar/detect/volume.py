"""Volume: how strange each point of a bare count series is. No subjects, no posts, no state kept."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

import numpy as np

from uproar.detect.surprise import surprise
from uproar.watch import Array

LENGTHS: Final = (timedelta(minutes=5), timedelta(hours=1), timedelta(hours=6))
"""Windows looked at; those shorter than a point are one point long."""
_DAY: Final = timedelta(days=1)
_HALF_LIFE: Final = timedelta(days=2)
_KEPT_DAYS, _POOL_DAYS = 42, 14
_POOL_MEAN, _POOL_SPREAD = 1.32, 0.15  # of ln(1 + daily maximum), for some 300 looks a day
_EULER: Final = 0.5772


@dataclass(frozen=True, slots=True)
class Strangeness:
    """
    What is said of each point of a series; arrays of its length.

    Attributes:
        score: 0..1, higher is stranger; 0.5 where the budget's threshold is reached.
        alarm: The points that raise an alarm: the threshold is reached, and within a day before it
            no point was as strange and no alarm was raised.
    """

    score: Array
    alarm: Array


def strangeness(
    counts: Sequence[float], *, step: timedelta, first_hour: int = 0, alarms_per_day: float
) -> Strangeness:
    """
    Judge a series, each point by those before it.

    Args:
        counts: Evenly spaced, >= 0.
        step: Time from one to the next.
        first_hour: Hour of day of the first.
        alarms_per_day: How often chance may raise an alarm.
    """
    values = np.asarray(counts, dtype=np.float64)
    mean, spread = _usual(values, step, first_hour)
    statistic = np.zeros_like(values)
    for width in sorted({max(1, round(length / step)) for length in LENGTHS}):
        heard, expected = _rolling(values, width), _rolling(mean, width)
        size = width**0.5 / spread
        statistic = np.maximum(statistic, surprise(heard, expected, size))
    day = max(1, round(_DAY / step))
    threshold = _thresholds(statistic, day, alarms_per_day)
    return Strangeness(
        score=statistic / (statistic + threshold), alarm=_alarms(statistic, threshold, day)
    )


def _usual(values: Array, step: timedelta, first_hour: int) -> tuple[Array, Array]:
    """Return the expected value and the overdispersion at each point, learnt from those before."""
    points_an_hour = max(1, round(timedelta(hours=1) / step))
    rate = 1 - 0.5 ** (step / _HALF_LIFE)
    level, spread, season = float(values[:1].sum()), 0.3, np.ones(24)
    mean, spreads = np.empty_like(values), np.empty_like(values)
    heard = usual = 0.0
    for number, value in enumerate(values.tolist()):
        hour = int(first_hour + number * (step / timedelta(hours=1))) % 24
        expected = max(level, 0.01) * season[hour]
        mean[number], spreads[number] = expected, spread
        deviation = math.sqrt(expected + spread * expected**2)
        taken = min(value, expected + 4 * deviation + 1) if number > points_an_hour else value
        level += max(rate, 1 / (number + 1.5)) * (taken / season[hour] - level)
        noise = ((taken - expected) ** 2 - expected) / (expected**2 + 1)
        spread += max(rate, 1 / (number + 10)) * (noise - spread)
        spread = min(max(spread, 0.02), 5.0)
        heard, usual = heard + taken, usual + max(level, 0.01)
        if (number + 1) % points_an_hour == 0:
            ratio = min(max((heard + 2) / (usual + 2), 0.2), 5.0)
            season[hour] += 0.1 * (ratio - season[hour])
            season /= season.mean()
            heard = usual = 0.0
    return mean, spreads


def _rolling(values: Array, width: int) -> Array:
    total = np.concatenate([[0.0], np.cumsum(values)])
    ends = np.arange(1, len(total))
    return np.asarray(total[ends] - total[np.maximum(ends - width, 0)])


def _thresholds(statistic: Array, day: int, alarms_per_day: float) -> Array:
    """
    Return the statistic that a day's maximum exceeds as often as asked, as of each point.

    A Gumbel law of ln(1 + daily maximum), of at most six weeks before, outliers cut, shrunk to what
    is usual for any series.
    """
    chance = min(alarms_per_day, 0.5)
    thresholds = np.empty_like(statistic)
    maxima: list[float] = []
    for begin in range(0, len(statistic), day):
        mean, deviation = _moments(np.array(maxima[-_KEPT_DAYS:]))
        beta = deviation * math.sqrt(6) / math.pi
        quantile = mean - _EULER * beta - beta * math.log(-math.log(1 - chance))
        thresholds[begin : begin + day] = math.expm1(quantile)
        maxima.append(math.log1p(float(statistic[begin : begin + day].max())))
    return thresholds


def _moments(maxima: Array) -> tuple[float, float]:
    days = len(maxima)
    if not days:
        return _POOL_MEAN, _POOL_SPREAD
    middle = float(np.median(maxima))
    apart = 1.4826 * float(np.median(np.abs(maxima - middle)))
    cut = np.minimum(maxima, middle + 3.5 * apart) if apart > 0 else maxima
    own = days / (days + _POOL_DAYS)
    mean = own * float(cut.mean()) + (1 - own) * _POOL_MEAN
    variance = own * float(cut.var()) + (1 - own) * _POOL_SPREAD**2
    return mean, math.sqrt(variance)


def _alarms(statistic: Array, threshold: Array, day: int) -> Array:
    alarms = np.zeros(len(statistic), dtype=bool)
    last = -day
    for number in np.flatnonzero(statistic >= threshold).tolist():
        before = statistic[max(0, number - day) : number]
        if number - last >= day and not (before >= statistic[number]).any():
            alarms[number], last = True, number
    return alarms
