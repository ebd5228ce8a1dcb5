"""
Search: the index of what is said in and of incidents: FTS5 on SQLite, a tsvector on PostgreSQL.

What lists are filtered by stands in it too, as marks: words that are in no text. So that a common
word and a rare state are looked up together. What is asked of it: mentions.
"""

import hashlib
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, text

from services.alerter.store.database import SQLITE, Transaction
from services.alerter.store.filter import tens_from
from uproar.subject import Kind

TABLE: Final = "search"
_MAX_WORD: Final = 64
_MAX_WORDS: Final = 5000
_PREFIX_FROM: Final = 3  # letters: the last word may be unfinished, as people type it
_WORD: Final = re.compile(r"\w+")
_MARK: Final = "="  # is in no word, so that nothing that people type is the beginning of a mark
_BITS: Final = 31  # of a row number: below the second at which an incident opened, its first line
_LAST_ROW: Final = 2**63 - 1

# Words are folded here and not by the engines, so that both find the same. FTS5 keeps the
# beginnings of words in the order of the list as well: without that it reads, for an unfinished
# word, every place at which any such word stands, a second for a common one in a million incidents.
_FTS5: Final = f"""
    CREATE VIRTUAL TABLE {TABLE} USING fts5 (
        body, incident UNINDEXED,
        tokenize = "unicode61 remove_diacritics 0 tokenchars '_{_MARK}'", prefix = '3 4 5 6 7 8'
    )
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
    SELECT incidents.opened_at, incidents.subject, incidents.state, incidents.severity,
        incidents.kind, transitions.position
    FROM incidents
    JOIN transitions ON transitions.incident = incidents.id AND transitions.sequence = 1
    WHERE incidents.id = :incident
"""


# ----------------------------------------------------------------------------- words and marks


def words(said: str) -> list[str]:
    """Take a text apart: lower case, without accents; letters, digits and ``_``, as in names of accounts."""
    plain = unicodedata.normalize("NFKD", said.casefold())
    bare = "".join(char for char in plain if not unicodedata.combining(char))
    return [word[:_MAX_WORD] for word in _WORD.findall(bare)]


def marks(*, subject: str, state: str, severity: int) -> list[str]:
    """Return the marks of an incident: whose it is, how it stands, how bad it is."""
    return [_about(subject), _in(state), _severity(severity), _tens(severity // 10)]


def _about(subject: str) -> str:
    return f"{_MARK}{hashlib.blake2b(subject.encode(), digest_size=10).hexdigest()}"


def _in(state: str) -> str:
    return f"{_MARK}{state}"


def _severity(severity: int) -> str:
    return f"{_MARK}{severity}"


def _tens(tens: int) -> str:
    return f"{_MARK}{tens}x"


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """
    What is looked up: all of the words, and of each group of marks at least one.

    Attributes:
        words: Folded, as :func:`words` gives them.
    """

    words: Sequence[str]
    subjects: Sequence[str] | None = None
    states: Sequence[str] = ()
    severity_min: int | None = None

    @property
    def open_ended(self) -> bool:
        """Whether the last word may go on."""
        return len(self.words[-1]) >= _PREFIX_FROM

    def groups(self) -> Iterator[list[str]]:
        """The marks of each filter."""
        if self.subjects is not None:
            yield [_about(subject) for subject in self.subjects]
        if self.states:
            yield [_in(state) for state in self.states]
        if self.severity_min:
            ones, tens = tens_from(self.severity_min)
            yield [*map(_severity, ones), *map(_tens, tens)]

    def query(self, *, sqlite: bool) -> str:
        """Return the engine's own query."""
        end, both, either = ("*", " AND ", " OR ") if sqlite else (":*", " & ", " | ")
        quote = '"' if sqlite else "'"
        *whole, last = self.words
        terms = [f"{quote}{word}{quote}" for word in whole]
        terms.append(f"{quote}{last}{quote}" + end * self.open_ended)
        groups = ([f"{quote}{mark}{quote}" for mark in group] for group in self.groups())
        terms += [f"({either.join(group)})" for group in groups]
        return both.join(terms)

    def holds(self, body: str) -> bool:
        """Tell whether the words, not the marks, stand in what is written down of an incident."""
        found = set(body.split())
        *whole, last = self.words
        if not found.issuperset(whole):
            return False
        return last in found or (self.open_ended and any(word.startswith(last) for word in found))


# ---------------------------------------------------------------------------- what is kept of it


async def index(transaction: Transaction, incident: str) -> None:
    """Write down anew what is said in and of an incident, and how it stands."""
    await transaction.run_sync(_index, incident)


async def row_of(transaction: Transaction, incident: str) -> int:
    """Return the row of an incident on SQLite; 0, behind all, where there is none."""
    found = await transaction.execute(text(_PLACE), {"incident": incident})
    row = found.one_or_none()
    return row_number(_moment(row.opened_at), row.position or 0) if row else 0


def row_number(opened_at: datetime, position: int = 0) -> int:
    """Return the number of its row on SQLite: the rows lie in the order of the list."""
    number = (int(opened_at.timestamp()) << _BITS) | (position & ((1 << _BITS) - 1))
    return max(-_LAST_ROW, min(number, _LAST_ROW))


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
    row = connection.execute(text(_PLACE), {"incident": incident}).one_or_none()
    if row is None or row.kind == Kind.CANARY.value:
        return
    said = connection.execute(text(_SAID), {"incident": incident}).scalars().all()
    known = marks(subject=row.subject, state=row.state, severity=row.severity)
    found = known + _words_of(said)
    if connection.dialect.name == SQLITE:
        number = row_number(_moment(row.opened_at), row.position or 0)
        _replace(connection, number, incident, " ".join(found))
        return
    connection.execute(
        text(
            f"INSERT INTO {TABLE} VALUES "  # noqa: S608
            "(:incident, :opened_at, array_to_tsvector(CAST(:terms AS text[]))) "
            "ON CONFLICT (incident) DO UPDATE SET terms = excluded.terms "
            f"WHERE {TABLE}.terms IS DISTINCT FROM excluded.terms"
        ),
        {"incident": incident, "opened_at": row.opened_at, "terms": sorted(set(found))},
    )


def _replace(connection: Connection, number: int, incident: str, body: str) -> None:
    """Write a row of FTS5 where it says something else: to write one costs milliseconds."""
    values: dict[str, Any] = {"row": number, "body": body, "incident": incident}
    written = connection.execute(
        text(f"SELECT body FROM {TABLE} WHERE rowid = :row"),  # noqa: S608
        values,
    ).scalar()
    if written == body:
        return
    if written is not None:
        connection.execute(text(f"DELETE FROM {TABLE} WHERE rowid = :row"), values)  # noqa: S608
    connection.execute(
        text(f"INSERT INTO {TABLE} (rowid, body, incident) VALUES (:row, :body, :incident)"),  # noqa: S608
        values,
    )


def _words_of(said: Iterable[str | None]) -> list[str]:
    found = (word for one in dict.fromkeys(said) for word in words(one or ""))
    return list(dict.fromkeys(found))[:_MAX_WORDS]


def _moment(stored: Any) -> datetime:
    """Read a time that SQLite gave without its column's type: UTC."""
    return datetime.fromisoformat(f"{stored}+00:00")
