"""services/backtest: files of scored posts, what of them is read and what is said of the rest."""

import gzip
import json
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from services.backtest.chunk import Chunk, Counts
from services.backtest.recorded import Reader
from services.backtest.scored import detect_scores, open_scores
from tests.build import NOON, a_subject
from uproar.errors import Malformed, Misconfigured

READER = Reader(
    subjects=[a_subject("ava", own_accounts=("ava_air",)), a_subject("ben")],
    key=b"k" * 32,
    now=NOON + timedelta(days=1),
)


def a_row(number: int = 1, **given: Any) -> dict[str, Any]:
    return {
        "id": f"p{number}",
        "time": (NOON + timedelta(seconds=number)).isoformat(),
        "subject": "ava",
        "negative": 0.8,
        "neutral": 0.1,
        "positive": 0.1,
        "complaint": None,
        "author_hash": f"a{number}",
        "text_hash": None,
        "own": None,
        "source": None,
    } | given


def parquet(path: Path, rows: list[dict[str, Any]], **columns: Any) -> Path:
    table = pa.Table.from_pylist(rows)
    for name, column in columns.items():
        table = table.set_column(table.schema.get_field_index(name), name, column)
    pq.write_table(table, path)
    return path


def jsonl(path: Path, rows: list[Any]) -> Path:
    text = "".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows)
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return path


def read(path: Path) -> tuple[list[Chunk], Counts]:
    counts = Counts()
    return list(open_scores(path, READER).chunks(counts, posts=100)), counts


def one(path: Path) -> Chunk:
    (chunk,), counts = read(path)
    assert not counts.bad, counts.reasons
    return chunk


BAD = {
    "id: missing": a_row(2, id=""),
    "id: more than 512": a_row(3, id="x" * 513),
    "time: ": a_row(4, time="yesterday"),
    "before 2000": a_row(5, time="1970-01-01T00:00:00Z"),
    "minutes in the future": a_row(6, time="2031-01-01T00:00:00Z"),
    "unknown subject 'zoe'": a_row(7, subject="zoe"),
    "probabilities that sum to 1": a_row(8, negative=0.5),
    "give all three, or none": a_row(9, neutral=None),
    "complaint": a_row(11, complaint=7.0),
}


@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
@pytest.mark.parametrize("why", BAD)
def test_a_bad_row_is_told_with_its_place_and_nothing_else_is_lost(
    tmp_path: Path, kind: str, why: str
):
    rows = [a_row(1), BAD[why], a_row(10)]
    path = tmp_path / f"scores.{kind}"
    (chunk,), counts = read((jsonl if kind == "jsonl" else parquet)(path, rows))
    assert (chunk.read, counts.bad) == (2, 1)
    ((where, said),) = counts.reasons
    assert where == ("line 2" if kind == "jsonl" else "row 2")
    assert said.startswith(("id: empty", why)) or why in said


def test_json_lines_and_parquet_hold_the_same_posts(tmp_path: Path):
    rows = [
        a_row(1),
        a_row(2, author_hash=None, text_hash="c"),
        a_row(3, negative=None, neutral=None, positive=None),
        a_row(4, subject=None),
        a_row(5, own=True, source="Press"),
    ]
    lines, table = (
        one(jsonl(tmp_path / "s.jsonl.gz", rows)),
        one(parquet(tmp_path / "s.parquet", rows)),
    )
    for name in ("subject", "at", "post", "author", "copy", "negative", "positive", "own"):
        assert np.array_equal(getattr(lines.posts, name), getattr(table.posts, name)), name
    assert lines.texts == table.texts
    assert sorted(lines.texts) == [0, 1]
    assert (lines.begin, lines.end, lines.read) == (table.begin, table.end, table.read)


def test_a_timestamp_is_as_good_as_a_text_and_without_a_zone_is_utc(tmp_path: Path):
    rows = [a_row(1), a_row(2)]
    times = [datetime.fromisoformat(row["time"]) for row in rows]
    kinds = [pa.timestamp("ms"), pa.timestamp("us", "UTC"), pa.timestamp("ns", "Europe/Paris")]
    expected = [time.timestamp() for time in times]
    for kind in kinds:
        bare = [t.replace(tzinfo=None) if kind.tz is None else t for t in times]
        chunk = one(parquet(tmp_path / "s.parquet", rows, time=pa.array(bare, kind)))
        assert chunk.posts.at.tolist() == expected


def test_numbers_may_stand_for_authors_texts_and_ids(tmp_path: Path):
    rows = [
        a_row(n, id=n, author_hash=n % 2, text_hash=7, subject=["ava", "ben"]) for n in (1, 2, 3)
    ]
    for path in (jsonl(tmp_path / "s.jsonl", rows), parquet(tmp_path / "s.parquet", rows)):
        posts = one(path).posts
        assert posts.subject.tolist() == [0, 1] * 3
        assert len(set(posts.author.tolist())) == 2
        assert posts.author[0] == posts.author[4]
        assert len(set(posts.copy[:, 0].tolist())) == 1
        assert not posts.copy[:, 1].any()


