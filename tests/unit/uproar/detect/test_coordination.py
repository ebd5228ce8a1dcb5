"""Whether a wave is a few voices that repeat themselves."""

import numpy as np
import pytest

from uproar.detect import baseline
from uproar.detect.coordination import Coordination, coordination, repeats
from uproar.detect.policy import ALERT, CRISIS, WATCH, Policy
from uproar.detect.tally import add_counts
from uproar.watch import Row, Table

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


def row_at(minute: int, table: Table) -> Row:
    baseline.advance(table, np.array([minute // 5]), POLICY)
    return Row(table, 0)


def test_it_looks_at_the_last_hour():
    table, begin = Table(1), 480_000 * 60
    baseline.born(table, np.array([begin // 5]))
    assert coordination(row_at(begin, table)) == Coordination(0.0, 0.0)
    for minute, negative, counted, said in ((0, 1.0, 1, 90), (70, 1.5, 3, 5), (72, 0.0, 0, 5)):
        row_at(begin + minute, table)
        add_counts(table, begin + minute, *(np.array([n]) for n in (negative, counted, said)))
    seen = coordination(row_at(begin + 80, table))
    assert seen.people == 1.5
    assert seen.repeated == pytest.approx(0.7)


def test_a_count_that_does_not_fit_stays_at_its_greatest():
    table, begin = Table(1), 480_000 * 60
    baseline.born(table, np.array([begin // 5]))
    for _ in range(2):
        add_counts(table, begin, np.array([1.0]), np.array([70_000.0]), np.array([70_000]))
    assert coordination(Row(table, 0)).repeated == 0.0


def test_five_minutes_are_a_flood_when_many_posts_come_and_few_count():
    many = POLICY.flood * 10
    assert repeats(many, 1, POLICY)
    assert not repeats(many, many, POLICY)
    assert not repeats(POLICY.flood - 1, 0, POLICY)
