"""Lessons: how fast people were told and answered, and what to ask oneself afterwards."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from uproar.incident import UPROAR, Happening

_SLOW: Final = timedelta(minutes=15)

Rows = Sequence[Mapping[str, Any]]


def measured(row: Mapping[str, Any], lines: Rows, told: Rows) -> list[tuple[str, str]]:
    """Return what can be measured of the work on an incident: a name and a time or count."""
    opened = lines[0]["at"] if lines else row["created_at"]
    return [
        ("First notice delivered after", _span(_first_delivered(told), opened)),
        ("Somebody was on it after", _span(_first(lines, Happening.ACKNOWLEDGE), opened)),
        ("Closed after", _span(row["resolved_at"], opened)),
        ("Pages", str(sum(1 for line in lines if line["page"]))),
        ("Notices delivered", str(sum(1 for one in told if one["delivered_at"]))),
        ("Episodes", str(row["episode"])),
    ]


def lessons(row: Mapping[str, Any], lines: Rows, told: Rows) -> list[str]:
    """Return what the course of an incident asks of those who worked on it."""
    opened = lines[0]["at"] if lines else row["created_at"]
    taken = _first(lines, Happening.ACKNOWLEDGE)
    paged = [line for line in lines if line["page"]]
    said = []
    if paged and taken is None:
        said.append("Nobody acknowledged it: who was on call, and did the page reach them?")
    elif paged and taken is not None and taken - opened > _SLOW:
        said.append("It took more than 15 minutes until somebody was on it: what held them up?")
    if any(one["state"] == "dead" for one in told):
        said.append("A notice could not be delivered: mend that receiver, and try it.")
    if row["verdict"]:
        said.append("It was a false alarm: would an excluded word or a larger budget spare it?")
    elif not paged:
        said.append("It never paged: was it worth watching, or should it have paged?")
    if row["episode"] > 1:
        said.append("It came back: what did the answer to the first wave leave open?")
    if row["resolved_by"] == UPROAR:
        said.append("It ended by itself: was anything promised in public that must be kept?")
    said.append("What would you say sooner, and who needs to know it next time?")
    return said


def _first(lines: Rows, happened: Happening) -> datetime | None:
    return next((line["at"] for line in lines if line["happened"] == happened.value), None)


def _first_delivered(told: Rows) -> datetime | None:
    return min((one["delivered_at"] for one in told if one["delivered_at"]), default=None)


def _span(moment: datetime | None, since: datetime) -> str:
    if moment is None:
        return "—"
    minutes, seconds = divmod(round((moment - since).total_seconds()), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min {seconds:02} s"
