"""Metrics: the published measures, from true and guessed classes; pure."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Classes = NDArray[np.int64]
Metric = Callable[[Classes, Classes], float]


def recall_by_class(truth: Classes, guess: Classes, classes: int) -> NDArray[np.float64]:
    """Share of the rows of each class that were found; 0 for a class without rows."""
    hits = np.array([((truth == c) & (guess == c)).sum() for c in range(classes)])
    return hits / np.maximum(np.bincount(truth, minlength=classes), 1)


def f1_by_class(truth: Classes, guess: Classes, classes: int) -> NDArray[np.float64]:
    """F1 of each class: 2 hits / (rows of the class + rows called so)."""
    hits = np.array([((truth == c) & (guess == c)).sum() for c in range(classes)])
    both = np.bincount(truth, minlength=classes) + np.bincount(guess, minlength=classes)
    f1: NDArray[np.float64] = 2 * hits / np.maximum(both, 1)
    return f1


def macro_f1(classes: int) -> Metric:
    """Give the mean of the classes' F1 (XLM-T; TweetEval offensive; complaints)."""
    return lambda truth, guess: float(f1_by_class(truth, guess, classes).mean())


def macro_recall(classes: int) -> Metric:
    """Give the mean of the classes' recall (TweetEval and SemEval sentiment)."""
    return lambda truth, guess: float(recall_by_class(truth, guess, classes).mean())


def f1_of_yes(truth: Classes, guess: Classes) -> float:
    """F1 of class 1 alone (TweetEval irony)."""
    return float(f1_by_class(truth, guess, 2)[1])


def kappa(first: Classes, second: Classes) -> float:
    """Cohen's kappa of two annotators: agreement beyond chance; 1 where both say one thing only."""
    classes = int(max(first.max(), second.max())) + 1
    shares = [np.bincount(of, minlength=classes) / len(of) for of in (first, second)]
    chance = float(shares[0] @ shares[1])
    return 1.0 if chance == 1 else (float((first == second).mean()) - chance) / (1 - chance)
