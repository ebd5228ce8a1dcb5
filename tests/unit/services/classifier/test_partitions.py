"""Nothing is committed before all it led to is acknowledged, and no hole is stepped over."""

import asyncio
from collections import defaultdict
from datetime import timedelta

import pytest

from services.classifier.guard import Guard
from services.classifier.handler import Effects
from services.classifier.partitions import Partitions
from services.classifier.snapshot import Keeper
from uproar.errors import Malformed, Unavailable
from uproar.wire import Record


class Log:
    """A client on paper: what was done to it, in order."""

    def __init__(self) -> None:
        self.generation, self.moving, self.mine = 1, False, {0}
        self.offsets: dict[int, int | None] = defaultdict(lambda: None)
        self.oldest: dict[int, int] = defaultdict(int)
        self.ends: dict[int, int] = defaultdict(int)
        self.table: dict[int, dict[bytes, bytes]] = defaultdict(dict)
        self.did: list[tuple] = []
        self.refuse = 0  # how many sends fail
        self.commits = True
        self.before_send = lambda: None

    def assigned(self):
        return self.mine

    def end(self, number):
        return self.ends[number]

    async def committed(self, numbers):
        return {n: self.offsets[n] for n in numbers}

    async def beginnings(self, numbers):
        return {n: self.oldest[n] for n in numbers}

    async def seek(self, number, offset):
        self.did.append(("seek", number, offset))

    async def commit(self, offsets):
        self.did.append(("commit", dict(offsets)))
        if self.commits:
            self.offsets.update(offsets)
        return self.commits

    async def send(self, records):
        await asyncio.sleep(0)
        self.before_send()
        if self.refuse:
            self.refuse -= 1
            raise Unavailable("no broker")
        self.did.append(("send", [r.value for r in records]))

    def rows(self, number):
        return dict(self.table[number])

    async def write(self, number, rows):
        self.did.append(("write", dict(rows)))
        self.table[number].update(rows)


class Echo:
    """Sends on what it sees; ``bad`` is malformed, ``bug`` a bug, ``wait`` holds the commit."""

    def __init__(self) -> None:
        self.known: dict[int, dict] = {}
        self.seen: list[list[bytes]] = []
        self.ticks = Effects()
        self.valid: list[bool] = []
        self.held: int | None = None
        self.told = lambda partition: None

    def assigned(self, partition, rows, *, offsets_valid):
        assert partition not in self.known
        self.known[partition] = dict(rows)
        self.valid.append(offsets_valid)

    def revoked(self, partition):
        del self.known[partition]

    def done(self, partition):
        self.told(partition)

    async def handle(self, partition, records):
        values = [record.value for record in records]
        self.seen.append(values)
        if b"bad" in values:
            raise Malformed("it is bad")
        if b"bug" in values:
            raise ZeroDivisionError
        for record in records:
            if record.value == b"wait":
                self.held = record.offset
            if record.value == b"go":
                self.held = None
        rows = {b"last": values[-1]} if self.known is not None else {}
        return Effects(stages=[[copy(v) for v in values], []], rows=rows, hold=self.held)

    async def tick(self, partition):
        return self.ticks


def copy(value: bytes) -> Record:
    return Record(topic="out", value=value)


def batch(*values: bytes, start: int = 0, partition: int = 0) -> dict[int, list[Record]]:
    return {
        partition: [
            Record(topic="in", value=value, key=b"k", partition=partition, offset=start + n)
            for n, value in enumerate(values)
        ]
    }


@pytest.fixture(autouse=True)
def _impatient(monkeypatch):
    monkeypatch.setattr("services.classifier.guard.FIRST_DELAY", 0.001)


@pytest.fixture
def log():
    return Log()


@pytest.fixture
def echo():
    return Echo()


def partitions_of(log: Log, echo: Echo, keeper: Keeper | None = None) -> Partitions:
    guard = Guard("test", echo, dead_letters="dead", down=())
    return Partitions("test", log, echo, guard, keeper)


@pytest.fixture
def partitions(log, echo):
    return partitions_of(log, echo)