def test_columns_of_a_dictionary_are_read(tmp_path: Path):
    rows = [a_row(1), a_row(2, subject="ben")]
    subject = pa.array([row["subject"] for row in rows]).dictionary_encode()
    author = pa.array([row["author_hash"] for row in rows]).dictionary_encode()
    chunk = one(parquet(tmp_path / "s.parquet", rows, subject=subject, author_hash=author))
    assert chunk.posts.subject.tolist() == [0, 1]
    assert [text.author for text in chunk.texts.values()] == ["a1", "a2"]


def test_a_file_that_lacks_a_column_is_refused_with_those_it_has(tmp_path: Path):
    row = a_row()
    del row["subject"], row["neutral"]
    with pytest.raises(Malformed, match=r"no column subject, neutral \(it has id, time"):
        read(parquet(tmp_path / "s.parquet", [row]))


def test_a_column_of_another_kind_is_refused(tmp_path: Path):
    with pytest.raises(Malformed, match="negative is string"):
        read(parquet(tmp_path / "s.parquet", [a_row(negative="high")]))
    with pytest.raises(Malformed, match="time is int64"):
        read(parquet(tmp_path / "s.parquet", [a_row(time=5)]))


def test_what_is_no_parquet_file_is_told(tmp_path: Path):
    path = tmp_path / "s.parquet"
    path.write_bytes(b"id,time\n")
    with pytest.raises(Malformed, match="cannot be read as Parquet"):
        read(path)


def test_a_name_must_say_what_a_file_is(tmp_path: Path):
    with pytest.raises(Misconfigured, match="name it"):
        open_scores(tmp_path / "scores.xls", READER)


def test_without_pyarrow_it_is_said_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = parquet(tmp_path / "s.parquet", [a_row()])
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(Misconfigured, match=r"pip install 'uproar\[parquet\]'"):
        read(path)


@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
def test_a_file_out_of_order_is_sorted_and_that_is_said(tmp_path: Path, kind: str):
    rows = [a_row(n) for n in (4, 3, 9, 1, 2, 8)]
    path = (jsonl if kind == "jsonl" else parquet)(tmp_path / f"s.{kind}", rows)
    said: list[str] = []
    counts, _ = detect_scores(path, READER, posts=2, tell=said.append)
    assert (counts.read, len(said)) == (6, 1)
    assert "not in order of time" in said[0]
    assert counts.last == (NOON + timedelta(seconds=9)).timestamp()


def test_a_file_of_nothing_but_bad_rows_is_refused(tmp_path: Path):
    with pytest.raises(Malformed, match=r"no post can be read\. line 1: "):
        detect_scores(jsonl(tmp_path / "s.jsonl", ["nope"]), READER)


def test_posts_about_nobody_and_without_scores_are_counted(tmp_path: Path):
    rows = [
        {"id": "1", "created_at": NOON.isoformat(), "text": "Ben is late", "error": "x"},
        {"id": "2", "created_at": NOON.isoformat(), "text": "nothing", "error": "x"},
        a_row(3, subject=[]),
        a_row(4, negative=None, neutral=None, positive=None),
    ]
    _, counts = read(jsonl(tmp_path / "s.jsonl", rows))
    assert (counts.read or 4, counts.unmatched, counts.unscored) == (4, 2, 2)


def test_an_account_of_the_subject_is_its_own(tmp_path: Path):
    row = {
        "id": "1",
        "created_at": NOON.replace(tzinfo=UTC).isoformat(),
        "author": "ava_air",
        "subjects": ["ava", "ben"],
        "scores": {"negative": 0.9, "neutral": 0.05, "positive": 0.05},
    }
    chunk = one(jsonl(tmp_path / "s.jsonl", [row]))
    assert chunk.posts.own.tolist() == [True, False]
    assert sorted(chunk.texts) == [1]


@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
@pytest.mark.parametrize("order", [1, -1])
def test_an_id_that_comes_again_counts_once_the_first_time(tmp_path, monkeypatch, kind, order):
    rows = [
        a_row(n, id=f"p{n % 5}", time=(NOON + timedelta(hours=n)).isoformat()) for n in range(8)
    ]
    rows.append(a_row(8, id="p7", source="forum", time=(NOON + timedelta(hours=8)).isoformat()))
    rows = [row | {"subject": ["ava", "ben"] if row["id"] == "p1" else ["ava"]} for row in rows]
    path = (parquet if kind == "parquet" else jsonl)(tmp_path / f"x.{kind}", rows[::order])
    seen: list[Chunk] = []

    def detect(chunks, *_, **__):
        seen[:] = list(chunks)

    monkeypatch.setattr("services.backtest.scored.detect", detect)
    counts, _ = detect_scores(path, READER, posts=3)
    assert (counts.read, counts.repeats) == (9, 3)
    at = np.concatenate([chunk.posts.at for chunk in seen])
    hours = ((at - NOON.timestamp()) / 3600).astype(int).tolist()
    assert hours == [0, 1, 1, 2, 3, 4, 8]
