"""
Score: posts in, assessments out, watermarks passed on. It knows no Faust and keeps nothing.

A failing engine never stops the stream: posts flow on unscored, marked, the next batch tries again,
and when the engine is back the same posts follow once more, with their scores.
"""

import asyncio
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import msgspec
import structlog

from services import traces
from services.classifier import metrics
from services.classifier.engine import Engine
from services.classifier.engine.repeats import Repeats
from services.classifier.follow import WatchList
from services.classifier.handler import Effects
from services.classifier.judge import Marks, Verdicts, judge
from services.classifier.owed import Debt, Owed
from services.classifier.partitioner import partition_of
from uproar.assessment import MAX_EVIDENCE_TEXT, Assessment, Scores
from uproar.errors import Malformed, Unavailable
from uproar.post import Post, event_time, fingerprint
from uproar.topics import ASSESSMENTS, POSTS
from uproar.watermark import Watermark
from uproar.wire import Headers, Record

log = structlog.get_logger(room="classifier/score")

MAX_VALUE_BYTES = 64 * 1024  # an assessment is 2 KB; eight of them must fit into a backlash record
_FILLED_IN_AT_ONCE = 256
_TRIED_SINGLY = 8
CLOCK_TOLERANCE = timedelta(days=1)  # ingest has looked closely: this keeps strangers' records out


class Scorer:
    """
    The engine, with a verdict for every text whatever happens.

    Attributes:
        problem: Why the last batch could not be scored; None when it could.
    """

    def __init__(self, engine: Engine) -> None:
        self.problem: str | None = None
        self._engine = Repeats(engine)

    @property
    def name(self) -> str:
        """Name of the model."""
        return self._engine.name

    @property
    def marks(self) -> Marks:
        """
        What the model wants around a mention. May block until it is loaded.

        Raises:
            Unavailable: There is no model; ``problem`` says why.
        """
        try:
            return self._engine.marks
        except Unavailable as error:
            self.problem = str(error)
            log.error("no engine, posts flow on unscored", reason=str(error))
            raise

    def score(self, texts: Sequence[str]) -> list[Scores | None]:
        """Score texts, in order; None where the engine gives no probabilities. Blocks."""
        if not texts:
            return []
        began, before = time.monotonic(), self._engine.repeated
        try:
            scored = [
                _scores(dict(zip(self._engine.heads, row, strict=True)))
                for row in self._engine.score(texts).tolist()
            ]
        except Unavailable as error:
            self.problem = str(error)
            log.error("no engine, posts flow on unscored", posts=len(texts), reason=str(error))
            return [None] * len(texts)
        except Exception as error:
            self.problem = f"the engine failed: {error!r}"
            log.exception("engine failed, posts flow on unscored", posts=len(texts))
            metrics.ENGINE_FAILURES.inc()
            return [None] * len(texts)
        finally:
            metrics.ENGINE_SECONDS.observe(time.monotonic() - began)
            metrics.REPEATS.inc(self._engine.repeated - before)
        self.problem = None
        metrics.MODEL.info({"name": self.name})
        return scored


def _scores(row: Mapping[str, float]) -> Scores | None:
    known = {head: round(value, 4) for head, value in row.items() if not math.isnan(value)}
    if not {"negative", "neutral", "positive"} <= known.keys():
        return None
    return msgspec.convert(known, Scores)  # refuses what is beyond its range


def assess(post: Post, verdicts: Verdicts, model: str) -> list[Assessment]:
    """Say of a post what the model says, once for each subject it is about."""
    named = fingerprint(post.text)
    return [
        Assessment(
            post=post.id,
            subject=subject,
            stream=post.stream,
            network=post.network,
            created_at=post.created_at,
            scores=verdicts[subject],
            model=None if verdicts[subject] is None else model,
            author=post.author,
            fingerprint=named,
            own=post.own or subject in post.own_of,
            backfill=post.backfill,
            text=post.text[:MAX_EVIDENCE_TEXT],
            lang=post.lang,
            url=post.url,
            author_followers=post.author_followers,
            views=post.views,
            shares=post.shares,
            likes=post.likes,
            replies=post.replies,
            media=post.media,
            repost_of=post.repost_of,
            reply_to=post.reply_to,
        )
        for subject in dict.fromkeys(post.subjects)
    ]


