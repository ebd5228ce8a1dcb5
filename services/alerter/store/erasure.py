"""Erasure: posts and accounts that were taken back, blanked wherever they stand, and told to all."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import ColumnElement, delete, or_, select, update

from services.alerter.store import deletions, deliveries, incidents, written
from services.alerter.store.database import Transaction, insert_into
from services.alerter.store.tables import ANSWERS, DELIVERIES, ERASURES, EVIDENCE
from uproar.post import Deletion, PostId

_AUTHOR: Final = "author:"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """One place at which something of an author stands; ``incident`` is None where it is of none."""

    incident: str | None
    what: str
    id: str
    at: datetime
    text: str


async def forget(transaction: Transaction, gone: Sequence[Deletion], *, now: datetime) -> set[str]:
    """
    Blank what was taken back in evidence, in what was sent or waits to be sent, and in answers kept.

    Returns:
        The incidents in which something was blanked.
    """
    await incidents.alone(transaction)
    touched = await deletions.remember(transaction, gone, now=now)
    for incident, posts in touched.items():
        await deliveries.redact(transaction, incident, posts)
    posts = {post for blanked in touched.values() for post in blanked}
    await _forget_answers(transaction, posts)
    return set(touched)


async def find(
    transaction: Transaction, authors: Collection[str], account: str | None
) -> list[Stored]:
    """
    Return what stands of an author: posts cited, deliveries that quote them, words that name them.

    Args:
        transaction: Reads.
        authors: Pseudonyms, one for each key and network.
        account: The name of the account as people write it, for what people wrote; None: only
            pseudonyms.
    """
    cited = select(EVIDENCE).where(EVIDENCE.c.author.in_(authors)).order_by(EVIDENCE.c.created_at)
    found = [
        Stored(incident=r.incident, what="post", id=r.post, at=r.created_at, text=r.text)
        for r in await transaction.execute(cited)
    ]
    posts: dict[str | None, set[str]] = {}
    for one in found:
        posts.setdefault(one.incident, set()).add(one.id)
    told = select(
        DELIVERIES.c.id, DELIVERIES.c.incident, DELIVERIES.c.created_at, DELIVERIES.c.payload
    )
    for row in await transaction.execute(told.where(DELIVERIES.c.incident.in_(posts))):
        found += [
            Stored(
                incident=row.incident,
                what="message",
                id=row.id,
                at=row.created_at,
                text=quote["text"],
            )
            for quote in row.payload["quotes"]
            if quote["post"] in posts[row.incident]
        ]
    for named in await written.naming(transaction, account) if account else []:
        found.append(
            Stored(
                incident=named.incident,
                what=named.place.what,
                id=str(named.key[-1]),
                at=named.at,
                text=named.text,
            )
        )
    return found


async def erase(
    transaction: Transaction, authors: Collection[str], account: str | None, *, now: datetime
) -> set[str]:
    """
    Erase an author here, and put the tombstones down that tell everybody else.

    What people wrote is looked through before anybody must wait: a word that is written meanwhile
    is found by the next :func:`find`.

    Returns:
        The incidents in which something was blanked.
    """
    named = await written.naming(transaction, account) if account else []
    gone = [Deletion(author=author, at=now) for author in sorted(authors)]
    touched = await forget(transaction, gone, now=now)
    for deletion in gone:
        row = {"what": f"{_AUTHOR}{deletion.author}", "asked_at": now, "published_at": None}
        statement = insert_into(transaction, ERASURES).values(**row)
        again = statement.on_conflict_do_update(index_elements=["what"], set_=row)
        await transaction.execute(again)
    if account:
        await written.blank(transaction, named, account)
        touched |= {one.incident for one in named if one.incident}
    return touched


async def untold(transaction: Transaction) -> list[Deletion]:
    """Return the tombstones that the topic does not have yet."""
    query = select(ERASURES).where(ERASURES.c.published_at.is_(None)).order_by(ERASURES.c.asked_at)
    return [_deletion(row.what, row.asked_at) for row in await transaction.execute(query)]


async def mark_told(transaction: Transaction, deletion: Deletion, *, now: datetime) -> None:
    """Note that the topic has a tombstone."""
    name = f"{_AUTHOR}{deletion.author}" if deletion.id is None else f"post:{deletion.id}"
    await transaction.execute(
        update(ERASURES).where(ERASURES.c.what == name).values(published_at=now)
    )


def _deletion(what: str, at: datetime) -> Deletion:
    kind, _, name = what.partition(":")
    if kind == "post":
        return Deletion(id=PostId(name), at=at)
    return Deletion(author=name, at=at)


async def _forget_answers(transaction: Transaction, posts: Collection[str]) -> None:
    """Forget what was answered under an Idempotency-Key, where it names one of the posts."""
    mentions: list[ColumnElement[bool]] = [
        ANSWERS.c.body.contains(post, autoescape=True) for post in sorted(posts)[:200]
    ]
    if mentions:
        await transaction.execute(delete(ANSWERS).where(or_(*mentions)))
