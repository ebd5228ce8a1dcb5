"""When the embedded broker dies, everything starts again with a new one, and goes on."""

from pathlib import Path

from services.demo.story import WATCH
from tests.e2e.house import backtest, end_of, house, short_story, write


def test_a_replay_goes_on_with_the_next_broker(tmp_path: Path) -> None:
    posts = short_story(seed=9)
    file = write(tmp_path / "story.jsonl", posts)
    expected = {(event.id, event.page) for event in backtest(file)}

    with house(tmp_path, UPROAR_WATCH=str(WATCH)) as home:
        home.replay(file)
        home.kill_service("broker")
        home.wait("the news", lambda: "the embedded broker has ended" in home.output)
        home.wait("the next life", lambda: home.output.count("ready again") == 1)
        home.replay(file)
        home.wait_until_judged(end_of(posts))
        home.wait("all events to arrive", lambda: home.events() >= expected)
        assert home.events() == expected
        assert home.stop() == 0
