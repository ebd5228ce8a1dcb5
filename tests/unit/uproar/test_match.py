"""Whom a text names: the rules one by one, then 500 sentences of our own."""

import gzip
import json
import tomllib
from collections import Counter
from pathlib import Path

import pytest

from tests.build import a_subject
from tests.shared import SHARED
from uproar.match import Matcher, literal_names
from uproar.match.folding import fold, folded, plain, written
from uproar.match.hashtags import TagReader
from uproar.match.ordinary import guess_language, is_ordinary
from uproar.subject import Kind, Subject, SubjectId, watch_list

DATA = Path(__file__).resolve().parents[2] / "data" / "matching"


def named(text, *subjects, lang=None, title=None):
    return set(Matcher(subjects or [QUILLON]).match(text, lang=lang, title=title))


QUILLON = a_subject("air-quillon", handles=("@AirQuillon",), own_accounts=("AirQuillon",))
TARGET = a_subject("target", handles=("Target",))
FREE = a_subject("free", languages=("fr",), aliases=("Freebox",))


# ------------------------------------------------------------------------- what it may be called


def test_a_subject_is_called_by_its_names_and_accounts_but_not_by_its_keywords():
    subject = a_subject(
        "quillon",
        name="L'Avion Égaré",
        aliases=("H&M Air",),
        handles=("@AvionEgare",),
        own_accounts=("avion.aide",),
        keywords=("lost luggage", "@avionhelp"),
    )
    called = {name.casefold() for name in literal_names(subject)}
    assert {"l'avion égaré", "l’avion égaré", "l'avion egare", "l’avion egare"} <= called
    assert {"l avion egare", "h&m air", "h and m air", "h et m air"} <= called
    assert {"avionegare", "avion.aide", "avionhelp"} <= called
    assert "lost luggage" not in called


def test_a_short_name_has_no_spelling_that_is_another_word():
    assert set(literal_names(a_subject("hm", name="H.M."))) == {"H.M."}


# ------------------------------------------------------------------------------------- words


@pytest.mark.parametrize(
    "text",
    [
        "Air Quillon lost my bag",
        "AIR QUILLON!!",
        "air  quillon",
        "air-quillon",
        "(Air\u00a0Quillon)",
        "\uff21\uff49\uff52 Quillon",
        "d'Air Quillon",
        "qu’Air Quillon",
        "Air Quillon's apology",
        "AirQuillon",
        "_Air Quillon_",
        "Air Quillon-Chef",
    ],
)
def test_a_name_is_found_however_it_is_dressed(text):
    assert named(text) == {"air-quillon"}


@pytest.mark.parametrize(
    "text",
    [
        "Air Quillonne",
        "Aquillon",
        "Fair Quillon",
        "air, Quillon",
        "air. And Quillon",
        "air quil lon",
    ],
)
def test_a_part_of_a_word_or_of_a_phrase_is_no_name(text):
    assert named(text) == set()


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("Citroën", "my CITROEN is dead"),
        ("Citroen", "ma Citroe\u0308n est morte"),
        ("L'Oréal", "la crème de L’Oréal"),
        ("L'Oréal", "loreal again"),
        ("McFinn's", "mcfinns fries"),
        ("O'Hallan", "O’Hallan recalls"),
        ("Grönwald", "groenwald lügt"),
        ("Straße 9", "STRASSE 9 closed"),
        ("Œuvre Belmont", "oeuvre belmont"),
        ("Marks & Penny", "marks and penny"),
        ("Télé+", "la tele+ coupe"),
        ("Łukowa", "lukowa"),
    ],
)
def test_accents_ligatures_and_signs_are_folded(name, text):
    assert named(text, a_subject("s", name=name)) == {"s"}


def test_an_apostrophe_hides_a_name_unless_it_is_a_clitic():
    reilly = a_subject("reilly", name="Reilly")
    assert named("O'Reilly books", reilly) == set()
    assert named("d'Reilly", reilly) == {"reilly"}
    assert named("Reilly'nin sesi", reilly) == {"reilly"}


