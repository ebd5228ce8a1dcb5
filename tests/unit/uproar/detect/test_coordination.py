"""Whether a wave is a few voices that repeat themselves."""

import numpy as np
import pytest

from uproar.detect.coordination import Coordination, coordination, repeats
from uproar.detect.crowd import name_of
from uproar.detect.heard import Heard
from uproar.detect.policy import ALERT, CRISIS, WATCH, Policy
from uproar.detect.voices import Voices

POLICY = Policy()
MANY = 2 * POLICY.authors[CRISIS]


def test_a_wave_of_many_voices_may_reach_any_level():
    for level in (WATCH, ALERT, CRISIS):
        assert Coordination(0.0, 0).allows(level, POLICY) == level
        assert Coordination(POLICY.staged - 0.01, 4).allows(level, POLICY) == level


def test_a_wave_of_repeats_by_a_few_reaches_nothing():
    assert Coordination(0.99, POLICY.authors[WATCH]).allows(CRISIS, POLICY) == -1


def test_of_a_wave_of_repeats_twice_as_many_people_are_asked():
    for level, floor in enumerate(POLICY.authors):
        staged = [Coordination(0.99, 2 * floor - short) for short in (0, 1)]
        assert staged[0].allows(level, POLICY) == level
        assert staged[1].allows(level, POLICY) < level


def test_enough_people_who_join_a_staged_wave_make_it_a_real_one_and_never_a_higher_one():
    assert Coordination(0.99, MANY).allows(CRISIS, POLICY) == CRISIS
    assert Coordination(0.99, MANY).allows(WATCH, POLICY) == WATCH


def test_more_people_are_never_allowed_less():
    allowed = [Coordination(0.99, people).allows(CRISIS, POLICY) for people in range(MANY + 1)]
    assert allowed == sorted(allowed)
    assert allowed[0] == -1


def heard(at: float, authors: list[str], negative: float) -> Heard:
    count = len(authors)
    return Heard(
        at=np.full(count, at),
        post=np.arange(count, dtype=np.uint64),
        slot=np.full(count, 3, np.int64),
        author=np.array(list(map(name_of, authors)), np.uint64),
        copy=np.zeros(count, np.uint64),
        negative=np.full(count, negative),
        positive=np.zeros(count),
        counted=np.zeros(count, bool),
        filled=np.zeros(count, bool),
    )


def test_it_looks_at_the_last_hour():
    voices = Voices(apart=3600.0, negative=0.5, most=1000)
    voices.share(heard(60 * 60.0, ["old"] * 90, 0.75))
    voices.share(heard(130 * 60.0, ["a", "a", "a", "b"], 0.75))
    voices.share(heard(131 * 60.0, ["kind"], 0.0))
    seen = coordination(voices, 3, 140)
    assert seen.people == 2
    assert seen.repeated == pytest.approx(2 / 5)
    assert coordination(voices, 4, 140) == Coordination(0.0, 0)


def test_five_minutes_are_a_flood_when_many_posts_come_and_few_count():
    many = POLICY.flood * 10
    assert repeats(many, 1, POLICY)
    assert not repeats(many, many, POLICY)
    assert not repeats(POLICY.flood - 1, 0, POLICY)
