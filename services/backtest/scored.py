"""Scored: a file of posts with their scores, Parquet or JSON lines, through detection as columns."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, Protocol

from services.backtest.chunk import POSTS, Chunk, Counts, DisorderError, in_order, sorted_whole
from services.backtest.detecting import Outcome, detect
from services.backtest.lines import Lines
from services.backtest.once import once
from services.backtest.parquet import Parquet
from services.backtest.recorded import Reader
from uproar.errors import Malformed, Misconfigured

_LINES: Final = (".jsonl", ".ndjson", ".json")
_PARQUET: Final = (".parquet", ".pq")


class Source(Protocol):
    """A file that can be read more than once."""

    def chunks(self, counts: Counts, *, posts: int) -> Iterator[Chunk]:
        """Yield its posts as they stand in it; count what cannot be read."""


def open_scores(path: Path, reader: Reader) -> Source:
    """
    Say how a file is read, by its name.

    Raises:
        Misconfigured: The name does not say what it is.
    """
    kind = next((s for s in reversed(path.suffixes) if s.lower() != ".gz"), "").lower()
    if kind in _PARQUET:
        return Parquet(path, reader)
    if kind in _LINES:
        return Lines(path, reader)
    raise Misconfigured(f"{path}: name it .parquet or .jsonl (also .jsonl.gz)")


def detect_scores(
    path: Path,
    reader: Reader,
    *,
    partitions: int = 1,
    readings: bool = False,
    posts: int = POSTS,
    progress: Callable[[int], None] = lambda _: None,
    tell: Callable[[str], None] = lambda _: None,
) -> tuple[Counts, Outcome]:
    """
    Run detection over a file of scored posts.

    A file in order of time is read a chunk at a time. Another is read again, whole, and sorted.

    Args:
        path: The file.
        reader: Whom posts may be about, and how people are called.
        partitions: As for :func:`services.backtest.detecting.detect`.
        readings: Likewise.
        posts: At a time.
        progress: Likewise.
        tell: Told when the file must be sorted.

    Raises:
        Misconfigured, Malformed: The file as a whole cannot be read.
    """
    source = open_scores(path, reader)

    def run(counts: Counts, chunks: Iterator[Chunk]) -> tuple[Counts, Outcome]:
        said = detect(
            once(chunks, counts),
            reader.subjects,
            partitions=partitions,
            readings=readings,
            progress=progress,
        )
        if not counts.read and counts.bad:
            where, why = counts.reasons[0]
            raise Malformed(
                f"{path}: no post can be read. {where}: {why}. See `uproar backtest -h`"
            )
        return counts, said

    counts = Counts()
    try:
        return run(counts, in_order(source.chunks(counts, posts=posts), counts))
    except DisorderError:
        tell(f"{path.name} is not in order of time: it is sorted in memory, some 100 bytes a post")
    again = Counts()
    return run(again, sorted_whole(source.chunks(again, posts=posts), again, posts=posts))
