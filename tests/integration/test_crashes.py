"""A migration that is killed, a server that crashes: nothing is half done, and all is done again."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest
from sqlalchemy import text

from services.alerter.store.database import Database
from services.alerter.store.incidents import Arrival
from services.alerter.store.migrate import drift, migrate
from tests.build import a_backlash
from tests.databases import Server, postgres
from tests.integration.test_migrations import filled
from tests.integration.test_store import an_advancer
from uproar.errors import Unavailable

DIE_BEFORE_THE_COMMIT = """
import asyncio, os, signal, sys
from contextlib import asynccontextmanager
from services.alerter.store.database import Database
from services.alerter.store.migrate import migrate

def deadly(name):
    whole = getattr(Database, name)

    @asynccontextmanager
    async def doomed(self):
        async with whole(self) as transaction:
            yield transaction
            os.kill(os.getpid(), signal.SIGKILL)

    setattr(Database, name, doomed)

async def upgrade(database):
    deadly("altering")
    await migrate(database)

async def downgrade(database):
    deadly("altering")
    await migrate(database, "0001")

asyncio.run(globals()[sys.argv[2]](Database(sys.argv[1])))
"""


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
    assert await an_advancer(database).hear(a_backlash(), Arrival()) is not None
    await database.close()
