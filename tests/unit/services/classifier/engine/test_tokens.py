"""services/classifier/engine/tokens.py: one way to write a text, and nothing is ever padded."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.classifier.engine.tokens import equal_length_batches, normalise


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("see https://t.co/abc?x=1 now", "see http now"),
        ("see www.example.org/a,b", "see http"),
        ("HTTPS://EXAMPLE.ORG/", "http"),
        ("@AirQuillon lost my bag", "@user lost my bag"),
        (".@quillon_uk @a.b.social hi", ".@user @user hi"),
        ("write to me@example.org", "write to me@example.org"),
        ("fish &amp; chips &lt;3", "fish & chips <3"),
        ("  two\n\nlines\t", "two lines"),
        ("caf\u0065\u0301", "caf\u00e9"),
        ("a\x00b", "a b"),
        ("\ud800!", "?!"),
        ("&#xd800;&#0;", "\ufffd\ufffd"),
        ("#BoycottQuillon 😡", "#BoycottQuillon 😡"),
        ("", ""),
    ],
)
def test_a_text_is_written_as_the_training_data_has_it(written, read):
    assert normalise(written) == read


@given(st.text(st.characters(categories=None), max_size=300))
def test_any_text_becomes_one_clean_line_and_stays_as_it_is(text):
    once = normalise(text)
    once.encode("utf-8")
    assert "\x00" not in once
    assert "\n" not in once
    assert len(once) <= 2048


def test_no_text_is_long_after_it():
    assert len(normalise("x" * 50_000)) == 2048
    assert normalise("https://e.org/" + "x" * 10_000) == "http"


@given(st.lists(st.integers(0, 128), max_size=80), st.integers(1, 2000))
def test_batches_hold_every_text_once_and_one_length_each(lengths, budget):
    batches = list(equal_length_batches(lengths, budget))
    taken = [position for batch in batches for position in batch]
    assert sorted(taken) == [at for at, length in enumerate(lengths) if length]
    for batch in batches:
        assert len({lengths[at] for at in batch}) == 1
        assert len(batch) == 1 or len(batch) * lengths[batch[0]] <= budget
