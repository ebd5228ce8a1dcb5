"""Whom we watch for, and watch lists as people write them."""

import pytest

from tests.build import a_subject
from uproar.errors import Malformed
from uproar.notice import Language
from uproar.subject import DEFAULT_BUDGET, TOLD_IN, Kind, Subject, alarms_per_day, watch_list


def test_a_subject_needs_but_an_id_and_a_name():
    subject = Subject(id="x", name="X")
    assert (subject.kind, subject.budget, subject.aliases) == (Kind.BRAND, DEFAULT_BUDGET, ())


@pytest.mark.parametrize("id_", ["", "a b", "a/b", "x" * 101, "a\n", "#a", "@a"])
def test_an_id_of_other_signs_is_refused(id_):
    with pytest.raises(Malformed, match="subject id"):
        a_subject(id_, name="X")


@pytest.mark.parametrize("id_", ["a", "A-b_c.9", "x" * 100, "été"])
def test_an_id_of_letters_digits_and_three_signs_is_taken(id_):
    assert a_subject(id_, name="X").id == id_


@pytest.mark.parametrize("name", ["", "  \t"])
def test_a_subject_without_name_is_refused(name):
    with pytest.raises(Malformed, match="'x' has no name"):
        a_subject("x", name=name)


@pytest.mark.parametrize("purpose", [None, "", "  "])
def test_a_person_is_watched_only_for_a_purpose(purpose):
    with pytest.raises(Malformed, match="purpose"):
        a_subject(kind=Kind.PERSON, purpose=purpose)
    assert a_subject(kind=Kind.PERSON, purpose="their office").purpose == "their office"


# ------------------------------------------------------------------------------------- budgets


@pytest.mark.parametrize(
    ("budget", "per_day"),
    [
        ("7/week", 1.0),
        ("1/week", 1 / 7),
        ("1/month", 12 / 365.25),
        ("365.25/year", 1.0),
        ("0.5/week", 0.5 / 7),
        (" 2 / month ", 24 / 365.25),
    ],
)
def test_a_budget_says_alarms_per_day(budget, per_day):
    assert alarms_per_day(budget) == pytest.approx(per_day)


@pytest.mark.parametrize(
    "budget",
    ["", "1", "/month", "0/month", "-1/week", "1/day", "one/month", "nan/week", "inf/year",
     "10001/week", "1/month/year", "1,5/week"],
)  # fmt: skip
def test_what_is_no_budget_is_refused_with_an_example(budget):
    with pytest.raises(Malformed, match="1/month"):
        alarms_per_day(budget)
    with pytest.raises(Malformed):
        a_subject(budget=budget)


# --------------------------------------------------------------------------------- watch lists


def test_a_watch_list_is_read_in_order():
    table = {
        "id": "b",
        "name": "B",
        "kind": "product",
        "aliases": ["Bee", " "],
        "languages": ["fr"],
    }
    first, second = watch_list({"subject": [table, {"id": "a", "name": "A"}]})
    assert first == a_subject("b", kind=Kind.PRODUCT, aliases=("Bee",), languages=("fr",))
    assert second == a_subject("a")


def test_an_empty_document_watches_nobody():
    assert watch_list({}) == watch_list({"subject": []}) == ()


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ({"subject": {}}, "list of tables"),
        ({"subject": ["a"]}, "list of tables"),
        ({"subject": [{"name": "A"}]}, "subject 'number 1': id missing"),
        ({"subject": [{}]}, "id and name missing"),
        ({"subject": [{"id": "a", "name": "A", "alias": []}]}, "subject 'a': unknown alias; known"),
        ({"subject": [{"id": "a", "name": "A", "kind": "planet"}]}, "brand, person, product"),
        (
            {"subject": [{"id": "a", "name": "A", "aliases": "B"}]},
            "aliases must be a list of texts",
        ),
        (
            {"subject": [{"id": "a", "name": "A", "handles": [1]}]},
            "handles must be a list of texts",
        ),
        ({"subject": [{"id": "a", "name": 7}]}, "name must be a text"),
        ({"subject": [{"id": "a", "name": "A"}] * 2}, "'a' stands twice"),
        ({"subject": [{"id": "a", "name": "A", "budget": "often"}]}, "budget 'often'"),
    ],
)
def test_a_wrong_watch_list_says_where_and_what(document, said):
    with pytest.raises(Malformed, match=said):
        watch_list(document)


@pytest.mark.parametrize("language", ["de", "", "EN"])
def test_people_are_told_in_a_language_that_there_is(language):
    with pytest.raises(Malformed, match="use en or fr"):
        a_subject(language=language)


def test_the_languages_are_those_of_the_notices():
    assert set(TOLD_IN) == set(Language)
