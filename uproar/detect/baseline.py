"""Baseline: what is usual for a subject - a level, its hours and days, a spread. Not what is too much."""

from typing import Final

import numpy as np

from uproar.detect import budget
from uproar.detect.policy import BEFORE, HOURS_OF, Policy
from uproar.detect.surprise import surprise
from uproar.watch import BIN, BINS, HOURS, MOST_AN_HOUR, SCALE, WEEK, Array, Row, Rows, Some

BINS_AN_HOUR: Final = 60 // BIN
JEFFREYS: Final = 0.5
"""Posts that a rate of which nothing is known is worth: no scale is likelier than another."""
FULL_DAY: Final = 24.0
"""Hours of exposure before which nothing can be called an outlier: everything is learnt."""
BIN_SPREAD: Final = (60 / BIN) ** 0.5
"""How much wider five minutes spread than an hour (counts hang together: it is not 12)."""
_THURSDAY: Final = 3  # of 1 January 1970
_ALL_HOURS: Final = (1 << HOURS) - 1
_MOST_SEASON, _LEAST_SEASON = 5.0, 0.2
_MOST_WEEK, _LEAST_WEEK = 3.0, 0.3
_OUTLIER: Final = 3.0  # standard deviations


def born(w: Rows, to: Array) -> None:
    """Begin to watch subjects at a five-minute number: the running hour is not a whole one."""
    w["bin"] = to
    w["since"] = to // BINS_AN_HOUR + 1


def advance(w: Rows, to: Array, policy: Policy) -> None:
    """
    Move rows on to a five-minute number, in place: settle the five minutes that ended, empty what
    is new in the rings, learn the hours that leave them. However long a subject was silent, at most
    a day of hours is walked through.
    """
    if (w["bin"] == to).all():
        return
    _settle(w, policy, w["bin"] < to)
    age = (to[:, None] - np.arange(BINS)) % BINS
    fresh = age < (to - w["bin"])[:, None]
    w.change("bins_negative")[fresh] = 0.0
    w.change("bins_all")[fresh] = 0.0
    w.change("bins_said")[fresh] = 0
    hour, last = w["bin"] // BINS_AN_HOUR, to // BINS_AN_HOUR
    w["bin"] = to
    behind = np.flatnonzero(hour < last)
    while len(behind):
        part = Some(w, behind)
        silent = ~(
            part["hours_all"].any(axis=1)
            | part["hours_negative"].any(axis=1)
            | (part["hour_all"] != 0)
            | (part["hour_negative"] != 0)
        )
        if silent.any():
            rows = behind[silent]
            _skip(Some(w, rows), hour[rows], last[rows], policy)
            behind = behind[~silent]
        if len(behind):
            hour[behind] += 1
            _enter(Some(w, behind), hour[behind], policy)
            behind = behind[hour[behind] < last[behind]]


def cut(w: Rows, policy: Policy, negative: Array, factor: Array) -> Array:
    """
    Return the share of five minutes' posts that count where one burst must not make a wave.

    Args:
        w: Rows whose usual is known (:func:`rate`).
        policy: How much is a spike.
        negative: Negative posts of five minutes, shape (rows,) or (rows, bins).
        factor: Of their hours, broadcast against it.

    Returns:
        1 where there is no spike, or too little is known to call it one.
    """
    shape = (len(w),) + (1,) * (negative.ndim - 1)
    usual = w["level_negative"][:, 0].astype(np.float64).reshape(shape) * factor * (BIN / 60)
    spread = (w["noise"].astype(np.float64) * BIN_SPREAD).reshape(shape) + policy.drift
    most = usual + policy.spike * np.sqrt(usual + spread * usual**2) + 2
    old = (w["exposure"] >= FULL_DAY).reshape(shape)
    return np.asarray(np.where(old & (negative > most), most / np.maximum(negative, 1e-9), 1.0))


