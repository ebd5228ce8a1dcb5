"""Standing: what a receiver must know of each incident in the end, whatever happened on the way."""

import sqlite3
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

from tests.chaos.plan import Plan
from tests.chaos.world import World

_SLOWEST = ("open", "acknowledged", "resolved")
_ALERT = {"triggered": "open", "acknowledged": "acknowledged", "resolved": "resolved"}


def dormant(path: Path) -> int:
    """How many incidents sleep, or have something that a silence holds back."""
    query = "SELECT count(*) FROM incidents WHERE state = 'snoozed' OR hushed IS NOT NULL"
    with closing(sqlite3.connect(path)) as connection:
        return int(connection.execute(query).fetchone()[0])


def misled(
    world: World,
    plan: Plan,
    states: dict[str, str],
    rows: Sequence[sqlite3.Row],
    woken: set[str],
) -> Iterator[str]:
    """
    Name whoever does not know how an incident stands, though they know of it or somebody must take it.

    What was put away in a silence before anybody heard that it rose, or rose again, is told to
    nobody: PagerDuty could only learn of it by being rung. What a receiver refused for good it does not know. PagerDuty rings again for what pages
    though somebody has it (``woken``).
    """
    dead = {(row["receiver"], row["incident"]) for row in rows if row["state"] == "dead"}
    risen = _risen(rows)
    for receiver in plan.receivers:
        known = _KNOWN[receiver](world, rows, states)
        for incident, state in states.items():
            told = known.get(incident)
            unheard = told is None or (told == "resolved" and (receiver, incident) not in risen)
            if (receiver, incident) in dead or (unheard and state != "open"):
                continue
            if incident in woken and (receiver, told) == ("pagerduty", "open"):
                continue
            if told != state:
                yield f"{receiver} takes {incident}, which is {state}, for {told or 'nothing'}"


def _risen(rows: Sequence[sqlite3.Row]) -> set[tuple[str, str]]:
    """Name receivers and incidents that they were told of since the last end, in its last wave."""
    newest: dict[str, int] = {}
    ended: dict[tuple[str, str], int] = {}
    for row in rows:
        newest[row["incident"]] = max(newest.get(row["incident"], 0), row["episode"])
        if row["kind"] == "resolve":
            who = row["receiver"], row["incident"]
            ended[who] = max(ended.get(who, 0), row["sequence"])
    return {
        who
        for row in rows
        if row["kind"] in {"trigger", "update"}
        and row["episode"] == newest[row["incident"]]
        and row["sequence"] > ended.get(who := (row["receiver"], row["incident"]), 0)
    }


def _slack(world: World, rows: Sequence[sqlite3.Row], _: dict[str, str]) -> dict[str, str]:
    """Read the last message of each incident: how it stood then, its delivery knows."""
    deliveries = {row["id"]: row for row in rows}
    bound = Counter(row["bundle"] for row in rows if row["bundle"])
    known: dict[str, str] = {}
    for message in world.standins.messages:
        if message.service == "slack" and message.what in {"post", "reply"}:
            said = (message.body.get("metadata") or {}).get("event_payload", {})
            row = deliveries[said["delivery_id"]]
            if not bound[row["id"]]:
                known[row["incident"]] = row["stands"]
            else:
                known |= {r["incident"]: r["stands"] for r in rows if r["bundle"] == row["id"]}
    return known


def _pagerduty(world: World, rows: Sequence[sqlite3.Row], states: dict[str, str]) -> dict[str, str]:
    """
    Look at the last alert of each incident's own, or at the storm's where it has none.

    A storm is right where it stands as the slowest of its incidents does: then it is for all.
    """
    storm, own = dict[str, str](), dict[str, str]()
    for alert in world.standins.pagerduty.alerts:  # in the order in which they were opened
        _, _, name, last = alert.key.split(":", 3)
        if name == "storm":
            storm[last.partition(":")[0]] = _ALERT[alert.state.value]
        else:
            own[name] = _ALERT[alert.state.value]
    members: dict[str, set[str]] = {}
    for row in rows:
        if row["receiver"] == "pagerduty" and row["bundle"]:
            members.setdefault(row["bundle"], set()).add(row["incident"])
    known: dict[str, str] = {}
    for bundle, bound in members.items():
        if told := storm.get(bundle):
            right = told == min((states[one] for one in bound), key=_SLOWEST.index)
            known |= {one: states[one] if right else told for one in bound}
    return known | own


def _webhook(world: World, _: Sequence[sqlite3.Row], __: dict[str, str]) -> dict[str, str]:
    """Read the event of each incident that is the furthest on."""
    events = [m.body["data"] for m in world.standins.messages if m.service == "webhook"]
    events.sort(key=lambda data: int(data["sequence"]))
    return {data["id"]: data["status"] for data in events}


_KNOWN = {"slack": _slack, "pagerduty": _pagerduty, "webhook": _webhook}
