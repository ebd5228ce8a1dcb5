"""Acts: what people, and timers in their stead, do to an incident."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from uproar.incident.standing import (
    Episode,
    Incident,
    IncidentId,
    Transition,
    Verdict,
    line,
    stand,
)
from uproar.incident.table import Happening, IllegalTransition, State, following

MAX_SNOOZE: Final = timedelta(days=30)
_BROUGHT_BACK: Final = {State.ACKNOWLEDGED, State.RESOLVED}


class Verb(StrEnum):
    """What a person can do to an incident; the last six come with merges, splits and timers."""

    ACKNOWLEDGE = "acknowledge"
    RESOLVE = "resolve"
    REOPEN = "reopen"
    SNOOZE = "snooze"
    ASSIGN = "assign"
    NOTE = "note"
    RATE = "rate"
    FALSE_ALARM = "false-alarm"
    MERGE = "merge"
    ABSORB = "absorb"
    UNMERGE = "unmerge"
    RELEASE = "release"
    SPLIT = "split"
    WAKE = "wake"
    UNSILENCE = "unsilence"


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """
    What a person does to an incident.

    Attributes:
        by: The name of the person or of the key that was used.
        note: What the person says of it; the reason of a false alarm, the text of a note.
        via: Through which surface and from where, for the audit.
        until: SNOOZE: when it shall wake.
        assignee: ASSIGN: whose it is now; None takes it from everybody.
        severity: RATE: how bad it is, 0..100.
        other: MERGE, ABSORB, UNMERGE, RELEASE: the other incident.
        page: UNSILENCE: whether a page was held back.
    """

    verb: Verb
    by: str
    note: str | None = None
    via: str | None = None
    until: datetime | None = None
    assignee: str | None = None
    severity: int | None = None
    other: IncidentId | None = None
    page: bool = False


def done(incident: Incident | None, act: Act, now: datetime) -> tuple[Incident, list[Transition]]:
    """Do an act; see :func:`uproar.incident.advance`."""
    if incident is None:
        raise IllegalTransition(f"there is no incident to {act.verb.value}")
    _check(incident, act, now)
    happening = Happening(act.verb.value)
    before = incident.state
    after = following(before, happening)
    if act.verb is Verb.UNMERGE and incident.merged_from in _BROUGHT_BACK:
        after = incident.merged_from  # an undo brings back what was
    stands = stand(incident, after, by=act.by, now=now)
    advanced = replace(_changed(stands, incident, act, now), sequence=incident.sequence + 1)
    written = line(advanced, happening, before, now, by=act.by)
    return advanced, [
        replace(
            written,
            summary=act.note,
            via=act.via,
            page=act.page,
            other=act.other or (act.assignee if act.verb is Verb.ASSIGN else None),
        )
    ]


def split(
    incident: Incident, act: Act, before: Episode | None, *, now: datetime
) -> tuple[tuple[Incident, list[Transition]], tuple[Incident, list[Transition]]]:
    """
    Make the last episode of an incident an incident of its own; a merge brings them together again.

    Args:
        incident: As it stands.
        act: Who does it and why.
        before: The episode before its last one, where there is one.
        now: Wall clock.

    Returns:
        The incident without the episode, resolved as it was before; and the new one, open.

    Raises:
        IllegalTransition: It has one episode only, or was merged into another.
    """
    if incident.merged_into is not None:
        raise IllegalTransition(f"{incident.id} was merged into {incident.merged_into}")
    if before is None or len(incident.named) < 2:
        raise IllegalTransition("an incident with a single episode cannot be split")
    *rest, own = incident.named
    new = replace(
        incident,
        id=IncidentId(own),
        state=following(None, Happening.SPLIT),
        opened_at=incident.began_at or incident.happened_at,
        updated_at=now,
        acknowledged_at=None,
        acknowledged_by=None,
        resolved_at=None,
        resolved_by=None,
        snoozed_until=None,
        put_away_posts=None,
        episode=1,
        sequence=1,
        heard=frozenset(),
        episodes=(own,),
    )
    first = replace(
        line(new, Happening.SPLIT, None, now, by=act.by),
        summary=act.note,
        via=act.via,
        other=incident.id,
    )
    left = replace(
        incident,
        level=before.level,
        severity=before.severity,
        rated=None,
        posts=before.posts,
        authors=before.authors,
        title=before.title,
        began_at=before.began_at,
        happened_at=before.happened_at,
        episode=before.number,
        episodes=tuple(rest),
        verdict=before.verdict,
        verdict_reason=before.verdict_reason,
        verdict_by=before.verdict_by,
        verdict_at=before.verdict_at,
    )
    return done(left, replace(act, other=new.id), now), (new, [first])


def _check(incident: Incident, act: Act, now: datetime) -> None:
    """Refuse what the table cannot know."""
    merged = incident.merged_into
    if merged is not None and act.verb not in {Verb.UNMERGE, Verb.NOTE, Verb.FALSE_ALARM}:
        raise IllegalTransition(f"{incident.id} was merged into {merged}: act on that one")
    match act.verb:
        case Verb.SNOOZE if act.until is None or not now < act.until <= now + MAX_SNOOZE:
            raise IllegalTransition(f"snooze until a time within {MAX_SNOOZE.days} days from now")
        case Verb.WAKE if incident.snoozed_until is not None and incident.snoozed_until > now:
            raise IllegalTransition("its snooze is not over")
        case Verb.NOTE | Verb.FALSE_ALARM if not (act.note or "").strip():
            raise IllegalTransition(f"a {act.verb.value.replace('-', ' ')} needs words")
        case Verb.RATE if act.severity is None or not 0 <= act.severity <= 100:
            raise IllegalTransition("a severity is a number from 0 to 100")
        case Verb.MERGE | Verb.ABSORB if act.other is None or act.other == incident.id:
            raise IllegalTransition("an incident cannot be merged into itself")
        case Verb.UNMERGE if merged is None or act.other != merged:
            raise IllegalTransition(f"{incident.id} was not merged into {act.other}")
        case _:
            pass


def _changed(stands: Incident, was: Incident, act: Act, now: datetime) -> Incident:
    """Return the incident with what the act says beside the state."""
    verdict = Verdict.FALSE_ALARM if act.verb is Verb.FALSE_ALARM else None
    said: dict[str, Any] = {}
    match act.verb:
        case Verb.SNOOZE:
            said = {"snoozed_until": act.until, "put_away_posts": was.posts}
        case Verb.ASSIGN:
            said = {"assignee": act.assignee}
        case Verb.RATE:
            peak = max(was.peak_severity, act.severity or 0)
            said = {"rated": act.severity, "severity": act.severity, "peak_severity": peak}
        case Verb.FALSE_ALARM | Verb.REOPEN:  # who reopens it takes the verdict back
            said = {
                "verdict": verdict,
                "verdict_reason": act.note if verdict else None,
                "verdict_by": act.by if verdict else None,
                "verdict_at": now if verdict else None,
            }
        case Verb.MERGE:
            said = {"merged_into": act.other, "merged_from": was.state}
        case Verb.UNMERGE:
            stands = _as_before(stands, was)
            said = {"merged_into": None, "merged_from": None}
        case _:
            pass
    return replace(stands, **said)


def _as_before(stands: Incident, was: Incident) -> Incident:
    """Keep who had acknowledged it; a snooze does not come back, so nothing sleeps for ever."""
    if stands.state is State.ACKNOWLEDGED:
        return replace(
            stands,
            acknowledged_at=was.acknowledged_at,
            acknowledged_by=was.acknowledged_by,
            resolved_at=None,
            resolved_by=None,
        )
    return stands
