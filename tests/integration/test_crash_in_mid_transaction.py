"""SIGKILL in the middle of the transaction that makes an incident: nothing of it stays, all of it follows."""

import asyncio
import subprocess
import sys

from sqlalchemy import func, select

from services.alerter.store import tables
from services.alerter.store.database import Database
from services.alerter.store.incidents import Arrival
from tests.build import a_backlash, some_evidence
from tests.databases import migrated
from tests.integration.test_store import an_advancer
from tests.shared import ROOT

WRITES = ["incidents.create", "incidents.remember_event", "incidents.add_evidence", "deliveries.enqueue", "incidents.write_down"]  # fmt: skip
EVENT = a_backlash(evidence=(some_evidence("push:1"),))
CHILD = """
import asyncio, os, signal, sys
from services.alerter.store import deliveries, incidents
from services.alerter.store.database import Database
from services.alerter.store.incidents import Arrival
from tests.integration.test_crash_in_mid_transaction import EVENT, WRITES
from tests.integration.test_store import an_advancer

def die_behind(place):
    room, _, name = place.partition(".")
    module = {"deliveries": deliveries, "incidents": incidents}[room]
    write = getattr(module, name)

    async def write_and_die(*args, **given):
        await write(*args, **given)
        os.kill(os.getpid(), signal.SIGKILL)

    setattr(module, name, write_and_die)
    asyncio.run(an_advancer(Database(sys.argv[1])).hear(EVENT, Arrival()))

for place in WRITES:
    if not (child := os.fork()):
        die_behind(place)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL, place
"""
ROWS = (tables.INCIDENTS, tables.EPISODES, tables.BACKLASH, tables.EVIDENCE, tables.TRANSITIONS, tables.DELIVERIES)  # fmt: skip


async def counts(database: Database) -> dict[str, int]:
    async with database.reading() as transaction:
        return {
            table.name: (await transaction.scalar(select(func.count()).select_from(table))) or 0
            for table in ROWS
        }


async def test_a_writer_killed_behind_any_of_its_writes_leaves_none(url: str):
    async with migrated(url) as database:
        done = await asyncio.to_thread(
            subprocess.run,
            [sys.executable, "-c", CHILD, url],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=240,
        )
        assert done.returncode == 0, done.stderr[-2000:]
        assert set((await counts(database)).values()) == {0}

        assert await an_advancer(database).hear(EVENT, Arrival()) is not None
        assert await an_advancer(database).hear(EVENT, Arrival()) is None  # read again: a repeat
        found = await counts(database)
        assert set(found.values()) == {1}, found
