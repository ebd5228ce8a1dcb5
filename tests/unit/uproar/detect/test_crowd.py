"""Counting people in a few bytes."""

import numpy as np
import pytest

from uproar.detect import crowd
from uproar.watch import AUTHORS, SKETCH_BYTES, Row, Table


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


def a_row() -> Row:
    return Row(Table(1), 0)


def remember(row: Row, author: int, minute: int) -> None:
    crowd.remember(row._rows, np.array([0]), np.array([author], np.uint64), minute)


def test_the_newest_distinct_authors_are_remembered():
    row = a_row()
    for minute in range(1, 100):
        remember(row, 1000 + minute % 9, minute)
    assert sorted(row["authors_at"].tolist()) == list(range(94, 100))
    assert len(set(row["authors"].tolist())) == AUTHORS


def test_an_author_who_comes_back_is_one():
    row = a_row()
    for minute in (1, 5, 3):
        remember(row, 7, minute)
    assert row["authors"].tolist() == [7, 0, 0, 0, 0, 0]
    assert row["authors_at"][0] == 5


def test_an_author_from_before_all_who_are_remembered_is_not():
    row = a_row()
    for number in range(AUTHORS):
        remember(row, 100 + number, 50)
    remember(row, 7, 49)
    assert 7 not in row["authors"]


def test_names_that_end_in_zeros_are_somebody():
    row = a_row()
    remember(row, 1 << 32, 5)
    assert np.count_nonzero(row["authors"]) == 1


def test_strangers_are_people_of_their_own():
    table = Table(3)
    crowd.remember_strangers(table, np.array([0, 2, AUTHORS]), 9)
    crowd.remember_strangers(table, np.array([1, 2, 0]), 10)
    assert [len(set(names[names > 0].tolist())) for names in table["authors"]] == [1, 4, AUTHORS]
    assert (table["authors_at"] == 10).sum(axis=1).tolist() == [1, 2, 0]


def test_strangers_take_the_places_of_the_oldest():
    table = Table(1)
    for minute in range(1, 20):
        crowd.remember_strangers(table, np.array([2]), minute)
    assert sorted(table["authors_at"][0].tolist()) == [17, 17, 18, 18, 19, 19]


def test_rows_remember_together_what_each_remembers_alone():
    rng = np.random.default_rng(3)
    together, alone = Table(5), Table(5)
    for minute in rng.integers(0, 9, 40).tolist():
        rows = rng.integers(0, 5, rng.integers(0, 30))
        authors = rng.integers(1, 20, len(rows)).astype(np.uint64)
        crowd.remember(together, rows, authors, minute)
        for row in range(5):
            for author in authors[rows == row][::-1][:AUTHORS]:
                crowd.remember(alone, np.array([row]), np.array([author]), minute)
    assert (together["authors"] == alone["authors"]).all()
    assert (together["authors_at"] == alone["authors_at"]).all()
