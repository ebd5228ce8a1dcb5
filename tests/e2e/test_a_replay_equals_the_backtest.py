"""A replay gives the events of `uproar backtest`, over any number of partitions and at any speed."""

from pathlib import Path

import pytest

from services.demo.story import WATCH
from tests.e2e.house import backtest, end_of, house, short_story, write


@pytest.mark.parametrize(("partitions", "options"), [(1, ()), (4, ("--speed", "20000")), (12, ())])
def test_the_events_are_those_of_the_backtest(
    tmp_path: Path, partitions: int, options: tuple[str, ...]
) -> None:
    posts = short_story(seed=6)
    file = write(tmp_path / "story.jsonl", posts)
    expected = {(event.id, event.page) for event in backtest(file)}
    assert any(page for _, page in expected)

    settings = {"UPROAR_WATCH": str(WATCH), "UPROAR_KAFKA_PARTITIONS": str(partitions)}
    with house(tmp_path, **settings) as home:
        home.replay(file, *options)
        home.wait_until_judged(end_of(posts))
        home.wait("all events to arrive", lambda: home.events() >= expected)
        assert home.events() == expected
        assert home.stop() == 0
