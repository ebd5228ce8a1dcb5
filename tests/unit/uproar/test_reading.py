"""Five minutes of one subject in numbers."""

from dataclasses import fields

from tests.build import a_reading
from uproar.reading import Reading
from uproar.topics import READINGS


def test_a_reading_is_read_as_it_was_written():
    value = a_reading(decision=True, gate="too few authors", negative_share=None)
    assert READINGS.codec.decode(READINGS.codec.encode(value)) == value


def test_a_reading_holds_neither_text_nor_author():
    names = {field.name for field in fields(Reading)}
    assert names.isdisjoint({"text", "title", "author", "post", "url", "evidence"})


def test_a_regular_reading_is_no_decision_and_its_gate_is_open():
    assert (a_reading().decision, a_reading().gate, a_reading().unscored) == (False, "open", 0)
