"""Answers: what was said to a request that came with an Idempotency-Key, to say it again."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import delete, select, update

from services.alerter.store.database import Transaction, insert_into
from services.alerter.store.tables import ANSWERS

KEPT: Final = timedelta(hours=24)
ABANDONED: Final = timedelta(minutes=1)
"""A request that long under way has died with its process: the next one may try."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What was asked (a digest) and answered; no status while it is still under way."""

    request: str
    status: int | None
    body: str | None


async def claim(
    transaction: Transaction, scope: str, request: str, *, now: datetime
) -> Answer | None:
    """Begin a request; what stands there already, if anything, is returned and stays."""
    await transaction.execute(
        delete(ANSWERS).where(
            ANSWERS.c.scope == scope,
            ANSWERS.c.status.is_(None),
            ANSWERS.c.created_at < now - ABANDONED,
        )
    )
    row = {"scope": scope, "request": request, "created_at": now}
    new = insert_into(transaction, ANSWERS).values(**row).on_conflict_do_nothing()
    if (await transaction.execute(new)).rowcount == 1:
        return None
    there = (await transaction.execute(select(ANSWERS).where(ANSWERS.c.scope == scope))).one()
    return Answer(request=there.request, status=there.status, body=there.body)


async def fulfil(transaction: Transaction, scope: str, *, status: int, body: str | None) -> None:
    """Keep the answer."""
    await transaction.execute(
        update(ANSWERS).where(ANSWERS.c.scope == scope).values(status=status, body=body)
    )


async def release(transaction: Transaction, scope: str) -> None:
    """Forget a request that failed on our side, so that it may be tried again."""
    await transaction.execute(delete(ANSWERS).where(ANSWERS.c.scope == scope))
