"""`uproar evaluate detector`: every part of the yardstick in order, as a table, JSON and pictures."""

import sys
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from rich.console import Console

from services.backtest.evaluate.brands import Part
from services.backtest.evaluate.evaluation import PARTS, Evaluation
from services.backtest.evaluate.metrics import Measure
from services.backtest.evaluate.recordings import check
from services.backtest.evaluate.size import FULL, QUICK

if TYPE_CHECKING:  # it needs uproar[plots]
    from services.backtest.evaluate.pictures import Album


def main(
    *,
    data: Path,
    as_json: bool,
    plots: Path | None,
    quick: bool,
    part: str,
    only: Collection[str] = (),
) -> None:
    """
    Measure detection, and print what was found.

    Raises:
        Misconfigured: The research data are not there, or matplotlib is missing.
        Malformed: A file of them cannot be read.
    """
    console = Console(stderr=True, highlight=False)
    album = None if plots is None else _album(plots)
    evaluation = Evaluation(check(data), Part(part), QUICK if quick else FULL, console)
    evaluation.measure(only or PARTS, album)
    if as_json:
        sys.stdout.buffer.write(msgspec.json.encode(evaluation.measures) + b"\n")
        sys.stdout.buffer.flush()
    else:
        tell(evaluation.measures, Console(highlight=False))
    for note in evaluation.notes:
        console.print(note, markup=False, soft_wrap=True)
    for path in album.drawn if album else ():
        console.print(f"drawn: {path}", markup=False, soft_wrap=True)


def _album(folder: Path) -> "Album":
    from services.backtest.evaluate.pictures import Album  # noqa: PLC0415 - needs uproar[plots]

    return Album(folder)


def tell(measures: list[Measure], console: Console) -> None:
    """Print a line for each measure."""
    for m in measures:
        between = ""
        if m.low is not None or m.high is not None:
            between = f"[{_short(m.low)} .. {_short(m.high)}]"
        line = f"{m.name:72} {_short(m.value):>9} {between:22} n={m.n}"
        console.print(line, markup=False, soft_wrap=True)


def _short(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}"
