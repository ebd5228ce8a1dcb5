"""On Apache Kafka with TLS and SCRAM: wrong protocol, authority and password, and the right ones."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.broker import broker
from tests.e2e.house import UPROAR

pytestmark = pytest.mark.kafka


@pytest.fixture(scope="module")
def kafka() -> Iterator[dict[str, str]]:
    """The settings with which it can be reached."""
    with broker("kafka-tls") as address:
        yield address.environment


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
