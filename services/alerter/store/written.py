"""Written: every place where people write what they please, and the name of an account in it."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Column, ColumnElement, Text, and_, cast, delete, null, select, update

from services.alerter.store.columns import SafeJson
from services.alerter.store.database import Transaction
from services.alerter.store.tables import (
    ANSWERS,
    AUDIT,
    DELIVERIES,
    EPISODES,
    INCIDENTS,
    SILENCES,
    TRANSITIONS,
)

ERASED: Final = "[erased]"
_PLAIN: Final = re.compile(r"[A-Za-z0-9_]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """
    A column in which people's own words stand.

    Attributes:
        what: What people call it.
        column: Where the words stand: a text, or a JSON value whose every text counts.
        member: Of a JSON object only this one: the others are read by machines.
        at: When they were written.
        incident: Of which incident they are; None: of none.
        only: Which rows hold words of people; None: all.
        goes: The row goes with the name: the text is JSON, and not to be mended.
    """

    what: str
    column: Column[Any]
    member: str | None = None
    at: Column[Any]
    incident: Column[Any] | None = None
    only: ColumnElement[bool] | None = None
    goes: bool = False

    @property
    def key(self) -> list[Column[Any]]:
        """What names a row."""
        return list(self.column.table.primary_key)

    def may_name(self, account: str) -> ColumnElement[bool]:
        """Ask for rows that may name an account: engines fold and escape only what is ASCII alike."""
        said: ColumnElement[Any] = self.column
        if isinstance(self.column.type, SafeJson):
            whole = cast(self.column, Text)
            said = self.column[self.member].as_string() if self.member else whole
        plain = max(_PLAIN.findall(account), key=len, default="")
        names = said.icontains(plain, autoescape=True) if plain else said.is_not(None)
        return names if self.only is None else self.only & names

    def texts(self, value: Any) -> Iterator[str]:
        """Every text of what the column holds."""
        yield from _texts(value[self.member] if self.member and value else value)

    def changed(self, value: Any, change: Callable[[str], str]) -> Any:
        """Return what the column holds with each of its texts changed."""
        if self.member and value:
            return value | {self.member: _changed(value[self.member], change)}
        return _changed(value, change)


PLACES: Final = (
    Place(
        what="reason",
        column=INCIDENTS.c.verdict_reason,
        at=INCIDENTS.c.updated_at,
        incident=INCIDENTS.c.id,
    ),
    Place(
        what="reason",
        column=EPISODES.c.verdict_reason,
        at=EPISODES.c.happened_at,
        incident=EPISODES.c.incident,
    ),
    Place(
        what="note",
        column=TRANSITIONS.c.summary,
        at=TRANSITIONS.c.at,
        incident=TRANSITIONS.c.incident,
        only=TRANSITIONS.c.backlash.is_(None),
    ),
    Place(
        what="version",
        column=TRANSITIONS.c.standing,
        member="verdict_reason",
        at=TRANSITIONS.c.at,
        incident=TRANSITIONS.c.incident,
    ),
    Place(
        what="message",
        column=DELIVERIES.c.payload,
        member="changed",  # it quotes the note
        at=DELIVERIES.c.created_at,
        incident=DELIVERIES.c.incident,
    ),
    Place(
        what="message",
        column=DELIVERIES.c.last_error,  # a receiver may say again what it was told
        at=DELIVERIES.c.created_at,
        incident=DELIVERIES.c.incident,
    ),
    Place(what="silence", column=SILENCES.c.reason, at=SILENCES.c.created_at),
    Place(what="audit", column=AUDIT.c.detail, at=AUDIT.c.at),
    Place(what="answer", column=ANSWERS.c.body, at=ANSWERS.c.created_at, goes=True),
)
"""All of them: what is found and what is erased, and what a new column of this kind must join."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Naming:
    """A row that names an account, and its words."""

    place: Place
    key: Sequence[Any]
    incident: str | None
    at: datetime
    text: str


async def naming(transaction: Transaction, account: str) -> list[Naming]:
    """Return every row in which people name an account as a whole word, with or without ``@``."""
    found = []
    for place in PLACES:
        whose = null() if place.incident is None else place.incident
        query = select(*place.key, place.at, whose, place.column)
        rows = await transaction.execute(query.where(place.may_name(account)))
        for *key, at, incident, value in rows:
            said = [text for text in place.texts(value) if without(account, text) != text]
            if said:
                words = " ".join(said)
                row = Naming(place=place, key=key, incident=incident, at=at, text=words)
                found.append(row)
    return found


async def blank(transaction: Transaction, found: Sequence[Naming], account: str) -> None:
    """Take an account's name out of rows that name it."""
    for one in found:
        place = one.place
        row = and_(*(column == part for column, part in zip(place.key, one.key, strict=True)))
        if place.goes:
            await transaction.execute(delete(place.column.table).where(row))
            continue
        value = await transaction.scalar(select(place.column).where(row))
        changed = place.changed(value, lambda text: without(account, text))
        if changed != value:
            values = {place.column: changed}
            await transaction.execute(update(place.column.table).where(row).values(values))


def without(account: str, text: str) -> str:
    """Return a text without the name of an account; done again, it changes nothing."""
    name = re.compile(rf"(?<!\w)@?{re.escape(account)}(?!\w)", re.IGNORECASE)
    return ERASED.join(name.sub(ERASED, part) for part in text.split(ERASED))


def _texts(value: Any) -> Iterator[str]:
    match value:
        case str():
            yield value
        case dict():
            for item in value.values():
                yield from _texts(item)
        case list():
            for item in value:
                yield from _texts(item)


def _changed(value: Any, change: Callable[[str], str]) -> Any:
    match value:
        case str():
            return change(value)
        case dict():
            return {name: _changed(item, change) for name, item in value.items()}
        case list():
            return [_changed(item, change) for item in value]
        case _:
            return value
