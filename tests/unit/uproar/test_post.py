"""One public message: cleaned, dated, pseudonymised and named by what it says."""

import unicodedata
from datetime import UTC, datetime, timedelta, timezone

import pytest

from tests.build import NOON, a_post
from uproar.errors import Malformed
from uproar.post import MAX_TEXT_BYTES, clean, event_time, fingerprint, pseudonym

KEY = b"k" * 32


# --------------------------------------------------------------------------------------- clean


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("plain", "plain"),
        ("", ""),
        ("null\x00byte", "nullbyte"),
        ("lone \ud800 surrogate", "lone ? surrogate"),
        ("e\u0301te\u0301", "été"),
        ("كيف 🎸 कैसे", "كيف 🎸 कैसे"),
    ],
)
def test_a_text_is_made_safe(text, cleaned):
    assert clean(text) == (unicodedata.normalize("NFC", cleaned), False)


def test_a_long_text_is_cut_at_the_edge_of_a_character_and_marked():
    text, cut = clean("é" * MAX_TEXT_BYTES)
    assert cut
    assert text == "é" * (MAX_TEXT_BYTES // 2)
    assert clean("a" + "é" * MAX_TEXT_BYTES)[0].encode().__len__() == MAX_TEXT_BYTES - 1


def test_a_text_of_exactly_the_limit_is_whole():
    assert clean("a" * MAX_TEXT_BYTES) == ("a" * MAX_TEXT_BYTES, False)
    assert clean("a" * (MAX_TEXT_BYTES + 1)) == ("a" * MAX_TEXT_BYTES, True)


# ---------------------------------------------------------------------------------- pseudonyms


def test_the_same_account_has_the_same_pseudonym():
    names = {pseudonym(name, "x", KEY) for name in ("Jane", "@jane", " JANE ", "@@jane")}
    assert len(names) == 1
    assert names.pop().startswith("a_")


def test_another_network_key_or_account_has_another_pseudonym():
    names = {
        pseudonym("jane", "x", KEY),
        pseudonym("jane", "y", KEY),
        pseudonym("jane", "x", b"other"),
        pseudonym("jan", "x", KEY),
    }
    assert len(names) == 4


def test_a_pseudonym_tells_nothing_and_takes_any_name():
    assert "jane" not in pseudonym("jane", "x", KEY)
    assert len(pseudonym("\ud800" * 9, "x", KEY)) == len("a_") + 16
    assert pseudonym("ab", "c", KEY) != pseudonym("b", "ca", KEY)


# ----------------------------------------------------------------------------------- event time


def test_a_time_is_turned_into_utc():
    written = NOON.astimezone(timezone(timedelta(hours=5, minutes=30)))
    assert event_time(written, now=NOON) == NOON
    assert event_time(written, now=NOON).tzinfo is UTC


def test_a_clock_may_be_five_minutes_ahead_and_no_more():
    ahead = NOON + timedelta(minutes=5)
    assert event_time(ahead, now=NOON) == ahead
    with pytest.raises(Malformed, match="in the future"):
        event_time(ahead + timedelta(microseconds=1), now=NOON)


@pytest.mark.parametrize("year", [1970, 1999])
def test_a_time_before_2000_is_a_missing_clock(year):
    with pytest.raises(Malformed, match="before 2000"):
        event_time(datetime(year, 12, 31, tzinfo=UTC), now=NOON)
    assert event_time(datetime(2000, 1, 1, tzinfo=UTC), now=NOON).year == 2000


def test_a_time_without_zone_is_refused():
    with pytest.raises(Malformed, match="no time zone"):
        event_time(NOON.replace(tzinfo=None), now=NOON)


# ----------------------------------------------------------------------------------- fingerprint


@pytest.mark.parametrize(
    "copy",
    [
        "AIR QUILLON LOST MY BAG",
        "RT @someone: Air Quillon lost my bag!! 😡",
        "air quillon lost my bag https://t.example/x",
        "Air-Quillon, lost... my bag www.quillon.example",
        "Aïr Quíllon lost my bag",
        "@airquillon  Air Quillon\nlost my bag",
    ],
)
def test_copies_have_the_same_fingerprint(copy):
    assert fingerprint(copy) == fingerprint("Air Quillon lost my bag")


def test_other_words_have_another_fingerprint():
    texts = ["Air Quillon lost my bag", "Air Quillon lost my cat", "lost my bag Air Quillon"]
    assert len({fingerprint(text) for text in texts}) == 3
    assert all(len(fingerprint(text)) == 16 for text in texts)


LONG = (
    "third time this month that Air Quillon loses my guitar and nobody at the desk will pay for it"
)


def names(text: str) -> set[str]:
    return set(fingerprint(text).split("."))


@pytest.mark.parametrize("at", range(len(LONG.split())))
def test_whoever_adds_or_leaves_out_a_word_leaves_one_name_as_it_was(at: int):
    words = LONG.split()
    left_out = " ".join(words[:at] + words[at + 1 :])
    more = " ".join([*words[:at], "zeppelin", *words[at:]])
    assert names(left_out) & names(LONG)
    assert names(more) & names(LONG)


def test_of_those_who_replace_a_word_every_second_leaves_one_name_as_it_was():
    words, caught = LONG.split(), []
    for at in range(len(words)):
        for other in ("zeppelin", "violin", "anyone", "again"):
            changed = " ".join([*words[:at], other, *words[at + 1 :]])
            caught.append(bool(names(changed) & names(LONG)))
    assert 0.3 < sum(caught) / len(caught) < 0.7


def test_people_who_say_the_same_in_their_own_words_have_no_name_in_common():
    said = [
        LONG,
        "Air Quillon has lost my guitar for the third time and the desk refuses to pay anything",
        "this month Air Quillon lost a guitar of mine, and at the desk they will not pay for it",
    ]
    found = [names(text) for text in said]
    assert not any(one & other for one in found for other in found if one is not other)


def test_a_half_that_is_too_small_is_no_proof():
    little = "the bag is late again at the gate of Air Quillon"
    assert not names(little) & names(f"{little} and cold")


@pytest.mark.parametrize(
    "text", ["", "so bad", "@a @b @c so bad https://t.example/x 😡😡😡", "!!! ???"]
)
def test_too_few_words_have_none(text):
    assert fingerprint(text) is None


def test_posts_are_values():
    assert a_post() == a_post()
    with pytest.raises(AttributeError):
        a_post().text = "other"
