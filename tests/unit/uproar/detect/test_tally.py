"""What the posts of a minute add to subjects."""

from typing import Any

import numpy as np
import pytest

from uproar.detect import baseline, budget, crowd, tally
from uproar.detect.heard import UNSCORED, Heard, key, nothing, together
from uproar.detect.policy import Policy
from uproar.detect.tally import Tally, count
from uproar.detect.voices import Voices
from uproar.watch import AUTHORS, BINS, SCALE, Row, Table

POLICY = Policy()


def some_posts(count_: int = 1, **given: Any) -> Heard:
    """People who each complain about subject 0; a number stands for all."""
    defaults = {
        "at": 60.0,
        "post": np.arange(1, count_ + 1, dtype=np.uint64),
        "slot": 0,
        "author": np.arange(1, count_ + 1, dtype=np.uint64),
        "copy": 0,
        "negative": 0.75,
        "positive": 0.125,
        "counted": False,
        "filled": False,
    }
    kinds = {"post": np.uint64, "author": np.uint64, "copy": np.uint64, "slot": np.int64}
    kinds |= {"counted": bool, "filled": bool}
    columns = {
        name: np.broadcast_to(np.asarray(value, kinds.get(name, float)), count_).copy()
        for name, value in (defaults | given).items()
    }
    copy = columns.pop("copy")
    return Heard(**columns, copy=np.stack([copy, np.zeros_like(copy)], axis=1))


def fresh_voices() -> Voices:
    return Voices(apart=3600.0, negative=0.5, most=1000)


def table_at(bin_: int, rows: int = 1) -> Table:
    table = Table(rows)
    budget.begin(table, POLICY)
    baseline.born(table, np.full(rows, bin_))
    return table


# ---------------------------------------------------------------------------------------- counting


def test_no_posts_are_nothing_about_nobody():
    brought = count(nothing(), fresh_voices())
    assert len(brought.slots) == len(brought.posts) == len(brought.who[0]) == 0


def test_each_subject_gets_its_own():
    brought = count(some_posts(5, slot=[7, 3, 7, 3, 3], negative=[1, 0, 0.5, 1, 1]), fresh_voices())
    assert brought.slots.tolist() == [3, 7]
    assert brought.posts.tolist() == [3, 2]
    assert brought.all.tolist() == [3, 2]
    assert brought.negative.tolist() == [2, 1.5]
    assert brought.positive.tolist() == [0.375, 0.25]
    assert brought.authors.tolist() == [2, 2]
    assert [brought.slots[place] for place in brought.who[0]] == [7, 7, 3, 3]
    assert brought.who[1].tolist() == [1, 3, 4, 5]


def test_repeats_of_an_author_are_posts_and_no_voices():
    brought = count(some_posts(4, author=9), fresh_voices()).of(0)
    assert (brought.posts, brought.negative, brought.authors) == (4, 0.75, 1)
    assert brought.positive == 0.125


def test_posts_that_could_not_be_scored_are_told_and_count_nowhere_else():
    brought = count(some_posts(3, negative=[UNSCORED, 0.75, UNSCORED]), fresh_voices())
    assert (brought.posts.tolist(), brought.unscored.tolist()) == ([3], [2])
    assert (brought.all.tolist(), brought.negative.tolist()) == ([1], [0.75])


def test_a_minute_of_which_nothing_could_be_scored_is_told():
    brought = count(some_posts(3, negative=UNSCORED), fresh_voices()).of(0)
    assert (brought.posts, brought.unscored, brought.negative) == (3, 3, 0)


def test_what_was_counted_before_a_crash_reminds_of_its_authors_and_adds_nothing():
    voices = fresh_voices()
    again = count(some_posts(3, counted=True), voices)
    assert len(again.slots) == 0
    new = count(some_posts(4, at=120.0, post=np.arange(10, 14)), voices).of(0)
    assert (new.posts, new.negative, new.authors) == (4, 0.75, 1)


def test_counted_and_new_posts_of_one_minute_are_told_apart():
    brought = count(
        some_posts(4, counted=[True, False, True, False], slot=[5, 5, 2, 8]), fresh_voices()
    )
    assert brought.slots.tolist() == [5, 8]
    assert brought.posts.tolist() == [1, 1]
    assert brought.who[1].tolist() == [2, 4]


# ------------------------------------------------------------------------------- which subjects


def a_tally() -> Tally:
    return count(some_posts(4, slot=[2, 5, 5, 9]), fresh_voices())


def test_it_is_spread_over_more_subjects():
    wide = a_tally().at(np.array([1, 2, 5, 7, 9]))
    assert wide.posts.tolist() == [0, 1, 2, 0, 1]
    assert wide.negative.tolist() == [0, 0.75, 1.5, 0, 0.75]
    assert wide.who[0].tolist() == [1, 2, 2, 4]
    assert wide.who[1].tolist() == [1, 2, 3, 4]


def test_it_is_narrowed_to_some_subjects():
    narrow = a_tally().only(np.array([1, 5, 9]))
    assert narrow.slots.tolist() == [5, 9]
    assert narrow.posts.tolist() == [2, 1]
    assert narrow.who[0].tolist() == [0, 0, 1]
    assert narrow.who[1].tolist() == [2, 3, 4]


