"""Notice: what to say about a transition, whatever the channel. Not who hears of it (routing)."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final
from urllib.parse import urlsplit

from uproar.backlash import Evidence, Level
from uproar.incident import UPROAR, Happening, Incident, IncidentId, State, Transition
from uproar.notice import english, french
from uproar.notice.facts import GROWING, Phrases, gather, line
from uproar.post import PostId
from uproar.subject import Subject, SubjectId

MAX_QUOTES: Final = 3
MAX_QUOTE: Final = 280
MAX_URL: Final = 1000


class Language(StrEnum):
    """In which language people are told."""

    EN = "en"
    FR = "fr"


_PHRASES: Final[Mapping[Language, Phrases]] = {Language.EN: english, Language.FR: french}


class NoticeKind(StrEnum):
    """What a notice is for; in the order in which they may overtake each other."""

    TRIGGER = "trigger"
    ACKNOWLEDGE = "acknowledge"
    RESOLVE = "resolve"
    UPDATE = "update"
    CANARY = "canary"

    @property
    def priority(self) -> int:
        """0 for the most urgent."""
        return list(NoticeKind).index(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Quote:
    """One post, shortened to a line; its text is the author's and may hold anything."""

    post: PostId
    text: str
    url: str | None
    created_at: datetime
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """
    Everything a channel may say of an incident at one transition, in the language of the reader.

    It is complete: the notice of an update says what its trigger said, as it stands now.

    Attributes:
        what: What happened.
        page: It must wake somebody.
        opened_at: Event time at which the incident began.
        at: Event time of what happened; the wall clock for an act of a person.
        by: Who did it: a person's or key's name, or ``uproar``.
        title: What happened, in one line.
        headline: What the incident is, in one line, whatever happened last.
        why_now: Why the detector speaks, in a sentence or two.
        how_big: Posts, people, severity.
        changed: What is new since the transition before; empty for the first.
        standing: Who is on it, or that nobody is.
        advice: How to answer well, in one line.
        quotes: At most 3 posts.
        link: Where the incident can be read and acknowledged.
        before: Where the incident stood before; None where it begins.
    """

    incident: IncidentId
    subject: SubjectId
    subject_name: str
    language: Language
    what: Happening
    page: bool
    state: State
    level: Level
    severity: int
    posts: int
    authors: int
    opened_at: datetime
    at: datetime
    by: str
    title: str
    headline: str
    why_now: str
    how_big: str
    changed: str
    standing: str
    advice: str
    quotes: tuple[Quote, ...]
    link: str
    before: State | None = None

    @property
    def growing(self) -> bool:
        """Whether detection saw it begin or grow."""
        return self.what in GROWING


def notice(
    incident: Incident,
    transition: Transition,
    *,
    subject: Subject,
    url: str,
    language: Language = Language.EN,
    was: Incident | None = None,
) -> Notice:
    """
    Say what happened to an incident.

    Args:
        incident: As it stands after the transition.
        transition: What happened.
        subject: Whose incident it is.
        url: Where people read it.
        language: In which language.
        was: The incident before the transition; None where it begins.
    """
    facts = gather(incident, transition, subject, was)
    say = _PHRASES[language]
    return Notice(
        incident=incident.id,
        subject=subject.id,
        subject_name=facts.name,
        language=language,
        what=transition.happened,
        page=transition.page,
        state=incident.state,
        level=incident.level,
        severity=incident.severity,
        posts=incident.posts,
        authors=incident.authors,
        opened_at=incident.opened_at,
        at=facts.at,
        by=transition.by,
        title=say.title(facts),
        headline=say.headline(facts),
        why_now=say.why_now(facts),
        how_big=say.how_big(facts),
        changed=say.changed(facts),
        standing=say.standing(facts),
        advice=say.advice(facts),
        quotes=tuple(quote(post) for post in incident.evidence[:MAX_QUOTES]),
        link=url,
        before=transition.before,
    )


def trial(*, url: str, language: Language, now: datetime) -> Notice:
    """Say that a receiver works: nothing has happened."""
    said = _PHRASES[language].TRIAL
    return Notice(
        incident=IncidentId("trial"),
        subject=SubjectId("trial"),
        subject_name="uproar",
        language=language,
        what=Happening.OPENED,
        page=False,
        state=State.OPEN,
        level=Level.WATCH,
        severity=0,
        posts=0,
        authors=0,
        opened_at=now,
        at=now,
        by=UPROAR,
        title=said.title,
        headline=said.title,
        why_now=said.why_now,
        how_big="",
        changed="",
        standing="",
        advice="",
        quotes=(),
        link=url,
    )


def quote(post: Evidence) -> Quote:
    """Shorten a post to what fits a phone; a link that is no web address is dropped."""
    return Quote(
        post=post.id,
        text=line(post.text, MAX_QUOTE),
        url=post.url if _is_web(post.url) else None,
        created_at=post.created_at,
        why=line(post.why, MAX_QUOTE),
    )


def _is_web(url: str | None) -> bool:
    if not url or len(url) > MAX_URL or not url.isprintable() or " " in url:
        return False
    try:
        parts = urlsplit(url)
        return parts.scheme in {"http", "https"} and bool(parts.hostname)
    except ValueError:
        return False
