"""Stray: what waits for receivers that are not there (any more), and how it comes to others."""

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import select, update

from services.alerter.notifier import Delivery
from services.alerter.store.database import Transaction
from services.alerter.store.deliveries import UNFINISHED, WAITING, State, stored, within
from services.alerter.store.tables import DELIVERIES
from uproar.incident import IncidentId
from uproar.notice import NoticeKind
from uproar.routing import ReceiverName


async def incidents(
    transaction: Transaction, receivers: Collection[ReceiverName]
) -> list[IncidentId]:
    """Return the incidents of which something waits for others than these receivers."""
    query = (
        select(DELIVERIES.c.incident)
        .where(within(UNFINISHED), DELIVERIES.c.receiver.not_in(receivers))
        .distinct()
    )
    return [IncidentId(incident) for incident in await transaction.scalars(query)]


async def page(
    transaction: Transaction, incident: IncidentId, receivers: Collection[ReceiverName]
) -> Delivery | None:
    """Return the last page of an incident that waits for others than these receivers."""
    query = (
        select(DELIVERIES)
        .where(
            DELIVERIES.c.incident == incident,
            within(UNFINISHED),
            DELIVERIES.c.receiver.not_in(receivers),
            DELIVERIES.c.deadline.is_not(None),
            DELIVERIES.c.kind != NoticeKind.CANARY.value,
        )
        .order_by(DELIVERIES.c.sequence.desc())
    )
    row = (await transaction.execute(query.limit(1))).mappings().one_or_none()
    return None if row is None else stored(row)


async def end(
    transaction: Transaction, incident: IncidentId, receivers: Collection[ReceiverName]
) -> None:
    """End all that waits for others than these receivers."""
    await transaction.execute(
        update(DELIVERIES)
        .where(
            DELIVERIES.c.incident == incident,
            within(UNFINISHED),
            DELIVERIES.c.receiver.not_in(receivers),
        )
        .values(state=State.SUPERSEDED.value, lease_owner=None, leased_at=None)
    )


async def known(transaction: Transaction, incident: IncidentId, *, since: int) -> set[ReceiverName]:
    """Return for whom something of an incident stands in the outbox, from a line of its timeline on."""
    query = select(DELIVERIES.c.receiver).where(
        DELIVERIES.c.incident == incident, DELIVERIES.c.sequence >= since
    )
    return {ReceiverName(receiver) for receiver in await transaction.scalars(query.distinct())}


async def call(
    transaction: Transaction,
    incident: IncidentId,
    sequence: int,
    receiver: ReceiverName,
    *,
    standby: int,
    at: datetime,
) -> None:
    """Let a page that stands in the outbox for a receiver already go out from its new place."""
    states = (*WAITING, State.SUPERSEDED) if standby == 0 else WAITING
    await transaction.execute(
        update(DELIVERIES)
        .where(
            DELIVERIES.c.incident == incident,
            DELIVERIES.c.sequence == sequence,
            DELIVERIES.c.receiver == receiver,
            DELIVERIES.c.standby > standby,
            within(states),
        )
        .values(state=State.PENDING.value, standby=standby, next_at=at)
    )
