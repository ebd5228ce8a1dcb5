"""Watches: the packed memory of subjects."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from uproar.errors import Misconfigured
from uproar.subject import SubjectId
from uproar.watch import (
    HOURS,
    LAYOUT,
    UNBORN,
    WATCH,
    Row,
    Some,
    Table,
    Watches,
    minute_of,
    start_of,
)

ONE, TWO = SubjectId("one"), SubjectId("two")


def a_table(rows: int) -> Table:
    table = Table(rows)
    table["slow"] = np.arange(rows)
    table["season"] = np.arange(rows)[:, None]
    return table


# ----------------------------------------------------------------------------------------- a table


def test_a_subject_fits_into_512_bytes():
    assert WATCH.itemsize <= 512


@given(raw=st.binary(min_size=2 * WATCH.itemsize, max_size=2 * WATCH.itemsize))
def test_whatever_bytes_a_table_takes_over_it_packs_again(raw: bytes):
    table, packed = Table(3), np.frombuffer(raw, WATCH)
    table.unpack(np.array([2, 0]), packed)
    assert table.pack(np.array([2, 0])).tobytes() == packed.tobytes()
    assert table.pack(np.array([1])).tobytes() == bytes(WATCH.itemsize)


def test_what_is_derived_is_worked_out_anew_for_a_row_that_was_taken_over():
    table = Table(2)
    table["rated"] = 7
    table.unpack(np.array([1]), np.zeros(1, WATCH))
    assert table["rated"].tolist() == [7, 0]


def test_a_table_that_grows_keeps_its_rows_and_adds_empty_ones():
    table = a_table(3)
    table.grow()
    assert len(table) == 6
    assert table["slow"].tolist() == [0, 1, 2, 0, 0, 0]
    assert table["season"].shape == (6, HOURS)


def test_an_emptied_row_is_all_zero_and_no_other():
    table = a_table(3)
    table.empty(1)
    assert table["slow"].tolist() == [0, 0, 2]
    assert table["season"].sum(axis=1).tolist() == [0, 0, 2 * HOURS]


# ------------------------------------------------------------------------------------- some of it


def test_some_rows_are_read_at_their_places():
    part = Some(a_table(5), np.array([3, 1]))
    assert len(part) == 2
    assert part["slow"].tolist() == [3, 1]


def test_what_was_changed_of_some_rows_goes_back_when_it_is_put_and_not_before():
    table = a_table(5)
    part = Some(table, np.array([3, 1]))
    part["slow"] = [30, 10]
    part.change("season")[0, 5] = 7
    assert part["slow"].tolist() == [30, 10]
    assert table["slow"].tolist() == [0, 1, 2, 3, 4]
    part.put()
    assert table["slow"].tolist() == [0, 10, 2, 30, 4]
    assert table["season"][3, 5] == 7
    assert table["season"][1, 5] == 1


def test_what_was_only_read_of_some_rows_is_not_written_over_others_changes():
    table = a_table(3)
    part = Some(table, np.array([0, 1]))
    assert part["slow"].tolist() == [0, 1]
    table["slow"] = 9
    part["level"] = 1
    part.put()
    assert table["slow"].tolist() == [9, 9, 9]
    assert table["level"].tolist() == [1, 1, 0]


def test_some_of_some_rows_write_through_to_the_table():
    table = a_table(5)
    outer = Some(table, np.array([4, 2, 0]))
    inner = Some(outer, np.array([2, 0]))
    assert inner["slow"].tolist() == [0, 4]
    inner["slow"] = [50, 40]
    inner.put()
    assert outer["slow"].tolist() == [40, 2, 50]
    outer.put()
    assert table["slow"].tolist() == [50, 1, 2, 3, 40]


def test_a_slice_of_rows_is_some_of_them():
    table = a_table(5)
    part = Some(table, slice(1, 3))
    assert len(part) == 2
    part["slow"] = 8
    part.put()
    assert table["slow"].tolist() == [0, 8, 8, 3, 4]


def test_rows_are_gathered_by_their_slots():
    assert Some(a_table(5), np.array([4, 0]))["slow"].tolist() == [4, 0]


def test_one_row_is_numbers_and_arrays():
    table = a_table(3)
    row = Row(table, 1)
    row["slow"] += 2
    row.change("season")[3] = 5
    assert row["slow"] == 3
    assert table["slow"].tolist() == [0, 3, 2]
    assert table["season"][:, 3].tolist() == [0, 5, 2]


def test_one_of_some_rows_is_put_back_with_them():
    table = a_table(4)
    part = Some(table, np.array([3, 2]))
    row = Row(part, 0)
    row["level"] = 2
    row.change("season")[0] = 6
    part.put()
    assert table["level"].tolist() == [0, 0, 0, 2]
    assert table["season"][3, 0] == 6


# ----------------------------------------------------------------------------------------- watches


def test_a_new_subject_is_unborn_and_empty():
    watches = Watches()
    slot = watches.add(ONE)
    row = Row(watches.table, slot)
    assert row["bin"] == UNBORN
    assert row["offset"] == -1
    assert row["layout"] == LAYOUT
    assert watches.subject(slot) == ONE
    assert watches.slot(ONE) == slot
    assert watches.slot(TWO) is None


def test_adding_a_subject_again_keeps_what_is_known_of_it():
    watches = Watches()
    watches.table["exposure"][watches.add(ONE)] = 5
    assert watches.table["exposure"][watches.add(ONE)] == 5
    assert len(watches) == 1


def test_the_slot_of_a_removed_subject_is_used_again_and_empty():
    watches = Watches()
    slot = watches.add(ONE)
    watches.table["exposure"][slot] = 5
    watches.table["per_day"][slot] = 5
    watches.remove(ONE)
    watches.remove(ONE)
    assert watches.add(TWO) == slot
    assert watches.table["exposure"][slot] == 0
    assert watches.table["per_day"][slot] == 0
    assert list(watches) == [TWO]


def test_subjects_that_come_and_go_do_not_share_a_slot():
    watches, rng, here = Watches(), np.random.default_rng(5), set()
    for number in range(2000):
        if here and rng.random() < 0.45:
            gone = sorted(here)[rng.integers(len(here))]
            watches.remove(gone)
            here.remove(gone)
        else:
            here.add(SubjectId(f"s{number}"))
            watches.add(SubjectId(f"s{number}"))
        slots = [watches.slot(subject) for subject in here]
        assert len(set(slots)) == len(here) == len(watches)
    assert all(watches.subject(watches.slot(subject)) == subject for subject in here)
    assert len(watches.table) <= 512


def test_there_is_room_for_many_subjects():
    watches = Watches()
    slots = {watches.add(SubjectId(f"s{number}")) for number in range(1000)}
    assert len(slots) == 1000
    assert watches.subject(max(slots)) == "s999"


def test_packed_rows_come_back_as_they_were():
    watches, other = Watches(), Watches()
    rng = np.random.default_rng(7)
    slots = np.array([watches.add(ONE), watches.add(TWO)])
    watches.table.unpack(slots, np.frombuffer(rng.bytes(2 * WATCH.itemsize), WATCH))
    watches.table["layout"][slots] = LAYOUT
    two, one = watches.pack([TWO, ONE])
    assert len(one) == WATCH.itemsize
    assert other.unpack({ONE: one, TWO: two}) == [other.slot(ONE), other.slot(TWO)]
    assert other.pack([TWO, ONE]) == [two, one]


def test_no_rows_are_packed_as_nothing():
    assert Watches().pack([]) == []
    assert Watches().unpack({}) == []


@pytest.mark.parametrize("raw", [b"", b"x", b"\x63\x00" + bytes(WATCH.itemsize - 2)])
def test_a_row_of_another_version_is_refused_by_name(raw: bytes):
    with pytest.raises(Misconfigured, match=r"'one'.*another version"):
        Watches().unpack({ONE: raw})


def test_of_rows_of_which_one_is_refused_none_is_taken():
    good, watches = Watches(), Watches()
    good.add(ONE)
    with pytest.raises(Misconfigured, match="'two'"):
        watches.unpack({ONE: good.pack([ONE])[0], TWO: b"x"})
    assert list(watches) == []


def test_minutes_are_numbered_in_event_time():
    moment = start_of(29_000_000)
    assert minute_of(moment) == 29_000_000
    assert minute_of(start_of(0)) == 0
