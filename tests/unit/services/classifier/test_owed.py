"""services/classifier/owed.py: posts that wait for their scores, a bounded number, oldest first."""

from services.classifier.owed import Debt, Owed
from tests.build import a_post


def debts(*offsets: int) -> list[Debt]:
    return [Debt(a_post(id=f"x:{offset}"), (), offset) for offset in offsets]


def test_the_oldest_come_first_and_stay_until_they_are_settled():
    owed = Owed()
    owed.add(2, debts(5, 6, 7))
    assert [debt.offset for debt in owed.first(2, 2)] == [5, 6]
    assert (len(owed), owed.oldest(2)) == (3, 5)
    owed.settle(2, 2)
    assert (len(owed), owed.oldest(2)) == (1, 7)


def test_partitions_are_apart():
    owed = Owed()
    owed.add(1, debts(5))
    owed.add(2, debts(9))
    owed.forget(1)
    assert (owed.oldest(1), owed.oldest(2), owed.first(1, 9)) == (None, 9, [])


def test_beyond_the_most_the_oldest_of_the_partition_are_given_up():
    owed = Owed(most=3)
    assert owed.add(1, debts(1, 2)) == 0
    assert owed.add(1, debts(3, 4)) == 1
    assert owed.oldest(1) == 2
    assert owed.add(2, debts(10)) == 1
    assert (len(owed), owed.oldest(2)) == (3, None)
