"""What every test may ask for, and what none may inherit from the shell."""

import os
from collections.abc import Iterator

import pytest
import structlog

from tests.broker import Address, broker


@pytest.fixture(autouse=True)
def _no_settings_of_the_shell(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.startswith("UPROAR_") and not name.startswith("UPROAR_TEST_"):
            monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def address() -> Iterator[Address]:
    """A broker for the whole session (of each xdist worker): make topics or keys of your own."""
    with broker() as its_address:
        yield its_address


@pytest.fixture(autouse=True)
def logs_as_they_were() -> Iterator[None]:
    """structlog is configured for the whole process: no test may leave its stream to the next."""
    structlog.reset_defaults()
    yield
    structlog.reset_defaults()
