from dataclasses import replace

import pytest

from tests.build import NOON, a_backlash, a_moment, a_why, some_evidence
from uproar.backlash import Event, Level, episode_id
from uproar.incident import (
    TABLE,
    UPROAR,
    Act,
    Happening,
    IllegalTransition,
    Incident,
    State,
    Verb,
    advance,
)
from uproar.subject import SubjectId


def an_incident(*events_and_acts) -> Incident:
    """Open an incident at alert and let things happen to it, a minute apart."""
    incident, _ = advance(None, a_backlash(), now=NOON)
    for minutes, happened in enumerate(events_and_acts, start=1):
        incident, _ = advance(incident, happened, now=a_moment(minutes=minutes))
    return incident


def acknowledge(by: str = "Ada", note: str | None = None) -> Act:
    return Act(verb=Verb.ACKNOWLEDGE, by=by, note=note)


def resolve(by: str = "Ada") -> Act:
    return Act(verb=Verb.RESOLVE, by=by)


def test_the_first_event_opens_the_incident_that_it_names():
    incident, lines = advance(None, a_backlash(), now=NOON)

    assert incident.id == a_backlash().incident
    assert incident.state is State.OPEN
    assert incident.title == a_why().summary
    assert incident.evidence == (some_evidence(),)
    (line,) = lines
    assert (line.sequence, line.happened, line.before, line.after) == (
        1,
        Happening.OPENED,
        None,
        State.OPEN,
    )
    assert (line.page, line.by, line.backlash) == (True, UPROAR, a_backlash().id)


def test_an_event_heard_again_changes_nothing():
    incident = an_incident(acknowledge())

    again, lines = advance(incident, a_backlash(), now=a_moment(minutes=9))

    assert again is incident
    assert lines == []


def test_an_incident_whose_opening_was_never_heard_begins_with_its_growth_and_pages():
    grew = a_backlash(Event.GREW, sequence=3, page=True)

    incident, (line,) = advance(None, grew, now=NOON)

    assert incident.state is State.OPEN
    assert line.page


def test_an_incident_of_which_only_the_end_is_heard_is_history():
    incident, (line,) = advance(None, a_backlash(Event.ENDED, sequence=4), now=NOON)

    assert incident.state is State.RESOLVED
    assert incident.resolved_by == UPROAR
    assert not line.page


def test_somebody_acknowledges_and_is_named():
    incident, (line,) = advance(
        an_incident(), acknowledge(note="calling the airport"), now=a_moment(minutes=2)
    )

    assert incident.state is State.ACKNOWLEDGED
    assert (incident.acknowledged_by, incident.acknowledged_at) == ("Ada", a_moment(minutes=2))
    assert (line.happened, line.by, line.summary) == (
        Happening.ACKNOWLEDGE,
        "Ada",
        "calling the airport",
    )
    assert line.happened_at is None
    assert line.changed


def test_a_second_acknowledgement_is_written_down_and_changes_nothing():
    before = an_incident(acknowledge("Ada"))

    after, (line,) = advance(before, acknowledge("Bo"), now=a_moment(minutes=5))

    assert (after.acknowledged_by, after.acknowledged_at) == ("Ada", before.acknowledged_at)
    assert line.by == "Bo"
    assert not line.changed


@pytest.mark.parametrize("level", [Level.ALERT, Level.CRISIS])
def test_an_acknowledgement_commutes_with_growth(level: Level):
    grew = a_backlash(Event.GREW, sequence=1, level=level, page=level is Level.CRISIS, severity=80)
    opened = an_incident()
    then = a_moment(minutes=1)

    one, _ = advance(advance(opened, acknowledge(), now=then)[0], grew, now=then)
    other, _ = advance(advance(opened, grew, now=then)[0], acknowledge(), now=then)

    assert one == other
    assert one.state is State.ACKNOWLEDGED


