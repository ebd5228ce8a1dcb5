"""Reading: five minutes of one subject, or one decision about it, in numbers. No text, no author."""

from dataclasses import dataclass
from datetime import datetime

from uproar.subject import SubjectId


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """
    What detection saw and thought at one moment of event time.

    Attributes:
        at: End of the time it covers (event time, UTC).
        seconds: How long a time it covers: 300 for a regular reading, 60 at a decision.
        posts: Posts counted, own ones apart.
        negative: Distinct-author, de-duplicated negative posts (sum of probabilities or count).
        positive: The same for praise.
        authors: Distinct authors of the negative posts.
        unscored: Posts the model could not score.
        baseline: Negative posts expected in the deciding window.
        statistic: How far above the baseline: -log10 of the tail probability.
        threshold: The statistic from which the paging level is reached.
        window_seconds: The window in which the statistic was greatest.
        negative_share: Share of negative posts in that window, 0..1; None without posts.
        baseline_share: The share expected; None while unknown.
        gate: ``open`` when the gate would let a page through, else the reason it would not.
        decision: True when this reading was written because a decision changed something.
        heard: Negative posts in the deciding window.
        certainty: Of the baseline: variance = baseline + baseline^2 / certainty. ``statistic`` follows
            from ``heard``, ``baseline`` and this (:func:`uproar.detect.surprise.surprise`), unless
            the slow sum decided.
        slow: Whether the slow sum of days decided.
        rules: Version of the rules that decided.
    """

    subject: SubjectId
    at: datetime
    seconds: int
    posts: int
    negative: float
    positive: float
    authors: int
    unscored: int = 0
    baseline: float
    statistic: float
    threshold: float
    window_seconds: int
    negative_share: float | None = None
    baseline_share: float | None = None
    gate: str = "open"
    decision: bool = False
    heard: float | None = None
    certainty: float | None = None
    slow: bool = False
    rules: str | None = None
