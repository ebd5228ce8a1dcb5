"""Nab: the five NAB series through `uproar series`: windows found, alarms elsewhere. A sanity bar."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from services.backtest.evaluate.background import STEP
from services.backtest.evaluate.metrics import Measure, proportion
from services.backtest.evaluate.recordings import TICKERS, moment, read_json
from services.backtest.series import read as read_series
from uproar.detect.volume import Strangeness, strangeness
from uproar.subject import alarms_per_day

BUDGETS = ("8/month", "4/month", "2/month", "1/month", "4/year", "1/year")
FALSE_A_WEEK = 0.5
_WEEK = 7 * 1440 // STEP


@dataclass(frozen=True, slots=True)
class Point:
    """One point of the operating curve: a budget, windows found, alarms a week outside them."""

    budget: str
    hits: int
    windows: int
    false: int
    weeks: float


def curve(data: Path) -> list[Point]:
    """Run the volume detector over the five series under several budgets."""
    listed = read_json(data / "volumes" / "nab_windows.json")
    points = []
    for budget in BUDGETS:
        hits = windows = false = 0
        weeks = 0.0
        for ticker in TICKERS:
            file = f"Twitter_volume_{ticker}.csv"
            series = read_series(data / "volumes" / "nab" / file)
            judged = strangeness(
                series.values,
                step=series.step,
                first_hour=series.begin.hour,
                alarms_per_day=alarms_per_day(budget),
            )
            spans = [(moment(a), moment(b)) for a, b in listed[f"realTweets/{file}"]]
            got = count(judged, series.begin.replace(tzinfo=UTC), series.step, spans)
            hits, windows = hits + got[0], windows + len(spans)
            false, weeks = false + got[1], weeks + got[2]
        points.append(Point(budget, hits, windows, false, weeks))
    return points


def count(
    judged: Strangeness,
    begin: datetime,
    step: timedelta,
    windows: Sequence[tuple[datetime, datetime]],
) -> tuple[int, int, float]:
    """Return windows in which an alarm was raised, alarms outside all, weeks outside them."""
    at = np.arange(len(judged.alarm))
    outside = np.ones(len(at), dtype=bool)
    hits = 0
    for first, last in windows:
        inside = (at >= (first - begin) / step) & (at <= (last - begin) / step)
        hits += bool(judged.alarm[inside].any())
        outside &= ~inside
    return hits, int(judged.alarm[outside].sum()), float(outside.sum()) / _WEEK


def measures(points: Sequence[Point]) -> list[Measure]:
    """Give the recall of the best budget within the allowed false alarms, and every point."""
    found = []
    for p in points:
        name = f"NAB series at {p.budget}, false alarms a week"
        found.append(Measure(name=name, value=p.false / p.weeks, n=p.false))
        found.append(proportion(p.hits, p.windows, f"NAB series at {p.budget}, windows found"))
    fine = [p for p in points if p.false / p.weeks <= FALSE_A_WEEK]
    best = max(fine, key=lambda p: p.hits, default=None)
    name = f"NAB series, windows found at <= {FALSE_A_WEEK:g} false alarms a week"
    return [*found, proportion(best.hits if best else 0, best.windows if best else 0, name)]
