"""Policy: every constant of detection, with its unit and its reason. Not the budget of a subject."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

import numpy as np

from uproar.backlash import Level
from uproar.watch import BINS, HOURS

LEVELS: Final = tuple(Level)

WINDOWS: Final = ("10 minutes", "15 minutes", "hour", "6 hours", "day")
"""
The windows that are looked at, the running bin or hour included: at most so long, at least one bin
(five minutes) or one hour shorter.
"""
SPAN: Final = np.array([10, 15, 60, 360, 1440])  # minutes
BINS_OF: Final = np.array([2, 3, BINS])
HOURS_OF: Final = np.array([6, HOURS])
BIN_WINDOWS: Final = len(BINS_OF)
CONTEXT: Final = np.array([3, 3, 3, 3, 4])
"""The window in which the posts beyond the usual must be negative too."""
BEFORE: Final = np.array([2, 2, 2, 6, 24])
"""The baseline of a window is what happened at least so many hours ago: before the window."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """
    How detection decides.

    Attributes:
        half_life: Of the baseline's level.
        season_rate: Share by which a new day moves the factor of an hour of day.
        season_prior: Posts an hour of day must have before its factor is half believed.
        spread: Overdispersion (variance = mean + spread * mean^2) of an hour before any is learnt.
        spread_prior: How much that weighs, in squared expected posts.
        drift: Squared relative error that every baseline keeps: days differ.
        first_day: Squared relative error of a baseline that has not seen a whole day yet: nights are
            quiet. It shrinks with every hour.
        learning: Hours before a window that must be known, at least as many as it is long, or it
            decides nothing.
        silence: The same where nothing was heard in them: it may be that nobody listened.
        share: Negative share of a subject of which nothing is known.
        share_prior: Posts that belief is worth.
        below: Standard deviations under its usual share at which a share is too low.
        excess_share: Least share of negative posts among those beyond the usual.
            In the last six hours too: in a few minutes of happy talk chance may put so many.
        mostly: From this share on, less one standard deviation, the last six hours do not matter.
        authors: Distinct authors of negative posts a level needs at least, by level.
        negative: Probability from which the author of a post counts as an author of a negative one.
        apart: An author, and a copy, counts again when it was silent for so long.
        late: A post that late still counts in its slot.
        watch, crisis: How often chance may reach these levels, as a multiple of the budget.
        quiet: Share of the peak's excess under which an episode subsides.
        subsiding: How long it must be that quiet.
        calm: How long no window must be above ``watch`` for the end.
        freeze: How long an open episode keeps the baseline from learning.
        waiting_evidence: Candidates for evidence kept per subject.
        memory: Authors and copies remembered per partition, at most.
    """

    half_life: timedelta = timedelta(days=2)
    season_rate: float = 0.15
    season_prior: float = 2.0
    spread: float = 0.3
    spread_prior: float = 20.0
    drift: float = 0.05
    first_day: float = 3.0
    learning: float = 2.0
    silence: float = 24.0
    share: float = 0.3
    share_prior: float = 10.0
    below: float = 1.64
    excess_share: float = 0.35
    mostly: float = 0.65
    authors: tuple[int, int, int] = (3, 4, 6)
    negative: float = 0.5
    apart: timedelta = timedelta(minutes=60)
    late: timedelta = timedelta(minutes=60)
    watch: float = 4.0
    crisis: float = 1 / 12
    quiet: float = 0.25
    subsiding: timedelta = timedelta(hours=1)
    calm: timedelta = timedelta(hours=6)
    freeze: timedelta = timedelta(days=3)
    waiting_evidence: int = 32
    memory: int = 2_000_000

    @property
    def fade(self) -> float:
        """What an hour leaves of the baseline's memory."""
        return float(0.5 ** (timedelta(hours=1) / self.half_life))
