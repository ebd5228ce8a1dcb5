"""Evaluation: one run of the yardstick, part by part; what was measured, and what is to be said."""

import sys
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from services.backtest.evaluate import (
    budget,
    compare,
    generated,
    nab,
    operating,
    precision,
    real,
    recombined,
    replays,
    smallest,
    speed,
    staged,
    trial,
)
from services.backtest.evaluate.brands import Part, brands
from services.backtest.evaluate.hearing import SHIPPED, Hearing
from services.backtest.evaluate.metrics import Incident, Measure, incidents
from services.backtest.evaluate.recordings import streams, tickers
from services.backtest.evaluate.size import MONTHLY, WEEKLY, Size
from services.backtest.evaluate.trial import Lane
from services.backtest.evaluate.wave import Wave, curves
from services.backtest.run import BacktestSettings
from services.classifier.score import Scorer
from uproar.subject import alarms_per_day

if TYPE_CHECKING:  # it needs uproar[plots]
    from services.backtest.evaluate.pictures import Album

PARTS: Final = ("series", "replays", "staged", "real", "budget", "crises", "rivals", "speed")
"""What is measured, in this order; ``rivals`` holds ours beside them, with operating curves."""
_REAL: Final = {Part.TUNE: ("KO", "CRM"), Part.REPORT: ("AAPL", "FB", "UPS")}


@dataclass(slots=True)
class Crises:
    """What came of the trial of crises."""

    outcome: trial.Outcome
    smallest: list[smallest.Case]
    recombined: list[recombined.Case]
    generated: list[generated.Case]
    incidents: dict[int, list[Incident]]


