"""Complaints: heads refitted on frozen vectors: by folds, by domain, and from tweets to reviews."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from services.classifier.evaluate.bench import Bench
from services.classifier.evaluate.figure import Figure
from services.classifier.evaluate.folds import fold_of, held_out, held_out_levels
from services.classifier.evaluate.metrics import macro_f1
from services.classifier.evaluate.published import COMPLAINT, SEVERITY
from services.classifier.evaluate.regression import Logistic
from services.classifier.evaluate.rows import Row

XCI = "labelled/xci_train.jsonl"
REVIEWS = "labelled/cesamard_reviews.jsonl.gz"
_RANDOM = ("random_tweet", "random_reply")
"""42 % of X-CI: no complaints, and easy. They are learned from, never counted as a domain."""
_SAW = "the encoder has seen this set: name one that has not with --blind"
_WHOLE = "published by cross-validation on all 3,449 tweets, of which 2,739 are here"


def refitted(bench: Bench) -> list[Figure]:
    """Measure complaint and severity on X-CI: by ten folds, by domain; and on CESAMARD unseen."""
    rows = bench.read(XCI)
    known = {} if bench.keep is not None else getattr(bench.engine, "held_out", {})
    features = None if known else bench.features([row.text for row in rows])
    if features is None and not known:
        return []
    truth = np.array([int(row.labels["complaint"]) for row in rows])
    levels = np.array([row.labels["complaint_severity"] for row in rows])
    folds = [fold_of(row.text) for row in rows]
    domains = [row.raw["domain"] for row in rows]
    keep = _Answers(bench, known)

    def fitted() -> NDArray[np.float64]:
        if features is None:
            raise KeyError("an answer was not recorded")
        return features

    by_fold = keep("folds", lambda: held_out(fitted(), truth, folds))
    by_domain = keep("domains", lambda: held_out(fitted(), truth, domains))
    by_level = keep("levels", lambda: held_out_levels(fitted(), levels, folds))
    reviews = _reviews(bench.read(REVIEWS))
    unseen = keep("reviews", lambda: _carried_over(bench, fitted(), truth, reviews))
    branded = np.array([domain not in _RANDOM for domain in domains])
    of_reviews = np.array([int(row.labels["complaint"]) for row in reviews])

    saw = "" if bench.blind or known else _SAW
    note = "; ".join(filter(None, (_WHOLE, saw)))
    two = macro_f1(2)
    return [
        bench.figure("complaint, X-CI by folds: macro-F1", two, truth, _yes(by_fold), published=COMPLAINT, note=note),
        bench.figure("complaint, X-CI, one domain left out in turn: macro-F1", two, truth[branded], _yes(by_domain)[branded], note=saw),
        bench.figure("complaint, CESAMARD unseen: macro-F1", two, of_reviews, _yes(unseen), note=saw),
        bench.figure("severity, X-CI by folds: macro-F1", macro_f1(5), levels, by_level.argmax(axis=1), published=SEVERITY, note=note),
    ]  # fmt: skip


class _Answers:
    """Takes an answer from the record where there is one; else works it out and records it."""

    def __init__(self, bench: Bench, known: dict[str, NDArray[np.float64]]) -> None:
        self._bench = bench
        self._known = known

    def __call__(
        self, name: str, work_out: Callable[[], NDArray[np.float64]]
    ) -> NDArray[np.float64]:
        if self._known:
            return self._known[name]
        answer = work_out()
        if self._bench.keep is not None:
            self._bench.keep[name] = answer
        return answer


def _reviews(rows: list[Row]) -> list[Row]:
    return [row for row in rows if isinstance(row.labels.get("complaint"), bool)]


def _carried_over(
    bench: Bench, features: NDArray[np.float64], truth: NDArray[np.int64], reviews: list[Row]
) -> NDArray[np.float64]:
    vectors = bench.features([row.text for row in reviews])
    if vectors is None:
        raise KeyError("the model gives no vectors")
    return Logistic(features, truth.astype(float)).chance(vectors)


def _yes(chance: NDArray[np.float64]) -> NDArray[np.int64]:
    return (chance >= 0.5).astype(np.int64)
