"""services/broker.py: each client is told the same of the broker, in its own words; topics are waited for."""

import ssl
from typing import Any

import pytest
import trustme

from services.broker import KafkaSettings, ensure_topics, kafka_python, librdkafka, topic_specs
from uproar.errors import Misconfigured, Unavailable


def settings(**given: str) -> KafkaSettings:
    named = {f"UPROAR_KAFKA_{name.upper()}": value for name, value in given.items()}
    return KafkaSettings(**{"UPROAR_KAFKA_BOOTSTRAP_SERVERS": "a:1, b:2", **named})


def test_in_plain_text_there_are_no_certificates_and_no_credentials():
    assert librdkafka(settings()) == {
        "bootstrap.servers": "a:1,b:2",
        "security.protocol": "PLAINTEXT",
    }
    assert kafka_python(settings())["bootstrap_servers"] == ["a:1", "b:2"]


def test_certificates_and_credentials_are_passed_on(tmp_path):
    authority, ours = trustme.CA(), trustme.CA().issue_cert("uproar")
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    ours.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
    ours.private_key_pem.write_to_path(tmp_path / "key.pem")
    told = librdkafka(
        settings(
            security_protocol="SASL_SSL",
            sasl_username="uproar",
            sasl_password="secret",
            ssl_cafile=str(tmp_path / "ca.pem"),
            ssl_certfile=str(tmp_path / "cert.pem"),
            ssl_keyfile=str(tmp_path / "key.pem"),
        )
    )
    assert told["sasl.mechanism"] == "SCRAM-SHA-512"
    assert (told["sasl.username"], told["sasl.password"]) == ("uproar", "secret")
    assert told["ssl.ca.location"] == str(tmp_path / "ca.pem")
    assert told["ssl.certificate.location"] == str(tmp_path / "cert.pem")
    assert told["ssl.key.location"] == str(tmp_path / "key.pem")


def test_without_an_authority_of_its_own_it_trusts_those_of_the_system():
    told = librdkafka(settings(security_protocol="SSL"))
    ours = ssl.get_default_verify_paths()
    assert told["ssl.ca.location"] == (ours.cafile or ours.capath)
    assert "ssl.key.location" not in told


def test_a_file_that_cannot_be_read_is_a_wrong_setting():
    with pytest.raises(Misconfigured, match="UPROAR_KAFKA_SSL_"):
        librdkafka(settings(security_protocol="SSL", ssl_cafile="/nowhere/ca.pem"))


class Nodes:
    """An admin of a cluster whose second node hears of new topics some answers later than the first."""

    def __init__(self, *, late: int) -> None:
        self.made: dict[str, int] = {}
        self._late, self._asked_since = late, 0

    def create_topics(self, wanted: dict[str, dict[str, int]], **_: int) -> None:
        self.made = {name: options["num_partitions"] for name, options in wanted.items()}

    def wait_for_topics(self, names: list[str]) -> None:
        """Return at once: the first node knows them."""

    def list_topics(self) -> list[str]:
        return list(self.made) if self._asked_since > self._late // 2 else []

    def describe_topics(self, names: list[str]) -> list[dict[str, Any]]:
        self._asked_since += bool(self.made)
        known = self.made if self._asked_since > self._late else {}
        return [
            {"name": name, "partitions": [None] * known.get(name, 0)} for name in names or known
        ]

    def close(self) -> None:
        """Nothing is open."""


def test_a_node_that_has_not_heard_of_the_topics_yet_is_asked_again(monkeypatch):
    nodes = Nodes(late=4)
    monkeypatch.setattr("services.broker.KafkaAdminClient", lambda **_: nodes)
    monkeypatch.setattr("services.broker._LOOK_AGAIN_S", 0)
    ensure_topics(settings())
    assert nodes.made == {spec.name: spec.partitions for spec in topic_specs(settings()).values()}


def test_topics_that_no_node_shows_in_time_are_unavailable_not_misconfigured(monkeypatch):
    monkeypatch.setattr("services.broker.KafkaAdminClient", lambda **_: Nodes(late=10**9))
    monkeypatch.setattr("services.broker.CREATE_TIMEOUT_MS", 5)
    monkeypatch.setattr("services.broker._LOOK_AGAIN_S", 0)
    with pytest.raises(Unavailable, match=r"no node shows .*uproar\.posts\.v1"):
        ensure_topics(settings())