async def test_records_are_sent_on_then_kept_then_committed(partitions, log):
    await partitions.take(batch(b"a", b"b"))
    assert log.did == [
        ("send", [b"a", b"b"]),
        ("send", []),
        ("write", {b"last": b"b"}),
        ("commit", {0: 2}),
    ]


async def test_the_handler_is_told_when_all_is_sent_and_kept(partitions, log, echo):
    echo.told = lambda partition: log.did.append(("told", partition))
    log.refuse = 1
    await partitions.take(batch(b"a"))
    assert [did[0] for did in log.did] == ["send", "send", "write", "told", "commit"]


async def test_a_hole_is_gone_back_to_and_nothing_behind_it_is_handled(partitions, log, echo):
    hole = batch(b"a")[0] + batch(b"c", start=2)[0]
    await partitions.take({0: hole})
    assert echo.seen == [[b"a"]]
    assert ("seek", 0, 1) in log.did
    assert log.offsets[0] == 1
    await partitions.take(batch(b"d", start=3))  # still what was fetched before: no second seek yet
    assert [did for did in log.did if did[0] == "seek"] == [("seek", 0, 1)]
    await partitions.take(batch(b"b", b"c", b"d", start=1))
    assert echo.seen == [[b"a"], [b"b", b"c", b"d"]]
    assert log.offsets[0] == 4


async def test_what_is_done_already_is_not_handled_again(partitions, log, echo):
    await partitions.take(batch(b"a", b"b"))
    await partitions.take(batch(b"a", b"b", b"c"))
    assert echo.seen == [[b"a", b"b"], [b"c"]]


async def test_what_retention_removed_is_said_and_stepped_over(partitions, log, echo, capsys):
    await partitions.take(batch(b"a"))
    log.oldest[0] = 10
    await partitions.take(batch(b"k", start=10))
    assert ("seek", 0, 10) in log.did
    await partitions.take(batch(b"k", start=10))
    assert echo.seen == [[b"a"], [b"k"]]
    said = capsys.readouterr()
    assert "retention removed unread records" in said.out + said.err


async def test_the_malformed_is_buried_alone_and_its_neighbours_go_on_in_order(partitions, log):
    await partitions.take(batch(b"a", b"b", b"bad", b"d", b"e"))
    sent = [value for did in log.did if did[0] == "send" for value in did[1]]
    assert [value for value in sent if not value.startswith(b"{")] == [b"a", b"b", b"d", b"e"]
    (letter,) = [value for value in sent if value.startswith(b"{")]
    assert b"it is bad" in letter
    assert b"in/0/2" in letter
    assert log.offsets[0] == 5


async def test_while_the_world_is_down_the_same_is_tried_again_and_the_handler_not_asked(
    partitions, log, echo
):
    log.refuse = 3
    await partitions.take(batch(b"a"))
    assert echo.seen == [[b"a"]]
    assert log.did[0] == ("send", [b"a"])
    assert log.offsets[0] == 1


async def test_a_bug_passes_through_and_commits_nothing(partitions, log):
    with pytest.raises(ZeroDivisionError):
        await partitions.take(batch(b"a", b"bug"))
    assert [did for did in log.did if did[0] == "commit"] == []


async def test_the_commit_does_not_pass_what_still_waits(partitions, log):
    await partitions.take(batch(b"a", b"wait", b"c"))
    assert log.offsets[0] == 1
    await partitions.take(batch(b"bad", start=3))
    assert log.offsets[0] == 1
    await partitions.take(batch(b"go", start=4))
    assert log.offsets[0] == 5


async def test_a_partition_taken_from_us_in_the_middle_is_dropped_uncommitted(
    partitions, log, echo
):
    await partitions.take(batch(b"a"))

    def move() -> None:
        log.generation, log.refuse = 2, 1

    log.before_send = move
    await partitions.take(batch(b"b", start=1))
    assert (log.table[0], log.offsets[0]) == ({b"last": b"a"}, 1)
    log.before_send, log.refuse = lambda: None, 0
    log.table[0] = {b"last": b"another worker's"}
    await partitions.take(batch(b"b", start=1))
    assert log.offsets[0] == 2


