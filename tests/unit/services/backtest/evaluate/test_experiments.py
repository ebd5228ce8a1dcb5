import numpy as np
import pytest

from services.backtest.evaluate import budget, precision, recombined, smallest
from services.backtest.evaluate.brands import Part, brands
from services.backtest.evaluate.hearing import PERFECT
from services.backtest.evaluate.metrics import Incident, incidents
from services.backtest.evaluate.recordings import check
from services.backtest.evaluate.trial import BEGIN, run
from services.backtest.evaluate.wave import FAST, analytic
from uproar.errors import Misconfigured


def test_a_large_crisis_is_found_and_a_tiny_one_of_a_large_brand_is_not():
    lanes, waves = [], []
    brand = brands(Part.TUNE)[6]
    cases = smallest.place(
        lanes, waves, brands=[brand], ears={"perfect": PERFECT}, starts=2, rungs=26,
        alarms_per_day=1 / 30, warm=3, rng=np.random.default_rng(1),
    )  # fmt: skip
    kept = [case for case in cases if case.size in {3, 100_000} and case.curve == "fast"]
    chosen = [case.lane for case in kept]
    place = {lane: number for number, lane in enumerate(chosen)}
    moved = [type(w)(place[w.lane], w.begin, w.negative, w.other) for w in waves if w.lane in place]
    outcome = run([lanes[i] for i in chosen], days=5, rng=np.random.default_rng(2), waves=moved)
    found = incidents(outcome.events)
    paged = {
        case.size: [
            smallest.found_at(found.get(place[c.lane], []), c.begin, c.begin + 360) is not None
            for c in kept
            if c.size == case.size
        ]
        for case in kept
    }
    assert paged == {3: [False, False], 100_000: [True, True]}
    assert outcome.negative.shape == (5 * 288, 4)


def test_the_smallest_found_is_told_of_each_brand_and_over_all():
    cases = [
        smallest.Case("fast", "perfect", "a", size, lane, BEGIN)
        for lane, size in enumerate((10, 10, 40, 40))
    ]
    found = {lane: [Incident(BEGIN + 60, (BEGIN + 60,), (BEGIN + 60,), "alert")] for lane in (2, 3)}
    own, mean = smallest.measures(cases, found, np.random.default_rng(1))
    assert own.value == pytest.approx(20)
    assert mean.name == "smallest found in 6 h, fast, perfect, geometric mean"
    assert mean.value == pytest.approx(20)


def case(lane, *, first_hour, brand="a"):
    out = np.arange(1, 101) / 100
    return recombined.Case(brand, "c", 100, 0.8, lane, BEGIN, first_hour, out)


def test_the_volume_out_is_what_came_before_the_page():
    cases = [case(0, first_hour=4.0), case(1, first_hour=0.5)]
    own = {0: [Incident(BEGIN + 7, (BEGIN + 7,), (BEGIN + 7,), "alert")]}
    rows = {m.name: m for m in recombined.measures(cases, own, np.random.default_rng(1))}
    sure = rows["recombined, first hour >= 3x, median share of volume out"]
    assert (sure.value, sure.n) == (pytest.approx(0.07), 1)
    assert rows["recombined, first hour >= 3x, median minutes to page"].value == 7
    assert rows["recombined, all, median minutes to page"].value is None
    assert rows["recombined, all, found within 1 h"].value == 0.5


def test_alarms_in_the_warm_up_are_not_held_against_the_budget():
    plan = budget.Plan(replicates=2, warm=1, days=8)
    brand = brands(Part.TUNE)[:1]
    times = {0: (BEGIN + 100, BEGIN + 1440), 1: (BEGIN + 5000,)}
    found = {lane: [Incident(t, (t,), (t,), "alert") for t in ts] for lane, ts in times.items()}
    years = budget.Years(None, plan, ("1/week",), brand, found)
    assert years.alarms("1/week", 0) == 2
    assert years.asked("1/week") == pytest.approx(2)
    first, new, whole, *_ = budget.measures(years)
    assert first.value == pytest.approx(1.0)
    assert new.name == "budget 1/week, realised/asked, first week of all brands"
    assert new.value == pytest.approx(3 / 2)  # the warm-up's too
    assert whole.n == 2


def test_curves_and_lanes_are_drawn_within_the_warm_up_day():
    lanes, waves = [], []
    cases = recombined.place(
        lanes, waves, brands=brands(Part.REPORT, giant=False)[:2],
        curves=[analytic("c", FAST)], ear=PERFECT, each=3, alarms_per_day=0.1, warm=4,
        rng=np.random.default_rng(3),
    )  # fmt: skip
    assert len(lanes) == len(waves) == len(cases) == 6
    for c, wave in zip(cases, waves, strict=True):
        assert BEGIN + 4 * 1440 <= wave.begin <= c.begin
        assert c.out[0] > 0  # the onset is its first post
        assert c.out[-1] == pytest.approx(1)


def test_without_the_data_the_reason_says_what_is_missing(tmp_path):
    (tmp_path / "volumes").mkdir()
    with pytest.raises(Misconfigured, match="no folder replays"):
        check(tmp_path)


def test_precision_weighs_crises_against_alarms_of_calm_months():
    month = round(precision.MONTH * 1440)
    plan = budget.Plan(replicates=1, warm=0, days=round(precision.MONTH * 4))
    calm = {0: [Incident(BEGIN + month, (), (BEGIN + month,), "alert")]}
    years = budget.Years(None, plan, ("1/month",), brands(Part.TUNE)[:1], calm)
    at = (BEGIN + 9,)
    hit = {0: [Incident(BEGIN + 9, (BEGIN + 9,), at, "alert")]}
    cases = [case(0, first_hour=4.0), case(1, first_hour=4.0)]
    rows = {m.name.split()[2]: m for m in precision.measures(years, "1/month", cases, hit)}
    right, wrong = 0.5 / 3, 1 / 4  # a month
    assert rows["alert"].value == pytest.approx(right / (right + wrong), rel=0.01)
    assert rows["alert"].n == 2
    assert rows["crisis"].value is None
