"""Waiting: the posts of minutes that are still open, as numbers, and what came late. No statistics."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from uproar.assessment import Assessment
from uproar.detect.policy import Policy
from uproar.detect.tally import UNSCORED, Heard
from uproar.post import Deletion

TEXTS: Final = 10_000
"""Posts whose text may wait for their minute; of those beyond only the numbers wait."""


@dataclass(slots=True)
class _Minute:
    """The posts of a minute; behind its close, while late ones may come, their ids and offset."""

    offset: int
    heard: list[Heard] = field(default_factory=list)
    seen: set[tuple[int, str]] = field(default_factory=set)


class Waiting:
    """Posts of one partition that have not been counted yet, and the ids of the last hour."""

    def __init__(self, policy: Policy) -> None:
        self.late = int(policy.late.total_seconds() // 60)
        self._negative = policy.negative
        self._minutes: dict[int, _Minute] = {}
        self._stale: list[Heard] = []
        self._stale_offset: int | None = None
        self._texts = 0

    def put(
        self, post: Assessment, slot: int, offset: int, *, closed_to: int | None, counted: bool
    ) -> str | None:
        """
        Let a post wait.

        Args:
            post: The post, not one of the subject itself.
            slot: Whom it is about.
            offset: Where it stands in the partition.
            closed_to: First open minute; None before the first close.
            counted: It was counted before a crash, and only reminds us of its author and text.

        Returns:
            Why it will not be counted; None when it will.
        """
        at = post.created_at.timestamp()
        number = int(at // 60)
        closed = closed_to is not None and number < closed_to
        too_late = closed_to is not None and number < closed_to - self.late
        if counted and too_late:
            return "counted before"
        if too_late or (closed and post.backfill and not counted):
            self._stale.append(_heard(post, slot, at))
            earliest = offset if self._stale_offset is None else self._stale_offset
            self._stale_offset = min(offset, earliest)
            return None
        minute = self._minutes.get(number)
        if minute is None:
            minute = self._minutes[number] = _Minute(offset)
        elif offset < minute.offset:
            minute.offset = offset
        key = (slot, post.post)
        if key in minute.seen:
            return "repeat"
        minute.seen.add(key)
        minute.heard.append(_heard(post, slot, at, counted=counted, keep=self._keeps(post)))
        return "counted before" if counted else None

    def _keeps(self, post: Assessment) -> bool:
        scores = post.scores
        if scores is None or scores.negative < self._negative or self._texts >= TEXTS:
            return False
        self._texts += 1
        return True

    @property
    def oldest(self) -> int | None:
        """Smallest offset of what waits, or was counted less than the lateness ago."""
        offsets = [minute.offset for minute in self._minutes.values()]
        if self._stale_offset is not None:
            offsets.append(self._stale_offset)
        return min(offsets, default=None)

    def numbers(self, begin: int | None = None, end: int | None = None) -> list[int]:
        """Return the minutes from ``begin`` to before ``end`` for which posts wait, in order."""
        return sorted(
            number
            for number, minute in self._minutes.items()
            if minute.heard and (begin is None or number >= begin) and (end is None or number < end)
        )

    def slots(self, number: int) -> set[int]:
        """Return about whom posts wait for a minute."""
        return {post.slot for post in self._minutes[number].heard}

    def take(self, number: int) -> list[Heard]:
        """Return the posts of a minute, by time and id; they wait no longer."""
        minute = self._minutes[number]
        posts, minute.heard = sorted(minute.heard, key=_order), []
        self._texts -= sum(post.candidate is not None for post in posts)
        return posts

    def take_stale(self) -> list[Heard]:
        """Return what came later than the lateness, by time and id; it waits no longer."""
        posts, self._stale, self._stale_offset = sorted(self._stale, key=_order), [], None
        return posts

    def close(self, closed_to: int) -> None:
        """Forget the ids of minutes for which nothing can be late any more."""
        for number in [n for n in self._minutes if n < closed_to - self.late]:
            del self._minutes[number]

    def drop(self, slot: int) -> None:
        """Let the posts about a subject wait no longer."""
        self._replace(lambda post: None if post.slot == slot else post)

    def forget(self, deletions: Sequence[Deletion]) -> None:
        """Drop the text of posts and accounts that were taken back; their numbers stay."""
        ids = {deletion.id for deletion in deletions if deletion.id is not None}
        authors = {d.author for d in deletions if d.id is None and d.author is not None}

        def without_text(post: Heard) -> Heard:
            gone = post.post in ids or post.author in authors
            return post._replace(candidate=None) if gone else post

        self._replace(without_text)

    def _replace(self, change: Callable[[Heard], Heard | None]) -> None:
        for minute in self._minutes.values():
            minute.heard = [new for post in minute.heard if (new := change(post)) is not None]
        self._stale = [new for post in self._stale if (new := change(post)) is not None]
        waiting = (post for minute in self._minutes.values() for post in minute.heard)
        self._texts = sum(post.candidate is not None for post in waiting)


def _heard(
    post: Assessment, slot: int, at: float, *, counted: bool = False, keep: bool = False
) -> Heard:
    scores = post.scores
    return Heard(
        at,
        post.post,
        slot,
        post.author or post.post,
        post.fingerprint,
        UNSCORED if scores is None else scores.negative,
        0.0 if scores is None else scores.positive,
        counted,
        post if keep else None,
    )


def _order(post: Heard) -> tuple[float, str]:
    return post.at, post.post
