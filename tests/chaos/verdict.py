"""Verdict: what the receivers have, against what they must have. It asks nobody but them."""

import hashlib
import json
import sqlite3
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from services.demo.standins.pagerduty import Alert, AlertState
from tests.chaos.plan import Plan
from tests.chaos.standing import misled
from tests.chaos.world import World

REPEATED = "This may be a repeat"
# What is kept for those who stand by and were never called: it may stay as it is.
IDLE = """
standby > 0 AND attempt = 0 AND state = 'pending' AND NOT EXISTS (
  SELECT 1 FROM deliveries AS called WHERE called.attempt > 0
  AND called.incident = deliveries.incident AND called.receiver = deliveries.receiver
)"""


@dataclass(slots=True, kw_only=True)
class Verdict:
    """
    What became of one schedule.

    Attributes:
        lost: Pages that a receiver should have and has not, and why we think so.
        pagerduty_duplicates: Episodes that a PagerDuty alert names once too often, alone or in a
            storm.
        slack_duplicates: Slack messages that repeat another; ``unlabelled`` if they do not say so.
        wrong_end: PagerDuty alerts that are open though all their incidents are resolved, or the
            other way round.
        bundles: Messages that name many incidents.
        trace: A digest of all that was received, and when.
    """

    seed: int
    lost: list[str] = field(default_factory=list)
    pagerduty_duplicates: list[str] = field(default_factory=list)
    slack_duplicates: int = 0
    unlabelled: int = 0
    wrong_end: list[str] = field(default_factory=list)
    pages: int = 0
    bundles: int = 0
    deaths: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    trace: str = ""

    @property
    def fine(self) -> bool:
        """Whether every promise was kept."""
        return not (self.lost or self.pagerduty_duplicates or self.unlabelled or self.wrong_end)


def unfinished(path: Path) -> int:
    """How many deliveries are still to be done."""
    done = "('delivered', 'dead', 'superseded')"
    query = f"SELECT count(*) FROM deliveries WHERE state NOT IN {done} AND NOT ({IDLE})"
    with closing(sqlite3.connect(path)) as connection:
        return int(connection.execute(query).fetchone()[0])


def judge(path: Path, world: World, plan: Plan, *, rested: bool, deaths: list[str]) -> Verdict:
    """Compare the receivers with the database and the plan."""
    verdict = Verdict(
        seed=plan.seed,
        deaths=[d for d in deaths if d],
        faults=world.network.met,
        trace=_trace(world),
    )
    with closing(sqlite3.connect(path)) as connection:
        connection.row_factory = sqlite3.Row
        rows = connection.execute(
            "SELECT *, payload ->> 'state' AS stands, payload ->> 'before' AS was,"
            " payload ->> 'page' AS pages FROM deliveries"
        ).fetchall()
        states = dict(connection.execute("SELECT id, state FROM incidents").fetchall())
        resolved = {
            row[0]
            for row in connection.execute(
                "SELECT incident FROM transitions WHERE after = 'resolved' OR happened = 'split'"
            )
        }
        woken = {
            row[0]
            for row in connection.execute(
                "SELECT incident FROM transitions WHERE after IN ('acknowledged', 'snoozed')"
                " AND (page OR happened = 'unmerge')"
            )
        }
        heard = connection.execute("SELECT count(*) FROM backlash").fetchone()[0]
        paged = connection.execute(
            "SELECT incident, sequence FROM transitions WHERE page"
        ).fetchall()
    if not rested:
        verdict.lost.append("it never came to rest")
    wanted = {(e.incident, e.id) for _, e in plan.events if e.page}
    verdict.pages = len(wanted) * len(plan.receivers)
    if heard != len({e.id for _, e in plan.events}):
        verdict.lost.append(f"{heard} of {len(plan.events)} events are known")
    have = {(r["incident"], r["sequence"], r["receiver"]): r for r in rows}
    told = {(r["incident"], r["sequence"]) for r in rows}
    for incident, sequence in (tuple(row) for row in paged):
        if plan.silences and (incident, sequence) not in told:
            continue  # a silence holds it back: how it ends is judged below
        for receiver in plan.receivers:
            row = have.get((incident, sequence, receiver))
            if row is not None and row["state"] == "dead" and plan.refusals:
                continue  # the incident had ended
            if row is None or not _arrived(row, world):
                verdict.lost.append(f"{receiver} has no page {sequence} of {incident}")
    if rested:
        verdict.lost += misled(world, plan, states, rows, woken)
    alerts = world.standins.pagerduty.alerts
    verdict.pagerduty_duplicates = _second_alerts(alerts, rows)
    verdict.wrong_end = _wrong_end(alerts, states, resolved, _refused(rows))
    _slack(verdict, world, rows)
    verdict.bundles = len({row["bundle"] for row in rows if row["bundle"] and row["attempt"]})
    return verdict


