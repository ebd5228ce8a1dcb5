"""Metrics: what a detector is worth, in numbers with intervals (detection.md, 5.3). Pure."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from services.backtest.evaluate.background import Array
from uproar.detector.counted import Event

LATE_GROWTH: Final = 12 * 60
"""Minutes for which an incident may have been open before an onset for its growth to count."""
RESAMPLES: Final = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """
    One figure of the report.

    Attributes:
        low, high: Its interval: 95 %, by bootstrap or Wilson; of counted alarms 90 %, of a Poisson
            law. None where there is none.
        n: How many cases it stands on.
    """

    name: str
    value: float | None
    low: float | None = None
    high: float | None = None
    n: int


@dataclass(frozen=True, slots=True)
class Incident:
    """
    One incident of a lane.

    Attributes:
        pages: Minutes of its pages: one at `alert`, one more at `crisis`.
        told: Minutes of its opening and of each growth.
    """

    opened: int
    pages: tuple[int, ...]
    told: tuple[int, ...]
    level: str

    @property
    def paged(self) -> int | None:
        """Minute of its first page; None if it never paged."""
        return self.pages[0] if self.pages else None


def incidents(events: Iterable[Event]) -> dict[int, list[Incident]]:
    """Put the events of each lane together to incidents."""
    found: dict[int, list[Incident]] = {}
    for event in events:
        own = found.setdefault(event.lane, [])
        page = (event.minute,) if event.page else ()
        if event.event == "opened":
            own.append(Incident(event.minute, page, (event.minute,), event.level))
        elif event.event == "grew":
            last = own[-1]
            told = (*last.told, event.minute)
            own[-1] = Incident(last.opened, last.pages + page, told, event.level)
    return found


def alarms(own: Sequence[Incident], since: int, until: int) -> list[int]:
    """Return when incidents first paged, in a stretch of time."""
    return [i.paged for i in own if i.paged is not None and since <= i.paged < until]


def found_at(own: Sequence[Incident], onset: int, until: int) -> int | None:
    """
    Return when a crisis was found: the first page after its onset, also one more page of an
    incident that is open, or growth of one that was opened at most twelve hours before and has paged.
    """
    times = [page for i in own for page in i.pages if onset < page <= until]
    for incident in own:
        if incident.paged is not None and onset - LATE_GROWTH <= incident.opened <= onset:
            times += [t for t in incident.told if onset < t <= until and t >= incident.paged]
    return min(times, default=None)


def poisson_interval(count: int, level: float = 0.9) -> tuple[float, float]:
    """Return the exact (Garwood) interval of a Poisson mean."""
    tail = (1 - level) / 2
    low = 0.0 if count == 0 else _mean_with(lambda mean: 1 - _poisson(count - 1, mean), tail, count)
    return low, _mean_with(lambda mean: 1 - _poisson(count, mean), 1 - tail, count)


def _mean_with(rises: Callable[[float], float], wanted: float, count: int) -> float:
    low, high = 0.0, count + 10 * math.sqrt(count + 1) + 10
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (middle, high) if rises(middle) < wanted else (low, middle)
    return (low + high) / 2


def _poisson(count: int, mean: float) -> float:
    """Return P(N <= count)."""
    if mean <= 0:
        return 1.0
    logs = [k * math.log(mean) - mean - math.lgamma(k + 1) for k in range(count + 1)]
    return math.fsum(map(math.exp, logs))


def proportion(hits: int, n: int, name: str) -> Measure:
    """Return a share with its Wilson interval."""
    if n == 0:
        return Measure(name=name, value=None, n=0)
    z, p = 1.96, hits / n
    middle, half = p + z * z / (2 * n), z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    scale = 1 + z * z / n
    low, high = max((middle - half) / scale, 0.0), min((middle + half) / scale, 1.0)
    return Measure(name=name, value=p, low=low, high=high, n=n)


def by_brand(
    name: str,
    cases: Mapping[str, Sequence[float]],
    statistic: Callable[[Array], float],
    rng: np.random.Generator,
) -> Measure:
    """
    Return a statistic over all cases, with a block bootstrap: whole brands are drawn again.

    Args:
        name: What it is.
        cases: Values of each brand; infinite for what never came.
        statistic: Of all values.
        rng: Chance.
    """
    blocks = [np.array(values, dtype=np.float64) for values in cases.values() if len(values)]
    n = sum(map(len, blocks))
    if not n:
        return Measure(name=name, value=None, n=0)
    drawn = []
    for _ in range(RESAMPLES):
        choice = rng.integers(len(blocks), size=len(blocks))
        drawn.append(statistic(np.concatenate([blocks[i] for i in choice])))
    low, high = np.quantile(drawn, (0.025, 0.975), method="nearest")
    value = statistic(np.concatenate(blocks))
    return Measure(name=name, value=_finite(value), low=_finite(low), high=_finite(high), n=n)


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def median(values: Array) -> float:
    """Return the median, infinite when half never came."""
    return float(np.quantile(values, 0.5, method="higher"))


def geometric_mean(values: Array) -> float:
    """Return the geometric mean of positive values."""
    return float(np.exp(np.log(values).mean()))


def half_found(sizes: Sequence[int], found: Sequence[float]) -> tuple[float, bool]:
    """
    Return the size of which half are found.

    Args:
        sizes: Rising.
        found: Share found of each; made to rise (pool adjacent violators), as it must.

    Returns:
        The size, interpolated in its logarithm; and whether it lies within the sizes tried. At an
        end of them it is only a bound.
    """
    rising = _isotonic(found)
    logs = np.log(sizes)
    if rising[0] >= 0.5:
        return float(sizes[0]), False
    if rising[-1] < 0.5:
        return float(sizes[-1]), False
    after = int(np.flatnonzero(rising >= 0.5)[0])
    low, high = rising[after - 1], rising[after]
    part = (0.5 - low) / (high - low)
    return float(np.exp(logs[after - 1] + part * (logs[after] - logs[after - 1]))), True


def _isotonic(values: Sequence[float]) -> Array:
    blocks: list[list[float]] = []
    for value in values:
        blocks.append([value, 1.0])
        while len(blocks) > 1 and blocks[-2][0] > blocks[-1][0]:
            last, before = blocks.pop(), blocks.pop()
            weight = last[1] + before[1]
            blocks.append([(last[0] * last[1] + before[0] * before[1]) / weight, weight])
    return np.array([value for value, weight in blocks for _ in range(int(weight))])
