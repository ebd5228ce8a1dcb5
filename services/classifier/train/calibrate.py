"""Calibrate: logits and labels -> a scale and a shift per logit, and thresholds. Pure."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from services.classifier.evaluate.metrics import macro_f1
from services.classifier.train.batches import Encoded
from services.classifier.train.targets import BINARY, COLUMNS, SENTIMENT, UNKNOWN

_TEMPERATURES = np.exp(np.linspace(np.log(0.25), np.log(4.0), 400))
_NEWTON_STEPS = 50
_THREE, _YES = len(SENTIMENT), len(SENTIMENT) + len(BINARY)
_THRESHOLDS = np.arange(0.05, 0.96, 0.01)


@dataclass(frozen=True, slots=True)
class Calibration:
    """
    ``scale * logit + shift``, both (columns,), and from which probability a yes-or-no head holds.

    Attributes:
        stream: Shares of the sentiments that the probabilities are for: divided by them, the
            likeliest class is that of a stream in which all three are equally common.
    """

    scale: NDArray[np.float64]
    shift: NDArray[np.float64]
    thresholds: dict[str, float]
    stream: tuple[float, float, float]


def calibrate(
    logits: NDArray[np.float32], data: Encoded, stream: tuple[float, float, float]
) -> Calibration:
    """
    Fit one temperature for sentiment and one for severity, Platt's two numbers for each other head.

    Sentiment is fitted with all classes weighing the same, then moved to the shares of ``stream``:
    the shift is the logarithm of a class's share. The other heads keep the mix of their rows.

    Args:
        logits: (rows, columns); NaN rows do not count.
        data: What the rows are labelled with.
        stream: Shares of negative, neutral and positive posts.
    """
    read = ~np.isnan(logits[:, 0])
    scale, shift = np.ones(len(COLUMNS)), np.zeros(len(COLUMNS))
    known = read & (data.sentiment != UNKNOWN)
    scale[:_THREE] = 1 / temperature(logits[known, :_THREE].astype(float), data.sentiment[known])
    shift[:_THREE] = np.log(stream)
    known = read & (data.level != UNKNOWN)
    scale[_YES:] = 1 / temperature(logits[known, _YES:].astype(float), data.level[known])
    thresholds = {}
    for at, head in enumerate(BINARY):
        known = read & (data.binary[:, at] >= 0)
        raw, truth = logits[known, _THREE + at].astype(float), data.binary[known, at].astype(float)
        scale[_THREE + at], shift[_THREE + at] = platt(raw, truth)
        chance = (1 + np.tanh((scale[_THREE + at] * raw + shift[_THREE + at]) / 2)) / 2
        thresholds[head] = threshold(chance, truth.astype(np.int64))
    return Calibration(scale, shift, thresholds, stream)


def threshold(chance: NDArray[np.float64], truth: NDArray[np.int64]) -> float:
    """Choose the probability from which on yes gives the best macro-F1: the middle of the best ones."""
    if not len(truth) or truth.min() == truth.max():
        return 0.5
    reached = np.array([macro_f1(2)(truth, (chance >= at).astype(np.int64)) for at in _THRESHOLDS])
    best = _THRESHOLDS[reached >= reached.max() - 1e-9]
    return round(float(best[len(best) // 2]), 2)


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
