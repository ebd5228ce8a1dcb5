"""Database: connections and transactions on SQLite or PostgreSQL. It knows no table."""

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, Final

import asyncpg
from sqlalchemy import URL, Table, event, make_url
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import ArgumentError, DataError, StatementError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.util import await_only

from uproar.errors import Malformed, Misconfigured, Unavailable

Transaction = AsyncConnection
"""What the rooms above hand from one function of the store to the next, and never look into."""

SQLITE: Final = "sqlite"
_BUSY_TIMEOUT_MS = 15_000
_LOOK_AGAIN_S = 0.01
# What may be otherwise a moment later: the file is locked, the disk is full, ...
# or another transaction wrote the same row first.
_SQLITE_DOWN = (
    "SQLITE_BUSY",
    "SQLITE_LOCKED",
    "SQLITE_IOERR",
    "SQLITE_FULL",
    "SQLITE_CANTOPEN",
    "SQLITE_CONSTRAINT_PRIMARYKEY",
    "SQLITE_CONSTRAINT_UNIQUE",
)
# Connection lost, resources short, shutting down, serialisation failure, deadlock, lock not
# available, the same row written first by another.
_POSTGRES_DOWN = ("08", "53", "57P", "40001", "40P01", "55P03", "23505")


def insert_into(transaction: Transaction, table: Table) -> sqlite.Insert | postgresql.Insert:
    """Begin an INSERT that may say what happens when the row is there (ON CONFLICT)."""
    if transaction.dialect.name == SQLITE:
        return sqlite.insert(table)
    return postgresql.insert(table)


def file_of(url: str) -> Path | None:
    """Return the file that a database URL names, None for a server; raises as :class:`Database`."""
    parsed = _checked(url)
    return Path(str(parsed.database)) if parsed.get_backend_name() == SQLITE else None


class Database:
    """
    The alerter's database.

    Args:
        url: ``sqlite+aiosqlite:///PATH`` or ``postgresql+asyncpg://...``.

    Raises:
        Misconfigured: Any other URL, or SQLite in memory (it loses concurrent writes).
    """

    def __init__(self, url: str) -> None:
        self.url = _checked(url)
        self.engine = _sqlite(self.url) if self.is_sqlite else _postgres(self.url)
        self._reader = self.engine.execution_options(reading=True)

    @property
    def is_sqlite(self) -> bool:
        """Whether it is one file, with one writer at a time."""
        return self.url.get_backend_name() == SQLITE

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[Transaction]:
        """
        Hold a transaction that may write: committed at the end, rolled back by any exception.

        Raises:
            Unavailable: The database does not answer, or did not let the transaction through; the
                same transaction may succeed later.
            Malformed: A number or time is too large to be stored.
        """
        with _told():
            async with self.engine.begin() as transaction:
                yield transaction

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[Transaction]:
        """Hold a transaction that only reads, and so waits for nobody; raises Unavailable."""
        with _told():
            async with self._reader.begin() as transaction:
                yield transaction

    @asynccontextmanager
    async def altering(self) -> AsyncIterator[Transaction]:
        """
        Hold a transaction that may alter tables: SQLite copies one to alter it, which foreign keys
        would forbid. Raises Unavailable.
        """
        with _told():
            async with self.engine.connect() as connection:
                await self._foreign_keys(connection, "OFF")  # no effect inside a transaction
                try:
                    async with connection.begin():
                        yield connection
                finally:
                    await self._foreign_keys(connection, "ON")

    async def _foreign_keys(self, connection: Transaction, switch: str) -> None:
        if self.is_sqlite:
            driver: Any = (await connection.get_raw_connection()).driver_connection
            await driver.execute(f"PRAGMA foreign_keys={switch}")

    async def close(self) -> None:
        """Give all connections back."""
        await self.engine.dispose()


@contextmanager
def _told() -> Iterator[None]:
    """Say Unavailable where the world is down, Malformed where a value does not fit."""
    try:
        yield
    except (StatementError, PoolTimeout, OSError, OverflowError) as error:
        reason = getattr(error, "orig", None) or error
        if _does_not_fit(error):
            raise Malformed(f"a value does not fit the database: {reason}") from error
        if _is_down(error):
            raise Unavailable(f"the database does not answer: {reason}") from error
        raise


def _does_not_fit(error: Exception) -> bool:
    """Tell whether a column, SQLite's driver, asyncpg before it sends, or the server refused a value."""
    reason = getattr(error, "orig", None) or error
    cause = getattr(reason, "__cause__", None)
    too_large = isinstance(error, DataError) or isinstance(reason, OverflowError)
    return too_large or isinstance(cause, asyncpg.DataError)


def _is_down(error: Exception) -> bool:
    if isinstance(error, PoolTimeout | OSError):
        return True
    cause = getattr(error, "orig", error)
    if name := getattr(cause, "sqlite_errorname", None):
        return str(name).startswith(_SQLITE_DOWN)
    if code := getattr(cause, "sqlstate", None):
        return str(code).startswith(_POSTGRES_DOWN)
    return bool(getattr(error, "connection_invalidated", False)) or isinstance(
        getattr(cause, "__cause__", None), OSError
    )


def _checked(url: str) -> URL:
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise Misconfigured("UPROAR_DATABASE_URL is no database URL") from error
    if parsed.drivername not in {"sqlite+aiosqlite", "postgresql+asyncpg"}:
        raise Misconfigured(
            f"UPROAR_DATABASE_URL: {parsed.drivername}:// is not supported; "
            "use postgresql+asyncpg://... or sqlite+aiosqlite:///PATH"
        )
    if parsed.get_backend_name() == SQLITE and parsed.database in {None, "", ":memory:"}:
        raise Misconfigured("UPROAR_DATABASE_URL: SQLite needs a file, sqlite+aiosqlite:///PATH")
    return parsed


def _postgres(url: URL) -> AsyncEngine:
    return create_async_engine(
        url,
        pool_size=10,
        pool_pre_ping=True,  # a restarted server must cost nobody an error
        connect_args={"timeout": 5, "command_timeout": 30},
    )


def _sqlite(url: URL) -> AsyncEngine:
    """Open a file whose writers queue: the driver's own transactions lose updates silently."""
    path = Path(str(url.database))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600)  # it holds posts and the digests of keys
    except OSError as error:
        raise Misconfigured(f"the database file {path} cannot be written: {error}") from error
    engine = create_async_engine(url, pool_size=5, max_overflow=15)

    @event.listens_for(engine.sync_engine, "connect")
    def _connect(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # SQLAlchemy, not the driver, opens transactions
        cursor = connection.cursor()
        cursor.execute(f"PRAGMA busy_timeout={_BUSY_TIMEOUT_MS}")
        _keep_a_log(cursor)
        # Once the offset is committed, a power cut must not undo the page.
        cursor.execute("PRAGMA synchronous=FULL")
        cursor.execute("PRAGMA foreign_keys=ON")
        cursor.close()

    @event.listens_for(engine.sync_engine, "begin")
    def _begin(connection: Any) -> None:
        reading = connection.get_execution_options().get("reading", False)
        connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")

    return engine


def _keep_a_log(cursor: Any) -> None:
    """Let readers wait for no writer (WAL); on a new file the change itself heeds no busy_timeout."""
    end = time.monotonic() + _BUSY_TIMEOUT_MS / 1000
    while True:
        try:
            cursor.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as error:
            busy = error.sqlite_errorname.startswith("SQLITE_BUSY")  # a recovery by another too
            if not busy or time.monotonic() > end:
                raise
            await_only(asyncio.sleep(_LOOK_AGAIN_S))
        else:
            return