class Evaluation:
    """
    One run of the yardstick.

    Attributes:
        measures: Every figure.
        notes: Why events were missed, what was drawn: for people.
    """

    def __init__(self, data: Path, part: Part, size: Size, console: Console) -> None:
        self.data, self.part, self.size, self.console = data, part, size, console
        self.measures: list[Measure] = []
        self.notes: list[str] = []

    def measure(self, parts: Collection[str] = PARTS, album: "Album | None" = None) -> None:
        """Measure parts, and draw them; a comparison needs years and crises, and brings them."""
        if "series" in parts:
            self.nab()
        if {"replays", "staged"} & set(parts):
            book = self._book()
            if "replays" in parts:
                self.dated(book)
            if "staged" in parts:
                self.staged(book)
        if "real" in parts:
            self.real()
        compares = "rivals" in parts
        years = self.years() if compares or "budget" in parts else None
        crises = self.crises() if compares or "crises" in parts else None
        if "speed" in parts:
            self.measures += speed.measures(self.size.posts)
        if album is not None:
            self._draw(album, years, crises)
        if compares and years is not None and crises is not None:
            self.rivals(years, crises, album)

    def _draw(self, album: "Album", years: budget.Years | None, crises: Crises | None) -> None:
        album.backgrounds([*tickers(self.data), *(s.recording for s in streams(self.data))])
        if years is not None:
            album.budgets(years)
        if crises is not None:
            album.sizes(crises.recombined, crises.incidents)

    def nab(self) -> None:
        """Run the volume detector over NAB's series."""
        self.measures += nab.measures(nab.curve(self.data))

    def dated(self, book: replays.ScoreBook) -> None:
        """Replay the dated streams; while tuning, only those one may look at."""
        wanted = [
            entry
            for entry in replays.entries(self.data)
            if self.part is Part.REPORT or entry.id in replays.TUNED
        ]
        files = len({entry.file for entry in wanted})
        with self._bar("replays", files) as step:
            judged = replays.replay(
                self.data,
                wanted,
                book,
                budget=MONTHLY,
                now=datetime.now(UTC),
                progress=step,
            )
        self.measures += replays.measures(judged)
        for verdict, replayed in judged:
            self.notes += replays.explain(verdict, replayed)

    def staged(self, book: replays.ScoreBook) -> None:
        """Stage hard negatives as posts, and two kinds of real backlash beside them."""
        rng = np.random.default_rng(self.part.seed + 50)
        stages = staged.stages(self.size.staged, book, rng)
        with self._bar(f"{len(stages)} staged streams", staged.TICKS) as step:
            told = staged.run(stages, step)
        self.measures += staged.measures(stages, told)

    def _book(self) -> replays.ScoreBook:
        from services.classifier.engine import load  # noqa: PLC0415 - the rest needs no model

        settings = BacktestSettings.load()
        scorer = Scorer(load(settings.model, device=settings.device))
        return replays.ScoreBook(settings.data_dir / "evaluate", scorer)

    def real(self) -> None:
        """Hold alarms on real backgrounds against the budget."""
        recordings = [r for r in tickers(self.data) if r.name in _REAL[self.part]]
        lanes = [
            real.Brand(recording, part, asked)
            for asked in (WEEKLY, MONTHLY)
            for recording in recordings
            for part in real.PARTS
        ]
        rng = np.random.default_rng(self.part.seed + 20)
        play = real.Play(lanes, rng)
        with self._bar("real backgrounds", play.days) as step:
            outcome = trial.hear(
                play,
                Hearing([SHIPPED] * len(lanes), rng),
                np.array([alarms_per_day(lane.budget) for lane in lanes]),
                days=play.days,
                progress=step,
            )
        self.measures += real.measures(lanes, incidents(outcome.events))

    def years(self) -> budget.Years:
        """Let the brands live for years, and hold alarms against the budget."""
        plan, rng = self.size.years, np.random.default_rng(self.part.seed)
        with self._bar(f"{plan.years:.1f} years of each brand", plan.days) as step:
            everybody = brands(self.part, sets=self.size.sets)
            years = budget.live(everybody, self.size.budgets, plan, rng, step)
        self.measures += budget.measures(years)
        return years

    def crises(self) -> Crises:
        """Lay crises and hard negatives over the brands."""
        size, rng = self.size, np.random.default_rng(self.part.seed + 10)
        lanes: list[Lane] = []
        waves: list[Wave] = []
        asked, usual = alarms_per_day(MONTHLY), brands(self.part, giant=False)
        searched = smallest.place(
            lanes,
            waves,
            brands=usual,
            ears=size.ears,
            starts=size.starts,
            rungs=size.rungs,
            alarms_per_day=asked,
            warm=size.warm,
            rng=rng,
        )
        laid = recombined.place(
            lanes,
            waves,
            brands=usual,
            curves=curves(self.data),
            ear=SHIPPED,
            each=size.crises,
            alarms_per_day=asked,
            warm=size.warm,
            rng=rng,
        )
        hard = generated.place(
            lanes,
            waves,
            brands=usual,
            each=size.hard,
            alarms_per_day=asked,
            warm=size.warm,
            rng=rng,
        )
        days = size.warm + 2
        with self._bar(f"{len(waves)} crises and hard negatives", days) as step:
            outcome = trial.run(lanes, days=days, rng=rng, waves=waves, progress=step)
        found = incidents(outcome.events)
        self.measures += smallest.measures(searched, found, rng)
        self.measures += recombined.measures(laid, found, rng)
        self.measures += generated.measures(hard, [generated.paged(c, found) for c in hard])
        return Crises(outcome, searched, laid, hard, found)

    def rivals(self, years: budget.Years, crises: Crises, album: "Album | None" = None) -> None:
        """Run the rivals over the same crises, and ourselves under further budgets."""
        rng, cases = np.random.default_rng(self.part.seed + 30), crises.recombined
        self.measures += precision.measures(years, MONTHLY, cases, crises.incidents)
        compared = compare.compare(years, crises.outcome, cases, rng)
        self.measures += compare.nominal(years)
        self.measures += compare.measures(compared, cases, rng)
        if self.size.curve:
            curve, points = operating.curve(self.part, self.size, curves(self.data), self._bar)
            compared.curves.insert(0, curve)
            self.measures += points
        if album is not None:
            ours = [recombined.found(case, crises.incidents) for case in cases]
            album.delays(cases, {"uproar": ours} | compared.delays)
            album.curves(compared.curves)

    @contextmanager
    def _bar(self, what: str, total: int) -> Iterator[Callable[..., None]]:
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
        with Progress(
            *columns,
            TimeRemainingColumn(),
            console=self.console,
            disable=not sys.stderr.isatty(),
            transient=True,
        ) as progress:
            task = progress.add_task(what, total=total)
            yield lambda *_: progress.advance(task)
