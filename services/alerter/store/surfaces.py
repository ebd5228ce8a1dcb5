"""Surfaces: which incidents a receiver has been told of, and how they stand. It changes nothing."""

from dataclasses import dataclass

from sqlalchemy import select

from services.alerter.store.database import Transaction
from services.alerter.store.tables import DELIVERIES, INCIDENTS
from uproar.incident import IncidentId, State
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
