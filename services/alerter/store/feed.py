"""Feed: the lines of all timelines in the order in which they were written, from any place on."""

from sqlalchemy import func, select

from services.alerter.store import past
from services.alerter.store.database import Transaction
from services.alerter.store.history import Row
from services.alerter.store.tables import TRANSITIONS

_SHOWN = TRANSITIONS.c.opened_at.is_not(None)  # canaries are in no list


async def end(transaction: Transaction) -> int:
    """Return the place of the newest line; 0 where there is none."""
    return await transaction.scalar(select(func.max(TRANSITIONS.c.position))) or 0


async def lines(
    transaction: Transaction, *, after: int, limit: int, sight: frozenset[str] | None
) -> list[tuple[Row, Row]]:
    """
    Return at most ``limit`` lines behind a place: the incident as it stood with it, and the line.

    ``sight`` names the only subjects that whoever asks may see; None: all.
    """
    query = select(TRANSITIONS).where(TRANSITIONS.c.position > after, _SHOWN)
    if sight is not None:
        query = query.where(TRANSITIONS.c.subject.in_(sorted(sight)))
    query = query.order_by(TRANSITIONS.c.position).limit(limit)
    rows = [dict(row) for row in (await transaction.execute(query)).mappings()]
    return list(zip(await past.stood(transaction, rows), rows, strict=True))
