"""What of the worker needs no broker; the rest is tests/contract/worker_suite.py, on one."""

import asyncio
from types import SimpleNamespace

import pytest

from services.broker import FETCH_WAIT_MS, KafkaSettings
from services.classifier import worker as room
from services.classifier.handler import Effects
from services.classifier.snapshot import Keeper
from services.classifier.worker import Worker
from uproar.errors import Unavailable


class Silent:
    def assigned(self, partition, rows, *, offsets_valid):
        pass

    def revoked(self, partition):
        pass

    def done(self, partition):
        pass

    async def handle(self, partition, records):
        return Effects()

    async def tick(self, partition):
        return Effects()


def a_worker(tmp_path, **given) -> Worker:
    defaults = {
        "name": "uproar-test",
        "source": "in",
        "dead_letters": "in.dlq",
        "handler": Silent(),
        "settings": KafkaSettings.load(),
        "partitions": 4,
        "directory": tmp_path,
    }
    return Worker(**defaults | given)


async def test_without_a_broker_it_cannot_start_and_says_where_it_failed(tmp_path, monkeypatch):
    monkeypatch.setenv("UPROAR_KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:1")
    worker = a_worker(tmp_path)
    assert worker.problem() == "joining its group and restoring its state"
    with pytest.raises(Unavailable, match="uproar-test cannot join its group"):
        await worker.run(asyncio.Event())


async def test_its_group_bears_its_name_unless_a_keeper_knows_the_offsets(tmp_path):
    def keeper() -> Keeper:
        return Keeper(tmp_path / "s", epoch=None, partitions=4)

    assert a_worker(tmp_path)._app.conf.id == "uproar-test"
    first = a_worker(tmp_path, keeper=keeper())._app.conf.id
    second = a_worker(tmp_path, keeper=keeper())._app.conf.id
    assert first.startswith("uproar-test-")
    assert first != second


@pytest.mark.parametrize(
    ("protocol", "expected"), [("SASL_SSL", "SASL_SSL"), ("SASL_PLAINTEXT", "SASL_PLAINTEXT")]
)
async def test_it_shows_its_credentials(tmp_path, monkeypatch, protocol, expected):
    monkeypatch.setenv("UPROAR_KAFKA_SECURITY_PROTOCOL", protocol)
    monkeypatch.setenv("UPROAR_KAFKA_SASL_USERNAME", "uproar")
    monkeypatch.setenv("UPROAR_KAFKA_SASL_PASSWORD", "wonder")
    shown = a_worker(tmp_path)._app.conf.broker_credentials
    assert (shown.protocol.value, shown.mechanism.value) == (expected, "SCRAM-SHA-512")
    assert (shown.username, shown.password) == ("uproar", "wonder")


async def test_tls_without_sasl_shows_a_certificate_alone(tmp_path, monkeypatch):
    monkeypatch.setenv("UPROAR_KAFKA_SECURITY_PROTOCOL", "SSL")
    assert a_worker(tmp_path)._app.conf.broker_credentials.protocol.value == "SSL"


def test_headers_of_one_name_are_all_kept():
    message = SimpleNamespace(
        topic="in",
        value=None,
        key=None,
        headers=[("a", b"1"), ("a", b"2")],
        partition=1,
        offset=7,
    )
    record = room._record(message)
    assert record.headers == (("a", b"1"), ("a", b"2"))
    assert (record.partition, record.offset, record.value) == (1, 7, None)


async def test_rows_without_a_table_are_a_bug(tmp_path):
    with pytest.raises(ValueError, match="no table"):
        await a_worker(tmp_path)._group.write(0, {b"k": b"row"})


async def test_the_embedded_broker_waits_only_shortly_for_records(tmp_path):
    def allowed(**given) -> int:
        thread = a_worker(tmp_path, **given)._app.consumer._thread
        return thread._create_consumer(loop=asyncio.get_running_loop())._fetch_max_wait_ms

    # Under the name that a fetcher takes over: with a table it is as Faust has it.
    assert allowed() == 1500
    assert allowed(keeper=Keeper(tmp_path / "s", epoch=None, partitions=4)) == FETCH_WAIT_MS
