"""Access: who may do what: keys, roles, one-time links and sessions. Only digests are kept."""

import asyncio
import hashlib
import hmac
import secrets
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, Final, TypeVar

from ulid import ULID

from services.alerter.store import audit, migrate, people
from services.alerter.store.database import Database
from services.alerter.store.people import KeyRow, PassRow, Purpose
from uproar.errors import Malformed

LINK_LIFE: Final = timedelta(minutes=15)
SESSION_LIFE: Final = timedelta(hours=12)
MAX_NAME: Final = 100
T = TypeVar("T")
_KEY_PREFIX: Final = "uproar_key_"  # lets a secret scanner, and a person, see what leaked


class Role(StrEnum):
    """What a key may do; each role may do what those before it may."""

    VIEWER = "viewer"
    RESPONDER = "responder"
    ADMIN = "admin"

    def may(self, asked: "Role") -> bool:
        """Tell whether this role covers what the asked one may do."""
        roles = list(Role)
        return roles.index(self) >= roles.index(asked)


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """
    Who is asking.

    Attributes:
        name: What goes into timelines.
        subjects: The only ones that it may see and act on; None: all.
        key: Id of the key; None for a one-time link.
        via: Through which surface, and from where.
    """

    name: str
    role: Role
    subjects: frozenset[str] | None = None
    key: str | None = None
    via: str = "unknown"

    def sees(self, subject: str) -> bool:
        """Tell whether a subject, and whatever is about it, may be shown."""
        return self.subjects is None or subject in self.subjects


class Access:
    """Grants and checks keys, links and sessions against the database."""

    def __init__(self, database: Database, clock: Callable[[], datetime]) -> None:
        self._database, self._clock = database, clock

    async def create_key(
        self,
        name: str,
        role: Role,
        subjects: Sequence[str] | None = None,
        *,
        by: str = "command line",
        via: str = "command line",
    ) -> tuple[KeyRow, str]:
        """
        Make a key of 256 bits.

        Args:
            name: What its acts are signed with.
            role: What it may do.
            subjects: Ids of the only subjects that it may see; None: all, those to come too.
            by: Who makes it, for the audit.
            via: From where.

        Returns:
            What is kept of it, and the key itself: it cannot be shown again.

        Raises:
            Malformed: The name is empty or too long; an admin's key is limited.
        """
        if subjects is not None and role is Role.ADMIN:
            raise Malformed("an admin sees everything: limit a viewer's or a responder's key")
        if subjects is not None and not subjects:
            raise Malformed("a key that is limited needs at least one subject")
        name = name.strip()
        if not name or len(name) > MAX_NAME or not name.isprintable():
            raise Malformed(f"a key needs a name of 1 to {MAX_NAME} printable characters")
        secret = _KEY_PREFIX + secrets.token_urlsafe(32)
        now = self._clock()
        row = KeyRow(
            id=str(ULID.from_datetime(now)),
            name=name,
            role=role.value,
            created_at=now,
            subjects=None if subjects is None else sorted(set(subjects)),
        )
        async with self._database.writing() as transaction:
            await people.add_key(transaction, row, _digest(secret))
            await audit.note(
                transaction,
                now=now,
                who=by,
                via=via,
                what="key.create",
                target=row.id,
                detail={"name": name, "role": role.value, "subjects": row.subjects},
            )
        return row, secret

    async def keys(self) -> Sequence[KeyRow]:
        """Return every key, the revoked ones too."""
        async with self._database.reading() as transaction:
            return await people.keys(transaction)

    async def revoke_key(
        self, key_id: str, *, by: str = "command line", via: str = "command line"
    ) -> bool:
        """End a key and its sessions; False where there is none to end."""
        now = self._clock()
        async with self._database.writing() as transaction:
            ended = await people.revoke(transaction, key_id, now=now)
            if ended:
                await audit.note(
                    transaction, now=now, who=by, via=via, what="key.revoke", target=key_id
                )
        return ended

    async def by_key(self, secret: str) -> Identity | None:
        """Return whom a key stands for."""
        row = await self._key(secret)
        return _identity(row, row.id) if row else None

    async def link(self) -> str:
        """Make a token that opens one session as admin, once, within 15 minutes."""
        token, now = secrets.token_urlsafe(32), self._clock()
        holder = PassRow(
            name="console", role=Role.ADMIN.value, key=None, expires_at=now + LINK_LIFE
        )
        async with self._database.writing() as transaction:
            await people.add_pass(transaction, Purpose.LINK, holder, _digest(token), now=now)
        return token

    async def log_in_by_link(self, token: str) -> str | None:
        """Use a one-time token up; returns the session, or None where the token is worth nothing."""
        now = self._clock()
        async with self._database.writing() as transaction:
            holder = await people.take_link(transaction, _digest(token), now=now)
        return await self._open(holder) if holder else None

    async def log_in_by_key(self, secret: str) -> str | None:
        """Open a session with a key; None where the key is worth nothing."""
        row = await self._key(secret)
        if row is None:
            return None
        return await self._open(
            PassRow(
                name=row.name,
                role=row.role,
                key=row.id,
                expires_at=self._clock(),
                subjects=row.subjects,
            )
        )

    async def by_session(self, session: str) -> Identity | None:
        """Return whom a session stands for."""
        async with self._database.reading() as transaction:
            holder = await people.session(transaction, _digest(session), now=self._clock())
        return _identity(holder, holder.key) if holder else None

    async def log_out(self, session: str) -> None:
        """End a session."""
        async with self._database.writing() as transaction:
            await people.end_session(transaction, _digest(session))

    async def _key(self, secret: str) -> KeyRow | None:
        now = self._clock()
        async with self._database.reading() as transaction:
            row = await people.key(transaction, _digest(secret))
        if row and not people.used_lately(row, now=now):
            async with self._database.writing() as transaction:
                await people.note_use(transaction, row.id, now=now)
        return row

    async def _open(self, holder: PassRow) -> str:
        session, now = secrets.token_urlsafe(32), self._clock()
        holder = replace(holder, expires_at=now + SESSION_LIFE)
        async with self._database.writing() as transaction:
            await people.add_pass(transaction, Purpose.SESSION, holder, _digest(session), now=now)
        return session


