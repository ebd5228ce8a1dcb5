"""
An outbox in memory that keeps what services.alerter.notifier.Outbox promises, and builders.

It knows neither bundles nor who stands by: these are tried on the databases.
"""

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from services.alerter.notifier import (
    UNLIMITED,
    Delivery,
    DeliveryId,
    Lease,
    Outcome,
    Pace,
    Refused,
    Retry,
    Sent,
    Unknown,
)
from tests.build import NOON, a_backlash, a_subject
from uproar.errors import Unavailable
from uproar.incident import IncidentId, advance
from uproar.notice import Notice, NoticeKind, notice
from uproar.routing import ReceiverName

LINK = "https://uproar.example/incidents/e_1"


def a_notice(**given: Any) -> Notice:
    """Build the notice of a backlash against Air Quillon that has just opened."""
    event = a_backlash()
    incident, lines = advance(None, event, now=NOON)
    return replace(notice(incident, lines[0], subject=a_subject(), url=LINK), **given)


def a_delivery(receiver: str = "slack", *, id: str = "01J0A", **given: Any) -> Delivery:  # noqa: A002
    """Build the trigger of an incident."""
    said = given.pop("notice", None) or a_notice()
    defaults: dict[str, Any] = {
        "incident": IncidentId("e_1"),
        "episode": 1,
        "sequence": 1,
        "kind": NoticeKind.TRIGGER,
        "created_at": NOON,
    }
    return Delivery(
        id=DeliveryId(id), receiver=ReceiverName(receiver), notice=said, **defaults | given
    )


@dataclass(slots=True)
class Row:
    delivery: Delivery
    state: str = "pending"
    next_at: datetime = NOON
    attempt: int = 0
    fence: int = 0
    doubtful: bool = False
    ref: str | None = None
    reason: str | None = None
    delivered_at: datetime | None = None

    @property
    def finished(self) -> bool:
        return self.state in {"delivered", "dead", "superseded"}


class MemoryOutbox:
    """The outbox, less the durability. ``down`` makes it unavailable."""

    def __init__(self) -> None:
        self.rows: dict[str, Row] = {}
        self.limits: dict[str, datetime] = {}
        self.spent: dict[str, datetime] = {}
        self.down = False

    def put(self, delivery: Delivery) -> None:
        self.rows[delivery.id] = Row(delivery, next_at=delivery.created_at)

    async def lease(
        self,
        receiver: ReceiverName,
        *,
        now: datetime,
        owner: str,
        limit: int,
        pace: Pace = UNLIMITED,
    ) -> list[Delivery]:
        self._answer()
        if self.limits.get(receiver, now) > now:
            return []
        first: dict[str, Row] = {}
        for row in sorted(self.rows.values(), key=lambda r: r.delivery.sequence):
            if row.delivery.receiver == receiver and not row.finished:
                first.setdefault(row.delivery.incident, row)
        horizon = now + timedelta(minutes=6)  # beyond it: the clock was set back
        due = [r for r in first.values() if r.state != "leased" and not now < r.next_at <= horizon]
        due.sort(key=lambda r: (r.delivery.priority, r.delivery.created_at))
        spent = self.spent.get(receiver)
        allowed = pace.allowed(spent, now=now)
        due = due[: max(0, limit if allowed is None else min(limit, allowed))]
        self.spent[receiver] = pace.spend(spent, len(due), now=now)
        return [self._leased(row) for row in due]

    async def due(self, *, now: datetime) -> set[str]:
        self._answer()
        horizon = now + timedelta(minutes=6)
        return {
            row.delivery.receiver
            for row in self.rows.values()
            if not row.finished and row.state != "leased" and not now < row.next_at <= horizon
        }

    async def settle(
        self, delivery: Delivery, outcome: Outcome, *, now: datetime, next_at: datetime | None
    ) -> bool:
        self._answer()
        row = self.rows[delivery.id]
        if row.fence != delivery.fence or row.finished:
            return False
        match outcome:
            case Sent(ref):
                row.state, row.ref, row.delivered_at, row.reason = "delivered", ref, now, None
                return True
            case Retry():
                row.state = "retry_at"
            case Unknown():
                row.state, row.doubtful = "sent_unknown", True
            case Refused():
                row.state = "retry_at" if next_at else "dead"
        row.next_at, row.reason = next_at or now, outcome.reason
        return True

    async def rate_limited(
        self,
        receiver: ReceiverName,
        until: datetime,
        *,
        now: datetime,
    ) -> None:
        self._answer()
        self.limits[receiver] = max(until, self.limits.get(receiver, until))

    async def leases(self) -> list[Lease]:
        self._answer()
        leased = [row for row in self.rows.values() if row.state == "leased"]
        return [Lease(row.delivery.id, row.fence) for row in leased]

    async def reclaim(self, leases: Collection[Lease], *, now: datetime) -> int:
        lost = set(leases) & set(await self.leases())
        for lease in lost:
            row = self.rows[lease.delivery]
            row.state, row.doubtful, row.next_at = "sent_unknown", True, now
        return len(lost)

    async def stand_down(self) -> int:
        return 0

    def _leased(self, row: Row) -> Delivery:
        row.state = "leased"
        row.attempt, row.fence = row.attempt + 1, row.fence + 1
        told = [
            r
            for r in self.rows.values()
            if r.ref
            and r.state == "delivered"
            and (r.delivery.incident, r.delivery.receiver)
            == (row.delivery.incident, row.delivery.receiver)
        ]
        parent = max(told, key=lambda r: r.delivery.sequence).ref if told else None
        return replace(
            row.delivery,
            attempt=row.attempt,
            fence=row.fence,
            doubtful=row.doubtful,
            parent_ref=parent,
        )

    def _answer(self) -> None:
        if self.down:
            raise Unavailable("the database does not answer")
