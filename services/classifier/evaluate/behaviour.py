"""Behaviour: our own cases, what must hold of each, and whether it does. Their texts are ours."""

import csv
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from services.classifier.engine.mention import mark
from uproar.errors import Misconfigured

CASES = Path(__file__).parent / "behaviour.tsv"
SENTIMENT = ("negative", "neutral", "positive")
STILL = 0.2
"""By how much ``negative`` may move between two texts that mean the same."""
CLEARLY = 0.1
"""By how much a score must move between two texts that mean the opposite."""

Scores = Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Case:
    """
    One case.

    Attributes:
        kind: Its class, for example ``negation``.
        subject: Whom the sentiment is towards; empty: the whole post.
        must: What has to hold. ``negative`` (or neutral, positive): it is the likeliest of the
            three; ``-negative``: it is not; ``complaint`` (any other head): reaches its threshold;
            ``-complaint``: does not. Of a pair: ``negative=``: within 0.2 of each other;
            ``negative+``: at least 0.1 higher in ``text`` than in ``other``; ``negative-``: lower.
        other: The second text of a pair, or empty.
    """

    kind: str
    lang: str
    subject: str
    must: tuple[str, ...]
    text: str
    other: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """Which demands of a case do not hold; none if it passed."""

    case: Case
    broken: tuple[str, ...]


def read(file: Path = CASES) -> list[Case]:
    """
    Read the cases.

    Raises:
        Misconfigured: A line is not a case.
    """
    with file.open(encoding="utf-8") as lines:
        rows = list(csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE))
    try:
        return [
            Case(
                kind=row["class"],
                lang=row["lang"],
                subject=row["subject"],
                must=tuple(demand.strip() for demand in row["must"].split(";")),
                text=row["text"],
                other=row["other"],
            )
            for row in rows
        ]
    except (KeyError, AttributeError) as error:
        raise Misconfigured(f"{file}: not a table of cases: {error!r}") from error


def judge(
    cases: Sequence[Case],
    score: Callable[[list[str]], Sequence[Scores]],
    thresholds: Mapping[str, float],
    marks: tuple[str, str] | None,
    shares: Sequence[float] = (1, 1, 1),
) -> list[Verdict]:
    """
    Run the cases through a model.

    Args:
        cases: What to ask.
        score: Texts -> scores by head, in their order; a head that is missing holds nothing.
        thresholds: From which score on a head holds; 0.5 for one that is not named.
        marks: What the model wants around a mention of the subject.
        shares: How common the sentiments are in the stream that the probabilities are for: which
            is the likeliest is asked as if all were equally common.
    """
    texts = [mark(text, (c.subject,), marks) for c in cases for text in (c.text, c.other or c.text)]
    scores = score(texts)
    pairs = zip(scores[::2], scores[1::2], strict=True)
    return [
        Verdict(case, tuple(d for d in case.must if not holds(d, *pair, thresholds, shares)))
        for case, pair in zip(cases, pairs, strict=True)
    ]


def holds(
    demand: str, text: Scores, other: Scores, thresholds: Mapping[str, float],
    shares: Sequence[float] = (1, 1, 1),
) -> bool:  # fmt: skip
    """Say whether a demand holds of the scores of a text and, for a pair, of the other one."""
    head = demand.strip("=+-")
    if head not in text or head not in other:
        return False
    here, there = text[head], other[head]
    match demand[-1]:
        case "=":
            return abs(here - there) < STILL
        case "+":
            return here - there >= CLEARLY
        case "-":
            return there - here >= CLEARLY
    if head in SENTIMENT:
        likely = {name: text[name] / share for name, share in zip(SENTIMENT, shares, strict=True)}
        there_is = likely[head] == max(likely.values())
    else:
        there_is = here >= thresholds.get(head, 0.5)
    return there_is != demand.startswith("-")


def rates(verdicts: Sequence[Verdict]) -> dict[str, tuple[int, int]]:
    """Count by class: passed, asked."""
    found: dict[str, tuple[int, int]] = {}
    for verdict in verdicts:
        passed, asked = found.get(verdict.case.kind, (0, 0))
        found[verdict.case.kind] = (passed + (not verdict.broken), asked + 1)
    return found
