"""Wave: how a crisis comes, as posts in each minute since its onset. Pure but for reading curves."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from services.backtest.evaluate.background import STEP, Array
from services.backtest.evaluate.recordings import read_json
from services.backtest.series import read as read_series

WINDOW, ENOUGH = 60 // STEP, 10
"""The onset: the first post of the first hour that holds ten (detection.md, 5.1)."""
LENGTH: Final = 72 * 60
"""Minutes of a real curve that are used; its size is what came in them."""
FAST, SLOW = 60.0, 240.0
"""Minutes to the peak of the analytic curves."""


@dataclass(frozen=True, slots=True)
class Curve:
    """A real or analytic crisis: the share of all its posts in each minute since the onset."""

    name: str
    share: Array


def analytic(name: str, peak: float, hours: int = 24) -> Curve:
    """Return (t/peak) exp(1 - t/peak) over some hours, as in detection.md 5.4."""
    t = (np.arange(hours * 60) + 0.5) / peak
    intensity = t * np.exp(1 - t)
    return Curve(name, intensity / intensity.sum())


def curves(data: Path) -> list[Curve]:
    """Read the onset curves of the sudden crises of CrisisLexT26."""
    found = []
    for event in read_json(data / "volumes" / "crisislex_events.json"):
        if event["development"] != "Instantaneous" or "file" not in event:
            continue
        values = np.array(read_series(data / event["file"]).values)
        part = values[onset(values) :][: LENGTH // STEP]
        minutes = np.repeat(part / STEP, STEP)
        found.append(Curve(event["id"], minutes / minutes.sum()))
    return found


def onset(counts: Array) -> int:
    """Return the step of the first post of the first hour that holds ten; the first one's if none."""
    hours = np.convolve(counts, np.ones(WINDOW))[WINDOW - 1 :]  # from each step on
    enough = np.flatnonzero(hours >= ENOUGH)
    begin = int(enough[0]) if len(enough) else 0
    return begin + int(np.flatnonzero(counts[begin:] > 0)[0])


@dataclass(frozen=True, slots=True)
class Wave:
    """
    A crisis in a lane.

    Attributes:
        begin: Minute of its onset, since 1970.
        negative, other: Posts in each minute since, shape (minutes,).
    """

    lane: int
    begin: int
    negative: Array
    other: Array

    @property
    def posts(self) -> Array:
        """Posts in each minute."""
        return np.asarray(self.negative + self.other)


def draw(
    curve: Curve, *, lane: int, begin: int, size: int, share: float, rng: np.random.Generator
) -> Wave:
    """Draw a crisis of a size, so many of whose posts are negative."""
    minutes = (
        np.bincount(rng.choice(len(curve.share), size, p=curve.share), minlength=len(curve.share))
        if size < 20_000
        else rng.poisson(size * curve.share)
    )
    negative = rng.binomial(minutes, share)
    return Wave(lane, begin, negative, minutes - negative)
