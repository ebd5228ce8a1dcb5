"""The one event that crosses from detection to incidents; its ids say what it says."""

from datetime import timedelta

import pytest

from tests.build import NOON, a_backlash
from uproar.backlash import (
    MAX_EVIDENCE,
    Engagement,
    Event,
    Forecast,
    Level,
    Narrative,
    backlash_id,
    episode_id,
)
from uproar.topics import BACKLASH


def test_levels_rise_from_watch_to_crisis():
    assert [level.rank for level in (Level.WATCH, Level.ALERT, Level.CRISIS)] == [0, 1, 2]


def test_an_episode_is_named_by_subject_and_opening():
    name = episode_id("a", NOON)
    assert name == episode_id("a", NOON)
    assert name.startswith("e_")
    assert len({name, episode_id("b", NOON), episode_id("a", NOON + timedelta(minutes=1))}) == 3


def test_an_event_is_named_by_its_place_in_the_episode():
    name = backlash_id("e_1", 0, Event.OPENED)
    assert name == backlash_id("e_1", 0, Event.OPENED)
    assert name.startswith("b_")
    others = {
        backlash_id("e_1", 1, Event.OPENED),
        backlash_id("e_1", 0, Event.GREW),
        backlash_id("e_2", 0, Event.OPENED),
    }
    assert len({name, *others}) == 4


def test_names_do_not_run_into_each_other():
    assert backlash_id("e_1", 11, Event.GREW) != backlash_id("e_11", 1, Event.GREW)


def test_evidence_is_limited_as_published():
    assert MAX_EVIDENCE == 8


@pytest.mark.parametrize("event", list(Event))
def test_an_event_is_read_as_it_was_written(event):
    value = a_backlash(event, sequence=2)
    assert BACKLASH.codec.decode(BACKLASH.codec.encode(value)) == value


def test_what_comes_later_has_its_place_already():
    value = a_backlash(
        narratives=(Narrative(title="the guitar", posts=4, evidence=("push:1",)),),
        forecast=Forecast(horizon_seconds=3600, posts=80.0),
        coordination=0.2,
        engagement=Engagement(views=10),
    )
    assert BACKLASH.codec.decode(BACKLASH.codec.encode(value)) == value
