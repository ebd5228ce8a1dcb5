from dataclasses import replace
from datetime import timedelta

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.build import NOON, a_backlash, a_moment, a_subject, a_why, some_evidence
from uproar.backlash import Backlash, Event, Level
from uproar.incident import Act, Happening, Incident, State, Verb, advance
from uproar.notice import MAX_QUOTE, MAX_QUOTES, Language, Notice, notice, quote, trial
from uproar.notice.facts import line, span

LINK = "https://uproar.example/incidents/e_1"
ACK = Act(verb=Verb.ACKNOWLEDGE, by="anna", note="calling legal")


def said(
    *steps: object,
    language: Language = Language.EN,
    after: timedelta = timedelta(minutes=1),
    **subject: object,
) -> Notice:
    """The notice of the last step of a story; detection is heard of ``after`` what it saw."""
    incident: Incident | None = None
    for step in steps:
        was = incident
        now = step.at + after if isinstance(step, Backlash) else a_moment(minutes=25)
        incident, lines = advance(incident, step, now=now)
    assert incident
    whose = a_subject(**subject)
    return notice(incident, lines[-1], subject=whose, url=LINK, language=language, was=was)


def crisis(**given: object):
    defaults = {
        "sequence": 1,
        "level": Level.CRISIS,
        "page": True,
        "posts": 1420,
        "authors": 960,
        "severity": 81,
        "why": a_why(negative=140.2, baseline=0.3, unscored=2),
        "at": a_moment(minutes=22),
    }
    return a_backlash(Event.GREW, **defaults | given)


def test_a_trigger_says_in_one_line_what_happened():
    told = said(a_backlash())
    assert told.title == (
        "Backlash against Air Quillon: 40 people complain within 15\u00a0min, usual is 3"
    )
    assert told.why_now == (
        "That is 13 times the usual. 80 % of the posts are negative, usual is 40 %."
    )
    assert told.how_big == (
        "60 posts so far, 40 people complaining. Severity 60 of 100, level alert."
    )
    assert told.standing == "Nobody is on it yet."
    assert "Do not delete criticism" in told.advice
    assert told.changed == ""
    assert (told.what, told.page, told.at, told.link) == (Happening.OPENED, True, NOON, LINK)


def test_the_same_in_french():
    told = said(a_backlash(), language=Language.FR)
    assert told.title == (
        "Bad buzz contre Air Quillon\u00a0: 40 personnes se plaignent en 15\u00a0min, "
        "contre 3 d’ordinaire"
    )
    assert told.why_now == (
        "C’est 13 fois plus que d’ordinaire. "
        "80\u202f% des messages sont négatifs, contre 40\u202f% d’ordinaire."
    )
    assert told.how_big == (
        "60 messages jusqu’ici, 40 mécontents. Gravité 60 sur 100, niveau alerte."
    )
    assert told.standing == "Personne ne s’en charge encore."
    assert "Ne supprimez pas les critiques" in told.advice


@pytest.mark.parametrize(
    ("language", "late"),
    [
        (Language.EN, "; detected 42\u00a0min late"),
        (Language.FR, "\u202f; détecté avec 42\u00a0min de retard"),
    ],
)
def test_a_page_that_had_to_catch_up_says_how_late_it_is(language, late):
    in_time = said(a_backlash(), language=language).title
    assert (
        said(a_backlash(), after=timedelta(minutes=42), language=language).title == in_time + late
    )


@pytest.mark.parametrize("after", [timedelta(minutes=4), timedelta(days=8), timedelta(days=4000)])
def test_what_is_in_time_and_a_replay_of_the_past_say_nothing_of_it(after):
    assert "late" not in said(a_backlash(), after=after).title


def test_what_people_do_and_what_calms_down_is_never_late():
    hours = timedelta(hours=3)
    assert "late" not in said(a_backlash(), ACK, after=hours).title
    ended = a_backlash(Event.ENDED, sequence=2, page=False, at=a_moment(minutes=30))
    assert "late" not in said(a_backlash(), ended, after=hours).title


