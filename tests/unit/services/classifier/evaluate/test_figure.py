"""services/classifier/evaluate/figure.py: intervals that hold what they promise."""

import numpy as np
import pytest

from services.classifier.evaluate.figure import bootstrap


def test_the_value_is_that_of_all_rows_and_lies_in_its_interval():
    numbers = np.arange(100.0)
    found = bootstrap(
        "mean", 100, lambda at: numbers[at].mean(), np.random.default_rng(1), unit="%"
    )
    assert found.value == numbers.mean()
    assert found.low < found.value < found.high
    assert (found.name, found.n, found.unit, found.published) == ("mean", 100, "%", None)


def test_19_of_20_intervals_hold_the_truth():
    rng = np.random.default_rng(2)
    held = 0
    for _ in range(200):
        rows = rng.normal(size=80)
        found = bootstrap("m", 80, lambda at, rows=rows: rows[at].mean(), rng, resamples=200)
        held += found.low <= 0 <= found.high
    assert 0.88 <= held / 200 <= 0.99


def test_groups_keep_their_share_in_every_draw():
    groups = np.repeat([0, 1], [30, 5])
    shares = []
    bootstrap(
        "share",
        35,
        lambda at: shares.append((groups[at] == 1).mean()) or 0.0,
        np.random.default_rng(3),
        groups=groups,
        resamples=20,
    )
    assert set(shares) == {5 / 35}


def test_the_same_chance_gives_the_same_interval_and_none_a_point():
    def run(seed, resamples):
        rows = np.arange(50.0)
        return bootstrap(
            "m", 50, lambda at: rows[at].mean(), np.random.default_rng(seed), resamples=resamples
        )

    assert run(7, 50) == run(7, 50)
    assert run(7, 0).low == run(7, 0).high == pytest.approx(24.5)
