"""Background: simulated ordinary life of brands, minute by minute, as real series have it. Pure."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec
import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]

STEP: Final = 5
"""Minutes for which a rate stays the same."""
STEPS_A_DAY: Final = 1440 // STEP
TIMES: Final = (20.0, 180.0, 1440.0)
"""Minutes over which the three parts of the noise are forgotten."""
MONTHS: Final = 45 * 1440.0
"""Minutes over which the slow drift of a level is forgotten."""
MOST_BURST: Final = 100.0
"""A burst's greatest rate, as a multiple of the usual one."""
FOLLOW: Final = 8.0
"""Minutes after which an answer follows, on average."""
SMALL: Final = 100.0
"""Posts an hour above which answers are not drawn one by one: the noise holds them."""


class Temper(msgspec.Struct, frozen=True, kw_only=True):
    """
    How a brand's posts come, its size apart; fitted to a real series (``tempers.json``).

    Attributes:
        name: The series it was fitted to.
        weekday, weekend: Factor of each hour of the day (UTC), mean 1.
        days: Factor of each day of the week, Monday first, mean 1.
        noise: Variance of the log rate that is forgotten within each of ``TIMES``.
        drift: Standard deviation of the log rate's slow random walk.
        bursts: Bursts a day.
        least, tail: Size of a burst's peak as a multiple of the usual rate: a Pareto law.
        minutes: In which a burst fades to 1/e.
        answers: Posts that one post draws within minutes.
    """

    name: str
    weekday: tuple[float, ...]
    weekend: tuple[float, ...]
    days: tuple[float, ...]
    noise: tuple[float, float, float]
    drift: float
    bursts: float
    least: float
    tail: float
    minutes: float
    answers: float

    @property
    def burst_mass(self) -> float:
        """What bursts add to the usual rate, on average."""
        lasting = STEP / (1 - math.exp(-STEP / self.minutes))
        return self.bursts / 1440 * lasting * mean_burst(self.least, self.tail)


class Brand(msgspec.Struct, frozen=True, kw_only=True):
    """
    One brand to simulate.

    Attributes:
        rate: Posts an hour, on average.
        share: Share of them that is negative; ``swing`` is the standard deviation of its logit
            over a day or so.
    """

    name: str
    rate: float
    temper: Temper
    share: float = 0.2
    swing: float = 0.3


def mean_burst(least: float, tail: float) -> float:
    """Return the mean of a Pareto law cut at ``MOST_BURST``."""
    most = MOST_BURST
    if least >= most:
        return most
    body = least * tail / (tail - 1) * (1 - (least / most) ** (tail - 1))
    return float(body + most * (least / most) ** tail)


@dataclass(frozen=True, slots=True)
class Counts:
    """
    True posts of a stretch of minutes; arrays of shape (minutes, lanes).

    Attributes:
        begin: The first minute, since 1970.
    """

    begin: int
    negative: Array
    other: Array