@pytest.mark.parametrize(
    ("language", "title", "changed"),
    [
        (
            Language.EN,
            (
                "Now worse. Crisis for Air Quillon: 140 people complain within 15\u00a0min, "
                "usual is fewer than 1"
            ),
            "Posts 60 → 1,420, people complaining 40 → 960, severity 60 → 81, level alert → crisis.",
        ),
        (
            Language.FR,
            (
                "Aggravation. Crise pour Air Quillon\u00a0: 140 personnes se plaignent en "
                "15\u00a0min, contre moins d’une d’ordinaire"
            ),
            (
                "Messages 60 → 1\u202f420, mécontents 40 → 960, gravité 60 → 81, "
                "niveau alerte → crise."
            ),
        ),
    ],
)
def test_a_rise_says_what_has_changed(language, title, changed):
    told = said(a_backlash(), crisis(), language=language)
    assert (told.title, told.changed, told.page) == (title, changed, True)


def test_posts_that_could_not_be_scored_are_admitted():
    assert said(crisis()).why_now.endswith("2 posts could not be scored.")
    assert said(crisis(), language=Language.FR).why_now.endswith(
        "2 messages n’ont pas pu être évalués."
    )
    one = crisis(why=a_why(unscored=1))
    assert said(one).why_now.endswith("1 post could not be scored.")
    assert said(one, language=Language.FR).why_now.endswith("1 message n’a pas pu être évalué.")


def test_growth_at_the_same_level_is_no_new_crisis():
    event = crisis(level=Level.ALERT, page=False)
    assert said(a_backlash(), event).title.startswith("Backlash against Air Quillon grows: 140")
    french = said(a_backlash(), event, language=Language.FR).title
    assert french.startswith("Bad buzz contre Air Quillon, ça enfle\u00a0: 140")


def test_an_acknowledgement_names_who_is_on_it():
    told = said(a_backlash(), ACK)
    assert told.title == "anna is on it: backlash against Air Quillon"
    assert told.changed == "anna took it on at 12:25 UTC. “calling legal”"
    assert told.standing == "anna is on it."
    assert told.headline == (
        "Backlash against Air Quillon: 40 people complaining, detected 12:00 UTC"
    )
    assert told.why_now.startswith("40 people complain within 15\u00a0min, usual is 3. 80 %")
    french = said(a_backlash(), ACK, language=Language.FR)
    assert french.title == "anna s’en charge\u00a0: bad buzz contre Air Quillon"
    assert french.changed == "anna s’en charge depuis 12:25 UTC. «\u00a0calling legal\u00a0»"
    assert french.standing == "anna s’en charge."


def test_a_close_names_who_closed_it():
    act = Act(verb=Verb.RESOLVE, by="anna")
    told = said(a_backlash(), act)
    assert (told.title, told.standing) == (
        "anna closed it: backlash against Air Quillon",
        "Closed by anna.",
    )
    assert told.changed == "anna closed it at 12:25 UTC."
    assert told.advice.startswith("Tell those who complained")
    french = said(a_backlash(), act, language=Language.FR)
    assert french.title == "Clos par anna\u00a0: bad buzz contre Air Quillon"
    assert french.standing == "Clos par anna."
    assert french.advice.startswith("Dites à ceux qui se sont plaints")


def test_a_wave_calms_down_and_ends():
    calm = a_backlash(Event.SUBSIDED, sequence=1, at=a_moment(minutes=80), severity=30)
    end = a_backlash(Event.ENDED, sequence=2, at=a_moment(minutes=130), severity=10)
    assert said(a_backlash(), calm).title == "Backlash against Air Quillon is calming down"
    assert said(a_backlash(), calm).advice.startswith("Keep what you promised")
    told = said(a_backlash(), calm, end)
    assert told.title == "Backlash against Air Quillon is over after 2\u00a0h\u00a010\u00a0min"
    assert told.changed == "Complaints are back to the usual."
    assert told.headline == (
        "Over: backlash against Air Quillon. 40 people complained, detected 12:00 UTC"
    )
    assert told.how_big == (
        "60 posts in all, 40 people complained. At its worst: severity 60 of 100, level alert."
    )
    assert (told.standing, told.state) == ("It is over.", State.RESOLVED)
    french = said(a_backlash(), calm, language=Language.FR)
    assert french.title == "Bad buzz contre Air Quillon\u00a0: ça se calme"
    assert french.advice.startswith("Tenez vos promesses")
    french = said(a_backlash(), calm, end, language=Language.FR)
    assert "terminé après 2\u00a0h\u00a010\u00a0min" in french.title
    assert (french.standing, french.changed[:12]) == ("C’est terminé.", "Les plaintes")
    assert french.headline == (
        "Terminé\u00a0: bad buzz contre Air Quillon. 40 mécontents, détecté à 12:00 UTC"
    )
    assert "60 messages en tout" in french.how_big


