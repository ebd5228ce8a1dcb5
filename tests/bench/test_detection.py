"""
How fast detection is, beside the targets of issue 7: posts, minutes of many subjects, back-tests.

Figures are printed (`-s`); only that every post was read and counted, and the size of a row, is asserted.
"""

import json
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from services.backtest.recorded import Reader
from services.backtest.scored import detect_scores
from tests.build import a_subject
from uproar.detector import Columns, Detector
from uproar.subject import Subject
from uproar.watch import WATCH, Array

BEGIN = datetime(2026, 3, 2, tzinfo=UTC)
POSTS, SUBJECTS, MANY = 400_000, 1_000, 1_000_000
PER_MINUTE = 1_000
"""Ten million posts in a week."""


def zipf(rng: np.random.Generator, posts: int, subjects: int) -> Array:
    """Draw whom posts are about: the first is named twice as often as the second."""
    share = np.cumsum(1 / np.arange(1, subjects + 1))
    return np.searchsorted(share, rng.random(posts) * share[-1]).clip(0, subjects - 1)


def talk(
    rng: np.random.Generator, subjects: list[Subject], about: Array, minute: int, minutes: float
) -> Columns:
    """Posts of some minutes; every fifth is a copy, a fifth is negative."""
    posts = len(about)
    seconds = np.sort(rng.random(posts)) * minutes * 60
    return Columns(
        subjects=[subject.id for subject in subjects],
        subject=about,
        at=BEGIN.timestamp() + minute * 60 + seconds,
        post=rng.integers(1, 2**63, posts).astype(np.uint64),
        author=rng.integers(1, 500_000, posts).astype(np.uint64) << np.uint64(40),
        copy=np.where(rng.random((posts, 1)) < 0.2, rng.integers(1, 50_000, (posts, 2)), 0).astype(
            np.uint64
        ),
        negative=rng.beta(0.4, 1.2, posts),
        positive=np.full(posts, 0.1),
        own=np.zeros(posts, bool),
        backfill=np.zeros(posts, bool),
    )


def watching(subjects: list[Subject]) -> Detector:
    detector = Detector(readings=False)
    detector.watch_many(subjects)
    detector.close_buckets(BEGIN)
    return detector


def closed(detector: Detector, posts: Columns, minute: int, number: int) -> tuple[float, float]:
    """Seconds that it takes to observe posts, and to close a minute."""
    offsets = np.arange(number, number + len(posts))
    began = time.process_time()
    detector.observe_columns(posts, offsets)
    observed = time.process_time()
    detector.close_buckets(BEGIN + timedelta(minutes=minute + 1))
    ended = time.process_time()
    detector.changed_rows()
    return observed - began, ended - observed


def test_posts_of_busy_minutes():
    rng, subjects = np.random.default_rng(1), [a_subject(f"s{n}") for n in range(SUBJECTS)]
    detector, spent, posts = watching(subjects), 0.0, 100_000
    for minute in range(6):
        about = zipf(rng, posts, SUBJECTS)
        cost = closed(detector, talk(rng, subjects, about, minute, 1), minute, minute * posts)
        spent += sum(cost) if minute else 0.0
    each = spent / 5 / posts * 1e6
    print(f"\na post, vectorised: {each:.2f} us ({each / 1:.2f} of the target of 1 us)")
    assert not detector.dropped


def test_a_minute_of_a_million_subjects():
    rng = np.random.default_rng(1)
    subjects = [Subject(id=f"s{n}", name=f"s{n}") for n in range(MANY)]  # type: ignore[arg-type]
    detector, offset, minute = watching(subjects), 0, 0
    for name, posts, everybody in (("50,000 posts", 50_000, False), ("all speak", MANY, True)):
        times = []
        for _ in range(3):
            minute, offset = minute + 1, offset + posts
            about = rng.permutation(MANY) if everybody else zipf(rng, posts, MANY)
            times.append(closed(detector, talk(rng, subjects, about, minute, 1), minute, offset)[1])
        least = min(times) * 1e3
        print(
            f"\na minute of 1M subjects, {name}: {least:.0f} ms ({least / 100:.1f} of the target)"
        )
    print(f"\nstate of a subject: {WATCH.itemsize} bytes of 512")
    assert WATCH.itemsize <= 512


def test_a_back_test_of_scored_posts(tmp_path: Path):
    subjects = [a_subject(f"s{n}") for n in range(SUBJECTS)]
    table = _table(np.random.default_rng(1), subjects)
    pq.write_table(table, tmp_path / "scores.parquet", row_group_size=1 << 17)
    with (tmp_path / "scores.jsonl").open("w") as file:
        for row in table.slice(0, POSTS // 2).to_pylist():
            row["time"] = row["time"].isoformat()
            file.write(json.dumps(row) + "\n")
    reader = Reader(subjects=subjects, key=b"k" * 32, now=BEGIN + timedelta(days=365))
    for name in ("scores.parquet", "scores.jsonl"):
        began = time.process_time()
        counts, _ = detect_scores(tmp_path / name, reader)
        seconds = time.process_time() - began
        rate, whole = counts.read / seconds, 1e7 / counts.read * seconds
        print(
            f"\nback-test of {name}: {rate:,.0f} posts/s ({rate / 100_000:.2f} of 100,000),"
            f" 10 M in {whole:.0f} s ({whole / 60:.2f} of 60 s), one core"
        )
        assert counts.read in {POSTS, POSTS // 2}


def _table(rng: np.random.Generator, subjects: list[Subject]) -> pa.Table:
    columns = talk(rng, subjects, zipf(rng, POSTS, SUBJECTS), 0, POSTS / PER_MINUTE)
    names = np.array([subject.id for subject in subjects])
    rest = (1 - columns.negative) / 2
    at = pa.array((columns.at * 1e6).astype(np.int64), pa.timestamp("us", "UTC"))
    return pa.table(
        {
            "id": [f"p{number}" for number in range(POSTS)],
            "time": at,
            "subject": pa.array(names[columns.subject]).dictionary_encode(),
            "negative": columns.negative,
            "neutral": rest,
            "positive": rest,
            "author_hash": pa.array(columns.author.astype(np.int64)),
            "text_hash": pa.array(
                columns.copy[:, 0].astype(np.int64), mask=columns.copy[:, 0] == 0
            ),
        }
    )
