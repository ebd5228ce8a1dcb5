"""Sentiment: TweetEval and XLM-T as published, and whether `negative` means what it says."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from services.classifier.evaluate.bench import SENTIMENT, Bench
from services.classifier.evaluate.calibration import at_share, debiased_ece
from services.classifier.evaluate.figure import Figure, bootstrap
from services.classifier.evaluate.metrics import f1_by_class, macro_f1, macro_recall
from services.classifier.evaluate.published import (
    ELSEWHERE,
    HINDI,
    TWEETEVAL,
    XLMT,
    XLMT_MEAN,
    XLMT_MEAN_OF_7,
)
from services.classifier.evaluate.rows import Row

TWEETS = "labelled/tweeteval_sentiment_val.jsonl"
LANGUAGES = "labelled/xlmt_val.jsonl"
_ECE_RESAMPLES = 100


def tweeteval(bench: Bench) -> list[Figure]:
    """Measure macro recall on TweetEval's validation part (English)."""
    rows = bench.read(TWEETS)
    truth, guess, _ = answers(bench, rows)
    return [
        bench.figure(
            "TweetEval sentiment: macro recall", macro_recall(3), truth, guess,
            published=TWEETEVAL["sentiment"], note=ELSEWHERE,
        )
    ]  # fmt: skip


def xlmt(bench: Bench) -> list[Figure]:
    """Measure macro-F1 on XLM-T's validation part by language and as their means; then the ECE."""
    rows = bench.read(LANGUAGES)
    truth, guess, negative = answers(bench, rows)
    langs = np.array([row.lang for row in rows])
    found = []
    for lang in XLMT:
        at = langs == lang
        found.append(
            bench.figure(
                f"XLM-T {lang}: macro-F1", macro_f1(3), truth[at], guess[at],
                published=XLMT[lang], note=ELSEWHERE,
            )
        )  # fmt: skip
    known = langs != "hi"
    found += [
        _mean(
            bench, "XLM-T mean of 8: macro-F1", truth, guess, langs,
            published=XLMT_MEAN, note=ELSEWHERE,
        ),
        _mean(
            bench, "XLM-T mean of 7, without Hindi: macro-F1",
            truth[known], guess[known], langs[known], published=XLMT_MEAN_OF_7, note=HINDI,
        ),
    ]  # fmt: skip
    return found + calibration(bench, truth == SENTIMENT.index("negative"), negative, langs)


def _mean(
    bench: Bench, name: str, truth: NDArray[np.int64], guess: NDArray[np.int64],
    langs: NDArray[np.str_], *, published: float, note: str,
) -> Figure:  # fmt: skip
    """Measure the mean of the languages' macro-F1."""
    _, groups = np.unique(langs, return_inverse=True)

    def mean(at: NDArray[np.int64]) -> float:
        each = [
            f1_by_class(truth[at][groups[at] == group], guess[at][groups[at] == group], 3).mean()
            for group in range(groups.max() + 1)
        ]
        return 100 * float(np.mean(each))

    return bootstrap(
        name, len(truth), mean, bench.rng, groups=groups,
        unit="%", published=published, note=note, resamples=bench.resamples,
    )  # fmt: skip


def answers(
    bench: Bench, rows: Sequence[Row]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Give true classes, guessed ones (as if all were equally common; neutral where it cannot read) and ``negative`` of rows."""
    truth = np.array([SENTIMENT.index(row.labels["sentiment"]) for row in rows])
    scores = bench.scores([row.text for row in rows])[:, :3].astype(float)
    unread = np.isnan(scores[:, 0])
    scores[unread] = (1 / 3, 1 / 3, 1 / 3)
    guess = np.where(unread, 1, (scores / bench.shares).argmax(axis=1))
    return truth, guess, scores[:, 0]


def calibration(
    bench: Bench, negative: NDArray[np.bool_], chance: NDArray[np.float64], langs: NDArray[np.str_]
) -> list[Figure]:
    """Measure the debiased ECE of ``negative`` in a stream of 20 % negative posts, all and by language."""
    truth = negative.astype(float)
    _, groups = np.unique(langs, return_inverse=True)
    parts = {"languages pooled": langs != "", "languages but Hindi pooled": langs != "hi"}
    parts |= {lang: langs == lang for lang in XLMT}
    return [
        _ece(bench, f"ECE of negative at 20 %, {part}", truth[at], chance[at], groups[at])
        for part, at in parts.items()
    ]


def _ece(
    bench: Bench, name: str, truth: NDArray[np.float64], chance: NDArray[np.float64],
    groups: NDArray[np.int64],
) -> Figure:  # fmt: skip
    """Draw the stream anew for every resample: which negatives it holds is chance too."""

    def once(at: NDArray[np.int64]) -> float:
        kept = at[at_share(truth[at], groups[at], bench.rng)]
        return debiased_ece(chance[kept], truth[kept], bench.rng)

    every = np.arange(len(truth))
    value = float(np.mean([once(every) for _ in range(20)]))
    spread = bootstrap(
        name,
        len(truth),
        once,
        bench.rng,
        groups=groups,
        resamples=min(bench.resamples, _ECE_RESAMPLES),
    )
    # resampled rows repeat, which adds an error of its own: only the width is taken over
    half = (spread.high - spread.low) / 2
    return Figure(name=name, value=value, low=value - half, high=value + half, n=len(truth))
