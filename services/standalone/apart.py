"""
Apart: the product in a folder and on ports of its own, for a demo or a measurement.

Settings of the installation that this machine may have do not reach it, and it leaves nothing
behind, unless something failed: then its logs stay.
"""

import asyncio
import os
import shutil
import socket
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from services.standalone.child import Say
from services.standalone.plan import Plan
from services.standalone.run import Standalone
from uproar.errors import Unavailable

START_SECONDS = 300.0
_KEPT = frozenset({"UPROAR_LOG_LEVEL", "UPROAR_MODEL", "UPROAR_DEVICE"})
_FAILED = "failed"


class Interrupted(Exception):
    """Somebody does not want to see the rest."""


@contextmanager
def own_settings(name: str) -> Iterator[Path]:
    """
    Stand in a fresh folder, with fresh settings on free ports; it stays where something failed.

    Args:
        name: What it is for; part of the folder's name.

    Yields:
        The folder. ``UPROAR_CONFIG`` names ``uproar.toml`` in it, which is yet to be written.
    """
    folder = Path(tempfile.mkdtemp(prefix=f"uproar-{name}-"))
    before = {key: value for key, value in os.environ.items() if key.startswith("UPROAR_")}
    for key in before.keys() - _KEPT:
        del os.environ[key]
    ports = dict(zip(("INGEST", "CLASSIFIER", "ALERTER"), _free_ports(3), strict=True))
    os.environ.update({f"UPROAR_{key}_PORT": str(port) for key, port in ports.items()})
    os.environ["UPROAR_DATA_DIR"] = str(folder / "data")
    os.environ["UPROAR_CONFIG"] = str(folder / "uproar.toml")
    try:
        yield folder
    finally:
        for key in [key for key in os.environ if key.startswith("UPROAR_")]:
            del os.environ[key]
        os.environ.update(before)
        if not (folder / _FAILED).exists():
            shutil.rmtree(folder, ignore_errors=True)


def keep_logs(folder: Path) -> Path:
    """Say that something failed, so that the folder stays; returns where the logs are."""
    (folder / _FAILED).touch()
    return folder / "data"


@asynccontextmanager
async def running(plan: Plan, *, say: Say, stop: asyncio.Event) -> AsyncIterator[Standalone]:
    """
    Run broker and services; on leaving, everything has ended.

    Raises:
        Interrupted: ``stop`` was set; what stood inside was cancelled.
        Misconfigured, Unavailable: They did not come up.
    """
    house, over = Standalone(plan, say=say), asyncio.Event()
    living = asyncio.create_task(house.run(over))
    ready = asyncio.create_task(house.ready.wait())
    stopping = asyncio.create_task(stop.wait())
    working = asyncio.current_task()

    def interrupt(asked: asyncio.Task[bool]) -> None:
        if working is not None and not asked.cancelled():
            working.cancel()

    try:
        await asyncio.wait(
            {living, ready, stopping}, timeout=START_SECONDS, return_when=asyncio.FIRST_COMPLETED
        )
        if living.done():
            living.result()
        if not ready.done():
            raise Interrupted if stop.is_set() else Unavailable("the services do not get ready")
        stopping.add_done_callback(interrupt)
        yield house
    except asyncio.CancelledError:
        if not stop.is_set():
            raise
        raise Interrupted from None
    finally:
        stopping.cancel()
        over.set()
        await living


def _free_ports(count: int) -> list[int]:
    probes = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports: list[int] = [probe.getsockname()[1] for probe in probes]
    for probe in probes:
        probe.close()
    return ports
