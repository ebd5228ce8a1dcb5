"""Pictures: what was measured, as PNG to look at. Needs uproar[plots]."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from services.backtest.evaluate import budget, fit, recombined
from services.backtest.evaluate.background import Array, Brand
from services.backtest.evaluate.brands import tempers
from services.backtest.evaluate.compare import Curve
from services.backtest.evaluate.metrics import Incident, poisson_interval
from services.backtest.evaluate.recordings import Recording
from services.backtest.plot import pyplot
from uproar.errors import Misconfigured

REPLICATES, DAYS = 20, 56
_REAL, _SIMULATED, _WITHIN = "#c0392b", "#34495e", "#d5f5e3"
_HORIZON: Final = 360


class Album:
    """A folder of pictures."""

    def __init__(self, folder: Path) -> None:
        """
        Raises:
            Misconfigured: matplotlib is missing, or the folder cannot be written.
        """
        self._plt, self._folder = pyplot(), folder
        self.drawn: list[Path] = []
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise Misconfigured(f"cannot draw into {folder}: {error}") from error

    def backgrounds(self, recordings: Sequence[Recording]) -> None:
        """Draw daily maxima of an hour's count over its mean: real series, and their tempers."""
        figure, grid = self._grid(len(recordings))
        for axes, recording in zip(grid, recordings, strict=False):
            real = fit.daily_maxima(recording.counts[:, None], recording.usual)
            mean = recording.counts[recording.usual].mean() * fit.HOUR
            brand = Brand(name="", rate=float(mean), temper=tempers()[recording.name])
            counts = fit.simulate([brand] * REPLICATES, DAYS, 1)
            made = fit.daily_maxima(counts, np.ones(len(counts), bool))
            for lane in range(REPLICATES):
                _quantiles(axes, made[:, lane] / mean, color=_SIMULATED, linewidth=0.5, alpha=0.4)
            _quantiles(axes, real[:, 0] / mean, color=_REAL, linewidth=2, label="real")
            axes.plot([], [], color=_SIMULATED, label=f"simulated, {REPLICATES} times")
            axes.set(yscale="log", title=f"{recording.name}, {mean:.3g} posts/h")
        grid[0].legend(fontsize=8)
        figure.suptitle("greatest hour of a day / mean hour: share of days below")
        self._save(figure, "backgrounds")

    def budgets(self, years: budget.Years) -> None:
        """Draw alarms realised against asked, brand by brand, with their Poisson intervals."""
        figure, grid = self._grid(len(years.budgets), wide=True)
        for axes, asked in zip(grid, years.budgets, strict=False):
            allowed = years.asked(asked)
            counts = [years.alarms(asked, n) for n in range(len(years.brands))]
            bounds = np.array([poisson_interval(count) for count in counts]) / allowed
            ratio = np.array(counts) / allowed
            place = np.arange(len(counts))
            axes.axvspan(budget.LOW, budget.HIGH, color=_WITHIN)
            axes.hlines(place, bounds[:, 0], bounds[:, 1], color=_SIMULATED)
            axes.plot(ratio, place, "o", color=_SIMULATED)
            axes.set_yticks(place, [brand.name for brand in years.brands], fontsize=7)
            axes.set(
                xlim=(0, max(2.5, min(float(ratio.max()) * 1.1, 8))), xlabel="realised / asked"
            )
            axes.set_title(f"{asked}: {allowed:.0f} alarms asked of each brand")
        self._save(figure, "budgets")

    def delays(
        self,
        cases: Sequence[recombined.Case],
        delays: Mapping[str, Sequence[float]],
    ) -> None:
        """Draw the share of crises found against the minutes since their onset, for each detector."""
        figure, grid = self._grid(2, wide=True)
        for axes, least in zip(grid, (recombined.SURE, 0.0), strict=True):
            sure = np.array([case.first_hour >= least for case in cases])
            for name, late in delays.items():
                own = np.sort(np.array(late)[sure])
                share = np.arange(1, len(own) + 1) / max(len(own), 1)
                axes.step([0, *own], [0, *share], where="post", label=name)
            axes.axvline(15, color="grey", linewidth=0.7, linestyle=":")
            axes.set(xlim=(0, _HORIZON), ylim=(0, 1), xlabel="minutes since the onset")
            kind = f"first hour >= {least:g}x the usual" if least else "all"
            axes.set_title(f"recombined crises, {kind}: {int(sure.sum())}")
        grid[0].set_ylabel("share found")
        grid[0].legend(fontsize=8)
        self._save(figure, "delays")

    def sizes(self, cases: Sequence[recombined.Case], incidents: dict[int, list[Incident]]) -> None:
        """Draw every recombined crisis: how large against the brand, and when it was found."""
        figure, axes = self._plt.subplots(figsize=(9, 6), layout="constrained")
        delays = np.array([recombined.found(case, incidents) for case in cases])
        first, size = (np.array([getattr(c, n) for c in cases]) for n in ("first_hour", "size"))
        seen = np.isfinite(delays)
        axes.scatter(first[~seen], size[~seen], marker="x", color=_REAL, label="not found in a day")
        dots = axes.scatter(first[seen], size[seen], c=np.log10(delays[seen] + 1), cmap="viridis_r")
        axes.axvline(recombined.SURE, color="grey", linewidth=0.7)
        axes.set(xscale="log", yscale="log", ylabel="posts of the crisis")
        axes.set_xlabel("posts of its first hour / the brand's mean hour")
        figure.colorbar(dots, label="log10 minutes to the page")
        axes.legend()
        self._save(figure, "sizes")

    def curves(self, curves: Sequence[Curve]) -> None:
        """Draw operating curves: sure crises found within an hour, against alarms a month."""
        figure, axes = self._plt.subplots(figsize=(8, 6), layout="constrained")
        for curve in curves:
            axes.plot(curve.alarms, curve.found, ".-", label=curve.name)
        axes.axvline(1, color="grey", linewidth=0.7, linestyle=":")
        axes.set(xscale="log", ylim=(0, 1), xlabel="alarms a brand-month without a crisis")
        axes.set_ylabel(f"found within an hour, of those with a first hour >= {recombined.SURE:g}x")
        axes.set_title("rivals: thresholds of each brand set with hindsight")
        axes.legend()
        self._save(figure, "curves")

    def _grid(self, count: int, *, wide: bool = False) -> tuple[Any, list[Any]]:
        columns = min(count, 2 if wide else 4)
        rows = -(-count // columns)
        figure, grid = self._plt.subplots(
            rows, columns, figsize=(5 * columns, (5 if wide else 3.2) * rows), layout="constrained"
        )
        axes = list(np.atleast_1d(grid).ravel())
        for empty in axes[count:]:
            empty.axis("off")
        return figure, axes

    def _save(self, figure: Any, name: str) -> None:
        path = self._folder / f"{name}.png"
        try:
            figure.savefig(path, dpi=100)
        except OSError as error:
            raise Misconfigured(f"cannot draw {path}: {error}") from error
        self._plt.close(figure)
        self.drawn.append(path)


def _quantiles(axes: Any, values: Array, **style: Any) -> None:
    ordered = np.sort(values)
    axes.step(np.arange(1, len(ordered) + 1) / len(ordered), ordered, where="post", **style)
