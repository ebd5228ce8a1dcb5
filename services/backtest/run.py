"""`uproar backtest`: the production detector over recorded posts, in event time, without a broker."""

import sys
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
from pydantic import Field
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from services.backtest.recorded import Read, Reader, Score
from services.classifier.score import Scorer, partition_of
from services.process import read_document
from services.pseudonyms import PseudonymSettings, digest
from uproar.assessment import Assessment, Scores
from uproar.backlash import Backlash
from uproar.detector import Closed, Detector
from uproar.errors import Malformed, Misconfigured
from uproar.reading import Reading
from uproar.subject import Subject, alarms_per_day, watch_list
from uproar.watermark import Frontier, State, Watermark

STREAM = "backtest"
BATCH = 512
TOLD = 10
MINUTE = timedelta(minutes=1)


class BacktestSettings(PseudonymSettings):
    """What ingest and classifier read too: the key of the pseudonyms, the model."""

    model: str | None = Field(default=None, validation_alias="UPROAR_MODEL")
    device: str = Field(default="cpu", pattern="^(cpu|cuda)$", validation_alias="UPROAR_DEVICE")

    def secret(self) -> bytes:
        """Return ingest's key where this machine has one, so that authors are called the same."""
        return self.known_secret() or digest(STREAM)


@dataclass(slots=True)
class Outcome:
    """What detection said, in order of event time; what it did not count, by reason."""

    backlash: list[Backlash] = field(default_factory=list)
    readings: list[Reading] = field(default_factory=list)
    dropped: Counter[str] = field(default_factory=Counter)


def detect(
    read: Read,
    subjects: Sequence[Subject],
    *,
    partitions: int = 1,
    progress: Callable[[int], None] = lambda _: None,
) -> Outcome:
    """
    Run detection as the classifier does: one Detector a partition, minutes closed by watermarks.

    Args:
        read: Posts in order of their event time.
        subjects: Whom to watch.
        partitions: Over how many the subjects are spread; the outcome is the same.
        progress: Told how many posts are done.
    """
    detectors = [Detector() for _ in range(partitions)]
    for subject in subjects:
        detectors[partition_of(subject.id, partitions)].watch(subject)
    outcome, frontier = Outcome(), Frontier()
    if not read.times:
        return outcome

    def close(at: datetime, state: State = State.LIVE) -> None:
        frontier.observe(Watermark(source=STREAM, at=at, state=state))
        if frontier.limit is not None:
            closed = [detector.close_buckets(frontier.limit) for detector in detectors]
            _gather(outcome, closed, [subject.id for subject in subjects])

    close(read.times[0])
    offset = 0
    for begin in range(0, len(read.times), BATCH):
        waiting: list[list[Assessment]] = [[] for _ in detectors]
        for about in read.posts[begin : begin + BATCH]:
            for assessment in about:
                waiting[partition_of(assessment.subject, partitions)].append(assessment)
        for detector, posts in zip(detectors, waiting, strict=True):
            detector.observe_many(posts, range(offset, offset + len(posts)))
        offset += sum(map(len, waiting))
        end = min(begin + BATCH, len(read.times))
        if end < len(read.times):
            close(read.times[end])
        progress(end)
    close(read.times[-1].replace(second=0, microsecond=0) + MINUTE, State.ENDED)
    outcome.dropped = sum((detector.dropped for detector in detectors), Counter())
    return outcome


def _gather(outcome: Outcome, closed: Sequence[Closed], order: Sequence[str]) -> None:
    place = {subject: number for number, subject in enumerate(order)}
    events = [event for part in closed for event in part.backlash]
    outcome.backlash += sorted(events, key=lambda event: (event.at, place[event.subject]))
    readings = [reading for part in closed for reading in part.readings]
    outcome.readings += sorted(readings, key=lambda reading: (reading.at, place[reading.subject]))


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
        if posts is not None:
            score, model = _scorer(bar, settings)
            read = reader.posts(posts, score, model=model)
        elif scores is not None:
            read, model = reader.scored(scores), None
        else:
            raise Malformed("give either posts or scores")
        task = bar.add_task("detecting", total=len(read.times))
        outcome = detect(read, subjects, progress=lambda done: bar.update(task, completed=done))
    _complain(read, console)
    summary = _summary(read, outcome, subjects, model)
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


def _scorer(bar: Progress, settings: BacktestSettings) -> tuple[Score, str]:
    """Return what scores texts and tells the bar, and the name of the model."""
    from services.classifier.engine import load  # noqa: PLC0415 - scored posts need no model

    scorer = Scorer(load(settings.model, device=settings.device))
    task = bar.add_task("scoring", total=None)

    def score(texts: Sequence[str]) -> list[Scores | None]:
        verdicts = scorer.score(texts)
        if scorer.problem:
            raise Misconfigured(scorer.problem)
        bar.advance(task, len(texts))
        return verdicts

    return score, scorer.name


def _complain(read: Read, console: Console) -> None:
    """Say which posts could not be read; nothing else is lost."""
    for where, why in read.reasons[:TOLD]:
        console.print(f"left out, {where}: {why}", markup=False)
    if read.bad > TOLD:
        console.print(f"left out: {read.bad} posts in all")


def _summary(
    read: Read, outcome: Outcome, subjects: Sequence[Subject], model: str | None
) -> dict[str, Any]:
    events = Counter(event.event.value for event in outcome.backlash)
    return {
        "posts": len(read.times),
        "bad": read.bad,
        "unmatched": read.unmatched,
        "unscored": read.unscored,
        "own": outcome.dropped["own"],
        "repeats": outcome.dropped["repeat"],
        "subjects": len(subjects),
        "budget": sorted({subject.budget for subject in subjects}),
        "model": model,
        "from": read.times[0] if read.times else None,
        "to": read.times[-1] if read.times else None,
        "incidents": events["opened"],
        "pages": sum(event.page for event in outcome.backlash),
        "events": dict(events),
    }


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
