"""Speed: what detection costs a post, a minute, a subject; on this machine, one core, as it is."""

import json
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import numpy as np

from services.backtest.evaluate.metrics import Measure
from services.backtest.recorded import Reader
from services.backtest.scored import detect_scores
from uproar.assessment import Assessment, Scores
from uproar.detector import Detector
from uproar.detector.counted import Minute, run_counted
from uproar.post import PostId
from uproar.subject import Subject, SubjectId
from uproar.watch import WATCH

BEGIN: Final = datetime(2024, 3, 4, tzinfo=UTC)
LANES: Final = 100_000
PENDING: Final = ("speed, back-test of scored posts, Parquet, posts/s",)
"""What cannot be measured yet: the parts do not exist."""


def measures(posts: int) -> list[Measure]:
    """Measure with so many posts."""
    found = [Measure(name="speed, bytes of state a subject", value=WATCH.itemsize, n=1)]
    found += [_observing(posts), _counted(), _scored_lines(posts)]
    return [*found, *(Measure(name=name, value=None, n=0) for name in PENDING)]


def _observing(posts: int) -> Measure:
    """Observe posts of a thousand subjects over an hour, and close its minutes."""
    rng = np.random.default_rng(1)
    subjects = [SubjectId(f"s{n}") for n in range(1000)]
    detector = Detector()
    for subject in subjects:
        detector.watch(Subject(id=subject, name=subject))
    seconds = np.sort(rng.uniform(0, 3600, posts))
    whom, negative = rng.integers(1000, size=posts), rng.uniform(0, 0.5, posts).round(3)
    told = [
        Assessment(
            post=PostId(f"p{n}"),
            subject=subjects[whom[n]],
            stream="speed",
            network="speed",
            created_at=BEGIN + timedelta(seconds=float(seconds[n])),
            scores=Scores(negative=negative[n], neutral=1 - negative[n], positive=0.0),
            author=f"a{n}",
        )
        for n in range(posts)
    ]
    detector.close_buckets(BEGIN)

    def run() -> None:
        detector.observe_many(told, range(posts))
        detector.close_buckets(BEGIN + timedelta(hours=1))

    took = _seconds(run)
    return Measure(
        name="speed, observe and close, microseconds a post", value=took / posts * 1e6, n=posts
    )


def _counted() -> Measure:
    """Close a minute in which every one of many subjects was written about."""
    ones = np.ones(LANES)
    minute = Minute(0.2 * ones, ones, np.zeros(LANES, np.int64))
    begin, asked = int(BEGIN.timestamp() // 60), np.full(LANES, 1 / 30)

    def run(minutes: int) -> None:
        run_counted(
            ((begin + n, minute) for n in range(minutes)), lanes=LANES, alarms_per_day=asked
        )

    took = (_seconds(lambda: run(4)) - _seconds(lambda: run(1))) / 3
    name = f"speed, closing a minute, every one of {LANES:,} subjects busy, milliseconds"
    return Measure(name=name, value=took * 1e3, n=LANES)


def _scored_lines(posts: int) -> Measure:
    """Back-test posts from scored JSONL, a brand of one post a second."""
    rng = np.random.default_rng(2)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "scored.jsonl"
        with path.open("w", encoding="utf-8") as out:
            for number in range(posts):
                out.write(json.dumps(_line(number, float(rng.uniform(0, 0.5)))) + "\n")
        subjects = [Subject(id=SubjectId("acme"), name="Acme")]
        reader = Reader(subjects=subjects, key=b"speed", now=BEGIN + timedelta(days=365))
        took = _seconds(lambda: detect_scores(path, reader))
    return Measure(name="speed, back-test of scored JSONL, posts/s", value=posts / took, n=posts)


def _line(number: int, negative: float) -> dict[str, Any]:
    at = BEGIN + timedelta(seconds=number)
    rest = round(1 - negative, 4)
    return {
        "id": str(number),
        "created_at": at.isoformat(),
        "author": f"a{number}",
        "subjects": ["acme"],
        "scores": {"negative": round(negative, 4), "neutral": rest, "positive": 0.0},
    }


def _seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began
