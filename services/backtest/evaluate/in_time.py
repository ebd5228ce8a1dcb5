"""In time: which pages of a dated replay are right, late or false, as the data's README says. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import msgspec

from uproar.backlash import Backlash, Event

FUZZY = timedelta(hours=1)
"""How much before a guessed onset counts, and how long a page is in time at least."""
OPEN: Final = timedelta(hours=12)
"""How long an incident may have been open before the onset for its growth to count."""
NEAR: Final = timedelta(hours=12)
"""A page so near to another real event is not false."""
AFTERMATH: Final = timedelta(hours=72)
"""A page so long after the onset is late, not false: it is the same event."""


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """
    One line of replays.json; other keys are ignored.

    Attributes:
        aliases, handles: What a user would put on the watch list beside the brand.
    """

    id: str
    file: str
    brand: str
    aliases: tuple[str, ...] = ()
    handles: tuple[str, ...] = ()
    kind: str
    expect: str
    onset_utc: datetime | None = None
    onset_fuzzy: bool = False
    latest_useful_utc: datetime | None = None
    earlier_event_utc: datetime | None = None
    score_from_utc: datetime | None = None
    score_to_utc: datetime | None = None
    other_events: tuple[dict[str, Any], ...] = ()
    unscored_utc: tuple[tuple[datetime, datetime], ...] = ()
    subjects_from: str | None = None
    own_from: str | None = None

    @property
    def begin(self) -> datetime:
        """From when on a page is in time."""
        if self.onset_utc is None:
            raise ValueError(f"{self.id} has no onset")
        return self.onset_utc - FUZZY if self.onset_fuzzy else self.onset_utc

    @property
    def until(self) -> datetime:
        """To when a page is in time."""
        if self.onset_utc is None:
            raise ValueError(f"{self.id} has no onset")
        hour = self.onset_utc + FUZZY
        return hour if self.latest_useful_utc is None else max(self.latest_useful_utc, hour)


@dataclass(frozen=True, slots=True)
class Verdict:
    """
    What the pages of one entry are worth.

    Attributes:
        hit: When the event was told in time; None for a miss and where none was to come.
        late: When it was told too late.
        false: Pages where nothing was.
    """

    entry: Entry
    hit: datetime | None
    late: datetime | None
    false: tuple[datetime, ...]


def judge(entry: Entry, events: Sequence[Backlash], siblings: Sequence[Entry] = ()) -> Verdict:
    """
    Judge what detection said of an entry's subject.

    Args:
        entry: What happened.
        events: Of its subject, in order.
        siblings: Other entries of the same brand in the same file: pages at them are not false.
    """
    pages = [event.at for event in events if event.page]
    if entry.expect != "page":
        return Verdict(entry, None, None, tuple(p for p in pages if _judged(entry, p)))
    told = [*pages, *_growth(entry, events)]
    begin, until = entry.begin, entry.until
    hits = [at for at in told if begin <= at <= until]
    end = begin + AFTERMATH
    late = [at for at in told if until < at <= end]
    around = [(begin, end)] + [(s.begin, s.begin + AFTERMATH) for s in siblings]
    for other in entry.other_events:
        at = datetime.fromisoformat(other["utc"])
        around.append((at - NEAR, at + NEAR))
    false = tuple(p for p in pages if not any(a <= p <= b for a, b in around))
    return Verdict(entry, min(hits, default=None), min(late, default=None), false)


def _judged(entry: Entry, page: datetime) -> bool:
    inside = (entry.score_from_utc is None or entry.score_from_utc <= page) and (
        entry.score_to_utc is None or page <= entry.score_to_utc
    )
    return inside and not any(a <= page <= b for a, b in entry.unscored_utc)


def _growth(entry: Entry, events: Sequence[Backlash]) -> list[datetime]:
    """
    Return when an incident that may belong to an earlier real event grew: it was opened at most
    twelve hours before the time that counts, and has paged.
    """
    if entry.earlier_event_utc is None:
        return []
    opened: dict[str, datetime] = {}
    paged: set[str] = set()
    grown = []
    for event in events:
        if event.event is Event.OPENED:
            opened[event.incident] = event.at
        if event.page:
            paged.add(event.incident)
        begun = opened.get(event.incident)
        grew = event.event is Event.GREW and event.incident in paged
        if grew and begun is not None and entry.begin - OPEN <= begun <= event.at:
            grown.append(event.at)
    return grown
