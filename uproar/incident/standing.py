"""Standing: an incident as it stands, and one line of its timeline."""

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Final, NewType

from uproar.backlash import BacklashId, EpisodeId, Evidence, Level, Why
from uproar.incident.table import Happening, State
from uproar.subject import SubjectId

IncidentId = NewType("IncidentId", str)

UPROAR: Final = "uproar"
"""Who acts when nobody does: the name of the product in the timeline."""


class Verdict(StrEnum):
    """What people judged an episode to be; a false alarm mutes the rest of it."""

    FALSE_ALARM = "false_alarm"


@dataclass(frozen=True, slots=True, kw_only=True)
class Episode:
    """
    One wave of an incident, as detection told it and as people judged it.

    Attributes:
        id: The name that detection gave it.
        number: Its place in the incident, from 1.
        severity: As of its last event, or as a person rated it.
        began_at: Event time of its first event.
        happened_at: Event time of its last event.
    """

    id: EpisodeId
    number: int
    level: Level
    severity: int
    posts: int
    authors: int
    title: str
    began_at: datetime
    happened_at: datetime
    verdict: Verdict | None = None
    verdict_reason: str | None = None
    verdict_by: str | None = None
    verdict_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Incident:
    """
    One backlash as people work on it; the numbers are those of its last episode.

    Attributes:
        id: The name of its first episode, so that it is the incident of ``uproar backtest`` too.
        level: The highest that the episode has reached.
        severity: 0..100, as of the last event, or as a person rated it.
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
        episodes: The names that detection gave its episodes, the first first.
        began_at: Event time at which the last episode began; None: at ``opened_at``.
        assignee: Whose it is, whoever acknowledged it.
        snoozed_until: When it wakes, while it is snoozed.
        put_away_posts: ``posts`` when people resolved or snoozed it: twice as many bring it back.
        rated: The severity that a person gave it; until its level rises.
        verdict: What people judged the last episode to be.
        merged_into: The incident that speaks for this one.
        merged_from: Where it stood before the merge.
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
    episodes: tuple[EpisodeId, ...] = ()
    began_at: datetime | None = None
    assignee: str | None = None
    snoozed_until: datetime | None = None
    put_away_posts: int | None = None
    rated: int | None = None
    verdict: Verdict | None = None
    verdict_reason: str | None = None
    verdict_by: str | None = None
    verdict_at: datetime | None = None
    merged_into: IncidentId | None = None
    merged_from: State | None = None

    @property
    def muted(self) -> bool:
        """Whether its growth is only written down: a false alarm, or another one speaks for it."""
        return self.verdict is Verdict.FALSE_ALARM or self.merged_into is not None

    @property
    def named(self) -> tuple[EpisodeId, ...]:
        """The names of its episodes; one that was never split or returned goes by its own id."""
        return self.episodes or (EpisodeId(self.id),)

    @property
    def last(self) -> Episode:
        """Its last episode: the one that its numbers are of."""
        return Episode(
            id=self.named[-1],
            number=self.episode,
            level=self.level,
            severity=self.severity,
            posts=self.posts,
            authors=self.authors,
            title=self.title,
            began_at=self.began_at or self.opened_at,
            happened_at=self.happened_at,
            verdict=self.verdict,
            verdict_reason=self.verdict_reason,
            verdict_by=self.verdict_by,
            verdict_at=self.verdict_at,
        )


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
        via: Through which surface and from where a person did it: ``api 192.0.2.1``, ``slack``.
        episode: Which wave of the incident it belongs to, from 1.
        other: The other incident of a merge or split, or the person of an assignment.
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
    via: str | None = None
    episode: int = 1
    other: str | None = None

    @property
    def changed(self) -> bool:
        """Whether the incident stands elsewhere than before."""
        return self.before is not self.after


def stand(incident: Incident, after: State, *, by: str, now: datetime) -> Incident:
    """Put the incident into a state; who brought it there stays written until it leaves."""
    if after is incident.state:
        return replace(incident, updated_at=now)
    moved = replace(incident, state=after, updated_at=now, snoozed_until=None)
    if after is State.ACKNOWLEDGED:
        return replace(moved, acknowledged_at=now, acknowledged_by=by, put_away_posts=None)
    if after is State.RESOLVED:
        return replace(moved, resolved_at=now, resolved_by=by, put_away_posts=incident.posts)
    if after is State.SNOOZED:
        return replace(moved, put_away_posts=incident.posts)
    return replace(
        moved,
        acknowledged_at=None,
        acknowledged_by=None,
        resolved_at=None,
        resolved_by=None,
        put_away_posts=None,
    )


def line(
    incident: Incident, happening: Happening, before: State | None, now: datetime, *, by: str
) -> Transition:
    """Write down what has just happened to an incident, as it stands after it."""
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
        episode=incident.episode,
    )
