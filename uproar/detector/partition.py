"""Partition: the Detector of one assessments partition, and in which order it does things."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

import numpy as np

from uproar.assessment import Assessment
from uproar.backlash import Backlash, Event, Evidence
from uproar.detect import baseline, budget, crowd, episode
from uproar.detect.coordination import STAGED, Coordination, coordination, repeats
from uproar.detect.correction import correct
from uproar.detect.decision import Finding, decide, finding
from uproar.detect.episode import Change, Episode
from uproar.detect.heard import Heard
from uproar.detect.policy import Policy
from uproar.detect.tally import NOTHING, Tally, add, add_to_reading, count, five_minutes
from uproar.detect.voices import Voices
from uproar.detector.columns import Columns, columns_of
from uproar.detector.history import History
from uproar.detector.recent import PREFIX, Recent
from uproar.detector.telling import Told, backlash, reading
from uproar.detector.waiting import Waiting
from uproar.post import Deletion
from uproar.reading import Reading
from uproar.story.evidence import choose
from uproar.story.reservoir import Reservoir
from uproar.subject import Subject, SubjectId, alarms_per_day
from uproar.watch import BIN, BINS, UNBORN, Array, Row, Some, Watches, minute_of, start_of

CLOSED_TO: Final = SubjectId("~closed")
"""Key of the row that says how far the partition is closed; no subject can be called so."""
_READING: Final = ("bin_posts", "bin_positive", "bin_authors", "bin_unscored")
_AT_ONCE: Final = 16384
"""Rows judged at once: what is worked out of so many fits the cache."""


def is_apart(key: SubjectId) -> bool:
    """Tell whether a row is the partition's and no subject's."""
    return key == CLOSED_TO or key.startswith(PREFIX)


@dataclass(frozen=True, slots=True)
class Closed:
    """What closing minutes brought, in order of event time."""

    backlash: list[Backlash] = field(default_factory=list)
    readings: list[Reading] = field(default_factory=list)


class Detector:
    """
    Detection of one assessments partition: what is heard of its subjects, minute by minute.

    It keeps time by what it is told (:meth:`close_buckets`) and nothing else. Posts of open minutes
    wait; a minute's posts are counted in order of time and name when it closes, so that the order
    of arrival does not matter. A subject is judged in every minute in which something was written
    about it (what comes late: in the first that is open), and at the end of each five minutes with
    activity or an open episode.

    After a crash: watch, load the rows, read again from the committed offset, which must never have
    passed :attr:`oldest_waiting`. What was counted is recognised by offset and minute, and only
    refills the memory of authors, copies and texts. Where nothing can be read again it ``remembers``.
    """

    def __init__(
        self, *, policy: Policy | None = None, readings: bool = True, remembers: bool = False
    ) -> None:
        """
        Begin with nobody to watch.

        Args:
            policy: How to decide.
            readings: Whether to tell of every five minutes; decisions are told in any case.
            remembers: Whether who spoke in the last hour is kept among the rows.
        """
        self._policy = policy or Policy()
        self._readings = readings
        self._watches = Watches()
        self._subjects: dict[int, Subject] = {}
        self._waiting, self._history = Waiting(self._policy), History()
        self._closed_to: int | None = None
        self._newest = -1
        self._told_again_to = 0
        self._unborn: set[int] = set()
        self._active = np.zeros(16, bool)  # heard of in the running five minutes
        self._open: set[int] = set()  # with an open episode
        self._changed = np.zeros(16, bool)  # rows to be stored
        self._removed: set[SubjectId] = set()
        apart = self._policy.apart.total_seconds()
        self._voices = Voices(apart, self._policy.negative, self._policy.memory)
        self._recent = Recent(self._waiting.late) if remembers else None
        self._reservoir = Reservoir(self._policy.waiting_evidence, self._policy.negative)
        self.dropped: Counter[str] = Counter()
        """Assessments that were not counted, by reason."""

    # ------------------------------------------------------------------------------------ subjects

    def watch(self, subject: Subject) -> None:
        """Add a subject, or take over its changes; it is watched from now on (event time)."""
        self.watch_many([subject])

    def watch_many(self, subjects: Sequence[Subject]) -> None:
        """Do so for many at once."""
        known = {subject.id for subject in subjects if self._watches.slot(subject.id) is not None}
        slots = np.array([self._watches.add(subject.id) for subject in subjects], np.int64)
        missing = len(self._watches.table) - len(self._active)
        if missing:
            self._active = np.concatenate([self._active, np.zeros(missing, bool)])
            self._changed = np.concatenate([self._changed, np.zeros(missing, bool)])
        new = slots[np.array([subject.id not in known for subject in subjects], bool)]
        if len(new):
            self._unborn |= set(new.tolist())
            begun = Some(self._watches.table, new)
            budget.begin(begun, self._policy)
            begun.put()
        some = Some(self._watches.table, slots)
        asked = np.array([alarms_per_day(subject.budget) for subject in subjects], np.float64)
        budget.allow(some, asked, self._policy)
        some.put()
        self._subjects |= dict(zip(slots.tolist(), subjects, strict=True))
        self._open |= set(slots[self._watches.table["level"][slots] > 0].tolist())

    def unwatch(self, subject: SubjectId) -> None:
        """Forget a subject; its row is emptied."""
        slot = self._watches.slot(subject)
        if slot is None:
            return
        self._watches.remove(subject)
        self._subjects.pop(slot, None)
        self._active[slot] = self._changed[slot] = False
        self._unborn.discard(slot)
        self._open.discard(slot)
        self._waiting.drop(slot)
        self._history.drop(slot)
        self._voices.drop(slot)
        if self._recent is not None:
            self._recent.drop(slot)
        self._reservoir.release(subject)
        self._removed.add(subject)

    # --------------------------------------------------------------------------------------- posts

    def observe_many(self, assessments: Sequence[Assessment], offsets: Sequence[int]) -> None:
        """
        Take assessments as they stand in the partition.

        Args:
            assessments: In the order of their offsets.
            offsets: One for each.
        """
        if len(assessments) != len(offsets):
            raise ValueError("an offset for each assessment")
        if not assessments:
            return
        posts = columns_of(assessments)
        quoted = np.flatnonzero(posts.negative >= self._policy.negative).tolist()
        texts = {place: assessments[place] for place in quoted}
        self.observe_columns(posts, np.asarray(offsets, np.int64), texts=texts)

    def observe_columns(
        self, posts: Columns, offsets: Array, *, texts: Mapping[int, Assessment] | None = None
    ) -> None:
        """
        Take assessments as arrays.

        Args:
            posts: In the order of their offsets.
            offsets: int64, one for each.
            texts: Those that may become evidence, by place.
        """
        if not len(posts):
            return
        self._newest = max(self._newest, int(offsets.max()))
        slots = np.array([self._slot_of(subject) for subject in posts.subjects], np.int64)
        slot = slots[posts.subject]
        strangers, own = int((slot < 0).sum()), int((posts.own & (slot >= 0)).sum())
        mine = np.flatnonzero((slot >= 0) & ~posts.own)
        slot, at, backfill = slot[mine], posts.at[mine], posts.backfill[mine]
        heard = Heard(
            at=at,
            post=posts.post[mine],
            slot=slot,
            author=posts.author[mine],
            copy=posts.copy[mine],
            negative=posts.negative[mine],
            positive=posts.positive[mine],
            counted=self._counted(slot, at, offsets[mine], backfill),
            filled=np.zeros(len(mine), bool),
        )
        dropped = {"unknown subject": strangers, "own": own}
        if backfill.any():
            taught = backfill & heard.counted
            fresh = backfill & ~taught
            self._history.put(heard[fresh], offsets[mine[fresh]])
            dropped["counted before"] = int(taught.sum())
            mine, heard = mine[~backfill], heard[~backfill]
        kept: dict[int, Assessment] = {}
        if texts:
            wanted = np.fromiter(texts, np.int64, len(texts))
            place = np.searchsorted(mine, wanted)
            there = mine[np.minimum(place, len(mine) - 1)] == wanted if len(mine) else place < 0
            kept = {
                new: texts[old]
                for old, new in zip(wanted[there].tolist(), place[there].tolist(), strict=True)
            }
        self.dropped += Counter(dropped)
        self.dropped += Counter(
            self._waiting.put(heard, offsets[mine], kept, closed_to=self._closed_to)
        )

    def _slot_of(self, subject: SubjectId) -> int:
        slot = self._watches.slot(subject)
        return -1 if slot is None or slot not in self._subjects else slot

    def _counted(self, slot: Array, at: Array, offsets: Array, backfill: Array) -> Array:
        """
        Whether posts were counted before a crash: their offset and their minute are not newer.

        What a backfill brings is taught at the next close, whatever its minute: its offset says it.
        """
        table, minute = self._watches.table, np.floor_divide(at, 60.0)
        again = offsets <= table["offset"][slot]
        told_again = ~backfill & (minute < self._told_again_to)
        return np.asarray((again | told_again) & (backfill | (minute < table["closed_to"][slot])))

    @property
    def oldest_waiting(self) -> int | None:
        """
        Offset that a commit must not pass: that of the oldest post which waits, or was written in
        the last hour of closed event time (its author and text are remembered outside the rows),
        or of the oldest that a backfill brought since the last close. None when there is none.
        """
        known = [self._waiting.oldest, self._history.offset]
        return min((offset for offset in known if offset is not None), default=None)

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
        here = [self._watches.subject(slot) for slot in np.flatnonzero(self._changed).tolist()]
        rows = dict.fromkeys(self._removed, b"")
        rows |= dict(zip(here, self._watches.pack(here), strict=True))
        if self._recent is not None:
            rows |= self._recent.rows(self._watches.subject)
        if rows and self._closed_to is not None:
            rows[CLOSED_TO] = self._closed_to.to_bytes(8, "little", signed=True)
        self._changed[:] = False
        self._removed.clear()
        return rows

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
        kept = {subject: raw for subject, raw in rows.items() if raw and not is_apart(subject)}
        slots = np.array(self._watches.unpack(kept), np.int64)
        table = self._watches.table
        missing = len(table) - len(self._active)
        self._active = np.concatenate([self._active, np.zeros(missing, bool)])
        self._changed = np.concatenate([self._changed, np.zeros(missing, bool)])
        loaded = Some(table, slots)
        budget.set_thresholds(loaded, self._policy)
        loaded.put()
        if not offsets_valid:
            table["offset"][slots] = -1
            self._told_again_to = int(table["closed_to"][slots].max(initial=0))
            self._changed[slots] = True  # to be kept so: the old offsets mean nothing now
        self._unborn -= set(slots[table["bin"][slots] != UNBORN].tolist())
        self._active[slots] = table["bin_posts"][slots] > 0
        watched = slots[np.isin(slots, list(self._subjects))]
        self._open |= set(watched[table["level"][watched] > 0].tolist())
        self._remind({key: raw for key, raw in rows.items() if key.startswith(PREFIX)})

    def _remind(self, minutes: Mapping[SubjectId, bytes]) -> None:
        """Refill the memory of voices with what the rows hold of the last hour."""
        if self._recent is not None and self._closed_to is not None:
            since = self._closed_to - self._waiting.late
            for posts in self._recent.load(minutes, self._watches.slot, since):
                self._voices.share(posts)

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
        touched = np.zeros(len(self._watches.table), bool)
        self._give_birth(end, touched)
        self._learn_history(begin, touched)
        late = self._count_late(begin, touched)
        todo = self._waiting.numbers(begin, end)[::-1]
        now, busy = begin, bool(self._active.any())
        while True:
            next_post = todo[-1] if todo else end
            next_due = now // BIN * BIN + BIN - 1 if busy or self._open else end
            number = begin if len(late) else min(next_post, next_due)
            if number >= end:
                break
            brought = self._count(todo.pop()) if number == next_post else None
            self._judge(number, brought, late, closed, touched)
            late = late[:0]
            busy = number % BIN != BIN - 1 and (busy or brought is not None)
            now = number + 1
        self._finish(touched, end)
        return closed

    def _give_birth(self, end: int, touched: Array) -> None:
        """Begin to watch what was added: from the first open minute on, or from its first post."""
        born, self._unborn = self._unborn, set()
        if not born:
            return
        slots = np.array(sorted(born), np.int64)
        first = np.full(len(slots), end if self._closed_to is None else self._closed_to)
        for number in self._waiting.numbers(None, end):
            heard = np.isin(slots, self._waiting.slots(number))
            first = np.where(heard, np.minimum(first, number), first)
        part = Some(self._watches.table, slots)
        baseline.born(part, first // BIN)
        part.put()
        touched[slots] = True

    def _learn_history(self, begin: int, touched: Array) -> None:
        """Learn what backfills brought since the last close."""
        for slot, (hours, negative, posts) in self._history.take().items():
            one = Some(self._watches.table, np.array([slot]))
            baseline.advance(one, np.maximum(one["bin"], (begin - 1) // BIN), self._policy)
            correct(one, hours, negative, posts, self._policy)
            one.put()
            touched[slot] = True

    def _count_late(self, begin: int, touched: Array) -> Array:
        """Count what came behind the close of its minute; return about whom that was."""
        table, late = self._watches.table, np.zeros(0, np.int64)
        for number in self._waiting.numbers(None, begin):
            brought = self._count(number)
            part = Some(table, brought.slots)
            baseline.advance(part, np.maximum(part["bin"], number // BIN), self._policy)
            add(part, number, brought)
            part.put()
            touched[brought.slots] = True
            late = np.union1d(late, brought.slots)
        return late

    def _count(self, number: int) -> Tally:
        posts, texts = self._waiting.take(number)
        if self._recent is not None:
            self._recent.keep(number, posts)
        for post in texts:
            self._reservoir.offer(post)
        return count(posts, self._voices)

    def _finish(self, touched: Array, end: int) -> None:
        slots, table = np.flatnonzero(touched), self._watches.table
        table["offset"][slots] = self._newest
        table["closed_to"][slots] = end
        self._changed[slots] = True
        self._closed_to = end
        self._waiting.close(end)
        self._voices.forget(end * 60.0)

    # -------------------------------------------------------------------------------------- judging

    def _judge(
        self, number: int, brought: Tally | None, late: Array, closed: Closed, touched: Array
    ) -> None:
        """Add a minute to its subjects and decide on them, and on those about whom posts came late."""
        ends_bin = number % BIN == BIN - 1
        table = self._watches.table
        if brought is not None:
            self._active[brought.slots] = True
        if ends_bin:
            due = self._active.copy()
            due[list(self._open)] = True
            slots = np.flatnonzero(due)
        else:
            slots = brought.slots if brought is not None else late
        if len(late):
            slots = np.union1d(slots, late)
        # A row may be ahead of the partition: written before a crash, and the others not.
        slots = slots[table["closed_to"][slots] <= number]
        if brought is not None:
            brought = brought.only(slots)
        touched[slots] = True
        for first in range(0, len(slots), _AT_ONCE):
            some = slots[first : first + _AT_ONCE]
            self._judge_some(number, some, brought, closed, ends_bin=ends_bin)
        if ends_bin:
            self._active[:] = False

    def _judge_some(
        self, number: int, slots: Array, brought: Tally | None, closed: Closed, *, ends_bin: bool
    ) -> None:
        part = Some(self._watches.table, slots)
        baseline.advance(part, np.full(len(slots), number // BIN), self._policy)
        said = None if brought is None else brought.at(slots)
        if said is not None:
            add(part, number, said)
            add_to_reading(part, said)
        reads = ends_bin & (part["bin_posts"] > 0)
        told = reads if self._readings else np.zeros(len(slots), bool)
        open_ = part["level"] > 0
        decision = decide(part, number + 1, self._policy, exact=told | open_)
        for which, place in enumerate(decision.rows.tolist()):
            slot, row, found = int(slots[place]), Row(part, place), finding(decision, which)
            subject = self._subjects.get(slot)
            if subject is None:
                continue
            at = number + 1
            if told[place]:
                tally = five_minutes(row, number)
                if repeats(tally.posts, float(row["bins_all"][number // BIN % BINS]), self._policy):
                    found = found.closed("coordination", STAGED, found.level)
                closed.readings.append(reading(subject, at, BIN, tally, found, decision=False))
            if event := self._decide(subject, slot, row, found, at):
                closed.backlash.append(event)
                minute = NOTHING if said is None else said.of(place)
                closed.readings.append(reading(subject, at, 1, minute, found, decision=True))
        if ends_bin:
            for name in _READING:
                part[name] = 0
        part.put()

    def _decide(
        self, subject: Subject, slot: int, row: Row, found: Finding, minute: int
    ) -> Backlash | None:
        """Move the episode of a row on, in place; return what is to be told of it."""
        before = episode.read(row)
        made = Coordination(0.0, 0.0)
        if found.level > (-1 if before is None else before.level.rank):
            made = coordination(row)
            allowed = made.allows(found.level, self._policy)
            if allowed < found.level:
                found = found.closed("coordination", STAGED, allowed)
        after, change = episode.step(before, found.seen(minute), self._policy)
        if after is None:
            return None
        episode.write(row, after)
        budget.rise(row, -1 if before is None else before.level.rank, after.level.rank)
        if before is None:
            self._open.add(slot)
            baseline.disown(row, found.minutes)
            begin = minute - min(found.minutes, self._waiting.late)  # what is surely remembered
            for author in self._voices.authors(slot, begin * 60.0):
                crowd.add(row.change("sketch"), author)
        if change is None:
            return None
        told = Told(
            subject=subject,
            minute=minute,
            episode=after,
            change=change,
            found=found,
            # no fewer than its own `why` says: that is a sum of chances, this a count of the clear ones
            authors=max(crowd.count(row["sketch"]), found.authors, round(found.negative)),
            coordination=made.repeated,
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