@pytest.mark.parametrize(
    ("text", "lang"),
    [
        ("the Quillons' pilots", "en"),
        ("Quillons Chef schweigt", "de"),
        ("l'avion de Quillon", "fr"),
    ],
)
def test_possessives_and_genitives_are_taken_off(text, lang):
    assert named(text, a_subject("quillon"), lang=lang) == {"quillon"}


@pytest.mark.parametrize(
    "text",
    ["طيران المدى", "وطيران المدى", "بطيران المدى", "لِطيران المدى", "فبطيران المدى"],
)
def test_arabic_clitics_are_taken_off(text):
    assert named(f"تأخر {text} اليوم", a_subject("almada", name="طيران المدى")) == {"almada"}


@pytest.mark.parametrize("text", ["بالخطوط القطرية", "للخطوط القطرية", "والخطوط القطرية"])
def test_the_arabic_article_may_melt_with_a_preposition(text):
    assert named(text, a_subject("lines", name="الخطوط القطرية")) == {"lines"}


def test_vowel_signs_of_hindi_make_other_words():
    assert named("दल आया", a_subject("dil", name="दिल")) == set()
    assert named("दिल आया", a_subject("dil", name="दिल")) == {"dil"}


def test_scripts_without_blanks_are_searched_inside():
    assert named("我昨天买了苹果手机", a_subject("apple", name="苹果")) == {"apple"}
    assert named("クイロンの飛行機", a_subject("quillon", name="クイロン")) == {"quillon"}


def test_links_are_not_read_and_a_title_is():
    assert named("https://news.example/air-quillon www.quillon.example/air-quillon") == set()
    assert named("see below", title="Air Quillon on strike") == {"air-quillon"}


def test_a_post_about_two_subjects_is_about_both():
    assert named("Air Quillon and Belmora", QUILLON, a_subject("belmora")) == {
        "air-quillon",
        "belmora",
    }


def test_the_longer_name_has_the_word_unless_it_is_a_product():
    bank, city = a_subject("nordvale-bank"), a_subject("nordvale", kind=Kind.PLACE)
    assert named("Nordvale Bank froze", bank, city) == {"nordvale-bank"}
    assert named("Nordvale Bank in Nordvale", bank, city) == {"nordvale-bank", "nordvale"}
    phone = a_subject("lumora-x2", name="Lumora X2", kind=Kind.PRODUCT)
    assert named("the Lumora X2 burns", phone, a_subject("lumora")) == {"lumora-x2", "lumora"}


# ------------------------------------------------------------------- languages and exclusions


def test_languages_limit_words_but_neither_accounts_nor_hashtags_of_unknown_language():
    subject = a_subject("quillon", languages=("fr-FR",), handles=("quillon_air",))
    assert named("Quillon is late", subject, lang="en") == set()
    assert named("Quillon est en retard", subject, lang="fr-CA") == {"quillon"}
    assert named("Quillon est en retard", subject) == {"quillon"}
    assert named("@quillon_air is late", subject, lang="en") == {"quillon"}
    assert named("#BoycottQuillon", subject, lang="en") == {"quillon"}


def test_an_excluded_phrase_with_the_name_takes_what_it_overlaps():
    subject = a_subject("mangrove", exclude=("mangrove forest",))
    assert named("in a mangrove forest", subject) == set()
    assert named("#mangroveforest", subject) == set()
    assert named("no signal for Mangrove in the mangrove forest", subject) == {"mangrove"}


def test_any_other_excluded_phrase_takes_the_text_but_no_account():
    subject = a_subject("kestrel", exclude=("bird of prey",), handles=("kestrelmotors",))
    assert named("a Kestrel is a bird of prey", subject) == set()
    assert named("#kestrel bird of prey", subject) == set()
    assert named("@kestrelmotors like a bird of prey", subject) == {"kestrel"}


