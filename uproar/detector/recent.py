"""
Recent: who spoke in the last hour, as rows beside those of the subjects.

The memory of voices lies outside the subjects' rows and is refilled by reading an hour again. A broker
that keeps nothing over a restart cannot be read again, and what was pushed is not sent twice: there
these rows refill it, or whoever spoke before the restart would count once more.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Final

import msgspec
import numpy as np

from uproar.detect.heard import Heard, together
from uproar.subject import SubjectId
from uproar.watch import Array

PREFIX: Final = "~heard/"
"""Begin of the rows' keys; no subject can be called so."""
MOST: Final = 20_000
"""Posts of a minute that are remembered over a restart: about a megabyte."""


class _Minute(msgspec.Struct, array_like=True):
    """The scored posts of a minute, packed: 44 bytes each."""

    number: int
    subjects: list[str]
    subject: bytes  # int32, place in ``subjects``
    at: bytes  # float64
    author: bytes  # uint64
    copy: bytes  # uint64, two a post
    negative: bytes  # float64


class Recent:
    """
    The posts of the last minutes that were counted, as numbers.

    Args:
        late: Minutes behind the first open one that are still remembered.
    """

    def __init__(self, late: int) -> None:
        self._places = late + 1
        self._minutes: dict[int, tuple[int, Heard]] = {}  # place -> minute, posts
        self._changed: set[int] = set()

    def keep(self, number: int, posts: Heard) -> None:
        """Keep what was counted of a minute, beside what was before; whoever is older goes."""
        new = posts[~posts.counted & (posts.negative >= 0)]
        place = number % self._places
        known, before = self._minutes.get(place, (number, new[:0]))
        if not len(new) or number < known:
            return
        kept = together([before, new])[:MOST] if number == known else new[:MOST]
        self._minutes[place] = number, kept
        self._changed.add(place)

    def drop(self, slot: int) -> None:
        """Forget a subject."""
        for place, (number, posts) in self._minutes.items():
            if (posts.slot == slot).any():
                self._minutes[place] = number, posts[posts.slot != slot]
                self._changed.add(place)

    def rows(self, subject: Callable[[int], SubjectId]) -> dict[SubjectId, bytes]:
        """Return the minutes that changed since the last call, packed."""
        changed, self._changed = self._changed, set()
        return {
            SubjectId(f"{PREFIX}{place}"): _packed(*self._minutes[place], subject)
            for place in sorted(changed)
        }

    def load(
        self, rows: Mapping[SubjectId, bytes], slot: Callable[[SubjectId], int | None], since: int
    ) -> Iterator[Heard]:
        """Take over rows; yield their posts by minute, from ``since`` on, marked as counted."""
        minutes = [msgspec.msgpack.decode(row, type=_Minute) for row in rows.values()]
        for minute in sorted(minutes, key=lambda minute: minute.number):
            posts = _unpacked(minute, slot)
            if minute.number >= since and len(posts):
                self._minutes[minute.number % self._places] = minute.number, posts
                yield posts


def _packed(number: int, posts: Heard, subject: Callable[[int], SubjectId]) -> bytes:
    slots, place = np.unique(posts.slot, return_inverse=True)
    return msgspec.msgpack.encode(
        _Minute(
            number,
            [subject(slot) for slot in slots.tolist()],
            place.astype("<i4").tobytes(),
            posts.at.astype("<f8").tobytes(),
            posts.author.astype("<u8").tobytes(),
            posts.copy.astype("<u8").tobytes(),
            posts.negative.astype("<f8").tobytes(),
        )
    )


def _unpacked(minute: _Minute, slot: Callable[[SubjectId], int | None]) -> Heard:
    """Return the posts about those who are still watched."""
    found = [slot(SubjectId(subject)) for subject in minute.subjects]
    slots = np.array([-1 if one is None else one for one in found], np.int64)
    place = np.frombuffer(minute.subject, "<i4")
    count = len(place)
    nothing: Array = np.zeros(count)
    posts = Heard(
        at=np.frombuffer(minute.at, "<f8"),
        post=np.zeros(count, np.uint64),
        slot=slots[place] if count else np.zeros(0, np.int64),
        author=np.frombuffer(minute.author, "<u8"),
        copy=np.frombuffer(minute.copy, "<u8").reshape(count, 2),
        negative=np.frombuffer(minute.negative, "<f8"),
        positive=nothing,
        counted=np.ones(count, bool),
        filled=np.zeros(count, bool),
    )
    return posts[posts.slot >= 0]