def _arrived(row: sqlite3.Row, world: World) -> bool:
    """Ask the receiver itself."""
    delivery, incident = row["bundle"] or row["id"], row["incident"]
    match row["receiver"]:
        case "webhook":
            return delivery in world.standins.webhook.ids
        case "slack":
            said = [m for m in _slack_messages(world) if _delivery(m) == delivery]
            return bool(said) and (not row["bundle"] or incident in json.dumps(said))
        case _:
            key = f"uproar:i1:{incident}:{row['episode']}"
            key = f"uproar:i1:storm:{delivery}:1" if row["bundle"] else key
            title = json.loads(row["payload"])["title"]
            triggers = [
                m
                for m in world.standins.messages
                if m.service == "pagerduty"
                and m.what == "trigger"
                and (m.key or "").partition(".")[0] == key
            ]
            return any(
                m.text == title or incident in json.dumps(m.body["payload"]["custom_details"])
                for m in triggers
            )


def named(alert: Alert) -> list[str]:
    """Tell which incidents an alert is of: one, or all that a storm names."""
    name = alert.key.split(":")[2]
    return [one["incident"] for one in alert.details["incidents"]] if name == "storm" else [name]


def _second_alerts(alerts: Sequence[Alert], rows: Sequence[sqlite3.Row]) -> list[str]:
    """Look for episodes of which there are more alerts than their deliveries can have opened."""
    rows = [row for row in rows if row["receiver"] == "pagerduty" and row["attempt"]]
    bound = {(row["bundle"], row["incident"]): row["episode"] for row in rows if row["bundle"]}
    opened: Counter[tuple[str, int]] = Counter()
    for alert in alerts:
        *_, delivery, episode = alert.key.split(":")
        for incident in named(alert):
            own = incident == delivery
            number = int(episode.partition(".")[0])
            opened[incident, number if own else bound.get((delivery, incident), 0)] += 1
    opened.subtract(_openings(rows))
    return [f"{incident}:{episode}" for incident, episode in opened.elements()]


def _openings(rows: Sequence[sqlite3.Row]) -> Counter[tuple[str, int]]:
    """
    Count the alerts that deliveries open, in their order.

    A page opens one where none of the episode's own is open, or where somebody has it and must be
    woken again; what goes out in a storm opens none of its own, so that the next page does.
    """
    openings: Counter[tuple[str, int]] = Counter()
    its_own: set[tuple[str, int]] = set()
    for row in sorted(rows, key=lambda row: (row["incident"], row["sequence"])):
        episode = row["incident"], row["episode"]
        if row["kind"] == "resolve":
            its_own.discard(episode)
        elif row["bundle"]:
            openings[episode] += 1
        elif row["kind"] in {"trigger", "update"} and (episode not in its_own or _wakes(row)):
            openings[episode] += 1
            its_own.add(episode)
    return openings


def _wakes(row: sqlite3.Row) -> bool:
    loud = row["kind"] == "trigger" or bool(row["pages"])
    return loud and row["was"] in {"snoozed", "acknowledged"}


def _refused(rows: Sequence[sqlite3.Row]) -> set[str]:
    """Name the incidents of which PagerDuty refused something for good, perhaps the end."""
    return {r["incident"] for r in rows if (r["receiver"], r["state"]) == ("pagerduty", "dead")}


def _wrong_end(
    alerts: Sequence[Alert], states: dict[str, str], resolved: set[str], refused: set[str]
) -> list[str]:
    """Look for alerts that are open with nothing left to do, or closed before there was nothing."""
    left_open = [
        alert.key
        for alert in alerts
        if alert.state is not AlertState.RESOLVED
        and all(states.get(incident) == "resolved" for incident in named(alert))
        and refused.isdisjoint(named(alert))
    ]
    # Of an incident's own alerts the last stands for it: a new one takes the place of the former.
    last = {":".join(named(alert)): alert for alert in alerts}
    too_early = [
        alert.key
        for alert in last.values()
        if alert.state is AlertState.RESOLVED and set(named(alert)) - resolved
    ]
    return left_open + too_early


def _slack_messages(world: World) -> list[dict[str, Any]]:
    return [
        m.body
        for m in world.standins.messages
        if m.service == "slack" and m.what in {"post", "reply"}
    ]


def _delivery(body: dict[str, Any]) -> str | None:
    metadata = body.get("metadata") or {}
    return metadata.get("event_payload", {}).get("delivery_id")


def _slack(verdict: Verdict, world: World, rows: Sequence[sqlite3.Row]) -> None:
    """Count what repeats another message: what a storm has told is not to come alone as well."""
    seen: set[str | None] = {row["id"] for row in rows if row["bundle"] not in {None, row["id"]}}
    for body in _slack_messages(world):
        name = _delivery(body)
        if name in seen:
            verdict.slack_duplicates += 1
            verdict.unlabelled += REPEATED not in json.dumps(body)
        seen.add(name)


def _trace(world: World) -> str:
    digest = hashlib.sha256()
    for m in world.standins.messages:
        digest.update(f"{m.at.isoformat()} {m.service} {m.what} {m.key} {m.effect}\n".encode())
    return digest.hexdigest()[:16]
