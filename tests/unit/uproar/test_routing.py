from dataclasses import replace
from zoneinfo import ZoneInfo

import pytest

from tests.build import NOON, a_backlash, a_subject
from uproar.backlash import Event, Level
from uproar.errors import Malformed
from uproar.incident import Act, Incident, Transition, Verb, advance
from uproar.notice import Language, NoticeKind
from uproar.routing import (
    Receiver,
    ReceiverName,
    Route,
    acquainted,
    language_of,
    names_of,
    read_routes,
    receivers,
    route_of,
    standbys,
)
from uproar.schedule import read_schedules
from uproar.subject import Kind

SLACK = Receiver(name=ReceiverName("slack"))
PAGER = Receiver(name=ReceiverName("pager"), pages_only=True)
ROUTES = read_routes((), (SLACK, PAGER))


def story(*steps: object) -> list[tuple[Transition, Level | None]]:
    """Advance one incident through steps; each line with the level that was reached before."""
    incident: Incident | None = None
    told = []
    for step in steps:
        reached = incident.level if incident else None
        incident, lines = advance(incident, step, now=NOON)
        told += [(line, reached) for line in lines]
    return told


def kinds(*steps: object, routes=ROUTES, subject=None) -> list[list[tuple[str, str]]]:
    subject = subject or a_subject()
    return [
        [(r.name, kind.value) for r, kind in receivers(line, subject, routes, reached=reached)]
        for line, reached in story(*steps)
    ]


def grew(level: Level, *, sequence: int = 1, page: bool = False):
    return a_backlash(Event.GREW, sequence=sequence, level=level, page=page)


def test_an_incident_that_opens_at_alert_triggers_everybody():
    assert kinds(a_backlash()) == [[("slack", "trigger"), ("pager", "trigger")]]


def test_an_incident_that_opens_at_watch_disturbs_nobody_until_it_reaches_alert():
    told = kinds(a_backlash(level=Level.WATCH), grew(Level.ALERT, page=True))
    assert told == [[], [("slack", "trigger"), ("pager", "trigger")]]


def test_a_route_may_ask_for_the_level_watch():
    routes = (Route(name="default", receivers=(SLACK,), level=Level.WATCH),)
    told = kinds(a_backlash(level=Level.WATCH), grew(Level.ALERT, page=True), routes=routes)
    assert told == [[("slack", "trigger")], [("slack", "update")]]


def test_growth_without_a_page_is_kept_from_a_pager():
    assert kinds(a_backlash(), grew(Level.ALERT))[1] == [("slack", "update")]


def test_the_rise_to_crisis_pages_again():
    told = kinds(a_backlash(), grew(Level.CRISIS, page=True))
    assert told[1] == [("slack", "update"), ("pager", "update")]


def test_an_acknowledgement_and_an_end_reach_all_who_were_told():
    told = kinds(a_backlash(), Act(verb=Verb.ACKNOWLEDGE, by="anna"), a_backlash(Event.ENDED))
    assert told[1:] == [
        [("slack", "acknowledge"), ("pager", "acknowledge")],
        [("slack", "resolve"), ("pager", "resolve")],
    ]


def test_a_repeated_act_tells_nobody_anything():
    act = Act(verb=Verb.ACKNOWLEDGE, by="anna")
    assert kinds(a_backlash(), act, act)[2] == []


def test_acts_on_an_incident_nobody_heard_of_are_told_to_nobody():
    assert kinds(a_backlash(level=Level.WATCH), Act(verb=Verb.RESOLVE, by="anna")) == [[], []]


def test_what_people_have_closed_stays_quiet_until_it_rises():
    told = kinds(
        a_backlash(),
        Act(verb=Verb.RESOLVE, by="anna"),
        grew(Level.ALERT),
        a_backlash(Event.ENDED, sequence=2),
    )
    assert told[2:] == [[], []]


def test_what_people_have_closed_triggers_anew_when_it_rises():
    told = kinds(a_backlash(), Act(verb=Verb.RESOLVE, by="anna"), grew(Level.CRISIS, page=True))
    assert told[2] == [("slack", "trigger"), ("pager", "trigger")]


def test_a_wave_whose_only_known_event_is_its_end_is_told_as_ended():
    event = a_backlash(Event.ENDED, page=False)
    assert kinds(event) == [[("slack", "resolve"), ("pager", "resolve")]]


@pytest.mark.parametrize("event", [Event.OPENED, Event.GREW, Event.SUBSIDED])
def test_a_page_is_never_kept_quiet(event):
    page = a_backlash(event, sequence=1, page=True)
    closed = (a_backlash(), Act(verb=Verb.RESOLVE, by="anna"))
    assert [name for name, _ in kinds(*closed, page)[2]] == ["slack", "pager"]


