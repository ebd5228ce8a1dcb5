"""services/bench/classifier.py: what a model costs; by the small one, which both encoders run."""

import numpy as np
import pytest

from services.bench.classifier import distinct, memory, operations, waits
from services.classifier.engine import FIREHOSE, shipped
from services.classifier.engine.int8 import Int8Engine
from services.classifier.engine.native import Unsuitable

TEXTS = ["they lost my bag", "Merci pour tout, équipage formidable !", "so what"]


@pytest.fixture(scope="module")
def folder():
    return shipped(FIREHOSE)


@pytest.mark.parametrize("encoder", ["native", "portable"])
def test_both_encoders_run_it_and_agree(folder, encoder):
    try:
        engine = Int8Engine(folder, encoder=encoder)
    except Unsuitable as reason:
        pytest.skip(str(reason))
    rows = engine.score(TEXTS)
    assert rows.shape == (3, len(engine.heads))
    assert np.allclose(rows, Int8Engine(folder, encoder="portable").score(TEXTS), atol=0.05)


def test_operations_are_two_for_each_weight_and_token(folder):
    weights = 3 * (384 * 3 * 384 + 384 * 384 + 2 * 384 * 1536)
    tokens = 3 * len(TEXTS)  # at least a word, a start and an end each
    counted = operations(folder, TEXTS)
    assert counted % (2 * weights) == 0
    assert counted > 2 * weights * tokens


def test_the_waits_of_an_idle_service_are_measured_through_the_agent(folder):
    found = waits(Int8Engine(folder), TEXTS * 20)
    assert 0 < found.alone_p50 <= found.alone_p99
    assert found.loop_p99 <= found.loop_worst


def test_scoring_goes_through_the_service_and_counts_posts(folder):
    assert distinct(Int8Engine(folder), TEXTS, batch=2)() == 3


def test_an_engine_that_fails_gives_no_figure(folder):
    class Broken(Int8Engine):
        def score(self, texts):
            raise RuntimeError("out of memory")

    with pytest.raises(RuntimeError, match="out of memory"):
        distinct(Broken(folder), TEXTS)()


def test_the_memory_of_a_process_is_more_than_its_weights():
    assert memory(TEXTS) > 50_000_000
