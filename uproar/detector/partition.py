"""Partition: the Detector of one assessments partition, and in which order it does things."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

import numpy as np

from uproar.assessment import Assessment
from uproar.backlash import Backlash, Event, Evidence
from uproar.detect import baseline, crowd, episode
from uproar.detect.budget import thresholds
from uproar.detect.correction import correct
from uproar.detect.decision import Finding, decide, finding
from uproar.detect.episode import Change, Episode, Seen
from uproar.detect.once import Once
from uproar.detect.policy import LEVELS, SPAN, Policy
from uproar.detect.tally import Tally, add, add_to_reading, count, five_minutes
from uproar.detector.telling import Told, backlash, reading
from uproar.detector.waiting import Waiting
from uproar.post import Deletion
from uproar.reading import Reading
from uproar.story.evidence import choose
from uproar.story.reservoir import Reservoir
from uproar.subject import Subject, SubjectId, alarms_per_day
from uproar.watch import BIN, UNBORN, Watches, minute_of, start_of

CLOSED_TO: Final = SubjectId("~closed")
"""Key of the row that says how far the partition is closed; no subject can be called so."""
_NOTHING: Final = Tally()
_READING: Final = ("bin_posts", "bin_positive", "bin_authors", "bin_unscored")


@dataclass(frozen=True, slots=True)
class Closed:
    """What closing minutes brought, in order of event time."""

    backlash: list[Backlash] = field(default_factory=list)
    readings: list[Reading] = field(default_factory=list)


class Detector:
    """
    Detection of one assessments partition: what is heard of its subjects, minute by minute.

    It keeps time by what it is told (:meth:`close_buckets`) and nothing else. Posts of open minutes
    wait; a minute's posts are counted in order of time and id when it closes, so that the order of
    arrival does not matter. A subject is judged in every minute in which something was written
    about it, and at the end of each five minutes with activity or an open episode.

    After a crash: watch, load the rows, read again from the committed offset, which must never have
    passed :attr:`oldest_waiting`. What was counted is recognised by offset and minute, and only
    refills the memory of authors, copies and texts.
    """

    def __init__(self, *, policy: Policy | None = None) -> None:
        self._policy = policy or Policy()
        self._watches = Watches()
        self._subjects: dict[int, Subject] = {}
        self._thresholds = np.zeros((0, len(LEVELS), len(SPAN)))
        self._waiting = Waiting(self._policy)
        self._closed_to: int | None = None
        self._newest = -1
        self._told_again_to = 0
        self._unborn: set[int] = set()
        self._active: set[int] = set()  # heard of in the running five minutes
        self._open: set[int] = set()  # with an open episode
        self._changed: dict[SubjectId, None] = {}
        apart = self._policy.apart.total_seconds()
        self._once = Once(apart, self._policy.negative, self._policy.memory)
        self._reservoir = Reservoir(self._policy.waiting_evidence, self._policy.negative)
        self.dropped: Counter[str] = Counter()
        """Assessments that were not counted, by reason."""

    # ------------------------------------------------------------------------------------ subjects

    def watch(self, subject: Subject) -> None:
        """Add a subject, or take over its changes; it is watched from now on (event time)."""
        new = self._watches.slot(subject.id) is None
        slot = self._watches.add(subject.id)
        missing = len(self._watches.table) - len(self._thresholds)
        if missing:
            more = np.zeros((missing, *self._thresholds.shape[1:]))
            self._thresholds = np.concatenate([self._thresholds, more])
        self._thresholds[slot] = thresholds(alarms_per_day(subject.budget), self._policy)
        self._subjects[slot] = subject
        if new:
            self._unborn.add(slot)

    def unwatch(self, subject: SubjectId) -> None:
        """Forget a subject; its row is emptied."""
        slot = self._watches.slot(subject)
        if slot is None:
            return
        self._watches.remove(subject)
        self._subjects.pop(slot, None)
        for slots in (self._unborn, self._active, self._open):
            slots.discard(slot)
        self._waiting.drop(slot)
        self._once.drop(slot)
        self._reservoir.release(subject)
        self._changed[subject] = None

    # --------------------------------------------------------------------------------------- posts

    def observe_many(self, assessments: Sequence[Assessment], offsets: Sequence[int]) -> None:
        """
        Take assessments as they stand in the partition.

        Args:
            assessments: In the order of their offsets.
            offsets: One for each.
        """
        for assessment, offset in zip(assessments, offsets, strict=True):
            self._newest = max(self._newest, offset)
            if reason := self._observe(assessment, offset):
                self.dropped[reason] += 1

    def _observe(self, post: Assessment, offset: int) -> str | None:
        slot = self._watches.slot(post.subject)
        if slot is None or slot not in self._subjects:
            return "unknown subject"
        if post.own:
            return "own"
        table = self._watches.table
        minute = minute_of(post.created_at)
        again = offset <= table["offset"][slot] or minute < self._told_again_to
        counted = minute < table["closed_to"][slot] and again
        return self._waiting.put(
            post, slot, offset, closed_to=self._closed_to, counted=bool(counted)
        )

    @property
    def oldest_waiting(self) -> int | None:
        """
        Offset that a commit must not pass: that of the oldest post which waits, or was written in
        the last hour of closed event time (its author and text are remembered outside the rows).
        None when there is none.
        """
        return self._waiting.oldest

    def forget(self, deletions: Sequence[Deletion]) -> None:
        """Drop the text of posts and accounts that were taken back; what was counted stays."""
        self._waiting.forget(deletions)
        for deletion in deletions:
            self._reservoir.forget(deletion.id, deletion.author)

    # --------------------------------------------------------------------------------------- state

    def changed_rows(self) -> dict[SubjectId, bytes]:
        """
        Return the packed rows that changed since the last call; empty bytes for a removed subject.

        The last row, :data:`CLOSED_TO`, says how far the partition is closed: store it last.
        """
        rows = {subject: self._pack(subject) for subject in self._changed}
        if rows and self._closed_to is not None:
            rows[CLOSED_TO] = self._closed_to.to_bytes(8, "little", signed=True)
        self._changed.clear()
        return rows

    def _pack(self, subject: SubjectId) -> bytes:
        slot = self._watches.slot(subject)
        return b"" if slot is None else self._watches.pack(slot)

    def load(self, rows: Mapping[SubjectId, bytes], *, offsets_valid: bool = True) -> None:
        """
        Take over rows that :meth:`changed_rows` returned, before the first post.

        Args:
            rows: The newest of each subject; those of subjects not watched wait for :meth:`watch`.
            offsets_valid: False after a change of broker: its offsets start afresh. What the rows
                hold may then come again under other offsets, and is told by its minute alone.

        Raises:
            Misconfigured: A row was written by another version of uproar.
        """
        if raw := rows.get(CLOSED_TO):
            self._closed_to = int.from_bytes(raw, "little", signed=True)
        kept = {subject: raw for subject, raw in rows.items() if raw and subject != CLOSED_TO}
        slots = self._watches.unpack(kept)
        table = self._watches.table
        if not offsets_valid:
            table["offset"][slots] = -1
            self._told_again_to = int(table["closed_to"][slots].max(initial=0))
            self._changed |= dict.fromkeys(kept)  # to be kept so: the old offsets mean nothing now
        self._unborn -= {slot for slot in slots if table["bin"][slot] != UNBORN}
        self._active |= {slot for slot in slots if table["bin_posts"][slot]}
        self._open |= {slot for slot in slots if table["level"][slot]}

    # -------------------------------------------------------------------------------------- closing

    def close_buckets(self, up_to: datetime) -> Closed:
        """
        Close every minute that ends at or before a moment, in order, and decide at each.

        Closing again what is closed does nothing.
        """
        end, closed = minute_of(up_to), Closed()
        begin = self._closed_to
        if begin is None:
            begin = min([end, *self._waiting.numbers()])
        elif end <= begin:
            return closed
        touched = self._give_birth(end)
        touched |= self._catch_up(begin)
        todo = self._waiting.numbers(begin, end)[::-1]
        now = begin
        while True:
            next_post = todo[-1] if todo else end
            next_due = now // BIN * BIN + BIN - 1 if self._active or self._open else end
            number = min(next_post, next_due)
            if number >= end:
                break
            tallies = self._count(todo.pop()) if number == next_post else {}
            touched |= self._judge(number, tallies, closed)
            now = number + 1
        self._finish(touched, end)
        return closed

    def _give_birth(self, end: int) -> set[int]:
        """Begin to watch what was added: from the first open minute on, or from its first post."""
        born, self._unborn = self._unborn, set()
        if not born:
            return born
        first = dict.fromkeys(sorted(born), end if self._closed_to is None else self._closed_to)
        for number in self._waiting.numbers(None, end):
            for slot in self._waiting.slots(number) & born:
                first[slot] = min(first[slot], number)
        slots = np.array(list(first))
        part = self._watches.table[slots]
        baseline.born(part, np.array(list(first.values())) // BIN)
        self._watches.table[slots] = part
        return born

    def _catch_up(self, begin: int) -> set[int]:
        """Count what came late, and learn from what came later still."""
        touched: set[int] = set()
        table = self._watches.table
        for number in self._waiting.numbers(None, begin):
            tallies = self._count(number)
            slots = np.array(sorted(tallies), dtype=np.int64)
            part = table[slots]
            baseline.advance(part, np.maximum(part["bin"], number // BIN), self._policy)
            add(part, number, [tallies[slot] for slot in slots.tolist()])
            table[slots] = part
            touched |= set(tallies)
        for post in self._waiting.take_stale():
            if post.negative >= 0:
                row = table[post.slot : post.slot + 1]
                to = np.maximum(row["bin"], (begin - 1) // BIN)
                baseline.advance(row, to, self._policy)
                correct(row[0], int(post.at // 3600), post.negative, self._policy)
                touched.add(post.slot)
        return touched

    def _count(self, number: int) -> dict[int, Tally]:
        posts = self._waiting.take(number)
        for post in posts:
            if post.candidate is not None:
                self._reservoir.offer(post.candidate)
        return count(posts, self._once)

    def _finish(self, touched: set[int], end: int) -> None:
        slots, table = sorted(touched), self._watches.table
        table["offset"][slots] = self._newest
        table["closed_to"][slots] = end
        self._changed |= dict.fromkeys(self._watches.subject(slot) for slot in slots)
        self._closed_to = end
        self._waiting.close(end)
        self._once.forget(end * 60.0)

    # -------------------------------------------------------------------------------------- judging

    def _judge(self, number: int, tallies: dict[int, Tally], closed: Closed) -> set[int]:
        """Add a minute to its subjects and decide on them; return who was touched."""
        ends_bin = number % BIN == BIN - 1
        due = tallies.keys() | self._active | self._open if ends_bin else tallies.keys()
        table = self._watches.table
        # A row may be ahead of the partition: written before a crash, and the others not.
        slots = np.array(sorted(s for s in due if table["closed_to"][s] <= number), dtype=np.int64)
        if not len(slots):
            return set()
        part, brought = table[slots], [tallies.get(slot, _NOTHING) for slot in slots.tolist()]
        baseline.advance(part, np.full(len(slots), number // BIN), self._policy)
        add(part, number, brought)
        add_to_reading(part, brought)
        self._active |= tallies.keys()
        decision = decide(part, number + 1, self._thresholds[slots], self._policy)
        reads = ends_bin & (part["bin_posts"] > 0)
        for place in np.flatnonzero((decision.level >= 0) | (part["level"] > 0) | reads).tolist():
            slot, row, found = int(slots[place]), part[place], finding(decision, place)
            subject = self._subjects.get(slot)
            if subject is None:
                continue
            at = number + 1
            if reads[place]:
                tally = five_minutes(row, number)
                closed.readings.append(reading(subject, at, BIN, tally, found, decision=False))
            if event := self._decide(subject, slot, row, found, at):
                closed.backlash.append(event)
                closed.readings.append(
                    reading(subject, at, 1, brought[place], found, decision=True)
                )
        if ends_bin:
            for name in _READING:
                part[name] = 0
            self._active.clear()
        table[slots] = part
        return set(slots.tolist())

    def _decide(
        self, subject: Subject, slot: int, row: np.void, found: Finding, minute: int
    ) -> Backlash | None:
        """Move the episode of a row on, in place; return what is to be told of it."""
        before = episode.read(row)
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
            return None
        episode.write(row, after)
        if before is None:
            self._open.add(slot)
            baseline.disown(row, found.minutes)
            begin = minute - min(found.minutes, self._waiting.late)  # what is surely remembered
            for author in self._once.authors(slot, begin * 60.0):
                crowd.add(row["sketch"], crowd.name_of(author))
        if change is None:
            return None
        authors = max(crowd.count(row["sketch"]), found.authors)
        told = Told(
            subject=subject,
            minute=minute,
            episode=after,
            change=change,
            found=found,
            authors=authors,
            unscored=int(row["bin_unscored"]),
            evidence=self._evidence(subject.id, change, after, found, minute),
        )
        if change.event is Event.ENDED:
            episode.write(row, None)
            self._open.discard(slot)
        return backlash(told)

    def _evidence(
        self, subject: SubjectId, change: Change, open_: Episode, found: Finding, minute: int
    ) -> tuple[Evidence, ...]:
        """Show the wave: from the beginning of the window in which it opened, or of this one."""
        if change.event is Event.ENDED:
            return ()
        since = min(open_.opened, minute) - found.minutes
        return choose(
            self._reservoir.candidates(subject, since=start_of(since), until=start_of(minute))
        )
