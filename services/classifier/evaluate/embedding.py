"""Embedding: English-French paraphrases of our own, and the events of CrisisLex told apart online."""

import csv
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from services.classifier.evaluate.bench import Bench
from services.classifier.evaluate.figure import Figure, bootstrap
from services.classifier.evaluate.grouping import best_match_f1, centred, led, retrieved
from services.classifier.evaluate.published import LEADER

PAIRS = Path(__file__).parent / "paraphrases.tsv"
CRISES = "labelled/crisislex_t26.jsonl.gz"
_ON_TOPIC = ("informative", "related_not_informative")
_THRESHOLDS = np.arange(0.2, 0.85, 0.05)


def pairs(file: Path = PAIRS) -> list[tuple[str, str]]:
    """Read our pairs: English, French."""
    with file.open(encoding="utf-8") as lines:
        rows = csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE)
        return [(row["en"], row["fr"]) for row in rows]


def paraphrases(bench: Bench) -> list[Figure]:
    """Measure how often the nearest of 200 sentences is the one that means the same."""
    both = pairs()
    english = bench.embeddings([one for one, _ in both])
    french = bench.embeddings([other for _, other in both])
    if english is None or french is None:
        return []
    found = retrieved(english, french).reshape(2, -1)
    name = "paraphrases, English to French and back: found first"
    return [
        bootstrap(
            name, len(both), lambda at: 100 * float(found[:, at].mean()), bench.rng, unit="%",
            resamples=bench.resamples,
        )
    ]  # fmt: skip


def crises(bench: Bench) -> list[Figure]:
    """
    Measure the best-match F1 of 26 interleaved events.

    The cosine from which on a post joins, and the direction that all posts share, are chosen on one
    half of the posts; the figure is of the other half.
    """
    rows = [row for row in bench.read(CRISES) if row.labels.get("informativeness") in _ON_TOPIC]
    vectors = bench.embeddings([row.text for row in rows])
    if vectors is None:
        return []
    order = bench.rng.permutation(len(rows))
    tune, report = order[::2], order[1::2]
    vectors = centred(vectors, vectors[tune].mean(axis=0))
    events = np.array([row.labels["target"] for row in rows])

    def reached(at: NDArray[np.int64], likeness: float) -> list[float]:
        return list(best_match_f1(events[at].tolist(), led(vectors[at], likeness)).values())

    best = max(_THRESHOLDS, key=lambda likeness: float(np.mean(reached(tune, likeness))))
    each = np.array(reached(report, float(best)))
    figure = bootstrap(
        "CrisisLex events by the online leader: best-match F1",
        len(each),
        lambda at: float(each[at].mean()),
        bench.rng,
        published=LEADER,
        resamples=bench.resamples,
        note=f"{len(report):,} posts of 26 events (n); joins from cosine {best:.2f}, chosen on the other half",
    )
    return [figure]
