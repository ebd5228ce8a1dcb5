"""services/classifier/judge.py: what the model reads, of whom, and how often."""

import json

from hypothesis import given
from hypothesis import strategies as st

from services.backtest.classify import classify
from services.classifier.judge import inputs, judge, model_input
from tests.build import a_post, a_subject, some_scores

MARKS = ("<", ">")
WATCHED = {s.id: s for s in (a_subject("air-quillon", handles=("@aq_help",)), a_subject("aquila"))}


class Model:
    """Says how much of a text is marked."""

    name = "model"

    def __init__(self, marks=MARKS):
        self.marks, self.asked = marks, []

    def score(self, texts):
        self.asked += texts
        return [some_scores(text.count("<") / 10) for text in texts]


def test_the_title_is_read_before_the_text_and_both_are_marked():
    read = model_input("Acme, again", title="Acme fails", names=("acme",), marks=MARKS)
    assert read == "<Acme> fails. <Acme>, again"
    assert model_input("b", title="a", names=("a",), marks=None) == "a. b"


def test_names_handles_and_hashtags_of_the_subject_are_marked_and_no_one_elses():
    post = a_post(text="AIR QUILLON @aq_help #AirQuillon Aquila", subjects=("air-quillon",))
    assert inputs(post, WATCHED, MARKS) == {
        "air-quillon": "<AIR QUILLON> <@aq_help> <#AirQuillon> Aquila"
    }


def test_a_post_about_nobody_is_not_read():
    model = Model()
    assert judge([a_post(subjects=()), a_post(subjects=())], WATCHED, model) == [{}, {}]
    assert model.asked == []


def test_every_subject_gets_the_verdict_on_its_own_reading():
    model = Model()
    posts = [
        a_post("x:1", text="Aquila, Air Quillon, Aquila", subjects=("air-quillon", "aquila")),
        a_post("x:2", text="them again", subjects=("air-quillon", "aquila", "stranger")),
    ]
    first, second = judge(posts, WATCHED, model)
    assert [first[s].negative for s in ("air-quillon", "aquila")] == [0.1, 0.2]
    assert {scores.negative for scores in second.values()} == {0.0}
    assert model.asked == [
        "Aquila, <Air Quillon>, Aquila",
        "<Aquila>, Air Quillon, <Aquila>",
        "them again",
    ]


@given(text=st.text(max_size=60), title=st.none() | st.text(min_size=1, max_size=20))
def test_a_line_of_classify_reads_as_the_post_does(text, title):
    asked = []

    class Engine:
        name, heads, marks = "m", ("negative", "neutral", "positive"), MARKS

        def score(self, texts):
            asked.extend(texts)
            return [[0.1, 0.2, 0.7]] * len(texts)

    text = f"Air Quillon {text}"
    line = json.dumps({"id": 1, "text": text, "title": title, "subject": "Air Quillon"})
    list(classify([line.encode()], Engine()))
    watched = {"air-quillon": a_subject("air-quillon")}
    assert asked == list(inputs(a_post(text=text, title=title), watched, MARKS).values())
