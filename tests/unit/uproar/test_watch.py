"""Watches: the packed memory of subjects."""

import numpy as np
import pytest

from uproar.errors import Misconfigured
from uproar.subject import SubjectId
from uproar.watch import UNBORN, WATCH, Watches, minute_of, start_of

ONE, TWO = SubjectId("one"), SubjectId("two")


def test_a_subject_fits_into_512_bytes():
    assert WATCH.itemsize <= 512


def test_a_new_subject_is_unborn_and_empty():
    watches = Watches()
    slot = watches.add(ONE)
    row = watches.table[slot]
    assert row["bin"] == UNBORN
    assert row["offset"] == -1
    assert watches.subject(slot) == ONE
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
    watches.remove(ONE)
    watches.remove(ONE)
    assert watches.add(TWO) == slot
    assert watches.table["exposure"][slot] == 0
    assert list(watches) == [TWO]


def test_there_is_room_for_many_subjects():
    watches = Watches()
    slots = {watches.add(SubjectId(f"s{number}")) for number in range(1000)}
    assert len(slots) == 1000
    assert watches.subject(max(slots)) == "s999"


def test_a_packed_row_comes_back_as_it_was():
    watches, other = Watches(), Watches()
    slot = watches.add(ONE)
    rng = np.random.default_rng(7)
    watches.table[slot] = np.frombuffer(rng.bytes(WATCH.itemsize), dtype=WATCH)[0]
    watches.table["layout"][slot] = 1
    raw = watches.pack(slot)
    (again,) = other.unpack({ONE: raw})
    assert other.pack(again) == raw


@pytest.mark.parametrize("raw", [b"", b"x", b"\x63\x00" + bytes(WATCH.itemsize - 2)])
def test_a_row_of_another_version_is_refused_by_name(raw: bytes):
    with pytest.raises(Misconfigured, match=r"'one'.*another version"):
        Watches().unpack({ONE: raw})


def test_minutes_are_numbered_in_event_time():
    moment = start_of(29_000_000)
    assert minute_of(moment) == 29_000_000
    assert minute_of(start_of(0)) == 0
