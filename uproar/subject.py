"""Subject: whom we watch for. Not who is told of it (routing) and not how a text names it (match)."""

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from datetime import timedelta
from enum import StrEnum
from typing import Any, NewType

from uproar.errors import Malformed

SubjectId = NewType("SubjectId", str)

DEFAULT_BUDGET = "1/month"
TOLD_IN = ("en", "fr")
"""Languages in which people can be told what happened (uproar.notice)."""
_PERIODS = {
    "week": timedelta(days=7),
    "month": timedelta(days=365.25 / 12),
    "year": timedelta(days=365.25),
}


class Kind(StrEnum):
    """What a subject is. A canary is the product's own test post and never shown to people."""

    BRAND = "brand"
    PERSON = "person"
    PRODUCT = "product"
    PLACE = "place"
    CANARY = "canary"


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """
    A brand, person, product or place on the watch list.

    Attributes:
        id: Stable identifier, chosen by the user; letters, digits, ``.``, ``_``, ``-``; <= 100.
        name: How people write it; matched like an alias.
        aliases: Other spellings, matched as whole words.
        handles: Account names on any network, with or without ``@``.
        own_accounts: Accounts of the subject itself; their posts never count as complaints.
        keywords: Further words or phrases that make a post be about the subject.
        exclude: Words or phrases that make a post not be about it (``free shipping``).
        languages: BCP 47 tags to which words are limited; empty for all.
        budget: How often chance may reach the paging level: ``N/week``, ``N/month``, ``N/year``.
        route: Name of the route that pages; None for the default.
        purpose: Why a person is watched; required for ``kind = person``.
        language: In which language people are told of it, ``en`` or ``fr``; a receiver that names
            one of its own is told in that.
    """

    id: SubjectId
    name: str
    kind: Kind = Kind.BRAND
    aliases: tuple[str, ...] = ()
    handles: tuple[str, ...] = ()
    own_accounts: tuple[str, ...] = ()
    keywords: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    languages: tuple[str, ...] = ()
    sector: str | None = None
    country: str | None = None
    budget: str = DEFAULT_BUDGET
    route: str | None = None
    purpose: str | None = None
    language: str | None = None

    def __post_init__(self) -> None:
        if not self.id or len(self.id) > 100 or not all(c.isalnum() or c in "._-" for c in self.id):
            raise Malformed(
                f"subject id {self.id[:100]!r}: use 1 to 100 letters, digits, '.', '_' or '-'"
            )
        if not self.name.strip():
            raise Malformed(f"subject {self.id!r} has no name")
        if self.kind is Kind.PERSON and not (self.purpose or "").strip():
            raise Malformed(f"subject {self.id!r} is a person: say in 'purpose' why it is watched")
        if self.language is not None and self.language not in TOLD_IN:
            raise Malformed(
                f"subject {self.id!r}: language {self.language[:20]!r}: use {' or '.join(TOLD_IN)}"
            )
        alarms_per_day(self.budget)


def alarms_per_day(budget: str) -> float:
    """
    Read an alarm budget.

    Args:
        budget: ``N/week``, ``N/month`` or ``N/year``, N > 0 (a decimal is fine).

    Returns:
        Alarms asked for per day of event time.

    Raises:
        Malformed: The text is no budget.
    """
    number, slash, period = budget.partition("/")
    try:
        count = float(number)
    except ValueError:
        count = 0.0
    if not slash or period.strip() not in _PERIODS or not 0 < count <= 10_000:
        raise Malformed(
            f"budget {budget!r}: write N/week, N/month or N/year, for example '1/month'"
        )
    return count / (_PERIODS[period.strip()] / timedelta(days=1))


def watch_list(document: Mapping[str, Any]) -> tuple[Subject, ...]:
    """
    Read the subjects of a parsed watch list (TOML or JSON: ``{"subject": [{...}, ...]}``).

    Raises:
        Malformed: Which subject is wrong, in which field, and why; an id stands twice.
    """
    tables = document.get("subject", [])
    if not isinstance(tables, list) or not all(isinstance(table, Mapping) for table in tables):
        raise Malformed("'subject' must be a list of tables: write [[subject]] before each")
    subjects = tuple(_subject(table, number) for number, table in enumerate(tables, start=1))
    seen: set[str] = set()
    for subject in subjects:
        if subject.id in seen:
            raise Malformed(f"subject id {subject.id!r} stands twice")
        seen.add(subject.id)
    return subjects


def _subject(table: Mapping[str, Any], number: int) -> Subject:
    given = table.get("id")
    where = f"subject {given[:100] if isinstance(given, str) else f'number {number}'!r}"
    known = {f.name: f for f in fields(Subject)}
    if unknown := sorted(str(key)[:50] for key in set(table) - set(known))[:10]:
        raise Malformed(f"{where}: unknown {', '.join(unknown)}; known are {', '.join(known)}")
    missing = [name for name, f in known.items() if f.default is MISSING and name not in table]
    if missing:
        raise Malformed(f"{where}: {' and '.join(missing)} missing")
    return Subject(**{name: _field(where, name, value) for name, value in table.items()})


def _field(where: str, name: str, value: object) -> Any:
    if name in _LISTS:
        if not isinstance(value, list | tuple) or not all(isinstance(v, str) for v in value):
            raise Malformed(f"{where}: {name} must be a list of texts")
        return tuple(v for v in value if v.strip())
    if name == "kind":
        if not isinstance(value, str) or value not in {kind.value for kind in Kind}:
            raise Malformed(f"{where}: kind must be one of {', '.join(Kind)}")
        return Kind(value)
    if value is not None and not isinstance(value, str):
        raise Malformed(f"{where}: {name} must be a text")
    return value


_LISTS = {"aliases", "handles", "own_accounts", "keywords", "exclude", "languages"}
