"""Operating: our own operating curve - under one budget after the other, what is found and raised."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager

import numpy as np

from services.backtest.evaluate import budget, compare, recombined, trial
from services.backtest.evaluate.brands import Part, brands
from services.backtest.evaluate.hearing import SHIPPED
from services.backtest.evaluate.metrics import Measure, incidents
from services.backtest.evaluate.size import Size
from services.backtest.evaluate.trial import Lane
from services.backtest.evaluate.wave import Curve, Wave
from uproar.subject import alarms_per_day

Bar = Callable[[str, int], AbstractContextManager[Callable[[], None]]]


def curve(
    part: Part, size: Size, curves: Sequence[Curve], bar: Bar
) -> tuple[compare.Curve, list[Measure]]:
    """
    Run our detector under each budget of ``size.curve``.

    Args:
        part: Which brands.
        size: How much.
        curves: Real onset curves.
        bar: Shows how far a stretch of so many days is.

    Returns:
        Alarms realised a brand-month and sure crises found within an hour, as a curve and figures.
    """
    found, points, plan = compare.Curve("uproar"), [], size.points
    everybody = brands(part)
    with bar("operating curve: years", plan.days) as step:
        rng = np.random.default_rng(part.seed + 40)
        years = budget.live(everybody, size.curve, plan, rng, step)
    for asked in size.curve:
        with bar(f"operating curve: crises at {asked}", size.warm + 2) as step:
            share, n = _crises(part, size, curves, asked, step)
        total = sum(years.alarms(asked, number) for number in range(len(everybody)))
        days = plan.replicates * (plan.days - plan.warm) * len(everybody)
        found.alarms.append(total / days * compare.MONTH)
        found.found.append(share)
        name = f"operating curve at {asked}"
        points += [
            Measure(name=f"{name}, alarms a brand-month", value=found.alarms[-1], n=total),
            Measure(name=f"{name}, found within 1 h, first hour >= 3x", value=share, n=n),
        ]
    return found, points


def _crises(
    part: Part, size: Size, curves: Sequence[Curve], asked: str, step: Callable[[], None]
) -> tuple[float, int]:
    """Return the share of sure crises found within an hour under a budget, and how many there are."""
    lanes: list[Lane] = []
    waves: list[Wave] = []
    rng = np.random.default_rng(part.seed + 11)  # the same crises under each budget
    cases = recombined.place(
        lanes,
        waves,
        brands=brands(part, giant=False),
        curves=curves,
        ear=SHIPPED,
        each=size.crises,
        alarms_per_day=alarms_per_day(asked),
        warm=size.warm,
        rng=rng,
    )
    outcome = trial.run(lanes, days=size.warm + 2, rng=rng, waves=waves, progress=step)
    found = incidents(outcome.events)
    late = [recombined.found(case, found) for case in cases]
    sure = np.array([case.first_hour >= recombined.SURE for case in cases])
    return compare.found_in_hour(late, sure), int(sure.sum())
