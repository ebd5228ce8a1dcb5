"""Surfaces: which incidents a receiver has been told of, and how they stand. It changes nothing."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import RowMapping, func, or_, select

from services.alerter.notifier import Delivery, DeliveryId
from services.alerter.store.database import Transaction
from services.alerter.store.deliveries import State as DeliveryState
from services.alerter.store.deliveries import stored
from services.alerter.store.tables import DELIVERIES, INCIDENTS
from uproar.incident import IncidentId, State
from uproar.notice import NoticeKind
from uproar.routing import ReceiverName


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """An incident as it stands, of which a receiver has heard."""

    state: State
    episode: int


async def seen(
    transaction: Transaction, receiver: ReceiverName, incident: IncidentId
) -> Seen | None:
    """Return how an incident stands; None where this receiver was never told of it."""
    told = select(DELIVERIES.c.id).where(
        DELIVERIES.c.incident == incident, DELIVERIES.c.receiver == receiver
    )
    query = select(INCIDENTS.c.state, INCIDENTS.c.episode).where(
        INCIDENTS.c.id == incident, told.exists()
    )
    row = (await transaction.execute(query)).one_or_none()
    return Seen(state=State(row.state), episode=row.episode) if row else None


async def standing(
    transaction: Transaction, receiver: ReceiverName, *, since: datetime, limit: int
) -> Sequence[Delivery]:
    """
    Return of each incident that lasts, or ended after ``since``, the newest delivery that arrived.

    Left out are those that are over while the delivery that says so is still on its way: a receiver
    must not be told that they last. Incidents that changed last come first. ``parent_ref`` is the
    message in which the incident stands by itself, ``bundle_ref`` that of its storm.
    """
    newest = (
        select(func.max(DELIVERIES.c.sequence))
        .where(
            DELIVERIES.c.incident == INCIDENTS.c.id,
            DELIVERIES.c.receiver == receiver,
            DELIVERIES.c.state == DeliveryState.DELIVERED.value,
            DELIVERIES.c.kind != NoticeKind.CANARY.value,
        )
        .correlate(INCIDENTS)
        .scalar_subquery()
    )
    storm = DELIVERIES.alias("storm")
    bundle = (
        select(storm.c.provider_ref)
        .where(
            storm.c.incident == DELIVERIES.c.incident,
            storm.c.receiver == receiver,
            storm.c.episode == DELIVERIES.c.episode,
            storm.c.state == DeliveryState.DELIVERED.value,
            storm.c.bundle.is_not(None),
        )
        .order_by(storm.c.sequence.desc())
        .limit(1)
        .correlate(DELIVERIES)
        .scalar_subquery()
    )
    query = (
        select(DELIVERIES, INCIDENTS.c.state.label("stands"), bundle.label("bundle_ref"))
        .join(INCIDENTS, DELIVERIES.c.incident == INCIDENTS.c.id)
        .where(
            or_(INCIDENTS.c.state != State.RESOLVED.value, INCIDENTS.c.resolved_at >= since),
            DELIVERIES.c.receiver == receiver,
            DELIVERIES.c.sequence == newest,
        )
        .order_by(INCIDENTS.c.updated_at.desc())
        .limit(limit)
    )
    rows = (await transaction.execute(query)).mappings()
    found = [(State(row["stands"]), _delivery(row)) for row in rows]
    over = State.RESOLVED
    return [one for stands, one in found if stands is not over or one.notice.state is over]


def _delivery(row: RowMapping) -> Delivery:
    ref = None if row["bundle"] else row["provider_ref"]
    return replace(stored(row), parent_ref=ref, bundle_ref=row["bundle_ref"])


async def bundled(
    transaction: Transaction, receiver: ReceiverName, lead: DeliveryId
) -> list[tuple[IncidentId, int]]:
    """Return incident and episode of all that went out to a receiver in one message."""
    query = (
        select(DELIVERIES.c.incident, DELIVERIES.c.episode)
        .where(DELIVERIES.c.receiver == receiver, DELIVERIES.c.bundle == lead)
        .order_by(DELIVERIES.c.incident)
    )
    return [
        (IncidentId(incident), episode) for incident, episode in await transaction.execute(query)
    ]
