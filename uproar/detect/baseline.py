"""Baseline: what is usual for a subject - a level, an hour of day, a spread. Not what is too much."""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from uproar.detect.policy import BEFORE, BINS_OF, HOURS_OF, SPAN, Policy
from uproar.watch import BIN, BINS, HOURS, Table

Array = np.ndarray[Any, np.dtype[Any]]

BINS_AN_HOUR: Final = 60 // BIN
JEFFREYS: Final = 0.5
"""Posts that a rate of which nothing is known is worth: no scale is likelier than another."""
FULL_DAY: Final = 24.0
"""Hours of exposure before which nothing can be called an outlier: everything is learnt."""
_ALL_HOURS: Final = (1 << HOURS) - 1
_MOST_SEASON, _LEAST_SEASON = 5.0, 0.2
_OUTLIER: Final = 4.0  # standard deviations


def born(w: Table, to: Array) -> None:
    """Begin to watch subjects at a five-minute number: the running hour is not a whole one."""
    w["bin"] = to
    w["since"] = to // BINS_AN_HOUR + 1


def advance(w: Table, to: Array, policy: Policy) -> None:
    """
    Move rows on to a five-minute number, in place: empty what is new in the rings, learn the hours
    that leave them. However long a subject was silent, at most a day of hours is walked through.
    """
    age = (to[:, None] - np.arange(BINS)) % BINS
    fresh = age < (to - w["bin"])[:, None]
    w["bins_negative"][fresh] = 0.0
    w["bins_all"][fresh] = 0.0
    hour, last = w["bin"] // BINS_AN_HOUR, to // BINS_AN_HOUR
    w["bin"] = to
    behind = np.flatnonzero(hour < last)
    while len(behind):
        silent = ~(w["hours_all"][behind].any(axis=1) | w["hours_negative"][behind].any(axis=1))
        if silent.any():
            _skip(w, behind[silent], hour[behind[silent]], last[behind[silent]], policy)
            behind = behind[~silent]
        if len(behind):
            hour[behind] += 1
            part = w[behind]
            _enter(part, hour[behind], policy)
            w[behind] = part
            behind = behind[hour[behind] < last[behind]]


def frozen(w: Table, minute: Array, policy: Policy) -> Array:
    """Whether an open episode keeps the baseline from learning."""
    open_for = minute - w["opened"]
    return np.asarray((w["level"] > 0) & (open_for < policy.freeze.total_seconds() / 60))


def _skip(w: Table, rows: Array, hour: Array, last: Array, policy: Policy) -> None:
    """Let hours without a post pass behind a day without one: they dilute, and nothing else."""
    known, hours = w["known"][rows].astype(np.int64), last - hour
    leaving = np.minimum(hours, HOURS)
    learnt = np.bitwise_count(known >> (HOURS - leaving)) + np.maximum(hours - HOURS, 0)
    kept = policy.fade**learnt
    w["negative"][rows] *= kept
    w["all"][rows] *= kept
    w["exposure"][rows] = w["exposure"][rows] * kept + (1 - kept) / (1 - policy.fade)
    # A row with an open episode is advanced hour by hour: what holds for the first holds for all.
    usual = np.where(frozen(w[rows], (hour + 1) * 60, policy), 0, (1 << leaving) - 1)
    w["known"][rows] = (known << leaving | usual) & _ALL_HOURS


def _enter(w: Table, hour: Array, policy: Policy) -> None:
    """Begin an hour: learn the one of a day ago, whose place it takes."""
    place, rows = hour % HOURS, np.arange(len(w))
    learns = (w["known"] >> (HOURS - 1)) & 1 == 1
    if learns.any():
        part = w[learns]
        _learn(part, place[learns], policy)
        w[learns] = part
    w["hours_negative"][rows, place] = 0.0
    w["hours_all"][rows, place] = 0.0
    usual = ~frozen(w, hour * 60, policy)
    w["known"] = (w["known"].astype(np.int64) << 1 | usual) & _ALL_HOURS


def _learn(w: Table, place: Array, policy: Policy) -> None:
    """Learn the hour at a place of the ring: its counts without outliers, its hour of day."""
    rows = np.arange(len(w))
    season = _season(w["season"][rows, place])
    level = (w["negative"] + JEFFREYS) / np.maximum(w["exposure"], 1.0)
    level_all = (w["all"] + JEFFREYS) / np.maximum(w["exposure"], 1.0)
    spread = _spread(w, policy) + policy.drift
    old = w["exposure"] >= FULL_DAY
    negative, posts = w["hours_negative"][rows, place], w["hours_all"][rows, place]
    negative = np.where(old, np.minimum(negative, _most(level * season, spread)), negative)
    posts = np.where(old, np.minimum(posts, _most(level_all * season, spread)), posts)
    mean = level * season
    fade = policy.fade
    w["spread"] = np.where(old, w["spread"] * fade + (negative - mean) ** 2 - mean, w["spread"])
    w["spread_weight"] = np.where(old, w["spread_weight"] * fade + mean**2, w["spread_weight"])
    w["season"][rows, place] = _next_season(w, place, posts, policy)
    w["negative"] = w["negative"] * fade + negative
    w["all"] = w["all"] * fade + posts
    w["exposure"] = w["exposure"] * fade + season


