import asyncio
import sqlite3
import subprocess
import sys
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from sqlalchemy import make_url, select, text

from services.alerter.store.database import Database
from services.alerter.store.migrate import drift, migrate
from services.alerter.store.tables import READINGS
from tests.databases import migrated, sqlite_url
from uproar.errors import Malformed, Misconfigured, Unavailable

ADD_ONE = """
import asyncio, sys
from sqlalchemy import text
from services.alerter.store.database import Database

async def main():
    database = Database(sys.argv[1])
    for _ in range(50):
        async with database.writing() as transaction:
            n = await transaction.scalar(text("SELECT value FROM facts WHERE name = 'n'"))
            await transaction.execute(text(f"UPDATE facts SET value = '{int(n) + 1}' WHERE name = 'n'"))
    await database.close()

asyncio.run(main())
"""


async def test_four_processes_that_read_and_write_lose_no_update(tmp_path: Path):
    url = sqlite_url(tmp_path)
    async with migrated(url) as database:
        async with database.writing() as transaction:
            await transaction.execute(text("INSERT INTO facts VALUES ('n', '0')"))
        processes = [
            await asyncio.create_subprocess_exec(
                sys.executable, "-c", ADD_ONE, url, stderr=subprocess.PIPE
            )
            for _ in range(4)
        ]
        errors = [(await process.communicate())[1] for process in processes]
        assert [process.returncode for process in processes] == [0] * 4, errors
        async with database.reading() as transaction:
            n = await transaction.scalar(text("SELECT value FROM facts WHERE name = 'n'"))

    assert n == "200"


async def test_a_new_file_that_another_process_begins_is_waited_for(tmp_path: Path):
    url = sqlite_url(tmp_path)
    database = Database(url)  # makes the file, and opens nothing
    other = sqlite3.connect(str(make_url(url).database), isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    asyncio.get_running_loop().call_later(0.2, other.execute, "COMMIT")
    async with database.reading() as transaction:
        assert await transaction.scalar(text("PRAGMA journal_mode")) == "wal"
    await database.close()
    other.close()


async def test_tasks_of_one_process_lose_no_update_either(database: Database):
    if not database.is_sqlite:
        pytest.skip("PostgreSQL has many writers: what is to be changed is locked (test_store)")
    async with database.writing() as transaction:
        await transaction.execute(text("INSERT INTO facts VALUES ('n', '0')"))

    async def add_one() -> None:
        async with database.writing() as transaction:
            n = await transaction.scalar(text("SELECT value FROM facts WHERE name = 'n'"))
            await transaction.execute(text(f"UPDATE facts SET value = '{int(n) + 1}'"))

    await asyncio.gather(*(add_one() for _ in range(40)))

    async with database.reading() as transaction:
        assert await transaction.scalar(text("SELECT value FROM facts")) == "40"


async def test_an_exception_rolls_the_transaction_back(database: Database):
    with pytest.raises(RuntimeError):
        async with database.writing() as transaction:
            await transaction.execute(text("INSERT INTO facts VALUES ('a', 'b')"))
            raise RuntimeError

    async with database.reading() as transaction:
        assert await transaction.scalar(text("SELECT count(*) FROM facts")) == 0


async def test_a_reader_does_not_wait_for_a_writer(database: Database):
    async with database.writing() as writer:
        await writer.execute(text("INSERT INTO facts VALUES ('a', 'b')"))
        async with asyncio.timeout(5), database.reading() as reader:
            assert await reader.scalar(text("SELECT count(*) FROM facts")) == 0


async def test_a_locked_file_is_unavailable_and_a_bug_is_not(tmp_path: Path):
    url = sqlite_url(tmp_path)
    async with migrated(url) as one:
        other = Database(url)
        async with one.writing():
            with pytest.raises(Unavailable, match="locked"):
                async with other.reading() as transaction:
                    await transaction.execute(text("PRAGMA busy_timeout=50"))
                    await transaction.execute(text("INSERT INTO facts VALUES ('a', 'b')"))
        with pytest.raises(Exception, match="no such table") as bug:
            async with other.writing() as transaction:
                await transaction.execute(text("SELECT * FROM nowhere"))
        await other.close()

    assert not isinstance(bug.value, Unavailable)


async def test_a_number_that_does_not_fit_is_malformed(database: Database):
    with pytest.raises(Malformed, match="does not fit"):
        async with database.writing() as transaction:
            await transaction.execute(
                text("INSERT INTO facts VALUES ('a', :number)"), {"number": 2**70}
            )


async def test_a_time_that_does_not_fit_is_malformed(database: Database):
    first = datetime.min.replace(
        tzinfo=timezone(timedelta(hours=5))
    )  # in UTC it is before the calendar
    with pytest.raises(Malformed, match="does not fit"):
        async with database.reading() as transaction:
            await transaction.execute(select(READINGS.c.at).where(READINGS.c.at > first))


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("sqlite+aiosqlite://", "needs a file"),
        ("sqlite+aiosqlite:///:memory:", "needs a file"),
        ("mysql://root@localhost/x", "not supported"),
        ("postgresql://localhost/x", "use postgresql.asyncpg"),
        ("nonsense", "no database URL"),
        ("sqlite+aiosqlite:////proc/nowhere/uproar.db", "cannot be written"),
    ],
)
def test_a_wrong_url_is_told_at_once(url: str, reason: str):
    with pytest.raises(Misconfigured, match=reason):
        Database(url)


async def test_a_database_server_that_does_not_answer_is_unavailable():
    database = Database("postgresql+asyncpg://nobody@127.0.0.1:1/none")
    with pytest.raises(Unavailable):
        async with database.reading():
            pass
    await database.close()


async def test_the_file_is_for_its_owner_alone(tmp_path: Path):
    async with migrated(sqlite_url(tmp_path)):
        assert (tmp_path / "uproar.db").stat().st_mode & 0o077 == 0


async def test_the_migrations_end_where_the_tables_are(database: Database):
    assert await drift(database) == []


async def test_migrations_go_down_and_up_again_with_rows_in_the_tables(database: Database):
    async with database.writing() as transaction:
        await transaction.execute(text("INSERT INTO facts VALUES ('a', 'b')"))

    await migrate(database, "base")
    assert await drift(database) != []
    await migrate(database)
    await migrate(database)

    assert await drift(database) == []


async def test_a_database_of_a_newer_uproar_is_left_alone(database: Database):
    async with database.writing() as transaction:
        await transaction.execute(text("UPDATE alembic_version SET version_num = '9999'"))

    with pytest.raises(Misconfigured, match="newer uproar"):
        await migrate(database)


async def test_four_processes_may_begin_at_once(tmp_path: Path):
    url = sqlite_url(tmp_path)
    begin = (
        "import asyncio, sys\n"
        "from services.alerter.store.database import Database\n"
        "from services.alerter.store.migrate import migrate\n"
        "async def main():\n"
        "    database = Database(sys.argv[1])\n"
        "    await migrate(database)\n"
        "    await database.close()\n"
        "asyncio.run(main())\n"
    )
    processes = [
        await asyncio.create_subprocess_exec(
            sys.executable, "-c", begin, url, stderr=subprocess.PIPE
        )
        for _ in range(4)
    ]
    errors = [(await process.communicate())[1] for process in processes]

    assert [process.returncode for process in processes] == [0] * 4, errors
