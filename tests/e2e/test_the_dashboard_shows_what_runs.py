"""Every panel shows something of the running product, on a real Prometheus that judges every rule."""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from services.demo.standins.__main__ import toml
from services.demo.story import WATCH
from tests.broker import free_port
from tests.e2e.house import House, end_of, house, short_story, write
from tests.monitoring import ALERTS, DEPLOY, panels
from tests.standins import standins

NOTHING_TO_SHOW = {"What people did"}
"""Nobody pressed a button in Slack."""


class Prometheus:
    def __init__(self, url: str) -> None:
        self.url = url

    def ask(self, path: str, **params: str) -> Any:
        answer = httpx.get(f"{self.url}/api/v1/{path}", params=params, timeout=30)
        assert answer.status_code == 200, f"{params}: {answer.text}"
        return answer.json()["data"]

    def empty(self) -> set[str]:
        """Return the panels of which some query brings nothing."""
        return {title for title, query in panels() if not self.ask("query", query=query)["result"]}


@contextmanager
def prometheus(folder: Path, home: House) -> Iterator[Prometheus]:
    """Run it as deploy/ configures it, on the house's addresses and a faster clock."""
    config = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text())
    config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    config["scrape_configs"][0]["static_configs"][0]["targets"] = [
        f"127.0.0.1:{port}" for port in home.ports.values()
    ]
    shutil.copy(DEPLOY / "prometheus" / "rules.yml", folder)
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
    address = f"127.0.0.1:{free_port()}"
    process = subprocess.Popen(
        [
            "prometheus",
            f"--config.file={folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={folder / 'tsdb'}",
            f"--web.listen-address={address}",
        ],
        stdout=subprocess.DEVNULL,
        stderr=(folder / "prometheus.log").open("wb"),
    )
    try:
        yield Prometheus(f"http://{address}")
    finally:
        process.terminate()
        process.wait(30)


def test_every_panel_shows_something_and_every_rule_is_judged(tmp_path: Path) -> None:
    if shutil.which("prometheus") is None:
        pytest.skip("Prometheus is not installed: apt-get install prometheus")
    with standins() as paged:
        config = tmp_path / "uproar.toml"
        config.write_text(WATCH.read_text("utf-8") + toml(paged, "slack"), "utf-8")
        with house(tmp_path) as home, prometheus(tmp_path, home) as watching:
            home.wait("Prometheus", lambda: watching.ask("query", query="up")["result"])
            posts = short_story(seed=7)
            home.replay(write(tmp_path / "story.jsonl", posts))
            home.wait_until_judged(end_of(posts))
            home.wait("the page", lambda: any(m.what == "post" for m in paged.messages))
            home.push([{**posts[-1], "id": "live", "created_at": _now()}])  # a source that is live
            home.wait("every panel", lambda: watching.empty() <= NOTHING_TO_SHOW)
            (group,) = watching.ask("rules")["groups"]
            assert {rule["name"] for rule in group["rules"]} == {rule["alert"] for rule in ALERTS}
            assert {rule["health"] for rule in group["rules"]} == {"ok"}


def _now() -> str:

    return datetime.now(UTC).isoformat()