def test_a_canary_goes_to_the_receivers_marked_for_it_only():
    canary = replace(a_subject(), kind=Kind.CANARY)
    marked = replace(SLACK, name=ReceiverName("sandbox"), canary=True)
    routes = read_routes((), (SLACK, marked, PAGER))
    told = kinds(a_backlash(), a_backlash(Event.ENDED, sequence=1), routes=routes, subject=canary)
    assert told == [[("sandbox", "canary")], []]


def test_a_receiver_marked_for_canaries_still_hears_of_real_incidents():
    routes = read_routes((), (replace(SLACK, canary=True),))
    assert kinds(a_backlash(), routes=routes) == [[("slack", "trigger")]]


def test_a_subject_takes_its_own_route_and_a_wrong_name_loses_no_page():
    routes = read_routes(({"name": "crew", "receivers": ["pager"]},), (SLACK, PAGER))
    assert kinds(a_backlash(), routes=routes, subject=a_subject(route="crew")) == [
        [("pager", "trigger")]
    ]
    for route in (None, "gone"):
        told = kinds(a_backlash(), routes=routes, subject=a_subject(route=route))
        assert told == [[("slack", "trigger"), ("pager", "trigger")]]


def test_without_any_route_nobody_is_told():
    assert route_of(a_subject(), ()) is None
    assert kinds(a_backlash(), routes=()) == [[]]


def test_a_receiver_that_stands_twice_in_a_route_is_told_once():
    routes = (Route(name="default", receivers=(SLACK, SLACK)),)
    assert kinds(a_backlash(), routes=routes) == [[("slack", "trigger")]]


def test_routes_are_read():
    table = {"name": "default", "receivers": ["pager"], "level": "crisis"}
    assert read_routes((table,), (SLACK, PAGER)) == (
        Route(name="default", receivers=(PAGER,), level=Level.CRISIS),
    )


@pytest.mark.parametrize(
    ("table", "reason"),
    [
        ({"receivers": ["slack"]}, "number 1.*no name"),
        ({"name": " ", "receivers": ["slack"]}, "no name"),
        ({"name": "a", "receivers": []}, "'a': receivers must be a list"),
        ({"name": "a", "receivers": "slack"}, "receivers must be a list"),
        ({"name": "a", "receivers": ["mail"]}, "no receiver 'mail'"),
        ({"name": "a", "receivers": [{}]}, "no receiver"),
        ({"name": "a", "receivers": ["slack"], "level": "red"}, "watch, alert, crisis"),
        ({"name": "a", "receivers": ["slack"], "level": []}, "watch, alert, crisis"),
        ({"name": "a", "receivers": ["slack"], "colour": 1}, "unknown colour"),
    ],
)
def test_a_wrong_route_is_refused_with_its_reason(table, reason):
    with pytest.raises(Malformed, match=reason):
        read_routes((table,), (SLACK,))


def test_two_routes_of_one_name_are_refused():
    table = {"name": "a", "receivers": ["slack"]}
    with pytest.raises(Malformed, match="twice"):
        read_routes((table, table), (SLACK,))


def test_pages_overtake_everything_and_canaries_nothing():
    assert [kind.value for kind in sorted(NoticeKind, key=lambda kind: kind.priority)] == [
        "trigger",
        "acknowledge",
        "resolve",
        "update",
        "canary",
    ]


def test_a_receiver_is_told_in_its_own_language_or_the_subjects_or_english():
    french, silent = Receiver(name="a", language=Language.FR), Receiver(name="b")
    assert language_of(french, a_subject(language="en")) is Language.FR
    assert language_of(silent, a_subject(language="fr")) is Language.FR
    assert language_of(silent, a_subject()) is Language.EN


MAIL, HOOK = (Receiver(name=ReceiverName(name)) for name in ("mail", "hook"))


def test_those_who_stand_by_hear_what_the_others_hear_and_in_their_order():
    table = {"name": "default", "receivers": ["slack"], "failover": ["mail", "hook", "mail"]}
    routes = read_routes([table], (SLACK, MAIL, HOOK))
    lines = story(a_backlash(), Act(verb=Verb.ACKNOWLEDGE, by="anna"))
    told = [
        [(r.name, kind.value) for r, kind in standbys(line, a_subject(), routes, reached=reached)]
        for line, reached in lines
    ]
    assert told == [
        [("mail", "trigger"), ("hook", "trigger")],
        [("mail", "acknowledge"), ("hook", "acknowledge")],
    ]
    assert kinds(a_backlash(), routes=routes) == [[("slack", "trigger")]]


