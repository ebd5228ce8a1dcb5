"""`uproar privacy`: what a person types, against a database with an author in it."""

import asyncio
import json
from pathlib import Path

import pytest

from services.alerter.advance import Advancer
from services.alerter.store.incidents import Arrival
from services.cli import MISCONFIGURED, run
from services.pseudonyms import PseudonymSettings
from tests.build import NOON, a_backlash, some_evidence
from tests.databases import migrated, sqlite_url
from uproar.post import pseudonym

TEXT = "they broke \x1b]0;owned\x07\x9b31m\u202e my cello"


@pytest.fixture
def stored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Jane, cited under a key that has been rotated since."""
    monkeypatch.setenv("UPROAR_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("UPROAR_DATABASE_URL", sqlite_url(tmp_path))
    author = pseudonym("@Jane", "push", PseudonymSettings.load().secret_of_pseudonyms())

    async def hear() -> None:
        async with migrated(sqlite_url(tmp_path)) as database:
            advancer = Advancer(
                database,
                routes=[],
                console_url="http://x",
                clock=lambda: NOON,
                written=asyncio.Event(),
            )
            evidence = (some_evidence("push:1", text=TEXT, author=author),)
            await advancer.hear(a_backlash(evidence=evidence), Arrival())

    asyncio.run(hear())
    assert run(["privacy", "rotate"]) == 0


def test_an_author_is_found_erased_and_gone(
    stored: None, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["privacy", "find", "--author", "@jane", "--json"]) == 0
    (line,) = capsys.readouterr().out.splitlines()[-1:]
    assert json.loads(line)["text"] == TEXT
    assert run(["privacy", "erase", "--author", "jane", "--yes"]) == 0
    said = capsys.readouterr().out
    assert "erased in 1 places" in said
    assert "what comes later on bluesky, push is blanked" in said
    assert run(["privacy", "find", "--author", "JANE"]) == 0
    shown = capsys.readouterr()
    assert (shown.out, shown.err.splitlines()[0]) == ("", "0 places")


@pytest.mark.parametrize(
    ("author", "network", "hinted"),
    [
        ("@jane.example", (), True),
        ("@jane.example", ("--network", " Bluesky"), True),
        ("@jane", ("--network", "push"), False),
        ("did:plc:abc", (), False),
        ("a_0123456789abcdef", (), False),
    ],
)
def test_who_gives_a_handle_hears_that_bluesky_knows_another_name(
    stored: None,
    capsys: pytest.CaptureFixture[str],
    author: str,
    network: tuple[str, ...],
    hinted: bool,
) -> None:
    for command in (["find"], ["erase", "--yes"]):
        capsys.readouterr()
        assert run(["privacy", *command, "--author", author, *network]) == 0
        assert ("did:plc:" in capsys.readouterr().err) is hinted


def test_a_rotation_says_that_who_was_erased_must_be_erased_again(
    stored: None, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    assert run(["privacy", "rotate"]) == 0
    assert "`uproar privacy erase --author ...` once more" in capsys.readouterr().out


def test_what_a_stranger_wrote_cannot_steer_the_terminal(
    stored: None, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    for shape in ((), ("--json",)):
        assert run(["privacy", "find", "--author", "@jane", *shape]) == 0
        shown = capsys.readouterr().out
        assert "my cello" in shown
        assert all(char.isprintable() for char in shown.rstrip("\n"))


def test_another_network_or_nobody_is_not_found(
    stored: None, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    assert run(["privacy", "find", "--author", "@jane", "--network", "mastodon"]) == 0
    assert run(["privacy", "find", "--author", "@john"]) == 0
    assert capsys.readouterr().out == ""
    assert run(["privacy", "find", "--author", " "]) == 1


def test_without_the_key_it_says_what_to_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("UPROAR_DATA_DIR", str(tmp_path))
    assert run(["privacy", "erase", "--author", "@jane", "--yes"]) == MISCONFIGURED
    assert "UPROAR_PSEUDONYM_KEY" in capsys.readouterr().err
