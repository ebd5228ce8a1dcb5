"""Verdict: what the receivers have, against what they must have. It asks nobody but them."""

import hashlib
import json
import sqlite3
from collections import Counter
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from services.demo.standins.pagerduty import AlertState
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
        pagerduty_duplicates: PagerDuty alerts that are a second one of their incident.
        slack_duplicates: Slack messages that repeat another; ``unlabelled`` if they do not say so.
        wrong_end: PagerDuty alerts that are open though their incident is resolved.
        trace: A digest of all that was received, and when.
    """

    seed: int
    lost: list[str] = field(default_factory=list)
    pagerduty_duplicates: list[str] = field(default_factory=list)
    slack_duplicates: int = 0
    unlabelled: int = 0
    wrong_end: list[str] = field(default_factory=list)
    pages: int = 0
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
            "SELECT *, json_extract(payload, '$.state') AS stands FROM deliveries"
        ).fetchall()
        states = dict(connection.execute("SELECT id, state FROM incidents").fetchall())
        reopened = Counter(
            row[0]
            for row in connection.execute(
                "SELECT incident FROM transitions WHERE happened IN ('unsilence', 'unmerge')"
                " OR (before IN ('resolved', 'snoozed', 'acknowledged') AND after = 'open')"
            )
        )
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
    _pagerduty(verdict, world, states, reopened, rows)
    _slack(verdict, world)
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
                if m.service == "pagerduty" and m.what == "trigger" and m.key == key
            ]
            return any(
                m.text == title or incident in json.dumps(m.body["payload"]["custom_details"])
                for m in triggers
            )


def _pagerduty(
    verdict: Verdict,
    world: World,
    states: dict[str, str],
    reopened: Counter[str],
    rows: list[sqlite3.Row],
) -> None:
    """Look for a second alert of an incident that was not opened a second time."""
    alerts = world.standins.pagerduty.alerts
    for key, count in Counter(alert.key for alert in alerts).items():
        verdict.pagerduty_duplicates += [key] * (count - 1 - reopened[key.split(":")[2]])
    dead = {r["incident"] for r in rows if (r["receiver"], r["state"]) == ("pagerduty", "dead")}
    for alert in alerts:
        incident = alert.key.split(":")[2]
        if incident in dead:
            continue  # its end was refused for good
        if states.get(incident) == "resolved" and alert.state is not AlertState.RESOLVED:
            verdict.wrong_end.append(alert.key)


def _slack_messages(world: World) -> list[dict[str, Any]]:
    return [
        m.body
        for m in world.standins.messages
        if m.service == "slack" and m.what in {"post", "reply"}
    ]


def _delivery(body: dict[str, Any]) -> str | None:
    metadata = body.get("metadata") or {}
    return metadata.get("event_payload", {}).get("delivery_id")


def _slack(verdict: Verdict, world: World) -> None:
    seen: set[str | None] = set()
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
