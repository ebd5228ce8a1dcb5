"""Typed builders with boring defaults: a test says only what it is about."""

from datetime import UTC, datetime, timedelta
from typing import Any

from uproar.assessment import Assessment, Scores
from uproar.backlash import Backlash, Event, Evidence, Level, Why, backlash_id, episode_id
from uproar.post import Deletion, Post, PostId
from uproar.prior import blame, ordinary
from uproar.reading import Reading
from uproar.subject import Subject, SubjectId
from uproar.watermark import SourceState, State, Watermark

NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
EXACT = tuple(n / 16 for n in range(17) if blame(ordinary(n / 16)) == n / 16)
"""What posts may be heard as whose sums know no rounding, whatever their order."""
"""A Monday noon: the moment at which everything here happens unless a test says otherwise."""


def a_moment(*, minutes: float = 0, seconds: float = 0) -> datetime:
    """So long after NOON."""
    return NOON + timedelta(minutes=minutes, seconds=seconds)


def a_subject(id: str = "air-quillon", **given: Any) -> Subject:  # noqa: A002
    """Build a brand; its name is its id with capitals."""
    given.setdefault("name", id.replace("-", " ").title())
    return Subject(id=SubjectId(id), **given)


def a_post(id: str = "push:1", **given: Any) -> Post:  # noqa: A002
    """Build a post about Air Quillon, taken as soon as written; its author and text are its own."""
    created_at = given.setdefault("created_at", NOON)
    defaults: dict[str, Any] = {
        "stream": "push",
        "network": "push",
        "text": f"Air Quillon lost my bag, claim {id}",
        "received_at": created_at,
        "author": f"a_{id}",
        "subjects": ("air-quillon",),
    }
    return Post(id=PostId(id), **defaults | given)


def a_deletion(**given: Any) -> Deletion:
    """Build the tombstone of :func:`a_post`."""
    if "author" not in given:
        given.setdefault("id", PostId("push:1"))
    given.setdefault("at", NOON)
    return Deletion(**given)


def some_scores(negative: float = 0.9, **given: float | None) -> Scores:
    """Build scores that are ``negative``; half of the rest is neutral, half positive."""
    rest = (1.0 - negative) / 2
    defaults: dict[str, Any] = {
        "neutral": rest,
        "positive": rest,
        "complaint": negative,
        "offensive": 0.1,
    }
    return Scores(negative=negative, **defaults | given)


def an_assessment(
    post: str = "push:1", *, negative: float | None = 0.9, **given: Any
) -> Assessment:
    """Build the verdict on a negative post; ``negative=None``: the model could not score it."""
    defaults: dict[str, Any] = {
        "subject": SubjectId("air-quillon"),
        "stream": "push",
        "network": "push",
        "created_at": NOON,
        "scores": None if negative is None else some_scores(negative),
        "model": None if negative is None else "scripted",
        "author": f"a_{post}",
        "text": f"Air Quillon lost my bag, claim {post}",
    }
    return Assessment(post=PostId(post), **defaults | given)


def a_watermark(at: datetime = NOON, **given: Any) -> Watermark:
    """Build a live watermark of the stream ``push``."""
    given.setdefault("source", "push")
    return Watermark(at=at, **given)


def a_source_state(source: str = "push", **given: Any) -> SourceState:
    """Build the report of a live source."""
    defaults: dict[str, Any] = {
        "state": State.LIVE,
        "event_time": NOON,
        "cursor": None,
        "last_post_at": NOON,
        "reported_at": NOON,
    }
    return SourceState(source=source, **defaults | given)


def some_evidence(id: str = "push:1", **given: Any) -> Evidence:  # noqa: A002
    """Build one post that shows what happened."""
    defaults: dict[str, Any] = {
        "text": "Air Quillon lost my bag again",
        "url": "https://example.org/1",
        "author": "a_0123456789abcdef",
        "created_at": NOON,
        "why": "the most negative",
    }
    return Evidence(id=PostId(id), **defaults | given)


def a_why(**given: Any) -> Why:
    """Build the reasons of a clear case."""
    defaults: dict[str, Any] = {
        "summary": "40 people complain in 15 minutes, where 3 were expected",
        "negative": 40.0,
        "baseline": 3.0,
        "window_seconds": 900,
        "statistic": 9.0,
        "threshold": 6.0,
        "negative_share": 0.8,
        "baseline_share": 0.4,
    }
    return Why(**defaults | given)


def a_backlash(
    event: Event = Event.OPENED, *, sequence: int = 0, subject: str = "air-quillon", **given: Any
) -> Backlash:
    """Build an event of the episode that began at NOON; opened at ``alert``, it pages."""
    episode = episode_id(SubjectId(subject), NOON)
    level = given.setdefault("level", Level.ALERT)
    defaults: dict[str, Any] = {
        "incident": episode,
        "at": NOON,
        "page": event is Event.OPENED and level is not Level.WATCH,
        "severity": 60,
        "posts": 60,
        "authors": 40,
        "why": a_why(),
        "evidence": (some_evidence(),),
    }
    return Backlash(
        id=backlash_id(given.get("incident", episode), sequence, event),
        subject=SubjectId(subject),
        event=event,
        **defaults | given,
    )


def a_reading(at: datetime = NOON, **given: Any) -> Reading:
    """Build five quiet minutes of Air Quillon."""
    defaults: dict[str, Any] = {
        "subject": SubjectId("air-quillon"),
        "seconds": 300,
        "posts": 10,
        "negative": 3.0,
        "positive": 2.0,
        "authors": 3,
        "baseline": 3.0,
        "statistic": 0.4,
        "threshold": 6.0,
        "window_seconds": 900,
        "negative_share": 0.3,
        "baseline_share": 0.35,
    }
    return Reading(at=at, **defaults | given)
