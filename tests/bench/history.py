"""
A history of incidents in bulk: as many as are asked for, as our own code would have left them.

It is kept in ``build/history`` and used again: to make a million takes minutes.
"""

import asyncio
import csv
import io
import json
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import datetime, timedelta
from itertools import chain, islice
from pathlib import Path
from random import Random
from typing import Any

import asyncpg

from services.alerter.store import search
from services.alerter.store.incidents import span_of
from tests.build import NOON, a_why
from tests.databases import migrated, sqlite_url
from uproar.backlash import episode_id
from uproar.incident import State
from uproar.subject import SubjectId

KEPT = Path(__file__).parents[2] / "build" / "history"
SUBJECTS = 200
WORDS = [f"word{n}" for n in range(5000)]
OPEN_AMONG_THE_LAST = 50
BETWEEN = timedelta(minutes=1)
AT_ONCE = 20_000
VERSION = 3
"""Of what is made here: what was kept by another one is not used."""
WHY = json.dumps(
    {
        name: getattr(a_why(), name)
        for name in ("summary", "negative", "baseline", "window_seconds", "statistic", "threshold")
    }
)

INCIDENT = (
    "id", "subject", "subject_name", "kind", "state", "level", "severity", "peak_severity",
    "posts", "authors", "title", "why", "opened_at", "happened_at", "created_at", "updated_at",
    "resolved_at", "resolved_by", "episode", "sequence", "began_at",
)  # fmt: skip
LINE = (
    "incident", "sequence", "happened", "before", "after", "at", "happened_at", "by", "level",
    "severity", "posts", "authors", "page", "summary", "episode", "position", "until", "span",
    "subject", "opened_at", "standing",
)  # fmt: skip
HAPPENED = ("opened", "grew", "ended")

Row = tuple[Any, ...]
Made = tuple[Row, list[Row], list[str], datetime]
"""An incident, its lines, the words and marks it is found by, and when it opened."""


def made(count: int) -> Iterator[Made]:
    """Make incidents, the oldest first; times are texts, as both engines read them."""
    rng = Random(8)
    position = 0
    for number in range(count):
        subject = f"subject-{rng.randrange(SUBJECTS)}"
        opened = NOON + number * BETWEEN
        severity = rng.randrange(101)
        title = f"{rng.randrange(20, 400)} people complain of {rng.choice(WORDS)}"
        moments = [opened, opened + timedelta(minutes=rng.randrange(1, 90))]
        left_open = number >= count - OPEN_AMONG_THE_LAST
        if not left_open:
            moments.append(moments[-1] + timedelta(minutes=rng.randrange(1, 600)))
        states = ("open", "acknowledged" if rng.random() < 0.5 else "open", "resolved")
        state = states[len(moments) - 1]
        name = episode_id(SubjectId(f"{subject}{number}"), opened)
        told = [_text(moment) for moment in moments]
        ended = (None, None) if left_open else (told[-1], "uproar")
        incident = (
            name, subject, subject.title(), "brand", state, "alert", severity, severity,
            60, 40, title, WHY, told[0], told[-1], told[0], told[-1],
            *ended, 1, len(moments), told[0],
        )  # fmt: skip
        standing = json.dumps({"title": title})
        lines = []
        for place, at in enumerate(moments):
            last = place + 1 == len(moments)
            span = None if last else span_of(moments[place + 1] - at)
            position += 1
            lines.append(
                (
                    name, place + 1, HAPPENED[place], states[place - 1] if place else None,
                    states[place], told[place], told[place], "uproar", "alert", severity, 60, 40,
                    place == 0, title, 1, position, None if last else told[place + 1], span,
                    subject, told[0], standing,
                )
            )  # fmt: skip
        marks = search.marks(subject=subject, state=state, severity=severity)
        said = " ".join([title, *rng.choices(WORDS, k=20)])
        yield incident, lines, list(dict.fromkeys(marks + search.words(said))), opened


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
        "severity 65": {"severity_min": 65},
        "severity 91": {"severity_min": 91},
        "severity 100": {"severity_min": 100},
        "severity 100, open": {"severity_min": 100, "states": [State.OPEN]},
        "severity 100, resolved": {"severity_min": 100, "states": [State.RESOLVED]},
        "severity 90, subject": {"severity_min": 90, "subject": subject},
        "since, until": {"since": moment, "until": moment + timedelta(days=1)},
        "sight": {"sight": frozenset({subject, "subject-1", "subject-2"})},
        "wide sight": {"sight": frozenset(f"subject-{n}" for n in range(0, SUBJECTS, 2))},
        "q": {"text": word},
        "q common": {"text": "people complain"},
        "q common, open": {"text": "people complain", "states": [State.OPEN]},
        "q common, resolved": {"text": "people", "states": [State.RESOLVED]},
        "q common, severity 100": {"text": "people complain", "severity_min": 100},
        "q common, subject": {"text": "people complain", "subject": subject},
        "q common, deep": {"text": "people complain", "until": moment},
        "q two": {"text": f"{word} {rng.choice(WORDS)}"},
        "q, subject": {"text": word, "subject": subject},
        "as_of": {"at": moment},
        "as_of open": {"at": moment, "states": [State.OPEN]},
        "as_of resolved": {"at": moment, "states": [State.RESOLVED]},
        "as_of subject": {"at": moment, "subject": subject},
        "as_of severity 95": {"at": moment, "severity_min": 95},
        "as_of q": {"at": moment, "text": word},
        "as_of q common": {"at": moment, "text": "people complain"},
        "as_of q open": {"at": moment, "text": "people", "states": [State.OPEN]},
        "as_of q subject": {"at": moment, "text": "people", "subject": subject},
    }