def test_nobody_stands_by_for_a_canary():
    table = {"name": "default", "receivers": ["slack"], "failover": ["mail"]}
    routes = read_routes([table], (SLACK, MAIL))
    ((line, _),) = story(a_backlash())
    assert standbys(line, a_subject(kind=Kind.CANARY), routes, reached=None) == []


@pytest.mark.parametrize(
    ("failover", "reason"),
    [
        ("mail", "failover must be a list"),
        (["nobody"], "there is no receiver 'nobody'"),
        (["slack"], "'slack' is told at once and cannot stand by as well"),
        ([f"r{n}" for n in range(6)], "at most 5"),
    ],
)
def test_a_failover_that_makes_no_sense_is_refused_with_its_reason(failover: object, reason: str):
    others = tuple(Receiver(name=ReceiverName(f"r{n}")) for n in range(6))
    table = {"name": "default", "receivers": ["slack"], "failover": failover}
    with pytest.raises(Malformed, match=reason):
        read_routes([table], (SLACK, MAIL, *others))


ANNA, BERT, AGENCY = (Receiver(name=ReceiverName(name)) for name in ("anna", "bert", "agency"))
CREW = (SLACK, ANNA, BERT, AGENCY)
DAY_AND_NIGHT = {
    "name": "on-call",
    "time_zone": "UTC",
    "otherwise": ["agency"],
    "shift": [
        {"receivers": ["anna"], "from": "08:00", "to": "20:00"},
        {"receivers": ["bert"], "from": "20:00", "to": "07:00"},
    ],
}


def scheduled(**table: object) -> tuple[Route, ...]:
    schedules = read_schedules([DAY_AND_NIGHT], names_of(CREW), ZoneInfo)
    return read_routes([{"name": "default"} | table], CREW, schedules)


def told_at(routes: tuple[Route, ...], line: Transition, hour: int, *, first: bool = True):
    line = replace(line, at=NOON.replace(hour=hour))
    reached = None if first else Level.ALERT
    given = line, a_subject(), routes
    return (
        [(r.name, kind.value) for r, kind in receivers(*given, reached=reached)],
        [(r.name, kind.value) for r, kind in standbys(*given, reached=reached)],
        [(r.name, kind.value, n) for r, kind, n in acquainted(*given, reached=reached)],
    )


def test_who_is_on_call_is_paged_and_somebody_in_the_gap_too():
    routes = scheduled(receivers=["slack", "on-call"])
    ((opened, _),) = story(a_backlash())
    for hour, who in ((12, "anna"), (23, "bert"), (3, "bert"), (7, "agency")):
        told, idle, off = told_at(routes, opened, hour)
        assert told == [("slack", "trigger"), (who, "trigger")]
        assert (idle, off) == ([], [])


def test_who_is_off_call_by_now_hears_who_has_it_and_that_it_is_over_and_no_more():
    routes = scheduled(receivers=["on-call"])
    lines = story(
        a_backlash(), grew(Level.CRISIS, page=True), Act(verb=Verb.ACKNOWLEDGE, by="carla")
    )
    (_, page, taken) = (line for line, _ in lines)
    assert told_at(routes, page, 23, first=False) == ([("bert", "update")], [], [])
    told, _, off = told_at(routes, taken, 23, first=False)
    assert told == []
    assert off == [
        ("anna", "acknowledge", 0),
        ("bert", "acknowledge", 0),
        ("agency", "acknowledge", 0),
    ]


def test_who_is_on_call_hears_what_follows_if_they_know_of_it():
    routes = scheduled(receivers=["on-call"])
    _, (grown, _) = story(a_backlash(), grew(Level.ALERT))
    assert told_at(routes, grown, 23, first=False) == ([], [], [("bert", "update", 0)])


def test_a_schedule_may_stand_by_and_nobody_is_told_twice():
    routes = scheduled(receivers=["anna"], failover=["on-call", "slack"])
    ((opened, _),) = story(a_backlash())
    assert told_at(routes, opened, 12)[:2] == ([("anna", "trigger")], [("slack", "trigger")])
    assert told_at(routes, opened, 23)[1] == [("bert", "trigger"), ("slack", "trigger")]


def test_a_schedule_in_no_route_and_one_with_the_name_of_a_receiver_are_refused():
    with pytest.raises(Malformed, match="'on-call' is in no route"):
        scheduled(receivers=["slack"])
    twin = read_schedules([DAY_AND_NIGHT | {"name": "slack"}], names_of(CREW), ZoneInfo)
    with pytest.raises(Malformed, match="a receiver has this name already"):
        read_routes([], CREW, twin)
    with pytest.raises(Malformed, match="otherwise: there is no receiver 'nobody'"):
        read_schedules([DAY_AND_NIGHT | {"otherwise": ["nobody"]}], names_of(CREW), ZoneInfo)
