"""Readings of subjects, and the states of sources, as detect and ingest last told them."""

from collections.abc import Sequence
from dataclasses import fields
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import RowMapping, delete, select

from services.alerter.store.database import Transaction, insert_into
from services.alerter.store.tables import READINGS, SOURCES
from uproar.reading import Reading
from uproar.watermark import SourceState, State

KEPT: Final = timedelta(days=90)
UNHEARD: Final = timedelta(minutes=1)
"""After that long without a report a live source counts as blind: its ingest has died."""

FORGOTTEN: Final = timedelta(days=7)
REPLAY_FORGOTTEN: Final = timedelta(days=1)
"""A source that ended or went blind, and was not told of for so long, is none any more. Of those that
are live or stand in uproar.toml ingest tells every 10 s."""
_OWN_TIME: Final = timedelta(hours=1)
"""Whose event time lies further back than that goes by its own: a replay."""

Place = tuple[datetime, bool]
"""Where a page of readings ended: its last one's ``at`` and ``decision``."""


async def add(transaction: Transaction, readings: Sequence[Reading], *, now: datetime) -> None:
    """Keep readings; one of the same subject and moment takes the older one's place."""
    for reading in readings:
        row = {field.name: getattr(reading, field.name) for field in fields(reading)}
        row["received_at"] = now
        statement = insert_into(transaction, READINGS).values(**row)
        await transaction.execute(
            statement.on_conflict_do_update(index_elements=["subject", "at", "decision"], set_=row)
        )


async def page(
    transaction: Transaction,
    subject: str,
    *,
    since: datetime | None,
    until: datetime | None,
    limit: int,
    after: Place | None = None,
) -> list[dict[str, Any]]:
    """Return at most ``limit`` readings of a subject, the newest first, behind the place."""
    query = select(READINGS).where(READINGS.c.subject == subject)
    if since is not None:
        query = query.where(READINGS.c.at >= since)
    if until is not None:
        query = query.where(READINGS.c.at < until)
    if after is not None:
        at, decision = after
        older = READINGS.c.at < at
        beside = (READINGS.c.at == at) & READINGS.c.decision.is_(False)  # decisions come first
        query = query.where(older | beside if decision else older)
    query = query.order_by(READINGS.c.at.desc(), READINGS.c.decision.desc()).limit(limit)
    return [dict(row) for row in (await transaction.execute(query)).mappings()]


async def report(transaction: Transaction, sources: Sequence[SourceState]) -> None:
    """Keep what ingest says of its sources; an older report than the one that is kept is dropped."""
    for source in sources:
        row = {
            "name": source.source,
            "state": source.state.value,
            "event_time": source.event_time,
            "last_post_at": source.last_post_at,
            "reported_at": source.reported_at,
        }
        statement = insert_into(transaction, SOURCES).values(**row)
        await transaction.execute(
            statement.on_conflict_do_update(
                index_elements=["name"],
                set_=row,
                where=SOURCES.c.reported_at <= statement.excluded.reported_at,
            )
        )


async def drop(transaction: Transaction, source: str) -> None:
    """Forget a source: the topic has its tombstone."""
    await transaction.execute(delete(SOURCES).where(SOURCES.c.name == source))


async def drop_forgotten(transaction: Transaction, *, now: datetime) -> int:
    """Forget the sources that are none any more; returns how many."""
    rows = (await transaction.execute(select(SOURCES))).mappings()
    gone = [row["name"] for row in rows if _forgotten(row, now)]
    await transaction.execute(delete(SOURCES).where(SOURCES.c.name.in_(gone)))
    return len(gone)


async def sources(transaction: Transaction, *, now: datetime) -> list[dict[str, Any]]:
    """Return every source by name; a live one that is not heard of any more is blind."""
    rows = (await transaction.execute(select(SOURCES).order_by(SOURCES.c.name))).mappings()
    return [
        dict(row) | {"state": _state(row["state"], row["reported_at"], now)}
        for row in rows
        if not _forgotten(row, now)
    ]


def _forgotten(row: RowMapping, now: datetime) -> bool:
    if State(row["state"]) not in {State.BLIND, State.ENDED}:
        return False  # its ingest has died: that is for somebody to mend
    told, reached = row["reported_at"], row["event_time"]
    replay = reached is not None and told - reached > _OWN_TIME
    return bool(now - told > (REPLAY_FORGOTTEN if replay else FORGOTTEN))


def _state(state: str, reported_at: datetime, now: datetime) -> State:
    unheard = now - reported_at > UNHEARD
    return State.BLIND if unheard and State(state) is State.LIVE else State(state)