def _text(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S}.000000"


def _batches(count: int) -> Iterator[list[Made]]:
    every = made(count)
    while batch := list(islice(every, AT_ONCE)):
        yield batch


# ------------------------------------------------------------------------------------- SQLite


async def kept_in_sqlite(count: int) -> str:
    """Return the URL of a file that holds so many."""
    folder = KEPT / f"sqlite-{count}-{VERSION}"
    if not (folder / "done").exists():
        folder.mkdir(parents=True, exist_ok=True)
        for left in folder.glob("uproar.db*"):
            left.unlink()
        async with migrated(sqlite_url(folder)):
            pass
        await asyncio.to_thread(fill_sqlite, folder / "uproar.db", count)
        (folder / "done").touch()
    return sqlite_url(folder)


def fill_sqlite(path: Path, count: int) -> None:
    """Write so many into a migrated file."""
    with closing(sqlite3.connect(path)) as connection:
        for pragma in ("synchronous=OFF", "cache_size=-400000", "foreign_keys=OFF"):
            connection.execute(f"PRAGMA {pragma}")
        indexes = connection.execute(
            "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL "
            "AND tbl_name IN ('incidents', 'transitions')"
        ).fetchall()
        for name, _ in indexes:
            connection.execute(f"DROP INDEX {name}")
        for batch in _batches(count):
            _insert(connection, "incidents", INCIDENT, [one[0] for one in batch])
            _insert(connection, "transitions", LINE, list(chain(*(one[1] for one in batch))))
            found = [
                (search.row_number(opened, lines[0][LINE.index("position")]), " ".join(said), of[0])
                for of, lines, said, opened in batch
            ]
            _insert(connection, search.TABLE, ("rowid", "body", "incident"), found)
            connection.commit()
        for _, definition in indexes:  # sorted at once: to keep them meanwhile takes far longer
            connection.execute(definition)
        connection.commit()


def _insert(
    connection: sqlite3.Connection, table: str, names: Sequence[str], rows: Sequence[Row]
) -> None:
    columns = ", ".join(f'"{name}"' for name in names)
    marks = ", ".join("?" * len(names))
    connection.executemany(f"INSERT INTO {table} ({columns}) VALUES ({marks})", rows)


# --------------------------------------------------------------------------------- PostgreSQL


async def kept_in_postgres(socket: str, count: int) -> str:
    """Return the URL of a database that holds so many, on a server whose folder is kept."""
    name = f"history_{count}_{VERSION}"
    url = f"postgresql+asyncpg://postgres@/{{}}?host={socket}"
    server = await asyncpg.connect(host=socket, user="postgres", database="postgres")
    known = "SELECT 1 FROM pg_database WHERE datname = $1"
    if not await server.fetchval(known, name):
        await server.execute("DROP DATABASE IF EXISTS unfinished")
        await server.execute("CREATE DATABASE unfinished")
        async with migrated(url.format("unfinished")):
            pass
        await fill_postgres(socket, "unfinished", count)
        await server.execute(f"ALTER DATABASE unfinished RENAME TO {name}")
    await server.close()
    return url.format(name)


async def fill_postgres(socket: str, name: str, count: int) -> None:
    """Copy so many into a migrated database."""
    connection = await asyncpg.connect(
        host=socket,
        user="postgres",
        database=name,
        server_settings={
            "timezone": "UTC",
            "synchronous_commit": "off",
            "maintenance_work_mem": "512MB",
            "session_replication_role": "replica",  # no foreign keys: all is there in the end
        },
    )
    indexes = await connection.fetch(
        "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public' "
        "AND tablename IN ('incidents', 'transitions', 'search') AND indexname NOT LIKE 'pk_%' "
        "AND indexname NOT LIKE '%_pkey'"
    )
    for index in indexes:
        await connection.execute(f"DROP INDEX {index['indexname']}")
    for batch in _batches(count):
        await _copy(connection, "incidents", INCIDENT, [one[0] for one in batch])
        await _copy(connection, "transitions", LINE, list(chain(*(one[1] for one in batch))))
        found = [
            (of[0], _text(opened), " ".join(f"'{word}'" for word in said))
            for of, _, said, opened in batch
        ]
        await _copy(connection, search.TABLE, ("incident", "opened_at", "terms"), found)
    for index in indexes:
        await connection.execute(index["indexdef"])
    for table in ("incidents", "transitions", "search"):
        await connection.execute(f"VACUUM ANALYZE {table}")
    await connection.close()


async def _copy(
    connection: asyncpg.Connection, table: str, names: Sequence[str], rows: Sequence[Row]
) -> None:
    written = io.StringIO()
    csv.writer(written).writerows(rows)
    source = io.BytesIO(written.getvalue().encode())
    await connection.copy_to_table(table, source=source, columns=names, format="csv")
