from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from services.backtest.evaluate import nab, real
from services.backtest.evaluate.background import STEP, STEPS_A_DAY
from services.backtest.evaluate.metrics import Incident
from services.backtest.evaluate.recordings import Recording
from uproar.detect.volume import Strangeness

BEGIN = 28_401_120 + 17 * STEP


def recording(days=20, rate=3.0):
    counts = np.random.default_rng(1).poisson(rate, days * STEPS_A_DAY).astype(float)
    usual = np.ones(len(counts), bool)
    usual[15 * STEPS_A_DAY : 16 * STEPS_A_DAY] = False
    return Recording("X", BEGIN, counts, usual)


def test_a_played_recording_gives_its_counts_minute_by_minute():
    source = recording()
    play = real.Play([real.Brand(source, 1.0, "1/week")], np.random.default_rng(1))
    days = [play.day() for _ in range(play.days)]
    posts = np.concatenate([d.negative + d.other for d in days])[:, 0]
    offset = BEGIN - play.begin
    steps = posts[offset : offset + len(source.counts) * STEP].reshape(-1, STEP).sum(axis=1)
    assert steps.tolist() == source.counts.tolist()
    assert posts.sum() == source.counts.sum()
    assert days[0].begin == play.begin
    negative = np.concatenate([d.negative for d in days]).sum()
    assert negative / posts.sum() == pytest.approx(real.SHARE, abs=0.06)


def test_a_thinned_brand_has_its_part_of_the_posts():
    play = real.Play([real.Brand(recording(), 0.1, "1/week")], np.random.default_rng(1))
    posts = sum((d := play.day()).negative.sum() + d.other.sum() for _ in range(play.days))
    assert posts == pytest.approx(0.1 * recording().counts.sum(), rel=0.1)


def test_alarms_in_warm_up_and_labelled_windows_are_not_counted():
    brand = real.Brand(recording(), 1.0, "1/week")
    day = 1440
    pages = [BEGIN + 5 * day, BEGIN + 15 * day + 60, BEGIN + 17 * day]
    found = {0: [Incident(p, (p,), (p,), "alert") for p in pages]}
    whole, pooled = real.measures([brand], found)
    asked = 5 / 7  # days 14 to 20, less the window's
    assert whole.value == pytest.approx(1 / asked)
    assert pooled.value == whole.value
    assert whole.low < whole.value < whole.high


def test_a_window_is_found_once_and_alarms_outside_are_false():
    begin, step = datetime(2015, 3, 1, tzinfo=UTC), timedelta(minutes=5)
    alarm = np.zeros(4 * STEPS_A_DAY, bool)
    alarm[[10, STEPS_A_DAY + 5, STEPS_A_DAY + 9]] = True
    windows = [
        (begin + timedelta(days=1), begin + timedelta(days=2)),
        (begin + timedelta(days=3), begin + timedelta(days=3, hours=5)),
    ]
    hits, false, weeks = nab.count(Strangeness(alarm * 1.0, alarm), begin, step, windows)
    assert (hits, false) == (1, 1)
    assert weeks == pytest.approx((4 - 1 - 5 / 24) / 7, abs=0.002)


def test_the_best_budget_within_the_false_alarms_is_told():
    points = [nab.Point("8/month", 9, 10, 6, 2.0), nab.Point("1/month", 6, 10, 1, 2.0)]
    *_, last = nab.measures(points)
    assert (last.value, last.n) == (0.6, 10)
    *_, none = nab.measures(points[:1])
    assert none.value is None
