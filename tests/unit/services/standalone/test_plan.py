import os
import socket
import stat
from pathlib import Path

import httpx
import pytest

from services.process import Exit
from services.standalone.lock import locked
from services.standalone.plan import Plan, where_to_push
from services.standalone.run import _how, _missing
from uproar.errors import Malformed, Misconfigured

WATCH = '[[subject]]\nid = "acme"\nname = "Acme"\n'


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_without_an_environment_everything_is_embedded_and_of_this_machine() -> None:
    plan = Plan.load()
    assert plan.kafka is None
    assert plan.watched() == 0
    assert plan.addresses() == {
        "ingest": "http://127.0.0.1:8081",
        "classifier": "http://127.0.0.1:8082",
        "alerter": "http://127.0.0.1:8080",
    }


def test_a_broker_in_the_environment_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UPROAR_KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:9092")
    assert Plan.load().kafka == "127.0.0.1:9092"


def test_the_file_that_init_writes_is_found_without_being_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("UPROAR_CONFIG", "")
    Path("uproar.toml").write_text(WATCH)
    plan = Plan.load()
    assert plan.watched() == 1
    assert plan.environment(servers="x:1", epoch=None)["UPROAR_CONFIG"] == os.path.abspath(
        "uproar.toml"
    )


def test_a_wrong_file_is_told_before_anything_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("watch.toml").write_text('[[subject]]\nid = "acme"\n')
    monkeypatch.setenv("UPROAR_WATCH", "watch.toml")
    with pytest.raises((Misconfigured, Malformed), match="name missing"):
        Plan.load().watched()


def test_only_an_embedded_broker_has_an_epoch_and_needs_snapshots(tmp_path: Path) -> None:
    (tmp_path / ".uproar").mkdir()
    plan = Plan.load()
    embedded = plan.environment(servers="x:1", epoch="e1")
    assert embedded["UPROAR_KAFKA_EPOCH"] == "e1"
    assert embedded["UPROAR_CLASSIFIER_SNAPSHOT"] == "true"
    assert embedded["UPROAR_DATA_DIR"] == str(tmp_path / ".uproar")
    assert "UPROAR_KAFKA_EPOCH" not in plan.environment(servers="x:1", epoch=None)


def test_a_token_is_made_once_for_its_owner_and_found_by_who_pushes(tmp_path: Path) -> None:
    (tmp_path / ".uproar").mkdir()
    file = Plan.load().token_file()
    assert file is not None
    token = file.read_text()
    assert len(token) >= 32
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert Plan.load().token_file() == file
    assert file.read_text() == token
    assert where_to_push(None, None) == ("http://127.0.0.1:8081", token)
    assert where_to_push("https://far.example", "mine") == ("https://far.example", "mine")


def test_a_token_of_the_environment_comes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UPROAR_INGEST_TOKEN", "theirs")
    assert Plan.load().token_file() is None
    assert where_to_push(None, None)[1] == "theirs"


def test_each_port_that_is_taken_is_named_with_its_variable(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as one:
        port = one.getsockname()[1]
        monkeypatch.setenv("UPROAR_ALERTER_PORT", str(port))
        monkeypatch.setenv("UPROAR_INGEST_PORT", str(port))
        monkeypatch.setenv("UPROAR_CLASSIFIER_PORT", "1" if os.geteuid() else str(port))
        with pytest.raises(Misconfigured) as error:
            Plan.load().check_ports()
    for name in ("INGEST", "CLASSIFIER", "ALERTER"):
        assert f"set UPROAR_{name}_PORT" in str(error.value)


def test_an_open_host_is_reached_on_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UPROAR_ALERTER_HOST", "0.0.0.0")
    assert Plan.load().addresses()["alerter"] == "http://127.0.0.1:8080"


def test_a_data_folder_has_one_owner_at_a_time(tmp_path: Path) -> None:
    with locked(tmp_path / "data"):
        with (
            pytest.raises(Misconfigured, match=f"process {os.getpid()}"),
            locked(tmp_path / "data"),
        ):
            pass
    with locked(tmp_path / "data"):
        pass


def test_a_folder_that_cannot_be_made_is_told() -> None:
    with pytest.raises(Misconfigured, match="UPROAR_DATA_DIR"), locked(Path("/dev/null/data")):
        pass


@pytest.mark.parametrize(
    ("code", "body", "lacks"),
    [
        (200, {"ready": True}, ""),
        (503, {"ready": False, "problems": {"model": "loading"}}, "model: loading"),
        (200, {"ready": True, "degraded": {"publish": "no broker"}}, "publish: no broker"),
        (200, {"ready": True, "degraded": {"deliver": "Slack is away"}}, ""),
        (404, {"detail": "Not Found"}, "not ready"),
    ],
)
async def test_what_a_service_lacks_is_what_it_says(code: int, body: object, lacks: str) -> None:
    answer = httpx.MockTransport(lambda _: httpx.Response(code, json=body))
    async with httpx.AsyncClient(transport=answer, base_url="http://x") as http:
        assert await _missing(http) == lacks


async def test_a_service_that_does_not_answer_is_waited_for() -> None:
    async with httpx.AsyncClient(base_url="http://127.0.0.1:9") as http:
        assert await _missing(http) == "it does not answer yet"


def test_the_end_of_a_service_is_put_into_words() -> None:
    assert _how(-9) == "signal 9"
    assert _how(1) == "exit code 1"
    assert _how(Exit.BUG).startswith("exit code 70: a bug")
