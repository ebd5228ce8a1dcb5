"""Recorded: a file of posts, to be scored, as the assessments the pipeline would make of them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import msgspec

from services.backtest.chunk import POSTS, Chunk, Counts
from services.backtest.gathering import Gathering
from services.classifier.judge import Model, judge
from services.classifier.score import assess
from services.ingest.recording import read_recording, stream_of
from uproar.assessment import Assessment
from uproar.errors import Malformed
from uproar.inbox import read_post
from uproar.match import Matcher
from uproar.post import Post, PostId
from uproar.subject import Subject


@dataclass(slots=True)
class Read:
    """
    A recording, read.

    Attributes:
        times: Event time of every readable post, about a subject or not, rising.
        posts: For each of them what the pipeline would make of it: nothing, or one per subject.
        counts: What was read and what was not.
    """

    times: list[datetime] = field(default_factory=list)
    posts: list[list[Assessment]] = field(default_factory=list)
    counts: Counts = field(default_factory=Counts)

    def take(self, at: datetime, about: list[Assessment]) -> None:
        """Add what the pipeline would make of a post."""
        self.times.append(at)
        self.posts.append(about)
        self.counts.unscored += any(a.scores is None for a in about)
        self.counts.take(at.timestamp(), at.timestamp(), 1)

    def chunks(self, subjects: Sequence[Subject], *, size: int = POSTS) -> Iterator[Chunk]:
        """Yield the posts as columns, in their order."""
        gathering = Gathering(subjects)
        for at, about in zip(self.times, self.posts, strict=True):
            gathering.heard(at.timestamp())
            for assessment in about:
                gathering.add(assessment)
            if gathering.read == size and (chunk := gathering.chunk()):
                yield chunk
        if chunk := gathering.chunk():
            yield chunk


@dataclass(kw_only=True)
class Reader:
    """
    Reads posts as ingest would.

    Attributes:
        subjects: Whom posts may be about.
        key: Secret of the pseudonyms.
        now: Wall clock: posts from the future are refused.
    """

    subjects: Sequence[Subject]
    key: bytes
    now: datetime

    def __post_init__(self) -> None:
        self.names = Matcher(self.subjects)
        self.known = {subject.id: subject for subject in self.subjects}

    def post(self, raw: bytes, *, stream: str) -> Post:
        """
        Read one post, and find whom it is about.

        Raises:
            Malformed: Why it cannot be read.
        """
        return read_post(
            raw, stream=stream, now=self.now, key=self.key, names=self.names, known=self.known
        )

    def posts(self, file: Path, model: Model, *, batch: int = 256) -> Read:
        """
        Read posts, and let a model judge those about a subject, as the score agent does.

        Raises:
            Misconfigured, Malformed: The file as a whole cannot be read.
        """
        read, posts = self._read(file)
        for begin in range(0, len(posts), batch):
            part = posts[begin : begin + batch]
            verdicts = judge(part, self.known, model)
            for post, towards in zip(part, verdicts, strict=True):
                read.take(post.created_at, assess(post, towards, model.name))
        return read

    def _read(self, file: Path) -> tuple[Read, list[Post]]:
        recording, stream = read_recording(file, now=self.now), stream_of(file)
        reasons = [(f"line {number}", why) for number, why in recording.reasons]
        read = Read(counts=Counts(bad=recording.bad, reasons=reasons))
        posts: list[Post] = []
        known: set[PostId] = set()
        for line in recording.posts:
            try:
                post = self.post(line.raw, stream=stream)
            except Malformed as error:
                read.counts.refuse(line.id, str(error))
                continue
            read.counts.unmatched += not post.subjects
            if post.subjects and post.id in known:  # as ingest takes them: the first one counts
                read.counts.repeats += 1
                post = msgspec.structs.replace(post, subjects=())
            elif post.subjects:
                known.add(post.id)
            posts.append(post)
        return read, posts
