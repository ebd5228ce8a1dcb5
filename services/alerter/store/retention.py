"""Retention: what has been kept long enough goes. Incidents and their timelines stay."""

from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import delete

from services.alerter.store import answers, readings
from services.alerter.store.database import Transaction
from services.alerter.store.tables import ANSWERS, DELETIONS, PASSES, READINGS

_DELETIONS_KEPT: Final = timedelta(days=90)  # no topic brings a text again after 7 days


async def prune(transaction: Transaction, *, now: datetime) -> int:
    """Delete what is too old; returns how many rows went."""
    gone = 0
    for statement in (
        delete(READINGS).where(READINGS.c.received_at < now - readings.KEPT),
        delete(ANSWERS).where(ANSWERS.c.created_at < now - answers.KEPT),
        delete(DELETIONS).where(DELETIONS.c.received_at < now - _DELETIONS_KEPT),
        delete(PASSES).where(PASSES.c.expires_at < now),
    ):
        gone += (await transaction.execute(statement)).rowcount
    return gone
