"""Chunk: recorded posts of some time as columns, in event time, and what was read so far."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, fields, replace
from itertools import pairwise
from typing import Final

import numpy as np

from uproar.assessment import Assessment
from uproar.detector import Columns
from uproar.watch import Array

POSTS: Final = 65_536
"""Posts in a chunk: some 10 MB, and few enough that closing them in one go stays in the cache."""
MAX_REASONS: Final = 100


class DisorderError(Exception):
    """The posts of a file do not stand in order of time: they must be sorted first."""


@dataclass(slots=True)
class Counts:
    """
    What was read of a file.

    Attributes:
        read: Posts that can be read, about a subject or not.
        unmatched: Those about no subject; ``unscored``: about one, and without scores.
        repeats: Those whose id came before, at another time: ingest takes them for duplicates.
        first, last: Event time of the first and the last, seconds since 1970.
        bad: How many cannot be read; ``reasons`` says where and why of the first hundred.
    """

    read: int = 0
    unmatched: int = 0
    unscored: int = 0
    repeats: int = 0
    first: float | None = None
    last: float | None = None
    bad: int = 0
    reasons: list[tuple[str, str]] = field(default_factory=list)

    def refuse(self, where: str, why: str, count: int = 1) -> None:
        """Count posts that cannot be read."""
        self.bad += count
        if len(self.reasons) < MAX_REASONS:
            self.reasons.append((where, why))

    def take(self, begin: float, end: float, posts: int) -> None:
        """Count posts of a time that can be read."""
        self.read += posts
        self.first = begin if self.first is None else min(self.first, begin)
        self.last = end if self.last is None else max(self.last, end)


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """
    Posts of some time, in order; a later chunk holds nothing from before the end of an earlier one.

    Attributes:
        begin, end: Event time of the first and the last, those about nobody included; seconds.
        read: How many they are.
        posts: One row for each post and subject.
        texts: Those that may become evidence, by row.
    """

    begin: float
    end: float
    read: int
    posts: Columns
    texts: dict[int, Assessment]

    def of(self, rows: Array) -> "Chunk":
        """Return it with some of the rows, in their order."""
        texts = {}
        if self.texts:
            kept = np.fromiter(self.texts, np.int64, len(self.texts))
            place = np.full(len(self.posts), -1)
            place[rows] = np.arange(len(rows))
            texts = {
                new: self.texts[old]
                for old, new in zip(kept.tolist(), place[kept].tolist(), strict=True)
                if new >= 0
            }
        return replace(self, posts=only(self.posts, rows), texts=texts)


def only(posts: Columns, rows: Array | slice) -> Columns:
    """Return some rows of columns."""
    names = [f.name for f in fields(Columns) if f.name != "subjects"]
    return Columns(subjects=posts.subjects, **{n: getattr(posts, n)[rows] for n in names})


def in_order(chunks: Iterator[Chunk], counts: Counts) -> Iterator[Chunk]:
    """
    Put the rows of each chunk into order of time, and count them.

    Raises:
        DisorderError: A chunk holds posts from before the end of the chunk before it.
    """
    for chunk in chunks:
        if counts.last is not None and chunk.begin < counts.last:
            raise DisorderError
        counts.take(chunk.begin, chunk.end, chunk.read)
        at = chunk.posts.at
        yield chunk if (at[1:] >= at[:-1]).all() else chunk.of(np.argsort(at, kind="stable"))


def sorted_whole(chunks: Iterator[Chunk], counts: Counts, *, posts: int = POSTS) -> Iterator[Chunk]:
    """Sort a whole file in memory: some 70 bytes a post, and the texts of those that may be evidence."""
    parts = list(chunks)
    for part in parts:
        counts.take(part.begin, part.end, part.read)
    if not parts or counts.first is None or counts.last is None:
        return
    texts: dict[int, Assessment] = {}
    first = 0
    for part in parts:
        texts |= {first + place: text for place, text in part.texts.items()}
        first += len(part.posts)
    whole = Chunk(
        begin=counts.first,
        end=counts.last,
        read=counts.read,
        posts=_together([part.posts for part in parts]),
        texts=texts,
    )
    whole = whole.of(np.argsort(whole.posts.at, kind="stable"))
    yield from _split(whole, posts)


def _split(whole: Chunk, posts: int) -> Iterator[Chunk]:
    borders = [*range(0, len(whole.posts), posts), len(whole.posts)]
    if len(whole.posts) == 0:
        yield whole
        return
    left = whole.read
    for begin, end in pairwise(borders):
        last = end == len(whole.posts)
        part = whole.of(np.arange(begin, end))
        read = left if last else min(end - begin, left)
        left -= read
        yield replace(
            part,
            read=read,
            begin=whole.begin if begin == 0 else float(part.posts.at[0]),
            end=whole.end if last else float(part.posts.at[-1]),
        )


def _together(parts: Sequence[Columns]) -> Columns:
    """Put columns about the same subjects one behind the other."""
    names = [f.name for f in fields(Columns) if f.name != "subjects"]
    columns = {n: np.concatenate([getattr(part, n) for part in parts]) for n in names}
    return Columns(subjects=parts[0].subjects, **columns)
