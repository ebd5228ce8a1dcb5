"""Counted: the production decision step on counted minutes of many subjects at once. No posts."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from uproar.backlash import Event as Told
from uproar.detect import baseline, episode
from uproar.detect.baseline import Array
from uproar.detect.budget import thresholds
from uproar.detect.decision import Decision, decide, finding
from uproar.detect.episode import Seen
from uproar.detect.policy import LEVELS, Policy
from uproar.watch import AUTHORS, BIN, BINS, HOURS, WATCH, Table


@dataclass(frozen=True, slots=True)
class Minute:
    """
    What a minute brought to every lane; arrays of shape (lanes,).

    Attributes:
        negative: Expected-negative posts of distinct authors, copies collapsed (probabilities).
        posts: Scored posts, each author once.
        authors: Distinct authors of posts more likely negative than not.
    """

    negative: Array
    posts: Array
    authors: Array


@dataclass(frozen=True, slots=True)
class Event:
    """What a lane's episode did: ``opened``, ``grew``, ``subsided`` or ``ended``, and why."""

    minute: int
    lane: int
    event: str
    level: str
    page: bool
    statistic: float
    threshold: float
    gate: str


def run_counted(
    minutes: Iterable[tuple[int, Minute]],
    *,
    lanes: int,
    alarms_per_day: Array,
    policy: Policy | None = None,
) -> list[Event]:
    """
    Run detection over counted minutes, as a partition does over posts.

    Args:
        minutes: Minute since 1970 and what it brought, rising; those without a post in any lane may
            be left out.
        lanes: How many subjects there are.
        alarms_per_day: How often chance may reach ``alert``, shape (lanes,).
        policy: How to decide.
    """
    run = _Run(lanes, alarms_per_day, policy or Policy())
    for number, brought in minutes:
        run.pass_to(number)
        run.judge(number, brought)
    run.pass_to(run.now + BIN)
    return run.events


class _Run:
    def __init__(self, lanes: int, alarms_per_day: Array, policy: Policy) -> None:
        self.events: list[Event] = []
        self.now = -1
        self._policy = policy
        self._table: Table = np.zeros(lanes, dtype=WATCH)
        asked, place = np.unique(np.broadcast_to(alarms_per_day, lanes), return_inverse=True)
        self._thresholds = np.array([thresholds(float(a), policy) for a in asked])[place]
        self._active = np.zeros(lanes, dtype=bool)
        nothing = np.zeros(lanes)
        self._nothing = Minute(nothing, nothing, nothing.astype(np.int64))

    def pass_to(self, number: int) -> None:
        """Judge the ends of five minutes before a minute that have something to judge."""
        if self.now < 0:
            baseline.born(self._table, np.full(len(self._table), number // BIN))
            self.now = number
        while True:
            end = self.now // BIN * BIN + BIN - 1
            if end >= number or not (self._active | (self._table["level"] > 0)).any():
                break
            self.judge(end, self._nothing)
        self.now = number

    def judge(self, number: int, brought: Minute) -> None:
        """Add a minute to the lanes it touches, and decide on them."""
        ends = number % BIN == BIN - 1
        due = brought.posts > 0
        self._active |= due
        if ends:
            due = self._active | (self._table["level"] > 0)
        lanes = np.flatnonzero(due)
        if len(lanes):
            part = self._table[lanes]
            baseline.advance(part, np.full(len(lanes), number // BIN), self._policy)
            _add(part, number, brought, lanes)
            decision = decide(part, number + 1, self._thresholds[lanes], self._policy)
            for place in np.flatnonzero((decision.level >= 0) | (part["level"] > 0)).tolist():
                self._step(int(lanes[place]), part[place], decision, place, number + 1)
            self._table[lanes] = part
        if ends:
            self._active[:] = False
        self.now = number + 1

    def _step(self, lane: int, row: np.void, decision: Decision, place: int, minute: int) -> None:
        found, before = finding(decision, place), episode.read(row)
        seen = Seen(
            minute=minute,
            level=LEVELS[found.level] if found.level >= 0 else None,
            lively=found.lively,
            loud=found.loud,
            excess=found.excess,
            negative=found.negative,
            posts=found.posts,
        )
        after, change = episode.step(before, seen, self._policy)
        if after is None:
            return
        episode.write(row, after)
        if before is None:
            baseline.disown(row, found.minutes)
        if change is None:
            return
        if change.event is Told.ENDED:
            episode.write(row, None)
        self.events.append(
            Event(
                minute,
                lane,
                change.event.value,
                change.level.value,
                change.page,
                found.statistic,
                found.threshold,
                found.gate,
            )
        )


def _add(part: Table, number: int, brought: Minute, lanes: Array) -> None:
    negative, posts = brought.negative[lanes], brought.posts[lanes]
    part["bins_negative"][:, number // BIN % BINS] += negative
    part["bins_all"][:, number // BIN % BINS] += posts
    part["hours_negative"][:, number // 60 % HOURS] += negative
    part["hours_all"][:, number // 60 % HOURS] += posts
    grows = part["level"] > 0
    part["posts"] += np.where(grows, posts, 0).astype(np.uint32)
    part["size"] += np.where(grows, negative, 0.0)
    some = np.flatnonzero(brought.authors[lanes] > 0)
    if len(some):
        place = part["authors_at"][some].argsort(axis=1).argsort(axis=1)
        newest = place < np.minimum(brought.authors[lanes][some], AUTHORS)[:, None]
        part["authors_at"][some] = np.where(newest, number, part["authors_at"][some])
        part["authors"][some] = np.where(newest, 1, part["authors"][some])
