"""services/classifier/evaluate/rows.py: files of the research data."""

import gzip
import json

import pytest

from services.classifier.evaluate.rows import read, same
from uproar.errors import Misconfigured

ROW = {"id": "1", "text": "hello", "lang": "en", "labels": {"complaint": True}}


def test_a_row_brings_its_labels_and_what_else_is_known(tmp_path):
    lines = [
        ROW,
        ROW | {"id": "2", "raw": {"domain": "food"}, "dup_of": ["x_val"], "author_is_brand": True},
    ]
    (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, lines)))
    first, second = read(tmp_path / "a.jsonl")
    assert (first.labels, first.raw, first.dup_of, first.own) == (
        {"complaint": True},
        {},
        (),
        False,
    )
    assert (second.raw, second.dup_of, second.own) == ({"domain": "food"}, ("x_val",), True)


def test_a_packed_file_is_read_alike(tmp_path):
    (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress(json.dumps(ROW).encode()))
    assert [row.id for row in read(tmp_path / "a.jsonl.gz")] == ["1"]


@pytest.mark.parametrize("content", ["{", "[]", '{"id": "1"}', "3"])
def test_a_file_with_a_line_that_is_no_row_is_refused_with_its_name(tmp_path, content):
    (tmp_path / "bad.jsonl").write_text(content)
    with pytest.raises(Misconfigured, match=r"bad\.jsonl"):
        read(tmp_path / "bad.jsonl")


def test_a_file_that_is_not_there_is_refused_with_its_name(tmp_path):
    with pytest.raises(Misconfigured, match=r"none\.jsonl"):
        read(tmp_path / "none.jsonl")


def test_texts_without_letters_are_the_same_only_when_they_are():
    assert same("😡😡") != same("🎉")
    assert same("Hello, World") == same("hello world!")
