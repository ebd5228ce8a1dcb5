"""Report: an incident as one page to read and to print: what happened, who did what, what to learn."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

import jinja2

from services.alerter.report.chart import drawn
from services.alerter.report.lessons import lessons, measured
from services.alerter.report.reasons import explained
from services.alerter.store import deliveries, history, readings
from services.alerter.store.database import Transaction

HEADERS: Final[Mapping[str, str]] = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
_AROUND: Final = timedelta(hours=6)
_READINGS: Final = 1000
_TEMPLATES: Final = jinja2.Environment(
    loader=jinja2.FileSystemLoader(Path(__file__).parent),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def _when(moment: datetime | None) -> str:
    return moment.strftime("%-d %b %Y, %H:%M") + " UTC" if moment else "—"


_TEMPLATES.filters |= {"when": _when}


async def rendered(transaction: Transaction, row: Mapping[str, Any], *, now: datetime) -> str:
    """Return the report of an incident, a row of the store's history, as HTML."""
    lines = await history.timeline(transaction, row["id"])
    told = await deliveries.of_incident(transaction, row["id"])
    seen = await _readings(transaction, row)
    return _TEMPLATES.get_template("report.html").render(
        row=row,
        now=now,
        lines=lines,
        explained={one["sequence"]: one for one in explained(lines, told)},
        decisions=[line for line in lines if line["happened_at"] is None],
        evidence=await history.evidence(transaction, row["id"]),
        episodes=await history.episodes(transaction, row["id"]),
        told=told,
        chart=drawn(seen, lines),
        measures=measured(row, lines, told),
        lessons=lessons(row, lines, told),
    )


async def _readings(transaction: Transaction, row: Mapping[str, Any]) -> Sequence[dict[str, Any]]:
    began = row["began_at"] or row["opened_at"]
    found = await readings.page(
        transaction,
        row["subject"],
        since=began - _AROUND,
        until=row["happened_at"] + _AROUND,
        limit=_READINGS,
    )
    return [reading for reading in reversed(found) if not reading["decision"]]