def test_an_exclusion_concerns_its_own_subject():
    other = a_subject("mangrove-forest", name="Mangrove Forest Trust")
    subject = a_subject("mangrove", exclude=("mangrove forest",))
    assert named("Mangrove Forest Trust", subject, other) == {"mangrove-forest"}


# ------------------------------------------------------------------------------------ accounts


@pytest.mark.parametrize(
    "text",
    ["@AirQuillon", ".@airquillon hi", "cc @AIRQUILLON.", "(@AirQuillon)", "@AirQuillon's",
     "@airquillon...lies", "@airquillon.We wait", "@airquillon-rebooked", "hi@ @airquillon"],
)  # fmt: skip
def test_an_account_is_found(text):
    assert named(text, a_subject("q", name="Nobody Else", handles=("@AirQuillon",))) == {"q"}


@pytest.mark.parametrize(
    "text",
    ["@airquillonfan", "@my_airquillon", "@airquillon_fan", "@airquillon.fans", "me@airquillon.example",
     "@airquillon@fans.example"],
)  # fmt: skip
def test_another_account_is_not_taken_for_it(text):
    assert named(text) == set()


def test_the_name_as_account_counts_unless_it_is_ordinary_or_a_person():
    person = a_subject("vance", name="Marisol Vance", kind=Kind.PERSON, purpose="her office")
    assert named("@belmora where?", a_subject("belmora")) == {"belmora"}
    assert named("@marisolvance where?", person) == set()
    assert named("@united where?", a_subject("united")) == set()


def test_a_handle_may_be_a_domain():
    assert named("@q.bsky.social", a_subject("x", handles=("q.bsky.social",))) == {"x"}


def test_own_accounts_are_known_by_name():
    matcher = Matcher([QUILLON, a_subject("twin", own_accounts=("airquillon", "twin"))])
    assert matcher.own(" @AIRquillon ") == ("air-quillon", "twin")
    assert matcher.own("twin") == ("twin",)
    assert matcher.own("somebody") == ()
    assert matcher.own("") == ()


# ------------------------------------------------------------------------------------ hashtags


@pytest.mark.parametrize(
    "tag",
    ["BoycottAirQuillon", "boycottairquillon", "airquillonfail", "AIRQUILLONSUCKS", "airquillon2026",
     "Air_Quillon", "boycott_airquillon", "AirQuillonBreaksCellos", "AirQuillon", "honteairquillon",
     "weloveairquillonnot", "BOYCOTTAirQuillonNow"],
)  # fmt: skip
def test_a_hashtag_holds_a_name_among_its_parts(tag):
    assert named(f"look #{tag} there") == {"air-quillon"}


@pytest.mark.parametrize(
    "tag", ["airquillonis", "airquillonette", "fairquillonfail", "AirQuillonists"]
)
def test_a_hashtag_that_only_begins_like_a_name_holds_none(tag):
    assert named(f"#{tag}") == set()


@pytest.mark.parametrize("tag", ["BoycottTarget", "targetfail", "TargetScandal", "boycott_target"])
def test_an_ordinary_name_in_a_hashtag_needs_a_word_against_it(tag):
    assert named(f"#{tag}", TARGET) == {"target"}


@pytest.mark.parametrize(
    "tag", ["target", "TargetPractice", "targetpractice", "targetday", "OnTarget"]
)
def test_an_ordinary_name_in_a_hashtag_is_else_an_ordinary_word(tag):
    assert named(f"today #{tag} again", TARGET) == set()


def test_a_short_name_in_a_hashtag_needs_a_word_against_it():
    short = a_subject("bk", name="B&K")
    assert named("#boycottBK", short) == {"bk"}
    assert named("#abkhazia #bkk #BKNight", short) == set()


def test_a_keyword_may_be_a_hashtag():
    subject = a_subject("amaryl", keywords=("#AmarylGate",))
    assert named("#amarylgate", subject) == {"amaryl"}
    assert named("amarylgate in words", subject) == set()


