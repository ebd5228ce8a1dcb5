"""Incident: what people work on, and the one table of its states. Not who hears of it (routing)."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Final, NewType, assert_never

from uproar.backlash import Backlash, BacklashId, Event, Evidence, Level, Why
from uproar.errors import Malformed
from uproar.subject import SubjectId

IncidentId = NewType("IncidentId", str)

UPROAR: Final = "uproar"
"""Who acts when nobody does: the name of the product in the timeline."""


class IllegalTransition(Malformed):
    """What happened cannot happen to an incident in this state; the text says so to a person."""


class State(StrEnum):
    """Where an incident stands. Nothing leads to SNOOZED yet."""

    OPEN = "open"
    ACKNOWLEDGED = "acknowledged"
    SNOOZED = "snoozed"
    RESOLVED = "resolved"


class Verb(StrEnum):
    """What a person can do to an incident."""

    ACKNOWLEDGE = "acknowledge"
    RESOLVE = "resolve"


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """What a person does to an incident: ``by`` names the person or the key that was used."""

    verb: Verb
    by: str
    note: str | None = None


class Happening(StrEnum):
    """What can happen to an incident: the events of detection and the verbs of people."""

    OPENED = "opened"
    GREW = "grew"
    ROSE = "rose"  # it grew to a level that this incident has not had
    SUBSIDED = "subsided"
    ENDED = "ended"
    ACKNOWLEDGE = "acknowledge"
    RESOLVE = "resolve"


# An incident begins with whichever event is heard first: an `opened` that Kafka no longer has must
# not cost the page of the `grew` behind it. A repeated act stays in the timeline and changes nothing.
TABLE: Final[Mapping[tuple[State | None, Happening], State]] = MappingProxyType(
    {
        (None, Happening.OPENED): State.OPEN,
        (None, Happening.GREW): State.OPEN,
        (None, Happening.SUBSIDED): State.OPEN,
        (None, Happening.ENDED): State.RESOLVED,
        (State.OPEN, Happening.OPENED): State.OPEN,
        (State.OPEN, Happening.GREW): State.OPEN,
        (State.OPEN, Happening.ROSE): State.OPEN,
        (State.OPEN, Happening.SUBSIDED): State.OPEN,
        (State.OPEN, Happening.ENDED): State.RESOLVED,
        (State.OPEN, Happening.ACKNOWLEDGE): State.ACKNOWLEDGED,
        (State.OPEN, Happening.RESOLVE): State.RESOLVED,
        (State.ACKNOWLEDGED, Happening.OPENED): State.ACKNOWLEDGED,
        (State.ACKNOWLEDGED, Happening.GREW): State.ACKNOWLEDGED,
        (State.ACKNOWLEDGED, Happening.ROSE): State.ACKNOWLEDGED,
        (State.ACKNOWLEDGED, Happening.SUBSIDED): State.ACKNOWLEDGED,
        (State.ACKNOWLEDGED, Happening.ENDED): State.RESOLVED,
        (State.ACKNOWLEDGED, Happening.ACKNOWLEDGE): State.ACKNOWLEDGED,
        (State.ACKNOWLEDGED, Happening.RESOLVE): State.RESOLVED,
        (State.RESOLVED, Happening.OPENED): State.RESOLVED,
        (State.RESOLVED, Happening.GREW): State.RESOLVED,
        (State.RESOLVED, Happening.ROSE): State.OPEN,
        (State.RESOLVED, Happening.SUBSIDED): State.RESOLVED,
        (State.RESOLVED, Happening.ENDED): State.RESOLVED,
        (State.RESOLVED, Happening.RESOLVE): State.RESOLVED,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Incident:
    """
    One backlash as people work on it.

    Attributes:
        id: The episode's name, so that it is the incident of ``uproar backtest`` too.
        level: The highest it has reached.
        severity: 0..100, as of the last event.
        peak_severity: The greatest of all events.
        title: One line that says what happened.
        why: The reasons of the last event.
        evidence: The posts of the last event that brought any; at most 8.
        opened_at: Event time of its first event.
        happened_at: Event time of its last event.
        updated_at: Wall clock of its last transition.
        episode: Which wave of the incident this is, from 1.
        sequence: How many transitions it has had.
        heard: Every event it is made of; an event heard again changes nothing.
    """

    id: IncidentId
    subject: SubjectId
    state: State
    level: Level
    severity: int
    peak_severity: int
    posts: int
    authors: int
    title: str
    why: Why
    evidence: tuple[Evidence, ...]
    opened_at: datetime
    happened_at: datetime
    updated_at: datetime
    acknowledged_at: datetime | None = None
    acknowledged_by: str | None = None
    resolved_at: datetime | None = None
    resolved_by: str | None = None
    episode: int = 1
    sequence: int = 0
    heard: frozenset[BacklashId] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Transition:
    """
    One line of the timeline: what happened, who did it, and where the incident stood then.

    Attributes:
        sequence: Its place in the timeline of the incident, from 1.
        before: The state before; None where the incident begins.
        at: Wall clock at which it was decided.
        happened_at: Event time of the event of detection; None for an act.
        by: Who did it: a person's or key's name, or ``uproar``.
        page: Whether it must wake somebody.
        backlash: The event that caused it; None for an act.
        summary: Why, in one sentence; of detection or the person's own note.
    """

    incident: IncidentId
    sequence: int
    happened: Happening
    before: State | None
    after: State
    at: datetime
    happened_at: datetime | None
    by: str
    level: Level
    severity: int
    posts: int
    authors: int
    page: bool = False
    backlash: BacklashId | None = None
    summary: str | None = None

    @property
    def changed(self) -> bool:
        """Whether the incident stands elsewhere than before."""
        return self.before is not self.after


def advance(
    incident: Incident | None, happened: Backlash | Act, *, now: datetime
) -> tuple[Incident, list[Transition]]:
    """
    Move an incident on.

    Args:
        incident: As it stands; None where the event is the first of its episode.
        happened: An event of detection about this incident, or what a person does.
        now: Wall clock.

    Returns:
        The incident after it, and what is to be written down: nothing for an event heard before.

    Raises:
        IllegalTransition: An act that this state does not allow, or on no incident; an event of
            another episode.
    """
    match happened:
        case Act():
            return _acted(incident, happened, now)
        case Backlash():
            return _heard(incident, happened, now)
        case _:
            assert_never(happened)


def _acted(incident: Incident | None, act: Act, now: datetime) -> tuple[Incident, list[Transition]]:
    if incident is None:
        raise IllegalTransition(f"there is no incident to {act.verb.value}")
    happening = Happening(act.verb.value)
    after = _next(incident.state, happening)
    advanced = replace(_stand(incident, after, by=act.by, now=now), sequence=incident.sequence + 1)
    line = _line(advanced, happening, incident.state, now, by=act.by)
    return advanced, [replace(line, summary=act.note)]


def _heard(
    incident: Incident | None, event: Backlash, now: datetime
) -> tuple[Incident, list[Transition]]:
    if incident is not None and incident.id != IncidentId(event.incident):
        raise IllegalTransition(f"event {event.id} belongs to {event.incident}, not {incident.id}")
    if incident is not None and event.id in incident.heard:
        return incident, []
    happening = _happening(incident, event)
    before = incident.state if incident else None
    after = _next(before, happening)
    grown = _grown(incident, event, now) if incident else _born(event, now)
    advanced = replace(
        _stand(grown, after, by=UPROAR, now=now),
        sequence=grown.sequence + 1,
        heard=grown.heard | {event.id},
    )
    line = replace(
        _line(advanced, happening, before, now, by=UPROAR),
        happened_at=event.at,
        page=event.page,
        backlash=event.id,
        summary=event.why.summary,
    )
    return advanced, [line]


def _happening(incident: Incident | None, event: Backlash) -> Happening:
    rose = incident is not None and event.level.rank > incident.level.rank
    if rose and event.event in {Event.OPENED, Event.GREW}:
        return Happening.ROSE
    return Happening(event.event.value)


def _next(state: State | None, happening: Happening) -> State:
    try:
        return TABLE[state, happening]
    except KeyError:
        raise IllegalTransition(
            f"an incident that is {state.value if state else 'unknown'} cannot {happening.value}"
        ) from None


def _born(event: Backlash, now: datetime) -> Incident:
    return Incident(
        id=IncidentId(event.incident),
        subject=event.subject,
        state=State.OPEN,
        level=event.level,
        severity=event.severity,
        peak_severity=event.severity,
        posts=event.posts,
        authors=event.authors,
        title=event.why.summary,
        why=event.why,
        evidence=event.evidence,
        opened_at=event.at,
        happened_at=event.at,
        updated_at=now,
    )


def _grown(incident: Incident, event: Backlash, now: datetime) -> Incident:
    worse = event.event in {Event.OPENED, Event.GREW}
    return replace(
        incident,
        level=max(incident.level, event.level, key=lambda level: level.rank),
        severity=event.severity,
        peak_severity=max(incident.peak_severity, event.severity),
        posts=max(incident.posts, event.posts),
        authors=max(incident.authors, event.authors),
        title=event.why.summary if worse else incident.title,
        why=event.why,
        evidence=event.evidence or incident.evidence,
        happened_at=max(incident.happened_at, event.at),
        updated_at=now,
    )


def _stand(incident: Incident, after: State, *, by: str, now: datetime) -> Incident:
    """Put the incident into a state; who brought it there stays written until it leaves."""
    if after is incident.state:
        return replace(incident, updated_at=now)
    moved = replace(incident, state=after, updated_at=now)
    if after is State.ACKNOWLEDGED:
        return replace(moved, acknowledged_at=now, acknowledged_by=by)
    if after is State.RESOLVED:
        return replace(moved, resolved_at=now, resolved_by=by)
    return replace(
        moved, acknowledged_at=None, acknowledged_by=None, resolved_at=None, resolved_by=None
    )


def _line(
    incident: Incident, happening: Happening, before: State | None, now: datetime, *, by: str
) -> Transition:
    return Transition(
        incident=incident.id,
        sequence=incident.sequence,
        happened=happening,
        before=before,
        after=incident.state,
        at=now,
        happened_at=None,
        by=by,
        level=incident.level,
        severity=incident.severity,
        posts=incident.posts,
        authors=incident.authors,
    )
