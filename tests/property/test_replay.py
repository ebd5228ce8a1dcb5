"""A replay gives the same events over any number of partitions, and after a crash at any moment."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from tests.build import a_subject
from tests.property.test_detector import LIVELY, Wave, posts_of, waves
from uproar.assessment import Assessment
from uproar.backlash import Backlash
from uproar.detector import Detector
from uproar.subject import SubjectId
from uproar.watermark import Frontier, State, Watermark

SUBJECTS = tuple(SubjectId(name) for name in ("ava", "ben", "cora", "dov", "eva"))
Entry = Assessment | Watermark


def talk(drawn: Sequence[Wave]) -> list[Assessment]:
    """Waves about five subjects, in order of event time."""
    posts = [
        msgspec.structs.replace(
            post, post=f"{post.post}-{subject}", author=f"{post.author}{subject}"
        )
        for number, subject in enumerate(SUBJECTS)
        for post in posts_of(drawn[number::2], subject=subject)
    ]
    return sorted(posts, key=lambda post: (post.created_at, post.post))


def as_ingest_sends(posts: Sequence[Assessment], partitions: int, batch: int) -> list[list[Entry]]:
    """Posts partitions: a batch of posts by their ids, then one watermark into every partition."""
    log: list[list[Entry]] = [[] for _ in range(partitions)]

    def mark(at: datetime, state: State = State.LIVE) -> None:
        for number, records in enumerate(log):
            records.append(
                Watermark(
                    source="file", at=at, state=state, partition=number, partitions=partitions
                )
            )

    mark(posts[0].created_at)
    for begin in range(0, len(posts), batch):
        for post in posts[begin : begin + batch]:
            log[sum(post.post.encode()) % partitions].append(post)
        after = posts[begin + batch : begin + batch + 1]
        if after:
            mark(after[0].created_at)
    last = posts[-1].created_at.replace(second=0, microsecond=0) + timedelta(minutes=1)
    mark(last, State.ENDED)
    return log


def as_score_sends(log: list[list[Entry]], partitions: int, seed: int) -> list[list[Entry]]:
    """Assessments partitions, of a score stage that reads its partitions in fits and starts."""
    rng, out = random.Random(seed), [list[Entry]() for _ in range(partitions)]
    left = [list(records) for records in log]
    while any(left):
        turn = rng.choice([number for number, records in enumerate(left) if records])
        for entry in left[turn][: rng.randint(1, 40)]:
            left[turn].pop(0)
            if isinstance(entry, Watermark):
                for records in out:
                    records.append(entry)
            else:
                out[SUBJECTS.index(entry.subject) % partitions].append(entry)
    return out


def detect(records: Sequence[Entry], batch: int = 7) -> list[Backlash]:
    """Run detection of a partition over its records."""
    worker = Worker(records)
    while worker.position < len(records):
        worker.step(batch)
    return list(worker.sent.values())


def told(events: Sequence[Backlash]) -> list[Backlash]:
    """Events without their evidence, which does not outlive a crash."""
    return sorted(
        (
            replace(event, evidence=(), why=replace(event.why, gates={}, parts={}))
            for event in events
        ),
        key=lambda event: (event.at, event.subject, event.id),
    )


@dataclass
class Worker:
    """What the classifier does with a partition: events out, rows kept, offset committed."""

    records: Sequence[Entry]
    sent: dict[str, Backlash] = field(default_factory=dict)
    rows: dict[SubjectId, bytes] = field(default_factory=dict)
    frontier_row: bytes = b""
    committed: int = 0
    position: int = 0

    def __post_init__(self) -> None:
        self.start()

    def start(self) -> None:
        self.detector, self.frontier = Detector(), Frontier()
        for subject in SUBJECTS:
            self.detector.watch(a_subject(subject))
        self.detector.load(self.rows)
        if self.frontier_row:
            self.frontier = Frontier.load(self.frontier_row)
        self.position = self.committed

    def step(self, batch: int, *, lose_rows_from: int | None = None, commit: bool = True) -> None:
        """Handle the next records; ``lose_rows_from``: a crash came while rows were written."""
        events: list[Backlash] = []
        for offset in range(self.position, min(self.position + batch, len(self.records))):
            entry = self.records[offset]
            if isinstance(entry, Watermark):
                self.frontier.observe(entry)
                if self.frontier.limit is not None:
                    events += self.detector.close_buckets(self.frontier.limit).backlash
            else:
                self.detector.observe_many([entry], [offset])
        self.position = min(self.position + batch, len(self.records))
        for event in events:
            known = self.sent.setdefault(event.id, event)
            assert told([known]) == told([event]), "an id was used for something else"
        rows = self.detector.changed_rows()
        assert all(len(row) <= 512 for row in rows.values())
        written = list(rows.items())[:lose_rows_from]
        self.rows.update(written)
        if lose_rows_from is None:
            self.frontier_row = self.frontier.dump()
            if commit:
                hold = self.detector.oldest_waiting
                self.committed = self.position if hold is None else min(self.position, hold)


@given(
    drawn=waves(hours=60),
    partitions=st.sampled_from([(4, 4), (12, 12), (4, 1), (1, 12)]),
    batch=st.integers(1, 60),
    seed=st.integers(0, 99),
)
@LIVELY
def test_any_number_of_partitions_gives_the_same_events(
    drawn: list[Wave], partitions: tuple[int, int], batch: int, seed: int
):
    posts = talk(drawn)
    (one,) = as_score_sends(as_ingest_sends(posts, 1, 1), 1, 0)
    spread = as_score_sends(as_ingest_sends(posts, partitions[0], batch), partitions[1], seed)
    assert told(detect(one)) == told([event for part in spread for event in detect(part)])


def out_of_order(records: Sequence[Entry], seed: int) -> list[Entry]:
    """Let a fifth of the posts come later, some by hours, and let some belong to a backfill."""
    rng = random.Random(seed)
    places = []
    for number, entry in enumerate(records):
        moved, change = rng.random() < 0.2, entry
        if isinstance(entry, Assessment) and rng.random() < 0.1:
            change = msgspec.structs.replace(entry, backfill=True)
        behind = rng.choice([3, 30, 300]) if moved and isinstance(entry, Assessment) else 0
        places.append((number + behind, number, change))
    return [entry for _, _, entry in sorted(places, key=lambda place: place[:2])]


@given(
    drawn=waves(hours=60),
    batch=st.integers(1, 60),
    cuts=st.lists(
        st.tuples(st.integers(0, 60), st.sampled_from(["rows", "commit", "part"])), max_size=4
    ),
    seed=st.integers(0, 99),
    late=st.booleans(),
)
@LIVELY
def test_a_crash_at_any_moment_changes_no_event(
    drawn: list[Wave], batch: int, cuts: list[tuple[int, str]], seed: int, late: bool
):
    (records,) = as_score_sends(as_ingest_sends(talk(drawn), 3, 20), 1, seed)
    if late:
        records = out_of_order(records, seed)
    worker, crashes = Worker(records), dict(cuts)
    for number in range(100_000):
        if worker.position >= len(records):
            break
        match crashes.get(number):
            case None:
                worker.step(batch)
            case "rows":  # everything was sent, no row was written
                worker.step(batch, lose_rows_from=0)
                worker.start()
            case "part":  # some rows were written
                worker.step(batch, lose_rows_from=seed % 3)
                worker.start()
            case "commit":  # all rows were written, the offset was not committed
                worker.step(batch, commit=False)
                worker.start()
    assert told(list(worker.sent.values())) == told(detect(records))


@given(drawn=waves(hours=60), commits=st.lists(st.integers(0, 40), min_size=1, max_size=5))
@LIVELY
def test_reading_again_from_any_committed_offset_repeats_no_event_with_another_id(
    drawn: list[Wave], commits: list[int]
):
    (records,) = as_score_sends(as_ingest_sends(talk(drawn), 1, 20), 1, 0)
    kept: list[tuple[int, Mapping[SubjectId, bytes], bytes]] = []
    worker = Worker(records)
    while worker.position < len(records):
        worker.step(9)
        kept.append((worker.committed, dict(worker.rows), worker.frontier_row))
    before = dict(worker.sent)
    for number in commits:
        # An older offset than that of the rows: the group's commit was lost, the table was not.
        committed = kept[min(number, len(kept) - 1)][0]
        worker.committed = min(committed, worker.committed)
        worker.start()
        while worker.position < len(records):
            worker.step(9)
    assert worker.sent == before
