"""Decision: which level a minute reaches, in which window. Not what becomes of it (episode)."""

from dataclasses import dataclass, replace

import numpy as np

from uproar.detect import budget, gate
from uproar.detect.episode import Seen
from uproar.detect.policy import ALERT, DAY, HOUR, LEVELS, SHORT, SLOW, WATCH, WINDOW_OF, Policy
from uproar.detect.scan import Scan, newest_authors, of_statistics, scan
from uproar.watch import Array, Rows


@dataclass(frozen=True, slots=True)
class Decision:
    """
    What the windows that end now say of rows with something to say; arrays of shape (rows,).

    Attributes:
        rows: Their places among the rows that were judged: above ``watch`` in some statistic, or
            asked for. The others reached no level.
        seen: What their windows saw.
        thresholds: From which statistic on each level is reached; (rows, levels, statistics).
        level: Highest level reached, gates passed: a Level's rank, -1 below ``watch``.
        place: The statistic that decides: the highest level, then the most above its threshold.
        lively: Whether a window of an hour or less reaches ``watch``, gates passed.
        loud: Whether any statistic that is not muted is above ``watch``, whatever the gates say.
    """

    rows: Array
    seen: Scan
    verdicts: gate.Verdicts
    thresholds: Array
    level: Array
    place: Array
    lively: Array
    loud: Array


def decide(w: Rows, minute: int, policy: Policy, *, exact: Array) -> Decision:
    """
    Judge rows whose rings stand at the last minute before ``minute``.

    Args:
        w: The rows; the greatest statistics of the day are noted in them, and what is muted.
        minute: The first that is still open.
        policy: How to decide.
        exact: Rows whose statistic is wanted whatever it is; shape (rows,).
    """
    seen = scan(w, minute, policy, exact=exact)
    budget.note(w, seen.statistic)
    above = seen.statistic >= w["thresholds"][:, WATCH, :]
    brisk = np.asarray(above[:, :DAY].any(axis=1) | seen.flooded)
    lasting = np.asarray(above[:, DAY:].any(axis=1))
    open_, muted = w["level"] > 0, _mute(w, brisk, lasting)
    rows = np.flatnonzero(brisk | lasting | exact)
    seen = seen.of(rows)
    verdicts = gate.judge(seen, newest_authors(w, rows, minute, seen.covered), policy)
    thresholds = w["thresholds"][rows].astype(np.float64)
    reached = (seen.statistic[:, None, :] >= thresholds).sum(axis=1) - 1
    reached[:, HOUR] = np.maximum(reached[:, HOUR], np.where(seen.flooded, ALERT, -1))
    passed, highest = of_statistics(verdicts.passed), of_statistics(verdicts.highest)
    allowed = np.where(passed, np.minimum(reached, highest), -1)
    allowed[(muted & ~open_)[rows], DAY:] = -1
    margin = seen.statistic / thresholds[:, ALERT, :]
    return Decision(
        rows=rows,
        seen=seen,
        verdicts=verdicts,
        thresholds=thresholds,
        level=allowed.max(axis=1),
        place=(allowed * 1000.0 + margin).argmax(axis=1),
        lively=allowed[:, :SHORT].max(axis=1) >= 0,
        loud=(brisk | (lasting & ~muted))[rows],
    )


def _mute(w: Rows, brisk: Array, lasting: Array) -> Array:
    """
    Return whose day and slow sum only remember a wave that shorter windows have seen.

    They stay high for a day and more behind it: they neither keep its episode open nor open another,
    until they have fallen below ``watch``. A slow burn, which they alone see, is not muted.
    """
    muted, open_ = w["muted"] > 0, w["level"] > 0
    after = np.asarray((brisk & open_) | (muted & lasting))
    if (after != muted).any():
        w["muted"] = after
    return after


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One subject's part of a decision, by its deciding statistic, as plain numbers."""

    level: int
    lively: bool
    loud: bool
    flooded: bool
    negative: float
    posts: int
    baseline: float
    certainty: float
    statistic: float
    threshold: float
    alert: float
    minutes: int
    window: int
    slow: bool
    share: float | None
    usual_share: float
    authors: int
    excess: float
    gates: dict[str, str]

    @property
    def gate(self) -> str:
        """``open``, or the reason of the first gate that is closed."""
        return next((v for v in self.gates.values() if v != gate.OPEN), gate.OPEN)

    def closed(self, name: str, reason: str, level: int) -> "Finding":
        """Return it with one more gate that lets no more than a level through."""
        return replace(self, level=level, gates=self.gates | {name: reason})

    def seen(self, minute: int) -> Seen:
        """Return what it shows an episode; ``minute``: the first behind what was seen."""
        return Seen(
            minute=minute,
            level=LEVELS[self.level] if self.level >= 0 else None,
            lively=self.lively,
            loud=self.loud,
            excess=self.excess,
            negative=self.negative,
            posts=self.posts,
        )


def finding(decision: Decision, row: int) -> Finding:
    """Take one subject's part out of a decision."""
    place, level = int(decision.place[row]), int(decision.level[row])
    window, seen = int(WINDOW_OF[place]), decision.seen
    posts, negative = seen.posts[row, window], seen.negative[row, window]
    needed = max(level, ALERT if level < 0 else 0)
    return Finding(
        level=level,
        lively=bool(decision.lively[row]),
        loud=bool(decision.loud[row]),
        flooded=bool(seen.flooded[row]),
        negative=float(negative),
        posts=round(float(posts)),
        baseline=float(seen.usual_negative[row, window]),
        certainty=float(1 / seen.variance[row, window]),
        statistic=float(seen.statistic[row, place]),
        threshold=float(decision.thresholds[row, max(level, 0), place]),
        alert=float(decision.thresholds[row, ALERT, place]),
        minutes=int(seen.covered[window]),
        window=window,
        slow=place == SLOW,
        share=float(negative / posts) if posts > 0 else None,
        usual_share=float(seen.usual_share[row, window]),
        authors=int(decision.verdicts.authors[row, window]),
        excess=float(seen.negative[row, HOUR] - seen.usual_negative[row, HOUR]),
        gates=gate.verdicts_in_words(decision.verdicts, row, window, needed),
    )
