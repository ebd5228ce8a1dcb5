"""Which windows hold what a backlash is made of."""

import numpy as np

from uproar.detect.baseline import Usual
from uproar.detect.gate import Verdicts, judge, verdicts_in_words
from uproar.detect.policy import Policy
from uproar.detect.scan import Scan

POLICY = Policy()


def verdicts(
    *, negative, posts, usual_negative=1.0, usual_posts=4.0, share=0.25, authors=6
) -> Verdicts:
    """Judge one subject; a number stands for all five windows."""

    def five(value) -> np.ndarray:
        return np.broadcast_to(np.asarray(value, dtype=float), (1, 5)).copy()

    usual = Usual(
        negative=five(usual_negative),
        posts=five(usual_posts),
        variance=five(0.5),
        share=five(share),
        known=five(1).astype(bool),
        covered=five(60),
    )
    scan = Scan(
        usual=usual,
        negative=five(negative),
        posts=five(posts),
        statistic=five(9),
        authors=five(authors),
    )
    return judge(scan, POLICY)


def test_a_wave_of_complaints_passes():
    assert verdicts(negative=20, posts=25).passed.all()


def test_a_share_far_below_the_usual_is_shut():
    assert not verdicts(negative=20, posts=120, share=0.6).share.any()


def test_a_share_a_little_below_the_usual_passes():
    assert verdicts(negative=30, posts=60, share=0.6).share.all()


def test_happy_talk_on_top_is_shut_although_the_share_is_the_usual_one():
    happy = verdicts(negative=25, posts=100, share=0.25)
    assert happy.share.all()
    assert not happy.excess.any()


def test_a_few_angry_minutes_in_six_happy_hours_are_shut():
    mixed = verdicts(negative=[5, 5, 5, 30, 30], posts=[10, 10, 10, 300, 300])
    assert not mixed.excess.any()


def test_minutes_that_are_almost_all_angry_pass_after_a_happy_morning():
    angry = verdicts(negative=[30, 30, 45, 60, 60], posts=[33, 33, 50, 400, 400])
    assert angry.excess[0].tolist() == [True, True, True, False, False]


def test_four_angry_people_and_nobody_else_pass():
    assert verdicts(
        negative=3.6, posts=4, usual_negative=0.01, usual_posts=0.05, share=0.3
    ).passed.all()


def test_each_level_has_its_floor_of_authors():
    highest = [verdicts(negative=9, posts=9, authors=n).highest[0, 0] for n in range(7)]
    assert highest == [-1, -1, -1, 0, 1, 1, 2]


def test_the_verdicts_are_told_by_name():
    told = verdicts_in_words(verdicts(negative=20, posts=400, authors=2), 0, 2, 1)
    assert told == {
        "share": "negative share below the usual",
        "excess": "what came on top is mostly not negative",
        "authors": "too few authors",
    }
    open_ = verdicts_in_words(verdicts(negative=20, posts=25), 0, 2, 2)
    assert set(open_.values()) == {"open"}
