"""A snapshot is whole or not there, and its offsets mean something on its own broker only."""

from datetime import UTC, datetime

import pytest

from services.classifier.snapshot import Keeper, Snapshot, read, write
from tests.build import NOON, a_moment


def a_snapshot(**given) -> Snapshot:
    defaults = {
        "epoch": "e1",
        "partitions": 4,
        "rows": {b"0/air-quillon": b"\x00\xff"},
        "offsets": {0: 17, 3: 0},
        "event_times": {"push": NOON},
        "written_at": NOON,
    }
    return Snapshot(**defaults | given)


def a_keeper(path, **given) -> Keeper:
    return Keeper(path, **{"epoch": "e1", "partitions": 4, "now": lambda: NOON} | given)


def test_it_is_read_as_it_was_written(tmp_path):
    write(tmp_path / "new" / "snapshot", a_snapshot())
    assert read(tmp_path / "new" / "snapshot") == a_snapshot()


def test_where_there_is_none_there_is_none(tmp_path):
    assert read(tmp_path / "snapshot") is None


@pytest.mark.parametrize(
    "harm",
    [
        lambda raw: raw[:-1],
        lambda raw: raw[:-1] + bytes([raw[-1] ^ 1]),
        lambda raw: raw.replace(b"snapshot 1 ", b"snapshot 9 "),
        lambda _: b"",
    ],
)
def test_a_harmed_one_is_refused_and_the_one_before_is_taken(tmp_path, harm, capsys):
    path = tmp_path / "snapshot"
    write(path, a_snapshot(offsets={0: 1}))
    write(path, a_snapshot(offsets={0: 2}))
    path.write_bytes(harm(path.read_bytes()))
    assert read(path) == a_snapshot(offsets={0: 1})
    said = capsys.readouterr()
    assert "snapshot refused" in said.out + said.err


def test_a_crash_between_the_two_renames_leaves_the_one_before(tmp_path):
    path = tmp_path / "snapshot"
    write(path, a_snapshot())
    path.replace(path.with_suffix(".previous"))
    assert read(path) == a_snapshot()


async def test_a_keeper_goes_on_where_its_snapshot_ended(tmp_path):
    keeper = a_keeper(
        tmp_path / "s", event_times=lambda rows: {"push": a_moment(minutes=len(rows))}
    )
    keeper.land(2, {b"air-quillon": b"row"}, 40)
    await keeper.save()
    again = a_keeper(tmp_path / "s")
    again.load()
    assert (again.of(2), again.of(1)) == ({b"air-quillon": b"row"}, {})
    assert (again.offsets, again.strange) == ({2: 40}, set())
    kept = read(tmp_path / "s")
    assert kept is not None
    assert kept.event_times == {"push": a_moment(minutes=1)}


async def test_with_a_new_broker_rows_stay_and_offsets_start_afresh(tmp_path):
    keeper = a_keeper(tmp_path / "s", epoch="old")
    keeper.land(2, {b"k": b"row"}, 40)
    await keeper.save()
    again = a_keeper(tmp_path / "s", epoch="new")
    again.load()
    assert (again.of(2), again.offsets, again.strange) == ({b"k": b"row"}, {}, {0, 1, 2, 3})
    again.land(2, {b"k": b"new"}, 1)
    assert (again.offsets, again.strange) == ({2: 1}, {0, 1, 3})


async def test_another_number_of_partitions_starts_without_it(tmp_path):
    keeper = a_keeper(tmp_path / "s", partitions=4)
    keeper.land(2, {b"k": b"row"}, 40)
    await keeper.save()
    again = a_keeper(tmp_path / "s", partitions=12)
    again.load()
    assert (again.rows, again.offsets) == ({}, {})


async def test_a_partition_is_not_mistaken_for_one_that_begins_like_it(tmp_path):
    keeper = a_keeper(tmp_path / "s", partitions=12)
    keeper.land(1, {b"k": b"one"}, 1)
    keeper.land(11, {b"k": b"eleven"}, 1)
    assert (keeper.of(1), keeper.of(11)) == ({b"k": b"one"}, {b"k": b"eleven"})


async def test_nothing_new_is_not_written_again(tmp_path):
    times = iter([NOON, datetime(2030, 1, 1, tzinfo=UTC)])
    keeper = a_keeper(tmp_path / "s", now=lambda: next(times))
    keeper.land(0, {}, 1)
    await keeper.save()
    await keeper.save()
    kept = read(tmp_path / "s")
    assert kept is not None
    assert kept.written_at == NOON


async def test_a_full_disk_stops_nobody_and_is_tried_again(tmp_path):
    (tmp_path / "file").touch()
    keeper = a_keeper(tmp_path / "file" / "s")
    keeper.land(0, {b"k": b"row"}, 1)
    await keeper.save()
    (tmp_path / "file").unlink()
    await keeper.save()
    assert read(tmp_path / "file" / "s") is not None
