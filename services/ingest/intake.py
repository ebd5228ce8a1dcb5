"""Intake: one post's way in. Is it readable, was it seen, whom does it concern? Then send (given)."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

import msgspec

from services.ingest import metrics
from services.ingest.seen import Seen
from services.ingest.source import Gone
from uproar.errors import Malformed, Unavailable
from uproar.inbox import Names, mend_surrogates, read_post
from uproar.post import Deletion, Post, PostId, pseudonym
from uproar.subject import Subject, SubjectId
from uproar.topics import DELETIONS, POSTS
from uproar.wire import TRACEPARENT, Record

Send = Callable[[Sequence[Record]], Awaitable[None]]
"""Hands records to the broker; returns when it has them all; raises Unavailable."""

SLICE = 100
"""Posts judged before the event loop may do something else."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Push:
    """
    One request with posts.

    Attributes:
        items: Each post as a JSON object, or why it could not even be told apart.
        source: Name of its stream.
        up_to: How far the stream's event time has come; None for a live push.
        end: Whether the stream ends here.
        backfill: Whether it brings history.
        received_at: Wall clock at which it had come in.
        traceparent: Trace it belongs to.
        cursor: Where a connector goes on behind it; None: not from a connector.
        gone: What its network says was taken back.
    """

    items: Sequence[bytes | Malformed]
    source: str
    received_at: datetime
    traceparent: str
    up_to: datetime | None = None
    end: bool = False
    backfill: bool = False
    cursor: str | None = None
    gone: Sequence[Gone] = ()


class Verdict(StrEnum):
    """What became of a post."""

    ACCEPTED = "accepted"
    DUPLICATE = "duplicate"
    UNMATCHED = "unmatched"
    REJECTED = "rejected"


class Judged(msgspec.Struct, kw_only=True, omit_defaults=True):
    """The verdict on one post, by the id its sender gave it (null where that cannot be read)."""

    id: str | None
    verdict: Verdict
    reason: str | None = None


@dataclass(slots=True, kw_only=True)
class Outcome:
    """
    The verdicts on a push, in its order.

    Attributes:
        verdicts: One for each item.
        cut: Posts whose text was over 16 KiB.
        late: Posts older than what their own stream had reached; they count in their slot.
        newest: Event time of the newest readable post.
        reached: How far the stream has come, where it goes by its own time.
    """

    verdicts: list[Judged] = field(default_factory=list)
    cut: int = 0
    late: int = 0
    newest: datetime | None = None
    reached: datetime | None = None

    @property
    def counts(self) -> Counter[Verdict]:
        """How many posts got each verdict."""
        return Counter(judged.verdict for judged in self.verdicts)