def test_a_wave_that_rises_after_it_was_closed_says_so():
    act = Act(verb=Verb.RESOLVE, by="anna")
    told = said(a_backlash(), act, crisis())
    assert told.title.startswith("Crisis for Air Quillon: 140 people")
    assert told.changed.startswith("It had been closed and has risen again. Posts 60")
    assert told.standing == "Nobody is on it yet."
    french = said(a_backlash(), act, crisis(), language=Language.FR)
    assert french.changed.startswith("L’incident était clos et repart. Messages 60")


def test_a_first_look_is_no_alarm():
    event = a_backlash(level=Level.WATCH)
    assert said(event).title.startswith("Worth a look, Air Quillon: 40")
    assert said(event, language=Language.FR).title.startswith("À surveiller, Air Quillon\u00a0: 40")


def test_one_person_is_not_people():
    event = a_backlash(posts=1, authors=1, why=a_why(negative=1.0, baseline=2.0))
    told = said(event)
    assert "1 person complains within" in told.title
    assert told.how_big.startswith("1 post so far, 1 person complaining.")
    french = said(event, language=Language.FR)
    assert "1 personne se plaint en" in french.title
    assert french.how_big.startswith("1 message jusqu’ici, 1 mécontent.")


def test_a_share_that_is_not_known_is_not_made_up():
    assert said(a_backlash(why=a_why(negative_share=None))).why_now == (
        "That is 13 times the usual."
    )


def test_another_day_is_named():
    late = replace(crisis(), at=NOON + timedelta(days=1))
    assert "detected 2026-03-02 12:00 UTC" in said(a_backlash(), late).headline


def test_a_snoozed_incident_says_so():
    incident, lines = advance(None, a_backlash(), now=NOON)
    snoozed = replace(incident, state=State.SNOOZED)
    for language, word in ((Language.EN, "Snoozed."), (Language.FR, "En pause.")):
        told = notice(snoozed, lines[0], subject=a_subject(), url=LINK, language=language)
        assert told.standing == word


def test_three_posts_are_quoted_on_one_line_each():
    posts = tuple(some_evidence(id=f"push:{n}", text="a\nb\tc " * 200) for n in range(8))
    quotes = said(a_backlash(evidence=posts)).quotes
    assert [q.post for q in quotes] == ["push:0", "push:1", "push:2"]
    assert len(quotes) == MAX_QUOTES
    assert all(len(q.text) <= MAX_QUOTE and "\n" not in q.text for q in quotes)


@pytest.mark.parametrize(
    "url",
    [None, "", "javascript:alert(1)", "https://", "http://[::1", "ftp://a.example/", "//a.example",
     "https://a.example/ b", "https://a.example/\n", "https://a.example/" + "x" * 1000],
)  # fmt: skip
def test_a_link_that_is_no_web_address_is_dropped(url):
    assert quote(some_evidence(url=url)).url is None


def test_control_characters_cannot_turn_a_title_round():
    told = said(a_backlash(), name="Air\u202e\n\x00 Quillon\ud800" + "n" * 100)
    assert told.subject_name == "Air Quillon " + "n" * 47 + "…"
    assert told.title.isprintable() or "\u00a0" in told.title


@given(st.text(max_size=400), st.integers(1, 300))
def test_a_line_is_one_line_within_its_limit(text, limit):
    cut = line(text, limit)
    assert len(cut) <= limit
    assert len(cut.splitlines()) <= 1
    assert cut == line(cut, limit)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "1 min"), (90, "2 min"), (3600, "1 h"), (7800, "2 h 10 min"), (273_600, "3 d 4 h")],
)
def test_a_span_is_said_with_two_units(seconds, words):
    assert span(timedelta(seconds=seconds), day="d").replace("\u00a0", " ") == words


@pytest.mark.parametrize("language", list(Language))
def test_a_notice_survives_the_database(language):
    told = said(a_backlash(), crisis(), ACK, language=language)
    stored = msgspec.json.decode(msgspec.json.encode(msgspec.to_builtins(told)))
    assert msgspec.convert(stored, Notice) == told


@pytest.mark.parametrize("language", list(Language))
def test_a_trial_claims_nothing(language):
    told = trial(url=LINK, language=language, now=NOON)
    assert (told.page, told.posts, told.quotes, told.advice) == (False, 0, (), "")
    assert told.title == told.headline
    assert told.why_now
