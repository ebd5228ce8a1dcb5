"""Watch: all that is remembered of one subject, in <= 512 packed bytes; Watches: a partition of them."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final

import numpy as np

from uproar.errors import Misconfigured
from uproar.subject import SubjectId

LAYOUT: Final = 1
"""Version of the packed bytes: a row of another one is not read."""

BIN: Final = 5  # minutes
BINS: Final = 12  # an hour of them
HOURS: Final = 24
AUTHORS: Final = 6
SKETCH_BYTES: Final = 32

UNBORN: Final = -1
"""``bin`` of a subject of which event time has not said anything yet."""

# Rings are addressed by absolute number: five minutes `b` stand at b % 12, hour `h` at h % 24, so
# that an hour's place in its ring is its hour of the day (UTC).
WATCH: Final = np.dtype(
    [
        ("layout", "<u2"),
        ("level", "u1"),  # of the open episode: Level.rank + 1; 0 without one
        ("subsided", "u1"),
        ("offset", "<i8"),  # of the newest record that the partition had read when this was written
        ("closed_to", "<i4"),  # first minute that was still open then
        ("bin", "<i4"),  # where the rings stand: five-minute number since 1970
        ("since", "<i4"),  # hour from which on the subject is watched
        # What was heard: negative posts (sum of probabilities) and scored posts, each author once.
        ("bins_negative", "<f4", (BINS,)),
        ("bins_all", "<f4", (BINS,)),
        ("hours_negative", "<f4", (HOURS,)),
        ("hours_all", "<f4", (HOURS,)),
        ("known", "<u4"),  # bit j: the hour j hours ago counts for the baseline
        # The baseline: hours older than the rings, fading.
        ("negative", "<f4"),
        ("all", "<f4"),
        ("exposure", "<f4"),  # usual hours behind these two; a busy hour of day counts for more
        ("spread", "<f4"),  # overdispersion of an hour: numerator and denominator
        ("spread_weight", "<f4"),
        ("season", "<f2", (HOURS,)),  # factor of each hour of day; 0: not learnt yet
        # The newest distinct authors of negative posts: exact for the floor of authors.
        ("authors", "<u4", (AUTHORS,)),
        ("authors_at", "<i4", (AUTHORS,)),  # minute of their last such post
        # The open episode (all 0 without one).
        ("opened", "<i4"),  # minute
        ("sequence", "<u2"),  # events so far
        ("posts", "<u4"),
        ("size", "<f4"),  # negative posts so far
        ("announced", "<f4"),  # `size` at the last opened or grew
        ("peak", "<f4"),  # greatest excess of an hour
        ("quiet", "<i4"),  # minute since which it is much lower than at its peak; 0: it is not
        ("calm", "<i4"),  # minute since which no window is above watch; 0: one is
        ("sketch", "u1", (SKETCH_BYTES,)),  # its distinct authors: 64 registers of 4 bits
        # The reading of the current five minutes.
        ("bin_posts", "<u4"),
        ("bin_positive", "<f4"),
        ("bin_authors", "<u4"),
        ("bin_unscored", "<u4"),
    ]
)

Table = np.ndarray[Any, np.dtype[np.void]]
"""Rows of WATCH, shape (subjects,)."""


def minute_of(moment: datetime) -> int:
    """Number the minute of event time in which a moment lies, since 1970."""
    return int(moment.timestamp() // 60)


def start_of(minute: int) -> datetime:
    """Return the moment at which a minute begins."""
    return datetime.fromtimestamp(minute * 60, tz=UTC)


class Watches:
    """
    The memory of the subjects of one partition, as a struct of arrays.

    A subject has a slot: its row in ``table``. Slots of removed subjects are used again.
    """

    def __init__(self) -> None:
        self.table: Table = np.zeros(16, dtype=WATCH)
        self._slots: dict[SubjectId, int] = {}
        self._ids: dict[int, SubjectId] = {}
        self._free: list[int] = []

    def __len__(self) -> int:
        return len(self._slots)

    def __iter__(self) -> Iterator[SubjectId]:
        return iter(self._slots)

    def slot(self, subject: SubjectId) -> int | None:
        """Return the slot of a subject; None for one that is not here."""
        return self._slots.get(subject)

    def subject(self, slot: int) -> SubjectId:
        """Return whose slot it is."""
        return self._ids[slot]

    def add(self, subject: SubjectId) -> int:
        """Give a subject a slot, unless it has one; nothing is remembered of it yet."""
        known = self._slots.get(subject)
        if known is not None:
            return known
        slot = self._free.pop() if self._free else len(self._slots)
        if slot >= len(self.table):
            self.table = np.concatenate([self.table, np.zeros_like(self.table)])
        self._slots[subject], self._ids[slot] = slot, subject
        self.table[slot] = np.zeros((), dtype=WATCH)
        self.table["layout"][slot] = LAYOUT
        self.table["bin"][slot] = UNBORN
        self.table["offset"][slot] = -1
        return slot

    def remove(self, subject: SubjectId) -> None:
        """Forget a subject."""
        slot = self._slots.pop(subject, None)
        if slot is not None:
            del self._ids[slot]
            self._free.append(slot)

    def pack(self, slot: int) -> bytes:
        """Return the bytes to store of a slot."""
        return bytes(self.table[slot].tobytes())

    def unpack(self, rows: Mapping[SubjectId, bytes]) -> list[int]:
        """
        Take rows that :meth:`pack` wrote; return their slots.

        Raises:
            Misconfigured: A row was written by another version of uproar.
        """
        slots = []
        for subject, raw in rows.items():
            if len(raw) != WATCH.itemsize or int.from_bytes(raw[:2], "little") != LAYOUT:
                raise Misconfigured(
                    f"the kept state of {subject!r} was written by another version of uproar:"
                    " remove it (topic uproar-detect-watch-changelog, or the data folder)"
                )
            slot = self.add(subject)
            self.table[slot] = np.frombuffer(raw, dtype=WATCH)[0]
            slots.append(slot)
        return slots
