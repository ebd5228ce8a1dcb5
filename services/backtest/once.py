"""Once: of posts with one id the first counts, as ingest takes them. Posts of one time stay together."""

from collections.abc import Iterator

import numpy as np

from services.backtest.chunk import Chunk, Counts
from services.ingest.seen import GENERATION


def once(
    chunks: Iterator[Chunk], counts: Counts, *, generation: int = GENERATION
) -> Iterator[Chunk]:
    """
    Leave out the rows of posts whose id came before at another time, and count those posts.

    Rows of one id and one time are one post, about several subjects perhaps, or the same line twice,
    which detection drops.

    Args:
        chunks: Posts in order of time.
        counts: Told of the repeats.
        generation: Between so many and twice as many ids are remembered, as ingest does.
    """
    young: dict[int, float] = {}  # when an id came first
    old: dict[int, float] = {}
    for chunk in chunks:
        names, at = chunk.posts.post.tolist(), chunk.posts.at.tolist()
        first = [
            old[name] if name in old else young.setdefault(name, time)
            for name, time in zip(names, at, strict=True)
        ]
        if len(young) >= generation:
            old, young = young, {}
        good = np.array(first, np.float64) == chunk.posts.at
        if good.all():
            yield chunk
            continue
        counts.repeats += len({(names[row], at[row]) for row in np.flatnonzero(~good).tolist()})
        yield chunk.of(np.flatnonzero(good))
