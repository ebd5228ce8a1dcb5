"""
Soak: half load for as long as asked, and what each process holds in memory meanwhile.

Event time runs a hundred times as fast as the clock, so every window and every memory that goes by
event time is at its full size long before the first ten minutes are over: what grows afterwards, leaks.
"""

import asyncio
import os
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from services.bench.house import House, processes
from services.bench.pipeline import Advance, steady

EVERY_SECONDS: Final = 5.0
SETTLING_SECONDS: Final = 600.0
_PAGE: Final = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True, slots=True)
class Memory:
    """
    Resident memory of a process over time.

    Attributes:
        at: Seconds since the beginning.
        held: Bytes then.
    """

    at: Sequence[float]
    held: Sequence[int]

    def growth(self, settled: float) -> float:
        """
        Return the growth after a moment, as a share of what was held then, an hour.

        The slope of the line through all that was seen since (least squares): a last look that
        falls before or after a collection does not decide it.
        """
        at, held = np.array(self.at), np.array(self.held, np.float64)
        slope, begin = np.polyfit(at[at >= settled], held[at >= settled], deg=1)
        return float(slope * 3600 / (begin + slope * settled))


async def soak(house: House, rate: float, *, minutes: float, advance: Advance) -> dict[str, Memory]:
    """Push at a rate for some minutes, and look at the processes every five seconds."""
    held: dict[str, list[tuple[float, int]]] = {}
    looking = asyncio.create_task(_look(held, time.monotonic()))
    try:
        await steady(house, rate, seconds=60 * minutes, advance=advance)
    finally:
        looking.cancel()
        with suppress(asyncio.CancelledError):
            await looking
    return {name: Memory(*zip(*rows, strict=True)) for name, rows in held.items()}


async def _look(held: dict[str, list[tuple[float, int]]], began: float) -> None:
    while True:
        for name, pid in processes():
            held.setdefault(name, []).append((time.monotonic() - began, _resident(pid)))
        await asyncio.sleep(EVERY_SECONDS)


def _resident(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE


def settled(minutes: float) -> float:
    """Return after how many seconds growth counts: ten minutes, or a third of a short soak."""
    return min(SETTLING_SECONDS, 60 * minutes / 3)


def growths(memory: Mapping[str, Memory], minutes: float) -> dict[str, float]:
    """Return the growth of each process, a share an hour."""
    return {name: each.growth(settled(minutes)) for name, each in memory.items()}
