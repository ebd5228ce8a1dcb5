"""The life of an episode, step by step."""

from dataclasses import replace

import pytest

from uproar.backlash import Event, Level
from uproar.detect import episode
from uproar.detect.episode import Change, Episode, Seen, step
from uproar.detect.policy import Policy
from uproar.watch import Row, Table

POLICY = Policy()


def seen(minute: int, level: Level | None = None, **given) -> Seen:
    defaults = {
        "lively": level is not None,
        "loud": level is not None,
        "excess": 10.0 if level else 0.0,
        "negative": 10.0,
        "posts": 12,
    }
    return Seen(minute=minute, level=level, **defaults | given)


def an_episode(**given) -> Episode:
    defaults = {"opened": 100, "level": Level.ALERT, "sequence": 1, "announced": 10.0, "size": 10.0}
    return Episode(**defaults | {"peak": 10.0} | given)


def test_nothing_opens_below_watch():
    assert step(None, seen(100), POLICY) == (None, None)


@pytest.mark.parametrize(
    ("level", "page"), [(Level.WATCH, False), (Level.ALERT, True), (Level.CRISIS, True)]
)
def test_it_opens_at_its_level_and_pages_from_alert_on(level: Level, page: bool):
    after, change = step(None, seen(100, level), POLICY)
    assert change == Change(event=Event.OPENED, sequence=0, level=level, page=page)
    assert (after.opened, after.posts, after.size, after.sequence) == (100, 12, 10.0, 1)


@pytest.mark.parametrize(
    ("before", "level", "page"),
    [
        (Level.WATCH, Level.ALERT, True),
        (Level.WATCH, Level.CRISIS, True),
        (Level.ALERT, Level.CRISIS, True),
    ],
)
def test_it_grows_and_pages_when_its_level_rises(before: Level, level: Level, page: bool):
    after, change = step(an_episode(level=before), seen(110, level), POLICY)
    assert change == Change(event=Event.GREW, sequence=1, level=level, page=page)
    assert after.level is level


@pytest.mark.parametrize("level", [Level.WATCH, Level.ALERT])
def test_at_the_same_level_or_below_it_says_nothing(level: Level):
    after, change = step(an_episode(), seen(110, level), POLICY)
    assert change is None
    assert after.level is Level.ALERT


def test_it_grows_without_a_page_when_its_size_has_doubled():
    after, change = step(an_episode(size=20.0), seen(110, Level.WATCH), POLICY)
    assert change == Change(event=Event.GREW, sequence=1, level=Level.ALERT)
    assert after.announced == 20.0
    assert step(after, seen(111, Level.WATCH), POLICY)[1] is None


def test_a_doubled_size_below_watch_says_nothing():
    assert step(an_episode(size=20.0), seen(110), POLICY)[1] is None


def test_it_subsides_after_an_hour_much_lower_than_at_its_peak():
    quiet = seen(200, loud=True, excess=2.0)
    after, change = step(an_episode(), quiet, POLICY)
    assert change is None
    assert step(after, replace(quiet, minute=259), POLICY)[1] is None
    after, change = step(after, replace(quiet, minute=260), POLICY)
    assert change == Change(event=Event.SUBSIDED, sequence=1, level=Level.ALERT)
    assert step(after, replace(quiet, minute=400), POLICY)[1] is None


def test_a_lively_hour_begins_the_quiet_anew():
    after, _ = step(an_episode(), seen(200, loud=True, excess=2.0), POLICY)
    after, _ = step(after, seen(230, loud=True, excess=6.0), POLICY)
    assert step(after, seen(260, loud=True, excess=2.0), POLICY)[1] is None


def test_it_grows_when_it_flares_up_again_and_can_subside_once_more():
    after, change = step(an_episode(subsided=True), seen(300, Level.WATCH), POLICY)
    assert (change.event, change.page) == (Event.GREW, False)
    after, _ = step(after, seen(310, loud=True, excess=1.0), POLICY)
    assert step(after, seen(370, loud=True, excess=1.0), POLICY)[1].event is Event.SUBSIDED


def test_what_only_the_long_windows_remember_is_no_flare():
    old = seen(300, Level.WATCH, lively=False, excess=1.0)
    assert step(an_episode(subsided=True), old, POLICY)[1] is None


def test_it_ends_when_no_window_was_above_watch_for_six_hours():
    after, _ = step(an_episode(subsided=True), seen(300), POLICY)
    assert step(after, seen(659), POLICY)[1] is None
    assert step(after, seen(660), POLICY)[1] == Change(
        event=Event.ENDED, sequence=1, level=Level.ALERT
    )


def test_a_loud_window_behind_a_shut_gate_keeps_it_open():
    after, _ = step(an_episode(subsided=True), seen(300), POLICY)
    after, _ = step(after, seen(600, loud=True), POLICY)
    assert step(after, seen(700), POLICY)[1] is None


@pytest.mark.parametrize("level", list(Level))
def test_a_row_keeps_an_episode(level: Level):
    row = Row(Table(1), 0)
    assert episode.read(row) is None
    whole = an_episode(level=level, subsided=True, posts=7, size=3.5, quiet=5, calm=6)
    episode.write(row, whole)
    assert episode.read(row) == whole
    row.change("sketch")[0] = 9
    episode.write(row, None)
    assert episode.read(row) is None
    assert not row["sketch"].any()
