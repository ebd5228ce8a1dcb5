"""Smallest: the size of crisis of which half are found within six hours, brand by brand."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from services.backtest.evaluate.background import Brand
from services.backtest.evaluate.hearing import Ear
from services.backtest.evaluate.metrics import (
    RESAMPLES,
    Incident,
    Measure,
    by_brand,
    found_at,
    geometric_mean,
    half_found,
)
from services.backtest.evaluate.trial import BEGIN, Lane
from services.backtest.evaluate.wave import FAST, SLOW, Wave, analytic, draw

WITHIN: Final = 6 * 60
SHARE: Final = 0.8
LADDER: Final = (3, 5, 8, 12, 18, 27, 40, 60, 90, 140, 210, 320, 480, 720, 1100, 1600, 2400, 3600,
                 5400, 8000, 12_000, 18_000, 27_000, 40_000, 60_000, 100_000)  # fmt: skip
CURVES: Final = (analytic("fast", FAST), analytic("slow", SLOW))


@dataclass(frozen=True, slots=True)
class Case:
    """One crisis of the search: which curve, whose, how large, in which lane."""

    curve: str
    ear: str
    brand: str
    size: int
    lane: int
    begin: int


def sizes(brand: Brand, curve: str, rungs: int) -> tuple[int, ...]:
    """Return the rungs of the ladder around what should just be found of a brand."""
    guess = 6 + 6 * np.sqrt(brand.rate) + 0.8 * brand.rate
    if curve == "slow":
        guess *= 1 + 2 * brand.rate / (brand.rate + 3)
    middle = int(np.abs(np.log(np.array(LADDER) / guess)).argmin())
    first = min(max(middle - rungs // 2, 0), len(LADDER) - rungs)
    return LADDER[first : first + rungs]


def place(
    lanes: list[Lane],
    waves: list[Wave],
    *,
    brands: Sequence[Brand],
    ears: dict[str, Ear],
    starts: int,
    rungs: int,
    alarms_per_day: float,
    warm: int,
    rng: np.random.Generator,
) -> list[Case]:
    """Add the lanes and crises of the search to a trial."""
    cases = []
    for ear, heard in ears.items():
        for curve in CURVES:
            for brand in brands:
                for size in sizes(brand, curve.name, rungs):
                    for _ in range(starts):
                        begin = BEGIN + warm * 1440 + int(rng.integers(1440))
                        case = Case(curve.name, ear, brand.name, size, len(lanes), begin)
                        lanes.append(Lane(brand, alarms_per_day, heard))
                        waves.append(
                            draw(
                                curve,
                                lane=case.lane,
                                begin=begin,
                                size=size,
                                share=SHARE,
                                rng=rng,
                            )
                        )
                        cases.append(case)
    return cases


def measures(
    cases: Sequence[Case], incidents: dict[int, list[Incident]], rng: np.random.Generator
) -> list[Measure]:
    """Say the smallest crisis found: of each brand, and the geometric mean over them."""
    hits: dict[tuple[str, str], dict[str, dict[int, list[bool]]]] = {}
    for case in cases:
        own = incidents.get(case.lane, [])
        hit = found_at(own, case.begin, case.begin + WITHIN) is not None
        brands = hits.setdefault((case.curve, case.ear), {})
        brands.setdefault(case.brand, defaultdict(list))[case.size].append(hit)
    found = []
    for (curve, ear), brands in hits.items():
        halves = {}
        for brand, unordered in brands.items():
            tried = dict(sorted(unordered.items()))
            size, inside = half_found(list(tried), [float(np.mean(h)) for h in tried.values()])
            halves[brand] = [size]
            low, high = _again(tried, rng)
            note = "" if inside else " (a bound)"
            found.append(
                Measure(
                    name=f"smallest found in 6 h, {curve}, {ear}, {brand}{note}",
                    value=size,
                    low=low,
                    high=high,
                    n=sum(map(len, tried.values())),
                )
            )
        name = f"smallest found in 6 h, {curve}, {ear}, geometric mean"
        found.append(by_brand(name, halves, geometric_mean, rng))
    return found


def _again(tried: dict[int, list[bool]], rng: np.random.Generator) -> tuple[float, float]:
    """Bootstrap the starts of one brand."""
    drawn = []
    for _ in range(RESAMPLES // 10):
        shares = [float(np.mean(rng.choice(h, len(h)))) for h in tried.values()]
        drawn.append(half_found(list(tried), shares)[0])
    low, high = np.quantile(drawn, (0.025, 0.975))
    return float(low), float(high)
