"""Reasons: why each thing that happened to an incident paged, or did not, in plain sentences."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from uproar.incident import Happening


def explained(
    lines: Sequence[Mapping[str, Any]], told: Iterable[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """
    Explain each line of a timeline.

    Args:
        lines: Rows of the timeline, the first first.
        told: Rows of the deliveries of the incident.

    Returns:
        For each line its sequence, time, what happened, whether it paged, reasons, who was told.
    """
    receivers: dict[int, list[str]] = {}
    for delivery in told:
        receivers.setdefault(delivery["sequence"], []).append(delivery["receiver"])
    return [
        {
            "sequence": line["sequence"],
            "at": line["at"],
            "happened": line["happened"],
            "page": line["page"],
            "reasons": list(_reasons(line, receivers.get(line["sequence"], []))),
            "told": sorted(set(receivers.get(line["sequence"], []))),
        }
        for line in lines
    ]


def _reasons(line: Mapping[str, Any], told: Sequence[str]) -> Iterable[str]:
    standing = line["standing"] or {}
    detected = line["happened_at"] is not None
    if detected:
        yield from _numbers(standing.get("why") or {})
        yield _page(line)
    else:
        yield f"{line['by']} did it, {line['via'] or 'from an unknown surface'}."
    if detected and standing.get("verdict"):
        yield f"It is muted: {standing.get('verdict_by')} called this episode a false alarm."
    if detected and standing.get("merged_into"):
        yield f"It is muted: {standing['merged_into']} speaks for it."
    if line["page"] and not told:
        yield "Nobody was told: a silence held it back, or the route has no receiver for this level."


def _numbers(why: Mapping[str, Any]) -> Iterable[str]:
    if not why:
        return
    minutes = round(why["window_seconds"] / 60)
    reached = "reaches" if why["statistic"] >= why["threshold"] else "is below"
    yield (
        f"{why['negative']:g} people complained within {minutes} min, {why['baseline']:g} were "
        f"expected: a surprise of {why['statistic']:g}, which {reached} the {why['threshold']:g} "
        "of the paging level."
    )
    for gate, verdict in sorted((why.get("gates") or {}).items()):
        yield f"Gate {gate}: {verdict}."


def _page(line: Mapping[str, Any]) -> str:
    if line["page"]:
        return f"It paged: it first reached {line['level']}."
    happened = Happening(line["happened"])
    if happened in {Happening.SUBSIDED, Happening.ENDED}:
        return "It did not page: it calms down."
    if line["level"] == "watch":
        return "It did not page: level watch is below the paging level."
    return f"It did not page: it had reached {line['level']} before."
