from datetime import timedelta

import pytest

from services.ingest import cursors
from services.ingest.cursors import Clock, Conflict, Cursors, Stream
from tests.unit.services.ingest.fakes import NOW
from uproar.errors import Misconfigured
from uproar.watermark import State


def a_stream(source="storm", **given) -> Stream:
    fields = {"clock": Clock.OWN, "state": State.LIVE, "heard_at": NOW, "reached": NOW}
    return Stream(source=source, **fields | given)


def test_streams_survive_a_restart(tmp_path):
    kept = Cursors(tmp_path)
    kept.add(a_stream(newest=NOW, last_post_at=NOW))
    kept.save()
    assert Cursors(tmp_path).get("storm") == a_stream(newest=NOW, last_post_at=NOW)


def test_a_broken_file_stops_the_process_and_says_which(tmp_path):
    (tmp_path / "cursors.json").write_text("{")
    with pytest.raises(Misconfigured, match=r"cursors\.json"):
        Cursors(tmp_path)


def test_a_stream_never_goes_back():
    stream = a_stream()
    stream.move(NOW - timedelta(minutes=1))
    assert stream.reached == NOW
    stream.move(None)
    assert stream.reached == NOW


def test_a_stream_ends_with_the_minute_of_its_last_post():
    stream = a_stream(newest=NOW + timedelta(seconds=61))
    stream.end()
    assert (stream.state, stream.reached) == (State.ENDED, NOW + timedelta(minutes=2))


def test_a_stream_that_has_come_further_than_its_last_post_ends_there():
    stream = a_stream(reached=NOW + timedelta(hours=1), newest=NOW)
    stream.end()
    assert stream.reached == NOW + timedelta(hours=1)


def test_only_a_stream_of_its_own_time_has_a_cursor():
    assert a_stream().report(NOW).cursor == NOW.isoformat()
    assert a_stream(clock=Clock.WALL).report(NOW).cursor is None


def test_there_are_not_endlessly_many_and_those_that_ended_go_first(tmp_path, monkeypatch):
    monkeypatch.setattr(cursors, "MAX_STREAMS", 2)
    kept = Cursors(tmp_path)
    kept.add(a_stream("ended", state=State.ENDED))
    kept.add(a_stream("live"))
    kept.check_room()
    assert kept.add(a_stream("new")) == ["ended"]
    assert {stream.source for stream in kept} == {"live", "new"}
    with pytest.raises(Conflict, match="end one"):
        kept.check_room()


def test_whose_posts_are_on_their_way_is_added_all_the_same(tmp_path, monkeypatch):
    monkeypatch.setattr(cursors, "MAX_STREAMS", 1)
    kept = Cursors(tmp_path)
    kept.add(a_stream("live"))
    assert kept.add(a_stream("sent already", state=State.ENDED)) == []
    assert kept.add(a_stream("next")) == ["sent already"]
