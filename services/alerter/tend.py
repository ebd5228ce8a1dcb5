"""Tend: what some receivers need while an incident lasts: to hear of it again, to be asked about it."""

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Final

import structlog

from services.alerter.callbacks import Callbacks
from services.alerter.notifier import Notifier
from services.alerter.notifier.callback import Listener, Tending, Told
from services.alerter.store import surfaces
from services.alerter.store.database import Database
from uproar.errors import Unavailable
from uproar.routing import ReceiverName

EVERY: Final = timedelta(seconds=60)
AFTERWARDS: Final = timedelta(minutes=5)
"""How long a receiver still hears that an incident is over."""
_TOGETHER: Final = 1000
_CUT_OFF: Final = timedelta(seconds=50)

log = structlog.get_logger(room="alerter/tend")


class Tender:
    """
    Lets every receiver that has to do so tend its open incidents, once a minute.

    Several replicas may do it side by side: what is told or asked twice does no harm.

    Args:
        database: Where it stands which incidents last.
        callbacks: Takes what people were found to have done.
        notifiers: All receivers.
        clock: Wall clock.
    """

    def __init__(
        self,
        database: Database,
        callbacks: Callbacks,
        notifiers: Mapping[ReceiverName, Notifier],
        clock: Callable[[], datetime],
        *,
        every: timedelta = EVERY,
    ) -> None:
        self._database, self._callbacks = database, callbacks
        self._clock, self._every = clock, every
        self._tending = [n for n in notifiers.values() if isinstance(n, Tending)]

    async def run(self, stop: asyncio.Event) -> None:
        """Tend until ``stop`` is set."""
        while self._tending and not stop.is_set():
            await asyncio.gather(*map(self._one, self._tending))
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), self._every.total_seconds())

    async def _one(self, notifier: Notifier) -> None:
        try:
            async with asyncio.timeout(_CUT_OFF.total_seconds()):
                await self.tend(notifier)
        except (Unavailable, TimeoutError) as error:
            log.warning("not tended", receiver=notifier.name, reason=str(error) or "too slow")
        except Exception:  # our own fault with one receiver must not end the others' pages
            log.exception("a notifier crashed", receiver=notifier.name)

    async def tend(self, notifier: Notifier) -> None:
        """Let one receiver tend what it was told of; raises Unavailable."""
        if not isinstance(notifier, Tending):
            return
        since = self._clock() - AFTERWARDS
        async with self._database.reading() as transaction:
            standing = await surfaces.standing(
                transaction, notifier.name, since=since, limit=_TOGETHER
            )
        if not standing:
            return

        async def take(told: Told) -> None:
            if isinstance(notifier, Listener):
                await self._callbacks.take(notifier, told)

        await notifier.tend(standing, take)
