"""Environment, configuration, watch list, files: whatever stands in them, a clear error or none, and little memory."""

import io
import json
import math
import tracemalloc
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.alerter.notifiers import build as build_notifiers
from services.alerter.settings import AlerterSettings, read
from services.backtest.classify import MAX_LINE_BYTES, classify, read_lines
from services.backtest.series import read as read_series
from services.classifier.settings import ClassifierSettings
from services.ingest.settings import IngestSettings, read_sources
from services.ingest.sources import build as build_sources
from services.process import MAX_DOCUMENT_BYTES, MAX_SECRET_BYTES, read_document
from tests.unit.services.backtest.test_classify import Lengths
from uproar.errors import Malformed, Misconfigured
from uproar.routing import read_routes
from uproar.subject import watch_list

MEGABYTE = 1024 * 1024
SETTINGS = (IngestSettings, ClassifierSettings, AlerterSettings)
VARIABLES = sorted(
    {(kind, str(field.validation_alias)) for kind in SETTINGS for field in kind.model_fields.values()},
    key=lambda pair: (pair[0].__name__, pair[1]),
)  # fmt: skip
HOSTILE = [
    "", " ", "-1", "0", "nan", "1e400", "99999999999999999999", "true", "null", "[]", "{", "x" * 100_000,
    "\udcff\udcfe", "a\nb", "${HOME}", "../../../etc/passwd", "http://", "ftp://x", "https://[", "💥", "\x1b[31m",
]  # fmt: skip


@contextmanager
def little_memory(most: int):
    """Fail where what is done inside takes more bytes of Python's memory at once."""
    tracemalloc.start()
    try:
        yield
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < most, f"{peak / MEGABYTE:.0f} MB"


# ---------------------------------------------------------------------------------- environment


@pytest.mark.parametrize(
    ("kind", "variable"), VARIABLES, ids=lambda value: getattr(value, "__name__", value)
)
def test_a_variable_is_fine_or_named_and_its_value_is_not_told(kind, variable, monkeypatch):
    for value in HOSTILE:
        monkeypatch.setenv(variable, value)
        try:
            kind.load()
        except Misconfigured as error:
            assert variable in str(error), (variable, value[:40])  # noqa: PT017
            assert len(value) < 8 or value not in str(error), variable  # noqa: PT017


@pytest.mark.parametrize("path", ["/dev/zero", "/dev/null/x", "/", "", "x" * 5000, "a\x1bb"])
def test_a_secret_file_that_is_none_is_named_and_one_that_never_ends_is_not_read(path, monkeypatch):
    monkeypatch.setenv("UPROAR_INGEST_TOKEN_FILE", path)
    with little_memory(MAX_SECRET_BYTES * 10):
        try:
            assert IngestSettings.load().token is None
            assert path == ""
        except Misconfigured as error:
            assert str(error).startswith("UPROAR_INGEST_TOKEN_FILE: cannot read")  # noqa: PT017


# -------------------------------------------------------------------------------- configuration


def document(path: Path, text: str | bytes) -> Path:
    path.write_bytes(text if isinstance(text, bytes) else text.encode("utf-8", "replace"))
    return path


# Nine lists of nine, each of the former one: a billion texts to whoever writes them out.
BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{name}: &{name} [{','.join(['*' + before] * 9)}]\n"
    for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)

DOCUMENTS = {
    "nothing.toml": "",
    "binary.toml": bytes(range(256)) * 100,
    "cut.toml": '[[subject]]\nid = "x',
    "twice.toml": "id = 1\nid = 2",
    "deep.toml": "a = " + "[" * 5_000,
    "deep.json": "[" * 200_000,
    "deep.yaml": "[" * 20_000,
    "list.json": "[]",
    "word.yaml": "just a word",
    "tag.yaml": "!!python/object/apply:os.system ['true']",
    "bomb.yaml": BOMB + "subject: *i\n",
    "bombed.yaml": BOMB + "subject: [{id: *i, name: *i, kind: *i, aliases: *i}]\n",
    "receiver.yaml": BOMB + "receiver: [{name: x, type: slack, token: *i, channel: *i}]\n",
    "source.yaml": BOMB + "source: [{type: bluesky, url: *i}, {type: *i}]\n",
    "route.yaml": BOMB + "route: [{name: *i, receivers: *i}]\n",
    "number.json": '{"subject": 1e999}',
    "nan.json": '{"subject": [{"id": NaN}]}',
    "surrogate.json": '{"subject": [{"id": "\\ud800", "name": "\\ud800", "kind": "brand"}]}',
    "null.json": '{"subject": [{"id": "a\\u0000b", "name": "a", "kind": "brand"}]}',
}


