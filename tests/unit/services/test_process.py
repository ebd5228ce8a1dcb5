"""services/process.py: settings, documents, traces, health, HTTP and exit codes."""

import asyncio
import logging
import os
import signal
import socket
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
import structlog
from fastapi import FastAPI
from prometheus_client import CollectorRegistry, Counter
from pydantic import Field, SecretStr

from services.process import (
    Exit,
    Health,
    Settings,
    _redact,
    add_probes,
    logs,
    read_document,
    run,
    serve,
)
from uproar.errors import Malformed, Misconfigured, Unavailable


class Example(Settings):
    port: int = Field(default=1, validation_alias="UPROAR_EXAMPLE_PORT")
    token: SecretStr | None = Field(default=None, validation_alias="UPROAR_EXAMPLE_TOKEN")


def test_a_setting_comes_from_its_variable(monkeypatch):
    monkeypatch.setenv("UPROAR_EXAMPLE_PORT", "8081")
    assert Example.load().port == 8081


def test_a_secret_may_come_from_a_file(monkeypatch, tmp_path):
    (tmp_path / "token").write_text("abc def\n")
    monkeypatch.setenv("UPROAR_EXAMPLE_TOKEN_FILE", str(tmp_path / "token"))
    token = Example.load().token
    assert token is not None
    assert token.get_secret_value() == "abc def"


def test_the_variable_wins_over_the_file(monkeypatch, tmp_path):
    (tmp_path / "token").write_text("from file")
    monkeypatch.setenv("UPROAR_EXAMPLE_TOKEN_FILE", str(tmp_path / "token"))
    monkeypatch.setenv("UPROAR_EXAMPLE_TOKEN", "from variable")
    token = Example.load().token
    assert token is not None
    assert token.get_secret_value() == "from variable"


def test_a_missing_secret_file_is_named(monkeypatch, tmp_path):
    monkeypatch.setenv("UPROAR_EXAMPLE_TOKEN_FILE", str(tmp_path / "none"))
    with pytest.raises(Misconfigured, match="UPROAR_EXAMPLE_TOKEN_FILE: cannot read"):
        Example.load()


