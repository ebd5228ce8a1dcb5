"""Size: how much the yardstick simulates, quickly or in full."""

from dataclasses import dataclass
from typing import Final

from services.backtest.evaluate import budget
from services.backtest.evaluate.hearing import PERFECT, SHIPPED, Ear

WEEKLY, MONTHLY = "1/week", "1/month"


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """
    How much is simulated.

    Attributes:
        sets: Brands of each size.
        years: Life without crises, under each of ``budgets``.
        curve: Further budgets of our operating curve; ``points`` is how long brands live there.
        warm: Days before a crisis.
        starts, rungs: Of the search for the smallest crisis: times and sizes tried.
        crises: Recombined ones of each brand.
        ears: With which the smallest is searched.
        hard, staged: Generated hard negatives of each kind, as counts and as posts.
        posts: With which speed is measured.
    """

    sets: int
    years: budget.Plan
    budgets: tuple[str, ...]
    points: budget.Plan
    curve: tuple[str, ...]
    warm: int
    starts: int
    rungs: int
    crises: int
    ears: dict[str, Ear]
    hard: int
    staged: int
    posts: int


QUICK: Final = Size(
    sets=1,
    years=budget.Plan(replicates=8, warm=28, days=60),
    budgets=(WEEKLY, MONTHLY),
    points=budget.Plan(replicates=0, warm=0, days=0),
    curve=(),
    warm=21,
    starts=5,
    rungs=6,
    crises=16,
    ears={"perfect split": PERFECT},
    hard=12,
    staged=6,
    posts=10_000,
)
FULL: Final = Size(
    sets=2,
    years=budget.Plan(replicates=41, warm=28, days=118),
    budgets=(WEEKLY, MONTHLY),
    points=budget.Plan(replicates=8, warm=28, days=90),
    curve=("4/week", "1/week", "1/month", "4/year", "1/year"),
    warm=28,
    starts=12,
    rungs=8,
    crises=60,
    ears={"perfect split": PERFECT, "shipped model": SHIPPED},
    hard=48,
    staged=18,
    posts=200_000,
)
