"""Voices: who has spoken in the last hour, so that an author and a copy count once. Bounded memory."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Final, Self

import numpy as np

from uproar.detect.heard import Heard, key
from uproar.watch import Array

_COPY: Final = np.uint64(0xA5A5A5A55A5A5A5A)
"""Tells a copy from an author of the same name."""
_NEVER: Final = -np.inf
_KEPT: Final = 7200.0
"""Seconds a voice is kept: a late post may be an hour old, and look back another."""
_PART: Final = 8
_REMEMBERED: Final = ("last", "worst")
_AT_LEAST: Final = 32
"""Of so many posts at least one must speak at once, or they speak one by one: a long chain of copies."""


@dataclass(frozen=True, slots=True)
class Share:
    """
    What posts add to the counts; arrays of shape (posts,).

    Attributes:
        negative: How much more negative each is than all that its author, or its copies, said
            before in one go; 0..1.
        counts: Whether nobody counted for it yet.
        crosses: Whether its author is with it for the first time an author of a negative post.
    """

    negative: Array
    counts: Array
    crosses: Array


@dataclass(slots=True)
class _Shelf:
    """Voices in order of their keys."""

    keys: Array
    last: Array  # event time of the newest post, seconds
    worst: Array  # how negative the worst of its posts was
    slot: Array
    author: Array  # 0 for a copy

    def __len__(self) -> int:
        return len(self.keys)

    @classmethod
    def empty(cls) -> Self:
        names, floats = np.zeros(0, np.uint64), np.zeros(0)
        return cls(names, floats, floats, np.zeros(0, np.int64), names)

    def find(self, keys: Array) -> tuple[Array, Array]:
        """Return where keys stand, and whether they do."""
        if not len(self):
            return np.zeros(len(keys), np.int64), np.zeros(len(keys), bool)
        at = np.minimum(np.searchsorted(self.keys, keys), len(self) - 1)
        return at, self.keys[at] == keys

    def only(self, which: Array) -> "_Shelf":
        return _Shelf(*(getattr(self, field.name)[which] for field in fields(self)))

    def with_(self, other: "_Shelf") -> "_Shelf":
        """Merge two shelves that have no key in common."""
        if not len(other):
            return self
        if not len(self):
            return other
        order = np.argsort(np.concatenate([self.keys, other.keys]), kind="stable")
        return _Shelf(
            *(
                np.concatenate([getattr(self, f.name), getattr(other, f.name)])[order]
                for f in fields(self)
            )
        )


_Places = Sequence[tuple[Array, Array]]
"""For each shelf where keys stand in it, and whether they do."""


class Voices:
    """
    The authors and copies of a partition's last hour.

    The posts of an author that follow each other within ``apart`` count as one post, as negative
    as the worst of them; so do copies and near copies of a text, whoever wrote them. It is not stored: after a
    crash it fills again from the hour that is read again (the detector holds the commit back by
    that hour). Only an author who has not paused for longer than that hour may then count once
    more than without the crash.

    Two sorted shelves, a small one for what is new: finding is a binary search, and the large one
    is only merged when the small one has grown to a part of it.
    """

    def __init__(self, apart: float, negative: float, most: int) -> None:
        """
        Begin with nobody.

        Args:
            apart: Seconds of silence after which a voice counts again.
            negative: Probability from which a post is a negative one.
            most: Voices remembered at most; the older half is forgotten beyond.
        """
        self._apart, self._negative, self._most = apart, negative, most
        self._large, self._small = _Shelf.empty(), _Shelf.empty()

    def share(self, posts: Heard) -> Share:
        """Take scored posts into account, in order of time."""
        count = len(posts)
        keys, voices = _voices(posts)
        places = [shelf.find(keys) for shelf in (self._large, self._small)]
        memory = self._recall(keys, places)
        share = Share(np.zeros(count), np.zeros(count, bool), np.zeros(count, bool))
        for some in _turns(voices, len(keys)):
            self._speak(posts, some, voices[:, some], memory, share)
        memory.slot[voices] = posts.slot
        memory.author[voices[0]] = posts.author
        self._keep(memory, places)
        return share

    def _speak(
        self, posts: Heard, some: Array, voices: Array, memory: _Shelf, share: Share
    ) -> None:
        """Let posts speak that have no voice in common; the memory of their voices changes."""
        last, worst = memory.last, memory.worst
        at, negative = posts.at[some], posts.negative[some]
        new = np.abs(at - last[voices]) >= self._apart
        said = np.where(new, 0.0, worst[voices])
        late = new & (at <= last[voices])  # of long before the voice's newest
        worst[voices] = np.where(late, worst[voices], np.maximum(said, negative))
        last[voices] = np.where(late, last[voices], np.maximum(last[voices], at))
        before = said.max(axis=0)
        share.negative[some] = np.maximum(negative - before, 0.0)
        share.counts[some] = new.all(axis=0)
        share.crosses[some] = (negative >= self._negative) & (before < self._negative)

    def _recall(self, keys: Array, places: _Places) -> _Shelf:
        """Return voices as they are remembered; new ones have never been heard."""
        count = len(keys)
        memory = _Shelf(
            keys,
            np.full(count, _NEVER),
            np.zeros(count),
            np.zeros(count, np.int64),
            np.zeros(count, np.uint64),
        )
        for shelf, (at, there) in zip((self._large, self._small), places, strict=True):
            for name in _REMEMBERED:
                getattr(memory, name)[there] = getattr(shelf, name)[at[there]]
        return memory

    def _keep(self, now: _Shelf, places: _Places) -> None:
        """Take over voices as they stand."""
        new = np.ones(len(now), bool)
        for shelf, (at, there) in zip((self._large, self._small), places, strict=True):
            for name in _REMEMBERED:
                getattr(shelf, name)[at[there]] = getattr(now, name)[there]
            new &= ~there
        if not new.any():
            return
        self._small = self._small.with_(now.only(new))
        if len(self._small) * _PART > len(self._large) + 1024:
            self._large, self._small = self._large.with_(self._small), _Shelf.empty()

    def authors(self, slot: int, since: float) -> list[int]:
        """Return who wrote negative posts about a subject since a moment, as far as remembered."""
        found = [
            shelf.author[
                (shelf.slot == slot)
                & (shelf.author != 0)
                & (shelf.last >= since)
                & (shelf.worst >= self._negative)
            ]
            for shelf in (self._large, self._small)
        ]
        names: list[int] = np.unique(np.concatenate(found)).tolist()
        return names

    def forget(self, now: float) -> None:
        """Let go of what is too old to matter at a moment of event time."""
        shelf = self._large
        if len(shelf) and (
            len(shelf) > self._most or 2 * np.count_nonzero(shelf.last >= now - _KEPT) < len(shelf)
        ):
            shelf = shelf.only(shelf.last >= now - _KEPT)
            if len(shelf) > self._most:
                newest = np.argsort(shelf.last, kind="stable")[-(self._most // 2) :]
                shelf = shelf.only(np.sort(newest))
            self._large = shelf

    def drop(self, slot: int) -> None:
        """Forget everything about a subject."""
        self._large = self._large.only(self._large.slot != slot)
        self._small = self._small.only(self._small.slot != slot)


def _voices(posts: Heard) -> tuple[Array, Array]:
    """
    Return the keys of all voices, in order, and which are each post's; shape (3, posts).

    They are its author's and those of what it says; its author's again where it says too little.
    """
    count, texts = len(posts), posts.copy.T
    said = [np.flatnonzero(names) for names in texts]
    copies = [
        key(posts.slot[rows], names[rows] ^ _COPY) for rows, names in zip(said, texts, strict=True)
    ]
    authors = key(posts.slot, posts.author)
    keys, place = np.unique(np.concatenate([authors, *copies]), return_inverse=True)
    voices = np.tile(place[:count], (1 + len(texts), 1))
    begin = count
    for number, rows in enumerate(said, start=1):
        voices[number, rows] = place[begin : begin + len(rows)]
        begin += len(rows)
    return keys, voices


def _turns(voices: Array, keys: int) -> Iterator[Array]:
    """
    Yield posts that may speak at once, those with a voice in common one after the other.

    Args:
        voices: Of each post, shape (3, posts); posts in order of time.
        keys: How many voices there are.
    """
    rest, first = np.arange(voices.shape[1]), np.empty(keys, np.int64)
    while len(rest):
        now, order = voices[:, rest], np.arange(len(rest))
        first[now] = len(rest)
        # Backwards: of those who have a voice in common the earliest is written last, and stays.
        for row in now[:, ::-1]:
            first[row] = np.minimum(first[row], order[::-1])
        ready = (first[now] == order).all(axis=0)
        if np.count_nonzero(ready) * _AT_LEAST < len(rest):
            break
        yield rest[ready]
        rest = rest[~ready]
    yield from rest[:, None]
