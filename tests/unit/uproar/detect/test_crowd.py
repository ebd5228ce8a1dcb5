"""Counting people in a few bytes."""

import numpy as np
import pytest

from uproar.detect import crowd
from uproar.watch import AUTHORS, SKETCH_BYTES, WATCH


def sketch_of(people: int) -> np.ndarray:
    sketch = np.zeros(SKETCH_BYTES, dtype=np.uint8)
    for number in range(people):
        crowd.add(sketch, crowd.name_of(f"author {number}"))
    return sketch


def test_nobody_is_nobody():
    assert crowd.count(sketch_of(0)) == 0


@pytest.mark.parametrize("people", [1, 3, 6, 10])
def test_a_few_are_counted_within_two(people: int):
    assert abs(crowd.count(sketch_of(people)) - people) <= 2


@pytest.mark.parametrize("people", [50, 200, 1000, 20_000, 200_000])
def test_many_are_estimated_within_a_third(people: int):
    assert crowd.count(sketch_of(people)) == pytest.approx(people, rel=0.34)


def test_the_same_people_again_change_nothing():
    once, twice = sketch_of(100), sketch_of(100)
    for number in range(100):
        crowd.add(twice, crowd.name_of(f"author {number}"))
    assert (once == twice).all()


def test_names_are_the_same_in_every_process():
    assert crowd.name_of("a_0123") == 7432941713657930516


def a_row() -> np.void:
    return np.zeros(1, dtype=WATCH)[0]


def test_the_newest_distinct_authors_are_remembered():
    row = a_row()
    for minute in range(1, 100):
        crowd.remember(row, 1000 + minute % 9, minute)
    assert sorted(row["authors_at"].tolist()) == list(range(94, 100))
    assert len(set(row["authors"].tolist())) == AUTHORS


def test_an_author_who_comes_back_is_one():
    row = a_row()
    for minute in (1, 5, 3):
        crowd.remember(row, 7, minute)
    assert row["authors"].tolist() == [7, 0, 0, 0, 0, 0]
    assert row["authors_at"][0] == 5


def test_only_an_open_episode_counts_its_people():
    row = a_row()
    crowd.remember(row, crowd.name_of("a"), 1)
    assert not row["sketch"].any()
    row["level"] = 1
    crowd.remember(row, crowd.name_of("a"), 2)
    assert crowd.count(row["sketch"]) == 1
