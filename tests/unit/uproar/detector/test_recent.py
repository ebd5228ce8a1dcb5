"""Who spoke in the last hour, over a restart."""

from dataclasses import replace

import numpy as np

from uproar.detect.heard import Heard, nothing
from uproar.detector.recent import MOST, Recent
from uproar.subject import SubjectId

SUBJECTS = [SubjectId("one"), SubjectId("two")]


def some(*slots: int, begin: float = 0.0, negative: float = 0.5) -> Heard:
    count = len(slots)
    return Heard(
        at=begin + np.arange(count, dtype=float),
        post=np.arange(count, dtype=np.uint64),
        slot=np.array(slots, np.int64),
        author=np.arange(10, 10 + count, dtype=np.uint64),
        copy=np.arange(2 * count, dtype=np.uint64).reshape(count, 2),
        negative=np.full(count, negative),
        positive=np.zeros(count),
        counted=np.zeros(count, bool),
        filled=np.zeros(count, bool),
    )


def loaded(rows, *, slots=(0, 1), since=0):
    places = dict(zip(SUBJECTS, slots, strict=True))
    return list(Recent(60).load(rows, places.get, since))


def test_what_is_loaded_is_what_was_kept_though_its_subjects_stand_elsewhere():
    recent = Recent(60)
    recent.keep(7, some(0, 1, 1))
    (posts,) = loaded(recent.rows(SUBJECTS.__getitem__), slots=(5, 3))
    assert posts.slot.tolist() == [5, 3, 3]
    for name in ("at", "author", "copy", "negative"):
        assert (getattr(posts, name) == getattr(some(0, 1, 1), name)).all()
    assert posts.counted.all()


def test_only_what_changed_is_given_and_late_posts_stand_behind_those_of_their_minute():
    recent = Recent(60)
    recent.keep(7, some(0))
    rows = recent.rows(SUBJECTS.__getitem__)
    assert recent.rows(SUBJECTS.__getitem__) == {}
    recent.keep(8, some(1, begin=60.0))
    recent.keep(7, some(1, begin=30.0))
    more = recent.rows(SUBJECTS.__getitem__)
    assert len(more) == 2
    posts = loaded(rows | more)
    assert [part.at.tolist() for part in posts] == [[0.0, 30.0], [60.0]]


def test_a_minute_takes_the_place_of_one_more_than_an_hour_older():
    recent = Recent(60)
    recent.keep(7, some(0))
    recent.keep(7 + 61, some(1, 1))
    recent.keep(7, some(0, 0, 0))
    (posts,) = loaded(recent.rows(SUBJECTS.__getitem__))
    assert posts.slot.tolist() == [1, 1]


def test_what_was_counted_before_or_could_not_be_scored_is_not_kept():
    recent = Recent(60)
    recent.keep(7, some(0, negative=-1.0))
    recent.keep(8, replace(some(0), counted=np.ones(1, bool)))
    recent.keep(9, nothing())
    assert recent.rows(SUBJECTS.__getitem__) == {}


def test_who_is_not_watched_any_more_and_what_is_too_old_is_left_out():
    recent = Recent(60)
    recent.keep(7, some(0, 1))
    recent.keep(8, some(0))
    rows = recent.rows(SUBJECTS.__getitem__)
    assert [len(part) for part in loaded(rows, since=8)] == [1]
    assert [part.slot.tolist() for part in loaded(rows, slots=(None, 4))] == [[4]]
    recent.drop(0)
    assert [p.slot.tolist() for p in loaded(recent.rows(SUBJECTS.__getitem__))] == [[1]]


def test_a_minute_has_a_limit():
    recent = Recent(60)
    recent.keep(7, some(*[0] * MOST))
    recent.keep(7, some(1))
    (posts,) = loaded(recent.rows(SUBJECTS.__getitem__))
    assert len(posts) == MOST
