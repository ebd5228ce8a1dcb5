from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from tests.build import NOON, a_backlash, a_moment, a_why, some_evidence
from uproar.backlash import Backlash, Event, Level, episode_id
from uproar.incident import (
    TABLE,
    UPROAR,
    Act,
    Happening,
    IllegalTransition,
    Incident,
    IncidentId,
    State,
    Verb,
    Verdict,
    advance,
    echoed,
    split,
)
from uproar.subject import SubjectId


def an_incident(*events_and_acts) -> Incident:
    """Open an incident at alert and let things happen to it, a minute apart."""
    incident, _ = advance(None, a_backlash(), now=NOON)
    for minutes, happened in enumerate(events_and_acts, start=1):
        incident, _ = advance(incident, happened, now=a_moment(minutes=minutes))
    return incident


def a_later_wave(event: Event = Event.OPENED, **given: Any) -> Backlash:
    """Let a new wave begin, so long after NOON."""
    when = {unit: given.pop(unit) for unit in ("days", "minutes") if unit in given}
    at = NOON + timedelta(**when)
    return a_backlash(event, incident=episode_id(SubjectId("air-quillon"), at), at=at, **given)


def acknowledge(by: str = "Ada", note: str | None = None) -> Act:
    return Act(verb=Verb.ACKNOWLEDGE, by=by, note=note)


def resolve(by: str = "Ada") -> Act:
    return Act(verb=Verb.RESOLVE, by=by)


def snooze(by: str = "Ada") -> Act:
    return Act(verb=Verb.SNOOZE, by=by, until=a_moment(minutes=60))


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


@pytest.mark.parametrize(
    "other",
    [
        a_backlash(subject="nimbus"),
        a_later_wave(days=7, minutes=1),
        a_later_wave(minutes=-1),
    ],
    ids=["another subject", "too late", "before its last event"],
)
def test_an_event_of_another_incident_is_refused(other: Backlash):
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


def test_every_state_knows_every_event_of_detection():
    events = {Happening(event.value) for event in Event} | {Happening.ROSE, Happening.RETURNED}

    assert set(TABLE.values()) == set(State)
    assert {(state, event) for state in State for event in events} <= set(TABLE)


def test_what_people_put_away_knows_what_brings_it_back():
    put_away = {State.SNOOZED, State.RESOLVED}
    back = {Happening.ROSE, Happening.DOUBLED, Happening.RETURNED, Happening.REOPEN}

    assert {TABLE[state, happening] for state in put_away for happening in back} == {State.OPEN}


# ----------------------------------------------------------------------------------- episodes


def test_a_wave_within_seven_days_is_a_new_episode_of_the_same_incident():
    ended = an_incident(acknowledge(), a_backlash(Event.ENDED, sequence=1))
    wave = a_later_wave(days=7, level=Level.WATCH, posts=9, authors=7, severity=20, page=False)

    incident, (line,) = advance(ended, wave, now=a_moment(minutes=9))

    assert (incident.id, incident.episode) == (ended.id, 2)
    assert incident.episodes == (a_backlash().incident, wave.incident)
    assert (incident.state, incident.acknowledged_by) == (State.OPEN, None)
    assert (incident.level, incident.posts, incident.severity) == (Level.WATCH, 9, 20)
    assert (incident.opened_at, incident.began_at) == (NOON, wave.at)
    assert incident.peak_severity == 60
    assert (line.happened, line.before, line.episode) == (
        Happening.RETURNED,
        State.RESOLVED,
        2,
    )


def test_a_page_of_a_new_episode_is_not_lost_on_an_incident_that_has_paged_before():
    incident, (line,) = advance(
        an_incident(a_backlash(Event.ENDED, sequence=1)), a_later_wave(days=1), now=NOON
    )

    assert line.page
    grew = a_later_wave(Event.GREW, sequence=1, days=1, level=Level.CRISIS, page=True)
    _, (line,) = advance(incident, grew, now=NOON)
    assert (line.happened, line.page, line.episode) == (Happening.ROSE, True, 2)


def test_what_an_earlier_episode_still_says_moves_nothing_and_is_written_down():
    incident, _ = advance(
        an_incident(a_backlash(Event.ENDED, sequence=1)), a_later_wave(days=1), now=NOON
    )
    late = a_backlash(Event.ENDED, sequence=2)

    after, (line,) = advance(incident, late, now=NOON)

    assert (after.state, line.episode) == (State.OPEN, 1)


