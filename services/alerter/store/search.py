"""Search: which incidents mention some words: FTS5 on SQLite, a tsvector on PostgreSQL."""

import hashlib
import re
import unicodedata
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, text

from services.alerter.store.database import SQLITE, Transaction

TABLE: Final = "search"
_MAX_WORD: Final = 64
_MAX_WORDS: Final = 5000
_PREFIX_FROM: Final = 3  # letters: the last word may be unfinished, as people type it
_WORD: Final = re.compile(r"\w+")
_BITS: Final = 31  # of a row number: below the second at which an incident opened, its first line

# Words are folded here and not by the engines, so that both find the same.
_FTS5: Final = f"""
    CREATE VIRTUAL TABLE {TABLE} USING fts5
    (body, incident UNINDEXED, tokenize = "unicode61 remove_diacritics 0 tokenchars '_'")
"""
_TSVECTOR: Final = f"""
    CREATE TABLE {TABLE} (
        incident text PRIMARY KEY REFERENCES incidents (id),
        opened_at timestamptz NOT NULL,
        terms tsvector NOT NULL
    )
"""
_INDEXES: Final = (
    f"CREATE INDEX ix_search_terms ON {TABLE} USING gin (terms)",
    f"CREATE INDEX ix_search_listed ON {TABLE} (opened_at, incident)",
)
_SAID: Final = """
    SELECT title AS said FROM episodes WHERE incident = :incident
    UNION ALL SELECT title FROM incidents WHERE id = :incident
    UNION ALL SELECT subject_name FROM incidents WHERE id = :incident
    UNION ALL SELECT summary FROM transitions WHERE incident = :incident AND summary IS NOT NULL
    UNION ALL SELECT text FROM evidence WHERE incident = :incident
"""
_PLACE: Final = """
    SELECT incidents.opened_at, incidents.subject, transitions.position FROM incidents
    JOIN transitions ON transitions.incident = incidents.id AND transitions.sequence = 1
    WHERE incidents.id = :incident
"""


def words(said: str) -> list[str]:
    """Take a text apart: lower case, without accents; letters, digits and ``_``, as in names of accounts."""
    plain = unicodedata.normalize("NFKD", said.casefold())
    bare = "".join(char for char in plain if not unicodedata.combining(char))
    return [word[:_MAX_WORD] for word in _WORD.findall(bare)]


def mark(subject: str) -> str:
    """Return the word that stands in everything about a subject, and in no text."""
    return f"subject_{hashlib.blake2b(subject.encode(), digest_size=10).hexdigest()}"


def asked(said: str, subjects: Sequence[str] | None = None, *, sqlite: bool) -> str | None:
    """Return the engine's own query for all of the words about any of the subjects; None: no words."""
    found = words(said)
    if not found:
        return None
    *whole, last = found
    open_ended = len(last) >= _PREFIX_FROM
    end, both, either = ("*", " AND ", " OR ") if sqlite else (":*", " & ", " | ")
    quote = '"' if sqlite else "'"
    terms = [f"{quote}{word}{quote}" for word in whole]
    terms.append(f"{quote}{last}{quote}" + end * open_ended)
    if subjects is not None:
        marks = either.join(f"{quote}{mark(subject)}{quote}" for subject in subjects)
        terms.append(f"({marks})")
    return both.join(terms)


async def index(transaction: Transaction, incident: str) -> None:
    """Write down anew what is said in and of an incident."""
    await transaction.run_sync(_index, incident)


async def row_of(transaction: Transaction, incident: str) -> int:
    """Return the row of an incident on SQLite; 0, behind all, where there is none."""
    found = await transaction.execute(text(_PLACE), {"incident": incident})
    row = found.one_or_none()
    return row_number(_moment(row.opened_at), row.position or 0) if row else 0


def row_number(opened_at: datetime, position: int) -> int:
    """Return the number of its row on SQLite: the rows lie in the order of the list."""
    return (int(opened_at.timestamp()) << _BITS) | (position & ((1 << _BITS) - 1))


def create(connection: Connection) -> None:
    """Make the table; for the migration."""
    if connection.dialect.name == SQLITE:
        connection.execute(text(_FTS5))
        return
    for statement in (_TSVECTOR, *_INDEXES):
        connection.execute(text(statement))


def fill(connection: Connection) -> None:
    """Index every incident; for the migration."""
    for row in connection.execute(text("SELECT id FROM incidents")).all():
        _index(connection, row.id)


def drop(connection: Connection) -> None:
    """Take the table away; for the migration."""
    connection.execute(text(f"DROP TABLE {TABLE}"))


def _index(connection: Connection, incident: str) -> None:
    said = connection.execute(text(_SAID), {"incident": incident}).scalars().all()
    row = connection.execute(text(_PLACE), {"incident": incident}).one_or_none()
    if row is None:
        return
    found = [mark(row.subject), *_words_of(said)]
    if connection.dialect.name == SQLITE:
        number = row_number(_moment(row.opened_at), row.position or 0)
        values: dict[str, Any] = {"row": number, "body": " ".join(found), "incident": incident}
        connection.execute(text(f"DELETE FROM {TABLE} WHERE rowid = :row"), values)  # noqa: S608
        connection.execute(
            text(f"INSERT INTO {TABLE} (rowid, body, incident) VALUES (:row, :body, :incident)"),  # noqa: S608
            values,
        )
        return
    connection.execute(
        text(
            f"INSERT INTO {TABLE} VALUES "  # noqa: S608
            "(:incident, :opened_at, array_to_tsvector(CAST(:terms AS text[]))) "
            "ON CONFLICT (incident) DO UPDATE SET terms = excluded.terms"
        ),
        {"incident": incident, "opened_at": row.opened_at, "terms": sorted(set(found))},
    )


def _words_of(said: Iterable[str | None]) -> Sequence[str]:
    found = (word for one in dict.fromkeys(said) for word in words(one or ""))
    return list(dict.fromkeys(found))[:_MAX_WORDS]


def _moment(stored: Any) -> datetime:
    """Read a time that SQLite gave without its column's type: UTC."""
    return datetime.fromisoformat(f"{stored}+00:00")
