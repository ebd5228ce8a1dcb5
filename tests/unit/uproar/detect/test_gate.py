"""Which windows hold what a backlash is made of."""

import numpy as np

from uproar.detect.gate import OPEN, Verdicts, judge, verdicts_in_words
from uproar.detect.policy import ALERT, CONTEXT, CRISIS, SHORT, SPAN, WATCH, WINDOWS, Policy
from uproar.detect.scan import Scan
from uproar.watch import AUTHORS, STATISTICS

POLICY = Policy()


def verdicts(
    *, negative, posts, usual_negative=1.0, usual_posts=4.0, share=0.25, authors=AUTHORS
) -> Verdicts:
    """Judge one subject; a number stands for all windows."""

    def wide(value) -> np.ndarray:
        return np.broadcast_to(np.asarray(value, dtype=float), (1, WINDOWS)).copy()

    seen = Scan(
        negative=wide(negative),
        posts=wide(posts),
        usual_negative=wide(usual_negative),
        usual_posts=wide(usual_posts),
        usual_share=wide(share),
        variance=wide(0.3),
        covered=SPAN,
        statistic=np.full((1, STATISTICS), 9.0),
        flooded=np.zeros(1, bool),
    )
    return judge(seen, wide(authors), POLICY)


def in_context(short, context) -> list[float]:
    """A number for windows shorter than their context, and one for those which are it."""
    return [short if CONTEXT[window] != window else context for window in range(WINDOWS)]


def test_a_wave_of_complaints_passes():
    assert verdicts(negative=20, posts=25).passed.all()


def test_a_share_far_below_the_usual_is_shut():
    assert not verdicts(negative=20, posts=120, share=0.6).share.any()


def test_a_share_a_little_below_the_usual_passes():
    assert verdicts(negative=30, posts=60, share=0.6).share.all()


def test_of_few_posts_a_low_share_is_chance():
    assert verdicts(negative=1, posts=3, share=0.6).share.all()
    assert not verdicts(negative=100, posts=300, share=0.6).share.any()


def test_happy_talk_on_top_is_shut_although_the_share_is_the_usual_one():
    happy = verdicts(negative=25, posts=100, share=0.25)
    assert happy.share.all()
    assert not happy.excess.any()
    assert not happy.passed.any()


def test_a_share_that_chance_brings_now_and_then_is_shut():
    """New Year's resolutions: of forty posts beyond the usual fourteen sounded like complaints."""
    assert not verdicts(negative=15, posts=44, usual_negative=0.8, share=0.21).excess.any()
    assert verdicts(negative=20, posts=44, usual_negative=0.8, share=0.21).excess.all()


def test_a_few_angry_minutes_in_happy_hours_are_shut():
    mixed = verdicts(negative=in_context(5, 30), posts=in_context(10, 300))
    assert not mixed.excess.any()


def test_minutes_that_are_almost_all_angry_pass_after_a_happy_morning():
    angry = verdicts(negative=in_context(30, 60), posts=in_context(33, 400))
    assert angry.excess[0].tolist() == in_context(True, False)


def test_four_angry_people_and_nobody_else_pass():
    assert verdicts(
        negative=3.6, posts=4, usual_negative=0.01, usual_posts=0.05, share=0.3
    ).passed.all()


def test_fewer_posts_than_usual_that_are_all_angry_pass():
    assert verdicts(negative=9, posts=9, usual_posts=20, usual_negative=2).passed.all()


def test_each_level_has_its_floor_of_authors():
    for authors in range(AUTHORS + 1):
        highest = verdicts(negative=authors, posts=authors, authors=authors).highest
        floors = [level for level, floor in enumerate(POLICY.authors) if authors >= floor]
        assert (highest == max(floors, default=-1)).all()


def test_some_people_of_whom_the_model_is_unsure_stand_for_authors_and_no_more():
    floor, unsure, hour = POLICY.authors[ALERT], POLICY.unsure_authors, SHORT - 1
    together = verdicts(negative=floor, posts=floor + 2, authors=floor - unsure)
    assert together.highest[0, hour] == ALERT
    assert (together.authors == floor - unsure).all()
    fewer = verdicts(negative=floor - 0.5, posts=floor + 2, authors=floor - unsure)
    assert (fewer.highest < ALERT).all()
    loud = verdicts(negative=500, posts=500, authors=floor - unsure - 1)
    assert (loud.highest < ALERT).all()


def test_the_verdicts_are_told_by_name():
    told = verdicts_in_words(verdicts(negative=20, posts=400, authors=1), 0, 2, ALERT)
    assert told == {
        "share": "negative share below the usual",
        "excess": "what came on top is mostly not negative",
        "authors": "too few authors",
    }
    open_ = verdicts_in_words(verdicts(negative=20, posts=25), 0, 2, CRISIS)
    assert set(open_.values()) == {OPEN}


def test_the_same_authors_may_be_enough_for_one_level_and_too_few_for_the_next():
    people = POLICY.authors[WATCH]
    few = verdicts(negative=people, posts=people, authors=people)
    assert verdicts_in_words(few, 0, 2, WATCH)["authors"] == OPEN
    assert verdicts_in_words(few, 0, 2, CRISIS)["authors"] == "too few authors"
