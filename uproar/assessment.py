"""Assessment: what the classifier says of one post about one subject. Not what follows from many."""

from dataclasses import dataclass
from datetime import datetime

from uproar.post import Media, PostId
from uproar.subject import SubjectId

MAX_EVIDENCE_TEXT = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """
    Calibrated probabilities 0..1 (``complaint_severity``: 0..4); None for a head not trained.

    The three of sentiment sum to 1.
    """

    negative: float
    neutral: float
    positive: float
    complaint: float | None = None
    complaint_severity: float | None = None
    offensive: float | None = None
    outrage: float | None = None
    call_to_action: float | None = None
    sarcasm: float | None = None

    def __post_init__(self) -> None:
        # What a stranger wrote into a topic must not reach the sums of detection: malformed.
        said = (
            self.negative,
            self.neutral,
            self.positive,
            self.complaint or 0.0,
            (self.complaint_severity or 0.0) / 4,
            self.offensive or 0.0,
            self.outrage or 0.0,
            self.call_to_action or 0.0,
            self.sarcasm or 0.0,
        )
        if not (min(said) >= 0.0 and max(said) <= 1.0):
            raise ValueError(f"scores beyond their range: {self}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Assessment:
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
