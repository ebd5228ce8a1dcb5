"""
Escalate: the auditor: does every page reach somebody? Only then does the outside hear a heartbeat.

It trusts no worker: it reads what stands in the database. To page who stands by needs nobody here:
their deliveries are in the outbox from the first, due at the deadline (store/outbox).
"""

import asyncio
import contextlib
from collections.abc import Callable, Collection
from datetime import datetime, timedelta
from typing import Final

import httpx
import structlog

from services.alerter.notifier.exchange import Answer, send
from services.alerter.store import backlog
from services.alerter.store.backlog import Audit
from services.alerter.store.database import Database
from uproar.errors import Unavailable
from uproar.routing import ReceiverName

log = structlog.get_logger(room="alerter/escalate")

LOOK_EVERY: Final = timedelta(seconds=30)
GRACE: Final = timedelta(minutes=1)
"""After its deadline: by then who stands by has had it."""


class Auditor:
    """
    Checks the promises of the outbox, and pings an outside dead man's switch while they hold.

    Args:
        database: Where the deliveries are.
        receivers: Who is configured; deliveries to others wait for ever.
        client: For the heartbeat.
        heartbeat: An address that wants a GET about every minute; None: nobody waits for one.
        clock: Wall clock.
    """

    def __init__(
        self,
        database: Database,
        *,
        receivers: Collection[ReceiverName],
        client: httpx.AsyncClient,
        heartbeat: str | None,
        clock: Callable[[], datetime],
    ) -> None:
        self.problem: str | None = None
        self._database, self._receivers, self._clock = database, receivers, clock
        self._client, self._heartbeat = client, heartbeat

    async def run(self, stop: asyncio.Event) -> None:
        """Look until ``stop`` is set."""
        while not stop.is_set():
            await self.look()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), LOOK_EVERY.total_seconds())

    async def look(self) -> None:
        """Look once; say what is wrong, or else that all is well."""
        try:
            async with self._database.reading() as transaction:
                found = await backlog.audit(
                    transaction, late=self._clock() - GRACE, receivers=self._receivers
                )
        except Unavailable as error:
            self.problem = f"deliveries cannot be checked: {error}"
            return
        self.problem = _said(found)
        if self.problem is None and self._heartbeat:
            await self._beat(self._heartbeat)

    async def _beat(self, url: str) -> None:
        answer = await send(self._client, url, None, headers={})
        if not isinstance(answer, Answer) or answer.status >= 400:
            log.warning("the heartbeat was not taken")


def _said(found: Audit) -> str | None:
    said = []
    if found.unheard:
        said.append(f"{found.unheard} pages have reached nobody by their deadline")
    if found.stray:
        names = ", ".join(sorted(found.stray))
        said.append(f"deliveries wait for receivers that uproar.toml does not name: {names}")
    return "; ".join(said) or None
