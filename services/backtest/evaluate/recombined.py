"""Recombined: real onset curves laid over simulated brands; how soon a page comes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import numpy as np

from services.backtest.evaluate.background import Brand
from services.backtest.evaluate.hearing import Ear
from services.backtest.evaluate.metrics import Incident, Measure, by_brand, found_at, median
from services.backtest.evaluate.trial import BEGIN, Lane
from services.backtest.evaluate.wave import Curve, Wave, draw

LEAST, MOST = 10, 100_000
SHARES: Final = (0.6, 0.95)
SURE: Final = 3.0
"""A crisis that should be found at once: its first hour brings so many of the brand's mean hours."""
DAY: Final = 1440
Value = Callable[[Any, float], float]


@dataclass(frozen=True, slots=True)
class Case:
    """
    One recombined crisis.

    Attributes:
        first_hour: Posts of its first hour, as a multiple of the brand's mean hour.
        out: Share of its posts that are out after each minute.
    """

    brand: str
    curve: str
    size: int
    share: float
    lane: int
    begin: int
    first_hour: float
    out: np.ndarray[tuple[int], np.dtype[np.float64]]


def place(
    lanes: list[Lane],
    waves: list[Wave],
    *,
    brands: Sequence[Brand],
    curves: Sequence[Curve],
    ear: Ear,
    each: int,
    alarms_per_day: float,
    warm: int,
    rng: np.random.Generator,
) -> list[Case]:
    """Add so many crises of each brand to a trial: curve, size, share and start by chance."""
    cases = []
    for brand in brands:
        for _ in range(each):
            curve = curves[int(rng.integers(len(curves)))]
            size = round(float(np.exp(rng.uniform(np.log(LEAST), np.log(MOST)))))
            share = float(rng.uniform(*SHARES))
            begin = BEGIN + warm * 1440 + int(rng.integers(1440))
            wave = draw(curve, lane=len(lanes), begin=begin, size=size, share=share, rng=rng)
            total = np.cumsum(wave.posts)
            begin += int(np.flatnonzero(total > 0)[0])  # its first post
            cases.append(
                Case(
                    brand.name,
                    curve.name,
                    size,
                    share,
                    wave.lane,
                    begin,
                    float(total[59 + begin - wave.begin]) / brand.rate,
                    total[begin - wave.begin :] / max(total[-1], 1),
                )
            )
            lanes.append(Lane(brand, alarms_per_day, ear))
            waves.append(wave)
    return cases


def found(case: Case, incidents: dict[int, list[Incident]]) -> float:
    """Return the minutes from onset to page within a day; infinite when none came."""
    at = found_at(incidents.get(case.lane, []), case.begin, case.begin + DAY)
    return float("inf") if at is None else float(at - case.begin)


def measures(
    cases: Sequence[Case],
    incidents: dict[int, list[Incident]],
    rng: np.random.Generator,
    prefix: str = "recombined",
) -> list[Measure]:
    """Say how soon crises were found, and how much of them was out by then."""
    return told(cases, [found(case, incidents) for case in cases], rng, prefix)


def told(
    cases: Sequence[Case], delays: Sequence[float], rng: np.random.Generator, prefix: str
) -> list[Measure]:
    """Sum up the delays of crises, in minutes; of the sure ones and of all."""
    result = []
    for kind, least in ((f"first hour >= {SURE:g}x", SURE), ("all", 0.0)):
        chosen = [(c, d) for c, d in zip(cases, delays, strict=True) if c.first_hour >= least]
        late, out = _by(chosen, lambda _, delay: delay), _by(chosen, _out)
        name = f"{prefix}, {kind}"
        result += [
            by_brand(f"{name}, median minutes to page", late, median, rng),
            by_brand(f"{name}, median share of volume out", out, median, rng),
        ]
        for hours in (1, 3, 6):
            hit = _by(chosen, partial(_in_time, hours))
            result.append(
                by_brand(f"{name}, found within {hours} h", hit, lambda v: float(v.mean()), rng)
            )
    return result


def _by(chosen: list[tuple[Case, float]], value: Value) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {}
    for case, delay in chosen:
        found.setdefault(case.brand, []).append(value(case, delay))
    return found


def _in_time(hours: int, _: Case, delay: float) -> float:
    return float(delay <= hours * 60)


def _out(case: Case, delay: float) -> float:
    if not np.isfinite(delay):
        return float("inf")
    minute = int(delay)  # a page at minute m has heard the minutes before it
    return float(case.out[min(minute, len(case.out)) - 1]) if minute else 0.0
