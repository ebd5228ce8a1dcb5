"""Filter: which incidents a list is asked for, and where a page of it begins."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, bindparam, tuple_

from services.alerter.store.columns import SafeText, UtcDateTime
from uproar.incident import State

WORST: Final = 100

Place = tuple[datetime, str]
"""Where a page of a list ended: opened_at and id of its last incident."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """
    Which incidents are asked for; ``since`` (inclusive) and ``until`` judge ``opened_at``.

    Attributes:
        states: In one of these; one that is named twice counts once.
        sight: The only subjects that whoever asks may see; None: all.
        text: Words that the incident or its evidence mentions, all of them.
    """

    states: Sequence[State] = ()
    subject: str | None = None
    sight: frozenset[str] | None = None
    severity_min: int | None = None
    since: datetime | None = None
    until: datetime | None = None
    text: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "states", tuple(dict.fromkeys(self.states)))

    @property
    def subjects(self) -> list[str] | None:
        """The subjects that are asked for and may be seen; None: all."""
        if self.subject is None:
            return None if self.sight is None else sorted(self.sight)
        seen = self.sight is None or self.subject in self.sight
        return [self.subject] if seen else []


def behind(
    after: Place, opened_at: ColumnElement[Any], incident: ColumnElement[Any]
) -> ColumnElement[bool]:
    """Return the condition that a row comes later in the list than a place."""
    place = tuple_(
        bindparam("opened_at", after[0], UtcDateTime(), unique=True),
        bindparam("id", after[1], SafeText(), unique=True),
    )
    return place > tuple_(opened_at, incident)


def tens_from(least: int) -> tuple[range, range]:
    """
    Cut the severities from ``least`` on into single ones and whole tens, nineteen at most.

    Each is one value of an indexed column, so that a list of it lies there in order; of a range an
    engine sorts or skips all that there ever was.
    """
    whole = -(-least // 10)
    return range(least, min(whole * 10, WORST + 1)), range(whole, WORST // 10 + 1)
