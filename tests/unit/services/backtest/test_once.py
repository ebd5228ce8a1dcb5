"""services/backtest/once.py: an id counts once, as ingest takes it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.backtest.chunk import Chunk, Counts
from services.backtest.once import once
from uproar.detector import Columns


def a_chunk(rows: list[tuple[int, float]]) -> Chunk:
    """Make a chunk of rows: the name of a post, and when it was written."""
    names, at = np.array([r[0] for r in rows], np.uint64), np.array([r[1] for r in rows], float)
    nothing = np.zeros(len(rows))
    return Chunk(
        begin=rows[0][1] if rows else 0.0,
        end=rows[-1][1] if rows else 0.0,
        read=len(rows),
        posts=Columns(
            subjects=["ava"],
            subject=nothing.astype(np.int64),
            at=at,
            post=names,
            author=names,
            copy=np.zeros((len(rows), 2), np.uint64),
            negative=nothing,
            positive=nothing,
            own=nothing.astype(bool),
            backfill=nothing.astype(bool),
        ),
        texts={},
    )


def kept(rows, *, size=100, generation=1000):
    """Return the rows that stay of chunks of so many, and how many posts were repeats."""
    counts = Counts()
    chunks = [a_chunk(rows[begin : begin + size]) for begin in range(0, len(rows), size)]
    told = list(once(iter(chunks), counts, generation=generation))
    assert sum(chunk.read for chunk in told) == len(rows), "they were heard all the same"
    found = [
        (int(name), float(at))
        for chunk in told
        for name, at in zip(chunk.posts.post, chunk.posts.at, strict=True)
    ]
    return found, counts.repeats


def plainly(rows):
    """The same in plain Python: when each name came first."""
    first: dict[int, float] = {}
    for name, at in rows:
        first.setdefault(name, at)
    return [(name, at) for name, at in rows if first[name] == at]


_rows = st.lists(st.tuples(st.integers(1, 8), st.integers(0, 9).map(float)), max_size=30)


@given(rows=_rows.map(lambda rows: sorted(rows, key=lambda row: row[1])), size=st.integers(1, 7))
def test_the_first_of_an_id_counts_wherever_the_chunks_begin(rows, size):
    found, repeats = kept(rows, size=size)
    assert found == plainly(rows)
    gone = {row for row in rows if row not in found}
    assert repeats >= len(gone)


def test_rows_of_one_post_about_several_subjects_all_stay():
    rows = [(1, 0.0), (1, 0.0), (2, 1.0), (1, 7.0), (1, 7.0), (3, 9.0)]
    assert kept(rows) == ([(1, 0.0), (1, 0.0), (2, 1.0), (3, 9.0)], 1)


@pytest.mark.parametrize("size", [2, 3])
def test_ids_are_forgotten_after_two_generations_as_ingest_forgets_them(size):
    rows = [(name, float(name)) for name in range(1, 10)] + [(1, 20.0), (9, 21.0)]
    found, repeats = kept(rows, size=size, generation=3)
    assert ((1, 20.0) in found, (9, 21.0) in found, repeats) == (True, False, 1)
