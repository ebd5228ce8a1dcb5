"""The incident machine against a model of a few lines: whatever happens, in whatever order."""

from dataclasses import dataclass, field

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from tests.build import NOON, a_backlash, a_moment
from uproar.backlash import Backlash, Event, Level
from uproar.incident import Act, IllegalTransition, Incident, State, Transition, Verb, advance

LEVELS = st.sampled_from(list(Level))
NAMES = st.sampled_from(["Ada", "Bo"])


@dataclass
class Model:
    """What people believe an incident to be: one word, who did it, and how bad it ever was."""

    state: str = "none"
    by: str | None = None
    worst: int = -1
    lines: int = 0
    pages: list[int] = field(default_factory=list)


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

    @rule(
        event=st.sampled_from([Event.OPENED, Event.GREW]),
        level=LEVELS,
        severity=st.integers(0, 100),
        page=st.booleans(),
    )
    def grows(self, event: Event, level: Level, severity: int, page: bool) -> None:
        backlash = a_backlash(
            event, sequence=len(self.heard), level=level, severity=severity, page=page
        )
        self.heard.append(backlash)
        self.happens(backlash)
        higher = level.rank > self.model.worst
        if self.model.state == "none" or (self.model.state == "resolved" and higher):
            self.model.state, self.model.by = "open", None
        self.model.worst = max(self.model.worst, level.rank)
        self.model.lines += 1
        if page:
            self.model.pages.append(self.model.lines)

    @rule(event=st.sampled_from([Event.SUBSIDED, Event.ENDED]), level=LEVELS)
    def calms(self, event: Event, level: Level) -> None:
        backlash = a_backlash(event, sequence=len(self.heard), level=level, page=False)
        self.heard.append(backlash)
        self.happens(backlash)
        if event is Event.ENDED and self.model.state != "resolved":
            self.model.state, self.model.by = "resolved", "uproar"
        elif self.model.state == "none":
            self.model.state = "open"
        self.model.worst = max(self.model.worst, level.rank)
        self.model.lines += 1

    @precondition(lambda self: self.heard)
    @rule(data=st.data())
    def is_heard_again(self, data: st.DataObject) -> None:
        before, written = self.incident, len(self.timeline)
        self.happens(data.draw(st.sampled_from(self.heard)))
        assert (self.incident, len(self.timeline)) == (before, written)

    @rule(name=NAMES)
    def somebody_acknowledges(self, name: str) -> None:
        act = Act(verb=Verb.ACKNOWLEDGE, by=name)
        if self.model.state in {"none", "resolved"}:
            self.refuses(act)
            return
        self.happens(act)
        if self.model.state == "open":
            self.model.state, self.model.by = "acknowledged", name
        self.model.lines += 1

    @rule(name=NAMES)
    def somebody_resolves(self, name: str) -> None:
        act = Act(verb=Verb.RESOLVE, by=name)
        if self.model.state == "none":
            self.refuses(act)
            return
        self.happens(act)
        if self.model.state != "resolved":
            self.model.state, self.model.by = "resolved", name
        self.model.lines += 1

    def refuses(self, act: Act) -> None:
        try:
            advance(self.incident, act, now=NOON)
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

    @invariant()
    def the_timeline_is_whole_and_skips_no_state(self) -> None:
        assert [line.sequence for line in self.timeline] == list(range(1, self.model.lines + 1))
        state = None
        for line in self.timeline:
            assert line.before == state
            state = line.after
        assert [line.sequence for line in self.timeline if line.page] == self.model.pages


TestIncidentMachine = IncidentMachine.TestCase
TestIncidentMachine.settings = settings(max_examples=150, stateful_step_count=25, deadline=None)