class Intake:
    """
    Judges posts and sends on what is new and concerns a subject.

    A post is remembered only once the broker has acknowledged it. Until then it is claimed: the
    same post in another request is a duplicate only if that acknowledgement comes.
    """

    def __init__(self, *, seen: Seen, authors: Seen, key: bytes, send: Send) -> None:
        """
        Make an intake.

        Args:
            seen: Posts that were sent on.
            authors: Pseudonyms of those who wrote what a network sent on, for their deletions.
            key: Secret of the pseudonyms.
            send: Hands records to the broker.
        """
        self._seen, self._authors, self._key, self._send = seen, authors, key, send
        self._names: Names | None = None
        self._subjects: Mapping[SubjectId, Subject] = {}
        self._claims: dict[PostId, asyncio.Future[None]] = {}

    def watch(self, subjects: Mapping[SubjectId, Subject], names: Names) -> None:
        """Judge by this watch list from now on."""
        self._subjects, self._names = subjects, names
        metrics.SUBJECTS.set(len(subjects))

    def problem(self) -> str | None:
        """Say that the watch list is missing, as long as it is."""
        return "the watch list has not been read yet" if self._names is None else None

    async def take(self, push: Push, *, late_before: datetime | None = None) -> Outcome:
        """
        Judge every post of a push and send on what is accepted.

        Args:
            push: The request.
            late_before: What its stream had reached: older posts are counted as late.

        Returns:
            The verdicts, once the broker has acknowledged every accepted post.

        Raises:
            Unavailable: The watch list is missing, or the broker did not take the posts: nothing
                is remembered, and the push may be sent again.
        """
        if problem := self.problem():
            raise Unavailable(problem)
        batch = _Batch(push, late_before, asyncio.get_running_loop().create_future())
        try:
            for number, item in enumerate(push.items, start=1):
                batch.outcome.verdicts.append(self._judge(item, batch))
                if number % SLICE == 0:
                    await asyncio.sleep(0)
            await self._send([self._record(post, push) for post in batch.posts])
            self._seen.remember((post.id, post.created_at) for post in batch.posts)
            if push.cursor is not None:
                self._remember_authors(batch.posts)
            batch.claim.set_result(None)
        finally:
            for post in batch.posts:
                del self._claims[post.id]
            if not batch.claim.done():
                batch.claim.set_exception(Unavailable("the broker did not take the posts"))
                batch.claim.exception()  # nobody else may be waiting for it
        for claim in batch.others:
            await asyncio.shield(claim)
        await self._pass_on(push.gone)
        _count(batch.outcome)
        metrics.SEEN_IDS.set(len(self._seen))
        return batch.outcome

    def _remember_authors(self, posts: Sequence[Post]) -> None:
        new = {post.author: post.created_at for post in posts if post.author}
        # Again where only the old generation has them: whoever still writes is not forgotten.
        well = self._authors.knows_well
        self._authors.remember([(a, at) for a, at in new.items() if not well(a)])

    async def _pass_on(self, gone: Sequence[Gone]) -> None:
        """Say of what was taken back that it was, where anything of it had been sent on."""
        for one in gone:
            if one.id is not None:
                name, known = f"{one.network}:{one.id}", self._seen
                deletion = Deletion(id=PostId(name), at=one.at)
            else:
                name, known = pseudonym(one.author or "", one.network, self._key), self._authors
                deletion = Deletion(author=name, at=one.at)
            if name in known:
                await self._send([DELETIONS.record(deletion, key=name)])  # one a send, as reports
                metrics.DELETIONS.inc()

    def _judge(self, item: bytes | Malformed, batch: "_Batch") -> Judged:
        if isinstance(item, Malformed):
            return Judged(id=None, verdict=Verdict.REJECTED, reason=str(item))
        try:
            post = read_post(
                item,
                stream=batch.push.source,
                now=batch.push.received_at,
                key=self._key,
                names=self._names,
                known=self._subjects,
                backfill=batch.push.backfill,
            )
        except Malformed as error:
            return Judged(id=_id_of(item), verdict=Verdict.REJECTED, reason=str(error))
        batch.note(post)
        return Judged(id=post.id.partition(":")[2], verdict=self._verdict(post, batch))

    def _verdict(self, post: Post, batch: "_Batch") -> Verdict:
        claim = self._claims.get(post.id)
        if claim is not None and claim is not batch.claim:
            batch.others.add(claim)
        if claim is not None or post.id in self._seen:
            return Verdict.DUPLICATE
        if not post.subjects:
            return Verdict.UNMATCHED
        self._claims[post.id] = batch.claim
        batch.posts.append(post)
        return Verdict.ACCEPTED

    @staticmethod
    def _record(post: Post, push: Push) -> Record:
        headers = ((TRACEPARENT, push.traceparent.encode()),)
        return POSTS.record(post, key=post.id, headers=headers)


class _Batch:
    """A push under way: its accepted posts, its claim on them, and the claims of others it met."""

    def __init__(
        self, push: Push, late_before: datetime | None, claim: asyncio.Future[None]
    ) -> None:
        self.push, self.late_before, self.claim = push, late_before, claim
        self.outcome = Outcome()
        self.posts: list[Post] = []
        self.others: set[asyncio.Future[None]] = set()

    def note(self, post: Post) -> None:
        """Count what matters of every readable post, whatever its verdict."""
        outcome = self.outcome
        outcome.newest = max(post.created_at, outcome.newest or post.created_at)
        outcome.cut += post.cut
        outcome.late += self.late_before is not None and post.created_at < self.late_before


class _Id(msgspec.Struct):
    id: str


_ID = msgspec.json.Decoder(_Id)


def _id_of(raw: bytes) -> str | None:
    try:
        return _ID.decode(mend_surrogates(raw)).id[:512]
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None


def _count(outcome: Outcome) -> None:
    for verdict, count in outcome.counts.items():
        metrics.POSTS.labels(verdict).inc(count)
    metrics.POSTS_CUT.inc(outcome.cut)
    metrics.POSTS_LATE.inc(outcome.late)
