"""Generated: hard negatives as counts - much talk that is no backlash. Pure."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from services.backtest.evaluate.background import Array, Brand
from services.backtest.evaluate.metrics import Incident, Measure, proportion
from services.backtest.evaluate.trial import BEGIN, Lane
from services.backtest.evaluate.wave import Wave

DAY: Final = 1440
JUDGED: Final = 6 * 60
"""
Minutes after its begin in which a page is held against the detector: as long as a crisis has to be
found. At one alarm a month chance alone pages in 0.8 % of such times.
"""


@dataclass(frozen=True, slots=True)
class Kind:
    """
    A kind of hard negative.

    Attributes:
        shape: Share of its posts in each minute, drawn anew for each case.
        share: Range of the share of negative posts: below, or as, what the brand is used to.
        least: Smallest size, as a multiple of what the brand gets in three hours; most: largest.
    """

    name: str
    shape: Callable[[np.random.Generator], Array]
    share: tuple[float, float]
    least: float
    most: float


def _rise_and_fall(peak: tuple[float, float]) -> Callable[[np.random.Generator], Array]:
    def shape(rng: np.random.Generator) -> Array:
        t = (np.arange(DAY) + 0.5) / rng.uniform(*peak)
        return np.asarray(t * np.exp(1 - t))

    return shape


def _giveaway(rng: np.random.Generator) -> Array:
    """Replies fade by the hour; reminders bring them again."""
    t = np.arange(DAY, dtype=np.float64)
    total = np.exp(-t / rng.uniform(60, 300))
    for _ in range(int(rng.integers(1, 4))):
        begin = rng.uniform(120, 1200)
        total += np.where(t >= begin, 0.6 * np.exp(-(t - begin) / 60), 0)
    return total


def _sports(rng: np.random.Generator) -> Array:
    """Two hours of a match, with peaks of a few minutes at what happens in it."""
    t = np.arange(180, dtype=np.float64)
    total = 1 + 0 * t
    for _ in range(int(rng.integers(2, 7))):
        at = rng.uniform(5, 150)
        total += rng.uniform(3, 12) * np.exp(-np.abs(t - at) / 4) * (t >= at - 3)
    return total


def _launch(rng: np.random.Generator) -> Array:
    """A fixed minute, a jump, and a long tail."""
    t = np.arange(DAY, dtype=np.float64)
    return np.asarray(np.exp(-t / rng.uniform(20, 60)) + 0.3 * np.exp(-t / rng.uniform(300, 600)))


def _queue(rng: np.random.Generator) -> Array:
    """A working day of questions to the support."""
    t = np.arange(600, dtype=np.float64)
    return np.asarray(np.sin(np.pi * t / 600) ** rng.uniform(1, 2))


KINDS: Final = (
    Kind("meme quoting the brand", _rise_and_fall((30, 240)), (0.05, 0.25), 2, 60),
    Kind("giveaway", _giveaway, (0.0, 0.08), 2, 100),
    Kind("launch", _launch, (0.05, 0.2), 2, 60),
    Kind("sports night", _sports, (0.1, 0.3), 1, 40),
    Kind("praise wave", _rise_and_fall((60, 360)), (0.0, 0.06), 2, 60),
    Kind("support surge", _queue, (0.1, 0.3), 2, 20),
    Kind("homonym in the news", _rise_and_fall((20, 180)), (0.1, 0.35), 2, 60),
)
"""The share is what people would say; the ear errs as the model does."""


@dataclass(frozen=True, slots=True)
class Case:
    """One hard negative, in its lane."""

    kind: str
    brand: str
    lane: int
    begin: int


def place(
    lanes: list[Lane],
    waves: list[Wave],
    *,
    brands: Sequence[Brand],
    each: int,
    alarms_per_day: float,
    warm: int,
    rng: np.random.Generator,
) -> list[Case]:
    """Add so many of each kind to a trial, over the brands in turn."""
    cases = []
    for kind in KINDS:
        for number in range(each):
            brand = brands[number % len(brands)]
            shape = kind.shape(rng)
            usual = 3 * max(brand.rate, 1.0)
            size = usual * np.exp(rng.uniform(np.log(kind.least), np.log(kind.most)))
            minutes = rng.poisson(size * shape / shape.sum())
            share = rng.uniform(*kind.share)
            share = min(share, brand.share + 0.1)  # what is more negative may well be a backlash
            negative = rng.binomial(minutes, share)
            begin = BEGIN + warm * DAY + int(rng.integers(DAY))
            cases.append(Case(kind.name, brand.name, len(lanes), begin))
            waves.append(Wave(len(lanes), begin, negative, minutes - negative))
            lanes.append(Lane(brand, alarms_per_day))
    return cases


def paged(case: Case, incidents: dict[int, list[Incident]], within: int = JUDGED) -> bool:
    """Say whether a case paged while it lasted."""
    own = incidents.get(case.lane, [])
    until = case.begin + within
    return any(case.begin < page <= until for i in own for page in i.pages)


def measures(cases: Sequence[Case], wrong: Sequence[bool]) -> list[Measure]:
    """Say how many were rejected, of each kind and in all."""
    found = []
    for kind in [*dict.fromkeys(case.kind for case in cases), None]:
        own = [w for c, w in zip(cases, wrong, strict=True) if kind in {None, c.kind}]
        name = f"hard negatives rejected, {kind or 'all as counts'}"
        found.append(proportion(len(own) - sum(own), len(own), name))
    return found
