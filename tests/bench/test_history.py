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
from random import Random

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


async def measured(database: Database, count: int) -> dict[str, tuple[float, float, float]]:
    """Return p50, p99, and p99 of this process's CPU time, in milliseconds, of each kind."""
    rng = Random(5)
    gc.collect()
    gc.freeze()  # what pytest has loaded is not gone through again in the middle of a list
    took: dict[str, list[float]] = {}
    used: dict[str, list[float]] = {}
    for turn in range(TIMES + 10):
        for name, question in asked(rng, count).items():
            at = question.pop("at", None)
            began, spent = time.perf_counter(), time.process_time()
            async with database.reading() as transaction:
                if at is None:
                    await history.incidents(transaction, Filter(**question), limit=LIMIT)
                else:
                    await past.incidents(transaction, Filter(**question), at, limit=LIMIT)
            if turn >= 10:
                took.setdefault(name, []).append(1000 * (time.perf_counter() - began))
                used.setdefault(name, []).append(1000 * (time.process_time() - spent))
    return {
        name: (quantile(times, 0.5), quantile(times, 0.99), quantile(used[name], 0.99))
        for name, times in took.items()
    }


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
    for name, (p50, p99, cpu) in figures[LARGE].items():
        small = figures[SMALL][name]
        print(
            json.dumps(
                {
                    "engine": engine,
                    "incidents": LARGE,
                    "list": name,
                    "p50_ms": round(p50, 1),
                    "p99_ms": round(p99, 1),
                    "p50_ms_of_1000": round(small[0], 1),
                    "p99_ms_of_1000": round(small[1], 1),
                    "ratio": round(p99 / small[1], 2),
                    "cpu_p99_ms": round(cpu, 1),
                    "cpu_ratio": round(cpu / small[2], 2),
                }
            )
        )
