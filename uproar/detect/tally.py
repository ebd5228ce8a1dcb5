"""Tally: what the posts of one minute add to each subject. Not what that means."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from uproar.detect import crowd
from uproar.detect.baseline import BINS_AN_HOUR
from uproar.detect.heard import Heard
from uproar.detect.voices import Voices
from uproar.watch import BIN, BINS, HOURS, SCALE, Array, Row, Rows


@dataclass(frozen=True, slots=True)
class Tally:
    """
    What some time brings about subjects; arrays of shape (subjects,).

    Attributes:
        slots: About whom, in order.
        posts: Posts, repeats of an author and copies included.
        said: Scored posts, likewise.
        all: Scored posts, each author and each text once.
        negative: Sum of their probabilities to be negative, likewise.
        positive: Sum of their probabilities to be praise.
        unscored: Posts that the model could not score.
        authors: Authors who wrote their first negative post of the hour.
        who: Those: place in ``slots`` and name (:func:`uproar.detect.crowd.name_of`), in order.
    """

    slots: Array
    posts: Array
    said: Array
    all: Array
    negative: Array
    positive: Array
    unscored: Array
    authors: Array
    who: tuple[Array, Array]

    def at(self, slots: Array) -> "Tally":
        """Return it for these slots, in order: 0 where nothing was said."""
        if len(slots) == len(self.slots) and (slots == self.slots).all():
            return self
        if not np.isin(self.slots, slots).all():
            return self.only(slots).at(slots)
        place = np.searchsorted(slots, self.slots)

        def spread(column: Array) -> Array:
            wide = np.zeros(len(slots), column.dtype)
            wide[place] = column
            return wide

        return Tally(
            slots,
            spread(self.posts),
            spread(self.said),
            spread(self.all),
            spread(self.negative),
            spread(self.positive),
            spread(self.unscored),
            spread(self.authors),
            (place[self.who[0]], self.who[1]),
        )

    def only(self, slots: Array) -> "Tally":
        """Return it without those who are not among these slots (in order)."""
        stays = np.isin(self.slots, slots)
        if stays.all():
            return self
        place = np.cumsum(stays) - 1
        kept = stays[self.who[0]]
        return Tally(
            self.slots[stays],
            self.posts[stays],
            self.said[stays],
            self.all[stays],
            self.negative[stays],
            self.positive[stays],
            self.unscored[stays],
            self.authors[stays],
            (place[self.who[0][kept]], self.who[1][kept]),
        )

    def of(self, place: int) -> "One":
        """Return one subject's part."""
        return One(
            posts=int(self.posts[place]),
            negative=float(self.negative[place]),
            positive=float(self.positive[place]),
            authors=int(self.authors[place]),
            unscored=int(self.unscored[place]),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class One:
    """What some time brought about one subject; as :class:`Tally`."""

    posts: int
    negative: float
    positive: float
    authors: int
    unscored: int


NOTHING: Final = One(posts=0, negative=0.0, positive=0.0, authors=0, unscored=0)


def count(posts: Heard, voices: Voices) -> Tally:
    """
    Count the posts of a minute per subject.

    Args:
        posts: In order of time and name.
        voices: Who has spoken in the last hour.
    """
    scored = posts.negative >= 0
    heard = posts[scored]
    share = voices.share(heard)
    fresh = ~posts.counted
    slots, place = np.unique(posts.slot[fresh], return_inverse=True)
    wide = len(slots)
    new = ~heard.counted
    where = np.searchsorted(slots, heard.slot[new])
    counts, crosses = share.counts[new], share.crosses[new]

    def total(weights: Array) -> Array:
        return np.bincount(where, weights, minlength=wide)

    return Tally(
        slots=slots,
        posts=np.bincount(place, ~posts.filled[fresh], minlength=wide).astype(np.int64),
        said=np.bincount(where, minlength=wide).astype(np.int64),
        all=total(counts),
        negative=total(share.negative[new]),
        positive=total(heard.positive[new] * counts),
        unscored=np.bincount(place, ~scored[fresh], minlength=wide).astype(np.int64),
        authors=total(crosses).astype(np.int64),
        who=(where[crosses], heard.author[new][crosses]),
    )


def add(w: Rows, number: int, brought: Tally) -> None:
    """
    Add what a minute brought to rows that stand at it or, for late posts, behind it; in place.

    Args:
        w: Rows, their rings at the minute's five minutes or later.
        number: The minute.
        brought: For these rows.
    """
    add_counts(w, number, brought.negative, brought.all, brought.said)
    grows = w["level"] > 0
    if grows.any():
        w.change("posts")[...] += np.where(grows, brought.posts, 0).astype(np.uint32)
        w.change("size")[...] += np.where(grows, brought.negative, 0.0).astype(np.float32)
    places, names = brought.who
    crowds = np.flatnonzero(grows[places])
    for place, name in zip(places[crowds].tolist(), names[crowds].tolist(), strict=True):
        crowd.add(w.change("sketch")[place], name)
    crowd.remember(w, places, names, number)


def add_counts(w: Rows, number: int, negative: Array, posts: Array, said: Array) -> None:
    """Add counts of a minute to the rings; late ones to the hour that has taken their place."""
    rows, bin_ = np.arange(len(w)), number // BIN
    behind = w["bin"] - bin_
    place = bin_ % BINS
    in_ring = behind < BINS
    for name, more in (("negative", negative), ("all", posts)):
        w.change(f"bins_{name}")[:, place] += np.where(in_ring, more, 0.0).astype(np.float32)
    kept = w["bins_said"][:, place] + np.where(in_ring, said, 0)
    w.change("bins_said")[:, place] = np.minimum(kept, np.iinfo(np.uint16).max)
    late = np.flatnonzero(behind > 0)
    if not len(late):
        return
    hour = number // 60
    running = w["bin"][late] // BINS_AN_HOUR == hour
    for name, more in (("negative", negative), ("all", posts)):
        now = w.change(f"hour_{name}")
        now[late] += np.where(running, more[late], 0.0).astype(np.float32)
        kept = w.change(f"hours_{name}")
        kept[rows[late], hour % HOURS] += np.where(running, 0.0, more[late] / SCALE).astype(
            np.float16
        )


def add_to_reading(w: Rows, brought: Tally) -> None:
    """Add what a minute brought to the reading of its five minutes, in place."""
    w.change("bin_posts")[...] += brought.posts.astype(np.uint32)
    w.change("bin_positive")[...] += brought.positive.astype(np.float32)
    for name, more in (("bin_authors", brought.authors), ("bin_unscored", brought.unscored)):
        w[name] = np.minimum(w[name] + more, np.iinfo(np.uint16).max)


def five_minutes(row: Row, number: int) -> One:
    """Return the tally of the five minutes in which a minute lies, from a row that stands there."""
    return One(
        posts=int(row["bin_posts"]),
        negative=float(row["bins_negative"][number // BIN % BINS]),
        positive=float(row["bin_positive"]),
        authors=int(row["bin_authors"]),
        unscored=int(row["bin_unscored"]),
    )
