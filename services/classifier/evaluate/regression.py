"""Regression: a head refitted on fixed features. Logistic, with a ridge; no torch; pure."""

import numpy as np
from numpy.typing import NDArray

RIDGE = 3.0
"""Strength of the penalty on the weights of standardised features."""
_STEPS = 30
_STILL = 1e-6

Features = NDArray[np.float64]


class Logistic:
    """Yes or no from a vector (Newton's method; the features are standardised first)."""

    def __init__(
        self, features: Features, truth: NDArray[np.float64], ridge: float = RIDGE
    ) -> None:
        """Fit to (rows, width) features and (rows,) labels, 1 or 0, both of which must occur."""
        self._mean = features.mean(axis=0)
        self._spread = features.std(axis=0) + 1e-9
        rows = self._standard(features)
        penalty = np.full(rows.shape[1], ridge)
        penalty[-1] = 0.0  # not the constant
        self._weight = np.zeros(rows.shape[1])
        self._weight[-1] = np.log((truth.sum() + 0.5) / ((1 - truth).sum() + 0.5))
        for _ in range(_STEPS):
            chance = _logistic(rows @ self._weight)
            slope = rows.T @ (chance - truth) + penalty * self._weight
            bend = (rows * (chance * (1 - chance) + 1e-9)[:, None]).T @ rows + np.diag(penalty)
            step = np.linalg.solve(bend, slope)
            self._weight = self._weight - step
            if np.abs(step).max() < _STILL:
                break

    def chance(self, features: Features) -> NDArray[np.float64]:
        """Give the probability of yes for (rows, width) features."""
        return _logistic(self._standard(features) @ self._weight)

    def _standard(self, features: Features) -> Features:
        scaled = (features - self._mean) / self._spread
        return np.hstack([scaled, np.ones((len(features), 1))])


class Ordinal:
    """A level from a vector: one yes-or-no model for "above this level" (Frank and Hall 2001)."""

    def __init__(self, features: Features, levels: NDArray[np.int64], ridge: float = RIDGE) -> None:
        """Fit to (rows, width) features and (rows,) levels, counted from 0."""
        self._above = [
            Logistic(features, (levels > level).astype(float), ridge)
            for level in range(int(levels.max()))
        ]

    def shares(self, features: Features) -> NDArray[np.float64]:
        """Give the probability of each level, (rows, levels)."""
        above = np.stack([model.chance(features) for model in self._above], axis=1)
        above = np.minimum.accumulate(above, axis=1)  # above a higher level is never likelier
        ends = np.hstack([np.ones((len(above), 1)), above, np.zeros((len(above), 1))])
        return ends[:, :-1] - ends[:, 1:]


def _logistic(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    return (1 + np.tanh(logits / 2)) / 2
