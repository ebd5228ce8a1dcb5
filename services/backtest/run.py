"""`uproar backtest`: the production detector over recorded posts, in event time, without a broker."""

import sys
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
from pydantic import Field
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from services.backtest.chunk import Counts
from services.backtest.detecting import STREAM, Outcome, detect
from services.backtest.recorded import Reader
from services.backtest.scored import detect_scores
from services.classifier.judge import Marks, Model
from services.classifier.score import Scorer
from services.process import read_document
from services.pseudonyms import PseudonymSettings, digest
from uproar.assessment import Scores
from uproar.backlash import Backlash
from uproar.errors import Malformed, Misconfigured
from uproar.subject import Subject, alarms_per_day, watch_list

TOLD = 10


class BacktestSettings(PseudonymSettings):
    """What ingest and classifier read too: the key of the pseudonyms, the model."""

    model: str | None = Field(default=None, validation_alias="UPROAR_MODEL")
    device: str = Field(default="cpu", pattern="^(cpu|cuda)$", validation_alias="UPROAR_DEVICE")

    def secret(self) -> bytes:
        """Return ingest's key where this machine has one, so that authors are called the same."""
        return self.known_secret() or digest(STREAM)


def main(
    *,
    posts: Path | None,
    scores: Path | None,
    watch: Path,
    budget: str | None,
    plots: Path | None,
    as_json: bool,
) -> None:
    """
    Write a JSON line per backlash event to stdout, and a last one with the summary.

    Without ``as_json`` the evidence comes whole, and a table for people goes to stderr.

    Raises:
        Malformed, Misconfigured: A file, the watch list or the budget cannot be used.
    """
    subjects, settings = _subjects(watch, budget), BacktestSettings.load()
    reader = Reader(subjects=subjects, key=settings.secret(), now=datetime.now(UTC))
    console = Console(stderr=True, highlight=False)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(
        *columns, TimeRemainingColumn(), console=console, disable=not sys.stderr.isatty()
    ) as bar:
        task = bar.add_task("detecting", total=None)
        tell: dict[str, Any] = {
            "readings": plots is not None,
            "progress": lambda done: bar.update(task, completed=done),
        }
        model = None
        if posts is not None:
            judge = _model(bar, settings)
            model, read = judge.name, reader.posts(posts, judge)
            bar.update(task, total=len(read.times))
            counts, outcome = read.counts, detect(read.chunks(subjects), subjects, **tell)
        elif scores is not None:
            counts, outcome = detect_scores(scores, reader, tell=console.print, **tell)
        else:
            raise Malformed("give either posts or scores")
    _complain(counts, console)
    summary = _summary(counts, outcome, subjects, model)
    _write(outcome.backlash, summary, ids_only=as_json)
    if not as_json:
        _tell(outcome.backlash, summary, console)
    if plots is not None:
        from services.backtest.plot import draw  # noqa: PLC0415 - needs uproar[plots]

        for path in draw(plots, subjects, outcome.readings, outcome.backlash):
            console.print(f"drawn: {path}")


def _subjects(watch: Path, budget: str | None) -> list[Subject]:
    subjects = watch_list(read_document(watch))
    if not subjects:
        raise Malformed(f"{watch} names no subject: write [[subject]] with an id and a name")
    if budget is None:
        return list(subjects)
    alarms_per_day(budget)
    return [replace(subject, budget=budget) for subject in subjects]


def _model(bar: Progress, settings: BacktestSettings) -> Model:
    """Load the model; the bar shows how many texts it has read."""
    from services.classifier.engine import load  # noqa: PLC0415 - scored posts need no model

    scorer = Scorer(load(settings.model, device=settings.device))
    task = bar.add_task("scoring", total=None)
    return _Watched(scorer, lambda read: bar.advance(task, read))


class _Watched:
    """A model that tells how much it has read, and ends the run where the engine fails."""

    def __init__(self, scorer: Scorer, tell: Callable[[int], None]) -> None:
        self._scorer, self._tell = scorer, tell

    @property
    def name(self) -> str:
        return self._scorer.name

    @property
    def marks(self) -> Marks:
        return self._scorer.marks

    def score(self, texts: Sequence[str]) -> list[Scores | None]:
        verdicts = self._scorer.score(texts)
        if self._scorer.problem:
            raise Misconfigured(self._scorer.problem)
        self._tell(len(texts))
        return verdicts


def _complain(read: Counts, console: Console) -> None:
    """Say which posts could not be read; nothing else is lost."""
    for where, why in read.reasons[:TOLD]:
        console.print(f"left out, {where}: {why}", markup=False)
    if read.bad > TOLD:
        console.print(f"left out: {read.bad} posts in all")


def _summary(
    read: Counts, outcome: Outcome, subjects: Sequence[Subject], model: str | None
) -> dict[str, Any]:
    events = Counter(event.event.value for event in outcome.backlash)
    return {
        "posts": read.read,
        "bad": read.bad,
        "unmatched": read.unmatched,
        "unscored": read.unscored,
        "own": outcome.dropped["own"],
        "repeats": read.repeats + outcome.dropped["repeat"],
        "subjects": len(subjects),
        "budget": sorted({subject.budget for subject in subjects}),
        "model": model,
        "from": _moment(read.first),
        "to": _moment(read.last),
        "incidents": events["opened"],
        "pages": sum(event.page for event in outcome.backlash),
        "events": dict(events),
    }


def _moment(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)


def _write(events: Sequence[Backlash], summary: dict[str, Any], *, ids_only: bool) -> None:
    out, encoder = sys.stdout.buffer, msgspec.json.Encoder()
    for event in events:
        line = msgspec.to_builtins(event, builtin_types=(datetime,))
        if ids_only:
            line["evidence"] = [{"id": e.id, "why": e.why} for e in event.evidence]
        out.write(encoder.encode(line) + b"\n")
    out.write(encoder.encode({"summary": summary}) + b"\n")
    out.flush()


def _tell(events: Sequence[Backlash], summary: dict[str, Any], console: Console) -> None:
    for e in events:
        page = "PAGE" if e.page else "    "
        console.print(
            f"{e.at:%Y-%m-%d %H:%M}  {e.subject}  {e.event:8}  {e.level:6}  {page}"
            f"  severity {e.severity:3}  {e.why.summary}",
            markup=False,
            soft_wrap=True,
        )
    console.print(
        f"{summary['posts']} posts about {summary['subjects']} subjects:"
        f" {summary['incidents']} incidents, {summary['pages']} pages"
    )
