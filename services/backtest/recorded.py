"""Recorded: a file of posts, scored or to be scored, as the assessments the pipeline would make."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

import msgspec

from services.classifier.score import assess, text_of
from services.ingest.recording import Recorded, read_recording, stream_of
from uproar.assessment import Assessment, Scores
from uproar.errors import Malformed
from uproar.inbox import InputPost, mend_surrogates, read_post, reason
from uproar.match import Matcher
from uproar.post import Post
from uproar.subject import Subject

Score = Callable[[Sequence[str]], list[Scores | None]]
"""Texts -> verdicts, in their order; None for a text without one."""

MAX_REASONS = 100
_NO_TEXT = "-"


@dataclass(slots=True)
class Read:
    """
    A recording, read.

    Attributes:
        times: Event time of every readable post, about a subject or not, rising.
        posts: For each of them what the pipeline would make of it: nothing, or one per subject.
        bad: How many posts cannot be read; ``reasons`` says where and why of the first hundred.
    """

    times: list[datetime] = field(default_factory=list)
    posts: list[list[Assessment]] = field(default_factory=list)
    bad: int = 0
    reasons: list[tuple[str, str]] = field(default_factory=list)

    def refuse(self, where: str, why: str) -> None:
        """Count a post that cannot be read."""
        self.bad += 1
        if len(self.reasons) < MAX_REASONS:
            self.reasons.append((where, why))

    @property
    def unmatched(self) -> int:
        """Posts about no subject."""
        return sum(not about for about in self.posts)

    @property
    def unscored(self) -> int:
        """Posts about a subject that have no scores."""
        return sum(any(a.scores is None for a in about) for about in self.posts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reader:
    """
    Reads files as ingest would.

    Attributes:
        subjects: Whom posts may be about.
        key: Secret of the pseudonyms.
        now: Wall clock: posts from the future are refused.
    """

    subjects: Sequence[Subject]
    key: bytes
    now: datetime

    def posts(self, file: Path, score: Score, *, model: str, batch: int = 256) -> Read:
        """
        Read posts, and score those about a subject; a text that stands twice is scored once.

        Raises:
            Misconfigured, Malformed: The file as a whole cannot be read.
        """
        read, posts = self._read(file)
        texts = list(dict.fromkeys(text_of(post) for post, _ in posts if post.subjects))
        verdicts: dict[str, Scores | None] = {}
        for begin in range(0, len(texts), batch):
            part = texts[begin : begin + batch]
            verdicts.update(zip(part, score(part), strict=True))
        for post, _ in posts:
            read.times.append(post.created_at)
            read.posts.append(assess(post, verdicts.get(text_of(post)), model))
        return read

    def scored(self, file: Path) -> Read:
        """
        Read posts that have been scored: their own keys, and ``scores`` as classify gives them.

        A post that names its ``subjects`` needs no text. One with an ``error`` in the place of
        ``scores``, or null there, is one that the model could not score.

        Raises:
            Misconfigured, Malformed: The file as a whole cannot be read.
        """
        read, posts = self._read(file)
        for post, raw in posts:
            try:
                scores = _scores(raw)
            except Malformed as error:
                read.refuse(post.id, str(error))
                continue
            told = replace(post, text="") if post.text == _NO_TEXT else post
            read.times.append(post.created_at)
            read.posts.append(assess(told, scores, "recorded"))
        if not read.times and read.bad:
            where, why = read.reasons[0]
            raise Malformed(
                f"{file}: no post can be read. {where}: {why}. A line holds the keys of the post"
                " (id, created_at, author, subjects or text) and its scores"
            )
        return read

    def _read(self, file: Path) -> tuple[Read, list[tuple[Post, bytes]]]:
        recording = read_recording(file, now=self.now)
        read = Read(bad=recording.bad)
        read.reasons = [(f"line {number}", why) for number, why in recording.reasons]
        matcher, stream = Matcher(self.subjects), stream_of(file)
        known = {subject.id for subject in self.subjects}
        posts = []
        for line in recording.posts:
            try:
                post = read_post(
                    _with_text(line),
                    stream=stream,
                    now=self.now,
                    key=self.key,
                    names=matcher,
                    known=known,
                )
            except Malformed as error:
                read.refuse(line.id, str(error))
                continue
            posts.append((post, line.raw))
        return read, posts


class _Scored(msgspec.Struct):
    text: str | None = None
    title: str | None = None
    subjects: list[str] | None = None
    scores: Scores | None = None
    error: str | None = None


_SCORED = msgspec.json.Decoder(_Scored)
_POST = msgspec.json.Decoder(InputPost)


def _with_text(line: Recorded) -> bytes:
    """Give a post that names its subjects, but no text, one that says nothing."""
    raw = mend_surrogates(line.raw)
    if b'"text"' in raw:
        return raw
    try:
        post = _POST.decode(raw)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return raw  # read_post says what is wrong with it
    if post.subjects is not None and not post.text and not post.title:
        post.text = _NO_TEXT
    return msgspec.json.encode(post)


def _scores(raw: bytes) -> Scores | None:
    try:
        line = _SCORED.decode(mend_surrogates(raw))
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise Malformed(reason(error)) from error
    if line.scores is None:
        if line.error is None and b'"scores"' not in raw:
            raise Malformed("scores: missing")
        return None
    triple = (line.scores.negative, line.scores.neutral, line.scores.positive)
    if not all(0 <= p <= 1 for p in triple) or abs(sum(triple) - 1) > 0.02:
        raise Malformed("scores: negative, neutral and positive are probabilities that sum to 1")
    return line.scores
