"""services/classifier/evaluate/french: who said what of which post, and no text in the repository."""

import re

import numpy as np
import pytest

from services.classifier.evaluate.french import packet
from services.classifier.evaluate.french.draw import EACH, draw
from services.classifier.evaluate.french.labels import LABELS, labelled, posts, read
from services.classifier.evaluate.rows import Row
from tests.shared import SHARED
from uproar.errors import Misconfigured

HEAD = "id\tfirst\tsecond\tadjudicated\n"


def test_there_are_300_labels_of_both_kinds_and_no_text():
    labels = read()
    assert len({label.id for label in labels}) == 300
    assert 60 <= sum(label.complaint for label in labels) <= 240
    lines = LABELS.read_text("utf-8").splitlines()[1:]
    assert all(re.fullmatch(r"(free|rerc)-\d{4}(\t(yes|no)?){3}", line) for line in lines)


def test_a_label_that_was_decided_counts_and_else_what_was_said(tmp_path):
    file = tmp_path / "l.tsv"
    file.write_text(HEAD + "a\tyes\t\t\nb\tyes\tyes\t\nc\tyes\tno\tno\nd\tno\tyes\tyes\n")
    assert [label.complaint for label in read(file)] == [True, True, False, True]


def test_passes_that_differ_need_somebody_to_decide(tmp_path):
    file = tmp_path / "l.tsv"
    file.write_text(HEAD + "a\tyes\tno\t\n")
    with pytest.raises(Misconfigured, match="nobody decided between the passes: a"):
        read(file)


def test_a_label_that_is_neither_yes_nor_no_is_refused(tmp_path):
    file = tmp_path / "l.tsv"
    file.write_text(HEAD + "a\tmaybe\t\t\n")
    with pytest.raises(Misconfigured, match="maybe"):
        read(file)


def test_posts_of_customers_are_drawn_and_each_text_once():
    rows = [
        Row(id=f"{at}", text=f"texte {at // 2}", lang="fr", own=at % 10 == 0) for at in range(400)
    ]
    drawn = draw(rows, np.random.default_rng(1), 50)
    assert len(drawn) == 50
    assert not any(row.own for row in drawn)
    assert len({row.text for row in drawn}) == 50
    assert drawn == draw(rows, np.random.default_rng(1), 50)
    assert drawn != draw(rows, np.random.default_rng(2), 50)


def test_a_second_pass_is_entered_and_the_differences_are_named(tmp_path):
    labels, answers = tmp_path / "l.tsv", tmp_path / "a.tsv"
    labels.write_text(HEAD + "a\tyes\t\t\nb\tno\t\t\n")
    answers.write_text("b\tYES\na\tyes\n")
    assert packet.take(answers, labels) == ["b"]
    assert labels.read_text() == HEAD + "a\tyes\tyes\t\nb\tno\tyes\t\n"


@pytest.mark.parametrize("said", ["a\tyes\n", "a\tyes\nb\tperhaps\n", "a\tyes\nb\tno\na\tno\n"])
def test_a_second_pass_with_holes_is_refused(tmp_path, said):
    labels, answers = tmp_path / "l.tsv", tmp_path / "a.tsv"
    labels.write_text(HEAD + "a\tyes\t\t\nb\tno\t\t\n")
    answers.write_text(said)
    with pytest.raises(Misconfigured, match="one yes or no"):
        packet.take(answers, labels)
    assert labels.read_text() == HEAD + "a\tyes\t\t\nb\tno\t\t\n"


@pytest.mark.skipif(SHARED is None, reason="../shared is absent")
def test_the_labels_are_of_the_posts_that_the_data_gives():
    data = SHARED / "data"
    found = labelled(data)
    assert len(found) == 2 * EACH == len(posts(data))
    lines = packet.write(data, 2).splitlines()
    assert len(lines) == 300
    assert lines != packet.write(data, 3).splitlines()
