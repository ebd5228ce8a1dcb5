"""Run: `uproar bench`, from the question to the table, the JSON line and the pictures."""

import asyncio
import json
import os
import sys
from collections.abc import Mapping

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from services.bench import ingest, pictures, scoring, whole
from services.bench.found import Asked, Found


def main(asked: Asked, *, as_json: bool) -> None:
    """
    Measure, and print a table, or one JSON object; what could not be measured goes to stderr.

    Raises:
        Misconfigured, Unavailable: The product did not start here, or lost posts.
    """
    found = measure(asked)
    for reason in found.missing:
        print(f"not measured: {reason}", file=sys.stderr)
    if asked.plots:
        for path in pictures.draw(asked.plots, found):
            print(f"drawn: {path}", file=sys.stderr)
    if as_json:
        print(json.dumps(found.figures))
    else:
        Console().print(_table(found.figures))


def measure(asked: Asked) -> Found:
    """Measure what is asked, one part after the other: nothing runs beside what is measured."""
    found, console = Found(), Console(stderr=True, highlight=False)
    with _bar(console) as bar:
        if "classifier" in asked.only:
            task = bar.add_task("classifier against its rivals", total=asked.rounds)
            scoring.measure(asked, found, lambda done: bar.advance(task, done))
        if asked.soak or {"pipeline", "latency"} & set(asked.only):
            asyncio.run(whole.measure(asked, found, bar, say=console.print))
        if "ingest" in asked.only:
            task = bar.add_task("ingest alone", total=ingest.ROUNDS)
            rounds = ingest.measure(
                kafka=asked.kafka, say=console.print, advance=lambda done: bar.advance(task, done)
            )
            ingest.tell(found, asyncio.run(rounds))
    return found


def _bar(console: Console) -> Progress:
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        TimeElapsedColumn(),
    )
    return Progress(*columns, console=console, transient=True)


_SAYS = {
    "naive_posts_per_s": "transformers.pipeline, one by one, 12 layers, float32",
    "classifier_posts_per_s": "as shipped, distinct posts, tokeniser included",
    "student_posts_per_s": "the small model that is shipped beside it, likewise",
    "classifier_ratio": "against the naive way",
    "student_ratio": "against the naive way",
    "roofline_share": "of what torch._int_mm reaches here",
    "peak_gops": "torch._int_mm at its best",
    "post_alone_p99_s": "one post in an idle service",
    "loop_wait_p99_s": "how late the event loop is while it scores",
    "memory_mb": "most of a process that has the classifier loaded and scores",
    "pipeline_posts_per_s": "the whole: push, Kafka, score, detect, page received",
    "pipeline_repeats": "share of its posts that were copies",
    "naive_consumer_posts_per_s": "kafka-python and transformers.pipeline on the same posts",
    "pipeline_ratio": "against the naive consumer",
    "post_to_page_p50_s": "at half load: acceptance of the deciding batch to the receipt",
    "post_to_page_p99_s": "at half load",
    "post_to_page_pages": "pages that were measured",
    "post_to_page_missing": "of them that never came: no quantile improves by a loss",
    "ingest_posts_per_s": "HTTP into the broker, each post matched with 100,000 names",
}


def _table(figures: Mapping[str, float]) -> Table:
    table = Table(
        "figure", "value", "", title=f"median of interleaved rounds, {os.cpu_count()} cores"
    )
    for name, value in figures.items():
        table.add_row(name, f"{value:,}", _SAYS.get(name, ""))
    return table
