"""Audit: who did what, when and from where. Lines are added and read, never changed."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, insert, select, tuple_
from ulid import ULID

from services.alerter.store.database import Transaction
from services.alerter.store.tables import AUDIT

Place = tuple[datetime, str]
"""Where a page ended: ``at`` and ``id`` of its last line."""


async def note(
    transaction: Transaction,
    *,
    now: datetime,
    who: str,
    via: str,
    what: str,
    target: str,
    subject: str | None = None,
    detail: Mapping[str, Any] | None = None,
) -> None:
    """Add a line, in the transaction of what it tells of."""
    await transaction.execute(
        insert(AUDIT).values(
            id=str(ULID.from_datetime(now)),
            at=now,
            who=who,
            via=via,
            what=what,
            target=target,
            subject=subject,
            detail=dict(detail or {}),
        )
    )


async def page(
    transaction: Transaction,
    *,
    target: str | None = None,
    limit: int,
    after: Place | None = None,
) -> Sequence[dict[str, Any]]:
    """Return at most ``limit`` lines, the newest first, behind the place ``after``."""
    query = select(AUDIT)
    if target is not None:
        query = query.where(AUDIT.c.target == target)
    if after is not None:
        place = tuple_(
            bindparam("at", after[0], AUDIT.c.at.type, unique=True),
            bindparam("id", after[1], AUDIT.c.id.type, unique=True),
        )
        query = query.where(tuple_(AUDIT.c.at, AUDIT.c.id) < place)
    query = query.order_by(AUDIT.c.at.desc(), AUDIT.c.id.desc()).limit(limit)
    return [dict(row) for row in (await transaction.execute(query)).mappings()]
