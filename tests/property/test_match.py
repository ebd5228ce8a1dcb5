"""What holds of matching for every text."""

from hypothesis import given
from hypothesis import strategies as st

from tests.build import a_subject
from uproar.match import Matcher
from uproar.match.folding import fold, folded, plain, written

MATCHER = Matcher(
    [
        a_subject("air-quillon", handles=("AirQuillon",)),
        a_subject("target", exclude=("target group", "archery")),
        a_subject("almada", name="طيران المدى"),
        a_subject("apple-cn", name="苹果"),
    ]
)
PIECES = st.sampled_from(
    [
        "Air Quillon",
        "#Boycott",
        "@",
        "'s",
        "’",
        "#",
        "_",
        "طيران المدى",
        "苹果",
        "Target",
        " ",
        ".",
        "ß",
        "\x1f",
    ]
)
TEXTS = st.text(max_size=200) | st.lists(PIECES | st.text(max_size=5), max_size=20).map("".join)


@given(TEXTS)
def test_every_word_has_its_written_form(text):
    source = plain(text)
    assert len(written(source).words) == len(folded(source).split())


@given(TEXTS, TEXTS, st.none() | st.sampled_from(["en", "fr", "ar", "de", "zz-ZZ"]))
def test_any_text_is_read_and_only_known_subjects_come_out(text, title, lang):
    found = MATCHER.match(text, title=title, lang=lang)
    assert list(found) == sorted(set(found))
    assert set(found) <= {"air-quillon", "target", "almada", "apple-cn"}


@given(TEXTS, TEXTS)
def test_a_name_on_a_line_of_its_own_is_always_found(before, behind):
    assert "air-quillon" in MATCHER.match(f"{before}\nAir Quillon\n{behind}")


@given(TEXTS)
def test_folding_twice_changes_nothing_more(text):
    assert folded(folded(text)) == folded(text)


@given(st.text(alphabet=st.characters(categories=["Lu", "Ll"]), min_size=1, max_size=30))
def test_case_does_not_count(word):
    assert fold(word.lower()) == fold(word)
