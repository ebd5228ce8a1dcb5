"""Pictures: posts a second against batch, length, repeats, engine and threads. Needs uproar[plots]."""

from collections.abc import Mapping
from pathlib import Path
from statistics import median
from typing import Any

from services.backtest.plot import pyplot
from services.bench.rounds import Rates
from uproar.errors import Misconfigured

_AXES = {
    "batch": "posts handed over at a time",
    "words": "words in a post",
    "repeats": "repeats, %",
}


def draw(folder: Path, curves: Mapping[str, Rates]) -> list[Path]:
    """
    Draw all curves into ``classifier.png``: medians, and from the slowest to the fastest round.

    Raises:
        Misconfigured: matplotlib is missing, or the folder cannot be written.
    """
    plt = pyplot()
    figure, places = plt.subplots(2, 2, figsize=(11, 7), layout="constrained")
    figure.suptitle("Classifier: posts a second, tokeniser included, distinct posts")
    for place, (name, rates) in zip(places.flat, curves.items(), strict=True):
        if name in _AXES:
            _line(place, rates, _AXES[name], doubling=name != "repeats")
        else:
            _bars(place, rates)
    path = folder / "classifier.png"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, dpi=80)
    except OSError as error:
        raise Misconfigured(f"cannot draw into {folder}: {error}") from error
    plt.close(figure)
    return [path]


def _line(axes: Any, rates: Rates, label: str, *, doubling: bool) -> None:
    xs = [int(x) for x in rates]
    axes.plot(xs, [median(each) for each in rates.values()], marker="o", color="#2c3e50")
    low, high = [min(each) for each in rates.values()], [max(each) for each in rates.values()]
    axes.fill_between(xs, low, high, alpha=0.2, color="#2c3e50")
    if doubling:
        axes.set_xscale("log", base=2)
    axes.set_xticks(xs, [str(x) for x in xs])
    axes.set_xlabel(label)
    axes.set_ylabel("posts a second")
    axes.set_ylim(bottom=0)


def _bars(axes: Any, rates: Rates) -> None:
    names = list(rates)
    heights = [median(each) for each in rates.values()]
    drawn = axes.barh(names, heights, color="#5d8aa8")
    axes.bar_label(drawn, [f"{height:,.0f}" for height in heights], padding=3)
    axes.set_xlabel("posts a second")
    axes.set_title("encoder, threads", fontsize=10)
    axes.margins(x=0.15)
    axes.invert_yaxis()
