"""The worker on a real broker: Faust with a table on Apache Kafka, with snapshots on the embedded."""

import os

import pytest

from tests.contract.worker_suite import WorkerSuite, eventually


class TestOnFaust(WorkerSuite):
    snapshot = os.environ.get("UPROAR_TEST_BROKER", "embedded") == "embedded"
