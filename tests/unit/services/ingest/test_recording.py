import gzip
import json
from pathlib import Path

import msgspec
import pytest

from services.ingest import recording as room
from services.ingest.recording import read_recording, stream_of
from tests.unit.services.ingest.fakes import NOW
from uproar.errors import Malformed, Misconfigured


def a_line(id="1", at="2026-03-01T10:00:00Z", **given) -> bytes:  # noqa: A002
    return json.dumps({"id": id, "text": f"acme {id}", "created_at": at} | given).encode()


def read(path: Path, content: bytes, **options):
    path.write_bytes(content)
    return read_recording(path, now=NOW, **options)


def ids(recording) -> list[str]:
    return [post.id for post in recording.posts]


def test_lines_come_in_the_order_they_were_written_in(tmp_path):
    lines = [
        a_line("late", "2026-03-01T10:00:01Z"), a_line("b"), a_line("a"),
        a_line("early", "2026-03-01T10:59:00+01:00"),
    ]  # fmt: skip
    recording = read(tmp_path / "x.jsonl", b"\n\n".join(lines))
    assert ids(recording) == ["early", "a", "b", "late"]
    assert recording.posts[1].raw == lines[2]
    assert recording.bad == 0


@pytest.mark.parametrize("name", ["x.jsonl.gz", "x.v2.ndjson.GZ", "x.csv.gz"])
def test_packed_files_are_unpacked(tmp_path, name):
    content = a_line() if "json" in name else b"id,text,created_at\n1,acme,2026-03-01T10:00:00Z\n"
    assert ids(read(tmp_path / name, gzip.compress(content))) == ["1"]


def test_a_bad_line_is_counted_with_its_number_and_loses_no_other(tmp_path):
    lines = [
        a_line("1"), b"{", b"[]", b'{"id":"2"}', a_line("3", "yesterday"), a_line("4", "1970-01-01T00:00:00Z"),
        a_line("5", "2026-03-02T13:00:00Z"), a_line("6", "2026-03-01T10:00:00"), b'{"id":"\xff"}',
        a_line("7", "9999-12-31T23:59:59-14:00"), b"[" * 100_000, a_line("8") + b" " * room.MAX_LINE_BYTES,
        a_line("9"),
    ]  # fmt: skip
    recording = read(tmp_path / "x.jsonl", b"\n".join(lines))
    assert ids(recording) == ["1", "9"]
    assert recording.bad == 11
    assert [number for number, _ in recording.reasons] == list(range(2, 13))
    reasons = dict(recording.reasons)
    assert reasons[4] == "created_at: missing"
    assert "future" in reasons[7]
    assert "longer" in reasons[12]


def test_only_the_first_hundred_reasons_are_kept(tmp_path):
    recording = read(tmp_path / "x.jsonl", b"{\n" * 150)
    assert (recording.bad, len(recording.reasons)) == (150, 100)


def test_a_lone_surrogate_is_no_bad_line(tmp_path):
    line = rb'{"id":"1","text":"\ud800","created_at":"2026-03-01T10:00:00Z"}'
    assert ids(read(tmp_path / "x.jsonl", line)) == ["1"]


def test_a_table_becomes_posts(tmp_path):
    table = (
        "\ufeffid,created_at,text,views,own,media,subjects,lang,mood\n"
        '1,2026-03-01T10:00:00Z,"two\nlines, one comma",12,true,video;image,"[""acme""]",en,bad\n'
        "2,2026-03-01T09:00:00Z,plain,,,,,,\n"
    )
    recording = read(tmp_path / "x.csv", table.encode())
    assert [msgspec.json.decode(post.raw) for post in recording.posts] == [
        {"id": "2", "created_at": "2026-03-01T09:00:00Z", "text": "plain"},
        {
            "id": "1", "created_at": "2026-03-01T10:00:00Z", "text": "two\nlines, one comma",
            "views": 12, "own": True, "media": ["video", "image"], "subjects": ["acme"], "lang": "en",
        },
    ]  # fmt: skip


