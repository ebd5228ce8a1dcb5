"""Measure: the exported engine against rows it has never seen. Point figures only, for the card."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.classifier.evaluate.metrics import f1_by_class, recall_by_class
from services.classifier.train.data import Row
from services.classifier.train.targets import BINARY, SENTIMENT, SEVERITY, UNKNOWN


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured number over ``n`` rows."""

    name: str
    value: float
    n: int


def all_figures(engine: Any, files: Mapping[str, Sequence[Row]]) -> list[Figure]:
    """Measure every head that a file has labels for; sentiment by language too."""
    found: list[Figure] = []
    for file, rows in files.items():
        scores = engine.score([row.text for row in rows])
        found += _sentiment(
            file, rows, scores / np.array([*engine.shares, *[1] * (scores.shape[1] - 3)])
        )
        for at, head in enumerate(BINARY):
            truth = np.array([row.target.binary[at] for row in rows])
            if head in engine.heads and (truth != UNKNOWN).any():
                column = scores[:, engine.heads.index(head)]
                guess = (np.nan_to_num(column) >= engine.thresholds[head]).astype(int)
                found += _of(f"{file}, {head}", truth, guess)
        levels = np.array([row.target.level for row in rows])
        if SEVERITY in engine.heads and (levels != UNKNOWN).any():
            column = np.nan_to_num(scores[:, engine.heads.index(SEVERITY)])
            error = float(np.abs(column - levels)[levels != UNKNOWN].mean())
            n = int((levels != UNKNOWN).sum())
            found.append(Figure(f"{file}, severity: mean error in levels, by 100", error, n))
    return found


def _of(name: str, truth: NDArray[np.int64], guess: NDArray[np.int64]) -> list[Figure]:
    known = truth != UNKNOWN
    each, n = f1_by_class(truth[known], guess[known], 2), int(known.sum())
    return [
        Figure(f"{name}: F1", float(each[1]), n),
        Figure(f"{name}: macro-F1", float(each.mean()), n),
    ]


def _sentiment(file: str, rows: Sequence[Row], scores: NDArray[np.float64]) -> list[Figure]:
    truth = np.array([row.target.sentiment for row in rows])
    guess = np.where(np.isnan(scores[:, 0]), 1, scores[:, : len(SENTIMENT)].argmax(axis=1))
    langs = np.array([row.lang for row in rows])
    found = []
    for lang in sorted(set(langs[truth != UNKNOWN])):
        at = (langs == lang) & (truth != UNKNOWN)
        f1 = f1_by_class(truth[at], guess[at], len(SENTIMENT))
        name = f"{file}, {lang}, sentiment"
        found.append(Figure(f"{name}: macro-F1", float(f1.mean()), int(at.sum())))
        recall = recall_by_class(truth[at], guess[at], len(SENTIMENT))
        found.append(Figure(f"{name}: macro-recall", float(recall.mean()), int(at.sum())))
    return found
