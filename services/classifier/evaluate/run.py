"""`uproar evaluate classifier`: every benchmark of the model, beside what was published."""

import json
import sys
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from services.classifier.engine import Engine, load
from services.classifier.evaluate import behaviour, complaints, embedding, sentiment, tasks
from services.classifier.evaluate.bench import Bench
from services.classifier.evaluate.figure import RESAMPLES, Figure, bootstrap
from services.classifier.evaluate.french.draw import FILES
from services.classifier.evaluate.recorded import Recorded, Recorder, Vectors
from uproar.errors import Misconfigured

SEED = 20261126
_WIDTH = 120  # of a table that goes into a file


class _Benchmark(NamedTuple):
    """What measures, the head it needs, the files of the data it reads."""

    measure: Callable[[Bench], list[Figure]]
    head: str
    files: tuple[str, ...]


_WANTS: Mapping[str, _Benchmark] = {
    "tweeteval": _Benchmark(sentiment.tweeteval, "negative", (sentiment.TWEETS,)),
    "xlmt": _Benchmark(sentiment.xlmt, "negative", (sentiment.LANGUAGES,)),
    "offensive": _Benchmark(tasks.offensive, "offensive", (tasks.OFFENSIVE,)),
    "irony": _Benchmark(tasks.irony, "sarcasm", (tasks.IRONY,)),
    "french": _Benchmark(tasks.french, "complaint", tuple(FILES.values())),
    "complaints": _Benchmark(complaints.refitted, "negative", (complaints.XCI, complaints.REVIEWS)),
    "paraphrases": _Benchmark(embedding.paraphrases, "negative", ()),
    "crises": _Benchmark(embedding.crises, "negative", (embedding.CRISES,)),
}
BENCHMARKS = (*_WANTS, "behaviour")


def main(
    *,
    data: Path,
    model: str | None,
    blind: str | None,
    record: Path | None,
    only: tuple[str, ...],
    as_json: bool,
) -> None:
    """
    Measure and print.

    Args:
        data: Folder of the research data.
        model: As ``UPROAR_MODEL``, or a file of recorded answers (``.npz``).
        blind: Encoder that never saw a complaint set, or its vectors (``.npz``): heads are refitted
            on it.
        record: Write the answers there, to be told again without the model.
        only: Names of benchmarks; empty: all.
        as_json: A list of objects instead of a table.
    """
    if not (data / "labelled").is_dir():
        raise Misconfigured(f"--data {data}: no folder `labelled` in it; see the data's README")
    recorded = model is not None and model.endswith(".npz")
    engine: Engine = Recorded(Path(model or "")) if recorded else load(model)
    recorder = Recorder(engine) if record else None
    columns = (SpinnerColumn(), TextColumn("{task.description}: {task.completed:,} posts"))
    console = Console(stderr=True)
    with Progress(
        *columns,
        TimeElapsedColumn(),
        console=console,
        disable=not console.is_terminal,
        transient=True,
    ) as progress:
        task = progress.add_task("evaluate")
        bench = Bench(
            data=data,
            engine=recorder or engine,
            blind=_encoder(blind),
            rng=np.random.default_rng(SEED),
            keep=recorder.held_out if recorder else None,
            advance=lambda count: progress.advance(task, count),
        )
        found = measure(bench, only, lambda name: progress.update(task, description=name))
    if recorder and record:
        recorder.write(record)
    if as_json:
        sys.stdout.write(json.dumps([asdict(figure) for figure in found], indent=1) + "\n")
    else:
        console = Console()
        console.print(
            table(engine.name, found), width=console.width if console.is_terminal else 120
        )


def _encoder(blind: str | None) -> Engine | Vectors | None:
    if blind is None:
        return None
    return Vectors(Path(blind)) if blind.endswith(".npz") else load(blind)


def reads(only: Iterable[str]) -> list[str]:
    """Name the files of the data that some benchmarks read."""
    return [file for name in only if name in _WANTS for file in _WANTS[name].files]


def measure(
    bench: Bench, only: Collection[str] = (), begin: Callable[[str], None] = lambda _name: None
) -> list[Figure]:
    """Run the benchmarks; one whose head the model lacks gives no figure."""
    found: list[Figure] = []
    for name, benchmark in _WANTS.items():
        if (not only or name in only) and bench.has(benchmark.head):
            begin(name)
            found += benchmark.measure(bench)
    if not only or "behaviour" in only:
        begin("behaviour")
        found += behaves(bench)
    return found


def behaves(bench: Bench) -> list[Figure]:
    """Measure the share of behaviour cases that pass, all and by class."""

    def score(texts: list[str]) -> list[dict[str, float]]:
        names = bench.engine.heads
        return [dict(zip(names, row.tolist(), strict=True)) for row in bench.scores(texts)]

    thresholds = getattr(bench.engine, "thresholds", {})
    verdicts = behaviour.judge(
        behaviour.read(), score, thresholds, bench.engine.marks, bench.shares.tolist()
    )
    found = []
    for kind in ("all", *behaviour.rates(verdicts)):
        passed = np.array([not v.broken for v in verdicts if kind in {"all", v.case.kind}])
        found.append(_share(bench, f"behaviour, {kind}: cases passed", passed))
    return found


def _share(bench: Bench, name: str, passed: Any) -> Figure:
    return bootstrap(
        name,
        len(passed),
        lambda at: 100 * float(passed[at].mean()),
        bench.rng,
        resamples=bench.resamples,
        unit="%",
    )


def table(model: str, figures: list[Figure]) -> Table:
    """Lay the figures out; what is published is on other splits, and the table says so."""
    notes = list(dict.fromkeys(figure.note for figure in figures if figure.note))
    shown = Table(title=f"{model}: 95 % bootstrap intervals over {RESAMPLES:,} draws")
    shown.caption = "\n".join(
        ["Published: the best figure that others reported, on other splits than ours."]
        + [f"\\[{at}] {note}" for at, note in enumerate(notes, 1)]
    )
    shown.caption_justify = "left"
    shown.add_column("measure", overflow="fold")
    for column in ("value", "95 %", "n", "published", "note"):
        shown.add_column(column, justify="right", no_wrap=True)
    for figure in figures:
        digits = 1 if figure.unit == "%" else 3
        values = (f"{of:.{digits}f}" for of in (figure.value, figure.low, figure.high))
        value, low, high = values
        best = "" if figure.published is None else f"{figure.published:g}"
        note = f"\\[{notes.index(figure.note) + 1}]" if figure.note else ""
        shown.add_row(figure.name, value, f"{low} to {high}", f"{figure.n:,}", best, note)
    return shown
