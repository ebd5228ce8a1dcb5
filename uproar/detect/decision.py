"""Decision: which level a minute reaches, in which window. Not what becomes of it (episode)."""

from dataclasses import dataclass

import numpy as np

from uproar.detect import gate
from uproar.detect.baseline import Array
from uproar.detect.policy import BIN_WINDOWS, Policy
from uproar.detect.scan import Scan, scan
from uproar.watch import Table

ALERT = 1


@dataclass(frozen=True, slots=True)
class Decision:
    """
    What the windows that end now say; arrays of shape (subjects,), what they saw beside.

    Attributes:
        level: Highest level reached, gates passed: a Level's rank, -1 below ``watch``.
        window: The window that decides: the highest level, then the greatest statistic above its
            threshold of ``alert``.
        lively: Whether a window of an hour or less reaches ``watch``, gates passed.
        loud: Whether any window is above ``watch``, whatever the gates say.
    """

    scan: Scan
    verdicts: gate.Verdicts
    thresholds: Array
    level: Array
    window: Array
    lively: Array
    loud: Array


def decide(w: Table, minute: int, thresholds: Array, policy: Policy) -> Decision:
    """
    Judge rows whose rings stand at the last minute before ``minute``.

    Args:
        w: The rows.
        minute: The first that is still open.
        thresholds: Of each subject, shape (subjects, levels, windows).
        policy: How to decide.
    """
    scanned = scan(w, minute, policy)
    verdicts = gate.judge(scanned, policy)
    reached = (scanned.statistic[:, None, :] >= thresholds).sum(axis=1) - 1
    allowed = np.where(verdicts.passed, np.minimum(reached, verdicts.highest), -1)
    margin = scanned.statistic - thresholds[:, ALERT, :]
    return Decision(
        scan=scanned,
        verdicts=verdicts,
        thresholds=thresholds,
        level=allowed.max(axis=1),
        window=(allowed * 1000.0 + margin).argmax(axis=1),
        lively=allowed[:, :BIN_WINDOWS].max(axis=1) >= 0,
        loud=reached.max(axis=1) >= 0,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One subject's part of a decision, in its deciding window, as plain numbers."""

    level: int
    lively: bool
    loud: bool
    negative: float
    posts: int
    baseline: float
    statistic: float
    threshold: float
    alert: float
    minutes: int
    window: int
    share: float | None
    usual_share: float
    authors: int
    excess: float
    gates: dict[str, str]

    @property
    def gate(self) -> str:
        """``open``, or the reason of the first gate that is closed."""
        return next((v for v in self.gates.values() if v != gate.OPEN), gate.OPEN)


def finding(decision: Decision, row: int) -> Finding:
    """Take one subject's part out of a decision."""
    window, level = int(decision.window[row]), int(decision.level[row])
    scanned, usual = decision.scan, decision.scan.usual
    posts, negative = scanned.posts[row, window], scanned.negative[row, window]
    hour = BIN_WINDOWS - 1
    needed = max(level, ALERT if level < 0 else 0)
    return Finding(
        level=level,
        lively=bool(decision.lively[row]),
        loud=bool(decision.loud[row]),
        negative=float(negative),
        posts=round(float(posts)),
        baseline=float(usual.negative[row, window]),
        statistic=float(scanned.statistic[row, window]),
        threshold=float(decision.thresholds[row, max(level, 0), window]),
        alert=float(decision.thresholds[row, ALERT, window]),
        minutes=int(usual.covered[row, window]),
        window=window,
        share=float(negative / posts) if posts > 0 else None,
        usual_share=float(usual.share[row, window]),
        authors=int(scanned.authors[row, window]),
        excess=float(scanned.negative[row, hour] - usual.negative[row, hour]),
        gates=gate.verdicts_in_words(decision.verdicts, row, window, needed),
    )
