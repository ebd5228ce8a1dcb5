"""Backlash: the one event that crosses from detection to incidents, and the evidence it carries."""

import hashlib
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import NewType

from uproar.post import PostId
from uproar.subject import SubjectId

BacklashId = NewType("BacklashId", str)
EpisodeId = NewType("EpisodeId", str)

MAX_EVIDENCE = 8


class Event(StrEnum):
    """What happened to the backlash of a subject."""

    OPENED = "opened"
    GREW = "grew"
    SUBSIDED = "subsided"
    ENDED = "ended"


class Level(StrEnum):
    """How rare chance makes it: watch (4 x the budget), alert (the budget), crisis (1/12 of it)."""

    WATCH = "watch"
    ALERT = "alert"
    CRISIS = "crisis"

    @property
    def rank(self) -> int:
        """0 for watch, 1 for alert, 2 for crisis."""
        return list(Level).index(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """One post that shows what happened, and why it was chosen."""

    id: PostId
    text: str
    url: str | None
    author: str | None
    created_at: datetime
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Why:
    """
    The reasons of a decision, in numbers and one sentence a person can read.

    Attributes:
        summary: One plain English sentence.
        negative: Negative posts of distinct authors, copies counted once, in the window.
        baseline: How many were expected.
        window_seconds: The window that decided.
        statistic: -log10 of the probability that chance gives so many.
        threshold: From which statistic on the level is reached.
        negative_share: Share of negative posts in the window.
        baseline_share: The share usual for the subject.
        gates: Name of each gate and its verdict.
        unscored: Posts in the window that the model could not score.
        certainty: Of the baseline: variance = baseline + baseline^2 / certainty.
        rules: Version of the rules that decided.
        parts: Later: parts of the severity and their numbers.
    """

    summary: str
    negative: float
    baseline: float
    window_seconds: int
    statistic: float
    threshold: float
    negative_share: float | None = None
    baseline_share: float | None = None
    gates: dict[str, str] = field(default_factory=dict)
    unscored: int = 0
    certainty: float | None = None
    rules: str | None = None
    parts: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Narrative:
    """
    One thing that many posts of a wave say. Nothing writes it yet.

    Attributes:
        title: It in one line.
        posts: Posts that say it.
        share: Their share of the wave, 0..1.
        evidence: Posts of the event's evidence that say it.
    """

    title: str
    posts: int
    share: float | None = None
    evidence: tuple[PostId, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """
    How many posts are expected to follow, with the borders of the likely. Nothing writes it yet.

    Attributes:
        horizon_seconds: How far it looks ahead from ``at`` of the event.
        posts: Expected posts in that time.
        low: Fewer are unlikely.
        high: More are unlikely.
    """

    horizon_seconds: int
    posts: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Engagement:
    """Sums over the posts of a wave, as their networks say. Nothing writes it yet."""

    views: int | None = None
    shares: int | None = None
    likes: int | None = None
    replies: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Backlash:
    """
    A statement of detection about one subject at one moment of event time.

    Attributes:
        id: Derived from what it says (:func:`backlash_id`), so that a replay repeats it.
        incident: The episode it belongs to: the same for opened ... ended of one wave.
        at: Event time at which it was decided.
        page: True on exactly the event that first reaches the paging level, and once more at crisis.
        severity: 0..100.
        posts: Posts since the episode opened, own ones apart.
        authors: Distinct authors of its negative posts (a post without author counts as one).
        narratives: Later: what the wave says, the greatest first.
        forecast: Later: what is expected to follow.
        coordination: Share of the last hour's posts that repeat their author or copy a text, 0..1.
        engagement: Later: how far its posts have gone.
    """

    id: BacklashId
    incident: EpisodeId
    subject: SubjectId
    event: Event
    at: datetime
    level: Level
    page: bool
    severity: int
    posts: int
    authors: int
    why: Why
    evidence: tuple[Evidence, ...] = ()
    narratives: tuple[Narrative, ...] = ()
    forecast: Forecast | None = None
    coordination: float | None = None
    engagement: Engagement | None = None


def episode_id(subject: SubjectId, opened_at: datetime) -> EpisodeId:
    """Name the episode of a subject that opened at a moment of event time."""
    return EpisodeId("e_" + _digest(subject, opened_at.isoformat()))


def backlash_id(episode: EpisodeId, sequence: int, event: Event) -> BacklashId:
    """Name one event of an episode by its place in it: a detector that repeats itself repeats it."""
    return BacklashId("b_" + _digest(episode, str(sequence), event.value))


def _digest(*parts: str) -> str:
    return hashlib.blake2b("\x00".join(parts).encode(), digest_size=10).hexdigest()
