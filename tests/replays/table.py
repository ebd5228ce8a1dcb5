"""Table: of each recorded stream what was paged, when, and whether the product says the same."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from services.backtest.evaluate.in_time import Entry, Verdict, judge
from tests.replays.book import Done
from tests.replays.stream import Stream

INTRODUCTION = """# Recorded streams through the whole product

Dated streams of the research data, which uproar does not ship, go through ingest, broker, classifier and alerter:
unthrottled over 1, 4 and 12 partitions, once at x 10,000, and three hours of one at x 100 (they bring no
event, as a subject is only just known: what is tried is the pace). Each backlash event is held
against `uproar backtest` on the same posts, all fields and the ids of its evidence included.
`make replays REPLAYS="--write docs/replays.md"` writes this page; it goes on where it was interrupted.

*Expected* is what the data's index says; *paged* is the first page in its time, or late; *wrongly paged* are the pages where
nothing was. "page" means that somebody is woken; incidents that never came to a page are not in the table.
"""
HEAD = (
    "| replay | expected | paged | minutes after onset | wrongly paged | product equals back-test |",
    "|---|---|---|---|---|---|",
)


def table(every: Sequence[Stream], done: Sequence[Done]) -> str:
    """Write the table in Markdown; a stream that has not run yet is left out."""
    lines = list(HEAD)
    for stream in every:
        mine = [one for one in done if one.stream == stream.name]
        whole = next((one for one in mine if one.speed != 100.0), None)
        if whole is None:
            continue
        events = [event.event() for event in whole.expected]
        for entry in stream.entries:
            siblings = [one for one in stream.entries if one is not entry and one.onset_utc]
            lines.append(_row(judge(entry, events, siblings), mine))
    return "\n".join(lines)


def _row(verdict: Verdict, done: Sequence[Done]) -> str:
    entry = verdict.entry
    cells = [
        entry.id,
        entry.expect.replace("_", " "),
        *_paged(verdict),
        _false(verdict),
        _equal(done),
    ]
    return f"| {' | '.join(cells)} |"


def _paged(verdict: Verdict) -> tuple[str, str]:
    entry = verdict.entry
    first = verdict.hit or verdict.late
    if entry.expect != "page":
        return "-", "-"
    if first is None:
        return "missed", "-"
    how = "" if verdict.hit else " (late)"
    return f"{first:%Y-%m-%d %H:%M}{how}", _minutes(entry, first)


def _minutes(entry: Entry, first: datetime) -> str:
    if entry.onset_utc is None:
        raise ValueError(f"{entry.id} has no onset")
    about = "about " if entry.onset_fuzzy else ""
    return f"{about}{(first - entry.onset_utc) / timedelta(minutes=1):.0f}"


def _false(verdict: Verdict) -> str:
    if verdict.entry.expect == "unscored":
        return f"({len(verdict.false)}, unscored)"
    if not verdict.false:
        return "0"
    return f"{len(verdict.false)}: " + ", ".join(f"{page:%m-%d %H:%M}" for page in verdict.false)


def _equal(done: Sequence[Done]) -> str:
    same = [_run(one) for one in done if not one.differences]
    other = [
        f"**{_run(one)}: {len(one.differences)} differences**" for one in done if one.differences
    ]
    return "; ".join([f"equal: {', '.join(same)}"] * bool(same) + other)


def _run(done: Done) -> str:
    return str(done.partitions) if done.speed is None else f"x {done.speed:,.0f}"
