"""Operator: tells who runs uproar that uproar itself is unwell, beside the outbox and the database."""

import asyncio
import contextlib
import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple

import httpx
import structlog

from services.alerter.notifier.exchange import Answer, send
from services.alerter.notifiers.webhook import sign

log = structlog.get_logger(room="alerter/operator")

LOOK_EVERY: Final = timedelta(seconds=5)
GRACE: Final = timedelta(seconds=30)
"""How long a part must be unwell before anybody is told: a restart is no news."""
AGAIN: Final = timedelta(minutes=30)
_MARK: Final = "[uproar, to its operator]"


class _Trouble(NamedTuple):
    """What is wrong with a part, since when, and when that was told; None: not yet."""

    reason: str
    since: datetime
    told: datetime | None = None


class Operator:
    """
    Looks at the parts of this process and posts what is wrong to one address, and when it is over.

    It needs neither database nor broker: it is there for when they are away. What it says is marked,
    so that nobody takes it for a page about a subject.

    Args:
        client: As the notifiers have it.
        url: Where to post; None: nobody is told.
        keys: Sign as Standard Webhooks asks, with each of these.
        problems: What is wrong now, by part.
        clock: Wall clock.
    """

    def __init__(
        self,
        client: httpx.AsyncClient,
        *,
        url: str | None,
        keys: tuple[bytes, ...],
        problems: Callable[[], Mapping[str, str]],
        clock: Callable[[], datetime],
    ) -> None:
        self._client, self._url, self._keys = client, url, keys
        self._problems, self._clock = problems, clock
        self._troubles: dict[str, _Trouble] = {}

    async def run(self, stop: asyncio.Event) -> None:
        """Look until ``stop`` is set."""
        while self._url and not stop.is_set():
            await self.look()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), LOOK_EVERY.total_seconds())

    async def look(self) -> None:
        """Look once, and tell what has to be told; what cannot be told now is told later."""
        now, problems = self._clock(), dict(self._problems())
        for part, reason in problems.items():
            known = self._troubles.get(part, _Trouble(reason, now))
            self._troubles[part] = known._replace(reason=reason)
            if self._is_news(known, now) and await self._tell("alarm", part, self._troubles[part]):
                self._troubles[part] = known._replace(reason=reason, told=now)
        for part in set(self._troubles) - set(problems):
            over = self._troubles[part]
            if over.told is None or await self._tell("recovered", part, over):
                del self._troubles[part]

    def _is_news(self, trouble: _Trouble, now: datetime) -> bool:
        if trouble.told is None:
            return now - trouble.since >= GRACE
        return now - trouble.told >= AGAIN

    async def _tell(self, what: str, part: str, trouble: _Trouble) -> bool:
        now = self._clock()
        said = trouble.reason if what == "alarm" else "it works again"
        event: dict[str, Any] = {
            "type": f"operator.{what}",
            "timestamp": now.astimezone(UTC).isoformat(),
            "text": f"{_MARK} {part}: {said}",  # what Slack and its like show
            "data": {"part": part, "reason": trouble.reason, "since": trouble.since.isoformat()},
        }
        body = json.dumps(event).encode()
        message = f"operator_{part}_{what}_{int(now.timestamp())}"
        signed = sign(message, body, keys=self._keys, now=now) if self._keys else {}
        headers = {"Content-Type": "application/json", **signed}
        answer = await send(self._client, self._url or "", body, headers=headers)
        told = isinstance(answer, Answer) and 200 <= answer.status < 300
        if not told:
            why = f"HTTP {answer.status}" if isinstance(answer, Answer) else answer.reason
            log.warning("the operator could not be told", part=part, reason=why)
        return told