class Score:
    """
    The agent between posts and assessments.

    Args:
        watch_list: Whose names are marked in a text, for a model that was taught to look for them.
        posts_partitions: How many partitions posts have: a watermark passed on says so.
        partitions: How many partitions assessments have.
    """

    def __init__(
        self,
        scorer: Scorer,
        *,
        watch_list: WatchList,
        posts_partitions: int,
        partitions: int,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._scorer, self._watch_list, self._now = scorer, watch_list, now
        self._posts_partitions, self._partitions = posts_partitions, partitions
        self._engine = asyncio.Lock()  # one thread at a time
        self._owed, self._probes = Owed(), 0
        metrics.OWED.set_function(self._owed.__len__)

    def assigned(self, partition: int, rows: Mapping[bytes, bytes], *, offsets_valid: bool) -> None:  # noqa: ARG002
        """Begin anew: what was owed is read again, as the commit never passed it."""
        self._owed.forget(partition)

    def revoked(self, partition: int) -> None:
        """Forget a partition."""
        self._owed.forget(partition)

    def done(self, partition: int) -> None:
        """Nothing here waits for it."""

    async def tick(self, partition: int) -> Effects:
        """Fill in scores that are owed, if the engine is back; a tick later the next ones."""
        debts = self._owed.first(partition, _FILLED_IN_AT_ONCE)
        if not debts:
            return Effects(hold=self._owed.oldest(partition))
        verdicts = await self._verdicts([debt.post for debt in debts])
        if self._scorer.problem:
            debts, verdicts = await self._singly(debts)
        self._owed.settle(partition, len(debts))
        filled = [
            self._record(assessment, debt.headers)
            for debt, towards in zip(debts, verdicts, strict=True)
            for assessment in assess(debt.post, towards, self._scorer.name)
            if assessment.scores is not None
        ]
        metrics.FILLED_IN.inc(len(verdicts) - _unscored(verdicts))
        return Effects(stages=[filled], hold=self._owed.oldest(partition))

    async def _singly(self, debts: list[Debt]) -> tuple[list[Debt], list[Verdicts]]:
        """
        Tell posts that the engine cannot bear from an engine that bears none.

        Returns:
            The posts that are settled, those it cannot bear without scores; none if it is down.
        """
        self._probes += 1  # a text that is not remembered
        verdicts = list[Verdicts]()
        async with self._engine:
            await asyncio.to_thread(self._scorer.score, [f"probe {self._probes}"])
            if self._scorer.problem:
                return [], []
        for debt in debts[:_TRIED_SINGLY]:
            verdicts += await self._verdicts([debt.post])
        return debts[: len(verdicts)], verdicts

    async def _verdicts(self, posts: Sequence[Post]) -> list[Verdicts]:
        await self._watch_list.know({subject for post in posts for subject in post.subjects})
        async with self._engine:  # not on the loop: heartbeats and /live go on meanwhile
            return await asyncio.to_thread(self._judge, posts)

    def _judge(self, posts: Sequence[Post]) -> list[Verdicts]:
        try:
            return judge(posts, self._watch_list.subjects, self._scorer)
        except Unavailable:  # the scorer has said so: no model, no marks
            return [dict.fromkeys(post.subjects) for post in posts]

    async def handle(self, partition: int, records: Sequence[Record]) -> Effects:
        """First all assessments; when they are acknowledged, the watermarks, in their order."""
        posts: list[Debt] = []
        marks: list[Record] = []
        latest = self._now() + CLOCK_TOLERANCE
        for record in records:
            value = POSTS.decode(record)
            if isinstance(value, Watermark):
                event_time(value.at, now=latest)
                marks += self._pass_on(value, partition, record.headers)
                continue
            event_time(value.created_at, now=latest)
            if value.subjects:
                posts.append(Debt(value, record.headers, record.offset or 0))
            else:
                metrics.DROPPED.labels("no_subject").inc()
        with traces.batch("score", (each.headers for each in posts)) as go_on:
            verdicts = await self._verdicts([each.post for each in posts])
        assessments = [
            self._record(assessment, go_on(each.headers))
            for each, towards in zip(posts, verdicts, strict=True)
            for assessment in assess(each.post, towards, self._scorer.name)
        ]
        if posts and self._scorer.problem:
            metrics.GIVEN_UP.inc(self._owed.add(partition, posts))
        metrics.POSTS.inc(len(posts))
        metrics.UNSCORED.inc(_unscored(verdicts))
        return Effects(stages=[assessments, marks], hold=self._owed.oldest(partition))

    def _record(self, assessment: Assessment, headers: Headers) -> Record:
        to = partition_of(assessment.subject, self._partitions)
        record = ASSESSMENTS.record(
            assessment, key=assessment.subject, headers=headers, partition=to
        )
        if record.value is not None and len(record.value) > MAX_VALUE_BYTES:
            raise Malformed(f"its assessment has {len(record.value)} bytes: ids or links too long")
        return record

    def _pass_on(self, mark: Watermark, came_by: int, headers: Headers) -> list[Record]:
        passed = replace(mark, partition=came_by, partitions=self._posts_partitions)
        return [
            ASSESSMENTS.record(passed, key=mark.source, headers=headers, partition=to)
            for to in range(self._partitions)
        ]


def _unscored(verdicts: Sequence[Verdicts]) -> int:
    """Count the posts of which nothing could be said."""
    return sum(not any(towards.values()) for towards in verdicts)
