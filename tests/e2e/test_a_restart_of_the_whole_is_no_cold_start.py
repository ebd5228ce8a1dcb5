"""The embedded broker forgets all; what detection has learnt, and what was not judged yet, stays."""

from pathlib import Path

from services.demo.story import WATCH, story
from tests.e2e.house import House, backtest, end_of, house, short_story, write
from tests.slowed import slowed


def test_after_a_stop_the_storm_is_judged_by_the_calm_of_before(tmp_path: Path) -> None:
    posts, onset = short_story(seed=4), story(4).onset.isoformat()
    expected = {(event.id, event.page) for event in backtest(write(tmp_path / "all.jsonl", posts))}
    calm = [post for post in posts if post["created_at"] < onset[:16]]
    storm = posts[len(calm) :]

    with house(tmp_path, UPROAR_WATCH=str(WATCH)) as home:
        home.replay(write(tmp_path / "calm.jsonl", calm), "--source", "chirp")
        home.wait_until_judged(end_of(calm))
        assert home.stop() == 0

        home.start()
        assert "was not judged" not in home.output
        home.replay(write(tmp_path / "storm.jsonl", storm), "--source", "chirp")
        home.wait_until_judged(end_of(storm))
        home.wait("all events to arrive", lambda: home.events() >= expected)
        assert home.events() == expected


def test_what_a_power_cut_took_comes_again_with_the_replay(tmp_path: Path) -> None:
    posts = story(5).posts
    file = write(tmp_path / "story.jsonl", posts)
    expected = {(event.id, event.page) for event in backtest(file)}

    with house(tmp_path, UPROAR_WATCH=str(WATCH), UPROAR_CLASSIFIER_SNAPSHOT_SECONDS="1") as home:
        classifier = home.process_of("classifier")
        assert classifier is not None
        with slowed(classifier):  # or a fast machine has scored all before the replay is back
            home.replay(file)
            _wait_for_a_snapshot_in_the_middle(home, len(posts))
        home.kill()

        home.start()
        assert "replay it again, and it goes on there" in home.output
        home.replay(file)
        home.wait_until_judged(end_of(posts))
        home.wait("all events to arrive", lambda: home.events() >= expected)
        assert home.events() == expected


def _wait_for_a_snapshot_in_the_middle(home: House, posts: int) -> None:
    snapshot = home.folder / "data" / "classifier" / "snapshot"
    scored = "uproar_classifier_posts_total"
    home.wait("some posts to be scored", lambda: home.metric("classifier", scored) > 0)
    home.wait("a snapshot", snapshot.exists)
    older = _written(snapshot)
    home.wait("a snapshot that knows of them", lambda: _written(snapshot) > older)
    assert home.metric("classifier", scored) < posts, "too late to be in the middle"


def _written(snapshot: Path) -> int:
    """Return when it was written; 0 for the moment in which the former one is put aside for it."""
    try:
        return snapshot.stat().st_mtime_ns
    except FileNotFoundError:
        return 0
