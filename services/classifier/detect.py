"""
Detect: assessments in, backlash events and readings out. It knows no Faust and no model.

One Detector and one Frontier for each partition; what it remembers it gives to the worker as rows.
The wall clock touches detection here and nowhere else: a live source that is not heard of for a
minute is set aside.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import groupby
from random import Random
from typing import Any, Final

import structlog

from services.classifier import metrics
from services.classifier.follow import Change as Listed
from services.classifier.follow import WatchList, decoded
from services.classifier.handler import Effects
from services.classifier.partitioner import partition_of
from services.traces import span, trace_id
from uproar.assessment import Assessment
from uproar.detector import Closed, Detector, Policy, is_apart
from uproar.post import OLDEST, Deletion, event_time
from uproar.subject import Subject, SubjectId
from uproar.topics import ASSESSMENTS, BACKLASH, DELETIONS, READINGS, SOURCES
from uproar.watermark import Frontier, SourceState, State, Watermark
from uproar.wire import ACCEPTED_AT, TRACEPARENT, Headers, Record

log = structlog.get_logger(room="classifier/detect")

FRONTIER: Final = b"~frontier"
"""Key of the row that holds the Frontier of a partition; no subject can have that name."""
SILENCE = timedelta(seconds=60)
CLOCK_TOLERANCE = timedelta(days=1)  # ingest has looked closely: this keeps strangers' records out
MINUTE = timedelta(minutes=1)

Change = Listed | list[Deletion]  # watched, no longer watched, taken back


@dataclass(slots=True, kw_only=True)
class _Part:
    """What detection knows of one partition."""

    detector: Detector
    frontier: Frontier
    row: bytes = b""  # the Frontier as it was last kept
    closed: datetime | None = None
    decided: datetime | None = None  # up to here all is sent and kept
    aside: frozenset[str] = frozenset()
    headers: Headers = ()  # of the newest watermark
    dropped: Counter[str] = field(default_factory=Counter)
    changes: list[Change] = field(default_factory=list)  # watch list and deletions to come


class Detect:
    """
    The agent between assessments and backlash.

    Args:
        partitions: How many partitions assessments have: each watches its own subjects.
        remembers: As :class:`uproar.detector.Detector`: for a broker that keeps nothing over a restart.

    Attributes:
        watch_list: Who is watched; nothing is handled before it has been read whole.
        heard: Set when the states of the sources have been read whole: none is silent before.
    """

    def __init__(
        self,
        *,
        watch_list: WatchList,
        partitions: int,
        policy: Policy | None = None,
        rng: Random,
        remembers: bool = False,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.heard, self._policy = asyncio.Event(), policy or Policy()
        self._rng, self._now, self._monotonic = rng, now, monotonic
        self._remembers = remembers
        self.watch_list, self._partitions = watch_list, partitions
        watch_list.tell(self._change)
        self._states: dict[str, SourceState] = {}
        self._heard_at: dict[str, float] = {}
        self._parts: dict[int, _Part] = {}

    # ------------------------------------------------------------------------- what it is told of

    def follow_sources(self, records: Sequence[Record]) -> None:
        """
        Take what ingest says of its sources.

        A report that was written before we listened counts from when it was written; one that
        comes while we listen counts from now, whatever the other machine's clock says.
        """
        for record in records:
            state = decoded(SOURCES, record)
            if not isinstance(state, SourceState):
                continue
            known = self._states.get(state.source)
            if known is not None and state.reported_at <= known.reported_at:
                continue  # read again after a lost connection
            age = timedelta(0) if self.heard.is_set() else self._now() - state.reported_at
            self._states[state.source] = state
            self._heard_at[state.source] = self._monotonic() - max(0.0, age.total_seconds())

    def follow_deletions(self, records: Sequence[Record]) -> None:
        """Take posts and accounts that were taken back."""
        gone = [d for record in records if isinstance(d := decoded(DELETIONS, record), Deletion)]
        if gone:
            self._change(gone)

    def _change(self, change: Change) -> None:
        for number, part in self._parts.items():
            if isinstance(change, list):  # deletions: any partition may hold the posts
                part.changes.append(change)
                continue
            subject = change.id if isinstance(change, Subject) else change
            if self._owns(number, subject):
                part.changes.append(change)

    def _owns(self, partition: int, subject: SubjectId) -> bool:
        return partition_of(subject, self._partitions) == partition

    # --------------------------------------------------------------------- what the worker asks for

    def assigned(self, partition: int, rows: Mapping[bytes, bytes], *, offsets_valid: bool) -> None:
        """Start from the rows of a partition; see :class:`Handler`."""
        detector = Detector(policy=self._policy, remembers=self._remembers)
        watched = self.watch_list.subjects.values()
        detector.watch_many([s for s in watched if self._owns(partition, s.id)])
        kept = {SubjectId(key.decode()): row for key, row in rows.items() if key != FRONTIER}
        mine = {s: row for s, row in kept.items() if is_apart(s) or self._owns(partition, s)}
        detector.load(mine, offsets_valid=offsets_valid)
        row = rows.get(FRONTIER, b"")
        frontier = Frontier.load(row) if row else Frontier()
        part = _Part(detector=detector, frontier=frontier, row=row)
        for source in frontier.reached:
            frontier.take_back(source)  # whether it is silent now is asked anew
        self._parts[partition] = part
        self._tell(part)
        self.done(partition)

    def revoked(self, partition: int) -> None:
        """Forget a partition."""
        del self._parts[partition]

    def done(self, partition: int) -> None:
        """Tell how far detection has come: nothing is decided before it is sent and kept."""
        part = self._parts[partition]
        part.decided = part.frontier.limit
        decided = [_minute(p.decided) for p in self._parts.values() if p.decided is not None]
        if len(decided) == len(self._parts):  # one without a limit has not begun: none is slower
            metrics.EVENT_TIME.set(min(decided).timestamp())

    async def handle(self, partition: int, records: Sequence[Record]) -> Effects:
        """Observe assessments, let watermarks close minutes, say what was decided."""
        latest = self._now() + CLOCK_TOLERANCE
        values = [(record, _value(record, latest)) for record in records]
        await self.watch_list.know({v.subject for _, v in values if isinstance(v, Assessment)})
        return await self._step(partition, values)

    async def tick(self, partition: int) -> Effects:
        """Close what only waited for a source that has fallen silent."""
        part = self._parts[partition]
        if not self.watch_list.listed.is_set() or (
            not part.changes and self._silent(part) == part.aside
        ):
            return Effects()
        return await self._step(partition, [])

    # ------------------------------------------------------------------------------------ the work

    async def _step(
        self, partition: int, values: Sequence[tuple[Record, Assessment | Watermark]]
    ) -> Effects:
        part = self._parts[partition]
        changes, part.changes = part.changes, []
        silent = self._silent(part)
        # In a thread: a jump of days takes seconds, and /live and heartbeats must go on meanwhile.
        closed = await asyncio.to_thread(self._work, part, changes, silent, values)
        self._tell(part)
        rows = {subject.encode(): row for subject, row in part.detector.changed_rows().items()}
        if (row := part.frontier.dump()) != part.row:
            rows[FRONTIER] = part.row = row
        return Effects(stages=[closed], rows=rows, hold=part.detector.oldest_waiting)

    def _work(
        self,
        part: _Part,
        changes: Sequence[Change],
        silent: frozenset[str],
        values: Sequence[tuple[Record, Assessment | Watermark]],
    ) -> list[Record]:
        for kind, alike in groupby(changes, type):
            _apply(part.detector, kind, list(alike))
        for source in silent - part.aside:
            part.frontier.set_aside(source)
        for source in part.aside - silent:
            part.frontier.take_back(source)
        part.aside = silent
        sent, posts, offsets = self._close(part), list[Assessment](), list[int]()
        for record, value in values:
            if isinstance(value, Assessment):
                posts.append(value)
                offsets.append(record.offset or 0)
                continue
            part.detector.observe_many(posts, offsets)
            posts, offsets = [], []
            part.frontier.observe(value)
            part.headers = record.headers
            sent += self._close(part)
        part.detector.observe_many(posts, offsets)
        return sent

    def _close(self, part: _Part) -> list[Record]:
        limit = part.frontier.limit
        if limit is None or (part.closed is not None and limit < part.closed + MINUTE):
            return []
        part.closed, began = _minute(limit), time.time_ns()
        closed = part.detector.close_buckets(limit)
        if not closed.backlash and not closed.readings:
            return []
        headers = self._headers(part.headers, closed, began)
        for event in closed.backlash:
            log.info(
                "backlash",
                subject=event.subject,
                happened=event.event.value,
                reached=event.level.value,
                page=event.page,
                at=event.at.isoformat(),
                incident=event.incident,
                trace=trace_id(headers[0][1]),
            )
            metrics.BACKLASH.labels(event.event.value).inc()
        metrics.READINGS.inc(len(closed.readings))
        events = [BACKLASH.record(b, key=b.subject, headers=headers) for b in closed.backlash]
        return events + [
            READINGS.record(r, key=r.subject, headers=headers) for r in closed.readings
        ]

    def _headers(self, headers: Headers, closed: Closed, began: int) -> Headers:
        """Go on with the trace of the watermark that closed the minute, and with its acceptance."""
        found = dict(reversed(headers))
        with span("decide", parent=found.get(TRACEPARENT), rng=self._rng, since=began) as step:
            step.note(uproar__events=len(closed.backlash), uproar__readings=len(closed.readings))
        accepted = found.get(ACCEPTED_AT)
        kept = ((ACCEPTED_AT, accepted),) if accepted else ()
        return ((TRACEPARENT, step.traceparent.encode()), *kept)

    def _silent(self, part: _Part) -> frozenset[str]:
        """Name the sources that are to be set aside: live by their last word, and silent since."""
        if not self.heard.is_set():
            return part.aside
        now = self._monotonic()
        heard_at = {name: self._heard_at.setdefault(name, now) for name in part.frontier.reached}
        states = {name: self._states.get(name) for name in heard_at}
        return frozenset(
            name
            for name, at in heard_at.items()
            if now - at > SILENCE.total_seconds()
            and ((state := states[name]) is None or state.state is State.LIVE)
        )

    def _tell(self, part: _Part) -> None:
        for reason, count in (part.detector.dropped - part.dropped).items():
            metrics.DROPPED.labels(reason).inc(count)
        part.dropped = Counter(part.detector.dropped)
        metrics.SILENT_SOURCES.set(len(part.aside))


def event_times(rows: Mapping[bytes, bytes]) -> dict[str, datetime]:
    """
    Tell from when on each source must be read again if the broker loses its posts.

    Args:
        rows: Rows of all partitions, keyed ``<partition>/<key>``.

    Returns:
        For each source that is waited for: the start of the oldest minute that is still open, or
        where the source stands, if that is earlier.
    """
    times: dict[str, datetime] = {}
    for key, row in rows.items():
        if not key.endswith(b"/" + FRONTIER):
            continue
        frontier = Frontier.load(row)
        open_minute = OLDEST if frontier.limit is None else _minute(frontier.limit)
        for source, at in frontier.reached.items():
            needed = open_minute if at is None else min(open_minute, at)
            times[source] = min(needed, times.get(source, needed))
    return times


def _apply(detector: Detector, kind: type, changes: Sequence[Any]) -> None:
    """Apply changes of one kind; a watch list that is read at the start comes as one."""
    if kind is Subject:
        detector.watch_many(list({subject.id: subject for subject in changes}.values()))
        return
    for change in changes:
        if kind is list:
            detector.forget(change)
        else:
            detector.unwatch(change)


def _value(record: Record, latest: datetime) -> Assessment | Watermark:
    value: Assessment | Watermark = ASSESSMENTS.decode(record)
    event_time(value.at if isinstance(value, Watermark) else value.created_at, now=latest)
    return value


def _minute(moment: datetime) -> datetime:
    return moment.replace(second=0, microsecond=0)