def test_it_is_spread_over_others_without_those_who_are_not_among_them():
    other = a_tally().at(np.array([0, 5]))
    assert other.slots.tolist() == [0, 5]
    assert other.posts.tolist() == [0, 2]
    assert other.who[0].tolist() == [1, 1]


def test_the_same_subjects_need_no_change():
    mine = a_tally()
    assert mine.at(np.array([2, 5, 9])) is mine
    assert mine.only(np.array([2, 5, 9])) is mine


# ------------------------------------------------------------------------------------ into the rows


def test_a_minute_goes_into_its_five_minutes():
    table = table_at(31)
    tally.add(table, 31 * 5 + 2, count(some_posts(3, negative=0.5), fresh_voices()))
    assert table["bins_negative"][0, 31 % BINS] == 1.5
    assert table["bins_all"][0, 31 % BINS] == 3
    assert table["bins_all"].sum() == 3
    assert not table["hour_all"].any()
    assert not table["hours_all"].any()


@pytest.mark.parametrize("minute", [0, 7, 30, 59, 60, 61, 95, 118])
def test_a_late_minute_counts_in_the_hour_in_which_it_was_written_as_if_it_had_been_in_time(
    minute: int,
):
    begin, end = 24 * 3600, 24 * 3600 + 119
    in_time, late = table_at(begin // 5), table_at(begin // 5)
    for now in range(begin, end + 1):
        for table in (in_time, late):
            baseline.advance(table, np.array([now // 5]), POLICY)
        if now == begin + minute:
            tally.add(in_time, now, count(some_posts(4), fresh_voices()))
    tally.add(late, begin + minute, count(some_posts(4), fresh_voices()))
    for name in ("bins_negative", "bins_all", "hour_negative", "hour_all"):
        assert np.allclose(in_time[name], late[name]), name
    hour = begin // 60 % 24
    assert in_time["hours_all"][0, hour] == late["hours_all"][0, hour]
    for table in (in_time, late):
        baseline.advance(table, np.array([(begin + 180) // 5]), POLICY)
        assert table["hours_all"].sum() * SCALE == 4


def test_only_an_open_episode_grows():
    table = table_at(0, rows=2)
    table["level"] = [0, 2]
    tally.add(table, 1, count(some_posts(6, slot=[0, 0, 0, 1, 1, 1]), fresh_voices()))
    assert table["posts"].tolist() == [0, 3]
    assert table["size"].tolist() == [0, 2.25]
    assert not table["sketch"][0].any()
    assert crowd.count(table["sketch"][1]) in {2, 3, 4}


def test_the_authors_of_negative_posts_are_remembered():
    table = table_at(0, rows=2)
    posts = some_posts(4, slot=[0, 1, 1, 1], negative=[0.75, 0.75, 0.25, 0.75])
    tally.add(table, 3, count(posts, fresh_voices()))
    assert sorted(table["authors"][0].tolist()) == [0, 0, 0, 0, 0, 1]
    assert sorted(table["authors"][1].tolist()) == [0, 0, 0, 0, 2, 4]
    assert table["authors_at"].max(axis=1).tolist() == [3, 3]


def test_of_a_minute_with_many_authors_as_many_are_remembered_as_there_is_room_for():
    table = table_at(0)
    table["level"] = 1
    people = np.array([crowd.name_of(f"author {n}") for n in range(200)], np.uint64)
    tally.add(table, 3, count(some_posts(200, author=people), fresh_voices()))
    assert (table["authors_at"][0] == 3).all()
    assert len(set(table["authors"][0].tolist())) == AUTHORS
    assert crowd.count(table["sketch"][0]) == pytest.approx(200, rel=0.35)


# ----------------------------------------------------------------------------------- into the reading


def test_the_reading_of_five_minutes_is_the_sum_of_its_minutes():
    table, voices = table_at(12), fresh_voices()
    for minute in range(60, 65):
        posts = some_posts(3, post=np.arange(3) + minute * 9, author=[minute, 1, 2], at=minute * 60)
        brought = count(posts, voices)
        tally.add(table, minute, brought)
        tally.add_to_reading(table, brought)
    unscored = count(some_posts(2, negative=UNSCORED, at=64 * 60), voices)
    tally.add(table, 64, unscored)
    tally.add_to_reading(table, unscored)
    told = tally.five_minutes(Row(table, 0), 64)
    assert (told.posts, told.authors, told.unscored) == (17, 7, 2)
    assert told.negative == pytest.approx(7 * 0.75)
    assert told.positive == pytest.approx(7 * 0.125)


def test_more_than_a_row_can_hold_is_the_most_it_can_hold():
    table, brought = table_at(0), count(some_posts(1), fresh_voices())
    table["bin_authors"] = np.iinfo(np.uint16).max
    tally.add_to_reading(table, brought)
    assert table["bin_authors"] == np.iinfo(np.uint16).max


# ---------------------------------------------------------------------------------- posts as columns


def test_posts_are_put_in_order_of_time_and_name():
    posts = some_posts(4, at=[3, 1, 2, 1], post=[1, 9, 3, 4])
    assert posts.in_order().post.tolist() == [4, 9, 3, 1]
    assert together([posts[:1], posts[1:]]).in_order().post.tolist() == [4, 9, 3, 1]


def test_the_same_name_of_two_subjects_is_two_keys():
    slots, names = np.repeat(np.arange(50), 50), np.tile(np.arange(1, 51, dtype=np.uint64), 50)
    assert len(np.unique(key(slots, names))) == 2500
