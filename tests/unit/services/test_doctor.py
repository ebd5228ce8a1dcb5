import asyncio
import json
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from shutil import which

import pytest

from services.alerter.store.database import Database
from services.alerter.store.migrate import migrate
from services.broker import KafkaSettings
from services.cli import run
from services.demo.standins import StandIns
from services.demo.standins.__main__ import toml
from services.demo.story import WATCH
from services.doctor import (
    Finding,
    State,
    _database,
    _knock,
    _networks,
    _topics,
    _turned_away,
    examine,
)
from services.standalone.plan import Plan
from tests.broker import free_port


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("INGEST", "CLASSIFIER", "ALERTER"):
        monkeypatch.setenv(f"UPROAR_{name}_PORT", str(free_port()))


@contextmanager
def listener(context: ssl.SSLContext | None = None) -> Iterator[str]:
    """Somebody who takes connections, and says nothing before he is spoken to."""
    server = socket.create_server(("127.0.0.1", 0))
    over = threading.Event()

    def serve() -> None:
        while not over.is_set():
            try:
                plain, _ = server.accept()
                client = context.wrap_socket(plain, server_side=True) if context else plain
                client.recv(1)
                client.close()
            except OSError:
                continue

    thread = threading.Thread(target=serve)
    thread.start()
    yield f"127.0.0.1:{server.getsockname()[1]}"
    over.set()
    with socket.socket() as last:
        last.connect(server.getsockname())
    thread.join()
    server.close()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if which("openssl") is None:
        pytest.skip("openssl is needed to make a certificate")
    folder = tmp_path_factory.mktemp("tls")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj",
         "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout",
         folder / "key.pem", "-out", folder / "cert.pem"],
        check=True, capture_output=True,
    )  # fmt: skip
    return folder / "cert.pem"


def served_by(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, certificate.with_name("key.pem"))
    return context


def kafka(monkeypatch: pytest.MonkeyPatch, **settings: str) -> KafkaSettings:
    for name, value in settings.items():
        monkeypatch.setenv(f"UPROAR_KAFKA_{name.upper()}", value)
    return KafkaSettings.load()


def test_nobody_there_and_no_such_name_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = kafka(monkeypatch)
    refused = _knock(settings, f"127.0.0.1:{free_port()}")
    assert refused is not None
    assert "refused" in refused.says
    unknown = _knock(settings, "nowhere.invalid:9092")
    assert unknown is not None
    assert "refused" not in unknown.says
    odd = _knock(settings, "kafka")
    assert odd is not None
    assert "no host:port" in odd.says


def test_a_plain_port_is_fine_in_plain_and_told_in_tls(monkeypatch: pytest.MonkeyPatch) -> None:
    with listener() as server:
        assert _knock(kafka(monkeypatch), server) is None
        wrong = _knock(kafka(monkeypatch, security_protocol="SSL"), server)
    assert wrong is not None
    assert "does not speak TLS" in wrong.says


def test_a_tls_port_is_told_in_plain(monkeypatch: pytest.MonkeyPatch, certificate: Path) -> None:
    with listener(served_by(certificate)) as server:
        wrong = _knock(kafka(monkeypatch), server)
    assert wrong is not None
    assert "speaks TLS, and we do not" in wrong.says
    assert "UPROAR_KAFKA_SECURITY_PROTOCOL" in wrong.mend


def test_a_wrong_authority_is_told_and_the_right_one_is_fine(
    monkeypatch: pytest.MonkeyPatch, certificate: Path
) -> None:
    with listener(served_by(certificate)) as server:
        settings = kafka(monkeypatch, security_protocol="SSL")
        wrong = _knock(settings, server)
        right = _knock(kafka(monkeypatch, ssl_cafile=str(certificate)), server)
    assert wrong is not None
    assert "not trusted" in wrong.says
    assert "UPROAR_KAFKA_SSL_CAFILE" in wrong.mend
    assert right is None


def test_a_refused_password_is_told_from_a_missing_one(monkeypatch: pytest.MonkeyPatch) -> None:
    log = ["Broker version identified as 4.3", "Connection lost: socket disconnected"]
    without = _turned_away(kafka(monkeypatch), "no Kafka", log)
    assert "without a password" in without.says
    named = kafka(monkeypatch, security_protocol="SASL_PLAINTEXT", sasl_username="jo")
    refused = _turned_away(named, "no Kafka", log)
    assert "refuses user 'jo'" in refused.says
    assert "PASSWORD" in refused.mend


def test_what_is_no_kafka_is_told_with_its_last_words(monkeypatch: pytest.MonkeyPatch) -> None:
    found = _turned_away(kafka(monkeypatch), "no Kafka", ["Connection lost: cut", "Bootstrap over"])
    assert "Connection lost: cut" in found.says


