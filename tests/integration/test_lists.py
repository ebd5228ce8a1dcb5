"""Lists over a long history, on both engines: exact, page by page, and never read through."""

import asyncio
import json
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from random import Random
from typing import Any

import asyncpg
import pytest
from sqlalchemy import event, make_url

from services.alerter.store import history, past, search
from services.alerter.store.database import Database
from services.alerter.store.filter import Filter, Place
from services.alerter.store.past import AHEAD
from tests.bench.history import INCIDENT, LINE, asked, fill_postgres, fill_sqlite, made
from tests.databases import ENGINES, migrated, new_url

NUMBER = 12_000
LIMIT = 20
MOST = 4_000
"""Rows that a page may look at, of 12,000 incidents and 36,000 lines."""
STEPS = 150_000
"""Steps of SQLite's machine that a page may take: to read all incidents takes three times as many."""

Said = list[tuple[str, Any]]


@pytest.fixture(scope="module", params=ENGINES)
def url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    url = new_url(tmp_path_factory.mktemp("lists"), request.param)

    async def fill() -> None:
        where = make_url(url)
        async with migrated(url) as opened:
            if opened.is_sqlite:
                fill_sqlite(Path(str(where.database)), NUMBER)
            else:
                await fill_postgres(str(where.query["host"]), str(where.database), NUMBER)

    asyncio.run(fill())
    return url


@pytest.fixture
async def database(url: str) -> AsyncIterator[Database]:
    opened = Database(url)
    yield opened
    await opened.close()


@dataclass(frozen=True, slots=True)
class One:
    """An incident as it was made."""

    row: dict[str, Any]
    lines: list[dict[str, Any]]
    words: set[str]
    opened_at: datetime

    def stood(self, at: datetime | None) -> dict[str, Any] | None:
        """Its state and severity at a moment; None: it was not known."""
        if at is None:
            return {"state": self.row["state"], "severity": self.row["severity"]}
        moments = [datetime.fromisoformat(f"{line['at']}+00:00") for line in self.lines]
        known = [line for line, moment in zip(self.lines, moments, strict=True) if moment <= at]
        if not known or self.opened_at > at + AHEAD:
            return None
        return {"state": known[-1]["after"], "severity": known[-1]["severity"]}


@pytest.fixture(scope="module")
def everything() -> list[One]:
    return [
        One(
            dict(zip(INCIDENT, incident, strict=True)),
            [dict(zip(LINE, line, strict=True)) for line in lines],
            set(said),
            opened,
        )
        for incident, lines, said, opened in made(NUMBER)
    ]


def expected(everything: list[One], wanted: Filter, at: datetime | None) -> list[str]:
    """Go through everything."""
    found = [one for one in everything if _fits(one, wanted, at)]
    found.sort(key=lambda one: (one.opened_at, one.row["id"]), reverse=True)
    return [one.row["id"] for one in found]


def _fits(one: One, wanted: Filter, at: datetime | None) -> bool:
    stood = one.stood(at)
    if stood is None:
        return False
    words = search.words(wanted.text or "")
    *whole, last = words or [""]
    return (
        (not wanted.states or stood["state"] in wanted.states)
        and (wanted.subjects is None or one.row["subject"] in wanted.subjects)
        and stood["severity"] >= (wanted.severity_min or 0)
        and (wanted.since is None or one.opened_at >= wanted.since)
        and (wanted.until is None or one.opened_at < wanted.until)
        and one.words.issuperset(whole)
        and any(word.startswith(last) for word in one.words if not word.startswith("="))
    )


async def page(database: Database, question: dict[str, Any], after: Place | None) -> list[Any]:
    at, wanted = question.get("at"), Filter(**{k: v for k, v in question.items() if k != "at"})
    async with database.reading() as transaction:
        if at is None:
            return await history.incidents(transaction, wanted, limit=LIMIT, after=after)
        return await past.incidents(transaction, wanted, at, limit=LIMIT, after=after)


NAMES = list(asked(Random(0), NUMBER))


@pytest.mark.parametrize("name", NAMES)
async def test_the_pages_of_a_list_are_what_fits_and_nothing_else(
    name: str, database: Database, everything: list[One]
):
    for seed in range(3):
        question = asked(Random(seed), NUMBER)[name]
        wanted = Filter(**{k: v for k, v in question.items() if k != "at"})
        whole = expected(everything, wanted, question.get("at"))
        seen: list[str] = []
        after: Place | None = None
        for _ in range(4):
            rows = await page(database, question, after)
            seen += [row["id"] for row in rows]
            if len(rows) < LIMIT:
                break
            after = rows[-1]["opened_at"], rows[-1]["id"]

        assert seen == whole[: len(seen)]
        assert len(seen) == min(len(whole), 4 * LIMIT)


@pytest.mark.parametrize("name", NAMES)
async def test_no_page_of_a_list_reads_the_history(name: str, database: Database, url: str):
    for seed in range(3):
        question = asked(Random(seed), NUMBER)[name]
        with overheard(database) as said:
            rows = await page(database, question, None)
            if rows:
                await page(database, question, (rows[-1]["opened_at"], rows[-1]["id"]))
        assert said
        for statement, parameters in said:
            if database.is_sqlite:
                look_at_sqlite(make_url(url).database, statement, parameters)
            else:
                await look_at_postgres(url, statement, parameters)


@contextmanager
def overheard(database: Database) -> Iterator[Said]:
    """Listen to what the database is asked."""
    said: Said = []

    def listen(_c: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        if statement.lstrip().startswith(("SELECT", "WITH")):
            said.append((statement, parameters))

    engine = database.engine.sync_engine
    event.listen(engine, "before_cursor_execute", listen)
    try:
        yield said
    finally:
        event.remove(engine, "before_cursor_execute", listen)


def look_at_sqlite(path: str | None, statement: str, parameters: Any) -> None:
    """Only indexes may be gone through, and not far."""
    with closing(sqlite3.connect(str(path))) as connection:
        plan = connection.execute(f"EXPLAIN QUERY PLAN {statement}", parameters).fetchall()
        lines = [line[3] for line in plan]
        scans = [line for line in lines if line.startswith(("SCAN incidents", "SCAN transitions"))]
        assert all("USING" in line for line in scans), "\n".join([statement, *lines])
        steps = 0

        def step() -> int:
            nonlocal steps
            steps += 100
            return 0

        connection.set_progress_handler(step, 100)
        connection.execute(statement, parameters).fetchall()
    assert steps <= STEPS, "\n".join([statement, *lines])


async def look_at_postgres(url: str, statement: str, parameters: Any) -> None:
    """Count the rows that every part of the plan has looked at."""
    where = make_url(url)
    connection = await asyncpg.connect(
        host=where.query["host"], user="postgres", database=where.database
    )
    try:
        explained = f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}"
        (found,) = json.loads(await connection.fetchval(explained, *parameters))
    finally:
        await connection.close()
    read = sum(_read(found["Plan"]))
    assert read <= MOST, json.dumps(found, indent=1)


def _read(node: dict[str, Any]) -> Iterator[float]:
    if "Relation Name" in node or "Index Name" in node:
        passed = node.get("Rows Removed by Filter", 0) + node.get(
            "Rows Removed by Index Recheck", 0
        )
        yield (node["Actual Rows"] + passed) * node["Actual Loops"]
    for below in node.get("Plans", ()):
        yield from _read(below)
