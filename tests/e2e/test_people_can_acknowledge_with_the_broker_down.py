"""Without a broker people still read, acknowledge and are told; also when started without one."""

from pathlib import Path

from services.demo.standins import StandIns
from services.demo.standins.__main__ import toml
from services.demo.story import WATCH
from tests.broker import a_broker
from tests.e2e.house import House, end_of, house, short_story, write
from tests.standins import standins


def test_an_acknowledgement_reaches_slack_with_the_broker_down(tmp_path: Path) -> None:
    with standins() as paged:
        _acknowledged(tmp_path, paged)


def _acknowledged(tmp_path: Path, standins: StandIns) -> None:
    config = tmp_path / "uproar.toml"
    config.write_text(WATCH.read_text("utf-8") + toml(standins), "utf-8")
    broker = a_broker()
    try:
        broker.start()
        with house(tmp_path, **broker.address.environment) as home:
            posts = short_story(seed=7)
            home.replay(write(tmp_path / "story.jsonl", posts))
            home.wait_until_judged(end_of(posts))
            (incident,) = home.wait("an incident", lambda: home.items("/v1/incidents"))
            home.wait("its page", lambda: _slack(standins, "post"))

            broker.kill()
            _acknowledge(home, incident["id"])
            home.wait("Slack to hear of it", lambda: _slack(standins, "reply", "test is on it"))
            assert home.stop() == 0

            home.start(until="waiting for the broker")
            assert home.ask("GET", "/v1/status").json()["status"] == "degraded"
            resolved = home.ask("POST", f"/v1/incidents/{incident['id']}/resolve")
            assert resolved.status_code == 200, resolved.text
            home.wait("Slack to hear of it", lambda: _slack(standins, "reply", "test closed it"))
    finally:
        broker.remove()


def _acknowledge(home: House, incident: str) -> None:
    done = home.ask("POST", f"/v1/incidents/{incident}/acknowledge", json={"note": "we are on it"})
    assert done.status_code == 200, done.text
    assert home.ask("GET", f"/v1/incidents/{incident}").json()["status"] == "acknowledged"


def _slack(standins: StandIns, *words: str) -> bool:
    return any(
        all(word in f"{m.what} {m.text} {m.body}" for word in words)
        for m in standins.messages
        if m.service == "slack"
    )
