"""Reroute: pages that wait for a receiver which is no more go to whom the routes name now."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime

from ulid import ULID

from services.alerter.advance import PAGE_DEADLINE
from services.alerter.notifier import Delivery, DeliveryId
from services.alerter.store import deliveries, incidents, stray, subjects
from services.alerter.store.database import Database, Transaction
from uproar.incident import IncidentId, State
from uproar.notice import NoticeKind
from uproar.routing import ReceiverName, Route, called
from uproar.subject import Subject


async def reroute(
    database: Database,
    *,
    routes: Sequence[Route],
    receivers: Collection[ReceiverName],
    now: datetime,
) -> int:
    """
    Give what waits for receivers that are not there an end; what is still sought pages others.

    A broken receiver that was replaced by one of another name would keep its pages for ever.

    Returns:
        Of how many incidents something waited.

    Raises:
        Unavailable: The database does not answer: the same again later.
    """
    async with database.reading() as transaction:
        found = await stray.incidents(transaction, receivers)
    for incident in found:
        async with database.writing() as transaction:
            await _reroute(transaction, incident, routes=routes, receivers=receivers, now=now)
    return len(found)


async def _reroute(
    transaction: Transaction,
    incident_id: IncidentId,
    *,
    routes: Sequence[Route],
    receivers: Collection[ReceiverName],
    now: datetime,
) -> None:
    await incidents.alone(transaction)  # what it quotes must not be taken back meanwhile
    incident = await incidents.locked(transaction, incident_id)
    page = await stray.page(transaction, incident_id, receivers)
    if incident is not None and incident.state is State.OPEN and page is not None:
        known = await subjects.find(transaction, incident.subject)
        subject = known.subject if known else Subject(id=incident.subject, name=incident.subject)
        others = [(one.name, rank) for one, rank in called(subject, routes, at=now)]
        if not others:
            return  # it stays where it is: the auditor names it
        await _page(transaction, page, others, now)
    await stray.end(transaction, incident_id, receivers)


async def _page(
    transaction: Transaction,
    page: Delivery,
    others: Sequence[tuple[ReceiverName, int]],
    now: datetime,
) -> None:
    """Page others in a receiver's stead; who has this page, or a later one, has it once."""
    incident = page.incident
    heard = await deliveries.heard(transaction, incident)
    since = await stray.known(transaction, incident, since=page.sequence)
    for receiver, rank in others:
        if receiver in since:
            at = now + rank * PAGE_DEADLINE
            await stray.call(transaction, incident, page.sequence, receiver, standby=rank, at=at)
    new = [
        replace(
            page,
            id=DeliveryId(str(ULID.from_datetime(now))),
            receiver=receiver,
            kind=page.kind if receiver in heard else NoticeKind.TRIGGER,
            created_at=now,
            deadline=now + PAGE_DEADLINE,
            standby=rank,
        )
        for receiver, rank in others
        if receiver not in since
    ]
    await deliveries.enqueue(transaction, new)
