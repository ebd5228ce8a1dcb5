"""Pictures: of the classifier, of post to page against the load, of memory. Needs uproar[plots]."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from services.backtest.plot import pyplot
from services.bench.found import Found
from services.bench.pipeline import Load
from services.bench.rounds import Rates
from services.bench.soak import Memory
from uproar.errors import Misconfigured

_AXES = {
    "batch": "posts handed over at a time",
    "words": "words in a post",
    "repeats": "repeats, %",
}


def draw(folder: Path, found: Found) -> list[Path]:
    """
    Draw what was found: ``classifier.png``, ``post-to-page.png``, ``memory.png``.

    Raises:
        Misconfigured: matplotlib is missing, or the folder cannot be written.
    """
    drawn = []
    if found.curves:
        drawn.append(_keep(folder / "classifier.png", _curves(found.curves)))
    if found.loads:
        drawn.append(_keep(folder / "post-to-page.png", _waits(found.loads)))
    if found.memory:
        drawn.append(_keep(folder / "memory.png", _memory(found.memory)))
    return drawn


def _keep(path: Path, figure: Any) -> Path:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, dpi=80)
    except OSError as error:
        raise Misconfigured(f"cannot draw into {path.parent}: {error}") from error
    pyplot().close(figure)
    return path


def _curves(curves: Mapping[str, Rates]) -> Any:
    """Draw medians, and from the slowest to the fastest round."""
    figure, places = pyplot().subplots(2, 2, figsize=(11, 7), layout="constrained")
    figure.suptitle("Classifier: posts a second, tokeniser included, distinct posts")
    for place, (name, rates) in zip(places.flat, curves.items(), strict=True):
        if name in _AXES:
            _line(place, rates, _AXES[name], doubling=name != "repeats")
        else:
            _bars(place, rates)
    return figure


def _waits(loads: Sequence[Load]) -> Any:
    """Draw quantiles of post to page against what was pushed."""
    figure, axes = pyplot().subplots(figsize=(7, 4.5), layout="constrained")
    shown = [load for load in loads if load.waits]
    pushed = [load.posts_per_s for load in shown]
    for q, name, colour in (
        (0.5, "p50", "#2c3e50"),
        (0.9, "p90", "#5d8aa8"),
        (0.99, "p99", "#c0392b"),
    ):
        axes.plot(pushed, [each.quantile(q) for each in shown], "o-", label=name, color=colour)
    for load in shown:
        axes.annotate(f"{load.share:.0%}, {len(load.waits)} pages", (load.posts_per_s, 0), rotation=90,
                      xytext=(-10, 4), textcoords="offset points", fontsize=8)  # fmt: skip
    axes.set_title("Acceptance of the batch that closes the deciding minute, to the receipt")
    axes.set_xlabel("posts a second")
    axes.set_ylabel("seconds")
    axes.set_ylim(bottom=0)
    axes.legend()
    return figure


def _memory(memory: Mapping[str, Memory]) -> Any:
    """Draw what each process held."""
    figure, axes = pyplot().subplots(figsize=(7, 4.5), layout="constrained")
    for name, each in memory.items():
        axes.plot([at / 60 for at in each.at], [held / 1e6 for held in each.held], label=name)
    axes.set_title("Resident memory at half load")
    axes.set_xlabel("minutes")
    axes.set_ylabel("MB")
    axes.set_ylim(bottom=0)
    axes.legend()
    return figure


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
