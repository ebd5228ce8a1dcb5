"""services/classifier/engine/mention.py: whom a post is judged for."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.classifier.engine import load
from services.classifier.engine.mention import MARKS, mark
from services.classifier.engine.tokens import normalise

NAMES = ("Air Quillon", "@airquillon")


@pytest.mark.parametrize(
    ("text", "marked"),
    [
        ("Air Quillon broke it", "►Air Quillon◄ broke it"),
        ("never AIR  QUILLON again", "never ►AIR  QUILLON◄ again"),
        ("Air-Quillon, air_quillon", "►Air-Quillon◄, ►air_quillon◄"),
        ("in the air. Quillon came", "in the air. Quillon came"),
        ("@airquillon why?", "►@airquillon◄ why?"),
        ("#AirQuillon and #airquillonfail", "►#AirQuillon◄ and #airquillonfail"),
        ("an air quillonist", "an air quillonist"),
        ("nobody at all", "nobody at all"),
        ("d'Air Quillon, oui", "d'►Air Quillon◄, oui"),
    ],
)
def test_every_mention_is_marked_and_nothing_else(text, marked):
    assert mark(text, NAMES) == marked


def test_the_marks_that_an_author_wrote_are_no_marks():
    assert mark("►fine◄ Air Quillon", NAMES) == " fine  ►Air Quillon◄"


def test_a_model_that_was_not_taught_them_sees_none():
    assert mark("Air Quillon", NAMES, None) == "Air Quillon"


def test_the_shipped_model_was_taught_them():
    assert load().marks == MARKS


def test_the_longer_of_two_names_is_marked_whole():
    assert mark("Free Mobile est lent", ("Free", "Free Mobile")) == "►Free Mobile◄ est lent"


def test_a_marked_handle_still_becomes_a_plain_user():
    assert normalise(mark("hey @airquillon", NAMES)) == "hey ►@user◄"


@pytest.mark.parametrize("names", [(), ("",), ("  ",), ("@",), ("#",)])
def test_without_a_name_nothing_is_marked(names):
    assert mark("a @ b # c", names) == "a @ b # c"


@given(st.text(max_size=60), st.lists(st.text(min_size=1, max_size=8), max_size=4))
def test_marks_taken_away_leave_the_text(text, names):
    clean = text.replace(MARKS[0], " ").replace(MARKS[1], " ")
    marked = mark(text, names)
    if not any(sign in name for name in names for sign in MARKS):
        assert marked.replace(MARKS[0], "").replace(MARKS[1], "") == clean
        assert marked.count(MARKS[0]) == marked.count(MARKS[1])
