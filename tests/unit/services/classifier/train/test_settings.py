"""services/classifier/train/settings.py: what a run may learn from, and what names it."""

import pytest

from services.classifier.train.settings import read
from tests.unit.services.classifier.train.configs import a_file
from uproar.errors import Misconfigured


@pytest.mark.parametrize("file", ["us_airline.jsonl.gz", "tweeteval_hate_train.jsonl.gz"])
def test_a_set_that_is_not_for_sale_is_refused_but_for_research(tmp_path, file):
    with pytest.raises(Misconfigured, match="non-commercial"):
        read(a_file(tmp_path, source=file))
    allowed = read(a_file(tmp_path, 'terms = "research"', source=file))
    assert allowed.terms == "research"


def test_a_research_model_may_not_go_where_models_ship_from(tmp_path):
    with pytest.raises(Misconfigured, match="may not go where models ship from"):
        read(a_file(tmp_path, 'terms = "research"', output="services/classifier/weights"))


@pytest.mark.parametrize(
    "file", ["xlmt_val.jsonl", "unlabelled/rerc_fr.jsonl", "replays/free_fr_2024_summer.jsonl"]
)
@pytest.mark.parametrize("terms", ["commercial", "research"])
def test_nothing_learns_from_what_is_measured_on(tmp_path, file, terms):
    with pytest.raises(Misconfigured, match="for validation only"):
        read(a_file(tmp_path, f'terms = "{terms}"', source=file))


@pytest.mark.parametrize("stream", ["[0.5, 0.5, 0.5]", "[0.0, 0.5, 0.5]"])
def test_a_stream_that_is_no_mix_is_refused(tmp_path, stream):
    with pytest.raises(Misconfigured, match="stream"):
        read(a_file(tmp_path, f"stream = {stream}"))


def test_a_run_without_sentiment_is_refused(tmp_path):
    with pytest.raises(Misconfigured, match="sentiment"):
        read(a_file(tmp_path, heads='["complaint"]'))


def test_a_run_is_named_by_what_it_trains_and_not_by_where_it_lies(tmp_path):
    here = read(a_file(tmp_path))
    elsewhere = read(a_file(tmp_path, base="/elsewhere", output="o", work="w", data="d"))
    other = read(a_file(tmp_path, "learning_rate = 0.1"))
    assert here.digest == elsewhere.digest != other.digest


def test_only_taught_heads_are_named_in_their_order(tmp_path):
    run = read(a_file(tmp_path, heads='["sarcasm", "sentiment", "complaint_severity"]'))
    assert run.taught == ["sentiment", "sarcasm", "complaint_severity"]
    assert not run.marked


def test_a_run_may_start_from_another_and_leave_heads_and_files_out(tmp_path):
    a_file(tmp_path, heads='["sentiment", "complaint"]', source="xci_train.jsonl")
    with (tmp_path / "run.toml").open("a") as file:
        file.write(
            '[[source]]\nfile = "b.jsonl"\nheads = ["sentiment", "complaint"]\nlicence = "x"\n'
        )
    (tmp_path / "blind.toml").write_text(
        'like = "run.toml"\nname = "blind"\nwithout = ["complaint", "xci"]\n'
    )
    run = read(tmp_path / "blind.toml")
    assert (run.name, run.seed) == ("blind", 1)
    assert [(source.file, source.heads) for source in run.source] == [("b.jsonl", ["sentiment"])]


def test_another_that_is_not_there_is_named(tmp_path):
    (tmp_path / "blind.toml").write_text('like = "none.toml"\n')
    with pytest.raises(Misconfigured, match=r"none\.toml"):
        read(tmp_path / "blind.toml")
