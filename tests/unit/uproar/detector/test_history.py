"""What backfills bring, until the next close."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from uproar.detect.heard import Heard
from uproar.detector.history import History


def posts(*said: tuple[int, float, float]) -> Heard:
    """Posts of these subjects, hours and probabilities."""
    slot, hour, negative = (np.array(column) for column in zip(*said, strict=True))
    names, no = np.arange(1, len(said) + 1, dtype=np.uint64), np.zeros(len(said), bool)
    return Heard(
        at=hour * 3600.0,
        post=names,
        slot=slot.astype(np.int64),
        author=names,
        copy=np.zeros((len(said), 2), np.uint64),
        negative=negative.astype(float),
        positive=np.zeros(len(said)),
        counted=no,
        filled=no,
    )


def taken(history: History) -> dict[int, list[tuple[float, ...]]]:
    return {slot: list(zip(*map(list, c), strict=True)) for slot, c in history.take().items()}


def test_posts_are_summed_by_subject_and_hour_in_order():
    history = History()
    history.put(posts((1, 9.5, 0.5), (0, 3.0, 1.0), (1, 9.9, 0.25)), np.arange(3))
    history.put(posts((1, 2.0, 0.0), (1, 9.0, 1.0)), np.arange(3, 5))
    assert taken(history) == {0: [(3, 1.0, 1)], 1: [(2, 0.0, 1), (9, 1.75, 3)]}
    assert taken(history) == {}


def test_what_could_not_be_scored_teaches_nothing():
    history = History()
    history.put(posts((0, 1.0, -1.0)), np.arange(1))
    assert taken(history) == {}


def test_the_smallest_offset_is_held_until_it_is_taken():
    history = History()
    assert history.offset is None
    history.put(posts((0, 1.0, 0.5), (0, 1.0, 0.5)), np.array([9, 8]))
    history.put(posts((0, 2.0, 0.5)), np.array([12]))
    assert history.offset == 8
    history.take()
    assert history.offset is None


def test_what_is_said_of_a_subject_that_is_dropped_holds_nothing():
    history = History()
    history.put(posts((0, 1.0, 0.5)), np.array([3]))
    history.drop(0)
    assert history.offset is None
    assert taken(history) == {}


def test_however_much_comes_it_grows_by_hours_only():
    history = History()
    for _ in range(50):
        history.put(posts(*((0, hour / 10, 0.5) for hour in range(100))), np.arange(100))
    (rows,) = taken(history).values()
    assert len(rows) == 10
    assert sum(count for _, _, count in rows) == 5000


@given(
    said=st.lists(
        st.tuples(st.integers(0, 2), st.integers(0, 3), st.floats(0, 1)), min_size=1, max_size=40
    ),
    data=st.data(),
)
def test_the_order_of_arrival_does_not_matter(
    said: list[tuple[int, float, float]], data: st.DataObject
):
    one, other = History(), History()
    one.put(posts(*said), np.arange(len(said)))
    for post in data.draw(st.permutations(said)):
        other.put(posts(post), np.zeros(1, np.int64))
    assert taken(one) == taken(other)
