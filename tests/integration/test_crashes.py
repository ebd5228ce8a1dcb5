"""Killed in the middle of a transaction: nothing of it is there, and the same work is done again."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest
from sqlalchemy import text

from services.alerter.advance import Advancer
from services.alerter.store.database import Database
from services.alerter.store.incidents import Arrival
from services.alerter.store.migrate import drift, migrate
from tests.build import NOON, a_backlash
from tests.databases import Server, postgres
from tests.integration.test_migrations import filled
from tests.integration.test_store import ROUTES
from uproar.errors import Unavailable

DIE_BEFORE_THE_COMMIT = """
import asyncio, os, signal, sys
from contextlib import asynccontextmanager
from services.alerter.store.database import Database
from services.alerter.store.migrate import migrate
from tests.build import a_backlash
from tests.integration.test_crashes import advancer_of, Arrival

def deadly(name):
    whole = getattr(Database, name)

    @asynccontextmanager
    async def doomed(self):
        async with whole(self) as transaction:
            yield transaction
            os.kill(os.getpid(), signal.SIGKILL)

    setattr(Database, name, doomed)

async def hear(database):
    deadly("writing")
    await advancer_of(database).hear(a_backlash(), Arrival())

async def upgrade(database):
    deadly("altering")
    await migrate(database)

async def downgrade(database):
    deadly("altering")
    await migrate(database, "0001")

asyncio.run(globals()[sys.argv[2]](Database(sys.argv[1])))
"""
TABLES = ("incidents", "transitions", "evidence", "deliveries", "backlash")


def advancer_of(database: Database) -> Advancer:
    return Advancer(
        database,
        routes=ROUTES,
        console_url="",
        clock=lambda: NOON,
        written=asyncio.Event(),
    )


@pytest.fixture
def server() -> Iterator[Server]:
    with postgres() as directory:
        yield Server(directory)


async def die(what: str, url: str) -> None:
    """Let a process do something, and be killed when all of it but the commit is done."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", DIE_BEFORE_THE_COMMIT, url, what),
        stderr=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": "."},
    )
    _, errors = await process.communicate()
    assert process.returncode == -signal.SIGKILL, errors.decode()


async def rows(database: Database) -> list[int]:
    async with database.reading() as transaction:
        return [await transaction.scalar(text(f"SELECT count(*) FROM {name}")) for name in TABLES]


async def test_of_an_event_that_was_being_kept_nothing_is_there_and_it_is_kept_later(url: str):
    database = Database(url)
    await migrate(database)

    await die("hear", url)

    assert await rows(database) == [0] * len(TABLES)
    assert await advancer_of(database).hear(a_backlash(), Arrival()) is not None
    assert await advancer_of(database).hear(a_backlash(), Arrival()) is None
    assert (await rows(database))[:2] == [1, 1]
    await database.close()


async def test_a_migration_that_was_killed_has_changed_nothing_and_succeeds_later(url: str):
    database = Database(url)
    await migrate(database, "0001")
    incident = await filled(database)

    await die("upgrade", url)

    assert await revision(database) == "0001"
    await migrate(database)
    await die("downgrade", url)
    assert await drift(database) == []
    await migrate(database, "0001")
    await migrate(database)
    async with database.reading() as transaction:
        kept = await transaction.scalar(text("SELECT id FROM incidents"))
    assert kept == incident
    await database.close()


async def revision(database: Database) -> str:
    async with database.reading() as transaction:
        found: str = await transaction.scalar(text("SELECT version_num FROM alembic_version"))
    return found


async def test_a_server_that_crashes_in_mid_transaction_has_kept_nothing_of_it(server: Server):
    database = Database(server.new_url())
    await migrate(database)
    with pytest.raises(Unavailable):
        async with database.writing() as transaction:
            await transaction.execute(text("INSERT INTO facts VALUES ('half', 'done')"))
            await asyncio.to_thread(server.stop)
            await transaction.execute(text("INSERT INTO facts VALUES ('other', 'half')"))
    await asyncio.to_thread(server.start)
    async with database.reading() as transaction:
        assert await transaction.scalar(text("SELECT count(*) FROM facts")) == 0
    assert await advancer_of(database).hear(a_backlash(), Arrival()) is not None
    await database.close()
