"""
Guard: the three ways out of a failure, whatever client reads and writes.

What can never be processed is buried, what the world refuses is tried again in place, and
everything else is a bug of ours and passes through. It commits nothing.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Protocol, TypeVar

import structlog

from services.classifier import metrics
from services.classifier.handler import Effects, Handler
from uproar.errors import Malformed, Unavailable
from uproar.topics import DEAD_LETTER
from uproar.wire import Record, dead_letter

T = TypeVar("T")

FIRST_DELAY, LONGEST_DELAY = 0.1, 5.0  # seconds


class Hold(Protocol):
    """A partition while it is ours."""

    number: int
    hold: int | None

    def check(self) -> None:
        """Raise what ends the work on the partition if it is no longer ours."""


class Guard:
    """
    Carries records through a handler.

    Args:
        agent: Name for logs and metrics.
        dead_letters: Topic for what can never be processed.
        down: What the client raises when the world is down, beside Unavailable.
    """

    def __init__(
        self,
        agent: str,
        handler: Handler,
        *,
        dead_letters: str,
        down: tuple[type[Exception], ...],
    ) -> None:
        self._agent, self._handler, self._dead_letters = agent, handler, dead_letters
        self._down: tuple[type[Exception], ...] = (
            Unavailable,
            TimeoutError,
            ConnectionError,
            *down,
        )
        self._log = structlog.get_logger(room="classifier/guard", agent=agent)
        self._failing: tuple[float, str] | None = None
        metrics.DEAD_LETTERS.labels(agent)  # 0 from the start: Prometheus sees the first rise

    async def insist(self, attempt: Callable[[], Awaitable[T]], part: Hold) -> T:
        """Try until it works; ends early only with what ``part.check`` raises."""
        delay = FIRST_DELAY
        while True:
            try:
                result = await attempt()
            except self._down as error:
                since = self._failing[0] if self._failing else time.monotonic()
                self._failing = since, repr(error)
                metrics.RETRIES.labels(self._agent).inc()
                self._log.warning("the world is down, trying again", reason=repr(error))
            else:
                self._failing = None
                return result
            part.check()
            await asyncio.sleep(delay)
            delay = min(2 * delay, LONGEST_DELAY)

    async def carry(
        self,
        part: Hold,
        records: Sequence[Record],
        perform: Callable[[Effects, Sequence[Record]], Awaitable[None]],
    ) -> None:
        """Hand records to the handler and its effects to ``perform``; halve what is malformed."""
        try:
            effects = await self.insist(partial(self._handler.handle, part.number, records), part)
        except Malformed as reason:
            if len(records) > 1:
                middle = len(records) // 2
                await self.carry(part, records[:middle], perform)
                await self.carry(part, records[middle:], perform)
                return
            effects = Effects(stages=[[self._letter(records[0], str(reason))]], hold=part.hold)
        await perform(effects, records)

    def problem(self) -> str | None:
        """Say for how long something has been refused, and what; None when nothing is."""
        if self._failing is None:
            return None
        since, reason = self._failing
        return f"trying again for {time.monotonic() - since:.0f} s: {reason}"

    def _letter(self, record: Record, reason: str) -> Record:
        letter = dead_letter(record, reason, at=datetime.now(UTC))
        self._log.warning("record buried", origin=letter.origin, reason=letter.reason)
        metrics.DEAD_LETTERS.labels(self._agent).inc()
        why = (("error", letter.reason.encode()), ("origin", letter.origin.encode()))
        return replace(
            record,
            topic=self._dead_letters,
            value=DEAD_LETTER.encode(letter),
            headers=(*record.headers, *why),
            partition=None,
            offset=None,
        )
