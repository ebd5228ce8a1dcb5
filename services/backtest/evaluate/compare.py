"""Compare: our detector beside its rivals, on the same crises: one budget, and the whole curve."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from services.backtest.evaluate import budget, recombined, rivals
from services.backtest.evaluate.background import STEPS_A_DAY, Array
from services.backtest.evaluate.metrics import Measure
from services.backtest.evaluate.trial import BEGIN, Outcome

MONTH: Final = 365.25 / 12
SWEEP: Final = tuple(np.geomspace(0.1, 10, 13).tolist())
"""Alarms a brand-month at which rivals are looked at."""


@dataclass(slots=True)
class Curve:
    """One detector's operating curve: alarms realised a brand-month, share found in an hour."""

    name: str
    alarms: list[float] = field(default_factory=list)
    found: list[float] = field(default_factory=list)


@dataclass(slots=True)
class Compared:
    """Delays of every detector at one alarm a month (minutes), and the rivals' curves."""

    delays: dict[str, list[float]] = field(default_factory=dict)
    curves: list[Curve] = field(default_factory=list)


def compare(
    years: budget.Years,
    outcome: Outcome,
    cases: Sequence[recombined.Case],
    rng: np.random.Generator,
) -> Compared:
    """
    Run the rivals over the crises; thresholds of each brand come from its simulated years.

    Args:
        years: Life without crises.
        outcome: The trial that holds the crises.
        cases: The recombined crises.
        rng: Chance, of the periodic alarm.
    """
    compared = Compared()
    lanes = [case.lane for case in cases]
    begins = [case.begin - BEGIN for case in cases]
    counts = outcome.negative[:, lanes]
    sure = np.array([case.first_hour >= recombined.SURE for case in cases])
    for name, rival in rivals.RIVALS.items():
        scores = rivals.score(rival, counts)
        maxima = {
            brand.name: rivals.daily_maxima(
                rivals.score(rival, _calm(years, number)), years.plan.warm
            )
            for number, brand in enumerate(years.brands)
        }
        curve = Curve(name)
        for monthly in (1.0, *SWEEP):
            least = {b: rivals.threshold(m, monthly / MONTH) for b, m in maxima.items()}
            late = rivals.delays(
                scores, range(len(cases)), begins, [least[case.brand] for case in cases]
            )
            if name not in compared.delays:
                compared.delays[name] = late
            else:
                curve.alarms.append(monthly)
                curve.found.append(found_in_hour(late, sure))
        compared.curves.append(curve)
    compared.delays["periodic alarm"] = rng.uniform(0, MONTH * 1440, len(cases)).tolist()
    chance = [1 - np.exp(-monthly / (MONTH * 24)) for monthly in SWEEP]
    compared.curves.append(Curve("periodic alarm", list(SWEEP), chance))
    return compared


def nominal(years: budget.Years) -> list[Measure]:
    """Say how many alarms a brand-month the rivals raise with their published thresholds."""
    found = []
    for name, rival in rivals.RIVALS.items():
        days = raised = 0
        for number in range(len(years.brands)):
            maxima = rivals.daily_maxima(rivals.score(rival, _calm(years, number)), years.plan.warm)
            days, raised = days + len(maxima), raised + int((maxima >= rivals.NOMINAL[name]).sum())
        measure = f"{name} at its own {rivals.NOMINAL[name]:g}, alarms a brand-month"
        found.append(Measure(name=measure, value=raised / days * MONTH, n=raised))
    return found


def measures(
    compared: Compared, cases: Sequence[recombined.Case], rng: np.random.Generator
) -> list[Measure]:
    """Give the rivals' delays at one alarm a month, as ours are given."""
    found: list[Measure] = []
    for name, late in compared.delays.items():
        found += recombined.told(cases, late, rng, f"{name}, recombined")
    return found


def found_in_hour(delays: Sequence[float], sure: Array) -> float:
    """Return the share of the sure crises that were found within an hour."""
    own = np.array(delays)[sure]
    return float((own <= 60).mean()) if len(own) else float("nan")


def _calm(years: budget.Years, brand: int) -> Array:
    """Return a brand's counts of all replicates under the first budget."""
    lanes = years.lanes(years.budgets[0], brand)
    return years.outcome.negative[: years.plan.days * STEPS_A_DAY, lanes.start : lanes.stop]
