"""What the integration tests share: a database of each engine."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from services.alerter.store.database import Database
from tests.databases import ENGINES, drop, migrated, new_url


@pytest.fixture(params=ENGINES)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """An empty database of each engine in turn."""
    url = new_url(tmp_path, request.param)
    yield url
    drop(url)


@pytest.fixture
async def database(url: str) -> AsyncIterator[Database]:
    """The same with all tables in it."""
    async with migrated(url) as opened:
        yield opened