def consumers(path: Path) -> list[Callable[[], object]]:
    """All that read uproar.toml or a watch list."""
    return [
        lambda: read(path, None),
        lambda: read(None, path),
        lambda: build_sources(read_sources(path)),
        lambda: build_notifiers(read(path, None).receivers, None),  # type: ignore[arg-type]
        lambda: read_routes(read(path, None).routes, ()),
        lambda: watch_list(read_document(path)),
    ]


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_document_is_read_or_the_error_says_what_is_wrong_in_a_few_lines(name, tmp_path):
    path = document(tmp_path / name, DOCUMENTS[name])
    with little_memory(64 * MEGABYTE):
        for consume in consumers(path):
            try:
                consume()
            except (Misconfigured, Malformed) as error:
                assert 0 < len(str(error)) < 5_000  # noqa: PT017


def test_a_document_that_never_ends_is_not_read_to_its_end(tmp_path):
    path = tmp_path / "uproar.toml"
    path.symlink_to("/dev/zero")
    for consume in consumers(path):
        with little_memory(3 * MAX_DOCUMENT_BYTES), pytest.raises(Misconfigured, match="more than"):
            consume()


ODD = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=8,
)
KEYS = st.text(max_size=8) | st.integers() | st.none()
FIELDS = ["id", "name", "kind", "aliases", "handles", "own_accounts", "keywords", "exclude", "languages", "budget", "purpose", "type", "receivers", "level", "url", "token"]  # fmt: skip
TABLE = st.dictionaries(st.sampled_from(FIELDS) | KEYS, ODD | st.lists(ODD, max_size=3), max_size=8)


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.dictionaries(
        st.sampled_from(["subject", "receiver", "route", "source"]),
        st.lists(TABLE, max_size=2) | ODD,
    )
)
def test_tables_of_anything_are_taken_or_refused_with_a_reason(tmp_path, tables):
    path = document(tmp_path / "any.yaml", yaml.safe_dump(tables, allow_unicode=True))
    for consume in consumers(path):
        try:
            consume()
        except (Misconfigured, Malformed) as error:
            assert str(error)  # noqa: PT017


# -------------------------------------------------------------------------------------- streams


class Endless(io.RawIOBase):
    """So many bytes without a line break, then a post."""

    def __init__(self, size: int) -> None:
        self._left, self._last = size, b'\n{"id":"behind","text":"abc"}\n'

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if self._left > 0:
            count = min(len(buffer), self._left)
            buffer[:count] = b"x" * count
            self._left -= count
            return count
        count = min(len(buffer), len(self._last))
        buffer[:count], self._last = self._last[:count], self._last[count:]
        return count


def test_a_line_of_half_a_gigabyte_is_one_error_and_the_next_post_is_scored():
    with little_memory(8 * MAX_LINE_BYTES):
        lines = read_lines(io.BufferedReader(Endless(512 * MEGABYTE)))
        answers = [json.loads(line) for line in classify(lines, Lengths(), batch=2)]
    assert answers[0] == {"id": None, "error": f"more than {MAX_LINE_BYTES} bytes in a line"}
    assert answers[1]["id"] == "behind"
    assert math.isclose(answers[1]["scores"]["negative"], 0.03)


@pytest.mark.parametrize(
    "text",
    [
        b"", b"\xff\xfe", b"timestamp", b"timestamp,value\n", b"timestamp,value\n2026-01-01,1\n", b"\x00" * 1000,
        b"timestamp,value\n2026-01-01,x\n2026-01-02,1", b"timestamp,value\n2026-01-01,nan\n2026-01-02,1",
        b'timestamp,value\n"' + b"x" * 200_000, b"timestamp,value\n2026-01-02,1\n2026-01-01,1\n",
        b'timestamp,value,"' + b"x" * 2_000_000 + b'"\n1,2,3', b"timestamp,value\n9999-12-31,1\n9999-12-30,1", b"value,timestamp\n1\n2\n", b"timestamp,value\n1,2,3\n",
    ],
)  # fmt: skip
def test_a_series_that_is_none_is_refused_with_its_line(text, tmp_path):
    with pytest.raises((Malformed, Misconfigured), match=r"series\.csv"):
        read_series(document(tmp_path / "series.csv", text))
