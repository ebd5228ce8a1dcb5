"""
Rivals: simple detectors beside ours, on the same expected-negative counts. Pure.

Each gives a score to every five minutes; an alarm is a score at or above a threshold. The threshold
of each brand is set with hindsight on simulated years without a crisis, so that it raises as many
alarms as the budget allows: an advantage that ours does not have.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

import numpy as np

from services.backtest.evaluate.background import STEP, STEPS_A_DAY, Array

HOUR: Final = 60 // STEP
WEEK: Final = 7 * STEPS_A_DAY
_HISTORY: Final = 14
"""Days that S-H-ESD looks back."""
_LANES: Final = 200

Rival = Callable[[Array], Array]
"""Counts of shape (steps, lanes) -> scores of the same shape."""


def rolling_sigma(counts: Array) -> Array:
    """Score an hour against mean and deviation of the week before: the 3-sigma rule."""
    hours = _rolling(counts, HOUR)
    mean = _before(_rolling(hours, WEEK), HOUR) / WEEK
    square = _before(_rolling(hours * hours, WEEK), HOUR) / WEEK
    return np.asarray((hours - mean) / (np.sqrt(np.maximum(square - mean**2, 0)) + 0.5))


def day_against_week(counts: Array) -> Array:
    """Score the mean hour of a day against that of a week, in the week's deviations."""
    hours = _rolling(counts, HOUR)
    day = _rolling(hours, STEPS_A_DAY) / STEPS_A_DAY
    mean = _rolling(hours, WEEK) / WEEK
    square = _rolling(hours * hours, WEEK) / WEEK
    return np.asarray((day - mean) / (np.sqrt(np.maximum(square - mean**2, 0)) + 0.5))


def ears_c2(counts: Array) -> Array:
    """Score the last 24 hours against seven days that ended two days ago: CDC's EARS C2."""
    day = _rolling(counts, STEPS_A_DAY)
    before = [_before(day, lag * STEPS_A_DAY) for lag in range(3, 10)]
    mean = sum(before) / len(before)
    square = sum(b * b for b in before) / len(before)
    deviation = np.sqrt(np.maximum(square - mean**2, 0) * 7 / 6)
    return np.asarray((day - mean) / (deviation + 0.5))


def seasonal_esd(counts: Array) -> Array:
    """
    Score an hour's distance from the median of its hour of day, in median absolute deviations.

    The test statistic of S-H-ESD (Twitter's AnomalyDetection), over two weeks.
    """
    hours = _rolling(counts, HOUR)
    blocks = hours[HOUR - 1 :: HOUR]
    scores = np.zeros_like(hours)
    for number in range(_HISTORY * 24, len(blocks)):
        past = blocks[number - _HISTORY * 24 : number].reshape(_HISTORY, 24, -1)
        seasons = np.median(past, axis=0)
        residual = past - seasons
        spread = 1.4826 * np.median(np.abs(residual), axis=(0, 1))
        part = slice(number * HOUR, (number + 1) * HOUR)
        scores[part] = (hours[part] - seasons[0]) / (spread + 0.5)
    return scores


RIVALS: Final[Mapping[str, Rival]] = {
    "rolling 3-sigma": rolling_sigma,
    "24 h > 7 d": day_against_week,
    "EARS C2": ears_c2,
    "S-H-ESD": seasonal_esd,
}
NOMINAL: Final = {"rolling 3-sigma": 3.0, "24 h > 7 d": 2.0, "EARS C2": 3.0, "S-H-ESD": 3.5}
"""The thresholds as published."""


def score(rival: Rival, counts: Array) -> Array:
    """Score many lanes, a few at a time."""
    parts = [
        rival(counts[:, begin : begin + _LANES].astype(np.float64)).astype(np.float32)
        for begin in range(0, counts.shape[1], _LANES)
    ]
    return np.concatenate(parts, axis=1)


def daily_maxima(scores: Array, warm: int) -> Array:
    """Return the greatest score of each day after the warm-up, of all lanes together."""
    days = scores[warm * STEPS_A_DAY :]
    days = days[: len(days) // STEPS_A_DAY * STEPS_A_DAY]
    return np.sort(days.reshape(-1, STEPS_A_DAY, scores.shape[1]).max(axis=1).ravel())[::-1]


def threshold(maxima: Array, alarms_per_day: float) -> float:
    """Return the score that so many days exceed; an alarm keeps silent for a day."""
    allowed = round(alarms_per_day * len(maxima))
    if allowed == 0:
        return float(np.nextafter(maxima[0], np.inf))
    return float(maxima[min(allowed, len(maxima)) - 1])


def delays(
    scores: Array, lanes: Sequence[int], begins: Sequence[int], thresholds: Sequence[float]
) -> list[float]:
    """
    Return the minutes from each onset to the first alarm; infinite when none comes.

    Args:
        scores: Shape (steps, lanes).
        lanes: Of each crisis.
        begins: Minute of its onset, from the start of the scores.
        thresholds: Of its brand.
    """
    found = []
    for lane, begin, least in zip(lanes, begins, thresholds, strict=True):
        first = begin // STEP
        hit = np.flatnonzero(scores[first:, lane] >= least)
        after = (first + hit[0] + 1) * STEP - begin if len(hit) else np.inf
        found.append(float(after) if after <= 1440 else float("inf"))
    return found


def _rolling(values: Array, width: int) -> Array:
    total = np.concatenate([np.zeros((1, values.shape[1])), np.cumsum(values, axis=0)])
    ends = np.arange(1, len(total))
    return np.asarray(total[ends] - total[np.maximum(ends - width, 0)])


def _before(values: Array, steps: int) -> Array:
    """Shift back; what lies before the beginning is 0."""
    shifted = np.zeros_like(values)
    shifted[steps:] = values[: max(len(values) - steps, 0)]
    return shifted
