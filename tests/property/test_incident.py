"""The incident machine against a model of a few lines: whatever happens, in whatever order."""

from dataclasses import dataclass, field, replace
from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from tests.build import NOON, a_backlash, a_moment
from uproar.backlash import Backlash, EpisodeId, Event, Level
from uproar.incident import (
    TABLE,
    UPROAR,
    Act,
    Happening,
    IllegalTransition,
    Incident,
    IncidentId,
    State,
    Transition,
    Verb,
    advance,
    belongs,
)

LEVELS = st.sampled_from(list(Level))
NAMES = st.sampled_from(["Ada", "Bo"])
LEAD = IncidentId("e_lead")
AWAY = {"resolved", "snoozed"}


@dataclass
class Model:
    """What people believe an incident to be: one word, who did it, and how bad it ever was."""

    state: str = "none"
    by: str | None = None
    worst: int = -1
    posts: int = 0
    away: int = 0
    muted: bool = False
    merged: str | None = None
    wave: int = 0
    lines: int = 0
    pages: list[int] = field(default_factory=list)

    def stands(self, state: str, by: str | None = None) -> None:
        if state != self.state:
            self.state, self.by, self.away = state, by, self.posts

    def grows(self, level: Level, posts: int, *, new: bool, page: bool) -> None:
        back = level.rank > self.worst or page or posts >= 2 * max(self.away, 1)
        quiet = self.muted or self.merged
        self.worst, self.posts = max(self.worst, level.rank), max(self.posts, posts)
        if self.state == "none" or new or (self.state in AWAY and back and not quiet):
            self.stands("open")


class IncidentMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.incident: Incident | None = None
        self.timeline: list[Transition] = []
        self.heard: list[Backlash] = []
        self.model = Model()
        self.minutes = 0

    def happens(self, what: Backlash | Act) -> None:
        self.minutes += 1
        self.incident, lines = advance(self.incident, what, now=a_moment(minutes=self.minutes))
        self.timeline += lines

    def an_event(self, event: Event, **given) -> Backlash:
        episode = EpisodeId(f"e_{self.model.wave}")
        at = NOON + timedelta(minutes=self.minutes)
        made = a_backlash(event, sequence=len(self.heard), incident=episode, at=at, **given)
        self.heard.append(made)
        return made

    def heard_new(self, page: bool) -> None:
        self.model.lines += 1
        if page and not (self.model.muted or self.model.merged):
            self.model.pages.append(self.model.lines)

    @rule(
        event=st.sampled_from([Event.OPENED, Event.GREW]),
        level=LEVELS,
        severity=st.integers(0, 100),
        posts=st.integers(0, 300),
        page=st.booleans(),
    )
    def grows(self, event: Event, level: Level, severity: int, posts: int, page: bool) -> None:
        self.happens(self.an_event(event, level=level, severity=severity, posts=posts, page=page))
        self.model.grows(level, posts, new=False, page=page)
        self.heard_new(page)

    @precondition(lambda self: self.heard and not self.model.merged)
    @rule(level=LEVELS, posts=st.integers(0, 300), page=st.booleans())
    def returns(self, level: Level, posts: int, page: bool) -> None:
        self.model.wave += 1
        self.happens(self.an_event(Event.OPENED, level=level, posts=posts, page=page))
        self.model.worst, self.model.posts, self.model.muted = level.rank, posts, False
        self.model.grows(level, posts, new=True, page=page)
        self.heard_new(page)

    @rule(event=st.sampled_from([Event.SUBSIDED, Event.ENDED]), level=LEVELS)
    def calms(self, event: Event, level: Level) -> None:
        self.happens(self.an_event(event, level=level, page=False))
        self.model.worst, self.model.posts = (
            max(self.model.worst, level.rank),
            max(self.model.posts, 60),
        )
        if event is Event.ENDED:
            self.model.stands("resolved", "uproar")
            self.model.merged = self.model.merged and "resolved"
        elif self.model.state == "none":
            self.model.stands("open")
        self.model.lines += 1

    @precondition(lambda self: self.heard)
    @rule(data=st.data())
    def is_heard_again(self, data: st.DataObject) -> None:
        before, written = self.incident, len(self.timeline)
        self.happens(data.draw(st.sampled_from(self.heard)))
        assert (self.incident, len(self.timeline)) == (before, written)

    def does(self, act: Act, *, allowed: bool, becomes: str | None = None) -> None:
        if self.model.state == "none" or not allowed:
            self.refuses(act)
            return
        self.happens(act)
        if becomes:
            self.model.stands(becomes, act.by if becomes in {"acknowledged", "resolved"} else None)
        self.model.lines += 1

    @rule(name=NAMES)
    def somebody_acknowledges(self, name: str) -> None:
        allowed = self.model.state != "resolved"
        self.does(Act(verb=Verb.ACKNOWLEDGE, by=name), allowed=allowed, becomes="acknowledged")

    @rule(name=NAMES)
    def somebody_resolves(self, name: str) -> None:
        act = Act(verb=Verb.RESOLVE, by=name)
        self.does(act, allowed=not self.model.merged, becomes="resolved")

    @rule(name=NAMES)
    def somebody_reopens(self, name: str) -> None:
        self.does(Act(verb=Verb.REOPEN, by=name), allowed=not self.model.merged, becomes="open")
        self.model.muted = self.model.muted and bool(self.model.merged)

    @rule(name=NAMES)
    def somebody_snoozes(self, name: str) -> None:
        until = a_moment(minutes=self.minutes + 5)
        act = Act(verb=Verb.SNOOZE, by=name, until=until)
        self.does(act, allowed=self.model.state != "resolved", becomes="snoozed")
        if self.model.state == "snoozed":
            self.model.away = self.model.posts  # said again, it counts from there

    @rule()
    def the_snooze_is_over(self) -> None:
        self.minutes += 10
        act = Act(verb=Verb.WAKE, by=UPROAR)
        self.does(act, allowed=self.model.state == "snoozed", becomes="open")

    @rule(name=NAMES)
    def somebody_calls_it_a_false_alarm(self, name: str) -> None:
        act = Act(verb=Verb.FALSE_ALARM, by=name, note="no")
        self.does(act, allowed=True, becomes="resolved")
        self.model.muted = self.model.state != "none"

    @rule(name=NAMES)
    def somebody_leaves_a_note(self, name: str) -> None:
        self.does(Act(verb=Verb.NOTE, by=name, note="no"), allowed=True)

    @rule(name=NAMES)
    def somebody_merges_it(self, name: str) -> None:
        was = self.model.state
        act = Act(verb=Verb.MERGE, by=name, other=LEAD)
        self.does(act, allowed=not self.model.merged, becomes="resolved")
        if was != "none" and not self.model.merged:
            self.model.merged = was

    @rule(name=NAMES)
    def somebody_undoes_the_merge(self, name: str) -> None:
        allowed, was = bool(self.model.merged), self.model.merged or ""
        back = was if was in {"resolved", "acknowledged"} else "open"
        self.does(Act(verb=Verb.UNMERGE, by=name, other=LEAD), allowed=allowed, becomes=back)
        if allowed:
            self.model.merged = None
            if back == "acknowledged" and self.incident is not None:
                self.model.by = self.incident.acknowledged_by

    def refuses(self, act: Act) -> None:
        try:
            advance(self.incident, act, now=a_moment(minutes=self.minutes))
        except IllegalTransition:
            return
        raise AssertionError(f"{act} was allowed in {self.model.state}")

    @invariant()
    def it_stands_where_people_believe(self) -> None:
        if self.incident is None:
            assert self.model.state == "none"
            return
        assert self.incident.state.value == self.model.state
        assert self.incident.level.rank == self.model.worst
        by = {
            State.ACKNOWLEDGED: self.incident.acknowledged_by,
            State.RESOLVED: self.incident.resolved_by,
        }
        assert by.get(self.incident.state) == self.model.by
        assert self.incident.episode == self.model.wave + 1 == len(self.incident.named)
        assert (self.incident.snoozed_until is not None) == (self.model.state == "snoozed")

    @invariant()
    def the_timeline_is_whole_and_skips_no_state(self) -> None:
        assert [line.sequence for line in self.timeline] == list(range(1, self.model.lines + 1))
        state = None
        for line in self.timeline:
            assert line.before == state
            assert line.happened is Happening.UNMERGE or TABLE[state, line.happened] is line.after
            state = line.after
        assert [line.sequence for line in self.timeline if line.page] == self.model.pages


TestIncidentMachine = IncidentMachine.TestCase
TestIncidentMachine.settings = settings(max_examples=200, stateful_step_count=30, deadline=None)


@given(
    days=st.integers(-1, 9),
    minutes=st.integers(-5, 5),
    subject=st.sampled_from(["air-quillon", "x"]),
)
def test_a_wave_belongs_to_the_incident_of_its_subject_for_seven_days(days, minutes, subject):
    incident, _ = advance(None, a_backlash(), now=NOON)
    later = timedelta(days=days, minutes=minutes)
    wave = replace(a_backlash(incident=EpisodeId("e_other"), at=NOON + later, subject=subject))

    expected = subject == "air-quillon" and timedelta() <= later <= timedelta(days=7)
    assert belongs(wave, incident) is expected