async def test_rows_of_a_former_owner_do_not_follow_the_new_ones(partitions, log):
    await partitions.take(batch(b"a"))
    log.before_send = lambda: setattr(log, "generation", 2)  # sent, but no longer ours
    await partitions.take(batch(b"b", start=1))
    assert log.table[0] == {b"last": b"a"}
    assert log.offsets[0] == 1


async def test_a_partition_that_stays_ours_starts_from_what_was_kept(partitions, log, echo):
    await partitions.take(batch(b"a"))
    log.generation, log.table[0], log.offsets[0] = 2, {b"last": b"z"}, 26
    await partitions.tick()
    assert echo.known == {0: {b"last": b"z"}}
    await partitions.take(batch(b"b", start=1))
    assert echo.seen == [[b"a"]]
    await partitions.take(batch(b"B", start=26))
    assert echo.seen == [[b"a"], [b"B"]]


async def test_a_partition_that_went_to_another_is_forgotten(partitions, log, echo):
    log.mine = {0, 1}
    await partitions.tick()
    log.generation, log.mine = 2, {1}
    await partitions.tick()
    assert set(echo.known) == {1}


async def test_nothing_is_taken_over_while_partitions_move(partitions, log, echo):
    log.moving = True
    await partitions.take(batch(b"a"))
    assert (echo.known, echo.seen, log.did) == ({}, [], [])


async def test_a_refused_commit_is_covered_by_the_next(partitions, log):
    log.commits = False
    await partitions.take(batch(b"a"))
    log.commits = True
    await partitions.tick()
    assert log.offsets[0] == 1


async def test_partitions_are_handled_side_by_side_and_committed_together(partitions, log, echo):
    log.mine = {0, 1}
    await partitions.take(batch(b"a") | batch(b"b", partition=1))
    assert sorted(echo.seen) == [[b"a"], [b"b"]]
    assert log.did[-1] == ("commit", {0: 1, 1: 1})


async def test_a_tick_does_what_the_time_asks_for(partitions, log, echo):
    echo.ticks = Effects(stages=[[copy(b"late")]], rows={b"t": b"1"})
    await partitions.tick()
    assert log.did[:2] == [("send", [b"late"]), ("write", {b"t": b"1"})]


async def test_a_hole_at_the_end_is_found_by_the_clock(partitions, log, monkeypatch):
    monkeypatch.setattr("services.classifier.partitions.SEEK_PAUSE", 0.0)
    await partitions.take(batch(b"a"))
    log.ends[0] = 5
    await partitions.tick()
    assert ("seek", 0, 1) in log.did


async def test_standing_still_with_records_waiting_is_a_problem(partitions, log):
    await partitions.take(batch(b"a"))
    assert partitions.problem(timedelta(0)) is None
    log.ends[0] = 3
    assert partitions.waiting == 2
    assert "partition 0 has stood still" in (partitions.problem(timedelta(0)) or "")
    assert partitions.problem(timedelta(minutes=1)) is None


async def test_a_keeper_stands_in_for_table_and_group(log, echo, tmp_path):
    keeper = Keeper(tmp_path / "s", epoch="e", partitions=1)
    await partitions_of(log, echo, keeper).take(batch(b"a", b"wait", b"c"))
    assert [did[0] for did in log.did] == ["send", "send"]
    assert (keeper.of(0), keeper.offsets) == ({b"last": b"c"}, {0: 1})
    await keeper.save()

    again = Keeper(tmp_path / "s", epoch="e", partitions=1)
    again.load()
    echo.known.clear()
    await partitions_of(log, echo, again).tick()
    assert ("seek", 0, 1) in log.did
    assert echo.known == {0: {b"last": b"c"}}


async def test_on_a_new_broker_the_kept_rows_start_at_its_beginning(log, echo, tmp_path):
    keeper = Keeper(tmp_path / "s", epoch="old", partitions=1)
    keeper.land(0, {b"last": b"z"}, 99)
    await keeper.save()
    new = Keeper(tmp_path / "s", epoch="new", partitions=1)
    new.load()
    await partitions_of(log, echo, new).take(batch(b"a"))
    assert (echo.valid, echo.seen) == ([False], [[b"a"]])
