"""Back-pressure: a classifier ten times too slow stalls nobody, loses nothing, and its page says how late."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx

from services.demo.standins import StandIns
from services.demo.standins.__main__ import toml
from services.demo.story import WATCH, story
from tests.e2e.house import House, backtest, house, write
from tests.slowed import slowed
from tests.standins import standins

LAG = "uproar_classifier_lag_records"
EVENT_TIME = "uproar_classifier_event_time_timestamp_seconds"


def recent(seed: int) -> list[dict[str, Any]]:
    """The demo's story as if it had ended half an hour ago: what an outage leaves to catch up on."""
    posts = sorted(story(seed).posts, key=lambda post: str(post["created_at"]))
    last = datetime.fromisoformat(posts[-1]["created_at"])
    later = datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=30) - last
    return [post | {"created_at": _moved(post, later)} for post in posts]


def _moved(post: dict[str, Any], by: timedelta) -> str:
    return (datetime.fromisoformat(post["created_at"]) + by).isoformat()


def push(home: House, posts: list[dict[str, Any]]) -> int:
    """Push posts as a stream of its own time, and leave it open; returns how many were accepted."""
    accepted = 0
    for place in range(0, len(posts), 200):
        batch = posts[place : place + 200]
        answer = home.push(batch, source="storm", up_to=batch[-1]["created_at"])
        assert answer.status_code == 202, answer.text
        accepted += answer.json()["accepted"]
    return accepted


def test_a_classifier_ten_times_too_slow(tmp_path: Path) -> None:
    with standins() as paged:
        catches_up(tmp_path, paged)


def catches_up(tmp_path: Path, paged: StandIns) -> None:
    posts = recent(seed=3)
    expected = {(e.id, e.page) for e in backtest(write(tmp_path / "storm.jsonl", posts))}
    assert any(page for _, page in expected)
    end = posts[-1]["created_at"]
    config = tmp_path / "uproar.toml"
    config.write_text(WATCH.read_text("utf-8") + toml(paged), "utf-8")

    with house(tmp_path) as home:
        classifier = home.process_of("classifier")
        assert classifier is not None
        with slowed(classifier):
            accepted = push(home, posts)
            scored = home.metric("classifier", "uproar_classifier_posts_total")
            assert scored < accepted / 2, "it is not slow enough to be behind"

            # It is told: records that wait, event time that detection has not, the status page.
            assert home.metric("classifier", LAG) > 0
            there = home.metric("ingest", "uproar_ingest_event_time_seconds")
            assert there - home.metric("classifier", EVENT_TIME) > 3600
            home.wait("the status to say how far it is behind", lambda: lag(home, end) > 3600)

            # Nobody else waits: posts are taken, people are answered, the process is alive.
            assert home.push([], source="storm", up_to=end).status_code == 202
            assert home.ask("GET", "/v1/incidents").status_code == 200
            assert httpx.get(home.url("classifier", "/live"), timeout=60).is_success
            assert httpx.get(home.url("ingest", "/ready"), timeout=60).is_success
            home.wait(
                "it to go on, slowly",
                lambda: home.metric("classifier", "uproar_classifier_posts_total") > scored,
            )
            assert home.process_of("classifier") == classifier

        home.push([], source="storm", up_to=end, end="true")
        home.wait_until_judged(datetime.fromisoformat(end))
        home.wait("all events to arrive", lambda: home.events() >= expected)
        assert home.events() == expected
        assert home.metric("classifier", "uproar_classifier_posts_total") == accepted
        home.wait("the lag to be gone", lambda: not home.metric("classifier", LAG))
        home.wait("the page to say so", lambda: any("late" in said for said in told(paged)))


def lag(home: House, end: str) -> float:
    """What /v1/status says; the stream is kept alive meanwhile."""
    home.push([], source="storm", up_to=end)
    status = httpx.get(home.url("alerter", "/v1/status"), timeout=60).json()
    return float(status["pipeline"]["lag_seconds"] or 0)


def told(paged: StandIns) -> list[str]:
    return [said for m in paged.messages if "detected" in (said := f"{m.text} {m.body}")]
