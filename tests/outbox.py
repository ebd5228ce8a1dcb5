"""An outbox in memory that keeps what services.alerter.notifier.Outbox promises, and builders."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from services.alerter.notifier import (
    Delivery,
    DeliveryId,
    Outcome,
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
    lease_until: datetime | None = None
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
        lease_for: timedelta,
    ) -> list[Delivery]:
        self._answer()
        if self.limits.get(receiver, now) > now:
            return []
        first: dict[str, Row] = {}
        for row in sorted(self.rows.values(), key=lambda r: r.delivery.sequence):
            if row.delivery.receiver == receiver and not row.finished:
                first.setdefault(row.delivery.incident, row)
        due = [r for r in first.values() if r.state != "leased" and r.next_at <= now]
        due.sort(key=lambda r: (r.delivery.priority, r.delivery.created_at))
        return [self._leased(row, now + lease_for) for row in due[:limit]]

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
                row.state = "dead"
        row.next_at, row.reason = next_at or now, outcome.reason
        return True

    async def rate_limited(self, receiver: ReceiverName, until: datetime) -> None:
        self._answer()
        self.limits[receiver] = max(until, self.limits.get(receiver, until))

    async def reclaim(self, *, now: datetime) -> int:
        self._answer()
        lost = [r for r in self.rows.values() if r.state == "leased" and _over(r, now)]
        for row in lost:
            row.state, row.doubtful, row.next_at = "sent_unknown", True, now
        return len(lost)

    def _leased(self, row: Row, until: datetime) -> Delivery:
        row.state, row.lease_until = "leased", until
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


def _over(row: Row, now: datetime) -> bool:
    return row.lease_until is not None and row.lease_until <= now
