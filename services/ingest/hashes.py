"""Hashes: a set of 64-bit numbers that takes the same memory empty or full. Not what they stand for."""

from array import array
from collections.abc import Iterable

_EMPTY = 0
_INSTEAD_OF_EMPTY = 1


class Hashes:
    """
    Hashes in one table (open addressing, linear probing), at most half full.

    A Python set takes five times as much for each, and grows while the process runs. Here 500,000
    are 8 MB from the start: what ingest takes in memory says nothing of how long it has run.
    """

    def __init__(self, most: int, given: Iterable[int] = ()) -> None:
        """Make a set with room for ``most`` hashes; it doubles only where more are added."""
        self._make(1 << (2 * max(most, 1) - 1).bit_length())
        for key in given:
            self.add(key)

    def _make(self, size: int) -> None:
        self._slots, self._mask, self._count = array("Q", bytes(8 * size)), size - 1, 0

    def __len__(self) -> int:
        return self._count

    def __contains__(self, key: int) -> bool:
        return self._slots[self._place(key)] != _EMPTY

    def add(self, key: int) -> None:
        """Add a hash; nothing happens where it is in the set."""
        place = self._place(key)
        if self._slots[place] != _EMPTY:
            return
        self._slots[place] = key or _INSTEAD_OF_EMPTY
        self._count += 1
        if 2 * self._count > len(self._slots):
            former = self._slots
            self._make(2 * len(former))
            for each in former:
                if each != _EMPTY:
                    self.add(each)

    def _place(self, key: int) -> int:
        """Return where a hash is, or the empty slot where it would be."""
        key = key or _INSTEAD_OF_EMPTY
        slots, mask = self._slots, self._mask
        place = key & mask
        while (there := slots[place]) != key and there != _EMPTY:
            place = (place + 1) & mask
        return place