def _identity(row: KeyRow | PassRow, key: str | None) -> Identity:
    subjects = None if row.subjects is None else frozenset(row.subjects)
    return Identity(name=row.name, role=Role(row.role), subjects=subjects, key=key)


def form_token(session: str) -> str:
    """Return what a form of this session must carry: another site cannot know it."""
    return hmac.new(session.encode(), b"form", hashlib.sha256).hexdigest()


def form_token_fits(session: str, token: str) -> bool:
    """Compare a form's token in constant time."""
    return hmac.compare_digest(form_token(session).encode(), token.encode("utf-8", "replace"))


def _digest(secret: str) -> str:
    """Digest a secret of 256 random bits: slow hashes are for secrets that people choose."""
    return hashlib.sha256(secret.encode("utf-8", "replace")).hexdigest()


# ------------------------------------------------------- for the command line, which has no loop


def create(database_url: str, role: str, name: str, subjects: Sequence[str] | None = None) -> str:
    """
    Make a key and return it.

    Raises:
        Malformed: No such role, or no such name.
        Misconfigured: The database URL is wrong.
        Unavailable: The database does not answer.
    """
    if role not in set(Role):
        raise Malformed(f"role {role!r}: use one of {', '.join(Role)}")

    async def make(access: Access) -> str:
        return (await access.create_key(name, Role(role), subjects))[1]

    return _with_access(database_url, make)


def listing(database_url: str) -> Sequence[KeyRow]:
    """Return every key, the revoked ones too; raises as :func:`create`."""
    return _with_access(database_url, Access.keys)


def revoke(database_url: str, key_id: str) -> bool:
    """End a key; False where there is none to end. Raises as :func:`create`."""
    return _with_access(database_url, lambda access: access.revoke_key(key_id))


def one_time_link(database_url: str, console_url: str) -> str:
    """Return an address that opens the console once, as admin; raises as :func:`create`."""
    token = _with_access(database_url, Access.link)
    return f"{console_url.rstrip('/')}/login?once={token}"


def _with_access(database_url: str, use: Callable[[Access], Coroutine[Any, Any, T]]) -> T:
    async def work() -> T:
        database = Database(database_url)
        try:
            await migrate.migrate(database)
            return await use(Access(database, lambda: datetime.now(UTC)))
        finally:
            await database.close()

    return asyncio.run(work())
