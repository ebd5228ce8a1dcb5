"""Callbacks: what people did in Slack or PagerDuty becomes an act on the incident, once."""

import asyncio
import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Final

import structlog

from services.alerter.advance import Advancer
from services.alerter.metrics import CALLBACKS
from services.alerter.notifier import DeliveryId, Notifier
from services.alerter.notifier.callback import (
    STORM,
    Dialling,
    Listener,
    Nothing,
    Signed,
    Take,
    Told,
)
from services.alerter.store import answers, surfaces
from services.alerter.store.database import Database
from uproar.errors import Malformed, Unavailable
from uproar.incident import IllegalTransition, State, Verb
from uproar.routing import ReceiverName

_DONE: Final = 200
_STANDS_SO: Final = {  # a snooze is an acknowledgement to those who know no snooze
    Verb.ACKNOWLEDGE: {State.ACKNOWLEDGED, State.SNOOZED, State.RESOLVED},
    Verb.RESOLVE: {State.RESOLVED},
}

log = structlog.get_logger(room="alerter/callbacks")


class Callbacks:
    """
    Hears what people do on other surfaces.

    Args:
        database: Where the news that were taken are remembered.
        advancer: Does the acts.
        notifiers: All receivers; those that listen are asked.
        clock: Wall clock.
    """

    def __init__(
        self,
        database: Database,
        advancer: Advancer,
        notifiers: Mapping[ReceiverName, Notifier],
        clock: Callable[[], datetime],
    ) -> None:
        self._database, self._advancer, self._clock = database, advancer, clock
        self._listeners = [n for n in notifiers.values() if isinstance(n, Listener)]
        self._dialling = [n for n in notifiers.values() if isinstance(n, Dialling)]

    def problem(self) -> str | None:
        """Return why some surface's acts do not reach us, for Health."""
        return "; ".join(n.problem for n in self._dialling if n.problem) or None

    async def receive(self, kind: str, signed: Signed) -> bool:
        """
        Take a request that says it comes from the far side of a receiver.

        Args:
            kind: The type of the receiver: ``slack``, ``pagerduty``.
            signed: The request.

        Returns:
            False where no receiver's secret has signed it, or it cannot be read.

        Raises:
            Unavailable: The database does not answer: nothing was done, and it may be sent again.
        """
        now = self._clock()
        trusted = [n for n in self._listeners if n.type == kind and n.verifies(signed, now=now)]
        try:
            news = [(listener, told) for listener in trusted for told in listener.read(signed.body)]
        except Malformed:
            trusted = []
        if not trusted:
            CALLBACKS.labels(type=kind, outcome="untrusted").inc()
            return False
        for listener, told in news:
            await self.take(listener, told)
        return True

    async def run(self, stop: asyncio.Event) -> None:
        """Keep open what receivers open to hear of acts, until ``stop`` is set."""
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(n.listen(take)) for n, take in self._takers()]
            await stop.wait()
            for task in tasks:
                task.cancel()

    def _takers(self) -> Iterator[tuple[Dialling, Take]]:
        for notifier in self._dialling:
            if isinstance(notifier, Listener):
                yield notifier, partial(self.take, notifier)

    async def take(self, listener: Listener, told: Told) -> None:
        """Do what was told, unless it was done before; raises Unavailable."""
        if told.incident.startswith(STORM):
            await self._take_all(listener, told)
            return
        scope = f"{listener.type}:{told.key}"
        async with self._database.writing() as transaction:
            seen = await surfaces.seen(transaction, listener.name, told.incident)
            before = None
            if seen is not None:
                before = await answers.claim(transaction, scope, scope, now=self._clock())
        if seen is None or before is not None:
            if before is not None and before.status is None:
                raise Unavailable("the same news is being taken already")
            self._count(listener, "unknown" if seen is None else "repeated", told)
            return
        try:
            outcome = await self._act(told, seen)
        except BaseException:
            await self._release(scope)
            raise
        async with self._database.writing() as transaction:
            await answers.fulfil(transaction, scope, status=_DONE, body=None)
        self._count(listener, outcome, told)
        if outcome in set(Nothing):
            await listener.reply(told, Nothing(outcome))

    async def _take_all(self, listener: Listener, told: Told) -> None:
        """Do to every incident of a storm what was done to their one message."""
        lead = DeliveryId(told.incident.removeprefix(STORM))
        async with self._database.reading() as transaction:
            bundled = await surfaces.bundled(transaction, listener.name, lead)
        for incident, episode in bundled:
            key = f"{told.key}:{incident}"
            one = replace(told, key=key, incident=incident, episode=episode)
            await self.take(listener, one)

    async def _act(self, told: Told, seen: surfaces.Seen) -> str:
        """Return what became of it."""
        if told.episode != seen.episode:
            return Nothing.LATE
        if told.echo and seen.state in _STANDS_SO.get(told.act.verb, set()):
            return "echo"
        try:
            await self._advancer.act(told.incident, told.act)
        except IllegalTransition:
            return Nothing.REFUSED
        return "done"

    async def _release(self, scope: str) -> None:
        """Let it be told again; where even that fails, the claim runs out by itself."""
        with contextlib.suppress(Exception):
            async with self._database.writing() as transaction:
                await answers.release(transaction, scope)

    def _count(self, listener: Listener, outcome: str, told: Told) -> None:
        CALLBACKS.labels(type=listener.type, outcome=outcome).inc()
        log.info(
            "told",
            receiver=listener.name,
            outcome=outcome,
            incident=told.incident,
            act=told.act.verb.value,
        )
