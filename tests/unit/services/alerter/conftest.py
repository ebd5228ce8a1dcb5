"""What the alerter's unit tests may ask for."""

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from services.alerter.access import Access, Role
from services.alerter.advance import Advancer
from services.alerter.api.classifier import Classifier
from services.alerter.api.parts import Parts
from services.alerter.app import application
from services.alerter.callbacks import Callbacks
from services.alerter.store.database import Database
from services.process import Health
from tests.build import NOON
from tests.databases import copy_of, drop, migrated, new_url
from uproar.backlash import Level
from uproar.routing import Receiver, ReceiverName, Route


class Clock:
    """A clock that stands still until a test moves it."""

    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> datetime:
        return self.now

    def forward(self, **by: float) -> None:
        self.now += timedelta(**by)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="session")
def empty(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A migrated database, to be copied."""
    url = new_url(tmp_path_factory.mktemp("empty"))

    async def make() -> None:
        async with migrated(url):
            pass

    asyncio.run(make())
    return url


@pytest.fixture
async def database(tmp_path: Path, empty: str) -> AsyncIterator[Database]:
    url = copy_of(empty, tmp_path)
    opened = Database(url)
    yield opened
    await opened.close()
    drop(url)


SLACK = Receiver(name=ReceiverName("war-room"))
PAGER = Receiver(name=ReceiverName("duty"), pages_only=True)


@pytest.fixture
def advancer(database: Database, clock: Callable[[], datetime]) -> Advancer:
    return Advancer(
        database,
        routes=[Route(name="default", receivers=(SLACK, PAGER), level=Level.ALERT)],
        console_url="http://console.test",
        clock=clock,
        written=asyncio.Event(),
    )


@pytest.fixture
def parts(database: Database, advancer: Advancer, clock: Clock) -> Parts:
    return Parts(
        database=database,
        access=Access(database, clock),
        advancer=advancer,
        clock=clock,
        problems=dict,
        classifier=lambda: Classifier(model="small", ready=True),
        callbacks=Callbacks(database, advancer, {}, clock),
        receivers={},
        console_url="http://console.test",
    )


class Caller:
    """Speaks HTTP with the application, without a socket; a role's key is made when it is needed."""

    def __init__(self, parts: Parts) -> None:
        transport = httpx.ASGITransport(app=application(parts, Health()))
        self.http = httpx.AsyncClient(transport=transport, base_url="http://console.test")
        self._access = parts.access
        self._keys: dict[Role, str] = {}

    async def headers(self, role: Role) -> dict[str, str]:
        if role not in self._keys:
            self._keys[role] = (await self._access.create_key(f"a {role}", role))[1]
        return {"Authorization": f"Bearer {self._keys[role]}"}

    async def __call__(
        self, method: str, path: str, role: Role | None = Role.ADMIN, **given: Any
    ) -> httpx.Response:
        headers = {**(await self.headers(role) if role else {}), **given.pop("headers", {})}
        return await self.http.request(method, path, headers=headers, **given)


@pytest.fixture
async def call(parts: Parts) -> AsyncIterator[Caller]:
    caller = Caller(parts)
    async with caller.http:
        yield caller
