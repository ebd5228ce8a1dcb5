"""The worker on a real broker: Faust with a table on Apache Kafka, with snapshots on the embedded."""

import pytest

from tests.broker import FORGETS, a_broker
from tests.contract.worker_suite import Topics, Worker, WorkerSuite, eventually


class TestOnFaust(WorkerSuite):
    snapshot = FORGETS


@pytest.mark.kafka
@pytest.mark.skipif(FORGETS, reason="a broker that keeps its records: UPROAR_TEST_BROKER=kafka")
def test_a_broker_that_dies_and_comes_back_costs_no_record(tmp_path, request):
    kafka = a_broker()
    request.addfinalizer(kafka.remove)
    kafka.start()
    topics = Topics(kafka.address)
    topics.send(b"%d" % n for n in range(400))
    worker = Worker(topics, tmp_path / "one", tmp_path, snapshot=False)
    request.addfinalizer(worker.kill)
    eventually(lambda: len(topics.values()) > 100, "the worker at work")
    kafka.kill()
    eventually(lambda: worker.has_said("Errno 111"), "the loss noticed")
    kafka.restart()
    again = Topics(kafka.address, name=topics.name)
    again.send(b"%d" % n for n in range(400, 800))
    again.await_values(b"%d" % n for n in range(800))
    eventually(lambda: again.committed() == dict.fromkeys(range(4), 200), "all committed")
    assert worker.stop() == 0
    again.close()
