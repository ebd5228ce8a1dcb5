"""services/backtest/plot.py: a picture for each subject of which anything was heard."""

from datetime import timedelta
from pathlib import Path

from services.backtest.plot import _by_hour, draw
from tests.build import NOON, a_backlash, a_reading, a_subject
from uproar.backlash import Event


def test_a_subject_that_was_heard_of_is_drawn_and_another_is_not(tmp_path: Path):
    readings = [a_reading(NOON + timedelta(minutes=5 * n), certainty=4.0) for n in range(30)]
    events = [a_backlash(), a_backlash(Event.ENDED, sequence=1, at=NOON + timedelta(hours=2))]
    paths = draw(tmp_path / "new", [a_subject(), a_subject("ben")], readings, events)
    assert [path.name for path in paths] == ["air-quillon.png"]
    assert paths[0].read_bytes().startswith(b"\x89PNG")


def test_the_band_is_what_chance_and_doubt_about_the_usual_add_to_it():
    reading = a_reading(
        NOON + timedelta(minutes=5), baseline=4.0, window_seconds=3600, certainty=4.0
    )
    hours, posts, negative, usual, most = _by_hour([reading])
    assert (hours, posts, negative, usual) == ([NOON], [10], [3.0], [4.0])
    assert most == [4.0 + 2 * (4.0 + 16.0 / 4) ** 0.5]
