"""Hearing: true counts as a model that errs hears them. Pure."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from services.backtest.evaluate.background import Array
from uproar.detector.counted import Minute

_MANY: Final = 12
"""Posts from which the sum of their probabilities is drawn as a normal."""


Law = tuple[float, float]
"""Mean and variance."""


@dataclass(frozen=True, slots=True)
class Ear:
    """
    How a model calls posts.

    Attributes:
        hit, slip: Share of the negative posts, and of the others, that it calls negative (p >= 0.5).
        found, missed: Mean and variance of the probability of a negative post on either side of 0.5.
        mistaken, passed: Those of any other post.
    """

    hit: float
    slip: float
    found: Law
    missed: Law
    mistaken: Law
    passed: Law


SHIPPED: Final = Ear(
    hit=0.686, slip=0.081, found=(0.748, 0.0152), missed=(0.299, 0.0206),
    mistaken=(0.656, 0.0126), passed=(0.092, 0.0141),
)  # fmt: skip
"""The shipped model on 1,996 English posts it was not trained on (TweetEval's sentiment set), as
detection takes its probabilities (:mod:`uproar.prior`)."""
PERFECT: Final = Ear(1.0, 0.0, (1.0, 0.0), (0.0, 0.0), (1.0, 0.0), (0.0, 0.0))
"""A model that never errs: what the anchors of the literature assume."""


class Hearing:
    """Many lanes' ears."""

    def __init__(self, ears: list[Ear], rng: np.random.Generator) -> None:
        self._rng = rng
        self._hit = np.array([ear.hit for ear in ears])
        self._slip = np.array([ear.slip for ear in ears])
        self._found = np.array([ear.found for ear in ears])
        self._missed = np.array([ear.missed for ear in ears])
        self._mistaken = np.array([ear.mistaken for ear in ears])
        self._passed = np.array([ear.passed for ear in ears])

    def hear(self, negative: Array, other: Array) -> Minute:
        """
        Hear true posts.

        Args:
            negative: Negative posts, shape (minutes, lanes).
            other: All others.

        Returns:
            The same shape; a row of it is the ``Minute`` of that minute.
        """
        rng = self._rng
        found = rng.binomial(negative, self._hit) if (self._hit < 1).any() else negative.copy()
        mistaken = rng.binomial(other, self._slip) if (self._slip > 0).any() else 0 * other
        heard = self._sum(found, self._found, 0.5) + self._sum(mistaken, self._mistaken, 0.5)
        heard += self._sum(negative - found, self._missed, 0.0)
        heard += self._sum(other - mistaken, self._passed, 0.0)
        posts, called = negative + other, found + mistaken
        return Minute(heard, posts.astype(np.float32), called.astype(np.int32))

    def _sum(self, count: Array, law: Array, floor: float) -> Array:
        """Draw the sum of so many probabilities between ``floor`` and ``floor`` + 0.5."""
        total = np.zeros(count.shape, dtype=np.float32)
        minute, lane = np.nonzero(count)
        k = count[minute, lane].astype(np.float64)
        mean, variance = law[lane, 0], law[lane, 1]
        value = k * mean
        few = np.flatnonzero((k < _MANY) & (variance > 0))
        # So many equal Betas, summed: a Beta of the same mean and a k-th of the variance.
        part, n = (mean[few] - floor) * 2, k[few]
        weight = n * part * (1 - part) / (4 * variance[few]) - 1
        value[few] = n * (floor + 0.5 * self._rng.beta(part * weight, (1 - part) * weight))
        many = np.flatnonzero((k >= _MANY) & (variance > 0))
        normal = self._rng.standard_normal(len(many))
        drawn = value[many] + normal * np.sqrt(k[many] * variance[many])
        value[many] = np.clip(drawn, k[many] * floor, k[many] * (floor + 0.5))
        total[minute, lane] = value
        return total


def row(heard: Minute, minute: int) -> Minute:
    """Take one minute out of what :meth:`Hearing.hear` returned."""
    return Minute(heard.negative[minute], heard.posts[minute], heard.authors[minute])
