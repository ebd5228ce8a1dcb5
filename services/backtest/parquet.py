"""
Parquet: scored posts as rows of a Parquet file, into chunks of columns. Needs uproar[parquet].

Columns: ``id`` (text or number), ``time`` (timestamp, or RFC 3339 as text; a timestamp without a
time zone is UTC), ``subject`` (an id, or a list of them), ``negative``, ``neutral``, ``positive``
(null where the model could not say), and if there are any ``complaint``, ``offensive``,
``author_hash`` (null: an author of its own), ``text_hash`` (null: nothing to compare), ``own``,
``source``. Row groups are read one after the other.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from services.backtest.arrow import (
    Hashes,
    encoded,
    floats,
    hashes,
    listed,
    pyarrow,
    seconds,
    truths,
)
from services.backtest.chunk import MAX_REASONS, POSTS, Chunk, Counts
from services.backtest.gathering import (
    NEGATIVE,
    NO_PROBABILITIES,
    SUM_TOLERANCE,
    Said,
    candidate,
)
from services.backtest.recorded import Reader
from services.ingest.recording import stream_of
from uproar.assessment import Assessment, Scores
from uproar.detect.crowd import names_of
from uproar.detect.heard import UNSCORED
from uproar.detector import Columns
from uproar.errors import Malformed, Misconfigured
from uproar.inbox import stream_name
from uproar.post import FUTURE_TOLERANCE, MAX_ID_LENGTH, OLDEST
from uproar.prior import suspected
from uproar.watch import Array

TRIPLE: Final = ("negative", "neutral", "positive")
NEEDED: Final = ("id", "time", "subject", *TRIPLE)
_HEADS: Final = (*TRIPLE, "complaint", "offensive")
_WANTED: Final = (*NEEDED, "complaint", "offensive", "author_hash", "text_hash", "own", "source")
_UNKNOWN: Final = -1


class Parquet:
    """A file of scored posts."""

    def __init__(self, path: Path, reader: Reader) -> None:
        self._path = path
        self.stream = stream_of(path)
        self.subjects = [subject.id for subject in reader.subjects]
        self.place = {subject: place for place, subject in enumerate(self.subjects)}
        self.oldest = OLDEST.timestamp()
        self.newest = (reader.now + FUTURE_TOLERANCE).timestamp()

    def chunks(self, counts: Counts, *, posts: int = POSTS) -> Iterator[Chunk]:
        """
        Yield the posts in chunks, as they stand in the file; count what cannot be read.

        Raises:
            Misconfigured: pyarrow is missing, or the file cannot be opened.
            Malformed: It is no Parquet file, or lacks a column.
        """
        pa = pyarrow()
        try:
            with pa.parquet.ParquetFile(self._path) as file:
                names = self._columns(file.schema_arrow.names)
                first = 1
                for batch in file.iter_batches(batch_size=posts, columns=names):
                    chunk = _Batch(batch, first, self, counts).chunk()
                    first += batch.num_rows
                    if chunk is not None:
                        yield chunk
        except pa.ArrowException as error:
            raise Malformed(f"{self._path} cannot be read as Parquet: {error}") from error
        except OSError as error:
            raise Misconfigured(f"cannot read {self._path}: {error}") from error

    def _columns(self, there: Sequence[str]) -> list[str]:
        if missing := [name for name in NEEDED if name not in there]:
            raise Malformed(
                f"{self._path} has no column {', '.join(missing)} (it has {', '.join(there)}):"
                f" {', '.join(NEEDED)} are needed"
            )
        return [name for name in _WANTED if name in there]


@dataclass(frozen=True, slots=True)
class _Rows:
    """What stands in the rows of a batch."""

    at: Array
    ids: list[str]
    scores: dict[str, Array]
    author: Hashes
    copy: Hashes
    own: Array


class _Batch:
    """Some rows of a file: refused one by one, taken together."""

    def __init__(self, batch: Any, first: int, file: Parquet, counts: Counts) -> None:
        self._given = {name: batch.column(name) for name in batch.schema.names}
        self._first, self._file, self._counts = first, file, counts
        self._good = np.ones(batch.num_rows, bool)

    def chunk(self) -> Chunk | None:
        """Return what can be read; None when nothing can."""
        rows, (row, subject) = self._read(), self._subjects()
        good = np.flatnonzero(self._good)
        if not len(good):
            return None
        about = np.zeros(len(rows.at), bool)
        about[row] = True
        unscored = np.isnan(rows.scores["negative"])
        self._counts.unmatched += int((self._good & ~about).sum())
        self._counts.unscored += int((self._good & about & unscored).sum())
        kept = self._good[row]
        row, subject = row[kept], subject[kept]
        posts = self._columns(rows, row, subject)
        return Chunk(
            begin=float(rows.at[good].min()),
            end=float(rows.at[good].max()),
            read=len(good),
            posts=posts,
            texts=self._quoted(rows, posts, row),
        )

    def _refuse(self, which: Array, why: str) -> None:
        refused = np.flatnonzero(which & self._good)
        self._good[refused] = False
        for row in refused[:MAX_REASONS].tolist():
            self._counts.refuse(f"row {self._first + row}", why)
        self._counts.bad += max(len(refused) - MAX_REASONS, 0)

    def _read(self) -> _Rows:
        given, count = self._given, len(self._good)
        own = np.zeros(count, bool)
        if "own" in given:
            own = truths(given["own"])
        return _Rows(
            self._times(),
            self._ids(),
            self._scores(),
            hashes(given.get("author_hash"), count),
            hashes(given.get("text_hash"), count),
            own,
        )

    def _times(self) -> Array:
        at, missing = seconds(self._given["time"])
        self._refuse(missing, "time: missing, or not RFC 3339 with a time zone")
        self._refuse(at < self._file.oldest, "time: before 2000, the sender's clock is missing")
        self._refuse(at > self._file.newest, "time: more than 5 minutes in the future")
        return at

    def _ids(self) -> list[str]:
        given = self._given["id"].to_pylist()
        self._refuse(np.array([one is None or one == "" for one in given], bool), "id: missing")
        ids = [str(one) for one in given]
        long = np.fromiter(map(len, ids), np.int64, len(ids)) > MAX_ID_LENGTH
        self._refuse(long, f"id: more than {MAX_ID_LENGTH} characters")
        sources = self._given.get("source")
        if sources is None:
            before = f"{self._file.stream}:"
            return [before + one for one in ids]
        codes, texts = encoded(sources)
        networks = [self._network(codes == code, text) for code, text in enumerate(texts)]
        networks.append(self._file.stream)  # -1: null
        return [f"{networks[code]}:{one}" for code, one in zip(codes.tolist(), ids, strict=True)]

    def _network(self, rows: Array, source: str) -> str:
        try:
            return stream_name(source) if source else self._file.stream
        except Malformed as error:
            self._refuse(rows, str(error))
            return self._file.stream

    def _scores(self) -> dict[str, Array]:
        scores = {name: floats(self._given[name], name) for name in _HEADS if name in self._given}
        triple = np.stack([scores[name] for name in TRIPLE])
        known = ~np.isnan(triple)
        some, all_ = known.any(axis=0), known.all(axis=0)
        self._refuse(some & ~all_, "negative, neutral, positive: give all three, or none")
        within = ((triple >= 0) & (triple <= 1)).all(axis=0)
        whole = np.abs(triple.sum(axis=0) - 1) <= SUM_TOLERANCE
        self._refuse(all_ & ~(within & whole), NO_PROBABILITIES)
        for name in (head for head in scores if head not in TRIPLE):
            beyond = (scores[name] < 0) | (scores[name] > 1)
            self._refuse(beyond, f"{name}: a probability from 0 to 1 is needed")
        return scores

    def _subjects(self) -> tuple[Array, Array]:
        """Return the row and the subject (its place) of each post and subject, by row."""
        row, column = listed(self._given["subject"])
        codes, texts = encoded(column)
        row, codes = row[codes >= 0], codes[codes >= 0]
        places = np.array([self._file.place.get(text, _UNKNOWN) for text in texts], np.int64)
        subject = places[codes] if len(texts) else codes
        for unknown in np.unique(codes[subject < 0]).tolist():
            which = np.zeros(len(self._good), bool)
            which[row[codes == unknown]] = True
            self._refuse(which, f"subjects: unknown subject {str(texts[unknown])[:100]!r}")
        row, subject = row[subject >= 0], subject[subject >= 0]
        if (row[1:] > row[:-1]).all():
            return row, subject
        subjects = len(self._file.subjects)
        once = np.unique(row * subjects + subject)
        return once // subjects, once % subjects

    def _columns(self, rows: _Rows, row: Array, subject: Array) -> Columns:
        name = names_of(rows.ids)
        negative, positive = suspected(
            np.nan_to_num(rows.scores["negative"], nan=UNSCORED),
            np.nan_to_num(rows.scores["positive"]),
        )
        return Columns(
            subjects=self._file.subjects,
            subject=subject,
            at=rows.at[row],
            post=name[row],
            author=np.where(rows.author.there, rows.author.name, name)[row],
            copy=rows.copy.pairs()[row],
            negative=negative[row],
            positive=positive[row],
            own=rows.own[row],
            backfill=np.zeros(len(row), bool),
        )

    def _quoted(self, rows: _Rows, posts: Columns, row: Array) -> dict[int, Assessment]:
        """Return the posts that may become evidence, without words, which the file does not hold."""
        quoted = np.flatnonzero((posts.negative >= NEGATIVE) & ~posts.own)
        row, nobody = row[quoted], [None] * len(quoted)
        told = {name: _or_none(values[row]) for name, values in rows.scores.items()}
        heads = zip(*(told.get(name, nobody) for name in _HEADS), strict=True)
        subjects = [self._file.subjects[place] for place in posts.subject[quoted].tolist()]
        said = zip(
            row.tolist(),
            rows.at[row].tolist(),
            rows.author.of(row),
            rows.copy.of(row),
            heads,
            strict=True,
        )
        return {
            place: candidate(Said(rows.ids[r], at, (), _verdict(*head), author, copy), subject)
            for place, subject, (r, at, author, copy, head) in zip(
                quoted.tolist(), subjects, said, strict=True
            )
        }


def _verdict(negative: float, neutral: float, positive: float, *more: float | None) -> Scores:
    complaint, offensive = more
    return Scores(
        negative=negative,
        neutral=neutral,
        positive=positive,
        complaint=complaint,
        offensive=offensive,
    )


def _or_none(values: Array) -> list[Any]:
    missing = np.isnan(values)
    if not missing.any():
        return list(values.tolist())
    return [None if gone else value for gone, value in zip(missing, values.tolist(), strict=True)]
