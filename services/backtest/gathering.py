"""Gathering: scored posts, one after the other, into a chunk of columns. Reads nothing itself."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, Final, NamedTuple

import numpy as np

from services.backtest.chunk import Chunk
from uproar.assessment import Assessment, Scores
from uproar.detect.crowd import names_of
from uproar.detect.heard import UNSCORED, numbers
from uproar.detector import Columns, Policy
from uproar.detector.columns import texts_named
from uproar.post import PostId
from uproar.prior import blame, suspected
from uproar.subject import Subject, SubjectId
from uproar.watch import Array

NEGATIVE: Final = Policy().negative
"""Blame (:func:`uproar.prior.blame`) from which a post may become evidence."""
RECORDED: Final = "recorded"
SUM_TOLERANCE: Final = 0.02
_ALL_BITS: Final = 0xFFFFFFFFFFFFFFFF
NO_PROBABILITIES: Final = "scores: negative, neutral and positive are probabilities that sum to 1"
NO_MORE: Final[Mapping[str, Any]] = MappingProxyType({})


def why_not(negative: float, neutral: float, positive: float) -> str | None:
    """Say what is wrong with probabilities; None when nothing is."""
    bounds = 0 <= negative <= 1 and 0 <= neutral <= 1 and 0 <= positive <= 1
    if bounds and abs(negative + neutral + positive - 1) <= SUM_TOLERANCE:
        return None
    return NO_PROBABILITIES


class Said(NamedTuple):
    """
    A scored post about subjects, plain enough to be taken as it stands.

    Attributes:
        id: With its network, as :class:`uproar.post.Post` has it.
        at: Event time, seconds since 1970.
        subjects: Places of those it is about.
        author, copy: Who wrote it (a pseudonym) and what it says (a fingerprint); a whole number
            will do; None: an author, a text of its own.
        own_of: Subjects among whose own accounts the author is.
        more: What else evidence shows and is chosen by.
    """

    id: str
    at: float
    subjects: Sequence[int]
    scores: Scores | None
    author: str | int | None = None
    copy: str | int | None = None
    own: bool = False
    own_of: Sequence[str] = ()
    more: Mapping[str, Any] = NO_MORE


def candidate(said: Said, subject: SubjectId) -> Assessment:
    """Return a post as evidence keeps it: without words, which a file of scores does not hold."""
    network = said.id.partition(":")[0]
    return Assessment(
        post=PostId(said.id),
        subject=subject,
        stream=network,
        network=network,
        created_at=datetime.fromtimestamp(said.at, UTC),
        scores=said.scores,
        model=RECORDED,
        author=None if said.author is None else str(said.author),
        fingerprint=None if said.copy is None else str(said.copy),
        **said.more,
    )


class Gathering:
    """The rows of a chunk as they come."""

    def __init__(self, subjects: Sequence[Subject]) -> None:
        self.subjects = [subject.id for subject in subjects]
        self._place = {subject: place for place, subject in enumerate(self.subjects)}
        self._start()

    def _start(self) -> None:
        self.read = 0
        self._begin, self._end = float("inf"), float("-inf")
        self._at: list[float] = []
        self._post: list[str] = []
        self._author: list[str | int | None] = []
        self._copy: list[str | int | None] = []
        self._subject: list[int] = []
        self._negative: list[float] = []
        self._positive: list[float] = []
        self._own: list[bool] = []
        self._texts: dict[int, Assessment] = {}

    def heard(self, at: float) -> None:
        """Count a post that can be read, about somebody or not."""
        self.read += 1
        self._begin, self._end = min(self._begin, at), max(self._end, at)

    def add(self, told: Assessment) -> None:
        """Add what the pipeline would make of a post about a subject."""
        scores = told.scores
        said = Said(told.post, told.created_at.timestamp(), (), scores, told.author)
        said = said._replace(copy=told.fingerprint)
        row = self._add(said, self._place[told.subject], own=told.own)
        if scores is not None and blame(scores.negative) >= NEGATIVE:
            self._texts[row] = told

    def say(self, said: Said) -> None:
        """Add a post that needs no more looking at; only what may be evidence becomes an object."""
        self.heard(said.at)
        for place in said.subjects:
            own = said.own or (bool(said.own_of) and self.subjects[place] in said.own_of)
            row = self._add(said, place, own=own)
            if said.scores and blame(said.scores.negative) >= NEGATIVE and not own:
                self._texts[row] = candidate(said, self.subjects[place])

    def _add(self, said: Said, place: int, *, own: bool) -> int:
        scores = said.scores
        self._at.append(said.at)
        self._post.append(said.id)
        self._author.append(said.author)
        self._copy.append(said.copy)
        self._subject.append(place)
        self._negative.append(UNSCORED if scores is None else scores.negative)
        self._positive.append(0.0 if scores is None else scores.positive)
        self._own.append(own)
        return len(self._at) - 1

    def chunk(self) -> Chunk | None:
        """Return what was gathered, and begin anew; None when no post was read."""
        if not self.read:
            return None
        post, author = names_of(self._post), _names(self._author)
        negative, positive = suspected(
            np.array(self._negative, np.float64), np.array(self._positive, np.float64)
        )
        posts = Columns(
            subjects=self.subjects,
            subject=np.array(self._subject, np.int64),
            at=np.array(self._at, np.float64),
            post=post,
            author=np.where(author == 0, post, author),
            copy=_texts_named(self._copy),
            negative=negative,
            positive=positive,
            own=np.array(self._own, bool),
            backfill=np.zeros(len(self._at), bool),
        )
        made = Chunk(
            begin=self._begin, end=self._end, read=self.read, posts=posts, texts=self._texts
        )
        self._start()
        return made


def _names(hashes: Sequence[str | int | None]) -> Array:
    """Number hashes as they were given, texts and whole numbers; 0 for none; uint64."""
    names = np.zeros(len(hashes), np.uint64)
    whole = [place for place, one in enumerate(hashes) if type(one) is int]
    if whole:
        names[whole] = numbers(np.array([hashes[p] & _ALL_BITS for p in whole], np.uint64))  # type: ignore[operator]
    texts = [place for place, one in enumerate(hashes) if type(one) is str]
    if texts:
        names[texts] = names_of(hashes[place] for place in texts)  # type: ignore[misc]
    return names


def _texts_named(hashes: Sequence[str | int | None]) -> Array:
    """Number what texts say, one name or (with a dot between) two; uint64, (posts, 2)."""
    found = texts_named([one if type(one) is str else None for one in hashes])
    whole = [place for place, one in enumerate(hashes) if type(one) is int]
    if whole:
        found[whole, 0] = _names([hashes[place] for place in whole])
    return found
