"""What is usual: level, hour of day, spread; and what must not teach it."""

import numpy as np
import pytest

from uproar.detect import baseline
from uproar.detect.correction import correct
from uproar.detect.policy import SPAN, Policy
from uproar.watch import HOURS, WATCH

POLICY = Policy()
HOUR = 2  # the window


def a_row() -> np.ndarray:
    row = np.zeros(1, dtype=WATCH)
    baseline.born(row, np.array([0]))
    return row


def live(row: np.ndarray, hours: range, rate, *, share: float = 0.5) -> np.ndarray:
    """Let hours pass in which so many posts are written; ``rate``: a number, or by hour."""
    for hour in hours:
        baseline.advance(row, np.array([hour * 12 + 11]), POLICY)
        count = rate(hour) if callable(rate) else rate
        row["hours_all"][0, hour % HOURS] += count
        row["hours_negative"][0, hour % HOURS] += count * share
    baseline.advance(row, np.array([hours.stop * 12]), POLICY)
    return row


def usual(row: np.ndarray, hour: int) -> baseline.Usual:
    baseline.advance(row, np.array([hour * 12 + 11]), POLICY)
    return baseline.usual(row, hour * 60 + 60, POLICY)


def test_the_level_is_learnt():
    expected = usual(live(a_row(), range(1, 200), 10), 200)
    assert expected.negative[0, HOUR] == pytest.approx(5, rel=0.05)
    assert expected.posts[0, HOUR] == pytest.approx(10, rel=0.05)
    assert expected.share[0, HOUR] == pytest.approx(0.5, rel=0.05)


def test_every_window_covers_the_time_it_says_and_expects_in_proportion():
    row = live(a_row(), range(1, 200), 10)
    for minutes in (1, 3, 5, 34, 60):
        baseline.advance(row, np.array([200 * 12 + (minutes - 1) // 5]), POLICY)
        expected = baseline.usual(row, 200 * 60 + minutes, POLICY)
        covered = expected.covered[0]
        assert (covered <= SPAN).all()
        assert (covered > SPAN - np.array([5, 5, 5, 60, 60])).all()
        assert np.allclose(expected.negative[0] / covered, 5 / 60, rtol=0.06)


def test_the_hour_of_day_is_learnt():
    night = live(a_row(), range(1, 24 * 14), lambda hour: 2 if hour % 24 < 12 else 20)
    at_night = usual(night.copy(), 24 * 14 + 3).posts[0, HOUR]
    by_day = usual(night.copy(), 24 * 14 + 15).posts[0, HOUR]
    assert 1 < at_night < 4
    assert by_day == pytest.approx(20, rel=0.25)


def test_a_wave_of_an_hour_hardly_moves_what_is_usual():
    calm, wave = (
        live(a_row(), range(1, 200), rate) for rate in (5, lambda h: 500 if h == 150 else 5)
    )
    ratio = usual(wave, 200).negative[0, HOUR] / usual(calm, 200).negative[0, HOUR]
    assert 0.9 < ratio < 1.5


def test_a_new_level_is_learnt_in_days():
    row = live(a_row(), range(1, 24 * 14), lambda hour: 3 if hour < 24 * 7 else 9)
    assert usual(row, 24 * 14).posts[0, HOUR] == pytest.approx(9, rel=0.3)


def test_a_noisy_subject_has_a_wider_spread():
    rng = np.random.default_rng(3)
    steady = live(a_row(), range(1, 400), lambda _: rng.poisson(20))
    noisy = live(a_row(), range(1, 400), lambda _: rng.poisson(20 * rng.gamma(1, 1)))
    assert usual(noisy, 400).variance[0, HOUR] > 2 * usual(steady, 400).variance[0, HOUR]


def test_nothing_is_usual_before_two_hours_or_before_as_many_as_the_window_has():
    for hours in (1, 2, 3, 5, 8, 20, 30, 60):
        known = usual(live(a_row(), range(1, hours), 10), hours).known[0]
        whole = hours - 1  # behind the first, which is not a whole one
        assert known.tolist() == [
            max(0, whole - before) >= needed
            for before, needed in zip([1, 1, 1, 5, 23], [2, 2, 2, 6, 24], strict=True)
        ]


def test_silence_is_known_only_after_a_day_of_it():
    assert not usual(live(a_row(), range(1, 20), 0), 20).known.any()
    assert usual(live(a_row(), range(1, 40), 0), 40).known[0, HOUR]


def test_a_first_day_is_doubtful():
    young, old = (usual(live(a_row(), range(1, h), 10), h).variance[0, HOUR] for h in (6, 60))
    assert young > 5 * old


def test_the_hours_of_an_open_episode_teach_nothing():
    rows = [live(a_row(), range(1, 100), 5) for _ in range(2)]
    rows[1]["level"], rows[1]["opened"] = 2, 100 * 60
    baseline.disown(rows[1][0], 5)
    before = usual(rows[0].copy(), 100).negative[0, HOUR]
    open_, other = (usual(live(row, range(100, 130), 50), 130) for row in (rows[1], rows[0]))
    assert open_.negative[0, HOUR] == pytest.approx(before, rel=0.01)
    assert other.negative[0, HOUR] > 2 * before


def test_an_episode_that_does_not_end_is_the_new_usual_after_three_days():
    row = live(a_row(), range(1, 100), 5)
    row["level"], row["opened"] = 2, 100 * 60
    assert usual(live(row, range(100, 320), 50), 320).negative[0, HOUR] > 15


def test_the_window_that_opened_an_episode_is_no_part_of_what_is_usual():
    row = live(a_row(), range(1, 100), 5)
    baseline.disown(row[0], 330)
    assert (int(row["known"][0]) & 0b111_1111).bit_count() == 0
    assert int(row["known"][0]).bit_count() == HOURS - 7


def test_a_post_of_the_past_teaches_the_level_and_no_window():
    row = live(a_row(), range(1, 100), 5)
    hours, before = row["hours_all"].copy(), usual(row.copy(), 100)
    for _ in range(100):
        correct(row[0], 60, 0.5, POLICY)
    assert (row["hours_all"] == hours).all()
    assert usual(row, 100).negative[0, HOUR] > before.negative[0, HOUR]
    assert row["exposure"] == pytest.approx(learnt(from_hour=1, running=100))


def learnt(*, from_hour: int, running: int) -> float:
    """Hours that have left the ring, fading."""
    return (1 - POLICY.fade ** (running - HOURS + 1 - from_hour)) / (1 - POLICY.fade)


def test_history_of_before_the_watch_makes_its_hours_known():
    lived = live(a_row(), range(1, 300), 6)
    told = np.zeros(1, dtype=WATCH)
    baseline.born(told, np.array([295 * 12]))
    live(told, range(296, 300), 6)
    for hour in range(1, 295):
        for _ in range(6):
            correct(told[0], hour, 0.5, POLICY)
    one, other = usual(lived, 300), usual(told, 300)
    assert other.known.all()
    assert other.negative[0, HOUR] == pytest.approx(one.negative[0, HOUR], rel=0.35)
