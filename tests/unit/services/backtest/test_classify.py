"""services/backtest/classify.py: one line in, one line out, whatever the line."""

import json
from collections.abc import Sequence

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from services.backtest.classify import classify


class Lengths:
    """Says of each text how long it is: an engine whose answers can be told apart."""

    name = "lengths"
    heads = ("negative", "neutral", "positive")
    marks: tuple[str, str] | None = None

    def score(self, texts: Sequence[str]) -> np.ndarray:
        rows = [[min(len(t) / 100, 1.0), 0.5, 0.25] if t else [np.nan] * 3 for t in texts]
        return np.array(rows, np.float32).reshape(len(texts), 3)


def run(*lines: bytes, batch: int = 2) -> list[dict]:
    return [json.loads(line) for line in classify(lines, Lengths(), batch=batch)]


def test_answers_come_in_the_order_of_the_posts():
    answers = run(
        *(json.dumps({"id": n, "text": "x" * n, "lang": "fr"}).encode() for n in range(1, 8))
    )
    assert [a["id"] for a in answers] == list(range(1, 8))
    assert [a["scores"]["negative"] for a in answers] == [n / 100 for n in range(1, 8)]
    assert answers[0]["lang"] == "fr"


def test_a_broken_line_gets_an_error_and_nothing_else_is_lost():
    answers = run(
        b'{"id":"a","text":"x"}',
        b"nope",
        b'{"id":"b"}',
        b'{"id":"c","text":3}',
        b'{"id":"d","text":"yy"}',
    )
    assert [a["id"] for a in answers] == ["a", None, "b", "c", "d"]
    assert ["error" in a for a in answers] == [False, True, True, True, False]
    assert answers[4]["scores"]["negative"] == 0.02


def test_a_text_that_cannot_be_scored_says_so():
    assert "nothing in the text" in run(b'{"id":1,"text":""}')[0]["error"]


def test_a_post_with_a_title_alone_is_scored_by_it():
    assert run(b'{"id":1,"title":"abc"}')[0]["scores"]["negative"] == 0.05  # "abc. "


def test_the_subject_is_marked_for_a_model_that_was_taught_it_and_ignored_by_others():
    line = json.dumps({"id": 1, "text": "Acme lies", "subject": "acme"}).encode()
    (plain,) = run(line)
    assert plain["scores"]["negative"] == 0.09

    class Marked(Lengths):
        marks = ("<<", ">>")

    (marked,) = classify([line], Marked())
    assert json.loads(marked)["scores"]["negative"] == 0.13


def test_lone_surrogates_are_scored_but_not_echoed():
    answers = run(b'{"id":"a","text":"\\ud800!"}', b'{"id":"\\ud800","text":"x"}')
    assert answers[0]["scores"]["negative"] == 0.02
    assert answers[1] == {"id": None, "error": "the id holds a lone surrogate"}


def test_a_line_beyond_a_mebibyte_is_refused():
    assert "more than" in run(b'{"id":"a","text":"' + b"x" * 1024 * 1024 + b'"}')[0]["error"]


@given(st.lists(st.binary(max_size=60).map(lambda b: b.replace(b"\n", b"")), max_size=12))
def test_any_lines_give_one_answer_each_and_never_crash(lines):
    assert len(run(*lines, batch=5)) == sum(1 for line in lines if line.strip())
