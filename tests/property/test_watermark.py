"""The contents of a closed minute depend on nothing but the records, whoever was read faster."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from tests.build import NOON, a_watermark
from uproar.watermark import Frontier, State, Watermark

SOURCES = ("a", "b", "c")


@dataclass(frozen=True)
class Said:
    """What a source says, at a second of event time: a post (into one partition) or its end."""

    source: str
    second: int
    partition: int = 0
    end: State | None = None


Log = list[list[tuple[str, datetime] | Watermark]]


@st.composite
def logs(draw: st.DrawFn) -> Log:
    """Partitions as score writes them: posts in one, the watermark behind them in all."""
    partitions = draw(st.integers(1, 4))
    log: Log = [[] for _ in range(partitions)]

    def mark(source: str, second: int, state: State) -> None:
        at = NOON + timedelta(seconds=second)
        for number, records in enumerate(log):
            records.append(
                a_watermark(at, source=source, state=state, partition=number, partitions=partitions)
            )

    names = SOURCES[: draw(st.integers(1, 3))]
    for name in names:
        mark(name, 0, State.LIVE)
    ends = {name: draw(st.sampled_from([None, State.ENDED, State.BLIND])) for name in names}
    reached, gone = dict.fromkeys(names, 0), set()
    for number in range(draw(st.integers(1, 40))):
        name = draw(st.sampled_from(names))
        if name in gone:
            continue
        second = reached[name] + draw(st.integers(0, 90))
        log[draw(st.integers(0, partitions - 1))].append(
            (f"{name}{number}", NOON + timedelta(seconds=second))
        )
        reached[name] = second
        if draw(st.booleans()):
            mark(name, second, State.LIVE)
        if (end := ends[name]) and draw(st.integers(0, 9)) == 0:
            mark(name, second // 60 * 60 + 60, end)
            gone.add(name)
    return log


def closed_minutes(log: Log, order: list[int]) -> tuple[dict[datetime, list[str]], Frontier]:
    """Read the partitions in an order; return what every minute held when it closed."""
    frontier, waiting, closed = Frontier(), {}, {}
    left = [list(records) for records in log]
    turns = [*order, *(n for n, records in enumerate(log) for _ in records)]
    for turn in turns:
        if not left[turn]:
            continue
        record = left[turn].pop(0)
        if isinstance(record, Watermark):
            before = frontier.limit
            frontier.observe(record)
            assert before is None or (frontier.limit is not None and frontier.limit >= before)
            for at in sorted(waiting):
                if frontier.limit and at + timedelta(minutes=1) <= frontier.limit:
                    assert at not in closed, "a post came late"
                    closed[at] = sorted(waiting.pop(at))
        else:
            post, created_at = record
            minute = created_at.replace(second=0)
            waiting.setdefault(minute, []).append(post)
    return closed, frontier


@given(log=logs(), data=st.data())
def test_any_interleaving_closes_the_same_minutes_with_the_same_posts(
    log: Log, data: st.DataObject
):
    order = st.lists(st.integers(0, len(log) - 1), max_size=150)
    first, one = closed_minutes(log, [])
    second, other = closed_minutes(log, data.draw(order))
    assert first == second
    assert one.limit == other.limit


@given(log=logs(), cut=st.integers(0, 200))
def test_a_frontier_loaded_from_its_bytes_goes_on_as_if_nothing_had_happened(log: Log, cut: int):
    marks = [record for records in log for record in records if isinstance(record, Watermark)]
    whole, broken = Frontier(), Frontier()
    for number, mark in enumerate(marks):
        if number == cut:
            broken = Frontier.load(broken.dump())
        whole.observe(mark)
        broken.observe(mark)
        assert whole.limit == broken.limit


@given(log=logs(), data=st.data())
def test_marks_that_are_read_again_hold_nothing_back(log: Log, data: st.DataObject):
    """A crash of detect, or of score, brings the last records of each partition again."""
    marks = [[r for r in records if isinstance(r, Watermark)] for records in log]
    whole, broken = Frontier(), Frontier()
    for mark in (mark for own in marks for mark in own):
        whole.observe(mark)
        broken.observe(mark)
    broken = Frontier.load(broken.dump())
    for own in marks:
        for mark in own[data.draw(st.integers(0, len(own))) :]:
            broken.observe(mark)
    # While somebody is listened to it is the same. Once all are blind nothing more would come of
    # the records; what is read again of a blind one may then close what it had said to be over.
    assert broken.limit == whole.limit or (not whole.reached and broken.limit > whole.limit)
    news = [
        a_watermark(NOON + timedelta(days=1), source="new", partition=n, partitions=len(log))
        for n in range(len(log))
    ]
    for mark in news:
        whole.observe(mark)
        broken.observe(mark)
    assert broken.limit == whole.limit
