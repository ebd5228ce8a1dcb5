"""The wiring: what is not wiring in it."""

import logging

import pytest

from services.classifier import app


@pytest.fixture
def seldom():
    return app.Seldom()


def said(name: str, line: int = 1) -> logging.LogRecord:
    return logging.LogRecord(name, logging.ERROR, "client.py", line, "no broker", None, None)


def test_a_line_of_a_client_speaks_once_in_ten_seconds(seldom, monkeypatch):
    monkeypatch.setattr(app.time, "monotonic", lambda: 100.0)
    assert seldom.filter(said("aiokafka.client"))
    assert not seldom.filter(said("aiokafka.client"))
    assert seldom.filter(said("aiokafka.client", line=2))
    monkeypatch.setattr(app.time, "monotonic", lambda: 110.5)
    assert seldom.filter(said("aiokafka.client"))


def test_our_own_lines_always_speak(seldom):
    assert all(seldom.filter(said("services.classifier")) for _ in range(3))