def test_a_tag_tells_where_its_names_are_and_how_clear_they_are():
    (names,) = TagReader(["quillon"]).read("#boycottquillon")
    assert names == [(0, 7, 14, True, True)]
    ((name,),) = TagReader(["quillon"]).read("#quillonis")
    assert (name.clear, name.hostile) == (False, False)
    assert list(TagReader(["quillon"]).read("#nothing here")) == []


# ------------------------------------------------------------------------------ ordinary words


@pytest.mark.parametrize(
    "text",
    [
        "I shop at Target every week",
        "boycott target",
        "Dear target, no",
        "Target lost my order",
        "Target pulled the shelf",
        "Target cut off a neighbour",
        "Target, why did you",
        "Target's new rule",
        "see target.com for that",
        "wrote to Target Customer Service",
        "Luv Target, hate queues",
        "I hate #Target so much",
        "@user Target is a joke",
    ],
)
def test_an_ordinary_word_is_a_name_where_it_is_used_as_one(text):
    assert named(text, TARGET, lang="en") == {"target"}


@pytest.mark.parametrize(
    "text",
    [
        "hit the target",
        "Target practice at nine",
        "Target",
        "ON TARGET FOR ONCE",
        "we are on TARGET again",
        "Moving Target was a film",
        "the Target Audience of this",
        "a target-date fund",
        "target #target",
        "Target. Aim. Breathe",
        "the targets' colours",
    ],
)
def test_an_ordinary_word_is_else_just_a_word(text):
    assert named(text, TARGET, lang="en") == set()


def test_what_is_ordinary_depends_on_the_language_and_is_guessed_when_unknown():
    assert named("merci free, plus de réseau", FREE, lang="fr") == {"free"}
    assert named("je suis chez nous et free ne marche pas", FREE) == {"free"}
    assert named("free shipping for you and me", FREE) == set()
    assert named("free", FREE) == set()
    assert named("my Freebox is dead and it is the third time", FREE) == {"free"}


def test_german_capitals_prove_nothing():
    orange = a_subject("orange")
    assert named("Mir gefällt Orange sehr", orange, lang="de") == set()
    assert named("boykottiert Orange", orange, lang="de") == {"orange"}


def test_a_keyword_is_taken_as_it_is():
    assert named("some target", a_subject("target", keywords=("target",)), lang="en") == {"target"}


def test_names_of_two_letters_are_ordinary_everywhere():
    assert is_ordinary("hp", "sv")
    assert named("the HP printer", a_subject("hp", name="HP"), lang="en") == {"hp"}
    assert named("hp sauce", a_subject("hp", name="HP"), lang="en") == set()


def test_phrases_are_ordinary_when_all_their_words_are():
    assert is_ordinary("le petit moulin", "fr")
    assert not is_ordinary("united airlines", "en")
    assert named("united airlines again", a_subject("u", name="United Airlines")) == {"u"}


def test_the_language_is_guessed_by_small_words():
    assert guess_language(["je", "ne", "sais", "pas"]) == "fr"
    assert guess_language(["this", "is", "what", "you", "get"]) == "en"
    assert guess_language(["quillon"]) is None


# ------------------------------------------------------------------------------------- folding


def test_folding_leaves_words_and_single_blanks():
    assert fold("  Saveur   d’Or!  ") == "saveur d or"
    assert fold("Sen. Vance") == "sen vance"
    assert fold("!!! 🍊") == ""


def test_the_written_words_are_as_many_as_the_folded_ones():
    text = plain("L’Œuvre de @someone: Straße, 苹果 & Ünal's «Čapek»")
    assert len(written(text).words) == len(folded(text).split())


# ---------------------------------------------------------------------------------- edge cases


def test_a_matcher_without_subjects_finds_nobody():
    assert Matcher([]).match("Air Quillon #fail @AirQuillon") == ()
    assert Matcher([]).own("x") == ()


