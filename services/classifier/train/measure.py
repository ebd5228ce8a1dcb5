"""Measure: the exported engine against rows it has never seen. Point figures only, for the card."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from services.classifier.engine import Engine
from services.classifier.evaluate.metrics import f1_by_class, recall_by_class
from services.classifier.train.data import UNKNOWN, Row
from services.classifier.train.settings import BINARY, SENTIMENT


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured number over ``n`` rows."""

    name: str
    value: float
    n: int


def all_figures(engine: Engine, files: Mapping[str, Sequence[Row]]) -> list[Figure]:
    """Measure every head that a file has labels for; sentiment by language too."""
    found: list[Figure] = []
    for file, rows in files.items():
        scores = engine.score([row.text for row in rows])
        found += _sentiment(file, rows, scores)
        for at, head in enumerate(BINARY):
            column = scores[:, engine.heads.index(head)]
            truth = np.array([row.binary[at] for row in rows])
            known = truth != UNKNOWN
            if known.any():
                guess = (column[known] >= 0.5).astype(int)
                each = f1_by_class(truth[known], guess, 2)
                n = int(known.sum())
                found.append(Figure(f"{file}, {head}: F1", float(each[1]), n))
                found.append(Figure(f"{file}, {head}: macro-F1", float(each.mean()), n))
    return found


def _sentiment(file: str, rows: Sequence[Row], scores: NDArray[np.float32]) -> list[Figure]:
    truth = np.array([row.sentiment for row in rows])
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
