"""Frontier: how far event time has come, case by case."""

from datetime import datetime

from tests.build import a_moment, a_watermark
from uproar.watermark import Frontier, State


def heard(frontier: Frontier, minutes: float, **given) -> datetime | None:
    frontier.observe(a_watermark(a_moment(minutes=minutes), **given))
    return frontier.limit


def test_nothing_is_known_before_the_first_watermark():
    assert Frontier().limit is None


def test_one_source_moves_the_limit():
    frontier = Frontier()
    assert heard(frontier, 1) == a_moment(minutes=1)
    assert heard(frontier, 5) == a_moment(minutes=5)


def test_the_limit_never_goes_back():
    frontier = Frontier()
    heard(frontier, 5)
    assert heard(frontier, 1) == a_moment(minutes=5)
    assert heard(frontier, 3, source="other") == a_moment(minutes=5)


def test_a_live_source_counts_only_once_heard_in_all_partitions():
    frontier = Frontier()
    assert heard(frontier, 9, partition=0, partitions=3) is None
    assert heard(frontier, 7, partition=2, partitions=3) is None
    assert heard(frontier, 8, partition=1, partitions=3) == a_moment(minutes=7)


def test_the_slowest_source_decides():
    frontier = Frontier()
    heard(frontier, 1, source="slow")
    assert heard(frontier, 50, source="fast") == a_moment(minutes=1)
    assert heard(frontier, 20, source="slow") == a_moment(minutes=20)


def test_a_source_that_joins_late_holds_the_limit_until_it_has_caught_up():
    frontier = Frontier()
    heard(frontier, 10)
    heard(frontier, 2, source="late")
    assert heard(frontier, 20) == a_moment(minutes=10)
    assert heard(frontier, 15, source="late") == a_moment(minutes=15)


def test_the_last_watermark_of_an_ended_source_still_counts_and_then_it_leaves():
    frontier = Frontier()
    heard(frontier, 1, source="file")
    assert heard(frontier, 30, source="file", state=State.ENDED) == a_moment(minutes=30)
    assert heard(frontier, 99, source="other") == a_moment(minutes=99)


def test_an_ended_source_counts_until_all_its_partitions_have_ended():
    frontier = Frontier()
    heard(frontier, 1, source="file", partition=0, partitions=2)
    heard(frontier, 1, source="file", partition=1, partitions=2)
    ended = {"source": "file", "state": State.ENDED, "partitions": 2}
    assert heard(frontier, 30, partition=0, **ended) == a_moment(minutes=1)
    assert heard(frontier, 30, partition=1, **ended) == a_moment(minutes=30)


def test_a_blind_source_holds_no_bucket_open():
    frontier = Frontier()
    heard(frontier, 1, source="dark")
    heard(frontier, 40, source="bright")
    limit = heard(frontier, 2, source="dark", state=State.BLIND)
    assert limit == a_moment(minutes=40)


def test_with_no_live_source_nothing_closes():
    frontier = Frontier()
    heard(frontier, 1)
    assert heard(frontier, 9, state=State.BLIND) == a_moment(minutes=1)


def test_a_blind_source_that_sees_again_counts_again():
    frontier = Frontier()
    heard(frontier, 1)
    heard(frontier, 1, state=State.BLIND)
    assert heard(frontier, 30) == a_moment(minutes=30)


def test_a_backfill_holds_nothing_back_and_moves_nothing():
    frontier = Frontier()
    assert heard(frontier, 5, source="history", state=State.BACKFILL) is None
    assert heard(frontier, 10) == a_moment(minutes=10)
    assert heard(frontier, -900, source="history", state=State.BACKFILL) == a_moment(minutes=10)
    assert heard(frontier, 11) == a_moment(minutes=11)


def test_a_live_source_that_begins_a_backfill_leaves():
    frontier = Frontier()
    heard(frontier, 1, source="a")
    heard(frontier, 10, source="b")
    assert heard(frontier, 1, source="a", state=State.BACKFILL) == a_moment(minutes=10)


def test_a_source_set_aside_is_not_waited_for_and_can_come_back():
    frontier = Frontier()
    heard(frontier, 1, source="silent")
    heard(frontier, 60, source="lively")
    frontier.set_aside("silent")
    assert frontier.limit == a_moment(minutes=60)
    frontier.take_back("silent")
    assert heard(frontier, 90, source="lively") == a_moment(minutes=60)
    assert heard(frontier, 80, source="silent") == a_moment(minutes=80)


def test_a_source_that_ends_while_it_is_set_aside_counts_to_its_end():
    frontier = Frontier()
    for number in range(2):
        heard(frontier, 5, partition=number, partitions=2)
    frontier.set_aside("push")  # nothing was heard of it while the broker was away
    assert heard(frontier, 20, partition=0, partitions=2) == a_moment(minutes=5)
    ended = {"state": State.ENDED, "partitions": 2}
    assert heard(frontier, 30, partition=0, **ended) == a_moment(minutes=5)
    assert heard(frontier, 30, partition=1, **ended) == a_moment(minutes=30)


def test_a_blind_source_that_was_set_aside_closes_nothing():
    frontier = Frontier()
    heard(frontier, 5)
    frontier.set_aside("push")
    assert heard(frontier, 30, state=State.BLIND) == a_moment(minutes=5)


def test_setting_aside_a_source_never_heard_of_changes_nothing():
    frontier = Frontier()
    frontier.set_aside("nobody")
    frontier.take_back("stranger")
    assert heard(frontier, 3) == a_moment(minutes=3)


def test_a_frontier_survives_a_crash():
    frontier = Frontier()
    for number in range(2):
        heard(frontier, 5, source="file", partition=number, partitions=2)
    heard(frontier, 7, source="live")
    frontier.set_aside("live")
    heard(frontier, 9, source="file", partition=0, partitions=2, state=State.ENDED)
    again = Frontier.load(frontier.dump())
    assert again.limit == frontier.limit == a_moment(minutes=5)
    for each in (frontier, again):
        ended = heard(each, 9, source="file", partition=1, partitions=2, state=State.ENDED)
        assert ended == a_moment(minutes=9)
        each.take_back("live")
        assert heard(each, 30, source="live") == a_moment(minutes=30)
    assert Frontier.load(Frontier().dump()).limit is None
