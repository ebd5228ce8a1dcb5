"""services/classifier/train/data.py: what may be learned from, and nothing of what is measured."""

import tomllib
from pathlib import Path

import pytest

from services.classifier.evaluate.rows import same
from services.classifier.train import data
from services.classifier.train.settings import Settings, Source, read
from tests.shared import ROOT, SHARED
from tests.unit.services.classifier.train.rows import a_row, write

CONFIG = ROOT / "services/classifier/train/e5-small-6l-1.toml"


def a_run(folder: Path, **changed: object) -> Settings:
    both = {"heads": ["sentiment", "complaint"], "licence": "ours"}
    values: dict = {
        "name": "t", "base": folder, "data": folder, "output": folder, "work": folder, "seed": 1,
        "calibration_share": 0.25, "source": [Source(file="train.jsonl", test_share=0.25, **both)],
        "validation": [Source(file="val.jsonl", **both)],
    }  # fmt: skip
    return Settings(**values | changed)


def test_a_row_that_says_it_is_in_a_validation_file_is_left_out(tmp_path):
    write(tmp_path / "train.jsonl", [a_row("one"), a_row("two", dup_of=["other_val"])])
    write(tmp_path / "val.jsonl", [a_row("three")])
    (part,) = data.training(a_run(tmp_path))
    assert [r.text for r in part.train + part.calibration + part.test] == ["one"]
    assert part.left_out["in a validation file"] == 1


@pytest.mark.parametrize(
    "copy",
    [
        "Where is my BAG?!",
        "@anna where is my bag https://t.co/x",
        "where   is my bag 😡",
        "where is my bag",
    ],
)
def test_a_copy_of_a_validation_row_is_left_out_though_it_does_not_say_so(tmp_path, copy):
    write(tmp_path / "train.jsonl", [a_row(copy), a_row("something else")])
    write(tmp_path / "val.jsonl", [a_row("@user Where is my bag")])
    (part,) = data.training(a_run(tmp_path))
    assert [r.text for r in part.train + part.calibration + part.test] == ["something else"]


def test_a_row_has_one_use_and_always_the_same(tmp_path):
    rows = [a_row(f"row number {at}") for at in range(400)]
    write(tmp_path / "train.jsonl", rows)
    write(tmp_path / "val.jsonl", [])
    (part,) = data.training(a_run(tmp_path))
    uses = [{r.text for r in use} for use in (part.train, part.calibration, part.test)]
    assert sum(map(len, uses)) == 400 == len(set.union(*uses))
    assert all(len(use) > 60 for use in uses)
    write(tmp_path / "train.jsonl", rows[::-1][:300])
    (again,) = data.training(a_run(tmp_path))
    assert {r.text for r in again.test} <= uses[2]
    assert {r.text for r in again.train} <= uses[0]


def test_copies_and_rows_without_a_wanted_label_are_left_out(tmp_path):
    unlabelled = a_row("nobody said") | {"labels": {"hate": True}}
    write(tmp_path / "train.jsonl", [a_row("same"), a_row("SAME!"), unlabelled])
    write(tmp_path / "val.jsonl", [])
    (part,) = data.training(a_run(tmp_path))
    assert part.left_out == {"repeated": 1, "no label": 1}


def test_labels_that_are_not_wanted_are_unknown(tmp_path):
    write(tmp_path / "train.jsonl", [a_row("both")])
    write(tmp_path / "val.jsonl", [])
    only = Source(file="train.jsonl", heads=["complaint"], licence="ours")
    (part,) = data.training(a_run(tmp_path, source=[only]))
    (row,) = part.train + part.calibration
    assert (row.sentiment, row.binary) == (-1, (0, -1))


def test_the_committed_run_learns_from_nothing_it_must_not():
    files = {source["file"] for source in tomllib.loads(CONFIG.read_text("utf-8"))["source"]}
    barred = ("us_airline", "hate", "airline_", "spotify", "free_fr", "rerc", "_val", "replays")
    assert not [file for file in files for word in barred if word in file]
    ours = [file for file in files if file.startswith("./")]
    assert all((ROOT / file).is_file() for file in ours)


@pytest.mark.skipif(SHARED is None, reason="../shared is absent")
def test_the_committed_run_shares_no_text_with_what_it_is_measured_on(monkeypatch):
    monkeypatch.chdir(ROOT)
    settings = read(CONFIG)
    measured = {same(row.text) for rows in data.validation(settings).values() for row in rows}
    assert len(measured) > 4000
    for part in data.training(settings):
        assert not measured & {same(row.text) for row in part.train + part.calibration}


def test_the_hand_written_check_is_not_in_the_training_rows():
    check = ROOT / "tests/unit/services/classifier/engine/check.tsv"
    ours = ROOT / "services/classifier/train/data/brand_talk.tsv"
    texts = [
        {same(line.split("\t")[-1]) for line in file.read_text("utf-8").splitlines()[1:]}
        for file in (check, ours)
    ]
    assert len(texts[0]) >= 60
    assert len(texts[1]) >= 300
    assert not texts[0] & texts[1]
