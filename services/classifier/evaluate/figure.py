"""Figure: one measured number with its interval. How to resample, not what is measured."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """
    One measured number.

    Attributes:
        low: Lower end of its 95 % bootstrap interval; ``high`` the upper one.
        n: Rows it was measured on.
        unit: ``%`` for points of a hundred, empty for a number as it is.
        published: The best published figure for the same measure, on the official test; None
            where there is none.
        note: What to know when reading it.
    """

    name: str
    value: float
    low: float
    high: float
    n: int
    unit: str = ""
    published: float | None = None
    note: str = ""


def bootstrap(
    name: str,
    rows: int,
    measure: Callable[[NDArray[np.int64]], float],
    rng: np.random.Generator,
    *,
    groups: NDArray[np.int64] | None = None,
    resamples: int = RESAMPLES,
    **about: Any,
) -> Figure:
    """
    Measure with a percentile interval.

    Args:
        name: What is measured.
        rows: How many rows there are.
        measure: Row numbers (repeats allowed) -> the number.
        rng: Where chance comes from.
        groups: (rows,) resample inside each group (a language), so that its share stays.
        resamples: How often to draw; 0 leaves the interval at the value.
        about: ``unit``, ``published`` and ``note`` of the :class:`Figure`.
    """
    value = measure(np.arange(rows))
    drawn = [measure(_draw(rows, groups, rng)) for _ in range(resamples)] or [value]
    low, high = np.percentile(drawn, [2.5, 97.5])
    return Figure(name=name, value=value, low=float(low), high=float(high), n=rows, **about)


def _draw(
    rows: int, groups: NDArray[np.int64] | None, rng: np.random.Generator
) -> NDArray[np.int64]:
    if groups is None:
        return rng.integers(rows, size=rows)
    members = [np.flatnonzero(groups == group) for group in np.unique(groups)]
    return np.concatenate([rng.choice(each, len(each)) for each in members])
