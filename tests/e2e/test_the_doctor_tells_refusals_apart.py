"""On Apache Kafka with TLS and SCRAM: wrong protocol, authority and password, and the right ones."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.broker import KAFKA_LOCAL, free_ports_of_a_cluster
from tests.e2e.house import UPROAR

pytestmark = pytest.mark.kafka


@pytest.fixture(scope="module")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The settings with which it can be reached."""
    if not KAFKA_LOCAL.exists() or shutil.which("java") is None:
        pytest.skip("Apache Kafka needs ../shared/kafka/kafka-local and Java 17 on the PATH")
    folder, port = tmp_path_factory.mktemp("kafka") / "one", free_ports_of_a_cluster()

    def do(verb: str, *options: str) -> None:
        command = [sys.executable, str(KAFKA_LOCAL), verb, "--dir", str(folder), *options]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr

    do("start", "--port", str(port), "--tls-sasl")
    yield {
        "UPROAR_KAFKA_BOOTSTRAP_SERVERS": f"127.0.0.1:{port}",
        "UPROAR_KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
        "UPROAR_KAFKA_SSL_CAFILE": str(folder / "ca.pem"),
        "UPROAR_KAFKA_SASL_USERNAME": "uproar",
        "UPROAR_KAFKA_SASL_PASSWORD": (folder / "password").read_text().strip(),
    }
    do("kill")


@pytest.mark.parametrize(
    ("changed", "state", "says"),
    [
        ({}, "ok", "lets us in"),
        ({"SECURITY_PROTOCOL": "PLAINTEXT"}, "wrong", "speaks TLS, and we do not"),
        ({"SECURITY_PROTOCOL": "SSL"}, "wrong", "hangs up on us without a password"),
        ({"SSL_CAFILE": ""}, "wrong", "not trusted"),
        ({"SASL_PASSWORD": "wrong"}, "wrong", "refuses user 'uproar'"),
        ({"SASL_MECHANISM": "PLAIN"}, "wrong", "refuses user 'uproar' with PLAIN"),
    ],
)
def test_each_refusal_has_its_own_words(
    kafka: dict[str, str], tmp_path: Path, changed: dict[str, str], state: str, says: str
) -> None:
    changes = {f"UPROAR_KAFKA_{name}": value for name, value in changed.items()}
    settings = {name: value for name, value in (kafka | changes).items() if value}
    done = subprocess.run(
        [*UPROAR, "doctor", "--json"], cwd=tmp_path, env=settings, capture_output=True, text=True
    )
    found = {f["check"]: f for f in map(json.loads, done.stdout.splitlines())}
    assert (found["broker"]["state"], done.returncode) == (state, int(state == "wrong"))
    assert says in found["broker"]["says"]
    assert state == "ok" or found["broker"]["mend"]
