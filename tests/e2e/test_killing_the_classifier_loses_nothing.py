"""SIGKILL in the middle of a replay: no post is lost, and no second incident opens."""

from pathlib import Path

from services.demo.story import WATCH, story
from tests.e2e.house import backtest, end_of, house, write
from tests.slowed import slowed


def test_a_classifier_killed_in_mid_replay_says_what_the_backtest_says(tmp_path: Path) -> None:
    posts = story(3).posts
    file = write(tmp_path / "story.jsonl", posts)
    expected = {(event.id, event.page) for event in backtest(file)}
    assert any(page for _, page in expected)

    with house(tmp_path, UPROAR_WATCH=str(WATCH)) as home:
        scored, slow = "uproar_classifier_posts_total", home.process_of("classifier")
        assert slow is not None
        with slowed(slow):  # or a fast machine has scored all before the replay is back
            home.replay(file)
            home.wait("some posts to be scored", lambda: home.metric("classifier", scored) > 0)
            assert home.metric("classifier", scored) < len(posts), "too late to be in the middle"
        killed = home.kill_service("classifier")
        home.wait(
            "another classifier", lambda: home._children().get("classifier") not in {None, killed}
        )
        home.wait_until_judged(end_of(posts))
        home.wait("all events to arrive", lambda: home.events() >= expected)

        assert home.events() == expected
        assert len(home.items("/v1/incidents")) == len({e.incident for e in backtest(file)})
        assert "classifier has ended (signal 9)" in home.output
