"""A history of incidents in bulk: as many as are asked for, as our own code would have left them."""

import asyncio
import json
import sqlite3
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import asyncpg

from services.alerter.store import search
from services.alerter.store.database import Database
from services.alerter.store.incidents import span_of
from tests.build import NOON, a_why
from uproar.backlash import episode_id
from uproar.subject import SubjectId

SUBJECTS = 200
WORDS = [f"word{n}" for n in range(5000)]
OPEN_AMONG_THE_LAST = 50
BETWEEN = timedelta(minutes=1)
WHY = {
    name: getattr(a_why(), name)
    for name in ("summary", "negative", "baseline", "window_seconds", "statistic", "threshold")
}

INCIDENT = (
    "id", "subject", "subject_name", "kind", "state", "level", "severity", "peak_severity",
    "posts", "authors", "title", "why", "opened_at", "happened_at", "created_at", "updated_at",
    "acknowledged_at", "acknowledged_by", "resolved_at", "resolved_by", "episode", "sequence",
    "began_at",
)  # fmt: skip
LINE = (
    "incident", "sequence", "happened", "before", "after", "at", "happened_at", "by", "level",
    "severity", "posts", "authors", "page", "summary", "episode", "position", "until", "span",
    "subject", "opened_at", "standing",
)  # fmt: skip


def made(count: int) -> Iterator[tuple[dict[str, Any], list[dict[str, Any]], str]]:
    """Make incidents, the oldest first: each with its lines, and the words it is found by."""
    rng = Random(8)
    position = 0
    for number in range(count):
        subject = f"subject-{rng.randrange(SUBJECTS)}"
        opened = NOON + number * BETWEEN
        severity = rng.randrange(101)
        title = f"{rng.randrange(20, 400)} people complain of {rng.choice(WORDS)}"
        about = [search.mark(subject), title]
        said = " ".join([*about, *(rng.choice(WORDS) for _ in range(20))])
        left_open = number >= count - OPEN_AMONG_THE_LAST
        moments = [opened, opened + timedelta(minutes=rng.randrange(1, 90))]
        if not left_open:
            moments.append(moments[-1] + timedelta(minutes=rng.randrange(1, 600)))
        states = ["open", "acknowledged" if rng.random() < 0.5 else "open", "resolved"]
        incident = {
            "id": episode_id(SubjectId(f"{subject}{number}"), opened),
            "subject": subject,
            "subject_name": subject.title(),
            "kind": "brand",
            "state": states[len(moments) - 1],
            "level": "alert",
            "severity": severity,
            "peak_severity": severity,
            "posts": 60,
            "authors": 40,
            "title": title,
            "why": WHY,
            "opened_at": opened,
            "happened_at": moments[-1],
            "created_at": opened,
            "updated_at": moments[-1],
            "acknowledged_at": None,
            "acknowledged_by": None,
            "resolved_at": None if left_open else moments[-1],
            "resolved_by": None if left_open else "uproar",
            "episode": 1,
            "sequence": len(moments),
            "began_at": opened,
        }
        lines = []
        for place, at in enumerate(moments):
            until = moments[place + 1] if place + 1 < len(moments) else None
            position += 1
            lines.append(
                {
                    "incident": incident["id"],
                    "sequence": place + 1,
                    "happened": ("opened", "grew", "ended")[place],
                    "before": states[place - 1] if place else None,
                    "after": states[place],
                    "at": at,
                    "happened_at": at,
                    "by": "uproar",
                    "level": "alert",
                    "severity": severity,
                    "posts": 60,
                    "authors": 40,
                    "page": place == 0,
                    "summary": title,
                    "episode": 1,
                    "position": position,
                    "until": until,
                    "span": span_of(until - at) if until else None,
                    "subject": subject,
                    "opened_at": opened,
                    "standing": {"title": title},
                }
            )
        yield incident, lines, said


def fill_sqlite(path: Path, count: int) -> None:
    """Write them into a migrated file: a row at a time would take an hour."""
    connection = sqlite3.connect(path)
    for pragma in ("journal_mode=WAL", "synchronous=OFF", "cache_size=-400000"):
        connection.execute(f"PRAGMA {pragma}")

    def plain(row: dict[str, Any], names: tuple[str, ...]) -> list[Any]:
        return [_sqlite(row[name]) for name in names]

    def insert(table: str, names: tuple[str, ...]) -> str:
        columns = ", ".join(f'"{name}"' for name in names)
        return f"INSERT INTO {table} ({columns}) VALUES ({', '.join('?' * len(names))})"

    batch: list[Any] = []

    def flush() -> None:
        connection.executemany(
            insert("incidents", INCIDENT), [plain(incident, INCIDENT) for incident, _, _ in batch]
        )
        connection.executemany(
            insert("transitions", LINE),
            [plain(line, LINE) for _, lines, _ in batch for line in lines],
        )
        connection.executemany(
            "INSERT INTO search (rowid, body, incident) VALUES (?, ?, ?)",
            [
                (
                    search.row_number(incident["opened_at"], lines[0]["position"]),
                    said,
                    incident["id"],
                )
                for incident, lines, said in batch
            ],
        )
        connection.commit()
        batch.clear()

    for one in made(count):
        batch.append(one)
        if len(batch) == 20_000:
            flush()
    flush()
    connection.execute("ANALYZE")
    connection.commit()
    connection.close()


async def fill_postgres(database: Database, count: int) -> None:
    """Copy them into a migrated database."""
    url = database.url
    connection = await asyncpg.connect(
        host=url.query["host"], user="postgres", database=url.database
    )
    await connection.set_type_codec(  # COPY speaks binary: version 1, then the text
        "jsonb",
        encoder=lambda value: b"\x01" + json.dumps(value).encode(),
        decoder=lambda raw: json.loads(raw[1:]),
        schema="pg_catalog",
        format="binary",
    )
    batch: list[Any] = []

    async def flush() -> None:
        await connection.copy_records_to_table(
            "incidents",
            records=[tuple(incident[name] for name in INCIDENT) for incident, _, _ in batch],
            columns=INCIDENT,
        )
        await connection.copy_records_to_table(
            "transitions",
            records=[tuple(line[name] for name in LINE) for _, lines, _ in batch for line in lines],
            columns=LINE,
        )
        await connection.executemany(
            "INSERT INTO search VALUES ($1, $2, array_to_tsvector($3::text[]))",
            [
                (incident["id"], incident["opened_at"], sorted(set(search.words(said))))
                for incident, _, said in batch
            ],
        )
        batch.clear()
        await asyncio.sleep(0)

    for one in made(count):
        batch.append(one)
        if len(batch) == 20_000:
            await flush()
    await flush()
    for table in ("incidents", "transitions", "search"):
        await connection.execute(f"VACUUM ANALYZE {table}")
    await connection.close()


def _sqlite(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%M:%S.%f")
    return json.dumps(value) if isinstance(value, dict) else value
