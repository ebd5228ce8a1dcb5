"""Detecting: chunks of recorded posts through the production detector, as the classifier does it."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import numpy as np

from services.backtest.chunk import Chunk
from services.classifier.partitioner import partition_of
from uproar.backlash import Backlash
from uproar.detector import Closed, Detector
from uproar.reading import Reading
from uproar.subject import Subject
from uproar.watermark import Frontier, State, Watermark

STREAM = "backtest"
MINUTE = timedelta(minutes=1)


@dataclass(slots=True)
class Outcome:
    """What detection said, in order of event time; what it did not count, by reason."""

    backlash: list[Backlash] = field(default_factory=list)
    readings: list[Reading] = field(default_factory=list)
    dropped: Counter[str] = field(default_factory=Counter)


def detect(
    chunks: Iterable[Chunk],
    subjects: Sequence[Subject],
    *,
    partitions: int = 1,
    readings: bool = True,
    progress: Callable[[int], None] = lambda _: None,
) -> Outcome:
    """
    Run detection: one Detector a partition, minutes closed by watermarks, the last one at the end.

    Args:
        chunks: Posts in order of their event time.
        subjects: Whom to watch.
        partitions: Over how many the subjects are spread; the outcome is the same.
        readings: Whether to keep what is told of every five minutes.
        progress: Told how many posts are done.
    """
    run = _Run(subjects, partitions, readings=readings)
    before: Chunk | None = None
    done = 0
    for chunk in chunks:
        run.close(_moment(chunk.begin))
        run.take(chunk)
        before, done = chunk, done + chunk.read
        progress(done)
    if before is not None:
        last = _moment(before.end).replace(second=0, microsecond=0) + MINUTE
        run.close(last, State.ENDED)
    run.outcome.dropped = sum((detector.dropped for detector in run.detectors), Counter())
    return run.outcome


class _Run:
    def __init__(self, subjects: Sequence[Subject], partitions: int, *, readings: bool) -> None:
        self.detectors = [Detector(readings=readings) for _ in range(partitions)]
        self.outcome = Outcome()
        self._order = {subject.id: number for number, subject in enumerate(subjects)}
        self._frontier, self._offset = Frontier(), 0
        owned: list[list[Subject]] = [[] for _ in self.detectors]
        for subject in subjects:
            owned[partition_of(subject.id, partitions)].append(subject)
        for detector, mine in zip(self.detectors, owned, strict=True):
            detector.watch_many(mine)

    def take(self, chunk: Chunk) -> None:
        """Let each partition observe what is about its subjects."""
        partitions = len(self.detectors)
        offsets = np.arange(self._offset, self._offset + len(chunk.posts))
        self._offset += len(chunk.posts)
        if partitions == 1:
            self.detectors[0].observe_columns(chunk.posts, offsets, texts=chunk.texts)
            return
        owner = np.array([partition_of(s, partitions) for s in chunk.posts.subjects], np.int64)
        for number, detector in enumerate(self.detectors):
            rows = np.flatnonzero(owner[chunk.posts.subject] == number)
            part = chunk.of(rows)
            detector.observe_columns(part.posts, offsets[rows], texts=part.texts)

    def close(self, at: datetime, state: State = State.LIVE) -> None:
        """Say how far event time has come."""
        self._frontier.observe(Watermark(source=STREAM, at=at, state=state))
        if self._frontier.limit is None:
            return
        self._gather([d.close_buckets(self._frontier.limit) for d in self.detectors])

    def _gather(self, closed: Sequence[Closed]) -> None:
        place, outcome = self._order, self.outcome
        events = [event for part in closed for event in part.backlash]
        outcome.backlash += sorted(events, key=lambda event: (event.at, place[event.subject]))
        told = [reading for part in closed for reading in part.readings]
        outcome.readings += sorted(told, key=lambda reading: (reading.at, place[reading.subject]))


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
