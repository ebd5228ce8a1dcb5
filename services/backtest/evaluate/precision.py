"""Precision: of the incidents that reach a level, how many are a crisis. Pure."""

from collections.abc import Sequence
from typing import Final

from services.backtest.evaluate.budget import Years
from services.backtest.evaluate.metrics import Incident, Measure
from services.backtest.evaluate.recombined import DAY, Case
from services.backtest.evaluate.trial import BEGIN

MONTH: Final = 365.25 / 12
CRISES_A_MONTH: Final = 1 / 3
"""Crises of a brand that are assumed: precision depends on how often there is something to find."""
LEVELS: Final = ("watch", "alert", "crisis")


def measures(
    years: Years, budget: str, cases: Sequence[Case], incidents: dict[int, list[Incident]]
) -> list[Measure]:
    """
    Say how many incidents are true, by the highest level they reach, at one crisis a brand-quarter.

    Args:
        years: Life without crises: what reaches a level there is false.
        budget: Under which budget.
        cases: Recombined crises of all sizes.
        incidents: Of the trial that holds them.
    """
    since = BEGIN + years.plan.warm * 1440
    false = [
        incident.level
        for number in range(len(years.brands))
        for lane in years.lanes(budget, number)
        for incident in years.incidents.get(lane, [])
        if incident.opened >= since
    ]
    days = len(years.brands) * years.plan.replicates * (years.plan.days - years.plan.warm)
    true = [_level(case, incidents.get(case.lane, [])) for case in cases]
    found = []
    for level in LEVELS:
        right = true.count(level) / len(true) * CRISES_A_MONTH if true else 0.0
        wrong = false.count(level) / days * MONTH
        value = right / (right + wrong) if right + wrong else None
        n = true.count(level) + false.count(level)
        name = f"precision of {level} at one crisis a brand-quarter"
        found.append(Measure(name=name, value=value, n=n))
    return found


def _level(case: Case, own: Sequence[Incident]) -> str | None:
    """Return the highest level of an incident that opened within a day of the onset."""
    ranks = [LEVELS.index(i.level) for i in own if case.begin < i.opened <= case.begin + DAY]
    return LEVELS[max(ranks)] if ranks else None