def test_topics_that_are_missing_are_a_note_and_wrong_ones_are_wrong(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings = kafka(monkeypatch)
    assert _topics(settings, {}).state is State.NOTE
    wrong = _topics(settings, {"uproar.posts.v1": 7})
    assert wrong.state is State.WRONG
    assert "uproar.posts.v1 has 7 partitions instead of 4" in wrong.says


def test_on_a_fresh_machine_nothing_is_wrong(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["doctor", "--json"]) == 0
    found = {f["check"]: f for f in map(json.loads, capsys.readouterr().out.splitlines())}
    assert found["model"]["state"] == "ok"
    assert found["services"]["mend"] == "uproar up"
    assert found["receivers"]["mend"] == "uproar init"
    assert not Path(".uproar").exists(), "a look changes nothing"


def test_a_wrong_setting_is_the_one_finding(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("UPROAR_INGEST_PORT", "many")
    assert run(["doctor"]) == 1
    assert "UPROAR_INGEST_PORT" in capsys.readouterr().out


def database_at(monkeypatch: pytest.MonkeyPatch, path: Path) -> Finding:
    monkeypatch.setenv("UPROAR_DATABASE_URL", f"sqlite+aiosqlite:///{path}")
    (found,) = asyncio.run(_database(Plan.load()))
    return found


def test_a_database_that_is_not_there_is_a_note_and_is_not_made(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "folder" / "uproar.db"
    found = database_at(monkeypatch, file)
    assert (found.state, str(file) in found.says) == (State.NOTE, True)
    assert not file.parent.exists()


def test_a_database_without_tables_and_one_of_an_older_uproar_are_notes(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    async def at(revision: str) -> None:
        database = Database(f"sqlite+aiosqlite:///{tmp_path / 'uproar.db'}")
        await migrate(database, revision)
        await database.close()

    (tmp_path / "uproar.db").touch()
    empty = database_at(monkeypatch, tmp_path / "uproar.db")
    asyncio.run(at("0001"))
    older = database_at(monkeypatch, tmp_path / "uproar.db")
    asyncio.run(at("head"))
    now = database_at(monkeypatch, tmp_path / "uproar.db")

    assert (empty.state, "first start" in empty.says) == (State.NOTE, True)
    assert (older.state, "older uproar" in older.says) == (State.NOTE, True)
    assert (now.state, now.says) == (State.OK, "answers; 0 keys")


def test_a_file_that_is_no_database_is_wrong(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "notes.txt").write_text("a list of things to do\n" * 100, "utf-8")
    found = database_at(monkeypatch, tmp_path / "notes.txt")
    assert found.state is State.WRONG
    assert "not a database" in found.says
    assert "UPROAR_DATABASE_URL" in found.mend


def test_a_source_that_ingest_would_refuse_is_wrong(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def look(table: str) -> Finding:
        (tmp_path / "uproar.toml").write_text(table, "utf-8")
        (found,) = asyncio.run(_networks(Plan.load()))
        return found

    monkeypatch.setenv("UPROAR_CONFIG", str(tmp_path / "uproar.toml"))
    wrong = look('[[source]]\ntype = "blusky"\n')
    assert (wrong.state, "blusky" in wrong.says) == (State.WRONG, True)
    assert look('[[source]]\ntype = "bluesky"\n') == Finding(
        "sources", State.OK, "ingest can read bluesky"
    )
    assert look("").state is State.OK


def test_an_unknown_model_is_wrong_and_the_rest_is_still_checked(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("UPROAR_MODEL", str(tmp_path))
    found = {finding.check: finding for finding in asyncio.run(examine())}
    assert found["model"].state is State.WRONG
    assert "receivers" in found


def test_an_address_where_something_else_answers_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    async def look() -> list[Finding]:
        async with StandIns() as other:
            monkeypatch.setenv("UPROAR_INGEST_PORT", other.url.rpartition(":")[2])
            return await examine()

    found = {finding.check: finding for finding in asyncio.run(look())}
    assert found["ingest"].state is State.WRONG
    assert found["alerter"].says.startswith("does not run")


def test_each_receiver_is_tried_and_nobody_is_shown_a_message(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    async def look() -> tuple[list[Finding], list[str]]:
        async with StandIns() as standins:
            document = WATCH.read_text("utf-8") + toml(standins).replace(
                standins.routing_key, "0" * 32
            )
            (tmp_path / "uproar.toml").write_text(document, "utf-8")
            found = await examine()
            return found, [message.what for message in standins.messages]

    found, shown = asyncio.run(look())
    receivers = {f.says.partition(" ")[0].rstrip(":"): f for f in found if f.check == "receiver"}
    assert receivers["local-slack"].state is State.OK
    assert receivers["local-webhook"].state is State.OK
    assert receivers["local-pagerduty"].state is State.WRONG
    assert not {"post", "trigger"} & set(shown)
