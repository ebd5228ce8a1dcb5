"""Labels: the verdicts of people as JSON lines, for ``uproar evaluate`` and whoever trains."""

import asyncio
import json
from collections.abc import Callable, Mapping
from typing import Any, Final

from services.alerter.store import migrate, verdicts
from services.alerter.store.database import Database

_BATCH: Final = 200


def write(database_url: str, out: Callable[[str], object]) -> int:
    """
    Write a line for each judged episode: who judged it to be what, why, and how it looked.

    ``verdict`` is ``false_alarm``, or ``handled`` where people worked on it and gave no verdict: a
    weaker label, for not everything that people work on was a backlash.

    Returns:
        How many lines.

    Raises:
        Misconfigured: The database URL is wrong.
        Unavailable: The database does not answer.
    """
    return asyncio.run(_write(database_url, out))


async def _write(database_url: str, out: Callable[[str], object]) -> int:
    database = Database(database_url)
    after, count = ("", ""), 0
    try:
        await migrate.migrate(database)
        while True:
            async with database.reading() as transaction:
                rows = await verdicts.judged(transaction, after=after, limit=_BATCH)
                for row in rows:
                    posts = await verdicts.cited(transaction, row["incident"], row["number"])
                    out(json.dumps(_label(row, posts), ensure_ascii=False))
            count += len(rows)
            if len(rows) < _BATCH:
                return count
            after = (rows[-1]["incident"], rows[-1]["id"])
    finally:
        await database.close()


def _label(row: Mapping[str, Any], posts: list[str]) -> dict[str, Any]:
    at = row["verdict_at"]
    return {
        "episode": row["id"],
        "incident": row["incident"],
        "subject": row["subject"],
        "verdict": row["verdict"] or "handled",
        "reason": row["verdict_reason"],
        "by": row["verdict_by"] or row["worked_by"],
        "at": at.isoformat() if at else None,
        "level": row["level"],
        "severity": row["severity"],
        "posts": row["posts"],
        "authors": row["authors"],
        "began_at": row["began_at"].isoformat(),
        "happened_at": row["happened_at"].isoformat(),
        "evidence": posts,
    }
