"""Run: `uproar bench`, from the question to the table, the JSON line and the pictures."""

import json
import os
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from statistics import median

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from services.bench import pictures, student, texts
from services.bench.classifier import distinct, memory, operations, waits
from services.bench.rivals import naive, peaks
from services.bench.rounds import Rates, Work, interleaved, ratio
from services.classifier.engine import SHIPPED, load
from services.classifier.engine.int8 import Int8Engine
from services.classifier.engine.native import Unsuitable

ROUNDS, POSTS, ALONE, NAIVE_POSTS = 5, 1024, 512, 30
REPEATS = (10, 25, 50)


@dataclass(frozen=True, slots=True)
class Question:
    """
    What shall be measured.

    Attributes:
        posts: JSONL file of texts; None for posts made of our own sentences.
        base: Checkpoint for the naive way.
        plots: Folder to draw into; None for no pictures.
    """

    posts: Path | None
    base: Path
    plots: Path | None
    rounds: int = ROUNDS


@dataclass(slots=True)
class Found:
    """What was measured: the figures of the interface and more, and why some are missing."""

    figures: dict[str, float] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)
    curves: dict[str, Rates] = field(default_factory=dict)


def main(question: Question, *, as_json: bool) -> None:
    """Measure, and print a table, or one JSON object; what could not be measured goes to stderr."""
    found = measure(question)
    for reason in found.missing:
        print(f"not measured: {reason}", file=sys.stderr)
    if question.plots:
        for path in pictures.draw(question.plots, found.curves):
            print(f"drawn: {path}", file=sys.stderr)
    if as_json:
        print(json.dumps(found.figures))
    else:
        Console().print(_table(found.figures))


def measure(question: Question) -> Found:
    """Measure everything that this machine allows."""
    some = question.posts
    posts = texts.made(POSTS) if some is None else texts.recorded(some, POSTS)
    found = Found()
    with tempfile.TemporaryDirectory() as folder, _bar() as bar:
        student.write(Path(folder), like=_shipped())
        work = _work(question, posts, Path(folder), found)
        task = bar.add_task("classifier against its rivals", total=question.rounds)
        rates = interleaved(work, bar.track(range(question.rounds), task_id=task))
        _figures(found, rates, posts)
        if question.plots:
            task = bar.add_task("curves", total=4)
            for name, curve in _curves(posts, rates, question.rounds):
                found.curves[name] = curve
                bar.advance(task)
    return found


def _work(question: Question, posts: list[str], folder: Path, found: Found) -> dict[str, Work]:
    engine = load()
    work = {"classifier": distinct(engine, posts)}
    work["student"] = distinct(load(str(folder)), posts)
    for share in REPEATS:
        work[f"repeats {share}"] = distinct(engine, texts.with_repeats(posts, share / 100))
    try:
        work |= peaks()
    except ImportError:
        found.missing.append("roofline_share, naive_posts_per_s: needs pip install 'uproar[torch]'")
        return work
    if (question.base / "config.json").is_file():
        work["naive"] = naive(question.base, posts[:NAIVE_POSTS])
    else:
        found.missing.append(
            f"naive_posts_per_s: no checkpoint in {question.base}; name it: --base"
        )
    return work


def _figures(found: Found, rates: Rates, posts: list[str]) -> None:
    figures, ours = found.figures, rates["classifier"]
    if "naive" in rates:
        figures["naive_posts_per_s"] = round(median(rates["naive"]), 1)
    figures["classifier_posts_per_s"] = round(median(ours), 1)
    figures["student_posts_per_s"] = round(median(rates["student"]), 1)
    if "naive" in rates:
        figures["classifier_ratio"] = round(ratio(ours, rates["naive"]), 2)
        figures["student_ratio"] = round(ratio(rates["student"], rates["naive"]), 2)
    peaks_ = [rates[name] for name in rates if name.startswith("peak")]
    if peaks_:
        a_post = operations(_shipped(), posts) / len(posts)
        best = [max(each) for each in zip(*peaks_, strict=True)]
        figures["roofline_share"] = round(ratio([rate * a_post for rate in ours], best), 3)
        figures["peak_gops"] = round(median(best) / 1e9, 1)
    for share in REPEATS:
        figures[f"repeats_{share}_ratio"] = round(ratio(rates[f"repeats {share}"], ours), 3)
    idle = waits(load(), posts[:ALONE])
    figures["post_alone_p50_s"] = round(idle.alone_p50, 5)
    figures["post_alone_p99_s"] = round(idle.alone_p99, 5)
    figures["loop_wait_p99_s"] = round(idle.loop_p99, 5)
    figures["loop_wait_worst_s"] = round(idle.loop_worst, 5)
    figures["memory_mb"] = round(memory(posts) / 1e6, 1)


def _curves(posts: list[str], rates: Rates, rounds: int) -> Iterator[tuple[str, Rates]]:
    """Measure posts a second against what the pictures have along their axis."""
    yield "repeats", {"0": rates["classifier"]} | {str(s): rates[f"repeats {s}"] for s in REPEATS}
    every = range(rounds)
    engine, cores = load(), os.cpu_count() or 1
    sizes = {str(n): distinct(engine, posts[: max(n, 512)], batch=n) for n in _doubling(1, 1024)}
    yield "batch", interleaved(sizes, every)
    words = " ".join(posts).split()
    lengths = {
        str(n): distinct(engine, [" ".join(words[at : at + n]) for at in range(0, 256 * n, n)])
        for n in _doubling(4, 64)
    }
    yield "words", interleaved(lengths, every)
    kinds: dict[str, Work] = {}
    for encoder in ("native", "portable"):
        for threads in _doubling(1, cores):
            with suppress(Unsuitable):  # of this machine: the picture does without
                one = Int8Engine(_shipped(), encoder=encoder, threads=threads)
                kinds[f"{encoder}, {threads}"] = distinct(one, posts[:512])
    more = {name: rates[name] for name in ("naive", "student") if name in rates}
    yield "engine, threads", {**interleaved(kinds, every), **more}


def _doubling(low: int, high: int) -> list[int]:
    found = [low]
    while found[-1] * 2 <= high:
        found.append(found[-1] * 2)
    return found


def _shipped() -> Path:
    return Path(str(files("services.classifier.weights") / SHIPPED))


def _bar() -> Progress:
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    return Progress(*columns, console=Console(stderr=True), transient=True)


_SAYS = {
    "naive_posts_per_s": "transformers.pipeline, one by one, 12 layers, float32",
    "classifier_posts_per_s": "as shipped, distinct posts, tokeniser included",
    "student_posts_per_s": "4 layers of width 256, weights by chance: speed only",
    "classifier_ratio": "against the naive way",
    "student_ratio": "against the naive way",
    "roofline_share": "of what torch._int_mm reaches here",
    "peak_gops": "torch._int_mm at its best",
    "post_alone_p99_s": "one post in an idle service",
    "loop_wait_p99_s": "how late the event loop is while it scores",
    "memory_mb": "most of a process that has the classifier loaded and scores",
}


def _table(figures: Mapping[str, float]) -> Table:
    table = Table(
        "figure", "value", "", title=f"median of interleaved rounds, {os.cpu_count()} cores"
    )
    for name, value in figures.items():
        table.add_row(name, f"{value:,}", _SAYS.get(name, ""))
    return table