def _next_season(w: Table, place: Array, posts: Array, policy: Policy) -> Array:
    """Move the factor of an hour of day towards what that hour had, compared with its day."""
    known = (w["known"][:, None] >> np.arange(HOURS)) & 1
    places = (place[:, None] - 1 - np.arange(HOURS)) % HOURS
    ring = np.take_along_axis(w["hours_all"], places, 1)
    season = _season(np.take_along_axis(w["season"], places, 1))
    hours = (season * known).sum(axis=1) + w["exposure"]
    mean = (w["all"] + (ring * known).sum(axis=1)) / np.maximum(hours, 1.0)
    ratio = (posts + policy.season_prior) / (mean + policy.season_prior)
    ratio = np.clip(ratio, _LEAST_SEASON, _MOST_SEASON)
    before = w["season"][np.arange(len(w)), place].astype(np.float64)
    after: Array = before + policy.season_rate * (ratio - before)
    return np.asarray(np.where(before == 0, (1 + ratio) / 2, after), np.float64)


def _season(stored: Array) -> Array:
    factor = stored.astype(np.float64)
    return np.where(factor == 0, 1.0, factor)


def _spread(w: Table, policy: Policy) -> Array:
    """Overdispersion of an hour, from what was learnt and the prior."""
    prior = policy.spread_prior
    learnt = (prior * policy.spread + w["spread"]) / (prior + w["spread_weight"])
    return np.asarray(np.clip(learnt, 0.02, 5.0))


def _most(mean: Array, spread: Array) -> Array:
    """Return the count above which an hour is an outlier."""
    return np.asarray(mean + _OUTLIER * np.sqrt(mean + spread * mean**2) + 1)


@dataclass(frozen=True, slots=True)
class Usual:
    """
    What is usual in each window that ends now; arrays of shape (subjects, windows).

    Attributes:
        negative, posts: Expected negative posts and posts.
        variance: Squared relative error of ``negative``, Poisson noise apart.
        share: Usual share of negative posts.
        known: Whether enough of the time before the window is known.
        covered: Minutes that the window covers, at most as long as its name says.
    """

    negative: Array
    posts: Array
    variance: Array
    share: Array
    known: Array
    covered: Array


def usual(w: Table, minute: int, policy: Policy) -> Usual:
    """Say what is usual for rows whose rings stand at the last minute before ``minute``."""
    hour, gone = divmod(minute - 1, 60)  # the running hour, and what of it has passed
    gone += 1
    order = (hour - np.arange(HOURS)) % HOURS
    season = _season(w["season"][:, order])
    negative, posts, hours = _before(w, season, order, policy)
    level, level_all = (negative + JEFFREYS) / hours.clip(1.0), (posts + JEFFREYS) / hours.clip(1.0)
    covered, weight = _weights(minute, gone, season)
    visited = w["season"][:, order[0]] != 0
    doubt = 1 / (policy.season_prior + np.where(visited, 3 * level_all[:, 0], 0.0))
    alone = np.array([1.0, 1.0, 1.0, 0.5, 0.0])  # a day holds every hour of day
    young = policy.first_day * np.clip(1 - hours / HOURS, 0.0, 1.0)
    spread = _spread(w, policy)[:, None] * np.sqrt(60 / SPAN)
    return Usual(
        negative=level * weight,
        posts=level_all * weight,
        variance=1 / (negative + JEFFREYS) + doubt[:, None] * alone + young + spread + policy.drift,
        share=(policy.share * policy.share_prior + negative) / (policy.share_prior + posts),
        known=hours >= np.maximum(np.where(posts > 0, policy.learning, policy.silence), SPAN / 60),
        covered=np.broadcast_to(covered, level.shape),
    )


def _before(w: Table, season: Array, order: Array, policy: Policy) -> tuple[Array, Array, Array]:
    """Return negative posts, posts and usual hours before each window, without outliers."""
    known = (w["known"][:, None] >> np.arange(HOURS)) & 1
    sums = []
    for name, ring in (("negative", "hours_negative"), ("all", "hours_all")):
        counts = w[ring][:, order].astype(np.float64)
        level = (w[name] + JEFFREYS) / w["exposure"].clip(1.0)
        most = _most(level[:, None] * season, _spread(w, policy)[:, None] + policy.drift)
        counts = np.where((w["exposure"] < FULL_DAY)[:, None], counts, np.minimum(counts, most))
        sums.append(w[name][:, None] + _older(counts * known))
    return sums[0], sums[1], w["exposure"][:, None] + _older(season * known)


def _older(hours: Array) -> Array:
    """Sum over the hours that lie before each window; shape (subjects, windows)."""
    from_oldest = np.cumsum(hours[:, ::-1], axis=1)[:, ::-1]
    padded = np.concatenate([from_oldest, np.zeros((len(hours), 1))], axis=1)
    return padded[:, BEFORE]


def _weights(minute: int, gone: int, season: Array) -> tuple[Array, Array]:
    """Return the minutes each window covers, and how many usual hours that is worth."""
    in_bins = BINS_OF * BIN - (BIN - 1 - (minute - 1) % BIN)
    in_hours = HOURS_OF * 60 - (60 - gone)
    this = np.minimum(in_bins, gone)
    short = (season[:, :1] * this + season[:, 1:2] * (in_bins - this)) / 60
    whole = np.cumsum(season[:, 1:], axis=1)[:, HOURS_OF - 2]
    long = whole + season[:, :1] * gone / 60
    return np.concatenate([in_bins, in_hours]), np.concatenate([short, long], axis=1)


def disown(row: np.void, minutes: int) -> None:
    """Keep the last minutes of a row, up to now, out of the baseline: they belong to a wave."""
    hours = min((minutes + 59) // 60 + 1, HOURS)
    row["known"] = int(row["known"]) & _ALL_HOURS & ~((1 << hours) - 1)
