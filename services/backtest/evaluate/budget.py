"""Budget: alarms realised against asked, over simulated years of life without a crisis."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from services.backtest.evaluate import trial
from services.backtest.evaluate.background import Brand
from services.backtest.evaluate.metrics import (
    Incident,
    Measure,
    alarms,
    incidents,
    poisson_interval,
    proportion,
)
from services.backtest.evaluate.trial import BEGIN, Lane
from uproar.subject import alarms_per_day

LOW, HIGH = 0.8, 1.25
FIRST = 7
"""Days in which a brand is new."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How long brands live: ``replicates`` lanes of ``days``, of which the first ``warm`` teach."""

    replicates: int
    warm: int
    days: int

    @property
    def years(self) -> float:
        """Years of a brand that are judged."""
        return self.replicates * (self.days - self.warm) / 365.25


@dataclass(slots=True)
class Years:
    """What came: incidents of each lane, and the lanes in their order: budget, brand, replicate."""

    outcome: trial.Outcome
    plan: Plan
    budgets: Sequence[str]
    brands: Sequence[Brand]
    incidents: dict[int, list[Incident]]

    def lanes(self, budget: str, brand: int) -> range:
        """Return the lanes of a brand under a budget."""
        first = (self.budgets.index(budget) * len(self.brands) + brand) * self.plan.replicates
        return range(first, first + self.plan.replicates)

    def alarms(self, budget: str, brand: int) -> int:
        """Count the incidents of a brand that paged, after the warm-up."""
        return self._alarms(budget, brand, self.plan.warm, self.plan.days)

    def first_alarms(self, budget: str, brand: int) -> int:
        """Count those of its first week."""
        return self._alarms(budget, brand, 0, FIRST)

    def _alarms(self, budget: str, brand: int, since: int, until: int) -> int:
        lanes = self.lanes(budget, brand)
        first, last = BEGIN + since * 1440, BEGIN + until * 1440 + 1
        return sum(len(alarms(self.incidents.get(lane, []), first, last)) for lane in lanes)

    def asked(self, budget: str) -> float:
        """Return how many alarms a brand's budget allows in all its replicates."""
        days = self.plan.replicates * (self.plan.days - self.plan.warm)
        return days * alarms_per_day(budget)


def live(
    brands: Sequence[Brand],
    budgets: Sequence[str],
    plan: Plan,
    rng: np.random.Generator,
    progress: Callable[[], None] = lambda: None,
) -> Years:
    """Let brands live under each budget."""
    lanes = [
        Lane(brand, alarms_per_day(budget))
        for budget in budgets
        for brand in brands
        for _ in range(plan.replicates)
    ]
    outcome = trial.run(lanes, days=plan.days, rng=rng, progress=progress)
    return Years(outcome, plan, budgets, brands, incidents(outcome.events))


def measures(years: Years) -> list[Measure]:
    """Say how near the budgets were met: of each brand, and of how many well enough."""
    found = []
    for budget in years.budgets:
        asked, within, kept, possible, total = years.asked(budget), 0, 0, 0, 0
        for number, brand in enumerate(years.brands):
            count = years.alarms(budget, number)
            low, high = (bound / asked for bound in poisson_interval(count))
            within += LOW <= count / asked <= HIGH
            kept += count / asked <= HIGH
            possible += low <= HIGH and high >= LOW
            total += count
            found.append(
                Measure(
                    name=f"budget {budget}, realised/asked, {brand.name}",
                    value=count / asked,
                    low=low,
                    high=high,
                    n=round(asked),
                )
            )
        n = len(years.brands)
        found.append(_first_week(years, budget))
        low, high = (bound / (asked * n) for bound in poisson_interval(total))
        found += [
            Measure(
                name=f"budget {budget}, realised/asked, all brands",
                value=total / (asked * n),
                low=low,
                high=high,
                n=round(asked * n),
            ),
            proportion(within, n, f"budget {budget}, share of brands within 0.8-1.25"),
            proportion(kept, n, f"budget {budget}, share of brands at 1.25 or less"),
            proportion(possible, n, f"budget {budget}, share whose 90 % interval touches 0.8-1.25"),
        ]
    return found


def _first_week(years: Years, budget: str) -> Measure:
    """Hold the alarms of new brands against the budget."""
    n = len(years.brands)
    asked = n * years.plan.replicates * FIRST * alarms_per_day(budget)
    count = sum(years.first_alarms(budget, number) for number in range(n))
    low, high = (bound / asked for bound in poisson_interval(count))
    name = f"budget {budget}, realised/asked, first week of all brands"
    return Measure(name=name, value=count / asked, low=low, high=high, n=round(asked))
