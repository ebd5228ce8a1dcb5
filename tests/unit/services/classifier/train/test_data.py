"""services/classifier/train/data.py: what may be learned from, and nothing of what is measured."""

from pathlib import Path

import pytest

from services.classifier.evaluate.rows import same
from services.classifier.train import data
from services.classifier.train.settings import Settings, Source, read
from services.classifier.train.targets import HEADS, Target
from tests.shared import ROOT, SHARED
from tests.unit.services.classifier.train.rows import a_row, write
from uproar.errors import Misconfigured

CONFIGS = sorted((ROOT / "services/classifier/train").glob("*l-*.toml"))


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


def test_posts_that_differ_in_their_emoji_alone_are_both_learned_from(tmp_path):
    write(tmp_path / "train.jsonl", [a_row("Quillon 🤮"), a_row("Quillon ❤️"), a_row("Quillon ❤️!")])
    write(tmp_path / "val.jsonl", [])
    (part,) = data.training(a_run(tmp_path))
    assert part.left_out == {"repeated": 1}


def test_a_language_whose_labels_cannot_be_trusted_is_left_out(tmp_path):
    rows = [a_row("one"), a_row("do", lang="hi"), a_row("teen", lang="hi")]
    write(tmp_path / "train.jsonl", rows)
    write(tmp_path / "val.jsonl", [])
    only = Source(file="train.jsonl", heads=["complaint"], licence="ours", without_languages=["hi"])
    (part,) = data.training(a_run(tmp_path, calibration_share=0.0, source=[only]))
    assert [row.text for row in part.train] == ["one"]
    assert part.left_out == {"its language": 2}


def test_a_source_is_capped_by_its_texts_and_not_by_their_order(tmp_path):
    rows = [a_row(f"row number {at}") for at in range(400)]
    write(tmp_path / "val.jsonl", [])
    kept = []
    for order in (rows, rows[::-1]):
        write(tmp_path / "train.jsonl", order)
        only = Source(file="train.jsonl", heads=["complaint"], licence="ours", most=50)
        (part,) = data.training(a_run(tmp_path, source=[only]))
        kept.append({row.text for row in part.train})
        assert len(part.train) == 50
        assert part.left_out["beyond the cap"] > 200
    assert kept[0] == kept[1]


def test_a_subject_is_marked_and_a_text_may_come_once_for_each(tmp_path):
    rows = [
        a_row("Quillon beats Nordelle")
        | {"id": name, "labels": {"sentiment": mood, "target": name}}
        for name, mood in (
            ("quillon", "positive"),
            ("nordelle", "negative"),
            ("quillon", "neutral"),
        )
    ]
    write(tmp_path / "train.jsonl", rows)
    write(tmp_path / "val.jsonl", [])
    towards = Source(file="train.jsonl", heads=["sentiment"], licence="ours", subject=True)
    (part,) = data.training(a_run(tmp_path, source=[towards], calibration_share=0.0))
    assert [(row.text, row.target.sentiment) for row in part.train] == [
        ("►Quillon◄ beats Nordelle", 2),
        ("Quillon beats ►Nordelle◄", 0),
    ]
    assert part.left_out["repeated"] == 1


def test_rows_of_two_files_that_are_measured_on_and_learned_from_are_refused(tmp_path):
    write(tmp_path / "train.jsonl", [a_row(f"row number {at}") for at in range(60)])
    write(tmp_path / "again.jsonl", [a_row(f"row number {at}") for at in range(60)])
    write(tmp_path / "val.jsonl", [])
    both = {"heads": ["complaint"], "licence": "ours"}
    sources = [
        Source(file="train.jsonl", test_share=0.5, **both), Source(file="again.jsonl", **both)
    ]  # fmt: skip
    with pytest.raises(Misconfigured, match="test rows are in the training rows"):
        data.training(a_run(tmp_path, source=sources))


def test_our_own_posts_may_say_every_head(tmp_path):
    (tmp_path / "ours.tsv").write_text(
        "sentiment\tcomplaint\toffensive\toutrage\tcall_to_action\tsarcasm\tcomplaint_severity\tlang\tsubject\ttext\n"
        "negative\tyes\tno\tyes\t\tno\t3\ten\tKivoro\tKivoro lies\n"
    )
    write(tmp_path / "val.jsonl", [])
    ours = Source(file="ours.tsv", heads=list(HEADS), licence="ours", subject=True)
    (part,) = data.training(a_run(tmp_path, source=[ours], calibration_share=0.0))
    (row,) = part.train
    assert row.text == "►Kivoro◄ lies"
    assert row.target == Target(sentiment=0, binary=(1, 0, 1, -1, 0), level=3)


def test_labels_that_are_not_wanted_are_unknown(tmp_path):
    write(tmp_path / "train.jsonl", [a_row("both")])
    write(tmp_path / "val.jsonl", [])
    only = Source(file="train.jsonl", heads=["complaint"], licence="ours")
    (part,) = data.training(a_run(tmp_path, source=[only]))
    (row,) = part.train + part.calibration
    assert (row.target.sentiment, row.target.binary) == (-1, (0, -1, -1, -1, -1))


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config.stem)
def test_a_committed_run_learns_from_nothing_it_must_not(config):
    files = {source.file for source in read(config).source}
    barred = ("us_airline", "hate", "airline_", "spotify", "free_fr", "rerc", "_val", "replays")
    assert not [file for file in files for word in barred if word in file]
    ours = [file for file in files if file.startswith("./")]
    assert all((ROOT / file).is_file() for file in ours)


@pytest.mark.skipif(SHARED is None, reason="../shared is absent")
@pytest.mark.parametrize("config", ["teacher-12l-4", "e5-small-6l-5"])
def test_a_committed_run_shares_no_text_with_what_it_is_measured_on(config, monkeypatch):
    monkeypatch.chdir(ROOT)
    settings = read(ROOT / f"services/classifier/train/{config}.toml")
    measured = {same(row.text) for rows in data.validation(settings).values() for row in rows}
    assert len(measured) > 4000
    parts = data.training(settings)
    for part in parts:
        assert not measured & {same(row.text) for row in part.train + part.calibration}
    seen = sum(len(part.train) for part in parts)
    assert seen <= 115_000  # what two cores can see in half an hour


def test_blind_runs_saw_no_complaint_set_and_no_complaint_label():
    for name in ("teacher-12l-4-blind", "e5-small-6l-4-blind", "e5-small-6l-5-blind"):
        run = read(ROOT / f"services/classifier/train/{name}.toml")
        assert not {"complaint", "complaint_severity"} & set(run.taught)
        assert not [s.file for s in run.source for part in ("xci", "cesamard") if part in s.file]


def test_the_hand_written_check_is_not_in_the_training_rows():
    check = ROOT / "tests/unit/services/classifier/engine/check.tsv"
    ours = sorted((ROOT / "services/classifier/train/data").glob("*.tsv"))
    texts = [
        {same(line.split("\t")[-1]) for line in file.read_text("utf-8").splitlines()[1:]}
        for file in (check, *ours)
    ]
    assert len(texts[0]) >= 60
    assert len(texts[1]) >= 300
    assert not texts[0] & set.union(*texts[1:])
