"""Tasks: the yes-or-no heads, each on the validation set that was labelled for it."""

import numpy as np
from numpy.typing import NDArray

from services.classifier.evaluate.bench import Bench
from services.classifier.evaluate.calibration import debiased_ece
from services.classifier.evaluate.figure import Figure, bootstrap
from services.classifier.evaluate.french.labels import labelled
from services.classifier.evaluate.metrics import f1_of_yes, kappa, macro_f1
from services.classifier.evaluate.published import ELSEWHERE, TWEETEVAL

OFFENSIVE = "labelled/tweeteval_offensive_val.jsonl"
IRONY = "labelled/tweeteval_irony_val.jsonl"


def offensive(bench: Bench) -> list[Figure]:
    """Measure `offensive` on TweetEval's validation part: macro-F1."""
    rows = bench.read(OFFENSIVE)
    truth = np.array([int(row.labels["offensive"]) for row in rows])
    chance = bench.head([row.text for row in rows], "offensive")
    guess = (chance >= bench.threshold("offensive")).astype(int)
    name = "TweetEval offensive: macro-F1"
    published = TWEETEVAL["offensive"]
    return [
        bench.figure(name, macro_f1(2), truth, guess, published=published, note=ELSEWHERE),
        _ece(bench, "ECE of offensive, TweetEval", chance, truth),
    ]


def irony(bench: Bench) -> list[Figure]:
    """Measure `sarcasm` on TweetEval's irony: F1 of the ironic class."""
    rows = bench.read(IRONY)
    truth = np.array([int(row.labels["irony"]) for row in rows])
    chance = bench.head([row.text for row in rows], "sarcasm")
    guess = (chance >= bench.threshold("sarcasm")).astype(int)
    published = TWEETEVAL["irony"]
    return [
        bench.figure(
            "TweetEval irony: F1 of irony",
            f1_of_yes,
            truth,
            guess,
            published=published,
            note=ELSEWHERE,
        ),
        _ece(bench, "ECE of sarcasm, TweetEval irony", chance, truth),
    ]


def french(bench: Bench) -> list[Figure]:
    """Measure `complaint` on our 300 French posts, and how well the two passes agree."""
    posts = labelled(bench.data)
    truth = np.array([post.complaint for post in posts], np.int64)
    chance = bench.head([post.text for post in posts], "complaint")
    guess = (chance >= bench.threshold("complaint")).astype(int)
    both = [(post.first, post.second) for post in posts if post.second is not None]
    note = "" if both else "labels of one pass: no agreement known yet"
    found = [
        bench.figure("complaint, 300 French posts: macro-F1", macro_f1(2), truth, guess, note=note),
        _ece(bench, "ECE of complaint, 300 French posts", chance, truth),
    ]
    if both:
        passes = np.array(both, np.int64)
        found.append(
            bootstrap(
                "labels of the French posts: Cohen's kappa",
                len(passes),
                lambda at: kappa(passes[at, 0], passes[at, 1]),
                bench.rng,
                resamples=bench.resamples,
            )
        )
    return found


def _ece(bench: Bench, name: str, chance: NDArray[np.float64], truth: NDArray[np.int64]) -> Figure:
    """Measure the debiased ECE at the share of yes that the set has."""
    value = debiased_ece(chance, truth.astype(float), bench.rng)
    spread = bootstrap(
        name,
        len(truth),
        lambda at: debiased_ece(chance[at], truth[at].astype(float), bench.rng),
        bench.rng,
        resamples=min(bench.resamples, 100),
    )
    half = (spread.high - spread.low) / 2
    return Figure(name=name, value=value, low=value - half, high=value + half, n=len(truth))
