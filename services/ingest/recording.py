"""
Recording: posts in a file (JSONL or CSV, plain or ``.gz``), read in the order they were written in.

Columns of a CSV are the fields of an input post (``uproar.inbox.InputPost``), named in its first
row; others are ignored, an empty cell is an absent field, and a list (``media``, ``subjects``) is
written ``a;b`` or as JSON. Not how posts are judged: only what is needed to put them in order.
"""

import csv
import gzip
import re
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import IO, Any

import msgspec

from uproar.errors import Malformed, Misconfigured
from uproar.inbox import InputPost, mend_surrogates, reason
from uproar.post import event_time

MAX_UNPACKED_BYTES = 2 * 1024**3
MAX_LINE_BYTES = 1024**2
MAX_REASONS = 100


@dataclass(frozen=True, slots=True)
class Recorded:
    """One post of a file: when it was written, its id, and the post itself as a JSON object."""

    created_at: datetime
    id: str
    raw: bytes


@dataclass(slots=True)
class Recording:
    """
    What a file holds.

    Attributes:
        posts: In order of ``created_at``, then id.
        ids: Hashes of network and id of each of them.
        bad: How many lines could not be read.
        reasons: Line number and reason of the first hundred of them.
    """

    posts: list[Recorded] = field(default_factory=list)
    ids: set[int] = field(default_factory=set, repr=False)
    bad: int = 0
    reasons: list[tuple[int, str]] = field(default_factory=list)

    @property
    def repeats(self) -> int:
        """How many posts have the id of another one, of which ingest takes the first."""
        return len(self.posts) - len(self.ids)

    def take(self, post: Recorded, source: Any) -> None:
        """Add a post with what it says to be its ``source``: half of what ingest knows it by."""
        self.posts.append(post)
        network = source.strip().lower() if isinstance(source, str) else ""
        self.ids.add(hash((network, post.id)))

    def refuse(self, line: int, why: str) -> None:
        """Count a line that cannot be read."""
        self.bad += 1
        if len(self.reasons) < MAX_REASONS:
            self.reasons.append((line, why))


def read_recording(
    path: Path, *, now: datetime, max_unpacked_bytes: int = MAX_UNPACKED_BYTES
) -> Recording:
    """
    Read a file of posts whole into memory (about twice its unpacked size) and put it in order.

    Args:
        path: ``.jsonl``, ``.ndjson`` or ``.csv``, or one of these with ``.gz`` behind it.
        now: Wall clock: a post from the future is a bad line.
        max_unpacked_bytes: Where to stop, packed or not.

    Raises:
        Misconfigured: The file cannot be opened, or its name does not say what it is.
        Malformed: It is no whole gzip file, too large, or a CSV without the columns it needs.
    """
    kind = next((s for s in reversed(path.suffixes) if s.lower() != ".gz"), "").lower()
    readers = {".jsonl": _jsonl, ".ndjson": _jsonl, ".csv": _csv}
    if kind not in readers:
        raise Misconfigured(f"{path}: name it .jsonl or .csv, or one of these with .gz behind it")
    recording = Recording()
    readers[kind](read_lines(path, most=max_unpacked_bytes), recording, now)
    recording.posts.sort(key=lambda post: (post.created_at, post.id))
    return recording


def stream_of(path: Path) -> str:
    """Return the name of the stream that a file is by default: its stem before the first dot."""
    stem = re.sub(r"[^a-z0-9._-]+", "-", path.name.partition(".")[0].lower()).strip("-")
    return stem[:100] or "replay"


def _open(path: Path) -> IO[bytes] | gzip.GzipFile:
    return gzip.open(path, "rb") if path.suffix.lower() == ".gz" else path.open("rb")