def _settle(w: Rows, policy: Policy, ended: Array) -> None:
    """Add the running five minutes to their hour: they have ended."""
    place = w["bin"] % BINS
    every = np.arange(len(w))
    said = (w["bins_all"][every, place] != 0) | (w["bins_negative"][every, place] != 0)
    rows = np.flatnonzero(ended & said)
    if not len(rows):
        return
    part, place = Some(w, rows), place[rows]
    rate(part, part["bin"] // BINS_AN_HOUR, policy)
    every = np.arange(len(rows))
    negative, posts = part["bins_negative"][every, place], part["bins_all"][every, place]
    share = cut(part, policy, negative.astype(np.float64), part["now"].astype(np.float64))
    part["hour_negative"] = part["hour_negative"] + negative * share
    part["hour_all"] = part["hour_all"] + posts * share
    part.put()


def frozen(w: Rows, minute: Array, policy: Policy) -> Array:
    """Whether an open episode keeps the baseline from learning."""
    open_for = minute - w["opened"]
    return np.asarray((w["level"] > 0) & (open_for < policy.freeze.total_seconds() / 60))


def _skip(w: Some, hour: Array, last: Array, policy: Policy) -> None:
    """Let hours without a post pass behind a day without one: they dilute, and nothing else."""
    known, hours = w["known"].astype(np.int64), last - hour
    leaving = np.minimum(hours, HOURS)
    learnt = np.bitwise_count(known >> (HOURS - leaving)) + np.maximum(hours - HOURS, 0)
    kept = policy.fade**learnt
    w["negative"] = w["negative"] * kept
    w["all"] = w["all"] * kept
    w["exposure"] = w["exposure"] * kept + (1 - kept) / (1 - policy.fade)
    # A row with an open episode is advanced hour by hour: what holds for the first holds for all.
    usual = np.where(frozen(w, (hour + 1) * 60, policy), 0, (1 << leaving) - 1)
    w["known"] = (known << leaving | usual) & _ALL_HOURS
    w["slow"] = np.maximum(w["slow"] - policy.slow_drain * hours, 0.0)
    w["rated"] = 0
    days = last // HOURS - hour // HOURS
    if days.any():
        budget.close_days(w, days, policy)
    w.put()


def _enter(w: Some, hour: Array, policy: Policy) -> None:
    """Begin an hour: keep the one that ended, learn the one of a day ago, whose place it takes."""
    place, rows = hour % HOURS, np.arange(len(w))
    _slowly(w, hour - 1, policy)
    for name in ("negative", "all"):
        kept = np.minimum(w[f"hour_{name}"], MOST_AN_HOUR) / SCALE
        w.change(f"hours_{name}")[rows, (hour - 1) % HOURS] = kept
        w[f"hour_{name}"] = 0.0
    midnight = np.flatnonzero(place == 0)
    if len(midnight):
        part = Some(w, midnight)
        _learn_day(part, hour[midnight] - 1, policy)
        budget.close_days(part, np.ones(len(midnight), np.int64), policy)
        part.put()
    learns = np.flatnonzero((w["known"] >> (HOURS - 1)) & 1)
    if len(learns):
        part = Some(w, learns)
        _learn(part, hour[learns] - HOURS, policy)
        part.put()
    w.change("hours_negative")[rows, place] = 0.0
    w.change("hours_all")[rows, place] = 0.0
    usual = ~frozen(w, hour * 60, policy)
    w["known"] = (w["known"].astype(np.int64) << 1 | usual) & _ALL_HOURS
    w["rated"] = 0
    w.put()


def _slowly(w: Rows, hour: Array, policy: Policy) -> None:
    """Add an hour that ended to the slow sum (a bounded CUSUM of its statistic)."""
    step = np.full(len(w), -policy.slow_drain)
    heard = np.flatnonzero(w["hour_negative"] > 0)
    if len(heard):
        part = Some(w, heard)
        rate(part, hour[heard], policy)
        mean = part["level_negative"][:, -1].astype(np.float64) * part["now"]
        variance = part["unsure"][:, -1].astype(np.float64) + part["noise"] + part["doubt"]
        statistic = surprise(part["hour_negative"].astype(np.float64), mean, 1 / variance)
        statistic = np.where(part["heard_hours"][:, -1] >= FULL_DAY, statistic, 0.0)
        step[heard] += np.minimum(statistic, policy.slow_cap)
        part.put()
    w["slow"] = np.maximum(w["slow"] + step, 0.0)


def _learn(w: Some, hour: Array, policy: Policy) -> None:
    """Learn an hour of a day ago: its counts without outliers, its hour of day."""
    rows, place = np.arange(len(w)), hour % HOURS
    factor = factor_of(w, hour)
    exposure = w["exposure"].astype(np.float64)
    level = (w["negative"] + JEFFREYS) / np.maximum(exposure, 1.0)
    level_all = (w["all"] + JEFFREYS) / np.maximum(exposure, 1.0)
    spread = spread_of(w, policy) + policy.drift
    old = exposure >= FULL_DAY
    negative = w["hours_negative"][rows, place].astype(np.float64) * SCALE
    posts = w["hours_all"][rows, place].astype(np.float64) * SCALE
    negative = np.where(old, np.minimum(negative, outlier_from(level * factor, spread)), negative)
    posts = np.where(old, np.minimum(posts, outlier_from(level_all * factor, spread)), posts)
    mean = level * factor
    fade = policy.fade
    seen = (negative - mean) ** 2 - mean
    slowly = fade ** (1 / 7)  # a spread needs a week to be known
    w["spread"] = np.where(old, w["spread"] * slowly + seen, w["spread"])
    w["spread_weight"] = np.where(old, w["spread_weight"] * slowly + mean**2, w["spread_weight"])
    w.change("season")[rows, place] = _next_season(w, hour, posts, policy)
    w["negative"] = w["negative"] * fade + negative
    w["all"] = w["all"] * fade + posts
    w["exposure"] = exposure * fade + factor


def _next_season(w: Some, hour: Array, posts: Array, policy: Policy) -> Array:
    """Move the factor of an hour of day towards what that hour had, compared with its day."""
    known = (w["known"][:, None] >> np.arange(HOURS)) & 1
    hours = hour[:, None] + HOURS - 1 - np.arange(HOURS)
    heard = np.take_along_axis(w["hours_all"], hours % HOURS, 1).astype(np.float64) * SCALE
    factors = factor_of(w, hours)
    exposure = (factors * known).sum(axis=1) + w["exposure"]
    mean = (w["all"] + (heard * known).sum(axis=1)) / np.maximum(exposure, 1.0)
    mean = mean * _learnt(w["week"], (hour // HOURS + _THURSDAY) % WEEK)
    ratio = (posts + policy.season_prior) / (mean + policy.season_prior)
    ratio = np.clip(ratio, _LEAST_SEASON, _MOST_SEASON)
    before = w["season"][np.arange(len(w)), hour % HOURS].astype(np.float64)
    after = before + policy.season_rate * (ratio - before)
    return np.asarray(np.where(before == 0, (1 + ratio) / 2, after), np.float64)


def _learn_day(w: Some, hour: Array, policy: Policy) -> None:
    """Learn a day of the week at its end, if it was whole and no wave: its posts against the usual."""
    whole = np.bitwise_count(w["known"].astype(np.int64)) >= HOURS - 4
    posts = (w["hours_all"].astype(np.float64) * SCALE).sum(axis=1)
    learns = np.flatnonzero(whole & (posts > 0) & (w["exposure"] >= FULL_DAY))
    if not len(learns):
        return
    part = Some(w, learns)
    day = (hour[learns] // HOURS + _THURSDAY) % WEEK
    level = (part["all"].astype(np.float64) + JEFFREYS) / np.maximum(part["exposure"], 1.0)
    season = _learnt_all(part["season"]).sum(axis=1)
    ratio = (posts[learns] + policy.week_prior) / (level * season + policy.week_prior)
    ratio = np.clip(ratio, _LEAST_WEEK, _MOST_WEEK)
    before = _learnt(part["week"], day)
    part.change("week")[np.arange(len(part)), day] = before + policy.week_rate * (ratio - before)
    part.put()


def factor_of(w: Rows, hour: Array) -> Array:
    """Return the factor of hours since 1970: shape (rows,) or (rows, hours)."""
    season = _learnt(w["season"], hour % HOURS)
    return season * _learnt(w["week"], (hour // HOURS + _THURSDAY) % WEEK)


def _learnt(stored: Array, place: Array) -> Array:
    wanted = place if place.ndim == 2 else place[:, None]
    factor = np.take_along_axis(stored, wanted, 1).astype(np.float64)
    factor = np.where(factor == 0, 1.0, factor)
    return factor if place.ndim == 2 else factor[:, 0]


def _learnt_all(stored: Array) -> Array:
    return np.where(stored == 0, 1.0, stored.astype(np.float64))


def spread_of(w: Rows, policy: Policy) -> Array:
    """Overdispersion of an hour, from what was learnt and the prior."""
    prior = policy.spread_prior
    learnt = (prior * policy.spread + w["spread"]) / (prior + w["spread_weight"].astype(np.float64))
    return np.asarray(np.clip(learnt, 0.01, 5.0))


def outlier_from(mean: Array, spread: Array) -> Array:
    """Return the count above which an hour is an outlier."""
    return np.asarray(mean + _OUTLIER * np.sqrt(mean + spread * mean**2) + 1)


def rate(w: Rows, hour: Array, policy: Policy) -> None:
    """
    Work out what is usual in an hour, for rows whose rings stand in it, unless that is known.

    It holds for the whole hour: all that a window's baseline rests on lies at least an hour back.
    """
    stale = np.flatnonzero(w["rated"] != hour)
    if len(stale):
        part = Some(w, stale)
        _rate(part, hour[stale], policy)
        part["rated"] = hour[stale]
        part.put()


def _rate(w: Some, hour: Array, policy: Policy) -> None:
    hours = hour[:, None] - np.arange(HOURS)
    factors = factor_of(w, hours)
    known = ((w["known"][:, None] >> np.arange(HOURS)) & 1).astype(np.float64)
    spread = spread_of(w, policy)
    noise = spread + policy.drift
    negative = _before(w, "negative", hours, factors=factors, known=known, spread=noise)
    posts = _before(w, "all", hours, factors=factors, known=known, spread=noise)
    heard = w["exposure"][:, None] + _older(factors * known)
    level_all = (posts + JEFFREYS) / heard.clip(1.0)
    visited = np.take_along_axis(w["season"], hour[:, None] % HOURS, 1)[:, 0] != 0
    young = policy.first_day * np.clip(1 - heard / HOURS, 0.0, 1.0)
    w["level_negative"] = (negative + JEFFREYS) / heard.clip(1.0)
    w["level_all"] = level_all
    w["unsure"] = 1 / (negative + JEFFREYS) + young + policy.drift
    w["usual_share"] = (policy.share * policy.share_prior + negative) / (policy.share_prior + posts)
    # Where nothing was heard, it may be that nobody listened.
    w["heard_hours"] = np.where(posts > 0, heard, np.where(heard >= policy.silence, heard, 0.0))
    w["noise"] = spread
    w["doubt"] = 1 / (policy.season_prior + np.where(visited, 3 * level_all[:, 0], 0.0))
    w["now"], w["last"] = factors[:, 0], factors[:, 1]
    w["whole"] = np.cumsum(factors[:, 1:], axis=1)[:, HOURS_OF - 2]


def _before(
    w: Some, name: str, hours: Array, *, factors: Array, known: Array, spread: Array
) -> Array:
    """Return what was heard before each lag, without outliers; shape (rows, lags)."""
    counts = np.take_along_axis(w[f"hours_{name}"], hours % HOURS, 1).astype(np.float64) * SCALE
    exposure = w["exposure"].astype(np.float64)
    level = (w[name] + JEFFREYS) / exposure.clip(1.0)
    most = outlier_from(level[:, None] * factors, spread[:, None])
    counts = np.where((exposure < FULL_DAY)[:, None], counts, np.minimum(counts, most))
    return np.asarray(w[name][:, None] + _older(counts * known))


def _older(hours: Array) -> Array:
    """Sum over the hours that lie before each lag; shape (rows, lags)."""
    from_oldest = np.cumsum(hours[:, ::-1], axis=1)[:, ::-1]
    padded = np.concatenate([from_oldest, np.zeros((len(hours), 1))], axis=1)
    return padded[:, BEFORE]


def disown(row: Row, minutes: int) -> None:
    """Keep the last minutes of a row, up to now, out of the baseline: they belong to a wave."""
    hours = min((minutes + 59) // 60 + 1, HOURS)
    row["known"] = int(row["known"]) & _ALL_HOURS & ~((1 << hours) - 1)
    row["rated"] = 0
