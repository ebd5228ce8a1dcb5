"""Scan: what was heard in the last 10 minutes to 24 hours, and how strange that is. Not what follows."""

from dataclasses import dataclass

import numpy as np

from uproar.detect.baseline import FULL_DAY, JEFFREYS, cut, rate
from uproar.detect.policy import (
    BINS_OF,
    HOUR,
    HOURS_OF,
    LAG_OF,
    SPAN,
    WATCH,
    WINDOW_OF,
    WINDOWS,
    Policy,
)
from uproar.detect.surprise import at_most, surprise
from uproar.watch import BIN, BINS, HOURS, SCALE, STATISTICS, Array, Rows, Some

_ALONE = np.array([1.0, 1.0, 1.0, 0.75, 0.5, 0.0])
"""How much of the doubt about an hour of day weighs in each window: a day holds every hour."""
_NARROWER = np.sqrt(60 / SPAN)


@dataclass(frozen=True, slots=True)
class Scan:
    """
    What was heard and what is usual in each window that ends now; arrays of shape (rows, windows).

    Attributes:
        negative, posts: Heard: negative posts (sum of probabilities) and scored posts.
        usual_negative, usual_posts, usual_share: Usual.
        variance: Squared relative error of ``usual_negative``, Poisson noise apart.
        covered: Minutes that each window covers, at most as long as its name says; (windows,).
        statistic: -log10 of the probability that chance gives so many negative posts; the slow sum
            last; (rows, statistics).
        flooded: Whether the last hour is beyond every budget; (rows,).
    """

    negative: Array
    posts: Array
    usual_negative: Array
    usual_posts: Array
    usual_share: Array
    variance: Array
    covered: Array
    statistic: Array
    flooded: Array

    def of(self, rows: Array) -> "Scan":
        """Return it for some of the rows."""
        return Scan(
            self.negative[rows],
            self.posts[rows],
            self.usual_negative[rows],
            self.usual_posts[rows],
            self.usual_share[rows],
            self.variance[rows],
            self.covered,
            self.statistic[rows],
            self.flooded[rows],
        )


def scan(w: Rows, minute: int, policy: Policy, *, exact: Array) -> Scan:
    """
    Look at rows whose rings stand at the last minute before ``minute``.

    Args:
        w: The rows.
        minute: First minute that is still open.
        policy: How to look.
        exact: Rows, shape (rows,), whose statistic is wanted whatever it is. Of the others only
            what may reach a level or be the greatest of its day is worked out, and 0 stands else.
    """
    hour, gone = divmod(minute - 1, 60)  # the running hour, and what of it has passed
    gone += 1
    rate(w, np.full(len(w), hour), policy)
    negative, posts = _heard(w, minute, hour, policy)
    covered, weight = _weights(w, minute, gone)
    mean = np.take(w["level_negative"], LAG_OF, axis=1).astype(np.float64) * weight
    variance = (
        np.take(w["unsure"], LAG_OF, axis=1).astype(np.float64)
        + w["doubt"][:, None] * _ALONE
        + w["noise"][:, None] * _NARROWER
    )
    known = np.take(w["heard_hours"], LAG_OF, axis=1) >= np.maximum(policy.learning, SPAN / 60)
    flooded = _flooded(w, minute, mean[:, HOUR], known[:, HOUR], policy)
    known[:, HOUR] |= flooded
    return Scan(
        negative=negative,
        posts=np.maximum(posts, negative),
        usual_negative=mean,
        usual_posts=np.take(w["level_all"], LAG_OF, axis=1).astype(np.float64) * weight,
        usual_share=np.take(w["usual_share"], LAG_OF, axis=1).astype(np.float64),
        variance=variance,
        covered=covered,
        statistic=_statistic(w, negative, mean, variance, known, exact=exact | flooded),
        flooded=flooded,
    )


