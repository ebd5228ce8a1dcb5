"""Tally: what the posts of one minute add to each subject. Not what that means."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import numpy as np

from uproar.assessment import Assessment
from uproar.detect import crowd
from uproar.detect.once import Once
from uproar.watch import BIN, BINS, HOURS, Table

UNSCORED: Final = -1.0


class Heard(NamedTuple):
    """
    A post that waits for its minute, as numbers.

    Attributes:
        at: Event time, seconds since 1970.
        slot: Whom it is about.
        author: Pseudonym; the post's own id when it has none.
        copy: What its text says (fingerprint); None when too short to compare.
        negative: Probability; UNSCORED when the model could not say.
        counted: It was counted before a crash: it only reminds of its author and its copies.
        candidate: The whole post while it may become evidence.
    """

    at: float
    post: str
    slot: int
    author: str
    copy: str | None
    negative: float
    positive: float
    counted: bool
    candidate: Assessment | None


@dataclass(slots=True)
class Tally:
    """
    What some time brings about one subject.

    Attributes:
        posts: All of them, own ones apart.
        all: Scored ones, each author and copy once an hour.
        negative: How negative these are, as a sum of probabilities.
        positive: How positive.
        unscored: Those the model could not score: never negative.
        authors: Distinct authors who are with these for the first time ones of a negative post.
        names: Their numbers (:func:`uproar.detect.crowd.name_of`).
    """

    posts: int = 0
    all: int = 0
    negative: float = 0.0
    positive: float = 0.0
    unscored: int = 0
    authors: int = 0
    names: list[int] = field(default_factory=list)


def count(posts: Iterable[Heard], once: Once) -> dict[int, Tally]:
    """
    Count the posts of a minute per subject.

    Args:
        posts: In order of time and id.
        once: Who has spoken in the last hour.
    """
    tallies: dict[int, Tally] = {}
    for post in posts:
        slot, negative = post.slot, post.negative
        if post.counted:
            if negative >= 0:
                once.share(slot, post.at, post.author, post.copy, negative)
            continue
        tally = tallies.get(slot)
        if tally is None:
            tally = tallies[slot] = Tally()
        tally.posts += 1
        if negative < 0:
            tally.unscored += 1
            continue
        share = once.share(slot, post.at, post.author, post.copy, negative)
        tally.negative += share.negative
        if share.counts:
            tally.all += 1
            tally.positive += post.positive
        if share.crosses:
            tally.authors += 1
            tally.names.append(crowd.name_of(post.author))
    return tallies


def add(w: Table, number: int, tallies: Sequence[Tally]) -> None:
    """
    Add what a minute brought to rows that stand at it or, for late posts, behind it; in place.

    Args:
        w: Rows, their rings at the minute's five minutes or later.
        number: The minute.
        tallies: One for each row.
    """
    bin_, hour = number // BIN, number // 60
    negative = np.array([tally.negative for tally in tallies])
    posts = np.array([float(tally.all) for tally in tallies])
    in_ring = w["bin"] - bin_ < BINS
    w["bins_negative"][:, bin_ % BINS] += np.where(in_ring, negative, 0.0)
    w["bins_all"][:, bin_ % BINS] += np.where(in_ring, posts, 0.0)
    w["hours_negative"][:, hour % HOURS] += negative
    w["hours_all"][:, hour % HOURS] += posts
    for place, tally in enumerate(tallies):
        for name in tally.names:
            crowd.remember(w[place], name, number)
    grows = w["level"] > 0
    w["posts"] += np.where(grows, [tally.posts for tally in tallies], 0).astype(np.uint32)
    w["size"] += np.where(grows, negative, 0.0)


def add_to_reading(w: Table, tallies: Sequence[Tally]) -> None:
    """Add what a minute brought to the reading of its five minutes, in place."""
    w["bin_posts"] += np.array([t.posts for t in tallies], dtype=np.uint32)
    w["bin_positive"] += np.array([t.positive for t in tallies], dtype=np.float32)
    w["bin_authors"] += np.array([t.authors for t in tallies], dtype=np.uint32)
    w["bin_unscored"] += np.array([t.unscored for t in tallies], dtype=np.uint32)


def five_minutes(row: np.void, number: int) -> Tally:
    """Return the tally of the five minutes in which a minute lies, from a row that stands there."""
    place = number // BIN % BINS
    return Tally(
        posts=int(row["bin_posts"]),
        all=int(row["bins_all"][place]),
        negative=float(row["bins_negative"][place]),
        positive=float(row["bin_positive"]),
        unscored=int(row["bin_unscored"]),
        authors=int(row["bin_authors"]),
    )
