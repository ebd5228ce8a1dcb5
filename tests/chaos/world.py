"""The world around the processes: wall clock, log, network, receivers, and what goes wrong."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random

import httpx

from services.demo.standins import StandIns
from tests.build import NOON
from tests.chaos.process import CURRENT, Storage
from uproar.wire import Record

LIMITED, BUSY, BROKEN, SILENT, DROPPED, CUT, UNREACHABLE, SLOW = FAULTS = (
    "429",
    "503",
    "500",
    "silent",  # taken, never answered
    "dropped",  # taken, then the connection is cut
    "cut",  # cut before anything is taken
    "unreachable",
    "slow",
)
REFUSED = {
    "slack": (200, {"ok": False, "error": "token_revoked"}),
    "pagerduty": (400, {"status": "invalid event", "errors": ["Invalid routing key"]}),
    "webhook": (410, {}),
}
"""What each receiver answers while a person has to mend something."""


class Clock:
    """The wall clock of the processes: true time, and whatever somebody has set it to since."""

    def __init__(self) -> None:
        self.ahead = timedelta()

    def true(self) -> datetime:
        return NOON + timedelta(seconds=asyncio.get_running_loop().time())

    def __call__(self) -> datetime:
        return self.true() + self.ahead


@dataclass(slots=True)
class Log:
    """One partition of a topic: it remembers records and the offset that was committed."""

    records: list[Record]
    committed: int = 0
    arrived: int = 0


class Network(httpx.AsyncBaseTransport):
    """
    Between the processes and the stand-ins: requests are steps, and may fail.

    Args:
        standins: Who answers.
        rng: Which request fails and how.
        trouble: How likely a request is to fail.
    """

    def __init__(self, standins: StandIns, rng: Random, trouble: float) -> None:
        self._app = httpx.ASGITransport(app=standins.troubles.app)
        self._rng, self.trouble = rng, trouble
        self.refusing: set[str] = set()
        self.met: list[str] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        process = CURRENT.get()
        await process.step("before the request")
        fault = self._rng.choice(FAULTS) if self._rng.random() < self.trouble else ""
        if fault:
            self.met.append(fault)
        await asyncio.sleep(self._rng.uniform(5, 19) if fault == SLOW else 0.02)
        match fault:
            case "429":
                return _answer(429, {"retry-after": str(self._rng.choice((1, 5, 40)))})
            case "503":
                return _answer(503, {})
            case "500" if self._rng.random() < 0.5:
                return _answer(500, {})
            case "unreachable":
                raise httpx.ConnectError("unreachable")
            case "cut":
                raise httpx.ReadError("cut")
        await process.step("on the way")
        place = request.url.path.split("/")[1]
        if place in self.refusing:
            self.met.append("refused")
            status, said = REFUSED[place]
            return httpx.Response(status, json=said)
        response = await self._app.handle_async_request(request)
        await process.step("taken, not answered")
        if fault == SILENT:
            await asyncio.sleep(300)
        if fault == DROPPED:
            raise httpx.ReadError("dropped")
        return _answer(500, {}) if fault == BROKEN else response


def _answer(status: int, headers: dict[str, str]) -> httpx.Response:
    return httpx.Response(status, headers=headers, json={"ok": False, "error": "internal_error"})


class World:
    """All that outlives a process."""

    def __init__(
        self, standins: StandIns, rng: Random, records: Sequence[Record], *, trouble: float
    ) -> None:
        self.clock, self.storage = Clock(), Storage()
        self.log = Log(list(records))
        self.standins = standins
        forget(standins)
        standins.ledger.clock = self.clock.true
        self.network = Network(standins, rng, trouble)


def forget(standins: StandIns) -> None:
    """Make stand-ins as new: to build their application takes longer than a schedule."""
    ledger = standins.ledger
    ledger.messages.clear()
    standins.slack.__init__(ledger=ledger)  # type: ignore[misc]
    standins.pagerduty.__init__(ledger)  # type: ignore[misc]
    standins.webhook.__init__(ledger)  # type: ignore[misc]


def seconds(of: datetime) -> float:
    return (of.astimezone(UTC) - NOON).total_seconds()