@pytest.mark.parametrize("delimiter", [";", "\t"])
def test_a_table_may_be_delimited_otherwise(tmp_path, delimiter):
    rows = [["id", "created_at", "text"], ["1", "2026-03-01T10:00:00Z", "a, b"]]
    table = "\n".join(delimiter.join(row) for row in rows)
    recording = read(tmp_path / "x.csv", table.encode())
    assert msgspec.json.decode(recording.posts[0].raw)["text"] == "a, b"


def test_a_bad_row_is_counted_with_its_line_and_loses_no_other(tmp_path):
    rows = [
        b"id,created_at,text,views", b"1,2026-03-01T10:00:00Z,a,1", b"2,soon,a,1",
        b"3,2026-03-01T10:00:00Z,a,many", b"4,2026-03-01T10:00:00Z,a,1,too,many",
        b",2026-03-01T10:00:00Z,a,1", b"5,2026-03-01T10:00:00Z,\xff\x00,1", b"",
        b"6,2026-03-01T10:00:00Z," + b"x" * room.MAX_LINE_BYTES + b",1", b"7,2026-03-01T10:00:00Z,b,1",
    ]  # fmt: skip
    recording = read(tmp_path / "x.csv", b"\r\n".join(rows))
    assert ids(recording) == ["1", "5", "7"]
    assert [number for number, _ in recording.reasons] == [3, 4, 5, 6, 9]


def test_a_table_without_its_columns_is_refused_by_name(tmp_path):
    with pytest.raises(Malformed, match="created_at"):
        read(tmp_path / "x.csv", b"id,text\n1,2\n")
    with pytest.raises(Malformed, match="created_at and id"):
        read(tmp_path / "x.csv", b"")


@pytest.mark.parametrize("size", [200_000, 2 * room.MAX_LINE_BYTES])
def test_a_first_row_that_is_too_long_is_refused_in_few_words(tmp_path, size):
    monster = b'"' + b"x" * size + b'",created_at\n'
    with pytest.raises(Malformed, match="line 1") as refused:
        read(tmp_path / "x.csv", monster)
    assert len(str(refused.value)) < 500


def test_a_bomb_is_not_unpacked(tmp_path):
    packed = gzip.compress(b"x" * 3_000_000)
    with pytest.raises(Malformed, match="more than 2000000"):
        read(tmp_path / "x.jsonl.gz", packed, max_unpacked_bytes=2_000_000)
    with pytest.raises(Malformed, match="more than 20000 bytes"):
        read(tmp_path / "y.jsonl.gz", gzip.compress(b"x\n" * 15_000), max_unpacked_bytes=20_000)


@pytest.mark.parametrize(
    "content",
    [b"x", gzip.compress(a_line(), mtime=0)[:-5], gzip.compress(a_line() * 9, mtime=0)[:40]],
)
def test_a_broken_gzip_file_is_refused(tmp_path, content):
    with pytest.raises(Malformed, match="no whole gzip file"):
        read(tmp_path / "x.jsonl.gz", content)


def test_a_file_that_is_not_there_or_of_no_known_kind_is_refused(tmp_path):
    with pytest.raises(Misconfigured, match="cannot read"):
        read_recording(tmp_path / "none.jsonl", now=NOW)
    with pytest.raises(Misconfigured, match="name it"):
        read(tmp_path / "x.xlsx", b"")


@pytest.mark.parametrize(
    ("name", "stream"),
    [
        ("spotify_2017.jsonl.gz", "spotify_2017"), ("My Crisis (2).csv", "my-crisis-2"),
        ("été.jsonl", "t"), ("日本.csv", "replay"), (".jsonl", "replay"),
    ],
)  # fmt: skip
def test_a_stream_is_called_by_its_file(name, stream):
    assert stream_of(Path(name)) == stream
