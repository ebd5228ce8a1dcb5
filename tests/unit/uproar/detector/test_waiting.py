"""Posts of open minutes, and what came late."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest

from tests.build import a_deletion, an_assessment
from uproar.detect.crowd import name_of
from uproar.detect.heard import Heard
from uproar.detect.policy import Policy
from uproar.detector.columns import columns_of
from uproar.detector.waiting import Waiting

POLICY = Policy()
LATE = int(POLICY.late.total_seconds() // 60)


def put(
    waiting: Waiting,
    minutes: Sequence[float],
    *,
    closed_to: int | None = None,
    offsets: Sequence[int] | None = None,
    texts: bool = False,
    **given: Any,
) -> dict[str, int]:
    """Let posts of these minutes wait, each with an id of its own unless ``posts`` names them."""
    count = len(minutes)
    posts = given.get("posts", [f"p{minute}-{place}" for place, minute in enumerate(minutes)])
    assessments = [
        an_assessment(post, created_at=datetime.fromtimestamp(minute * 60, tz=UTC))
        for post, minute in zip(posts, minutes, strict=True)
    ]
    columns = columns_of(assessments)
    slot = np.broadcast_to(np.asarray(given.get("slot", 0), np.int64), count).copy()
    heard = Heard(
        at=columns.at,
        post=columns.post,
        slot=slot,
        author=columns.author,
        copy=columns.copy,
        negative=columns.negative,
        positive=columns.positive,
        counted=np.broadcast_to(np.asarray(given.get("counted", False)), count).copy(),
        filled=np.zeros(count, bool),
    )
    dropped = waiting.put(
        heard,
        np.arange(count) if offsets is None else np.asarray(offsets),
        dict(enumerate(assessments)) if texts else {},
        closed_to=closed_to,
    )
    return {reason: number for reason, number in dropped.items() if number}


def minutes_of(posts: Heard) -> list[float]:
    return (posts.at / 60).tolist()


# ------------------------------------------------------------------------------------------ in order


def test_nothing_waits_at_first():
    waiting = Waiting(POLICY)
    assert waiting.oldest is None
    assert waiting.numbers() == []


def test_no_posts_can_be_put():
    waiting = Waiting(POLICY)
    assert put(waiting, []) == {}
    assert waiting.oldest is None


def test_posts_wait_for_their_minute_in_order_of_time_and_name_however_they_came():
    given = [7.5, 3.25, 7.0, 3.75, 3.0]
    orders = [given, given[::-1], sorted(given)]
    taken = []
    for order in orders:
        waiting = Waiting(POLICY)
        put(waiting, order[:2])
        put(waiting, order[2:])
        assert waiting.numbers() == [3, 7]
        taken.append([minutes_of(waiting.take(number)[0]) for number in (3, 7)])
    assert taken == [[[3, 3.25, 3.75], [7, 7.5]]] * 3


def test_posts_of_one_moment_are_taken_in_order_of_their_names():
    taken = []
    for posts in (["a", "b", "c"], ["c", "a", "b"]):
        waiting = Waiting(POLICY)
        put(waiting, [3, 3, 3], posts=posts)
        taken.append(waiting.take(3)[0].post.tolist())
    assert taken[0] == taken[1] == sorted(map(name_of, "abc"))


def test_a_minute_is_taken_once_and_its_posts_wait_no_longer():
    waiting = Waiting(POLICY)
    put(waiting, [3, 5, 9])
    waiting.take(5)
    assert waiting.numbers() == [3, 9]
    assert waiting.numbers(4) == [9]
    assert waiting.numbers(None, 9) == [3]
    assert waiting.numbers(3, 9) == [3]


def test_about_whom_posts_wait_is_known():
    waiting = Waiting(POLICY)
    put(waiting, [3, 3, 3, 4], slot=[9, 2, 9, 5])
    assert waiting.slots(3).tolist() == [2, 9]


# ------------------------------------------------------------------------------------------- repeats


def test_a_repeat_is_dropped_in_the_same_batch_in_another_and_behind_the_close():
    waiting = Waiting(POLICY)
    assert put(waiting, [3, 3, 4], posts=["a", "a", "a"]) == {"repeat": 1}
    assert put(waiting, [3], posts=["a"]) == {"repeat": 1}
    assert len(waiting.take(3)[0]) == 1
    waiting.close(10)
    assert put(waiting, [3], posts=["a"], closed_to=10) == {"repeat": 1}
    assert put(waiting, [3, 3], posts=["a", "b"], closed_to=10) == {"repeat": 1}
    assert waiting.take(3)[0].post.tolist() == [name_of("b")]


def test_a_post_about_two_subjects_is_no_repeat():
    waiting = Waiting(POLICY)
    assert put(waiting, [3, 3], posts=["a", "a"], slot=[0, 1]) == {}
    assert put(waiting, [3], posts=["a"], slot=[1]) == {"repeat": 1}


def test_a_repeat_of_a_minute_before_everything_else_is_remembered_an_hour():
    waiting = Waiting(POLICY)
    put(waiting, [100], posts=["a"])
    waiting.take(100)
    waiting.close(100 + LATE)
    assert put(waiting, [100], posts=["a"], closed_to=100 + LATE) == {"repeat": 1}
    waiting.close(101 + LATE)
    assert put(waiting, [100], posts=["a"], closed_to=101 + LATE) == {"too late": 1}
    assert waiting.numbers() == []


# --------------------------------------------------------------------------------------------- late


def test_a_late_post_waits_for_its_minute_and_one_later_than_the_lateness_is_too_late():
    waiting, minutes = Waiting(POLICY), [1000 - LATE, 1000 - LATE - 1, 999, 1000]
    assert put(waiting, minutes, closed_to=1000) == {"too late": 1}
    assert waiting.numbers() == [1000 - LATE, 999, 1000]


def test_before_the_first_close_nothing_is_late():
    waiting = Waiting(POLICY)
    put(waiting, [1, 100_000, 50], closed_to=None)
    assert waiting.numbers() == [1, 50, 100_000]


def test_what_was_counted_before_a_crash_waits_to_remind_unless_it_is_too_old_for_that():
    waiting = Waiting(POLICY)
    told = put(waiting, [999, 999.5, 1000 - LATE - 1], closed_to=1000, counted=[True, False, True])
    assert told == {"counted before": 2}
    assert waiting.take(999)[0].counted.tolist() == [True, False]


def test_posts_of_the_distant_past_do_not_pile_up():
    waiting = Waiting(POLICY)
    for _ in range(3):
        put(waiting, list(range(0, 900, 7)), closed_to=1000)
    assert waiting.numbers() == []
    assert waiting.oldest is None


# ------------------------------------------------------------------------------------------- offsets


def test_the_oldest_offset_is_that_of_what_waits_or_is_less_old_than_the_lateness():
    waiting = Waiting(POLICY)
    put(waiting, [120, 100, 110], offsets=[40, 50, 60])
    assert waiting.oldest == 40
    waiting.take(100)
    waiting.close(101)
    assert waiting.oldest == 40
    waiting.take(110)
    waiting.take(120)
    waiting.close(111 + LATE)
    assert waiting.oldest == 40
    waiting.close(121 + LATE)
    assert waiting.oldest is None


def test_the_oldest_offset_moves_on_as_time_does():
    waiting = Waiting(POLICY)
    put(waiting, [100, 110, 120], offsets=[50, 60, 70])
    for number in waiting.numbers():
        waiting.take(number)
    seen = []
    for closed_to in (100 + LATE, 101 + LATE, 111 + LATE, 121 + LATE):
        waiting.close(closed_to)
        seen.append(waiting.oldest)
    assert seen == [50, 60, 70, None]


def test_a_repeat_that_comes_earlier_in_the_partition_holds_the_commit_too():
    waiting = Waiting(POLICY)
    put(waiting, [100], posts=["a"], offsets=[50])
    put(waiting, [100], posts=["a"], offsets=[30])
    assert waiting.oldest == 30


# --------------------------------------------------------------------------------------------- texts


def test_the_texts_of_a_minute_are_taken_with_it_in_order():
    waiting = Waiting(POLICY)
    put(waiting, [3.5, 3.25, 4], texts=True, posts=["b", "a", "c"])
    _, texts = waiting.take(3)
    assert [post.post for post in texts] == ["a", "b"]
    assert waiting.take(3 + 1)[1][0].post == "c"


def test_what_was_taken_back_leaves_its_number_and_no_text():
    waiting = Waiting(POLICY)
    put(waiting, [3, 3, 3], texts=True, posts=["a", "b", "c"])
    waiting.forget([a_deletion(id="a"), a_deletion(author="a_b"), a_deletion(id="nobody")])
    posts, texts = waiting.take(3)
    assert len(posts) == 3
    assert [post.post for post in texts] == ["c"]


@pytest.mark.parametrize("freed", ["taken", "dropped", "forgotten"])
def test_texts_make_room_for_others_when_they_go(freed: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("uproar.detector.waiting.TEXTS", 2)
    waiting = Waiting(POLICY)
    put(waiting, [3, 3, 3], texts=True, posts=["a", "b", "c"])
    match freed:
        case "taken":
            posts, texts = waiting.take(3)
            assert (len(posts), len(texts)) == (3, 2)
        case "dropped":
            waiting.drop(0)
        case "forgotten":
            waiting.forget([a_deletion(id="a"), a_deletion(id="b")])
    put(waiting, [4, 4, 4], texts=True, posts=["d", "e", "f"])
    posts, texts = waiting.take(4)
    assert (len(posts), len(texts)) == (3, 2)


def test_only_the_texts_of_those_who_wait_are_kept():
    waiting = Waiting(POLICY)
    put(waiting, [3, 3], texts=True, posts=["a", "a"], closed_to=None)
    put(waiting, [3, 900], texts=True, posts=["a", "b"], closed_to=2000)
    assert [post.post for post in waiting.take(3)[1]] == ["a"]


# ------------------------------------------------------------------------------------------ subjects


def test_what_is_said_of_a_subject_that_is_dropped_waits_no_longer():
    waiting = Waiting(POLICY)
    put(waiting, [3, 3, 4], slot=[0, 1, 0], texts=True)
    waiting.drop(0)
    assert waiting.numbers() == [3]
    posts, texts = waiting.take(3)
    assert posts.slot.tolist() == [1]
    assert len(texts) == 1


def test_the_time_of_a_minute_is_that_of_its_beginning_whatever_the_second():
    waiting, begin = Waiting(POLICY), datetime(2026, 3, 2, 12, tzinfo=UTC)
    seconds = [0, 59.999, 60, 119.5]
    posts = [(begin + timedelta(seconds=s)).timestamp() / 60 for s in seconds]
    put(waiting, posts)
    first = int(begin.timestamp() // 60)
    assert [len(waiting.take(number)[0]) for number in (first, first + 1)] == [2, 2]
