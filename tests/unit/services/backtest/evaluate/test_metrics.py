import math

import numpy as np
import pytest

from services.backtest.evaluate.metrics import (
    Incident,
    alarms,
    by_brand,
    found_at,
    geometric_mean,
    half_found,
    incidents,
    median,
    poisson_interval,
    proportion,
)
from uproar.detector.counted import Event


def event(minute, kind, *, lane=0, page=False, level="watch"):
    return Event(minute, lane, kind, level, page, 3.0, 4.0, "open")


def test_an_incident_is_paged_when_it_first_pages_whenever_it_opened():
    told = [
        event(10, "opened"),
        event(25, "grew", page=True, level="alert"),
        event(40, "grew", page=True, level="crisis"),
        event(90, "ended"),
        event(200, "opened", page=True, level="alert"),
        event(15, "opened", lane=3),
    ]
    found = incidents(told)
    assert [i.paged for i in found[0]] == [25, 200]
    assert found[0][0].told == (10, 25, 40)
    assert found[0][0].level == "crisis"
    assert found[3][0].paged is None
    assert alarms(found[0], 0, 100) == [25]
    assert alarms(found[0], 25, 201) == [25, 200]
    assert alarms(found[0], 26, 200) == []


def test_a_crisis_is_found_by_a_page_after_its_onset_only():
    own = [Incident(50, (50,), (50,), "alert"), Incident(130, (140,), (130, 140), "alert")]
    assert found_at(own, 100, 200) == 140
    assert found_at(own, 100, 139) is None
    assert found_at(own, 140, 200) is None  # a page in the minute of the onset has not heard it


def test_a_second_page_of_an_open_incident_finds_a_crisis_however_old_it_is():
    told = [
        event(10, "opened", page=True, level="alert"),
        event(5000, "grew", level="alert"),
        event(5030, "grew", page=True, level="crisis"),
    ]
    own = incidents(told)[0]
    assert own[0].pages == (10, 5030)
    assert found_at(own, 4990, 5100) == 5030
    assert alarms(own, 4990, 5100) == []  # it is no second alarm


def test_growth_counts_of_an_incident_that_paged_and_was_opened_half_a_day_before_at_most():
    day = Incident(1000, (1005,), (1000, 1005, 1500), "alert")
    assert found_at([day], 1400, 1600) == 1500
    assert found_at([day], 1000 + 12 * 60, 2000) is None  # it did not grow any more
    late = Incident(1000, (1005,), (1000, 1005, 1800), "alert")
    assert found_at([late], 1721, 1900) is None  # opened 721 minutes before
    assert found_at([late], 1720, 1900) == 1800
    quiet = Incident(1000, (), (1000, 1500), "watch")
    assert found_at([quiet], 1400, 1600) is None


@pytest.mark.parametrize(
    ("count", "low", "high"), [(0, 0.0, 2.996), (1, 0.0513, 4.744), (22, 14.894, 31.415)]
)
def test_the_poisson_interval_is_the_exact_one(count, low, high):
    assert poisson_interval(count) == pytest.approx((low, high), abs=0.005)


def test_a_share_has_an_interval_also_at_its_ends():
    assert proportion(0, 0, "x").value is None
    none, all_ = proportion(0, 10, "x"), proportion(10, 10, "x")
    assert (none.low, none.value) == (pytest.approx(0.0, abs=1e-9), 0.0)
    assert none.high == pytest.approx(0.278, abs=0.001)
    assert all_.low == pytest.approx(1 - 0.278, abs=0.001)


def test_the_median_of_delays_is_infinite_when_half_were_never_found():
    assert median(np.array([1.0, 2.0, math.inf])) == 2.0
    assert median(np.array([1.0, math.inf])) == math.inf
    assert by_brand("x", {"a": [math.inf, 3.0]}, median, np.random.default_rng(1)).value is None


def test_the_bootstrap_draws_brands_and_so_is_wider_than_their_cases():
    rng = np.random.default_rng(1)
    cases = {str(brand): [float(brand)] * 50 for brand in range(10)}
    got = by_brand("x", cases, lambda v: float(v.mean()), rng)
    assert got.value == 4.5
    assert got.n == 500
    assert got.high - got.low > 2.5  # 500 independent cases would give 0.5
    assert by_brand("x", {}, median, rng).value is None


def test_the_size_of_which_half_are_found_is_interpolated_and_made_to_rise():
    size, inside = half_found([10, 40], [0.25, 0.75])
    assert (size, inside) == (pytest.approx(20), True)
    assert half_found([10, 40, 90], [0.6, 0.4, 1.0]) == (10.0, False)  # pooled: half at the first
    assert half_found([10, 40], [0.1, 0.2]) == (40.0, False)
    assert geometric_mean(np.array([10.0, 1000.0])) == pytest.approx(100)
