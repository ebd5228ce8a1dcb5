"""Policy: every constant of detection, with its unit and its reason. Not the budget of a subject."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

import numpy as np

from uproar.backlash import Level
from uproar.watch import BINS, HOURS

VERSION: Final = "3"
"""Of the rules and constants, kept with every reading and event: another one decides otherwise."""

LEVELS: Final = tuple(Level)
WATCH, ALERT, CRISIS = range(len(LEVELS))

SPAN: Final = np.array([10, 30, 60, 180, 360, 1440])  # minutes
"""
The windows that are looked at, the running five minutes or hour included: at most so long, at least
five minutes or one hour shorter.
"""
WINDOWS: Final = len(SPAN)
BINS_OF: Final = np.array([2, 6, BINS])
HOURS_OF: Final = np.array([3, 6, HOURS])
SHORT: Final = len(BINS_OF)
"""Windows of an hour or less."""
HOUR: Final = SHORT - 1
"""The window of an hour."""
SLOW: Final = WINDOWS
"""Place of the slow sum among the statistics; its counts are those of the day."""
DAY: Final = WINDOWS - 1
WINDOW_OF: Final = np.array([*range(WINDOWS), DAY])
"""The window whose counts, gates and authors stand for each statistic."""
CONTEXT: Final = np.array([4, 4, 4, 4, 4, 5])
"""The window in which the posts beyond the usual must be negative too."""
BEFORE: Final = np.array([2, 4, 7, 24])
"""Lags: the baseline of a window is what happened at least so many hours ago, before it."""
LAG_OF: Final = np.array([0, 0, 0, 1, 2, 3])


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """
    How detection decides.

    Attributes:
        half_life: Of the baseline's level, beyond the last day, which counts whole.
        season_rate: Share by which a new day moves the factor of an hour of day.
        season_prior: Posts an hour of day must have before its factor is half believed.
        week_rate: Share by which a new week moves the factor of a day of the week.
        week_prior: Posts a day must have before its factor is half believed.
        spread: Overdispersion (variance = mean + spread * mean^2) of an hour before any is learnt.
        spread_prior: How much that weighs, in squared expected posts.
        drift: Squared relative error that every baseline keeps: days differ.
        spike: Standard deviations beyond the usual at which five minutes are cut, in windows of
            half an hour and longer: one burst is not a wave.
        first_day: Squared relative error of a baseline that has not seen a whole day yet: nights are
            quiet. It shrinks with every hour.
        learning: Hours before a window that must be known, at least as many as it is long, or it
            decides nothing.
        silence: The same where nothing was heard in them: it may be that nobody listened.
        slow_cap, slow_drain: The slow sum grows by the statistic of each whole hour, at most the
            cap, less the drain; so a little too much for days is seen, and one burst is not.
        listened: Posts of the past from which somebody must have listened to it.
        share: Negative share of a subject of which nothing is known.
        share_prior: Posts that belief is worth.
        below: Standard deviations under its usual share at which a share is too low.
        excess_share, excess_doubt: Least share of negative posts among those beyond the usual, less
            so many standard deviations. In the last six hours too: in a few minutes of happy talk
            chance may put so many.
        mostly: From this share on, less one standard deviation, the last six hours do not matter.
        authors: Distinct authors of negative posts a level needs at least, by level.
        unsure_authors: So many of them the sum of probabilities may stand for.
        staged: Share of repeats and copies from which a wave looks staged.
        flood: Posts of five minutes from which that is said of them.
        negative: Blame (:func:`uproar.prior.blame`) from which an author counts as one of a negative post.
        apart: An author, and a copy, counts again when it was silent for so long.
        late: A post that late still counts in its slot.
        watch, crisis: How often chance may reach these levels, as a multiple of the budget.
        pool_mean, pool_deviation: Of ln(1 + greatest statistic of a day), by statistic, for a
            subject of which no day is known. Fitted on the tuning half of the benchmark.
        pool_days: Days that belief is worth.
        busy_days: Days over which it is learnt on how many anything is written.
        least_busy: Least share of days that is believed.
        memory_days: Days over which a subject's own are averaged, at most.
        outlier: Standard deviations at which a day is cut before it teaches; one more when many days
            are known.
        windows_apart: Initial correction: each window may raise an alarm, and gates hold some back.
        steer: How far an alarm moves the correction of its level, in widths of the Gumbel law.
        most_width: Greatest width (of the law, in ln(1 + statistic)) that a step is measured in.
        least_steer, most_steer: Borders of the correction.
        floor: Least statistic from which a level can be reached, by level.
        ceiling_times, ceiling_people: So many times the usual of an hour, and so many people beyond
            it, always reach ``alert``, whatever the budget.
        quiet: Share of the peak's excess under which an episode subsides.
        subsiding: How long it must be that quiet.
        calm: How long nothing that is not muted must be above ``watch`` for the end.
        freeze: How long an open episode keeps the baseline from learning.
        waiting_evidence: Candidates for evidence kept per subject.
        memory: Authors and copies remembered per partition, at most.
    """

    half_life: timedelta = timedelta(days=1)
    season_rate: float = 0.1
    season_prior: float = 2.0
    week_rate: float = 0.25
    week_prior: float = 10.0
    spread: float = 0.2
    spread_prior: float = 20.0
    drift: float = 0.01
    spike: float = 4.0
    first_day: float = 3.0
    learning: float = 2.0
    silence: float = 24.0
    listened: float = 8.0
    slow_cap: float = 3.0
    slow_drain: float = 0.6
    share: float = 0.3
    share_prior: float = 10.0
    below: float = 1.64
    excess_share: float = 0.35
    excess_doubt: float = 0.5
    mostly: float = 0.65
    authors: tuple[int, int, int] = (3, 4, 6)
    unsure_authors: int = 2
    staged: float = 0.6
    flood: int = 20
    negative: float = 0.5
    apart: timedelta = timedelta(minutes=60)
    late: timedelta = timedelta(minutes=60)
    watch: float = 4.0
    crisis: float = 1 / 12
    pool_mean: tuple[float, ...] = (1.3, 1.2, 1.15, 1.05, 0.95, 0.75, 1.5)
    pool_deviation: tuple[float, ...] = (0.28, 0.28, 0.3, 0.34, 0.36, 0.4, 0.9)
    pool_days: float = 14.0
    busy_days: float = 28.0
    least_busy: float = 0.03
    memory_days: int = 42
    outlier: float = 2.0
    windows_apart: float = -0.2
    steer: float = 0.45
    most_width: float = 0.25
    least_steer: float = -3.0
    most_steer: float = 5.0
    floor: tuple[float, float, float] = (1.3, 2.0, 3.0)
    ceiling_times: float = 10.0
    ceiling_people: float = 50.0
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
