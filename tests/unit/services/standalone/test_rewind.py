from datetime import datetime, timedelta
from pathlib import Path

from services.classifier import snapshot
from services.classifier.app import SNAPSHOT as WHERE_THE_CLASSIFIER_KEEPS_IT
from services.classifier.detect import FRONTIER
from services.ingest.cursors import Clock, Cursors, Stream
from services.ingest.seen import Seen
from services.standalone.rewind import INGEST, SNAPSHOT, rewind
from tests.build import NOON, a_moment, a_watermark
from uproar.post import PostId
from uproar.watermark import Frontier, State

HOUR = timedelta(hours=1)


def a_stream(folder: Path, **given: object) -> None:
    (folder / INGEST).mkdir(exist_ok=True)
    cursors = Cursors(folder / INGEST)
    defaults = {"source": "press", "clock": Clock.OWN, "state": State.LIVE, "heard_at": NOON}
    defaults |= {"reached": a_moment(minutes=30), "newest": a_moment(minutes=29)}
    cursors.add(Stream(**(defaults | given)))
    cursors.save()


def stream_of(folder: Path, source: str = "press") -> Stream:
    stream = Cursors(folder / INGEST).get(source)
    assert stream is not None
    return stream


def a_snapshot(folder: Path, *reached: datetime, partitions: int | None = None, **times: datetime):
    """One partition for each moment to which it is closed."""
    rows = {}
    for number, moment in enumerate(reached):
        frontier = Frontier()
        frontier.observe(a_watermark(moment))
        rows[b"%d/" % number + FRONTIER] = frontier.dump()
    kept = snapshot.Snapshot(
        epoch="old",
        partitions=partitions or len(reached),
        rows=rows,
        offsets={},
        event_times=times,
        written_at=NOON,
    )
    snapshot.write(folder / SNAPSHOT, kept)


def test_it_looks_where_the_classifier_keeps_its_snapshot() -> None:
    assert SNAPSHOT == WHERE_THE_CLASSIFIER_KEEPS_IT


def test_there_is_nothing_to_rewind_at_the_first_start(tmp_path: Path) -> None:
    assert rewind(tmp_path) == []


def test_a_stream_goes_back_to_an_hour_before_what_was_judged_everywhere(tmp_path: Path) -> None:
    a_stream(tmp_path)
    a_snapshot(tmp_path, a_moment(minutes=20, seconds=40), a_moment(minutes=10, seconds=40))

    (said,) = rewind(tmp_path)

    assert stream_of(tmp_path).reached == a_moment(minutes=10) - HOUR
    assert "press was not judged since 2026-03-02 12:10" in said


def test_a_network_is_read_again_from_there(tmp_path: Path) -> None:
    a_stream(tmp_path, source="bluesky", clock=Clock.NETWORK, cursor="1725911162329308")
    a_snapshot(tmp_path, a_moment(minutes=20))

    (said,) = rewind(tmp_path)

    assert stream_of(tmp_path, "bluesky").cursor is None
    assert stream_of(tmp_path, "bluesky").reached == a_moment(minutes=20) - HOUR
    assert "read again" in said


def test_a_source_that_detection_waits_for_may_ask_for_more(tmp_path: Path) -> None:
    a_stream(tmp_path)
    a_snapshot(tmp_path, a_moment(minutes=20), press=a_moment(minutes=5))
    rewind(tmp_path)
    assert stream_of(tmp_path).reached == a_moment(minutes=5) - HOUR


def test_a_stream_that_was_judged_whole_stays(tmp_path: Path) -> None:
    a_stream(tmp_path, state=State.ENDED)
    a_snapshot(tmp_path, a_moment(minutes=30))

    assert rewind(tmp_path) == []
    assert stream_of(tmp_path).reached == a_moment(minutes=30)
    assert stream_of(tmp_path).state is State.ENDED


def test_an_ended_stream_of_which_something_is_missing_may_go_on(tmp_path: Path) -> None:
    a_stream(tmp_path, state=State.ENDED)
    a_snapshot(tmp_path, a_moment(minutes=20))
    rewind(tmp_path)
    assert stream_of(tmp_path).state is State.BLIND


def test_without_a_snapshot_everything_begins_anew(tmp_path: Path) -> None:
    a_stream(tmp_path)
    (said,) = rewind(tmp_path)
    assert stream_of(tmp_path).reached is None
    assert "its beginning" in said


def test_a_partition_that_kept_nothing_makes_everything_begin_anew(tmp_path: Path) -> None:
    a_stream(tmp_path)
    a_snapshot(tmp_path, a_moment(minutes=20), partitions=2)
    rewind(tmp_path)
    assert stream_of(tmp_path).reached is None


def test_a_live_push_is_asked_for_again_and_keeps_its_clock(tmp_path: Path) -> None:
    a_stream(tmp_path, source="push", clock=Clock.WALL)
    a_snapshot(tmp_path, a_moment(minutes=20))

    (said,) = rewind(tmp_path)

    assert "pushed to push since 2026-03-02 12:20" in said
    assert stream_of(tmp_path, "push").reached == a_moment(minutes=30)


def test_posts_that_were_not_judged_may_be_sent_again_and_older_ones_not(tmp_path: Path) -> None:
    a_stream(tmp_path)
    a_snapshot(tmp_path, a_moment(minutes=20))
    seen = Seen(tmp_path / INGEST)
    seen.remember([(PostId("a:old"), NOON - HOUR), (PostId("a:new"), a_moment(minutes=25))])
    seen.close()

    rewind(tmp_path)

    after = Seen(tmp_path / INGEST)
    assert PostId("a:old") in after
    assert PostId("a:new") not in after
