"""services/broker.py: each client is told the same of the broker, in its own words."""

import ssl

import pytest
import trustme

from services.broker import KafkaSettings, kafka_python, librdkafka
from uproar.errors import Misconfigured


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
