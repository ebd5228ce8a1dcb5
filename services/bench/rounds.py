"""Rounds: runs what is compared in turn, so that a busy machine is busy for all of it alike."""

import time
from collections.abc import Callable, Iterable, Mapping
from statistics import median

Work = Callable[[], float]
"""Does something and says how much it did: posts, operations."""
Rates = Mapping[str, list[float]]
"""For each name one rate a round, in its unit per second."""


def interleaved(work: Mapping[str, Work], rounds: Iterable[int]) -> Rates:
    """Do all of it once to warm up and once a round, in a different order each time."""
    for each in work.values():
        each()
    rates: dict[str, list[float]] = {name: [] for name in work}
    names = list(work)
    for number in rounds:
        first = number % len(names)
        for name in names[first:] + names[:first]:
            began = time.perf_counter()
            done = work[name]()
            rates[name].append(done / (time.perf_counter() - began))
    return rates


def ratio(above: list[float], below: list[float]) -> float:
    """Compare within each round, then take the median."""
    return median(a / b for a, b in zip(above, below, strict=True))
