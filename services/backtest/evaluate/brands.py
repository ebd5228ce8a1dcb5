"""Brands: whom the yardstick simulates; one set to tune on, another to report on."""

from enum import StrEnum
from importlib.resources import files
from typing import Final

import msgspec
import numpy as np

from services.backtest.evaluate.background import Brand, Temper

SIZES: Final = tuple(np.geomspace(0.03, 1027, 12).round(3).tolist())
"""Posts an hour: the twelve of detection.md, 5.4."""
GIANT: Final = 50_000.0


class Part(StrEnum):
    """Which half is looked at: settings are chosen on ``tune`` alone, figures come of ``report``."""

    TUNE = "tune"
    REPORT = "report"

    @property
    def seed(self) -> int:
        """Chance of its own."""
        return 1 if self is Part.TUNE else 2


_SMALL, _LARGE = 3.0, 30.0
_TEMPERS: Final = {  # of small, medium and large brands; by series: none stands in both parts
    Part.TUNE: (("Free",), ("United", "CRM"), ("KO", "CRM")),
    Part.REPORT: (("Virgin America",), ("Southwest", "US Airways"), ("FB", "UPS", "AAPL")),
}
_SHARES: Final = {Part.TUNE: (0.2, 0.15, 0.3), Part.REPORT: (0.2, 0.25, 0.14)}


def tempers() -> dict[str, Temper]:
    """Return the fitted tempers, by the name of their series."""
    raw = files("services.backtest.evaluate").joinpath("tempers.json").read_bytes()
    return {temper.name: temper for temper in msgspec.json.decode(raw, type=list[Temper])}


def brands(part: Part, *, sets: int = 1, giant: bool = True) -> list[Brand]:
    """
    Return the brands of a part, from the smallest to the giant.

    Args:
        part: Which half.
        sets: Brands of each size; each has a temper and a negative share of its own.
        giant: Whether the giant is among them.
    """
    known, found = tempers(), []
    for number in range(sets):
        for place, size in enumerate((*SIZES, GIANT) if giant else SIZES):
            names = _TEMPERS[part][0 if size < _SMALL else 1 if size < _LARGE else 2]
            name = names[(place + number) % len(names)]
            share = _SHARES[part][(place + number) % 3]
            found.append(
                Brand(
                    name=f"{size:g}/h {name} {number + 1}",
                    rate=size,
                    temper=known[name],
                    share=share,
                )
            )
    return found
