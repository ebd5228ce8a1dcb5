"""
A process that can die at any await, and its connections to one SQLite file.

What it awaits of the outside (a statement, a commit, a request, a sleep) goes through
:meth:`Process.step`. It dies at the step that was chosen for it: its connections are closed, which
rolls back what was not committed, and nothing that it does afterwards has an effect.
"""

import asyncio
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from random import Random
from types import SimpleNamespace
from typing import Any, Self
from unittest import mock

import aiosqlite

BUSY = 8.0
"""Seconds: the last of the waits that double; together about the busy_timeout of the product."""


class Killed(BaseException):
    """The process is no more."""


class Storage:
    """The database server: may be away, and breaks every connection when it goes."""

    def __init__(self) -> None:
        self.down = False
        self.connections: list[Connection] = []

    def stop(self) -> None:
        """Go away in the middle of everything."""
        self.down = True
        for connection in self.connections:
            connection.cut()
        self.connections.clear()


class Process:
    """
    One life of one replica.

    Args:
        storage: Its database.
        rng: When it is slow.
        dies_at: The step at which it dies; 0: never.
        stalls_at: The step at which it stands still for ``stall`` seconds, as in a long pause.
    """

    def __init__(
        self, storage: Storage, rng: Random, *, dies_at: int = 0, stalls_at: int = 0
    ) -> None:
        self.storage, self._rng = storage, rng
        self.dies_at, self.stalls_at, self.stall = dies_at, stalls_at, 45.0
        self.steps, self.dead = 0, False
        self.died_at = ""
        self.connections: list[Connection] = []

    async def step(self, what: str) -> None:
        """Pass a point at which it may die, stand still, or let another go first."""
        self.steps += 1
        if self.steps == self.dies_at:
            self.die(what)
        if self.dead:
            raise Killed(what)
        if self.steps == self.stalls_at:
            await asyncio.sleep(self.stall)
        elif self._rng.random() < 0.1:
            await asyncio.sleep(self._rng.random() * 0.05)
        if self.dead:
            raise Killed(what)

    def die(self, what: str = "") -> None:
        self.dead, self.died_at = True, self.died_at or what
        for connection in self.connections:
            connection.cut()


CURRENT: ContextVar[Process] = ContextVar("process")


@contextmanager
def living(process: Process) -> Iterator[None]:
    """Let what is started here belong to a process."""
    token = CURRENT.set(process)
    try:
        yield
    finally:
        CURRENT.reset(token)


def down(name: str) -> sqlite3.OperationalError:
    error = sqlite3.OperationalError("the database is away")
    error.sqlite_errorname = name
    return error


class Cursor:
    """A cursor as aiosqlite has it, without a thread."""

    def __init__(self, connection: "Connection") -> None:
        self._connection = connection
        self._cursor: sqlite3.Cursor | None = None
        self.arraysize = 1

    async def __aenter__(self) -> Self:
        return self

    @property
    def description(self) -> Any:
        return self._cursor.description if self._cursor else None

    @property
    def rowcount(self) -> int:
        return self._cursor.rowcount if self._cursor else -1

    @property
    def lastrowid(self) -> Any:
        return self._cursor.lastrowid if self._cursor else None

    async def execute(self, sql: str, parameters: Any = ()) -> "Cursor":
        self._cursor = await self._connection.do(sql, lambda c: c.execute(sql, parameters))
        return self

    async def executemany(self, sql: str, parameters: Any) -> "Cursor":
        rows = list(parameters)
        self._cursor = await self._connection.do(sql, lambda c: c.executemany(sql, rows))
        return self

    async def fetchall(self) -> list[Any]:
        return self._cursor.fetchall() if self._cursor else []

    async def close(self) -> None:
        if self._cursor:
            self._cursor.close()


class Connection:
    """A connection as aiosqlite has it, without a thread; every statement is a step."""

    _thread = SimpleNamespace(daemon=True)

    def __init__(self, process: Process, path: str) -> None:
        self._process = process
        self._path = path
        self._conn: sqlite3.Connection | None = None
        self._tx = self  # where SQLAlchemy puts what is to be done in aiosqlite's thread

    async def _open(self) -> "Connection":
        if self._process.dead:
            raise Killed
        if self._process.storage.down:
            raise down("SQLITE_CANTOPEN")
        self._conn = sqlite3.connect(self._path, timeout=0)
        self._process.connections.append(self)
        self._process.storage.connections.append(self)
        return self

    def __await__(self) -> Any:
        return self._open().__await__()

    def put_nowait(self, item: Any) -> None:
        future, function = item
        future.set_result(function())

    @property
    def _connection(self) -> sqlite3.Connection | None:
        return self._conn

    @property
    def isolation_level(self) -> Any:
        return self._conn.isolation_level if self._conn else None

    async def create_function(self, *args: Any, **given: Any) -> None:
        if self._conn:
            self._conn.create_function(*args, **given)

    def cursor(self) -> Cursor:
        return Cursor(self)

    def cut(self) -> None:
        """Close it at once: what was not committed has never been."""
        if self._conn:
            self._conn.close()
            self._conn = None

    async def close(self) -> None:
        self.cut()

    def stop(self) -> None:
        self.cut()

    async def do(self, what: str, act: Callable[[sqlite3.Connection], Any]) -> Any:
        """Take a step, then act; wait while another connection writes."""
        if what.startswith("PRAGMA busy_timeout"):
            return None  # it would stop the only thread; we wait below
        if not what.startswith("PRAGMA"):
            await self._process.step(what)
        wait = 0.001
        while True:
            if self._conn is None:
                if self._process.dead:
                    raise Killed
                raise sqlite3.OperationalError("no active connection")
            try:
                return act(self._conn)
            except sqlite3.OperationalError as error:
                if error.sqlite_errorname != "SQLITE_BUSY" or wait > BUSY:
                    raise
            await asyncio.sleep(wait)
            wait *= 2

    async def commit(self) -> None:
        await self._process.step("before COMMIT")
        if self._conn is None:
            raise sqlite3.OperationalError("no active connection")
        self._conn.commit()
        await self._process.step("after COMMIT")

    async def rollback(self) -> None:
        if self._conn:
            self._conn.rollback()


def connect(path: str, **_: Any) -> Connection:
    return Connection(CURRENT.get(), path)


@contextmanager
def without_threads() -> Iterator[None]:
    """Let every engine connect through the process that is current."""
    with mock.patch.object(aiosqlite, "connect", connect):
        yield