def _flooded(w: Rows, minute: int, usual: Array, known: Array, policy: Policy) -> Array:
    """
    Whether the last hour is beyond every budget; shape (rows,).

    Of a new subject no usual hour is known: all that was heard before stands for one. Some of it
    must be two hours old, or the flood may be nothing but the start of a collector.
    """
    last = w["bins_negative"].sum(axis=1).astype(np.float64)
    flooded = known & (last >= policy.ceiling_times * usual + policy.ceiling_people)
    new = np.flatnonzero(~known & (last >= policy.ceiling_people))
    if len(new):
        part, hour, place = Some(w, new), (minute - 1) // 60, (minute - 1) // BIN % BINS
        older = (hour - np.arange(2, HOURS)) % HOURS
        heard = part["hours_all"][:, older].astype(np.float64).sum(axis=1) * SCALE
        hours = part["hours_negative"].astype(np.float64).sum(axis=1) * SCALE
        whole = hours + part["hour_negative"] + part["bins_negative"][:, place]
        before = np.maximum(whole - last[new], 0.0) + JEFFREYS
        most = policy.ceiling_times * before + policy.ceiling_people
        flooded[new] = (heard >= policy.listened) & (last[new] >= most)
    return np.asarray(flooded)


def _heard(w: Rows, minute: int, hour: int, policy: Policy) -> tuple[Array, Array]:
    # Gathered by np.take: what indexing by columns returns lies crosswise, and sums of it crawl.
    bin_ = (minute - 1) // BIN
    newest = (bin_ - np.arange(BINS)) % BINS
    negative = np.take(w["bins_negative"], newest, axis=1).astype(np.float64)
    posts = np.take(w["bins_all"], newest, axis=1).astype(np.float64)
    running = np.arange(BINS) <= bin_ % BINS
    factor = np.where(running, w["now"][:, None], w["last"][:, None])
    share = cut(w, policy, negative, factor)
    hours = (hour - np.arange(1, HOURS)) % HOURS
    sums = []
    for counts, name in ((negative, "negative"), (posts, "all")):
        bins = np.cumsum(counts * share, axis=1)[:, BINS_OF - 1]
        bins[:, 0] = counts[:, 0] + counts[:, 1]  # the shortest window takes what comes
        now = w[f"hour_{name}"] + counts[:, 0] * share[:, 0]
        older = (
            np.cumsum(np.take(w[f"hours_{name}"], hours, axis=1), axis=1, dtype=np.float64) * SCALE
        )
        sums.append(np.concatenate([bins, older[:, HOURS_OF - 2] + now[:, None]], axis=1))
    return sums[0], sums[1]


def _weights(w: Rows, minute: int, gone: int) -> tuple[Array, Array]:
    """Return the minutes each window covers, and how many usual hours that is worth."""
    in_bins = BINS_OF * BIN - (BIN - 1 - (minute - 1) % BIN)
    in_hours = HOURS_OF * 60 - (60 - gone)
    this = np.minimum(in_bins, gone)
    now, last = w["now"][:, None].astype(np.float64), w["last"][:, None]
    short = (now * this + last * (in_bins - this)) / 60
    long = w["whole"] + now * gone / 60
    return np.concatenate([in_bins, in_hours]), np.concatenate([short, long], axis=1)


def _statistic(
    w: Rows, negative: Array, mean: Array, variance: Array, known: Array, *, exact: Array
) -> Array:
    """Work out what is wanted of the statistics, where more than usual was heard."""
    statistic = np.zeros((len(w), STATISTICS))
    worth = np.minimum(np.expm1(w["top"].astype(np.float64)), w["thresholds"][:, WATCH, :])
    # Half precision rounds the greatest of today: whatever may be it is worked out.
    likely = at_most(negative, mean, 1 / variance) >= 0.99 * worth[:, :WINDOWS]
    rows, windows = np.nonzero(known & (negative > mean) & (likely | exact[:, None]))
    statistic[rows, windows] = surprise(
        negative[rows, windows], mean[rows, windows], 1 / variance[rows, windows]
    )
    statistic[:, -1] = np.where(w["heard_hours"][:, -1] >= FULL_DAY, w["slow"], 0.0)
    return statistic


def newest_authors(w: Rows, rows: Array, minute: int, covered: Array) -> Array:
    """Count distinct authors of negative posts in each window; shape (rows, windows)."""
    written = w["authors_at"][rows][:, None, :] >= (minute - covered)[:, None]
    return np.asarray((written & (w["authors"][rows] != 0)[:, None, :]).sum(axis=2))


def of_statistics(windows: Array) -> Array:
    """Return what holds of each window for each statistic; shape (rows, statistics)."""
    return np.asarray(windows[:, WINDOW_OF])
