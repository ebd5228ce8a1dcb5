"""
How long a list takes of a history of a million incidents, beside one of a thousand.

Figures are printed (`-s`), as one JSON line a kind; only that the histories are as large as they say is
asserted, no time, for the machine may be shared.
"""

import gc
import json
import math
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from random import Random
from statistics import mean

import pytest
from sqlalchemy import text

from services.alerter.store import history, past
from services.alerter.store.database import Database
from services.alerter.store.filter import Filter
from tests.bench.history import KEPT, asked, kept_in_postgres, kept_in_sqlite
from tests.databases import postgres

SMALL = 1_000
LARGE = int(os.environ.get("INCIDENTS", "1000000"))
TIMES = 150
LIMIT = 51


@dataclass
class Measured:
    """What lists of one kind took, in milliseconds, and how many rows they gave."""

    took: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    rows: list[int] = field(default_factory=list)


async def measured(database: Database, count: int) -> dict[str, Measured]:
    """Ask for lists of each kind."""
    rng = Random(5)
    gc.collect()
    gc.freeze()  # what pytest has loaded is not gone through again in the middle of a list
    found: dict[str, Measured] = {}
    for turn in range(TIMES + 10):
        for name, question in asked(rng, count).items():
            at = question.pop("at", None)
            began, spent = time.perf_counter(), time.process_time()
            async with database.reading() as transaction:
                if at is None:
                    rows = await history.incidents(transaction, Filter(**question), limit=LIMIT)
                else:
                    rows = await past.incidents(transaction, Filter(**question), at, limit=LIMIT)
            if turn >= 10:
                one = found.setdefault(name, Measured())
                one.took.append(1000 * (time.perf_counter() - began))
                one.cpu.append(1000 * (time.process_time() - spent))
                one.rows.append(len(rows))
    return found


def quantile(times: list[float], share: float) -> float:
    return sorted(times)[math.ceil(len(times) * share) - 1]


@pytest.fixture(scope="module")
def socket() -> Iterator[str]:
    with postgres(KEPT / "postgresql") as directory:
        yield directory


async def filled(engine: str, count: int, request: pytest.FixtureRequest) -> Database:
    if engine == "sqlite":
        return Database(await kept_in_sqlite(count))
    socket = request.getfixturevalue("socket")
    return Database(await kept_in_postgres(socket, count))


@pytest.mark.timeout(3000)
@pytest.mark.parametrize("engine", ["sqlite", "postgresql"])
async def test_a_million_incidents_are_listed_as_fast_as_a_thousand(
    engine: str, request: pytest.FixtureRequest
):
    figures = {}
    for count in (SMALL, LARGE):
        database = await filled(engine, count, request)
        async with database.reading() as transaction:
            assert await transaction.scalar(text("SELECT count(*) FROM incidents")) == count
        figures[count] = await measured(database, count)
        await database.close()
    for name, large in figures[LARGE].items():
        small = figures[SMALL][name]
        p99, p99_of_1000 = quantile(large.took, 0.99), quantile(small.took, 0.99)
        cpu, cpu_of_1000 = quantile(large.cpu, 0.99), quantile(small.cpu, 0.99)
        print(
            json.dumps(
                {
                    "engine": engine,
                    "incidents": LARGE,
                    "list": name,
                    "rows": round(mean(large.rows)),
                    "rows_of_1000": round(mean(small.rows)),
                    "p50_ms": round(quantile(large.took, 0.5), 1),
                    "p99_ms": round(p99, 1),
                    "p50_ms_of_1000": round(quantile(small.took, 0.5), 1),
                    "p99_ms_of_1000": round(p99_of_1000, 1),
                    "ratio": round(p99 / p99_of_1000, 2),
                    "cpu_p99_ms": round(cpu, 1),
                    "cpu_ratio": round(cpu / cpu_of_1000, 2),
                }
            )
        )
