"""Columns: assessments as arrays, for those who have many at once. Nothing is decided here."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from uproar.assessment import Assessment
from uproar.detect.crowd import name_of
from uproar.detect.heard import UNSCORED
from uproar.prior import suspected
from uproar.subject import SubjectId
from uproar.watch import Array


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """
    Assessments of a partition; arrays of shape (posts,) if nothing else is said.

    Attributes:
        subjects: Whom they are about, each once.
        subject: int64, place in ``subjects``.
        at: float64, event time, seconds since 1970.
        post: uint64, name of the post's id (:func:`uproar.detect.crowd.name_of`).
        author: uint64, name of its author's pseudonym; that of the post when it has none.
        copy: uint64, shape (posts, 2), the names in its fingerprint; 0 for none.
        negative, positive: float64, probabilities for who suspects a crisis
            (:mod:`uproar.prior`); ``negative`` below 0: it could not be scored.
        own: bool, written by the subject itself.
        backfill: bool, part of a backfill.
    """

    subjects: Sequence[SubjectId]
    subject: Array
    at: Array
    post: Array
    author: Array
    copy: Array
    negative: Array
    positive: Array
    own: Array
    backfill: Array

    def __len__(self) -> int:
        return len(self.at)


_name = lru_cache(maxsize=1 << 16)(name_of)


def texts_named(fingerprints: Sequence[str | None]) -> Array:
    """Return the names in fingerprints (:func:`uproar.post.fingerprint`); uint64, (posts, 2)."""
    found = np.zeros((len(fingerprints), 2), np.uint64)
    for row, named in enumerate(fingerprints):
        if named is not None:
            first, _, second = named.partition(".")
            found[row] = _name(first), _name(second) if second else 0
    return found


def columns_of(posts: Sequence[Assessment]) -> Columns:
    """Turn assessments into columns."""
    subjects = list(dict.fromkeys(post.subject for post in posts))
    place = {subject: number for number, subject in enumerate(subjects)}
    count = len(posts)

    def names(values: Sequence[str | None]) -> Array:
        found = (0 if value is None else _name(value) for value in values)
        return np.fromiter(found, np.uint64, count)

    ids = [post.post for post in posts]
    negative, positive = suspected(
        np.fromiter(
            (UNSCORED if p.scores is None else p.scores.negative for p in posts), np.float64, count
        ),
        np.fromiter(
            (0.0 if p.scores is None else p.scores.positive for p in posts), np.float64, count
        ),
    )
    return Columns(
        subjects=subjects,
        subject=np.fromiter((place[p.subject] for p in posts), np.int64, count),
        at=np.fromiter((p.created_at.timestamp() for p in posts), np.float64, count),
        post=np.fromiter(map(name_of, ids), np.uint64, count),
        author=names([p.author or p.post for p in posts]),
        copy=texts_named([p.fingerprint for p in posts]),
        negative=negative,
        positive=positive,
        own=np.fromiter((p.own for p in posts), bool, count),
        backfill=np.fromiter((p.backfill for p in posts), bool, count),
    )
