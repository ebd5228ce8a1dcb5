"""Notice: what to say about a transition, whatever the channel. Not who hears of it (routing)."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from uproar.backlash import Level
from uproar.incident import Happening, IncidentId, State
from uproar.post import PostId
from uproar.subject import SubjectId

MAX_QUOTES: Final = 3
MAX_QUOTE: Final = 280
MAX_NAME: Final = 60


class Language(StrEnum):
    """In which language people are told."""

    EN = "en"
    FR = "fr"


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """
    Everything a channel may say of an incident at one transition, in the language of the reader.

    It is complete: the notice of an update says what its trigger said, as it stands now.

    Attributes:
        page: It must wake somebody.
        at: Event time of what happened; for an act of a person, the wall clock.
        by: Who did it: a person's or key's name, or ``uproar``.
        title: What happened, in one line.
        happened: The same in one sentence, with the name of the subject.
        why_now: Why the detector speaks, in a sentence or two.
        how_big: Posts, people, severity.
        changed: What is new since the transition before; None for the first.
        standing: Who is on it, or that nobody is.
        advice: How to answer well, in one line; None where there is nothing to answer.
        quotes: At most 3 posts.
        link: Where the incident can be read and acknowledged.
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
    happened: str
    why_now: str
    how_big: str
    changed: str | None
    standing: str
    advice: str | None
    quotes: tuple[Quote, ...]
    link: str