# ------------------------------------------------------------------- what brings it back, and when


@pytest.mark.parametrize("put_away", [resolve(), snooze()], ids=["resolved", "snoozed"])
@pytest.mark.parametrize(("posts", "state"), [(119, None), (120, State.OPEN)])
def test_only_twice_its_size_brings_back_what_people_put_away(put_away, posts, state):
    away = an_incident(put_away)

    after, (line,) = advance(
        away, a_backlash(Event.GREW, sequence=1, posts=posts, page=False), now=NOON
    )

    assert after.state is (state or away.state)
    assert line.happened is (Happening.DOUBLED if state else Happening.GREW)


def test_a_snooze_ends_when_its_time_has_come_and_not_before():
    asleep = an_incident(snooze())
    wake = Act(verb=Verb.WAKE, by=UPROAR)

    with pytest.raises(IllegalTransition, match="not over"):
        advance(asleep, wake, now=a_moment(minutes=59))
    woken, (line,) = advance(asleep, wake, now=a_moment(minutes=60))

    assert (asleep.snoozed_until, woken.snoozed_until) == (a_moment(minutes=60), None)
    assert (woken.state, line.changed) == (State.OPEN, True)


@pytest.mark.parametrize("until", [None, NOON, NOON + timedelta(days=31)])
def test_a_snooze_needs_a_time_that_comes(until):
    with pytest.raises(IllegalTransition, match="within 30 days"):
        advance(an_incident(), Act(verb=Verb.SNOOZE, by="Ada", until=until), now=NOON)


# ---------------------------------------------------------------------------------- false alarms


def test_a_false_alarm_mutes_its_episode_and_no_other():
    verdict = Act(verb=Verb.FALSE_ALARM, by="Ada", note="a football match")
    muted = an_incident(verdict)
    crisis = a_backlash(Event.GREW, sequence=1, level=Level.CRISIS, page=True, posts=900)

    after, (line,) = advance(muted, crisis, now=NOON)

    assert (muted.verdict, muted.verdict_reason) == (Verdict.FALSE_ALARM, "a football match")
    assert (after.state, line.page, after.level) == (State.RESOLVED, False, Level.CRISIS)
    again, (line,) = advance(after, a_later_wave(days=2), now=NOON)
    assert (again.state, again.verdict, line.page) == (State.OPEN, None, True)


def test_who_reopens_a_false_alarm_takes_the_verdict_back():
    verdict = Act(verb=Verb.FALSE_ALARM, by="Ada", note="a football match")

    incident = an_incident(verdict, Act(verb=Verb.REOPEN, by="Bo"))

    assert (incident.state, incident.verdict, incident.muted) == (State.OPEN, None, False)


@pytest.mark.parametrize("verb", [Verb.FALSE_ALARM, Verb.NOTE])
@pytest.mark.parametrize("note", [None, "  "])
def test_a_verdict_and_a_note_need_words(verb, note):
    with pytest.raises(IllegalTransition, match="needs words"):
        advance(an_incident(), Act(verb=verb, by="Ada", note=note), now=NOON)


# --------------------------------------------------------------------- what changes no state


def test_assignment_and_rating_stay_until_somebody_or_a_rise_changes_them():
    assign = Act(verb=Verb.ASSIGN, by="Ada", assignee="Bo")
    rate = Act(verb=Verb.RATE, by="Ada", severity=15)
    incident = an_incident(assign, rate, a_backlash(Event.GREW, sequence=1, severity=70))

    assert (incident.assignee, incident.severity, incident.peak_severity) == ("Bo", 15, 70)
    worse = a_backlash(Event.GREW, sequence=2, severity=90, level=Level.CRISIS)
    assert advance(incident, worse, now=NOON)[0].severity == 90
    assert advance(incident, Act(verb=Verb.ASSIGN, by="Ada"), now=NOON)[0].assignee is None


@pytest.mark.parametrize("severity", [None, -1, 101])
def test_a_rating_is_a_number_from_0_to_100(severity):
    with pytest.raises(IllegalTransition, match="0 to 100"):
        advance(an_incident(), Act(verb=Verb.RATE, by="Ada", severity=severity), now=NOON)


# ------------------------------------------------------------------------------ merge and split

LEAD = IncidentId("e_lead")
MERGE = Act(verb=Verb.MERGE, by="Ada", other=LEAD)
UNMERGE = Act(verb=Verb.UNMERGE, by="Ada", other=LEAD)


