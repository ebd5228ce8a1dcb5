"""Verdicts: what people judged episodes to be, by what they said of them or did about them."""

from datetime import datetime
from typing import Any

from sqlalchemy import and_, func, or_, select

from services.alerter.store.database import Transaction
from services.alerter.store.tables import EPISODES, EVIDENCE, INCIDENTS, TRANSITIONS
from uproar.backlash import Level
from uproar.incident import UPROAR, Happening
from uproar.subject import Kind

_WORKED = (Happening.ACKNOWLEDGE.value, Happening.RESOLVE.value, Happening.RATE.value)


async def judged(
    transaction: Transaction, *, after: tuple[str, str] = ("", ""), limit: int
) -> list[dict[str, Any]]:
    """
    Return at most ``limit`` judged episodes by incident and name, canaries apart.

    An episode is judged by a verdict, or by people who worked on it and gave none. Each row has
    the columns of the episode and ``worked_by``, who first worked on it; None where nobody did.
    """
    worked = (
        select(TRANSITIONS.c.by)
        .where(
            TRANSITIONS.c.incident == EPISODES.c.incident,
            TRANSITIONS.c.episode == EPISODES.c.number,
            TRANSITIONS.c.happened.in_(_WORKED),
            TRANSITIONS.c.by != UPROAR,
        )
        .order_by(TRANSITIONS.c.sequence)
        .limit(1)
        .scalar_subquery()
    )
    incident, episode = after
    behind = or_(
        EPISODES.c.incident > incident,
        and_(EPISODES.c.incident == incident, EPISODES.c.id > episode),
    )
    query = (
        select(EPISODES, worked.label("worked_by"))
        .join(INCIDENTS, INCIDENTS.c.id == EPISODES.c.incident)
        .where(
            INCIDENTS.c.kind != Kind.CANARY.value,
            behind,
            or_(EPISODES.c.verdict.is_not(None), worked.is_not(None)),
        )
        .order_by(EPISODES.c.incident, EPISODES.c.id)
        .limit(limit)
    )
    return [dict(row) for row in (await transaction.execute(query)).mappings()]


async def paged(transaction: Transaction, *, since: datetime) -> dict[str, int]:
    """Count the episodes that began since then and paged, canaries apart, by verdict (``none``)."""
    query = (
        select(EPISODES.c.verdict, func.count().label("waves"))
        .join(INCIDENTS, EPISODES.c.incident == INCIDENTS.c.id)
        .where(
            INCIDENTS.c.kind != Kind.CANARY.value,
            EPISODES.c.level != Level.WATCH.value,
            EPISODES.c.began_at >= since,
        )
        .group_by(EPISODES.c.verdict)
    )
    rows = await transaction.execute(query)
    return {row.verdict or "none": row.waves for row in rows}


async def cited(transaction: Transaction, incident: str, episode: int) -> list[str]:
    """
    Return the ids of the posts that a wave of an incident has cited.

    A post knows when it was cited first, and by which line last; a wave that lies between cited it.
    """
    line = TRANSITIONS.c
    first_to_last = and_(line.at >= EVIDENCE.c.cited_at, line.sequence <= EVIDENCE.c.sequence)
    of_wave = select(line.sequence).where(
        line.incident == EVIDENCE.c.incident,
        line.episode == episode,
        or_(line.sequence == EVIDENCE.c.sequence, first_to_last),
    )
    query = select(EVIDENCE.c.post).where(EVIDENCE.c.incident == incident, of_wave.exists())
    return list(await transaction.scalars(query.order_by(EVIDENCE.c.post)))