@pytest.mark.parametrize("name", ["!!!", "🍊", "@", "#", "&", "'", "_"])
def test_a_name_without_letters_harms_nobody(name):
    matcher = Matcher([a_subject("odd", name=name, exclude=("!",)), QUILLON])
    assert "air-quillon" in matcher.match("Air Quillon ! & ' # @ _ 🍊")


@pytest.mark.parametrize(
    "text", ["", " ", "\x00", "#", "@", "#_", "@.", "''", "’", "#" * 500, "ﷺ", "\x1f"]
)
def test_odd_texts_are_read_without_a_word(text):
    assert named(text) == set()
    assert named(f"Air Quillon {text}") == {"air-quillon"}


def test_the_result_is_sorted():
    subjects = [a_subject("zeta-line"), a_subject("alpha-line"), a_subject("mid-line")]
    matcher = Matcher(subjects)
    assert matcher.match("Zeta Line, Mid Line, Alpha Line") == (
        "alpha-line",
        "mid-line",
        "zeta-line",
    )


# --------------------------------------------------------------------------- hits, traps, streams


def _rows(name):
    return [json.loads(line) for line in (DATA / f"{name}.jsonl").read_text("utf-8").splitlines()]


def test_hits_and_traps_reach_their_floors(capsys):
    matcher = Matcher(watch_list(tomllib.loads((DATA / "watch.toml").read_text("utf-8"))))
    count: Counter[str] = Counter()
    for row in _rows("hits") + _rows("traps"):
        found, expected = set(matcher.match(row["text"], lang=row["lang"])), set(row["subjects"])
        count["right"] += len(found & expected)
        count["wrong"] += len(found - expected)
        count["missed"] += len(expected - found)
    precision = count["right"] / (count["right"] + count["wrong"])
    recall = count["right"] / (count["right"] + count["missed"])
    with capsys.disabled():
        print(f"\nmatching: precision {precision:.3f}, recall {recall:.3f}, {dict(count)}")
    assert precision >= 0.97
    assert recall >= 0.95


def test_there_are_at_least_200_hits_and_200_traps_each_once():
    hits, traps = _rows("hits"), _rows("traps")
    assert len(hits) >= 200
    assert len(traps) >= 200
    assert all(row["subjects"] for row in hits)
    assert not any(row["subjects"] for row in traps)
    assert len({row["text"] for row in hits + traps}) == len(hits) + len(traps)


@pytest.mark.skipif(SHARED is None, reason="the research data (../shared) are not here")
def test_most_posts_of_the_boycott_stream_are_found_by_name(capsys):
    replays = SHARED / "data" / "replays"
    entries = [
        entry
        for entry in json.loads((replays / "replays.json").read_text("utf-8"))
        if "boycott" in entry["file"]
    ]
    ids = {entry["brand"]: SubjectId(f"s{place}") for place, entry in enumerate(entries)}
    matcher = Matcher(
        Subject(
            id=ids[entry["brand"]],
            name=entry["brand"],
            aliases=tuple(entry["aliases"]),
            handles=tuple(entry["handles"]),
        )
        for entry in entries
    )
    found, all_, wrong = Counter(), Counter(), Counter()
    with gzip.open(replays / "boycott_india.jsonl.gz", "rt", encoding="utf-8") as lines:
        for line in lines:
            post = json.loads(line)
            named = set(matcher.match(post["text"], lang=post["lang"]))
            brand = post["brand"] if post["brand"] in ids else None
            all_[brand] += 1
            found[brand] += brand is not None and ids[brand] in named
            wrong.update(named - {ids.get(brand)})
    for brand in ids:
        with capsys.disabled():
            print(f"\nboycott stream: {brand} {found[brand]} of {all_[brand]}", end="")
    total = sum(all_[brand] for brand in ids)
    assert sum(found.values()) / total >= 0.9
    assert sum(wrong.values()) / total <= 0.02
