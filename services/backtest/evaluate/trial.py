"""Trial: many lanes of life, crises laid over some, heard minute by minute by detection. Pure."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

import numpy as np

from services.backtest.evaluate.background import (
    STEP,
    STEPS_A_DAY,
    Array,
    Background,
    Brand,
    Counts,
)
from services.backtest.evaluate.hearing import SHIPPED, Ear, Hearing, row
from services.backtest.evaluate.wave import Wave
from uproar.detector.counted import Event, Minute, run_counted

BEGIN: Final = 1_704_067_200 // 60
"""First minute of simulated trials: Monday, 2024-01-01, 00:00 UTC."""


class Life(Protocol):
    """Whatever gives true posts of many lanes, a day at a time."""

    def day(self) -> Counts:
        """Return the next day."""


@dataclass(frozen=True, slots=True)
class Lane:
    """Whom a lane simulates, how it is heard, which budget it asks."""

    brand: Brand
    alarms_per_day: float
    ear: Ear = SHIPPED


@dataclass(slots=True)
class Outcome:
    """
    What detection said of a trial, and the counts that rivals may look at.

    Attributes:
        negative: Expected-negative posts in five minutes each, shape (steps, lanes).
    """

    events: list[Event] = field(default_factory=list)
    negative: Array = field(default_factory=lambda: np.zeros((0, 0), np.float32))


def run(
    lanes: Sequence[Lane],
    *,
    days: int,
    rng: np.random.Generator,
    waves: Sequence[Wave] = (),
    progress: Callable[[], None] = lambda: None,
) -> Outcome:
    """
    Run detection over simulated lanes.

    Args:
        lanes: Whom to simulate.
        days: How long.
        rng: Chance.
        waves: Crises laid over the lanes.
        progress: Told of every day.
    """
    return hear(
        Background([lane.brand for lane in lanes], BEGIN, rng),
        Hearing([lane.ear for lane in lanes], rng),
        np.array([lane.alarms_per_day for lane in lanes]),
        days=days,
        waves=waves,
        progress=progress,
    )


def hear(
    life: Life,
    hearing: Hearing,
    alarms_per_day: Array,
    *,
    days: int,
    waves: Sequence[Wave] = (),
    progress: Callable[[], None] = lambda: None,
) -> Outcome:
    """
    Run detection over lanes, whatever life they have.

    Args:
        life: True posts of the lanes.
        hearing: Their ears.
        alarms_per_day: Their budgets, shape (lanes,).
        days: How long.
        waves: Crises laid over the lanes.
        progress: Told of every day.
    """
    lanes = len(alarms_per_day)
    outcome = Outcome(negative=np.zeros((days * STEPS_A_DAY, lanes), np.float32))

    def minutes() -> Iterator[tuple[int, Minute]]:
        for number in range(days):
            day = life.day()
            for wave in waves:
                lay_over(day, wave)
            heard = hearing.hear(day.negative, day.other)
            steps = heard.negative.reshape(STEPS_A_DAY, STEP, -1).sum(axis=1)
            outcome.negative[number * STEPS_A_DAY : (number + 1) * STEPS_A_DAY] = steps
            for minute in np.flatnonzero((heard.posts > 0).any(axis=1)).tolist():
                yield day.begin + minute, row(heard, minute)
            progress()

    outcome.events = run_counted(minutes(), lanes=lanes, alarms_per_day=alarms_per_day)
    return outcome


def lay_over(day: Counts, wave: Wave) -> None:
    """Add to a day what of a crisis falls into it, in place."""
    first = max(wave.begin, day.begin)
    last = min(wave.begin + len(wave.negative), day.begin + len(day.negative))
    if first < last:
        place = slice(first - day.begin, last - day.begin)
        part = slice(first - wave.begin, last - wave.begin)
        day.negative[place, wave.lane] += wave.negative[part].astype(np.int32)
        day.other[place, wave.lane] += wave.other[part].astype(np.int32)
