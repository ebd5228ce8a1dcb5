"""Counted: the detector's decisions on minutes that are counted already, for many subjects at once."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from uproar.detect import baseline, budget, crowd, episode
from uproar.detect.decision import decide, finding
from uproar.detect.policy import Policy
from uproar.detect.tally import add_counts
from uproar.watch import AUTHORS, BIN, Array, Row, Some, Table


@dataclass(frozen=True, slots=True)
class Minute:
    """
    What a minute brought to every lane; arrays of shape (lanes,).

    Attributes:
        negative: Negative posts (sum of probabilities), each author and each text once.
        posts: Scored posts, likewise.
        authors: Authors of posts more likely negative than not.
    """

    negative: Array
    posts: Array
    authors: Array


@dataclass(frozen=True, slots=True)
class Event:
    """
    What was said of a lane.

    Attributes:
        minute: First minute behind what was seen, since 1970.
        statistic, threshold, gate: Of the deciding window.
    """

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
    Run the production decision over counted minutes, a lane for each subject.

    As :class:`uproar.detector.Detector` does with posts: a lane is judged in every minute in which
    something was written, and at the end of each five minutes with activity or an open episode.

    Args:
        minutes: Number since 1970 and what it brought, rising; minutes of silence may be left out.
        lanes: How many subjects.
        alarms_per_day: Budget of each lane; (lanes,).
        policy: How to decide.
    """
    run = _Run(lanes, alarms_per_day, policy or Policy())
    for number, minute in minutes:
        run.catch_up(number)
        run.take(number, minute)
    return run.events


class _Run:
    def __init__(self, lanes: int, alarms_per_day: Array, policy: Policy) -> None:
        self.events: list[Event] = []
        self._policy, self._table = policy, Table(lanes)
        self._everyone = Some(self._table, slice(0, lanes))
        budget.begin(self._everyone, policy)
        budget.allow(self._everyone, alarms_per_day, policy)
        self._active = np.zeros(lanes, bool)
        self._next: int | None = None

    def catch_up(self, number: int) -> None:
        """Judge the ends of five minutes before a minute, while anything waits for them."""
        if self._next is None:
            baseline.born(self._everyone, np.full(len(self._table), number // BIN))
            self._next = number
        due = self._next // BIN * BIN + BIN - 1
        while due < number and (self._active.any() or self._table["level"].any()):
            self._judge(due, np.flatnonzero(self._active | (self._table["level"] > 0)), None)
            self._active[:] = False
            due += BIN
        self._next = number + 1

    def take(self, number: int, minute: Minute) -> None:
        """Count a minute and judge whom it concerns."""
        said = minute.posts > 0
        self._active |= said
        if number % BIN == BIN - 1:
            said = self._active | (self._table["level"] > 0)
            self._active[:] = False
        if said.any():
            self._judge(number, np.flatnonzero(said), minute)

    def _judge(self, number: int, lanes: Array, minute: Minute | None) -> None:
        everyone = len(lanes) == len(self._table)
        part = Some(self._table, slice(0, len(lanes)) if everyone else lanes)
        baseline.advance(part, np.full(len(lanes), number // BIN), self._policy)
        open_ = part["level"] > 0
        if minute is not None:
            negative = minute.negative[lanes]
            posts = minute.posts[lanes]
            add_counts(part, number, negative, posts, posts)
            crowd.remember_strangers(part, np.minimum(minute.authors[lanes], AUTHORS), number)
            part.change("size")[...] += np.where(open_, negative, 0.0).astype(np.float32)
        decision = decide(part, number + 1, self._policy, exact=open_)
        for which, place in enumerate(decision.rows.tolist()):
            if decision.level[which] < 0 and not open_[place]:
                continue
            row, found = Row(part, place), finding(decision, which)
            before = episode.read(row)
            after, change = episode.step(before, found.seen(number + 1), self._policy)
            if after is None:
                continue
            episode.write(row, after)
            budget.rise(row, -1 if before is None else before.level.rank, after.level.rank)
            if before is None:
                baseline.disown(row, found.minutes)
            if change is None:
                continue
            self.events.append(
                Event(
                    number + 1,
                    int(lanes[place]),
                    change.event.value,
                    change.level.value,
                    change.page,
                    found.statistic,
                    found.threshold,
                    found.gate,
                )
            )
            if change.event == "ended":
                episode.write(row, None)
        part.put()
