"""Ledger: every message that a stand-in took, in order."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """
    One message as it came in.

    Attributes:
        number: Its place, from 1.
        service: ``slack``, ``pagerduty``, ``webhook``, ``email`` or ``alertmanager``.
        what: ``post``, ``update``, ``reply``; ``trigger``, ``acknowledge``, ``resolve``; the type of
            a webhook event; ``letter``, ``reply``; ``firing``, ``resolved``.
        text: Its first line, as a lock screen shows it.
        key: What ties the messages of one incident together: channel and ts, dedup_key, webhook-id.
        effect: What it did: ``new``, ``changed``, or ``dropped`` where it did nothing.
        body: All of it; without secrets.
    """

    number: int
    at: datetime
    service: str
    what: str
    text: str
    key: str
    effect: str
    body: dict[str, Any]


@dataclass(slots=True)
class Ledger:
    """Keeps what was received and tells who waits for it."""

    clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    messages: list[Received] = field(default_factory=list)

    def write(
        self,
        service: str,
        what: str,
        *,
        text: str,
        key: str,
        body: dict[str, Any],
        effect: str = "new",
    ) -> None:
        """Write one message down."""
        self.messages.append(
            Received(
                number=len(self.messages) + 1,
                at=self.clock(),
                service=service,
                what=what,
                text=text,
                key=key,
                effect=effect,
                body=body,
            )
        )

    def listing(self, since: int = 0) -> list[dict[str, Any]]:
        """Return the messages after a number, ready for JSON."""
        return [asdict(m) | {"at": m.at.isoformat()} for m in self.messages[max(since, 0) :]]
