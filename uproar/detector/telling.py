"""Telling: what was found, as the events and readings that leave detection. Decides nothing."""

from dataclasses import dataclass

from uproar.backlash import Backlash, Event, Evidence, Why, backlash_id, episode_id
from uproar.detect.decision import Finding
from uproar.detect.episode import Change, Episode
from uproar.detect.policy import VERSION
from uproar.detect.tally import One
from uproar.outlook.severity import severity
from uproar.reading import Reading
from uproar.story import summary
from uproar.subject import Subject
from uproar.watch import start_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """Everything that an event says: about whom, when, what changed and what was seen."""

    subject: Subject
    minute: int
    episode: Episode
    change: Change
    found: Finding
    authors: int
    coordination: float
    unscored: int
    evidence: tuple[Evidence, ...]


def backlash(told: Told) -> Backlash:
    """Build the event; its ids say where it stands: subject, opening, place in the episode."""
    subject, change, found = told.subject, told.change, told.found
    episode = episode_id(subject.id, start_of(told.episode.opened))
    return Backlash(
        id=backlash_id(episode, change.sequence, change.event),
        incident=episode,
        subject=subject.id,
        event=change.event,
        at=start_of(told.minute),
        level=change.level,
        page=change.page,
        severity=severity(
            excess=found.negative - found.baseline,
            statistic=found.statistic,
            threshold=found.alert,
        ),
        posts=told.episode.posts,
        authors=told.authors,
        why=_why(told),
        evidence=told.evidence,
        coordination=round(told.coordination, 2),
    )


def _why(told: Told) -> Why:
    found = told.found
    gates = dict(found.gates)
    if found.flooded:
        gates["ceiling"] = "reached: so many people page whatever the budget"
    if not told.evidence:
        gates["evidence"] = "none is kept: it does not outlive a restart"
    return Why(
        summary=_summary(told),
        negative=round(found.negative, 2),
        baseline=round(found.baseline, 3),
        window_seconds=found.minutes * 60,
        statistic=round(found.statistic, 2),
        threshold=round(found.threshold, 2),
        negative_share=None if found.share is None else round(found.share, 3),
        baseline_share=round(found.usual_share, 3),
        gates=gates,
        unscored=told.unscored,
        certainty=round(found.certainty, 3),
        rules=VERSION,
    )


def _summary(told: Told) -> str:
    name, found, episode = told.subject.name, told.found, told.episode
    match told.change.event:
        case Event.OPENED | Event.GREW:
            return summary.opening(
                name,
                negative=found.negative,
                baseline=found.baseline,
                window=found.window,
                share=found.share or 0.0,
            )
        case Event.SUBSIDED:
            return summary.subsiding(name, excess=found.excess, peak=episode.peak)
        case Event.ENDED:
            return summary.ending(
                name,
                posts=episode.posts,
                authors=told.authors,
                minutes=told.minute - episode.opened,
            )


def reading(
    subject: Subject, minute: int, minutes: int, tally: One, found: Finding, *, decision: bool
) -> Reading:
    """Build the reading of the last ``minutes`` before a minute."""
    return Reading(
        subject=subject.id,
        at=start_of(minute),
        seconds=minutes * 60,
        posts=tally.posts,
        negative=round(tally.negative, 3),
        positive=round(tally.positive, 3),
        authors=tally.authors,
        unscored=tally.unscored,
        baseline=round(found.baseline, 5),
        statistic=round(found.statistic, 3),
        threshold=round(found.alert, 3),
        window_seconds=found.minutes * 60,
        negative_share=None if found.share is None else round(found.share, 3),
        baseline_share=round(found.usual_share, 3),
        gate=found.gate,
        decision=decision,
        heard=round(found.negative, 4),
        certainty=round(found.certainty, 4),
        slow=found.slow,
        rules=VERSION,
    )
