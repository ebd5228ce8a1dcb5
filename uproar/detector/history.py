"""History: what backfills bring until the next close, summed by hour. Not what that teaches."""

import numpy as np

from uproar.detect.heard import Heard
from uproar.watch import Array

_EXACT = 1 << 20
"""Probabilities are summed in such parts of one: whole numbers know no order."""


class History:
    """
    Scored posts of backfills, by subject and hour: however many come, it grows by hours only.

    Attributes:
        offset: Smallest offset of what has not been taken; None when there is nothing.
    """

    def __init__(self) -> None:
        self.offset: int | None = None
        self._sums: dict[tuple[int, int], tuple[int, int]] = {}

    def put(self, posts: Heard, offsets: Array) -> None:
        """
        Add posts.

        Args:
            posts: About subjects of the partition, whatever their minutes.
            offsets: Where they stand in the partition; (posts,).
        """
        if not len(posts):
            return
        first = int(offsets.min())
        self.offset = first if self.offset is None else min(self.offset, first)
        scored = posts[posts.negative >= 0]
        hours = np.floor_divide(scored.at, 3600.0).astype(np.int64)
        names, place = np.unique(np.stack([scored.slot, hours]), axis=1, return_inverse=True)
        parts = np.rint(scored.negative * _EXACT).astype(np.int64)
        sums = np.zeros((2, names.shape[1]), np.int64)
        np.add.at(sums[0], place, parts)
        np.add.at(sums[1], place, 1)
        for slot, hour, negative, count in np.concatenate([names, sums]).T.tolist():
            known = self._sums.get((slot, hour), (0, 0))
            self._sums[slot, hour] = (known[0] + negative, known[1] + count)

    def take(self) -> dict[int, tuple[Array, Array, Array]]:
        """Return hours, negative posts and posts of each subject, in order; they wait no longer."""
        sums, self._sums, self.offset = self._sums, {}, None
        found: dict[int, list[tuple[int, int, int]]] = {}
        for slot, hour in sorted(sums):
            found.setdefault(slot, []).append((hour, *sums[slot, hour]))
        columns = {slot: np.array(rows, np.int64).T for slot, rows in found.items()}
        return {slot: (c[0], c[1] / _EXACT, c[2].astype(np.float64)) for slot, c in columns.items()}

    def drop(self, slot: int) -> None:
        """Let what was written about a subject wait no longer."""
        self._sums = {name: sums for name, sums in self._sums.items() if name[0] != slot}
        if not self._sums:
            self.offset = None
