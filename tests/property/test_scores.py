"""Scored posts give the same events, whichever way they come: one by one, JSON lines, flat, Parquet."""

import json
import random
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import given, settings
from hypothesis import strategies as st

from services.backtest.lines import scored
from services.backtest.recorded import Reader
from services.backtest.scored import detect_scores
from tests.build import a_subject
from tests.property.test_detector import LIVELY, Wave, waves
from tests.property.test_replay import talk
from uproar.assessment import Assessment
from uproar.detector import Closed, Detector

NOW = datetime(2027, 1, 1, tzinfo=UTC)
SUBJECTS = [
    a_subject("ava", own_accounts=("ava_air",)),
    *map(a_subject, ("ben", "cora", "dov", "eva")),
]
READER = Reader(subjects=SUBJECTS, key=b"k" * 32, now=NOW)


def flat_of(post: Assessment, number: int) -> dict[str, Any]:
    """Write a post as a flat row; some could not be scored, some are about two, some their own."""
    scores = post.scores
    known = number % 11 != 0
    second = ["ben"] if number % 7 == 0 and post.subject != "ben" else []
    return {
        "id": post.post.removeprefix("push:"),
        "time": post.created_at.isoformat(),
        "subject": [post.subject, *second],
        "negative": scores.negative if known else None,
        "neutral": scores.neutral if known else None,
        "positive": scores.positive if known else None,
        "complaint": scores.complaint if known else None,
        "author_hash": None if number % 13 == 0 else post.author,
        "text_hash": post.fingerprint,
        "own": number % 17 == 0,
        "source": "push",
    }


def told(row: dict[str, Any]) -> list[Assessment]:
    """Make of a row what the pipeline would send, one object for each subject."""
    known = row["negative"] is not None
    post = {"id": row["id"], "created_at": row["time"], "subjects": row["subject"]} | {
        "source": "push",
        "own": row["own"],
        "scores": {k: row[k] for k in ("negative", "neutral", "positive", "complaint")}
        if known
        else None,
    }
    _, about = scored(json.dumps(post).encode(), READER, stream="x")
    return [
        msgspec.structs.replace(one, author=row["author_hash"], fingerprint=row["text_hash"])
        for one in about
    ]


def the_assessment_road(posts: list[Assessment]) -> Closed:
    """Let a detector observe objects, one by one."""
    detector, closed = Detector(readings=False), Closed()
    for subject in SUBJECTS:
        detector.watch(subject)
    posts.sort(key=lambda post: (post.created_at, post.post))
    detector.close_buckets(posts[0].created_at)
    for number, post in enumerate(posts):
        closed.backlash.extend(detector.close_buckets(post.created_at).backlash)
        detector.observe_many([post], [number])
    last = posts[-1].created_at.timestamp() // 60 * 60 + 60
    closed.backlash.extend(detector.close_buckets(datetime.fromtimestamp(last, UTC)).backlash)
    return closed


def write(rows: Sequence[dict[str, Any]], path: Path, *, groups: int = 100) -> Path:
    if path.suffix == ".parquet":
        table = pa.Table.from_pylist(list(rows))
        time = pa.array([datetime.fromisoformat(row["time"]) for row in rows])
        pq.write_table(table.set_column(1, "time", time), path, row_group_size=groups)
    else:
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def spoken(events: Sequence[Any]) -> list[tuple[Any, ...]]:
    order = [subject.id for subject in SUBJECTS]
    return sorted(
        (e.at, order.index(e.subject), e.id, e.page, e.posts, e.authors, e.why, [(x.id, x.why) for x in e.evidence])
        for e in events
    )  # fmt: skip


def post_of(row: dict[str, Any], number: int) -> dict[str, Any]:
    """Write a row as a post with its scores: now plain, now with words, a link, an own account."""
    scores = {k: row[k] for k in ("negative", "neutral", "positive", "complaint")}
    known = {"scores": scores} if row["negative"] is not None else {"error": "no words"}
    words = {"text": f"Ava lost the bag of {row['author_hash']}"} if number % 3 == 0 else {}
    link = {"url": "https://example.org/1", "shares": number} if number % 5 == 0 else {}
    return {
        "id": row["id"],
        "created_at": row["time"],
        "subjects": row["subject"],
        "author": "ava_air" if number % 19 == 0 else row["author_hash"],
        "own": row["own"],
        **known,
        **words,
        **link,
    }


@given(drawn=waves(hours=60), groups=st.sampled_from([13, 1000]), seed=st.integers(0, 99))
@settings(LIVELY, max_examples=8)
def test_every_road_gives_the_same_events_with_the_same_evidence(
    drawn: list[Wave], groups: int, seed: int
):
    rows = [flat_of(post, number) for number, post in enumerate(talk(drawn))]
    shuffled = random.Random(seed).sample(rows, len(rows))
    expected = spoken(the_assessment_road([post for row in rows for post in told(row)]).backlash)
    with TemporaryDirectory() as folder:
        for name, content, partitions in (
            ("flat.jsonl", rows, 1),
            ("flat.jsonl", shuffled, 1),
            ("rows.parquet", rows, 1),
            ("rows.parquet", rows, 4),
            ("rows.parquet", shuffled, 1),
        ):
            file = write(content, Path(folder) / name, groups=groups)
            counts, outcome = detect_scores(file, READER, partitions=partitions, posts=groups)
            assert counts.read == len(rows)
            assert counts.bad == 0
            assert spoken(outcome.backlash) == expected, name


@given(drawn=waves(hours=60), size=st.sampled_from([13, 1000]))
@settings(LIVELY, max_examples=8)
def test_scored_posts_give_the_events_that_the_pipeline_gives(drawn: list[Wave], size: int):
    rows = [post_of(flat_of(post, n), n) for n, post in enumerate(talk(drawn))]
    posts = [
        post for row in rows for post in scored(json.dumps(row).encode(), READER, stream="posts")[1]
    ]
    expected = spoken(the_assessment_road(posts).backlash)
    with TemporaryDirectory() as folder:
        file = write(rows, Path(folder) / "posts.jsonl")
        counts, outcome = detect_scores(file, READER, posts=size)
        assert counts.read == len(rows)
        assert spoken(outcome.backlash) == expected
