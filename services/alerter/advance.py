"""Advance: the one transaction: lock the incident, move it, write who must hear of it, commit."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from ulid import ULID

from services.alerter.notifier import Delivery, DeliveryId
from services.alerter.store import deletions, deliveries, incidents, subjects
from services.alerter.store.database import Database, Transaction
from services.alerter.store.incidents import Arrival
from uproar.backlash import Backlash
from uproar.incident import Act, Incident, IncidentId, Transition, advance
from uproar.notice import NoticeKind, notice
from uproar.post import Deletion
from uproar.routing import Receiver, Route, receivers
from uproar.subject import Subject, SubjectId

PAGE_DEADLINE: Final = timedelta(seconds=60)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Step:
    """An incident before and after, and whose it is."""

    before: Incident | None
    after: Incident
    subject: Subject


class Advancer:
    """
    Moves incidents on, whoever pushes: an event of detection or a person.

    Args:
        database: Where incidents, timelines and the outbox are.
        routes: Who hears of what.
        console_url: Where an incident can be read: notices link to it.
        clock: Wall clock.
        written: Set once a transaction that may have filled the outbox is committed.
    """

    def __init__(
        self,
        database: Database,
        *,
        routes: Sequence[Route],
        console_url: str,
        clock: Callable[[], datetime],
        written: asyncio.Event,
    ) -> None:
        self._database, self._routes, self._clock = database, routes, clock
        self._written = written
        self._console_url = console_url.rstrip("/")

    async def hear(self, event: Backlash, arrival: Arrival) -> Incident | None:
        """
        Take an event of detection.

        Args:
            event: What detection says.
            arrival: How it came here; its time of acceptance is where post-to-page begins.

        Returns:
            The incident as it now stands; None where the event was heard before.

        Raises:
            Malformed: It can never be taken.
            Unavailable: The database does not answer: the same again later.
        """
        now, incident_id = self._clock(), IncidentId(event.incident)
        async with self._database.writing() as transaction:
            event = replace(event, evidence=await deletions.redacted(transaction, event.evidence))
            before = await incidents.locked(transaction, incident_id)
            after, lines = advance(before, event, now=now)
            if not lines:
                return None
            subject = await _subject(transaction, event.subject)
            if before is None:
                await incidents.create(transaction, after, subject, now=now)
            else:
                await incidents.save(transaction, after)
            await incidents.remember_event(transaction, event, arrival, now=now)
            await incidents.add_evidence(transaction, after, event.evidence)
            step = _Step(before=before, after=after, subject=subject)
            await self._tell(transaction, step, lines, arrival)
        self._written.set()
        return after

    async def act(self, incident_id: IncidentId, act: Act) -> Incident | None:
        """
        Do what a person does.

        Returns:
            The incident as it now stands; None where there is no such incident.

        Raises:
            IllegalTransition: The incident's state does not allow it.
            Unavailable: The database does not answer.
        """
        now = self._clock()
        async with self._database.writing() as transaction:
            before = await incidents.locked(transaction, incident_id)
            if before is None:
                return None
            after, lines = advance(before, act, now=now)
            subject = await _subject(transaction, before.subject)
            arrival = await incidents.arrival(transaction, incident_id)
            await incidents.save(transaction, after)
            step = _Step(before=before, after=after, subject=subject)
            await self._tell(transaction, step, lines, replace(arrival, accepted_at=None))
        self._written.set()
        return after

    async def forget(self, gone: Sequence[Deletion]) -> None:
        """Blank posts that were taken back wherever they stand; raises Unavailable."""
        async with self._database.writing() as transaction:
            touched = await deletions.remember(transaction, gone, now=self._clock())
            for incident_id, posts in touched.items():
                await deliveries.redact(transaction, incident_id, posts)

    async def _tell(
        self,
        transaction: Transaction,
        step: _Step,
        lines: Sequence[Transition],
        arrival: Arrival,
    ) -> None:
        """Write the timeline, and a delivery for each receiver that must hear of it."""
        await incidents.write_down(transaction, lines)
        reached = step.before.level if step.before else None
        new = [
            self._delivery(step, line, receiver, kind, arrival)
            for line in lines
            for receiver, kind in receivers(line, step.subject, self._routes, reached=reached)
        ]
        await deliveries.enqueue(transaction, new)

    def _delivery(
        self, step: _Step, line: Transition, receiver: Receiver, kind: NoticeKind, arrival: Arrival
    ) -> Delivery:
        said = notice(
            step.after,
            line,
            subject=step.subject,
            url=f"{self._console_url}/incidents/{step.after.id}",
            language=receiver.language,
            was=step.before,
        )
        return Delivery(
            id=DeliveryId(str(ULID.from_datetime(line.at))),
            incident=step.after.id,
            episode=step.after.episode,
            sequence=line.sequence,
            receiver=receiver.name,
            kind=kind,
            notice=said,
            created_at=line.at,
            deadline=line.at + PAGE_DEADLINE if line.page else None,
            accepted_at=arrival.accepted_at,
            traceparent=arrival.traceparent,
        )


async def _subject(transaction: Transaction, subject: SubjectId) -> Subject:
    """Return the subject; one that is no longer watched goes by its id: its page is not lost."""
    found = await subjects.find(transaction, subject)
    return found.subject if found else Subject(id=subject, name=subject)
