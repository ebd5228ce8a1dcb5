"""Deletions: what was taken back is blanked now, and whenever a later event brings it again."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final

from sqlalchemy import select, update

from services.alerter.store.database import Transaction, insert_into
from services.alerter.store.tables import DELETIONS, EVIDENCE
from uproar.backlash import Evidence
from uproar.post import Deletion

BLANK: Final = "[deleted]"


async def remember(
    transaction: Transaction, deletions: Sequence[Deletion], *, now: datetime
) -> dict[str, set[str]]:
    """
    Note what was taken back and blank it in the stored evidence.

    Returns:
        The posts that were blanked, by incident.
    """
    touched: defaultdict[str, set[str]] = defaultdict(set)
    for deletion in deletions:
        if (name := _name(deletion)) is None:
            continue
        row = {"what": name, "at": deletion.at, "received_at": now}
        statement = insert_into(transaction, DELETIONS).values(**row)
        await transaction.execute(statement.on_conflict_do_nothing())
        cited = EVIDENCE.c.post == deletion.id
        if deletion.id is None:
            cited = EVIDENCE.c.author == deletion.author
        query = select(EVIDENCE.c.incident, EVIDENCE.c.post).where(cited)
        for found in await transaction.execute(query):
            touched[found.incident].add(found.post)
        await transaction.execute(
            update(EVIDENCE).where(cited).values(text=BLANK, author=None, url=None)
        )
    return dict(touched)


async def redacted(transaction: Transaction, evidence: Sequence[Evidence]) -> tuple[Evidence, ...]:
    """Return the evidence with blanks where a post or its author has been taken back."""
    names = {f"post:{post.id}" for post in evidence}
    names |= {f"author:{post.author}" for post in evidence if post.author}
    if not names:
        return ()
    gone = set(
        await transaction.scalars(select(DELETIONS.c.what).where(DELETIONS.c.what.in_(names)))
    )
    return tuple(
        blanked(post) if gone & {f"post:{post.id}", f"author:{post.author}"} else post
        for post in evidence
    )


def blanked(post: Evidence) -> Evidence:
    """Keep of a post that it was there: its address names the author on most networks."""
    return replace(post, text=BLANK, author=None, url=None)


def _name(deletion: Deletion) -> str | None:
    """Name what was taken back; None where the tombstone names neither a post nor an account."""
    if deletion.id is not None:
        return f"post:{deletion.id}"
    return f"author:{deletion.author}" if deletion.author else None
