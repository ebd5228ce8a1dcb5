"""Assessment: what the classifier says of one post about one subject. Not what follows from many."""

from datetime import datetime
from typing import Annotated

import msgspec

from uproar.post import Media, PostId
from uproar.subject import SubjectId

MAX_EVIDENCE_TEXT = 1000

# What a stranger wrote into a topic must not reach the sums of detection: beyond it, malformed.
Probability = Annotated[float, msgspec.Meta(ge=0, le=1)]
Severity = Annotated[float, msgspec.Meta(ge=0, le=4)]


class Scores(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """
    Calibrated probabilities 0..1 (``complaint_severity``: 0..4); None for a head not trained.

    The three of sentiment sum to 1.
    """

    negative: Probability
    neutral: Probability
    positive: Probability
    complaint: Probability | None = None
    complaint_severity: Severity | None = None
    offensive: Probability | None = None
    outrage: Probability | None = None
    call_to_action: Probability | None = None
    sarcasm: Probability | None = None


class Assessment(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """
    The verdict on one post about one subject; a post about two subjects gives two.

    Attributes:
        post: Id of the post.
        subject: Whom it is about.
        stream: Stream the post came through.
        created_at: Event time of the post (UTC).
        scores: The model's verdict; None when it could not be scored: the post flows on, marked.
        model: Name of the model that scored; None with ``scores``.
        fingerprint: Name of what the text says (:func:`uproar.post.fingerprint`); None if too short.
        text: At most 1,000 characters, for evidence.
    """

    post: PostId
    subject: SubjectId
    stream: str
    network: str
    created_at: datetime
    scores: Scores | None
    model: str | None = None
    author: str | None = None
    fingerprint: str | None = None
    own: bool = False
    backfill: bool = False
    text: str = ""
    lang: str | None = None
    url: str | None = None
    author_followers: int | None = None
    views: int | None = None
    shares: int | None = None
    likes: int | None = None
    replies: int | None = None
    media: tuple[Media, ...] = ()
    repost_of: str | None = None
    reply_to: str | None = None
