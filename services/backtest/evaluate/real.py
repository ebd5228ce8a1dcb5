"""Real: NAB's series as lanes, whole and thinned; alarms outside their labelled windows. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from services.backtest.evaluate.background import STEP, STEPS_A_DAY, TIMES, Array, Counts
from services.backtest.evaluate.metrics import Incident, Measure, poisson_interval
from services.backtest.evaluate.recordings import Recording
from uproar.subject import alarms_per_day

PARTS: Final = (1.0, 0.3, 0.1, 0.03)
"""Shares of a series that are brands of their own; beside the whole, no post is in two of them."""
WARM: Final = 14
SHARE: Final = 0.2
SWING: Final = 0.3


@dataclass(frozen=True, slots=True)
class Brand:
    """A part of a recording, under a budget."""

    recording: Recording
    part: float
    budget: str

    @property
    def name(self) -> str:
        """What to call it."""
        return f"{self.recording.name} x {self.part:g}"


class Play:
    """Recorded counts as true posts, a day at a time; which of them are negative is drawn."""

    def __init__(self, brands: Sequence[Brand], rng: np.random.Generator) -> None:
        self._rng, self._brands = rng, brands
        recordings = {brand.recording.name: brand.recording for brand in brands}
        self._minute = min(r.begin for r in recordings.values()) // 1440 * 1440
        last = max(r.begin + len(r.counts) * STEP for r in recordings.values())
        self.begin, self.days = self._minute, -(-(last - self._minute) // 1440)
        shape = (self.days * STEPS_A_DAY, len(brands))
        self._counts = np.zeros(shape, dtype=np.int64)
        for lane, brand in enumerate(brands):
            first = (brand.recording.begin - self.begin) // STEP
            counts = brand.recording.counts.astype(np.int64)
            kept = counts if brand.part == 1 else rng.binomial(counts, brand.part)
            self._counts[first : first + len(counts), lane] = kept
        self._mood = rng.standard_normal(len(brands)) * SWING

    def day(self) -> Counts:
        """Return the next day."""
        first = (self._minute - self.begin) // STEP
        steps = self._counts[first : first + STEPS_A_DAY]
        minutes = self._rng.multinomial(steps, [1 / STEP] * STEP)  # (steps, lanes, minutes)
        posts = minutes.transpose(0, 2, 1).reshape(1440, -1)
        keep = np.exp(-60 / TIMES[2])
        share = np.empty((24, len(self._brands)))
        for hour in range(24):
            kick = self._rng.standard_normal(len(self._brands))
            self._mood = self._mood * keep + SWING * np.sqrt(1 - keep**2) * kick
            share[hour] = 1 / (1 + (1 - SHARE) / SHARE * np.exp(-self._mood))
        negative = self._rng.binomial(posts, np.repeat(share, 60, axis=0))
        day = Counts(self._minute, negative, posts - negative)
        self._minute += 1440
        return day


def measures(brands: Sequence[Brand], incidents: dict[int, list[Incident]]) -> list[Measure]:
    """Hold alarms outside labelled windows against the budget, all brands pooled."""
    found = []
    for budget in dict.fromkeys(brand.budget for brand in brands):
        for kind, parts in (("whole", (1.0,)), ("whole and thinned", PARTS)):
            count, asked = 0, 0.0
            for lane, brand in enumerate(brands):
                if brand.budget == budget and brand.part in parts:
                    usual = _judged(brand.recording)
                    asked += usual.sum() * STEP / 1440 * alarms_per_day(budget)
                    pages = [i.paged for i in incidents.get(lane, []) if i.paged is not None]
                    count += sum(_usual(brand.recording, usual, page) for page in pages)
            low, high = (bound / asked for bound in poisson_interval(count))
            name = f"real backgrounds {budget}, realised/asked, {kind}"
            found.append(
                Measure(name=name, value=count / asked, low=low, high=high, n=round(asked))
            )
    return found


def _judged(recording: Recording) -> Array:
    usual = recording.usual.copy()
    usual[: WARM * STEPS_A_DAY] = False
    return usual


def _usual(recording: Recording, usual: Array, minute: int) -> bool:
    step = (minute - 1 - recording.begin) // STEP
    return 0 <= step < len(usual) and bool(usual[step])