@pytest.mark.parametrize("before", [(), (acknowledge(),), (resolve(),)])
def test_an_undone_merge_leaves_an_incident_as_it_stood(before):
    was = an_incident(*before)

    merged, _ = advance(was, MERGE, now=a_moment(minutes=8))
    back, _ = advance(merged, UNMERGE, now=a_moment(minutes=9))

    assert (merged.state, merged.merged_into) == (State.RESOLVED, LEAD)
    assert (back.state, back.merged_into, back.merged_from) == (was.state, None, None)
    assert (back.acknowledged_by, back.resolved_by) == (was.acknowledged_by, was.resolved_by)


def test_an_undone_merge_leaves_resolved_what_ended_meanwhile():
    merged = an_incident(MERGE, a_backlash(Event.ENDED, sequence=1))

    assert advance(merged, UNMERGE, now=NOON)[0].state is State.RESOLVED


def test_a_merged_incident_speaks_through_the_other_one_and_pages_there():
    crisis = a_backlash(Event.GREW, sequence=1, level=Level.CRISIS, page=True, severity=90)
    merged, (line,) = advance(an_incident(MERGE), crisis, now=NOON)
    lead = replace(an_incident(acknowledge(), resolve()), id=LEAD)

    after, (told,) = echoed(lead, crisis, NOON)

    assert (merged.state, line.page) == (State.RESOLVED, False)
    assert (after.state, after.level, told.page) == (State.OPEN, Level.CRISIS, True)
    assert after.evidence == lead.evidence
    assert crisis.why.summary not in str(told.summary)


@pytest.mark.parametrize("away", [resolve(), snooze()], ids=["resolved", "snoozed"])
def test_a_page_of_a_merged_incident_opens_the_other_one_however_bad_that_was(away: Act):
    crisis = a_backlash(Event.GREW, sequence=1, level=Level.CRISIS, page=True, severity=90)
    lead = replace(an_incident(crisis, away), id=LEAD)

    after, (told,) = echoed(lead, crisis, NOON)

    assert (after.state, told.happened, told.page) == (State.OPEN, Happening.ROSE, True)


@pytest.mark.parametrize("away", [resolve(), snooze()], ids=["resolved", "snoozed"])
def test_a_page_of_its_own_opens_it_though_one_merged_into_it_was_as_bad_before(away: Act):
    crisis = a_backlash(Event.GREW, sequence=1, level=Level.CRISIS, page=True, severity=90)
    lead, _ = echoed(an_incident(), replace(crisis, id="b_of_the_merged"), NOON)
    put_away, _ = advance(lead, away, now=NOON)

    after, (told,) = advance(put_away, crisis, now=NOON)

    assert (after.state, told.happened, told.page) == (State.OPEN, Happening.ROSE, True)


def test_only_growth_of_a_merged_incident_reaches_the_other_one():
    lead = replace(an_incident(), id=LEAD)

    assert echoed(lead, a_backlash(Event.ENDED, sequence=1), NOON) == (lead, [])


def test_nobody_acts_on_an_incident_that_was_merged():
    with pytest.raises(IllegalTransition, match="act on that one"):
        advance(an_incident(MERGE), acknowledge(), now=NOON)


def test_a_split_makes_the_last_episode_an_incident_of_its_own():
    first = an_incident(a_backlash(Event.ENDED, sequence=1))
    whole, _ = advance(first, a_later_wave(days=1, posts=900), now=NOON)

    (left, (line,)), (new, (begins,)) = split(
        whole, Act(verb=Verb.SPLIT, by="Ada"), first.last, now=NOON
    )

    assert (left.state, left.episodes, left.posts) == (State.RESOLVED, first.episodes, 60)
    assert (new.id, new.state, new.posts, new.episode) == (
        whole.episodes[1],
        State.OPEN,
        900,
        1,
    )
    assert (line.other, begins.other) == (new.id, left.id)


def test_a_single_episode_cannot_be_split():
    with pytest.raises(IllegalTransition, match="single episode"):
        split(an_incident(), Act(verb=Verb.SPLIT, by="Ada"), None, now=NOON)


def test_every_verb_is_a_happening_that_some_state_allows():
    allowed = {happening for _, happening in TABLE}

    assert {Happening(verb.value) for verb in Verb} <= allowed
