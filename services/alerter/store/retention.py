"""Retention: what has been kept long enough goes. Incidents and their timelines stay."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import and_, delete, or_, select, update

from services.alerter.store import answers, deliveries, facts, incidents, readings, search
from services.alerter.store.database import Transaction
from services.alerter.store.tables import (
    ANSWERS,
    DELETIONS,
    DELIVERIES,
    ERASURES,
    EVIDENCE,
    PASSES,
    READINGS,
    SILENCES,
)

_DELETIONS_KEPT: Final = timedelta(days=90)  # no topic brings a text again after 7 days
_OF_POSTS: Final = DELETIONS.c.what.startswith("post:")  # an account may write again at any time
_TOLD_UNTIL: Final = "texts of deliveries expired until"
TEXT_KEPT: Final = timedelta(days=90)
AT_ONCE: Final = 500
"""How many rows with text go in one transaction: nobody who writes must wait long."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Keep:
    """How long what is kept; an alerter's settings may say otherwise."""

    text: timedelta = TEXT_KEPT
    readings: timedelta = readings.KEPT


async def prune(transaction: Transaction, *, now: datetime, keep: Keep | None = None) -> int:
    """Delete what is too old and holds no text of posts; returns how many rows went."""
    keep, gone = keep or Keep(), 0
    for statement in (
        delete(READINGS).where(READINGS.c.received_at < now - keep.readings),
        delete(ANSWERS).where(ANSWERS.c.created_at < now - answers.KEPT),
        delete(DELETIONS).where(_OF_POSTS, DELETIONS.c.received_at < now - _DELETIONS_KEPT),
        delete(ERASURES).where(ERASURES.c.published_at < now - _DELETIONS_KEPT),
        delete(PASSES).where(PASSES.c.expires_at < now),
        delete(SILENCES).where(SILENCES.c.ends_at < now - keep.text),  # the reason is a text
    ):
        gone += (await transaction.execute(statement)).rowcount
    return gone + await readings.drop_forgotten(transaction, now=now)


async def expire(transaction: Transaction, *, before: datetime, limit: int = AT_ONCE) -> int:
    """
    Let posts go that were cited before a moment: out of evidence, search, and what was sent.

    Not by when they were written: a replay cites posts of years ago. Together from everywhere: what
    is left could not be found by its author any more. Call it until it returns 0.

    Returns:
        How many rows were looked at.
    """
    await incidents.alone(transaction)
    cited = EVIDENCE.c.cited_at < before
    unknown = and_(EVIDENCE.c.cited_at.is_(None), EVIDENCE.c.created_at < before)
    old = select(EVIDENCE.c.incident, EVIDENCE.c.post).where(or_(cited, unknown))
    rows = (await transaction.execute(old.order_by(EVIDENCE.c.cited_at).limit(limit))).all()
    for incident in {row.incident for row in rows}:
        posts = {row.post for row in rows if row.incident == incident}
        await transaction.execute(
            delete(EVIDENCE).where(EVIDENCE.c.incident == incident, EVIDENCE.c.post.in_(posts))
        )
        await deliveries.unquote(transaction, incident, posts)
        await search.index(transaction, incident)
    return len(rows) + await _expire_deliveries(transaction, before, limit)


async def _expire_deliveries(transaction: Transaction, before: datetime, limit: int) -> int:
    """Take the posts out of what was sent; how far that has come is kept, so that none is read twice."""
    done = (await facts.recall(transaction, _TOLD_UNTIL) or "").partition(" ")
    query = (
        select(DELIVERIES.c.id, DELIVERIES.c.payload, DELIVERIES.c.created_at)
        .where(DELIVERIES.c.created_at < before)
        .order_by(DELIVERIES.c.created_at, DELIVERIES.c.id)
        .limit(limit)
    )
    if done[0]:
        since = datetime.fromisoformat(done[0])
        same = and_(DELIVERIES.c.created_at == since, DELIVERIES.c.id > done[2])
        query = query.where(or_(DELIVERIES.c.created_at > since, same))
    rows = (await transaction.execute(query)).all()
    for row in rows:
        if row.payload["quotes"]:
            await transaction.execute(
                update(DELIVERIES)
                .where(DELIVERIES.c.id == row.id)
                .values(payload=row.payload | {"quotes": []})
            )
    if rows:
        place = f"{rows[-1].created_at.isoformat()} {rows[-1].id}"
        await facts.remember(transaction, _TOLD_UNTIL, place)
    return len(rows)
