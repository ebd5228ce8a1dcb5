"""Subjects: the watch list as it stands, what the file last said, and what the topic has."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

import msgspec
from sqlalchemy import Row, Select, select, update

from services.alerter.store.database import Transaction, insert_into
from services.alerter.store.tables import SUBJECTS
from uproar.subject import Kind, Subject, SubjectId, alarms_per_day


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """A subject as it stands; ``version`` counts its changes, ``deleted_at`` makes it a memory."""

    subject: Subject
    version: int
    updated_at: datetime
    deleted_at: datetime | None = None


class Seeding(StrEnum):
    """What became of an entry of the watch-list file."""

    ADDED = "added"
    CHANGED = "changed"
    KEPT = "kept"
    LEFT_DELETED = "left deleted"


async def find(transaction: Transaction, subject: str) -> Watched | None:
    """Return a subject that is watched."""
    query = select(SUBJECTS).where(SUBJECTS.c.id == subject, SUBJECTS.c.deleted_at.is_(None))
    found = await _watched(transaction, query)
    return found[0] if found else None


async def page(
    transaction: Transaction,
    *,
    sight: frozenset[str] | None = None,
    limit: int,
    after: str | None = None,
) -> Sequence[Watched]:
    """Return at most ``limit`` subjects that are watched and may be seen, by id, behind ``after``."""
    query = select(SUBJECTS).where(
        SUBJECTS.c.deleted_at.is_(None), SUBJECTS.c.kind != Kind.CANARY.value
    )
    if sight is not None:
        query = query.where(SUBJECTS.c.id.in_(sorted(sight)))
    if after is not None:
        query = query.where(SUBJECTS.c.id > after)
    return await _watched(transaction, query.order_by(SUBJECTS.c.id).limit(limit))


async def alarms_asked_per_day(transaction: Transaction) -> float:
    """Return how often chance may page for all that are watched, by their budgets."""
    query = select(SUBJECTS).where(
        SUBJECTS.c.deleted_at.is_(None), SUBJECTS.c.kind != Kind.CANARY.value
    )
    watched = await _watched(transaction, query)
    return sum(alarms_per_day(one.subject.budget) for one in watched)


async def create(transaction: Transaction, subject: Subject, *, now: datetime) -> Watched | None:
    """Watch a subject; None where its id is already watched."""
    if await find(transaction, subject.id):
        return None
    return await put(transaction, subject, now=now)


async def put(
    transaction: Transaction, subject: Subject, *, now: datetime, seed: str | None = None
) -> Watched:
    """Write a subject, new or changed or deleted before; one that says the same stays as it is."""
    query = select(SUBJECTS).where(SUBJECTS.c.id == subject.id).with_for_update()
    row = (await transaction.execute(query)).one_or_none()
    if row is not None and row.deleted_at is None and _subject(row) == subject:
        if seed is not None:
            await _change(transaction, subject.id, {"seed": seed})
        return _one(row)
    version = 1 if row is None else row.version + 1
    values = {
        "kind": subject.kind.value,
        "value": msgspec.to_builtins(subject),
        "version": version,
        "updated_at": now,
        "deleted_at": None,
    }
    values |= {} if seed is None else {"seed": seed}
    if row is None:
        new = insert_into(transaction, SUBJECTS).values(id=subject.id, published=0, **values)
        await transaction.execute(new)
    else:
        await _change(transaction, subject.id, values)
    return Watched(subject=subject, version=version, updated_at=now)


async def delete(transaction: Transaction, subject: str, *, now: datetime) -> bool:
    """Watch a subject no longer; False where it was not watched. Of a person only the id stays."""
    watched = (SUBJECTS.c.id == subject) & SUBJECTS.c.deleted_at.is_(None)
    least = {"id": subject, "name": subject}
    person = (SUBJECTS.c.kind == Kind.PERSON.value) & watched
    await transaction.execute(update(SUBJECTS).where(person).values(value=least))
    changed = await transaction.execute(
        update(SUBJECTS)
        .where(watched)
        .values(deleted_at=now, updated_at=now, version=SUBJECTS.c.version + 1)
    )
    return changed.rowcount == 1


async def seed(
    transaction: Transaction, subjects: Iterable[Subject], *, now: datetime
) -> dict[SubjectId, Seeding]:
    """
    Take the watch-list file over.

    An entry is written when the file has changed it since it was last taken over, so that a change
    over the API stays. One that was deleted over the API stays deleted. Nothing is deleted here.
    """
    done: dict[SubjectId, Seeding] = {}
    for subject in subjects:
        query = select(SUBJECTS).where(SUBJECTS.c.id == subject.id)
        row = (await transaction.execute(query)).one_or_none()
        digest = hashlib.sha256(msgspec.json.encode(subject)).hexdigest()
        if row is not None and row.deleted_at is not None:
            done[subject.id] = Seeding.LEFT_DELETED
        elif row is not None and row.seed == digest:
            done[subject.id] = Seeding.KEPT
        else:
            await put(transaction, subject, now=now, seed=digest)
            done[subject.id] = Seeding.ADDED if row is None else Seeding.CHANGED
    return done


async def everything(transaction: Transaction) -> Sequence[Watched]:
    """Return every subject, the deleted ones too: what a new broker must be told."""
    return await _watched(transaction, select(SUBJECTS).order_by(SUBJECTS.c.id))


async def unpublished(transaction: Transaction) -> Sequence[Watched]:
    """Return what has changed since the topic was told."""
    query = select(SUBJECTS).where(SUBJECTS.c.published < SUBJECTS.c.version)
    return await _watched(transaction, query.order_by(SUBJECTS.c.id))


async def mark_published(transaction: Transaction, subject: str, version: int) -> None:
    """Note which version the topic has."""
    await transaction.execute(
        update(SUBJECTS)
        .where(SUBJECTS.c.id == subject, SUBJECTS.c.published < version)
        .values(published=version)
    )


async def _change(transaction: Transaction, subject: str, values: dict[str, object]) -> None:
    await transaction.execute(update(SUBJECTS).where(SUBJECTS.c.id == subject).values(**values))


async def _watched(
    transaction: Transaction, query: Select[tuple[object, ...]]
) -> Sequence[Watched]:
    return [_one(row) for row in await transaction.execute(query)]


def _one(row: Row[tuple[object, ...]]) -> Watched:
    return Watched(
        subject=_subject(row),
        version=row.version,
        updated_at=row.updated_at,
        deleted_at=row.deleted_at,
    )


def _subject(row: Row[tuple[object, ...]]) -> Subject:
    return msgspec.convert(row.value, Subject)