def read_lines(path: Path, *, most: int) -> Iterator[bytes]:
    """
    Yield the lines of a file, packed or not, with their ends; one that is too long comes cut, one
    byte over the limit.

    Raises:
        Misconfigured: The file cannot be opened.
        Malformed: It is no whole gzip file, or holds more bytes than ``most``.
    """
    size = 0
    try:
        with _open(path) as file:
            while line := file.readline(MAX_LINE_BYTES + 1):
                part = line
                while part and not part.endswith(b"\n"):
                    size += len(part)
                    _check_size(size, path, most)
                    part = file.readline(MAX_LINE_BYTES)
                size += len(part)
                _check_size(size, path, most)
                yield line
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise Malformed(f"{path} is no whole gzip file: {error}") from error
    except OSError as error:
        raise Misconfigured(f"cannot read {path}: {error}") from error


def _check_size(size: int, path: Path, most: int) -> None:
    if size > most:
        raise Malformed(f"{path} holds more than {most} bytes unpacked")


# ----------------------------------------------------------------------------------------- JSONL


class _Head(msgspec.Struct):
    id: str
    created_at: datetime
    source: Any = None  # ingest says what is wrong with it


_HEAD = msgspec.json.Decoder(_Head)


def _jsonl(lines: Iterator[bytes], recording: Recording, now: datetime) -> None:
    for number, line in enumerate(lines, start=1):
        raw = line.strip().removeprefix(b"\xef\xbb\xbf")
        if not raw:
            continue
        try:
            if len(line) > MAX_LINE_BYTES:
                raise Malformed(f"longer than {MAX_LINE_BYTES} bytes")
            head = _HEAD.decode(mend_surrogates(raw))
            post = Recorded(event_time(head.created_at, now=now), head.id, raw)
            recording.take(post, head.source)
        except (Malformed, msgspec.MsgspecError, ValueError, RecursionError) as error:
            recording.refuse(number, _why(error))


def _why(error: Exception) -> str:
    return str(error) if isinstance(error, Malformed) else reason(error)


# ------------------------------------------------------------------------------------------- CSV

_FIELDS = frozenset(InputPost.__struct_fields__)
_LISTS = {"media", "subjects"}


def _csv(lines: Iterator[bytes], recording: Recording, now: datetime) -> None:
    texts = (line.decode("utf-8", "replace").replace("\x00", "") for line in lines)
    csv.field_size_limit(MAX_LINE_BYTES)
    header = next(texts, "").removeprefix("\ufeff")
    delimiter = max(",;\t", key=header.count)
    try:
        names = [name.strip() for name in next(csv.reader([header], delimiter=delimiter), [])]
    except csv.Error as error:
        raise Malformed(f"line 1: {error}") from error
    if missing := {"id", "created_at"} - set(names):
        there = ", ".join(names)[:200]
        raise Malformed(f"line 1: no column {' and '.join(sorted(missing))}, but {there!r}")
    rows = csv.reader(texts, delimiter=delimiter)
    while True:
        try:
            if (row := next(rows, None)) is None:
                return
            if not row:
                continue
            post = msgspec.convert(_cells(names, row), InputPost, strict=False)
            time, raw = event_time(post.created_at, now=now), msgspec.json.encode(post)
            if len(raw) > MAX_LINE_BYTES:
                raise Malformed(f"longer than {MAX_LINE_BYTES} bytes")
            recording.take(Recorded(time, post.id, raw), post.source)
        except (Malformed, msgspec.MsgspecError, csv.Error, ValueError) as error:
            recording.refuse(rows.line_num + 1, _why(error))


def _cells(names: list[str], row: list[str]) -> Mapping[str, Any]:
    if len(row) > len(names):
        raise Malformed(f"{len(row)} cells under {len(names)} columns: quote texts with commas")
    cells: dict[str, Any] = {}
    for name, cell in zip(names, row, strict=False):
        if name not in _FIELDS or not cell.strip():
            continue
        cells[name] = _list(cell) if name in _LISTS else cell
    return cells


def _list(cell: str) -> list[str]:
    if cell.lstrip().startswith("["):
        return msgspec.json.decode(cell.encode(), type=list[str])
    return [part.strip() for part in cell.split(";") if part.strip()]
