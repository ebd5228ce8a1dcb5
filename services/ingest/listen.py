"""Listen: one network's frames -> the pump, for ever. It is started again with a back-off."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from random import Random
from typing import TypeVar

import structlog

from services.ingest import metrics
from services.ingest.cursors import Conflict, Stream
from services.ingest.intake import Outcome, Push, Send, Verdict
from services.ingest.source import Frame, Source, Unreadable
from services.traces import Kind, span
from uproar.errors import Unavailable
from uproar.topics import DEAD_LETTER, POSTS
from uproar.wire import Record, dead_letter

log = structlog.get_logger(room="ingest/listen")

T = TypeVar("T")

FIRST_DELAY, LONGEST_DELAY = 1.0, 60.0  # seconds before a network is tried again
HEALTHY_SECONDS = 60.0
RETRY_SECONDS = 1.0
LETTERS_A_MINUTE = 10
"""When a network changes its format everything is unreadable: a few samples tell as much as all."""


class Listener:
    """
    Reads one source for as long as the process lives.

    A frame is asked for only when the one before it is with the broker, and then its cursor is kept:
    while the broker is away the network waits, and nothing piles up here.
    """

    def __init__(
        self,
        source: Source,
        *,
        take: Callable[[Push], Awaitable[Outcome]],
        stream: Callable[[str], Stream | None],
        send: Send,
        rng: Random,
        first_delay: float = FIRST_DELAY,
    ) -> None:
        """
        Make a listener.

        Args:
            source: The connector.
            take: The pump's.
            stream: Returns what is known of a stream: where it goes on.
            send: Hands dead letters to the broker.
            rng: For trace ids and the jitter of the back-off.
            first_delay: Seconds before the first new attempt; each further one doubles it.
        """
        self._source, self._take, self._stream = source, take, stream
        self._send, self._rng, self._first_delay = send, rng, first_delay
        self._letters: deque[datetime] = deque(maxlen=LETTERS_A_MINUTE)
        self.name = source.name
        self._trouble: str | None = "not connected yet"

    def problem(self) -> str | None:
        """Say why nothing is heard, for /ready; None while the network is heard."""
        return self._trouble

    async def run(self) -> None:
        """Listen until cancelled."""
        failures, loop = 0, asyncio.get_running_loop()
        while True:
            begun = loop.time()
            try:
                async with aclosing(self._frames()) as frames:
                    async for frame in frames:
                        await self._hand_over(frame)
                reason = "the network ended the stream"
            except Unavailable as error:
                reason = str(error)
            failures = 1 if loop.time() - begun > HEALTHY_SECONDS else failures + 1
            self._trouble = reason
            metrics.SOURCE_RESTARTS.labels(self.name).inc()
            log.warning("network lost", source=self.name, reason=reason)
            await asyncio.sleep(self._delay(failures))

    def _frames(self) -> AsyncGenerator[Frame, None]:
        known = self._stream(self.name)
        cursor = known.cursor if known else None
        if cursor is None and known is not None and known.reached is not None:
            cursor = self._source.since(known.reached)
        log.info("listening", source=self.name, cursor=cursor)
        return self._source.read(cursor)

    def _delay(self, failures: int) -> float:
        longest = min(LONGEST_DELAY, self._first_delay * float(2 ** min(failures - 1, 10)))
        return longest * self._rng.uniform(0.5, 1.0)  # those who fell together rise apart

    async def _hand_over(self, frame: Frame) -> None:
        if frame.gap is not None:
            metrics.SOURCE_GAPS.labels(self.name).inc()
            log.error("posts are missing", source=self.name, reason=frame.gap)
        metrics.UNREADABLE_FRAMES.labels(self.name).inc(len(frame.unreadable))
        with span("listen", parent=None, kind=Kind.CONSUMER, rng=self._rng) as step:
            step.note(uproar__source=self.name, uproar__posts=len(frame.posts))
            push = Push(
                items=frame.posts,
                source=self.name,
                received_at=datetime.now(UTC),
                traceparent=step.traceparent,
                up_to=frame.up_to,
                cursor=frame.cursor,
                gone=frame.gone,
            )
            outcome = await self._insist(lambda: self._take(push))
        refused = [
            Unreadable(raw, verdict.reason or "")
            for raw, verdict in zip(frame.posts, outcome.verdicts, strict=True)
            if verdict.verdict is Verdict.REJECTED
        ]
        letters = self._bury([*frame.unreadable, *refused])
        await self._insist(lambda: self._send(letters))
        self._trouble = None

    async def _insist(self, attempt: Callable[[], Awaitable[T]]) -> T:
        while True:
            try:
                return await attempt()
            except (Unavailable, Conflict) as error:
                self._trouble = str(error)
                log.warning("network waits", source=self.name, reason=str(error))
                await asyncio.sleep(RETRY_SECONDS)

    def _bury(self, unreadable: Sequence[Unreadable]) -> list[Record]:
        letters: list[Record] = []
        for one in unreadable:
            now = datetime.now(UTC)
            full = len(self._letters) == LETTERS_A_MINUTE
            if full and now - self._letters[0] < timedelta(minutes=1):
                continue  # counted all the same
            self._letters.append(now)
            letter = dead_letter(Record(topic=self.name, value=one.raw), one.reason, at=now)
            why = (("error", letter.reason.encode()), ("origin", letter.origin.encode()))
            value = DEAD_LETTER.encode(letter)
            letters.append(Record(topic=POSTS.dead_letters, value=value, headers=why))
            log.warning("frame buried", source=self.name, reason=letter.reason)
        return letters
