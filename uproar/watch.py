"""Watch: all that is remembered of one subject, in <= 512 packed bytes; Watches: a partition of them."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, Protocol

import numpy as np

from uproar.errors import Misconfigured
from uproar.subject import SubjectId

Array = np.ndarray[Any, np.dtype[Any]]

LAYOUT: Final = 3
"""Version of the packed bytes: a row of another one is not read."""

BIN: Final = 5  # minutes
BINS: Final = 12  # an hour of them
HOURS: Final = 24
WEEK: Final = 7
AUTHORS: Final = 6
SKETCH_BYTES: Final = 24
STATISTICS: Final = 7
"""Six windows and the slow sum (:mod:`uproar.detect.policy`)."""
SCALE: Final = 16.0
"""Hours are kept as sixteenths in half precision: from fractions of a post to a million an hour."""
MOST_AN_HOUR: Final = 65_504.0 * SCALE
"""Beyond it an hour counts as this."""

UNBORN: Final = -1
"""``bin`` of a subject of which event time has not said anything yet."""

# Rings are addressed by absolute number: five minutes `b` stand at b % 12, hour `h` at h % 24, so
# that an hour's place in its ring is its hour of the day (UTC).
WATCH: Final = np.dtype(
    [
        ("layout", "u1"),
        ("level", "u1"),  # of the open episode: Level.rank + 1; 0 without one
        ("subsided", "u1"),
        ("muted", "u1"),  # the day and the slow sum only remember what shorter windows have seen
        ("offset", "<i8"),  # of the newest record that the partition had read when this was written
        ("closed_to", "<i4"),  # first minute that was still open then
        ("bin", "<i4"),  # where the rings stand: five-minute number since 1970
        ("since", "<i4"),  # hour from which on the subject is watched
        # What was heard: negative posts (sum of probabilities) and scored posts, each author once.
        ("bins_negative", "<f4", (BINS,)),
        ("bins_all", "<f4", (BINS,)),
        ("bins_said", "<u2", (BINS,)),  # scored posts, repeats and copies included
        ("hour_negative", "<f4"),  # the running hour less the running five minutes, spikes cut
        ("hour_all", "<f4"),
        ("hours_negative", "<f2", (HOURS,)),  # in SCALE-ths; the place of the running hour is empty
        ("hours_all", "<f2", (HOURS,)),
        ("known", "<u4"),  # bit j: the hour j hours ago counts for the baseline
        # The baseline: hours older than the rings, fading.
        ("negative", "<f4"),
        ("all", "<f4"),
        ("exposure", "<f4"),  # usual hours behind these two; a busy hour of day counts for more
        ("spread", "<f4"),  # overdispersion of an hour: numerator and denominator
        ("spread_weight", "<f4"),
        ("season", "<f2", (HOURS,)),  # factor of each hour of day; 0: not learnt yet
        ("week", "<f2", (WEEK,)),  # factor of each day of the week, Monday first; 0: not learnt yet
        ("slow", "<f4"),  # the slow sum: how long it has been a little too much
        # The budget: how strange the days of this subject are, and what was reached how often.
        ("top", "<f2", (STATISTICS,)),  # ln(1 + statistic), the greatest of today
        ("mean", "<f2", (STATISTICS,)),  # of that, over the days
        ("deviation", "<f2", (STATISTICS,)),
        ("days", "u1"),  # so many of them
        ("busy", "<f4"),  # share of days on which anything was written, fading
        ("reached", "u1"),  # today, for the first time in an episode: bit of each Level.rank
        ("correction", "<f4", (2,)),  # of the thresholds of watch, and of alert and crisis
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
        ("sketch", "u1", (SKETCH_BYTES,)),  # its distinct authors: 48 registers of 4 bits
        # The reading of the current five minutes.
        ("bin_posts", "<u4"),
        ("bin_positive", "<f4"),
        ("bin_authors", "<u2"),
        ("bin_unscored", "<u2"),
    ]
)

LAGS: Final = 4
"""Ages from which on hours count for the baseline of a window (:mod:`uproar.detect.policy`)."""
LEVELS: Final = 3

# What follows from a row and is computed anew when its hour changes; not stored.
_DERIVED: Final = np.dtype(
    [
        ("rated", "<i4"),  # hour for which the rest holds; 0: none
        ("level_negative", "<f4", (LAGS,)),  # posts an hour, without hour of day and day of week
        ("level_all", "<f4", (LAGS,)),
        ("unsure", "<f4", (LAGS,)),  # squared relative error of the level
        ("usual_share", "<f4", (LAGS,)),
        ("heard_hours", "<f4", (LAGS,)),
        ("noise", "<f4"),  # overdispersion of an hour
        ("doubt", "<f4"),  # squared relative error of the hour of day
        ("now", "<f4"),  # factor of the running hour
        ("last", "<f4"),  # and of the one before
        ("whole", "<f4", (3,)),  # usual hours in the whole hours of the long windows
        ("thresholds", "<f4", (LEVELS, STATISTICS)),
        ("per_day", "<f4"),  # alarms asked for
    ]
)


class Rows(Protocol):
    """Rows of WATCH, column by column: ``rows["level"]`` has shape (rows,)."""

    def __len__(self) -> int: ...

    def __getitem__(self, name: str) -> Array:
        """Return a column to read."""
        ...

    def __setitem__(self, name: str, values: Any) -> None:
        """Replace a column."""
        ...

    def change(self, name: str) -> Array:
        """Return a column to write into."""
        ...


class Table:
    """Rows as a struct of arrays."""

    def __init__(self, rows: int) -> None:
        self._columns: dict[str, Array] = {
            name: np.zeros((rows, *kind.shape), kind.base)
            for dtype in (WATCH, _DERIVED)
            for name, (kind, *_) in (dtype.fields or {}).items()
        }

    def __len__(self) -> int:
        return len(self._columns["layout"])

    def __getitem__(self, name: str) -> Array:
        return self._columns[name]

    def __setitem__(self, name: str, values: Any) -> None:
        self._columns[name][...] = values

    def change(self, name: str) -> Array:
        return self._columns[name]

    def grow(self) -> None:
        """Double it."""
        for name, column in self._columns.items():
            self._columns[name] = np.concatenate([column, np.zeros_like(column)])

    def empty(self, slot: int) -> None:
        """Set all of a row to 0."""
        for column in self._columns.values():
            column[slot] = 0

    def pack(self, slots: Array) -> Array:
        """Return rows as they are stored: shape (slots,) of WATCH."""
        packed = np.empty(len(slots), WATCH)
        for name in WATCH.names or ():
            packed[name] = self._columns[name][slots]
        return packed

    def unpack(self, slots: Array, packed: Array) -> None:
        """Take over what :meth:`pack` returned."""
        for name in WATCH.names or ():
            self._columns[name][slots] = packed[name]
        self._columns["rated"][slots] = 0


class Some:
    """
    Some of the rows of others, gathered column by column as they are asked for.

    What was changed goes back with :meth:`put`.
    """

    def __init__(self, source: Rows, places: Array | slice) -> None:
        self._source, self.places = source, places
        self._columns: dict[str, Array] = {}
        self._changed: set[str] = set()
        whole = isinstance(places, slice)
        self._length = len(range(*places.indices(len(source)))) if whole else len(places)  # type: ignore[union-attr, arg-type]

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, name: str) -> Array:
        column = self._columns.get(name)
        if column is None:
            column = self._columns[name] = self._source[name][self.places]
        return column

    def __setitem__(self, name: str, values: Any) -> None:
        self.change(name)[...] = values

    def change(self, name: str) -> Array:
        self._changed.add(name)
        return self[name]

    def put(self) -> None:
        """Write back what was changed."""
        for name in self._changed:
            self._source.change(name)[self.places] = self._columns[name]


class Row:
    """One row of a table: ``row["level"]`` is a number, ``row["sketch"]`` an array to write into."""

    def __init__(self, rows: Rows, place: int) -> None:
        self._rows, self._place = rows, place

    def __getitem__(self, name: str) -> Any:
        return self._rows[name][self._place]

    def __setitem__(self, name: str, value: Any) -> None:
        self._rows.change(name)[self._place] = value

    def change(self, name: str) -> Array:
        """Return an array of the row to write into."""
        changed: Array = self._rows.change(name)[self._place]
        return changed


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
        self.table = Table(16)
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
            self.table.grow()
        self._slots[subject], self._ids[slot] = slot, subject
        self.table.empty(slot)
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

    def pack(self, subjects: Sequence[SubjectId]) -> list[bytes]:
        """Return the bytes to store of subjects."""
        slots = np.array([self._slots[subject] for subject in subjects], dtype=np.int64)
        raw, size = self.table.pack(slots).tobytes(), WATCH.itemsize
        return [raw[begin : begin + size] for begin in range(0, len(raw), size)]

    def unpack(self, rows: Mapping[SubjectId, bytes]) -> list[int]:
        """
        Take rows that :meth:`pack` wrote; return their slots.

        Raises:
            Misconfigured: A row was written by another version of uproar.
        """
        for subject, raw in rows.items():
            if len(raw) != WATCH.itemsize or raw[0] != LAYOUT:
                raise Misconfigured(
                    f"the kept state of {subject!r} was written by another version of uproar:"
                    " remove it (topic uproar-detect-watch-changelog, or the data folder)"
                )
        slots = [self.add(subject) for subject in rows]
        if slots:
            packed = np.frombuffer(b"".join(rows.values()), dtype=WATCH)
            self.table.unpack(np.array(slots), packed)
        return slots
