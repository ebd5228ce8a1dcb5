"""Once: of posts with one id the first counts, as ingest takes them. Posts of one time stay together."""

from collections.abc import Iterator
from typing import Final

import numpy as np

from services.backtest.chunk import Chunk, Counts
from services.ingest.seen import GENERATION
from uproar.watch import Array

_SLICE: Final = 65_536


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
    known = _Known(generation)
    end, of_end = float("-inf"), np.zeros(0, np.uint64)  # names that began with the last moment
    for chunk in chunks:
        names, at = chunk.posts.post, chunk.posts.at
        if not len(names):
            yield chunk
            continue
        good = ~known.add(names)
        if at[0] == end:
            good |= (at == end) & np.isin(names, of_end)
        good &= at == _first(names, at)
        begun = names[good & (at == at[-1])]
        of_end = np.concatenate([of_end, begun]) if at[-1] == end else begun
        end = float(at[-1])
        if good.all():
            yield chunk
            continue
        counts.repeats += _posts(names[~good], at[~good])
        yield chunk.of(np.flatnonzero(good))


def _first(names: Array, at: Array) -> Array:
    """Return for each row, rising in time, when its name comes first."""
    ordered = np.sort(names)
    if (ordered[1:] != ordered[:-1]).all():
        return at
    _, first, which = np.unique(names, return_index=True, return_inverse=True)
    return at[first][which]


def _posts(names: Array, at: Array) -> int:
    """Count posts among rows: those of one name and time are one."""
    order = np.lexsort((at, names))
    names, at = names[order], at[order]
    return 1 + int(((names[1:] != names[:-1]) | (at[1:] != at[:-1])).sum())


class _Known:
    """Names in two generations: when the young one is full it becomes the old one."""

    def __init__(self, generation: int) -> None:
        self._most = generation
        self._young, self._old = _Table(generation), _Table(generation)

    def add(self, names: Array) -> Array:
        """Add names; tell of each whether it had been added by an earlier call; (names,)."""
        known = np.zeros(len(names), bool)
        for begin in range(0, len(names), _SLICE):
            part = slice(begin, begin + _SLICE)
            known[part] = self._old.has(names[part])
            new = part.start + np.flatnonzero(~known[part])
            known[new] = self._young.add(names[new])
        if self._young.count >= self._most:
            self._young, self._old = _Table(self._most), self._young
        return known


class _Table:
    """
    Names in one table (open addressing, linear probing), many looked up at once.

    Names are hashes already (:func:`uproar.detect.crowd.names_of`), never 0.
    """

    def __init__(self, most: int) -> None:
        self.count = 0
        self._slots = np.zeros(1 << (2 * (most + _SLICE) - 1).bit_length(), np.uint64)

    def add(self, names: Array) -> Array:
        """Add names; tell of each whether it was there before; (names,)."""
        if 2 * (self.count + len(names)) > len(self._slots):
            self._grow()
        return self._find(names, add=True)

    def has(self, names: Array) -> Array:
        """Tell of each name whether it is there; (names,)."""
        return self._find(names, add=False)

    def _find(self, names: Array, *, add: bool) -> Array:
        slots, mask = self._slots, np.uint64(len(self._slots) - 1)
        found = np.zeros(len(names), bool)
        left, place = np.arange(len(names)), names & mask
        while len(left):
            there, wanted = slots[place], names[left]
            empty, same = there == 0, there == wanted
            found[left[same]] = True
            done = same | empty
            if add:
                slots[place[empty]] = wanted[empty]  # of several for one slot the last gets it
                lost = empty & (slots[place] != wanted)
                done &= ~lost
            left, place = left[~done], (place[~done] + np.uint64(1)) & mask
        if add:
            self.count = int(np.count_nonzero(slots))
        return found

    def _grow(self) -> None:
        names = self._slots[self._slots != 0]
        self._slots = np.zeros(2 * len(self._slots), np.uint64)
        self._find(names, add=True)
