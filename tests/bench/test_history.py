"""How long a list takes of a history of a million incidents, beside one of a thousand."""

import asyncio
import json
import math
import os
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any

import pytest
from sqlalchemy import text

from services.alerter.store import history, past
from services.alerter.store.database import Database
from services.alerter.store.history import Filter
from tests.bench.history import BETWEEN, SUBJECTS, WORDS, fill_postgres, fill_sqlite
from tests.build import NOON
from tests.databases import migrated, new_postgres_url, postgres, sqlite_url
from uproar.incident import State

SMALL = 1_000
LARGE = int(os.environ.get("INCIDENTS", "1000000"))
TIMES = 150
LIMIT = 51
MAX_SECONDS = 0.1  # of q= and as_of=


def asked(rng: Random, count: int) -> dict[str, dict[str, Any]]:
    """Return one random question of each kind."""
    moment = NOON + rng.randrange(count) * BETWEEN
    subject = f"subject-{rng.randrange(SUBJECTS)}"
    word = rng.choice(WORDS)
    return {
        "all": {},
        "deep": {"until": moment},
        "open": {"states": [State.OPEN]},
        "not resolved": {"states": [State.OPEN, State.ACKNOWLEDGED, State.SNOOZED]},
        "resolved": {"states": [State.RESOLVED]},
        "two states": {"states": [State.OPEN, State.RESOLVED]},
        "subject": {"subject": subject},
        "subject, open": {"subject": subject, "states": [State.OPEN]},
        "severity 30": {"severity_min": 30},
        "severity 100": {"severity_min": 100},
        "since, until": {"since": moment, "until": moment + timedelta(days=1)},
        "sight": {"sight": frozenset({subject, "subject-1", "subject-2"})},
        "q": {"text": word},
        "q common": {"text": "people complain"},
        "q two": {"text": f"{word} {rng.choice(WORDS)}"},
        "q, subject": {"text": word, "subject": subject},
        "as_of": {"at": moment},
        "as_of open": {"at": moment, "states": [State.OPEN]},
        "as_of resolved": {"at": moment, "states": [State.RESOLVED]},
        "as_of subject": {"at": moment, "subject": subject},
        "as_of q": {"at": moment, "text": word},
    }


async def measured(database: Database, count: int) -> dict[str, tuple[float, float, float]]:
    """Return p50, p99, and p99 of this process's CPU time, in milliseconds, of each kind."""
    rng = Random(5)
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
    with postgres() as directory:
        yield directory


async def filled(engine: str, count: int, directory: Path, socket: Any) -> Database:
    url = sqlite_url(directory)
    if engine == "postgresql":
        url = await asyncio.to_thread(new_postgres_url, socket())
    async with migrated(url) as database:
        if engine == "postgresql":
            await fill_postgres(database, count)
    if engine == "sqlite":
        await asyncio.to_thread(fill_sqlite, directory / "uproar.db", count)
    return Database(url)


@pytest.mark.timeout(3000)
@pytest.mark.parametrize("engine", ["sqlite", "postgresql"])
async def test_a_million_incidents_are_listed_as_fast_as_a_thousand(
    engine: str, tmp_path: Path, request: pytest.FixtureRequest
):
    """Prints one JSON line a kind; asserts no time, for the machine may be shared."""
    server = lambda: request.getfixturevalue("socket")
    figures = {}
    for count in (SMALL, LARGE):
        directory = tmp_path / str(count)
        directory.mkdir()
        database = await filled(engine, count, directory, server)
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
                    "p99_ms_of_1000": round(small[1], 1),
                    "ratio": round(p99 / small[1], 2),
                    "cpu_p99_ms": round(cpu, 1),
                    "cpu_ratio": round(cpu / small[2], 2),
                }
            )
        )
