"""Calibrate: logits and labels -> a scale and a shift per head, so that 0.8 is right 8 times in 10."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from services.classifier.train.settings import BINARY, SENTIMENT

_TEMPERATURES = np.exp(np.linspace(np.log(0.25), np.log(4.0), 400))
_NEWTON_STEPS = 50


@dataclass(frozen=True, slots=True)
class Calibration:
    """``scale * logit + shift``, both (heads,), for each logit of the model."""

    scale: NDArray[np.float64]
    shift: NDArray[np.float64]


def calibrate(
    logits: NDArray[np.float32], sentiment: NDArray[np.int64], binary: NDArray[np.float32]
) -> Calibration:
    """
    Fit one temperature for sentiment (classes weighted alike), Platt's two numbers for each other.

    Args:
        logits: (rows, heads); NaN rows do not count.
        sentiment: (rows,) class or -1.
        binary: (rows, 2) 1, 0 or -1.
    """
    read = ~np.isnan(logits[:, 0])
    classes = len(SENTIMENT)
    scale, shift = np.ones(classes + len(BINARY)), np.zeros(classes + len(BINARY))
    known = read & (sentiment >= 0)
    scale[:classes] = 1 / temperature(logits[known, :classes].astype(float), sentiment[known])
    for at in range(len(BINARY)):
        known = read & (binary[:, at] >= 0)
        scale[classes + at], shift[classes + at] = platt(
            logits[known, classes + at].astype(float), binary[known, at].astype(float)
        )
    return Calibration(scale, shift)


def temperature(logits: NDArray[np.float64], labels: NDArray[np.int64]) -> float:
    """Find the temperature of least cross entropy, every class weighing the same; 1 without rows."""
    if not len(labels):
        return 1.0
    counts = np.bincount(labels, minlength=logits.shape[1])
    weight = 1 / counts[labels]

    def loss(heat: float) -> float:
        cooled = logits / heat
        cooled = cooled - cooled.max(axis=1, keepdims=True)
        picked = cooled[np.arange(len(labels)), labels]
        return float((weight * (np.log(np.exp(cooled).sum(axis=1)) - picked)).sum())

    return float(min(_TEMPERATURES, key=loss))


def platt(logits: NDArray[np.float64], labels: NDArray[np.float64]) -> tuple[float, float]:
    """Fit ``scale, shift`` to Platt's smoothed targets; (1, 0) unless both classes are there."""
    yes, no = labels.sum(), len(labels) - labels.sum()
    if not yes or not no:
        return 1.0, 0.0
    target = np.where(labels > 0, (yes + 1) / (yes + 2), 1 / (no + 2))
    features = np.stack([logits, np.ones_like(logits)], axis=1)

    def loss(guess: NDArray[np.float64]) -> float:
        reached = features @ guess
        return float((np.logaddexp(0, reached) - target * reached).sum())

    found = np.zeros(2)
    for _ in range(_NEWTON_STEPS):
        chance = (1 + np.tanh(features @ found / 2)) / 2
        slope = features.T @ (chance - target)
        bend = (features * (chance * (1 - chance))[:, None]).T @ features + 1e-9 * np.eye(2)
        step = np.linalg.solve(bend, slope)
        while loss(found - step) > loss(found) and np.abs(step).max() > 1e-9:
            step = step / 2  # too far: the curve bends less than it seemed from here
        found = found - step
        if np.abs(step).max() < 1e-9:
            break
    return float(found[0]), float(found[1])