class Background:
    """
    The ordinary life of many brands at once, a day at a time.

    The rate is size x season x exp(noise + drift) + bursts, the count a Poisson draw, and of small
    brands each post may draw answers. A burst has a share of negative posts of its own.
    """

    def __init__(self, brands: Sequence[Brand], begin: int, rng: np.random.Generator) -> None:
        """
        Args:
            brands: One for each lane; a brand may stand in many (replicates).
            begin: First minute, the start of a day, since 1970.
            rng: Chance.
        """
        self._rng, self._minute = rng, begin
        tempers = [brand.temper for brand in brands]
        self._weekday = np.array([t.weekday for t in tempers]).T
        self._weekend = np.array([t.weekend for t in tempers]).T
        self._days = np.array([t.days for t in tempers]).T
        self._rate = np.array([b.rate / (1 + b.temper.burst_mass) for b in brands]) * STEP / 60
        variance = np.array([[*t.noise, t.drift**2] for t in tempers]).T
        times = np.array([*TIMES, MONTHS])[:, None]
        self._keep = np.exp(-STEP / times)
        self._kick = np.sqrt(variance * (1 - self._keep**2))
        self._noise = rng.standard_normal(variance.shape) * np.sqrt(variance)
        self._center = variance.sum(axis=0) / 2
        self._chance = np.array([t.bursts for t in tempers]) / STEPS_A_DAY
        self._least = np.array([t.least for t in tempers])
        self._tail = np.array([t.tail for t in tempers])
        self._fade = np.exp(-STEP / np.array([t.minutes for t in tempers]))
        self._burst = np.zeros((2, len(brands)))  # negative, other
        share = np.array([b.share for b in brands])
        self._share, self._logit = share, np.log(share / (1 - share))
        self._swing = np.array([b.swing for b in brands])
        self._mood = rng.standard_normal(len(brands)) * self._swing
        small = np.array([b.rate for b in brands]) <= SMALL
        self._answers = np.where(small, [t.answers for t in tempers], 0.0)

    def day(self) -> Counts:
        """Simulate the next day."""
        usual, bursts, share = self._rates()
        rng = self._rng
        usual /= 1 + self._answers
        counts = []
        for part, extra in ((share, bursts[:, 0]), (1 - share, bursts[:, 1])):
            rate = np.repeat((usual * part + extra) / STEP, STEP, axis=0)
            counts.append(rng.poisson(rate).astype(np.int32))
        if self._answers.any():
            for count in counts:
                self._answer(count)
        day = Counts(self._minute, counts[0], counts[1])
        self._minute += 1440
        return day

    def _rates(self) -> tuple[Array, Array, Array]:
        """Return usual rate, bursts (negative, other) and share of each step."""
        rng, lanes = self._rng, len(self._rate)
        weekday = (self._minute // 1440 + 3) % 7  # 1970 began on a Thursday
        hours = self._weekend if weekday >= 5 else self._weekday
        season = np.repeat(hours * self._days[weekday], 60 // STEP, axis=0)
        usual = np.empty((STEPS_A_DAY, lanes))
        bursts = np.empty((STEPS_A_DAY, 2, lanes))
        share = np.empty((STEPS_A_DAY, lanes))
        begins = rng.random((STEPS_A_DAY, lanes)) < self._chance
        keep = np.exp(-STEP / TIMES[2])
        kicks = rng.standard_normal((STEPS_A_DAY, 5, lanes), dtype=np.float32)
        for step in range(STEPS_A_DAY):
            self._noise = self._noise * self._keep + self._kick * kicks[step, :4]
            usual[step] = self._noise.sum(axis=0)
            self._mood = self._mood * keep + self._swing * np.sqrt(1 - keep**2) * kicks[step, 4]
            share[step] = self._mood
            self._burst *= self._fade
            self._begin(np.flatnonzero(begins[step]))
            bursts[step] = self._burst
        usual = self._rate * season * np.exp(usual - self._center)
        share = 1 / (1 + np.exp(-(self._logit + share)))
        return usual, bursts * self._rate, share

    def _begin(self, lanes: Array) -> None:
        """Begin a burst in lanes."""
        if len(lanes):
            rng = self._rng
            size = self._least[lanes] * (1 - rng.random(len(lanes))) ** (-1 / self._tail[lanes])
            size = np.minimum(size, MOST_BURST)
            mean = self._share[lanes]
            share = rng.beta(8 * mean, 8 * (1 - mean))
            self._burst[:, lanes] += size * np.stack([share, 1 - share])

    def _answer(self, count: Array) -> None:
        """Let posts of small brands draw answers within minutes, in place."""
        minute, lane = np.nonzero(count)
        drawn = self._rng.poisson(count[minute, lane] * self._answers[lane])
        minute, lane = np.repeat(minute, drawn), np.repeat(lane, drawn)
        after = self._rng.exponential(FOLLOW, len(minute)).astype(np.int64)
        np.add.at(count, (np.minimum(minute + after, len(count) - 1), lane), 1)
