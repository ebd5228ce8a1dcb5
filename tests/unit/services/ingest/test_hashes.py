"""services/ingest/hashes.py: a set, in the same memory empty or full."""

import sys

from hypothesis import given
from hypothesis import strategies as st

from services.ingest.hashes import Hashes

KEYS = st.integers(0, 2**64 - 1) | st.integers(0, 63).map(lambda n: n << 58)
"""Any, and some that all want the same place."""


@given(st.lists(KEYS), st.lists(KEYS), st.integers(0, 8))
def test_it_is_a_set(added, asked, room):
    hashes, oracle = Hashes(room, added), {key or 1 for key in added}
    assert len(hashes) == len(oracle)
    assert all(key in hashes for key in added)
    for key in asked:
        assert (key in hashes) == ((key or 1) in oracle)


def test_it_takes_the_same_memory_empty_or_full():
    hashes = Hashes(1000)
    empty = sys.getsizeof(hashes._slots)
    for key in range(1000):
        hashes.add(key * 0x9E37_79B9_7F4A_7C15 % 2**64)
    assert sys.getsizeof(hashes._slots) == empty
    assert len(hashes) == 1000
