"""Advance: the one transaction: lock the incident, move it, write who must hear of it, commit."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final

from ulid import ULID

from services.alerter.notifier import Delivery, DeliveryId
from services.alerter.store import (
    audit,
    deletions,
    deliveries,
    erasure,
    incidents,
    search,
    silences,
    subjects,
)
from services.alerter.store.database import Database, Transaction
from services.alerter.store.incidents import Arrival
from services.alerter.store.silences import Held
from uproar.backlash import Backlash
from uproar.incident import (
    UPROAR,
    Act,
    Happening,
    IllegalTransition,
    Incident,
    IncidentId,
    State,
    Transition,
    Verb,
    advance,
    echoed,
    split,
)
from uproar.notice import NoticeKind, notice
from uproar.post import Deletion
from uproar.routing import (
    LAST_WORDS,
    Receiver,
    ReceiverName,
    Route,
    acquainted,
    language_of,
    receivers,
    standbys,
)
from uproar.subject import Kind, Subject, SubjectId

PAGE_DEADLINE: Final = timedelta(seconds=60)
_LOUD: Final = frozenset({NoticeKind.TRIGGER, NoticeKind.UPDATE})


@dataclass(frozen=True, slots=True, kw_only=True)
class _Step:
    """
    An incident before and after, and whose it is.

    Attributes:
        heard: How it stood when its receivers were told last.
        anew: A silence has kept from people that somebody must take it: it begins for them now.
    """

    before: Incident | None
    after: Incident
    subject: Subject
    heard: Mapping[ReceiverName, State] = field(default_factory=dict)
    anew: bool = False


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

    @asynccontextmanager
    async def _moving(self) -> AsyncIterator[Transaction]:
        """Hold a transaction beside which nobody moves an incident or takes a post back."""
        async with self._database.writing() as transaction:
            await incidents.alone(transaction)
            yield transaction

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
        now = self._clock()
        async with self._moving() as transaction:
            if await incidents.heard(transaction, event):
                return None
            event = replace(event, evidence=await deletions.redacted(transaction, event.evidence))
            subject = await _subject(transaction, event.subject)
            before = await incidents.home(transaction, event, kind=subject.kind)
            after, lines = advance(before, event, now=now)
            if not lines:
                return None
            leads = await _leads(transaction, after)
            if before is None:
                await incidents.create(transaction, after, subject, now=now)
            else:
                await incidents.save(transaction, after)
            await incidents.remember_event(transaction, after.id, event, arrival, now=now)
            await incidents.add_evidence(transaction, after, event.evidence)
            step = _Step(before=before, after=after, subject=subject)
            await self._tell(transaction, step, lines, arrival)
            for lead in leads:
                spoken, lines = echoed(lead, event, now)
                if lines:
                    await self._keep(transaction, lead, spoken, lines, arrival)
        self._written.set()
        return after

    async def act(self, incident_id: IncidentId, act: Act) -> Incident | None:
        """
        Do what a person, or a timer, does.

        Returns:
            The incident as it now stands; None where there is no such incident.

        Raises:
            IllegalTransition: The incident's state does not allow it.
            Unavailable: The database does not answer.
        """
        async with self._moving() as transaction:
            before = await incidents.locked(transaction, incident_id)
            if before is None:
                return None
            after = await self._do(transaction, before, act)
        self._written.set()
        return after

    async def merge(self, incident_id: IncidentId, into: IncidentId, act: Act) -> Incident | None:
        """Let one incident speak for another; :meth:`unmerge` undoes it. As :meth:`act`."""
        async with self._moving() as transaction:
            pair = await self._pair(transaction, incident_id, into)
            if pair is None:
                return None
            joins, stays = pair
            if stays.merged_into is not None:
                raise IllegalTransition(f"{stays.id} was itself merged into {stays.merged_into}")
            after = await self._do(transaction, joins, replace(act, verb=Verb.MERGE, other=into))
            await self._do(transaction, stays, replace(act, verb=Verb.ABSORB, other=incident_id))
        self._written.set()
        return after

    async def unmerge(self, incident_id: IncidentId, act: Act) -> Incident | None:
        """Take a merged incident out again, as it stood before. As :meth:`act`."""
        async with self._moving() as transaction:
            known = await incidents.locked(transaction, incident_id)
            if known is None:
                return None
            lead = known.merged_into
            if lead is None:
                raise IllegalTransition(f"{incident_id} was not merged into another incident")
            pair = await self._pair(transaction, incident_id, lead)
            if pair is None:
                return None
            leaves, stays = pair
            after = await self._do(transaction, leaves, replace(act, verb=Verb.UNMERGE, other=lead))
            release = replace(act, verb=Verb.RELEASE, other=incident_id)
            if stays.merged_into is None:
                await self._do(transaction, stays, release)
        self._written.set()
        return after

    async def split(self, incident_id: IncidentId, act: Act) -> Incident | None:
        """Make the last episode an incident of its own and return that one. As :meth:`act`."""
        now = self._clock()
        act = replace(act, verb=Verb.SPLIT)
        async with self._moving() as transaction:
            whole = await incidents.locked(transaction, incident_id)
            if whole is None:
                return None
            earlier = await incidents.episode(transaction, incident_id, whole.episode - 1)
            (left, lines), (new, first) = split(whole, act, earlier, now=now)
            subject = await _subject(transaction, whole.subject)
            await incidents.create(transaction, new, subject, now=now)
            await incidents.add_evidence(transaction, new, new.evidence)
            await self._keep(transaction, whole, left, lines)
            await self._tell(
                transaction, _Step(before=None, after=new, subject=subject), first, Arrival()
            )
            await _note(transaction, whole, replace(act, other=new.id), now)
        self._written.set()
        return new

    async def ring(self) -> int:
        """Wake what was snoozed until now, tell what a silence held back; returns how many."""
        now, rung = self._clock(), 0
        async with self._database.reading() as transaction:
            due = await silences.due(transaction, now=now)
            held = await silences.held_back(transaction)
        for incident in due:
            rung += await self._wakes(incident)
        for incident, subject, severity in held:
            async with self._moving() as transaction:
                if await silences.covers(transaction, subject, severity=severity, now=now):
                    continue
                rung += await self._unsilence(transaction, incident)
        if rung:
            self._written.set()
        return rung

    async def _wakes(self, incident: IncidentId) -> bool:
        try:
            woken = await self.act(incident, Act(verb=Verb.WAKE, by=UPROAR))
        except IllegalTransition:  # somebody was faster
            return False
        return woken is not None

    async def _unsilence(self, transaction: Transaction, incident: IncidentId) -> bool:
        before = await incidents.locked(transaction, incident)
        what = await silences.hushed(transaction, incident)
        if before is None or what is None:
            return False
        await silences.hush(transaction, incident, None)
        if before.state is State.RESOLVED:
            return False  # it is over, and nobody was ever told of it
        act = Act(verb=Verb.UNSILENCE, by=UPROAR, page=what is Held.PAGE)
        after, lines = advance(before, act, now=self._clock())
        await self._keep(transaction, before, after, lines, anew=what is Held.TRIGGER)
        return True

    async def _pair(
        self, transaction: Transaction, one: IncidentId, other: IncidentId
    ) -> tuple[Incident, Incident] | None:
        """Lock two incidents, in an order that everybody keeps to."""
        if one == other:
            raise IllegalTransition("an incident cannot be merged into itself")
        found = {name: await incidents.locked(transaction, name) for name in sorted({one, other})}
        first, second = found[one], found[other]
        return None if first is None or second is None else (first, second)

    async def _do(self, transaction: Transaction, before: Incident, act: Act) -> Incident:
        now = self._clock()
        after, lines = advance(before, act, now=now)
        await self._keep(transaction, before, after, lines)
        if act.by != UPROAR:
            await _note(transaction, before, act, now)
        return after

    async def _keep(
        self,
        transaction: Transaction,
        before: Incident,
        after: Incident,
        lines: Sequence[Transition],
        arrival: Arrival | None = None,
        *,
        anew: bool = False,
    ) -> None:
        """Write what became of an incident, and who must hear of it."""
        subject = await _subject(transaction, before.subject)
        if arrival is None:
            last = await incidents.arrival(transaction, before.id)
            arrival = replace(last, accepted_at=None)
        await incidents.save(transaction, after)
        step = _Step(before=before, after=after, subject=subject, anew=anew)
        await self._tell(transaction, step, lines, arrival)

    async def forget(self, gone: Sequence[Deletion]) -> None:
        """Blank posts that were taken back wherever they stand; raises Unavailable."""
        async with self._database.writing() as transaction:
            for incident_id in await erasure.forget(transaction, gone, now=self._clock()):
                await search.index(transaction, incident_id)

    async def _tell(
        self,
        transaction: Transaction,
        step: _Step,
        lines: Sequence[Transition],
        arrival: Arrival,
    ) -> None:
        """Write the timeline, and a delivery for each receiver that must hear of it."""
        reached = step.before.level if step.before else None
        if step.before:
            heard = await deliveries.heard(transaction, step.after.id)
            step = replace(step, heard=heard)
        new: list[Delivery] = []
        for written in lines:
            line = replace(written, before=None) if step.anew else written
            told = receivers(line, step.subject, self._routes, reached=reached)
            idle = standbys(line, step.subject, self._routes, reached=reached)
            new += [self._delivery(step, line, *each, arrival) for each in told]
            new += [
                replace(self._delivery(step, line, *each, arrival), standby=rank)
                for rank, each in enumerate(idle, start=1)
            ]
            others = acquainted(line, step.subject, self._routes, reached=reached)
            new += [
                replace(self._delivery(step, line, receiver, kind, arrival), standby=rank)
                for receiver, kind, rank in others
                if receiver.name in step.heard
            ]
        await deliveries.enqueue(transaction, await self._audible(transaction, step, lines, new))
        await incidents.write_down(transaction, step.after, lines, kind=step.subject.kind)
        await search.index(transaction, step.after.id)

    async def _audible(
        self,
        transaction: Transaction,
        step: _Step,
        lines: Sequence[Transition],
        new: Sequence[Delivery],
    ) -> list[Delivery]:
        """
        Return what people hear of now; what a silence holds back is told when it ends.

        That somebody has it, or that it is over, is told in a silence too, to those who know of it.
        """
        incident = step.after
        silent = step.subject.kind is not Kind.CANARY and await silences.covers(
            transaction, incident.subject, severity=incident.severity, now=self._clock()
        )
        if step.before or silent:
            new = [d for d in new if d.kind not in LAST_WORDS or d.receiver in step.heard]
        held = await silences.hushed(transaction, incident.id) if step.before else None
        put_away = incident.state is not State.OPEN and any(line.changed for line in lines)
        if held and put_away:
            held = None
            await silences.hush(transaction, incident.id, held)
        loud = [delivery for delivery in new if delivery.kind in _LOUD]
        if silent and loud:
            await silences.hush(transaction, incident.id, _held(held, loud))
            new = [delivery for delivery in new if delivery.kind not in _LOUD]
        return list(new)

    def _delivery(
        self, step: _Step, line: Transition, receiver: Receiver, kind: NoticeKind, arrival: Arrival
    ) -> Delivery:
        known = line.before
        if line.happened is Happening.UNSILENCE:  # they know what they were told last
            known = step.heard.get(receiver.name)
        said = notice(
            step.after,
            replace(line, before=known),
            subject=step.subject,
            url=f"{self._console_url}/incidents/{step.after.id}",
            language=language_of(receiver, step.subject),
            was=step.before,
        )
        return Delivery(
            id=DeliveryId(str(ULID.from_datetime(line.at))),
            incident=step.after.id,
            episode=_episode(step, line),
            sequence=line.sequence,
            receiver=receiver.name,
            kind=kind,
            notice=said,
            created_at=line.at,
            deadline=line.at + PAGE_DEADLINE if line.page or _sought(step, kind) else None,
            accepted_at=arrival.accepted_at,
            traceparent=arrival.traceparent,
        )


def _episode(step: _Step, line: Transition) -> int:
    """Return the wave of which people are told: of a split, the one that has left."""
    if step.before is not None and line.happened is Happening.SPLIT:
        return step.before.episode
    return step.after.episode


async def _leads(transaction: Transaction, incident: Incident) -> list[Incident]:
    """Lock those that speak for an incident, one for the other, before anything is written."""
    leads: list[Incident] = []
    while incident.merged_into is not None:
        lead = await incidents.locked(transaction, incident.merged_into)
        if lead is None:
            raise RuntimeError(f"{incident.merged_into}, into which others were merged, is gone")
        leads.append(lead)
        incident = lead
    return leads


def _held(before: Held | None, loud: Sequence[Delivery]) -> Held:
    """Tell what a silence holds back by now: the most urgent of it."""
    if before is Held.PAGE or any(delivery.notice.page for delivery in loud):
        return Held.PAGE
    if before is Held.TRIGGER or any(delivery.kind is NoticeKind.TRIGGER for delivery in loud):
        return Held.TRIGGER
    return Held.NOTICE


def _sought(step: _Step, kind: NoticeKind) -> bool:
    """Tell whether somebody must take it: then it is not given up, page or not."""
    return kind is NoticeKind.TRIGGER and step.after.state is State.OPEN


async def _note(transaction: Transaction, incident: Incident, act: Act, now: datetime) -> None:
    said = {
        "note": act.note,
        "until": act.until,
        "assignee": act.assignee,
        "other": act.other,
        "severity": act.severity,
    }
    await audit.note(
        transaction,
        now=now,
        who=act.by,
        via=act.via or "unknown",
        what=f"incident.{act.verb.value}",
        target=incident.id,
        subject=incident.subject,
        detail={name: str(value) for name, value in said.items() if value is not None},
    )


async def _subject(transaction: Transaction, subject: SubjectId) -> Subject:
    """Return the subject; one that is no longer watched goes by its id: its page is not lost."""
    found = await subjects.find(transaction, subject)
    return found.subject if found else Subject(id=subject, name=subject)
