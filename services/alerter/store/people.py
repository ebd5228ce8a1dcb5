"""People: keys, one-time links and sessions, known by their digests alone. It grants nothing."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import delete, insert, null, or_, select, update

from services.alerter.store.database import Transaction
from services.alerter.store.tables import KEYS, PASSES

_USE_IS_NEWS_AFTER: Final = timedelta(minutes=1)  # or every request would be a write


class Purpose(StrEnum):
    """What a pass is for."""

    LINK = "link"
    SESSION = "session"


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRow:
    """A key as it is kept: never the key itself."""

    id: str
    name: str
    role: str
    created_at: datetime
    revoked_at: datetime | None = None
    last_used_at: datetime | None = None
    subjects: list[str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PassRow:
    """Whom a link or a session stands for; ``key`` where it was opened with one."""

    name: str
    role: str
    key: str | None
    expires_at: datetime
    subjects: list[str] | None = None


async def add_key(transaction: Transaction, key: KeyRow, digest: str) -> None:
    """Keep a new key."""
    await transaction.execute(
        insert(KEYS).values(
            id=key.id,
            name=key.name,
            role=key.role,
            digest=digest,
            created_at=key.created_at,
            subjects=null() if key.subjects is None else key.subjects,
        )
    )


async def keys(transaction: Transaction) -> Sequence[KeyRow]:
    """Return every key, the revoked ones too, the oldest first."""
    rows = await transaction.execute(select(KEYS).order_by(KEYS.c.created_at, KEYS.c.id))
    return [_key(row) for row in rows]


async def key(transaction: Transaction, digest: str) -> KeyRow | None:
    """Return the key with this digest, unless it was revoked."""
    query = select(KEYS).where(KEYS.c.digest == digest, KEYS.c.revoked_at.is_(None))
    row = (await transaction.execute(query)).one_or_none()
    return _key(row) if row else None


async def revoke(transaction: Transaction, key_id: str, *, now: datetime) -> bool:
    """End a key and the sessions that were opened with it; False where there is none to end."""
    changed = await transaction.execute(
        update(KEYS).where(KEYS.c.id == key_id, KEYS.c.revoked_at.is_(None)).values(revoked_at=now)
    )
    await transaction.execute(delete(PASSES).where(PASSES.c.key == key_id))
    return changed.rowcount == 1


def used_lately(key: KeyRow, *, now: datetime) -> bool:
    """Tell whether the use of a key is no news."""
    return key.last_used_at is not None and now - key.last_used_at < _USE_IS_NEWS_AFTER


async def note_use(transaction: Transaction, key_id: str, *, now: datetime) -> None:
    """Keep when a key was last used."""
    await transaction.execute(
        update(KEYS)
        .where(KEYS.c.id == key_id, or_(KEYS.c.last_used_at.is_(None), KEYS.c.last_used_at < now))
        .values(last_used_at=now)
    )


async def add_pass(
    transaction: Transaction, purpose: Purpose, holder: PassRow, digest: str, *, now: datetime
) -> None:
    """Keep a new link or session."""
    await transaction.execute(
        insert(PASSES).values(
            digest=digest,
            purpose=purpose.value,
            name=holder.name,
            role=holder.role,
            key=holder.key,
            subjects=null() if holder.subjects is None else holder.subjects,
            created_at=now,
            expires_at=holder.expires_at,
        )
    )


async def take_link(transaction: Transaction, digest: str, *, now: datetime) -> PassRow | None:
    """Use a one-time link up; None where it is unknown, used or too old."""
    taken = await transaction.execute(
        delete(PASSES)
        .where(
            PASSES.c.digest == digest,
            PASSES.c.purpose == Purpose.LINK.value,
            PASSES.c.expires_at > now,
        )
        .returning(
            PASSES.c.name, PASSES.c.role, PASSES.c.key, PASSES.c.expires_at, PASSES.c.subjects
        )
    )
    row = taken.one_or_none()
    return _pass(row) if row else None


async def session(transaction: Transaction, digest: str, *, now: datetime) -> PassRow | None:
    """Return whom a session stands for; None where it has ended."""
    query = select(PASSES).where(
        PASSES.c.digest == digest,
        PASSES.c.purpose == Purpose.SESSION.value,
        PASSES.c.expires_at > now,
    )
    row = (await transaction.execute(query)).one_or_none()
    return _pass(row) if row else None


async def end_session(transaction: Transaction, digest: str) -> None:
    """Forget a session."""
    await transaction.execute(delete(PASSES).where(PASSES.c.digest == digest))


def _key(row: Any) -> KeyRow:
    return KeyRow(
        id=row.id,
        name=row.name,
        role=row.role,
        created_at=row.created_at,
        revoked_at=row.revoked_at,
        last_used_at=row.last_used_at,
        subjects=row.subjects,
    )


def _pass(row: Any) -> PassRow:
    return PassRow(
        name=row.name,
        role=row.role,
        key=row.key,
        expires_at=row.expires_at,
        subjects=row.subjects,
    )
