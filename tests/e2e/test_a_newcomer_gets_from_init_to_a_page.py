"""Who follows the README gets from `uproar init` to a page for a brand of their own."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.broker import free_port, listens
from tests.e2e.house import UPROAR, House, end_of, short_story, write

BRAND, HANDLE = "Tessellate Coffee", "@tessellate"


@pytest.fixture
def slack(tmp_path: Path) -> Iterator[str]:
    """`python -m services.demo.standins --port N`, as the README says."""
    port = free_port()
    command = [sys.executable, "-P", "-m", "services.demo.standins", "--port", str(port)]
    process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL)
    while not listens(port):
        assert process.poll() is None
    yield f"http://127.0.0.1:{port}"
    process.terminate()
    process.wait()


def test_init_up_replay_and_there_is_the_page(tmp_path: Path, slack: str) -> None:
    home = House(tmp_path)
    told = ["--name", BRAND, "--handle", HANDLE, "--receiver", "local", "--url", slack, "--yes"]
    init = subprocess.run(
        [*UPROAR, "init", *told], cwd=tmp_path, env=home.env, capture_output=True, text=True
    )
    assert init.returncode == 0, init.stderr
    assert init.stdout.rstrip().endswith("next: uproar up")
    (trial,) = httpx.get(f"{slack}/messages").json()["items"]
    assert "uproar" in trial["text"]

    home.start()
    try:
        posts = [_about_the_brand(post) for post in short_story(seed=8)]
        done = home.replay(write(tmp_path / "posts.jsonl", posts))
        assert "0 rejected" not in done.stdout
        home.wait_until_judged(end_of(posts))
        home.wait("the page", lambda: _pages(slack))
        assert home.stop() == 0
    finally:
        home.kill_if_alive()


def _about_the_brand(post: dict[str, str]) -> dict[str, str]:
    text = post["text"]
    for name in ("Air Quillon", "AirQuillon", "air quillon", "airquillon", "Quillon", "quillon"):
        text = text.replace(f"@{name}", HANDLE).replace(name, BRAND)
    author = HANDLE if post["author"] == "@airquillon" else post["author"]
    return post | {"text": text, "author": author}


def _pages(slack: str) -> bool:
    messages = httpx.get(f"{slack}/messages").json()["items"]
    return any(BRAND in message["text"] and message["what"] == "post" for message in messages)
