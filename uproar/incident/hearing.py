"""Hearing: what an event of detection does to an incident, and which incident it belongs to."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from uproar.backlash import Backlash, Event
from uproar.incident.standing import UPROAR, Incident, IncidentId, Transition, line, stand
from uproar.incident.table import Happening, IllegalTransition, State, following

SAME_INCIDENT: Final = timedelta(days=7)
"""A wave that begins so soon after the last event of an incident is an episode of it."""

_GROWTH: Final = frozenset({Event.OPENED, Event.GREW})
_PUT_AWAY: Final = frozenset({State.RESOLVED, State.SNOOZED})


def belongs(event: Backlash, incident: Incident) -> bool:
    """Tell whether an event is one of this incident: of its episodes, or soon enough a new one."""
    if event.incident in incident.named:
        return True
    quiet = event.at - incident.happened_at
    return (
        event.subject == incident.subject
        and incident.merged_into is None
        and timedelta() <= quiet <= SAME_INCIDENT
    )


def heard(
    incident: Incident | None, event: Backlash, now: datetime
) -> tuple[Incident, list[Transition]]:
    """Take an event; see :func:`uproar.incident.advance`."""
    if incident is None:
        born = _born(event, now)
        return _written(born, event, Happening(event.event.value), before=None, now=now)
    if event.id in incident.heard:
        return incident, []
    if not belongs(event, incident):
        raise IllegalTransition(f"event {event.id} belongs to {event.incident}, not {incident.id}")
    if event.incident not in incident.named:
        happening = Happening.ENDED if event.event is Event.ENDED else Happening.RETURNED
        returned = _returned(incident, event, now)
        return _written(returned, event, happening, before=incident.state, now=now)
    if event.incident != incident.named[-1]:
        return _belated(incident, event, now)
    happening = _happening(incident, event)
    grown = _grown(incident, event, now)
    return _written(grown, event, happening, before=incident.state, now=now)


def echoed(lead: Incident, event: Backlash, now: datetime) -> tuple[Incident, list[Transition]]:
    """
    Let the growth of an incident that was merged into ``lead`` reach it.

    Only numbers cross: evidence and sentences stay with the subject that they are about.
    """
    if event.event not in _GROWTH:
        return lead, []
    told = replace(event, page=event.page and not lead.muted)
    happening = _happening(lead, told)
    grown = _larger(lead, event, now)
    grown = replace(grown, severity=max(lead.severity, event.severity))
    after, lines = _written(grown, told, happening, before=lead.state, now=now)
    said = "an incident that was merged into this one grew"
    return replace(after, heard=lead.heard), [
        replace(written, summary=said, backlash=None, other=event.incident) for written in lines
    ]


def _written(
    grown: Incident, event: Backlash, happening: Happening, *, before: State | None, now: datetime
) -> tuple[Incident, list[Transition]]:
    advanced = replace(
        stand(grown, following(before, happening), by=UPROAR, now=now),
        sequence=grown.sequence + 1,
        heard=grown.heard | {event.id},
    )
    written = replace(
        line(advanced, happening, before, now, by=UPROAR),
        happened_at=event.at,
        page=event.page and not grown.muted,
        backlash=event.id,
        summary=event.why.summary,
    )
    return advanced, [written]


def _belated(
    incident: Incident, event: Backlash, now: datetime
) -> tuple[Incident, list[Transition]]:
    """Write down what an episode before the last one still said: it moves nothing any more."""
    advanced = replace(
        incident,
        sequence=incident.sequence + 1,
        heard=incident.heard | {event.id},
        updated_at=now,
    )
    written = line(advanced, Happening.GREW, incident.state, now, by=UPROAR)
    return advanced, [
        replace(
            written,
            happened_at=event.at,
            page=event.page and not incident.muted,
            backlash=event.id,
            summary=event.why.summary,
            episode=incident.named.index(event.incident) + 1,
        )
    ]


def _happening(incident: Incident, event: Backlash) -> Happening:
    if event.event not in _GROWTH or incident.muted:
        return Happening(event.event.value)
    if event.level.rank > incident.level.rank:
        return Happening.ROSE
    if event.page and incident.state in _PUT_AWAY:
        # One merged into it was as bad before. Somebody must be able to take what wakes them.
        return Happening.ROSE
    size = incident.put_away_posts
    if incident.state in _PUT_AWAY and size is not None and event.posts >= 2 * max(size, 1):
        return Happening.DOUBLED
    return Happening(event.event.value)


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
        episodes=(event.incident,),
        began_at=event.at,
    )


def _returned(incident: Incident, event: Backlash, now: datetime) -> Incident:
    """Begin a new episode: its own numbers, and no verdict on it yet."""
    return replace(
        _born(event, now),
        id=incident.id,
        state=incident.state,
        peak_severity=max(incident.peak_severity, event.severity),
        evidence=event.evidence or incident.evidence,
        opened_at=incident.opened_at,
        acknowledged_at=incident.acknowledged_at,
        acknowledged_by=incident.acknowledged_by,
        resolved_at=incident.resolved_at,
        resolved_by=incident.resolved_by,
        snoozed_until=incident.snoozed_until,
        put_away_posts=incident.put_away_posts,
        episode=incident.episode + 1,
        sequence=incident.sequence,
        heard=incident.heard,
        episodes=(*incident.named, event.incident),
        assignee=incident.assignee,
    )


def _grown(incident: Incident, event: Backlash, now: datetime) -> Incident:
    worse = event.event in _GROWTH
    over = incident.merged_into is not None and event.event is Event.ENDED
    return replace(
        _larger(incident, event, now),
        title=event.why.summary if worse else incident.title,
        why=event.why,
        evidence=event.evidence or incident.evidence,
        happened_at=max(incident.happened_at, event.at),
        merged_from=State.RESOLVED if over else incident.merged_from,
    )


def _larger(incident: Incident, event: Backlash, now: datetime) -> Incident:
    rose = event.level.rank > incident.level.rank
    rated = None if rose else incident.rated
    return replace(
        incident,
        level=event.level if rose else incident.level,
        severity=event.severity if rated is None else rated,
        rated=rated,
        peak_severity=max(incident.peak_severity, event.severity),
        posts=max(incident.posts, event.posts),
        authors=max(incident.authors, event.authors),
        updated_at=now,
    )