def test_the_rise_to_crisis_pages_even_when_somebody_is_on_it():
    grew = a_backlash(Event.GREW, sequence=1, level=Level.CRISIS, page=True)

    incident, (line,) = advance(an_incident(acknowledge()), grew, now=a_moment(minutes=3))

    assert incident.state is State.ACKNOWLEDGED
    assert incident.level is Level.CRISIS
    assert line.page
    assert line.happened is Happening.ROSE


def test_growth_at_the_same_level_leaves_a_resolved_incident_resolved():
    grew = a_backlash(Event.GREW, sequence=1, severity=70)

    incident, (line,) = advance(an_incident(resolve()), grew, now=a_moment(minutes=3))

    assert incident.state is State.RESOLVED
    assert incident.severity == 70
    assert line.happened is Happening.GREW


def test_growth_to_a_higher_level_opens_a_resolved_incident_again():
    grew = a_backlash(Event.GREW, sequence=1, level=Level.CRISIS, page=True)

    incident, (line,) = advance(
        an_incident(acknowledge(), resolve()), grew, now=a_moment(minutes=3)
    )

    assert incident.state is State.OPEN
    assert (incident.acknowledged_by, incident.acknowledged_at) == (None, None)
    assert (incident.resolved_by, incident.resolved_at) == (None, None)
    assert (line.before, line.after) == (State.RESOLVED, State.OPEN)


def test_a_level_reached_before_it_subsided_is_no_rise():
    subsided = a_backlash(Event.SUBSIDED, sequence=1, level=Level.WATCH, severity=20, page=False)
    grew = a_backlash(Event.GREW, sequence=2, level=Level.ALERT, page=False)

    incident = an_incident(subsided, resolve(), grew)

    assert incident.state is State.RESOLVED
    assert incident.level is Level.ALERT


def test_the_end_resolves_in_the_name_of_uproar():
    incident = an_incident(acknowledge(), a_backlash(Event.ENDED, sequence=1, severity=0))

    assert incident.state is State.RESOLVED
    assert incident.resolved_by == UPROAR
    assert incident.acknowledged_by == "Ada"
    assert (incident.severity, incident.peak_severity) == (0, 60)


def test_who_resolved_first_stays_written_when_the_backlash_ends_later():
    incident = an_incident(resolve(), a_backlash(Event.ENDED, sequence=1))

    assert incident.resolved_by == "Ada"
    assert incident.resolved_at == a_moment(minutes=1)


def test_a_resolved_incident_cannot_be_acknowledged():
    with pytest.raises(IllegalTransition, match="is resolved cannot acknowledge"):
        advance(an_incident(resolve()), acknowledge(), now=NOON)


def test_an_act_needs_an_incident():
    with pytest.raises(IllegalTransition, match="no incident to resolve"):
        advance(None, resolve(), now=NOON)


def test_an_event_of_another_episode_is_refused():
    other = a_backlash(incident=episode_id(SubjectId("air-quillon"), a_moment(minutes=99)))

    with pytest.raises(IllegalTransition, match="belongs to"):
        advance(an_incident(), other, now=NOON)


def test_an_event_without_evidence_leaves_that_of_the_one_before():
    incident = an_incident(a_backlash(Event.GREW, sequence=1, evidence=()))

    assert incident.evidence == (some_evidence(),)


def test_posts_and_authors_never_shrink_and_the_title_stays_when_it_subsides():
    calm = replace(a_why(), summary="it is calming down")

    incident = an_incident(
        a_backlash(Event.SUBSIDED, sequence=1, posts=10, authors=5, why=calm, severity=10)
    )

    assert (incident.posts, incident.authors) == (60, 40)
    assert incident.title == a_why().summary
    assert incident.why == calm


def test_every_state_that_can_be_reached_knows_every_event_of_detection():
    events = {Happening(event.value) for event in Event} | {Happening.ROSE}
    reachable = set(TABLE.values())

    assert reachable == {State.OPEN, State.ACKNOWLEDGED, State.RESOLVED}
    assert {(state, event) for state in reachable for event in events} <= set(TABLE)


def test_every_verb_is_a_happening_that_some_state_allows():
    allowed = {happening for _, happening in TABLE}

    assert {Happening(verb.value) for verb in Verb} <= allowed