def test_a_wrong_setting_is_named_without_its_value(monkeypatch):
    monkeypatch.setenv("UPROAR_EXAMPLE_PORT", "eighty")
    with pytest.raises(Misconfigured, match="UPROAR_EXAMPLE_PORT") as caught:
        Example.load()
    assert "eighty" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "text"),
    [("a.toml", "x = 1"), ("a.json", '{"x": 1}'), ("a.yaml", "x: 1"), ("a.conf", "x = 1")],
)
def test_a_document_is_read_by_its_suffix(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    assert read_document(tmp_path / name) == {"x": 1}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.toml", "x = "),
        ("a.json", "{"),
        ("a.yaml", "a: [b"),
        ("b.json", "[1]"),
        ("c.json", "[" * 99999),
    ],
)
def test_a_broken_document_is_malformed_and_named(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    with pytest.raises(Malformed, match=name):
        read_document(tmp_path / name)


def test_a_missing_document_is_misconfigured(tmp_path):
    with pytest.raises(Misconfigured, match="cannot read"):
        read_document(tmp_path / "none.toml")


def test_a_document_that_is_not_text_is_misconfigured(tmp_path):
    (tmp_path / "a.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(Misconfigured, match="cannot read"):
        read_document(tmp_path / "a.toml")


@pytest.mark.parametrize(
    "secret",
    [
        "xoxb-12-ab",
        "whsec_abc=",
        "Bearer s3cr3t",
        "https://hooks.slack.com/services/T/B/x",
        "token=s3cr3t",
    ],
)
def test_secrets_are_taken_out_of_logs(secret):
    shown = _redact(None, "info", {"event": f"sent with {secret} now", "n": 1})
    assert "s3cr3t" not in shown["event"]
    assert secret not in shown["event"]
    assert shown["n"] == 1


@pytest.mark.parametrize("form", ["json", "console"])
def test_both_logs_go_to_stderr_in_one_format(form, capfd):
    root, level = logging.getLogger().handlers[:], logging.getLogger().level
    try:
        logs("ingest", Settings(UPROAR_LOG_FORMAT=form))
        structlog.get_logger().info("from structlog", token="t")
        logging.getLogger("other").warning("from %s", "logging")
    finally:
        logging.getLogger().handlers[:] = root
        logging.getLogger().setLevel(level)
        structlog.reset_defaults()
        structlog.contextvars.clear_contextvars()
    out = capfd.readouterr().err
    assert "from structlog" in out
    assert "from logging" in out


async def test_probes_say_what_is_missing_and_what_is_degraded():
    state: dict[str, str | None] = {"broker": "no answer", "receiver": "slow"}
    health, app = Health(), FastAPI()
    health.watch("broker", lambda: state["broker"])
    health.watch("receiver", lambda: state["receiver"], vital=False)
    registry = CollectorRegistry()
    Counter("uproar_example_posts", "Posts.", registry=registry).inc()
    add_probes(app, health, registry)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://t") as client:
        assert (await client.get("/live")).json() == {"live": True}
        answer = await client.get("/ready")
        assert answer.status_code == 503
        assert answer.json() == {
            "ready": False,
            "problems": {"broker": "no answer"},
            "degraded": {"receiver": "slow"},
        }
        told = (await client.get("/metrics")).text
        assert 'uproar_ready{part="broker",vital="true"} 0.0' in told
        assert 'uproar_ready{part="receiver",vital="false"} 0.0' in told
        state.update(broker=None, receiver=None)
        answer = await client.get("/ready")
        assert (answer.status_code, answer.json()) == (200, {"ready": True})
        told = (await client.get("/metrics")).text
        assert "uproar_example_posts_total 1.0" in told
        assert 'uproar_ready{part="broker",vital="true"} 1.0' in told


async def test_http_is_served_until_stop():
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    app, stop = FastAPI(), asyncio.Event()
    add_probes(app, Health(), CollectorRegistry())
    serving = asyncio.create_task(serve(app, host="127.0.0.1", port=port, stop=stop))
    async with httpx.AsyncClient() as client:
        for _ in range(100):
            try:
                answer = await client.get(f"http://127.0.0.1:{port}/live")
                break
            except httpx.ConnectError:
                await asyncio.sleep(0.05)
    assert answer.status_code == 200
    stop.set()
    await asyncio.wait_for(serving, 10)


async def test_a_taken_port_is_named():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(Misconfigured, match=f"cannot listen on 127.0.0.1:{port}"):
            await serve(FastAPI(), host="127.0.0.1", port=port, stop=asyncio.Event())


def ends(error: BaseException | None) -> int:
    async def main(_stop: asyncio.Event) -> None:
        if error:
            raise error

    return run(main)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (None, Exit.OK),
        (Misconfigured("x"), Exit.MISCONFIGURED),
        (Malformed("x"), Exit.MISCONFIGURED),
        (Unavailable("x"), Exit.CANNOT_START),
        (ValueError("x"), Exit.BUG),
        (ExceptionGroup("g", [Unavailable("x")]), Exit.CANNOT_START),
        (ExceptionGroup("g", [Unavailable("x"), Misconfigured("y")]), Exit.MISCONFIGURED),
        (ExceptionGroup("g", [Misconfigured("y"), ValueError("x")]), Exit.BUG),
    ],
)
def test_the_exit_code_says_what_to_do(error, code):
    assert ends(error) == code


@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_the_process_in_order(sign):
    seen: list[str] = []

    async def main(stop: asyncio.Event) -> None:
        os.kill(os.getpid(), sign)
        await stop.wait()
        seen.append("stopped")

    assert run(main) == Exit.OK
    assert seen == ["stopped"]


def test_a_process_that_does_not_stop_is_cut_off():
    async def main(_stop: asyncio.Event) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.Event().wait()

    assert run(main, grace=timedelta(seconds=0.05)) == Exit.STUCK


def test_the_data_folder_has_a_default():
    assert Settings.load().data_dir == Path(os.environ.get("UPROAR_DATA_DIR", ".uproar"))
