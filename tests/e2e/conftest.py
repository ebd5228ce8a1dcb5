"""What the e2e tests share: one house for those that leave it as it was."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from services.demo.story import WATCH
from tests.e2e.house import House, house


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """`uproar up` with the demo's watch list, for tests that only push what others do not mind."""
    folder: Path = tmp_path_factory.mktemp("house")
    with house(folder, UPROAR_WATCH=str(WATCH)) as built:
        yield built
