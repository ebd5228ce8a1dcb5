"""Beginning: the database brought to this version, and what stands in it to these settings."""

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Final

import structlog
from ulid import ULID

from services.alerter.reroute import reroute
from services.alerter.store import facts, migrate
from services.alerter.store import subjects as watch_list
from services.alerter.store.database import Database
from uproar.errors import Unavailable
from uproar.routing import Receiver, Route
from uproar.subject import Subject

RETRY_EVERY: Final = timedelta(seconds=2)

log = structlog.get_logger(room="alerter/beginning")


class Beginning:
    """
    What must be done before the alerter works.

    A database that is away is waited for: meanwhile the operator is told.

    Attributes:
        problem: Why it has not begun yet; None where nothing is wrong.
    """

    def __init__(
        self,
        database: Database,
        subjects: Sequence[Subject],
        routes: Sequence[Route],
        receivers: Sequence[Receiver],
        *,
        clock: Callable[[], datetime],
    ) -> None:
        self.problem: str | None = None
        self._database, self._subjects, self._clock = database, subjects, clock
        self._routes, self._receivers = routes, [receiver.name for receiver in receivers]

    async def run(self, stop: asyncio.Event) -> str | None:
        """Return the name of this installation; None where ``stop`` came first."""
        while not stop.is_set():
            try:
                installation = await self._begin()
                await self._reroute()
            except Unavailable as error:
                self.problem = str(error)
                log.error("cannot begin yet", reason=self.problem)
            else:
                self.problem = None
                return installation
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), RETRY_EVERY.total_seconds())
        return None

    async def _begin(self) -> str:
        """Migrate, take the watch-list file over, and return the name of this installation."""
        await migrate.migrate(self._database)
        now = self._clock()
        async with self._database.writing() as transaction:
            seeded = await watch_list.seed(transaction, self._subjects, now=now)
            installation = await facts.installation(transaction, str(ULID.from_datetime(now)))
        log.info("watching", subjects={subject: what.value for subject, what in seeded.items()})
        return installation

    async def _reroute(self) -> None:
        count = await reroute(
            self._database, routes=self._routes, receivers=self._receivers, now=self._clock()
        )
        if count:
            log.warning("what waited for receivers that are no more has an end", incidents=count)
