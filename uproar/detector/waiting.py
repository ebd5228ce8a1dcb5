"""Waiting: the posts of minutes that are still open, and late ones, as numbers. No statistics."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from uproar.assessment import Assessment
from uproar.detect.heard import Heard, key, together
from uproar.detect.policy import Policy
from uproar.post import Deletion
from uproar.watch import Array

TEXTS: Final = 10_000
"""Posts whose text may wait for their minute; of those beyond only the numbers wait."""


@dataclass(slots=True)
class _Minute:
    """The posts of a minute; behind its close, while late ones may come, their names and offset."""

    offset: int
    heard: list[Heard] = field(default_factory=list)
    seen: list[Array] = field(default_factory=list)  # keys of posts and slots
    unscored: set[int] = field(default_factory=set)  # of those, the ones without scores so far
    texts: dict[tuple[int, int], Assessment] = field(default_factory=dict)  # by name and slot


class Waiting:
    """Posts of one partition that have not been counted yet, and the names of the last hour."""

    def __init__(self, policy: Policy) -> None:
        self.late = int(policy.late.total_seconds() // 60)
        self._minutes: dict[int, _Minute] = {}
        self._texts = 0

    def put(
        self,
        posts: Heard,
        offsets: Array,
        texts: Mapping[int, Assessment],
        *,
        closed_to: int | None,
    ) -> dict[str, int]:
        """
        Let posts wait.

        Args:
            posts: No backfill, none of the subjects themselves; ``counted`` where they were before
                a crash.
            offsets: Where they stand in the partition; (posts,).
            texts: Whole posts that may become evidence, by place.
            closed_to: First open minute; None before the first close.

        Returns:
            How many will not be counted, by reason.
        """
        minute = np.floor_divide(posts.at, 60.0).astype(np.int64)
        dropped = {"counted before": 0, "repeat": 0, "too late": 0}
        waits = np.ones(len(posts), bool)
        if closed_to is not None:
            waits = minute >= closed_to - self.late
            dropped["counted before"] += int((posts.counted & ~waits).sum())
            dropped["too late"] += int((~posts.counted & ~waits).sum())
        quoted = np.fromiter(sorted(texts), np.int64, len(texts))
        places = np.flatnonzero(waits)
        places = places[np.argsort(minute[places], kind="stable")]
        borders = np.flatnonzero(np.diff(minute[places])) + 1
        for group in np.split(places, borders):
            if len(group):
                number = int(minute[group[0]])
                new = self._new(number, posts, group, int(offsets[group].min()))
                fresh = group[new]
                filled = self._filled_in(number, posts, group[~new])
                for some in (fresh, filled):
                    self._wait(number, posts, some, texts, quoted)
                    dropped["counted before"] += int(posts.counted[some].sum())
                dropped["repeat"] += len(group) - len(fresh) - len(filled)
        return dropped

    def _new(self, number: int, posts: Heard, group: Array, offset: int) -> Array:
        """Return which of a minute are no repeats, and remember their names."""
        minute = self._minutes.get(number)
        if minute is None:
            minute = self._minutes[number] = _Minute(offset)
        minute.offset = min(minute.offset, offset)
        names = key(posts.slot[group], posts.post[group])
        _, first = np.unique(names, return_index=True)
        new = np.zeros(len(group), bool)
        new[first] = True
        if minute.seen:
            new &= ~np.isin(names, np.concatenate(minute.seen))
        if new.any():
            minute.seen.append(names[new])
            minute.unscored.update(names[new & (posts.negative[group] < 0)].tolist())
        return new

    def _filled_in(self, number: int, posts: Heard, repeats: Array) -> Array:
        """
        Return those repeats of a minute that were unscored until now and bring their scores.

        One that still waits unscored is taken away for them; where it was counted so, they are
        marked: they bring no post more.
        """
        minute = self._minutes[number]
        if not len(repeats) or not minute.unscored:
            return repeats[:0]
        names = key(posts.slot[repeats], posts.post[repeats])
        bring = posts.negative[repeats] >= 0
        bring &= np.isin(names, np.fromiter(minute.unscored, np.uint64, len(minute.unscored)))
        names, first = np.unique(names[bring], return_index=True)
        if not len(names):
            return repeats[:0]
        minute.unscored.difference_update(names.tolist())
        instead, heard = list[Array](), list[Heard]()
        for part in minute.heard:
            own = key(part.slot, part.post)
            goes = np.isin(own, names) & ~part.counted
            instead.append(own[goes])
            heard.append(part[~goes])
        minute.heard = [part for part in heard if len(part)]
        waited = np.concatenate(instead) if instead else names[:0]
        found = repeats[bring][first]
        posts.filled[found] = ~np.isin(names, waited)
        return np.asarray(found)

    def _wait(
        self,
        number: int,
        posts: Heard,
        fresh: Array,
        texts: Mapping[int, Assessment],
        quoted: Array,
    ) -> None:
        if not len(fresh):
            return
        minute = self._minutes[number]
        minute.heard.append(posts[fresh])
        if not len(quoted):
            return
        at = np.minimum(np.searchsorted(quoted, fresh), len(quoted) - 1)
        chosen = fresh[quoted[at] == fresh][: TEXTS - self._texts]
        names, slots = posts.post[chosen].tolist(), posts.slot[chosen].tolist()
        for name, slot, place in zip(names, slots, chosen.tolist(), strict=True):
            minute.texts[name, slot] = texts[place]
        self._texts += len(chosen)

    @property
    def oldest(self) -> int | None:
        """Smallest offset of what waits, or was counted less than the lateness ago."""
        return min((minute.offset for minute in self._minutes.values()), default=None)

    def numbers(self, begin: int | None = None, end: int | None = None) -> list[int]:
        """Return the minutes from ``begin`` to before ``end`` for which posts wait, in order."""
        return sorted(
            number
            for number, minute in self._minutes.items()
            if minute.heard and (begin is None or number >= begin) and (end is None or number < end)
        )

    def slots(self, number: int) -> Array:
        """Return about whom posts wait for a minute."""
        return np.unique(np.concatenate([part.slot for part in self._minutes[number].heard]))

    def take(self, number: int) -> tuple[Heard, list[Assessment]]:
        """Return the posts of a minute and the texts among them, in order; they wait no longer."""
        minute = self._minutes[number]
        posts, minute.heard = together(minute.heard).in_order(), []
        texts, minute.texts = minute.texts, {}
        self._texts -= len(texts)
        in_order = sorted(texts, key=lambda name: (texts[name].created_at, name))
        return posts, [texts[name] for name in in_order]

    def close(self, closed_to: int) -> None:
        """Forget the names of minutes for which nothing can be late any more."""
        for number in [n for n in self._minutes if n < closed_to - self.late]:
            del self._minutes[number]

    def drop(self, slot: int) -> None:
        """Let the posts about a subject wait no longer."""

        def others(posts: list[Heard]) -> list[Heard]:
            left = [part[part.slot != slot] for part in posts]
            return [part for part in left if len(part)]

        for minute in self._minutes.values():
            minute.heard = others(minute.heard)
            self._drop_texts(minute, lambda name_slot, _: name_slot[1] == slot)

    def forget(self, deletions: Sequence[Deletion]) -> None:
        """Drop the text of posts and accounts that were taken back; their numbers stay."""
        ids = {deletion.id for deletion in deletions if deletion.id is not None}
        authors = {d.author for d in deletions if d.id is None and d.author is not None}
        for minute in self._minutes.values():
            self._drop_texts(minute, lambda _, post: post.post in ids or post.author in authors)

    def _drop_texts(
        self, minute: _Minute, goes: Callable[[tuple[int, int], Assessment], bool]
    ) -> None:
        gone = [name for name, post in minute.texts.items() if goes(name, post)]
        for name in gone:
            del minute.texts[name]
        self._texts -= len(gone)
