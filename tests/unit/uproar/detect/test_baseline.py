"""What is usual: level, hour of day, day of week, spread; and what must not teach it."""

from collections.abc import Callable, Iterable

import numpy as np
import pytest

from uproar.detect import baseline, budget
from uproar.detect.correction import correct
from uproar.detect.policy import BEFORE, Policy
from uproar.watch import BINS, HOURS, WATCH, WEEK, Row, Some, Table

POLICY = Policy()
DAY, WEEKS = 24, 24 * 7


def a_row(born: int = 0) -> Table:
    """A subject that is watched from an hour on."""
    row = Table(1)
    budget.begin(row, POLICY)
    budget.allow(row, np.array([1 / 30]), POLICY)
    baseline.born(row, np.array([born * 12]))
    return row


def live(
    row: Table, hours: range, rate: float | Callable[[int], float], *, share: float = 0.5
) -> Table:
    """Let hours pass in which so many posts are written; ``rate``: a number, or by hour."""
    for hour in hours:
        baseline.advance(row, np.array([hour * 12 + 11]), POLICY)
        count = rate(hour) if callable(rate) else rate
        row["hour_all"] += count
        row["hour_negative"] += count * share
    baseline.advance(row, np.array([hours.stop * 12]), POLICY)
    return row


def copy_of(row: Table) -> Table:
    copy = a_row()
    copy.unpack(np.array([0]), row.pack(np.array([0])))
    return copy


def rated(row: Table, hour: int) -> Table:
    """Work out what is usual in an hour, on a copy."""
    row = copy_of(row)
    baseline.advance(row, np.array([hour * 12]), POLICY)
    baseline.rate(row, np.array([hour]), POLICY)
    return row


def usual(row: Table, hour: int, *, lag: int = 0, what: str = "negative") -> float:
    """Posts that are usual in an hour."""
    now = rated(row, hour)
    return float(now[f"level_{what}"][0, lag] * now["now"][0])


# ------------------------------------------------------------------------------------------- level


@pytest.mark.parametrize("lag", range(len(BEFORE)))
def test_the_level_is_learnt(lag: int):
    row = live(a_row(), range(1, 200), 10)
    assert usual(row, 200, lag=lag) == pytest.approx(5, rel=0.05)
    assert usual(row, 200, lag=lag, what="all") == pytest.approx(10, rel=0.05)
    assert rated(row, 200)["usual_share"][0, lag] == pytest.approx(0.5, rel=0.05)


def test_what_a_window_holds_is_no_part_of_its_baseline():
    calm = live(a_row(), range(1, 200), 10)
    for lag, hours in enumerate(BEFORE.tolist()):
        before = rated(calm, 200 + hours)["level_negative"][0, lag]
        wave = live(copy_of(calm), range(201, 201 + hours - 1), 14)
        assert rated(wave, 200 + hours)["level_negative"][0, lag] <= before * 1.01


def test_a_new_level_is_learnt_in_days():
    row = live(a_row(), range(1, WEEKS), 3)
    week = []
    for day in range(7, 21):
        live(row, range(day * 24, day * 24 + 24), 9)
        week.append(usual(row, day * 24 + 24, what="all"))
    assert week[0] < 7
    assert week[4] == pytest.approx(9, rel=0.35)
    assert np.mean(week[7:]) == pytest.approx(9, rel=0.2)


def test_a_wave_of_an_hour_hardly_moves_what_is_usual():
    calm, wave = (
        live(a_row(), range(1, 200), rate) for rate in (5, lambda h: 500 if h == 150 else 5)
    )
    assert 0.8 < usual(wave, 200) / usual(calm, 200) < 1.5
    assert 0.8 < usual(wave, 150 + 24) / usual(calm, 150 + 24) < 2


def test_what_is_usual_is_never_nothing_and_more_certain_the_more_was_heard():
    few, many = (live(a_row(), range(1, 100), rate) for rate in (0.02, 20))
    assert usual(few, 100) > 0
    assert rated(few, 100)["unsure"][0, 0] > 5 * rated(many, 100)["unsure"][0, 0]


def test_it_is_worked_out_once_an_hour():
    row = live(a_row(), range(1, 100), 10)
    baseline.rate(row, np.array([100]), POLICY)
    row["all"], row["negative"] = 0.0, 0.0
    before = row["level_all"].copy()
    baseline.rate(row, np.array([100]), POLICY)
    assert (row["level_all"] == before).all()
    baseline.rate(row, np.array([101]), POLICY)
    assert (row["level_all"] < before).all()


# ---------------------------------------------------------------------------------------- rhythms


def test_the_hour_of_day_is_learnt():
    row = live(a_row(), range(1, 24 * 28), lambda hour: 2 if hour % 24 < 12 else 20)
    at_night = usual(row, 24 * 28 + 3, what="all")
    live(row, range(24 * 28, 24 * 28 + 12), 2)
    by_day = usual(row, 24 * 28 + 15, what="all")
    assert 1 < at_night < 4
    assert by_day == pytest.approx(20, rel=0.25)


def test_an_hour_of_day_that_was_never_seen_is_doubtful():
    unseen, seen = (rated(live(a_row(), range(1, h), 10), h)["doubt"][0] for h in (20, 60))
    assert unseen > 3 * seen


def test_one_strange_day_hardly_moves_the_hour_of_day():
    calm, strange = (
        live(a_row(), range(1, 24 * 10), rate)
        for rate in (10, lambda h: 60 if h == 24 * 8 + 7 else 10)
    )
    ratio = usual(strange, 24 * 10 + 7) / usual(calm, 24 * 10 + 7)
    assert 1 <= ratio < 2


def test_the_day_of_the_week_is_learnt():
    def rate(hour: int) -> float:
        return 24 if hour // 24 % WEEK == 2 else 6

    row = live(a_row(), range(1, WEEKS * 6 + 24), rate)
    ordinary = usual(row, WEEKS * 6 + 24, what="all")
    live(row, range(WEEKS * 6 + 24, WEEKS * 6 + 48), rate)
    special = usual(row, WEEKS * 6 + 48, what="all")
    assert ordinary == pytest.approx(6, rel=0.3)
    assert special > 2 * ordinary


def test_days_that_are_all_alike_have_no_rhythm():
    row = live(a_row(), range(1, WEEKS * 4), 10)
    factors = [rated(row, WEEKS * 4 + hour)["now"][0] for hour in range(0, WEEKS, 7)]
    assert np.allclose(factors, 1, atol=0.05)


def test_a_noisy_subject_has_a_wider_spread():
    rng = np.random.default_rng(3)
    steady = live(a_row(), range(1, 400), lambda _: rng.poisson(20))
    noisy = live(a_row(), range(1, 400), lambda _: rng.poisson(20 * rng.gamma(1, 1)))
    assert rated(noisy, 400)["noise"][0] > 2 * rated(steady, 400)["noise"][0]


# ---------------------------------------------------------------------------------- little is known


def test_hours_count_from_the_first_whole_one_on():
    for hours in (1, 2, 3, 5, 8, 20, 30):
        known = rated(live(a_row(), range(1, hours), 10), hours)["heard_hours"][0]
        whole = hours - 1  # behind the first, which is not a whole one
        assert known == pytest.approx(np.maximum(whole - (BEFORE - 1), 0), rel=0.1)


def test_silence_is_known_only_after_a_day_of_it():
    assert not rated(live(a_row(), range(1, 20), 0), 20)["heard_hours"].any()
    assert rated(live(a_row(), range(1, 40), 0), 40)["heard_hours"][0, 0] >= POLICY.silence


def test_a_first_day_is_doubtful():
    young, old = (
        rated(live(a_row(), range(1, h), 10), h)["unsure"][0, 0] for h in (6, 60)
    )  # fmt: skip
    assert young > 5 * old


# ------------------------------------------------------------------------------------------- spikes


def test_a_burst_of_five_minutes_is_cut_and_a_usual_number_is_not():
    row = rated(live(a_row(), range(1, 200), 10), 200)
    shares = baseline.cut(row, POLICY, np.array([[0, 0.5, 2, 60, 600]], float), np.ones((1, 1)))[0]
    assert shares[:3].tolist() == [1, 1, 1]
    assert shares[3] * 60 == pytest.approx(shares[4] * 600)
    assert 2 < shares[4] * 600 < 20


def test_a_busy_hour_may_have_more_before_it_is_cut():
    row = rated(live(a_row(), range(1, 200), 10), 200)
    night, day = (baseline.cut(row, POLICY, np.array([100.0]), np.array([f])) for f in (0.3, 3))
    assert day > night


def test_nothing_is_a_burst_before_a_day_is_known():
    row = rated(live(a_row(), range(1, 20), 10), 20)
    assert (baseline.cut(row, POLICY, np.array([1e4]), np.ones(1)) == 1).all()


def test_of_a_burst_that_is_cut_the_share_of_complaints_is_kept():
    row = live(a_row(), range(1, 200), 10)
    row["bins_negative"][0, 200 * 12 % BINS] = 400
    row["bins_all"][0, 200 * 12 % BINS] = 500
    baseline.advance(row, np.array([200 * 12 + 1]), POLICY)
    assert 2 < row["hour_negative"][0] < 20
    assert row["hour_negative"][0] / row["hour_all"][0] == pytest.approx(0.8)


def test_five_minutes_that_ended_go_into_their_hour_and_no_other():
    row = live(a_row(), range(1, 10), 0)
    for bin_ in range(10 * 12, 12 * 12):
        baseline.advance(row, np.array([bin_]), POLICY)
        row["bins_all"][0, bin_ % BINS] = 1
    baseline.advance(row, np.array([12 * 12]), POLICY)
    assert (row["hours_all"][0] * 16).tolist() == [0] * 10 + [12, 12] + [0] * 12
    assert row["bins_all"][0, 0] == 0


# ------------------------------------------------------------------------------------ an open wave


def test_the_hours_of_an_open_episode_teach_nothing():
    rows = [live(a_row(), range(1, 100), 5) for _ in range(2)]
    rows[1]["level"], rows[1]["opened"] = 2, 100 * 60
    baseline.disown(Row(rows[1], 0), 5)
    before = rated(rows[0], 100)["level_negative"][0, 0]
    live(rows[0], range(100, 130), 50)
    live(rows[1], range(100, 130), 50)
    other, open_ = (rated(row, 130)["level_negative"][0, 0] for row in rows)
    assert open_ == pytest.approx(before, rel=0.01)
    assert other > 1.5 * before


def test_an_episode_that_does_not_end_is_the_new_usual_after_three_days():
    row = live(a_row(), range(1, 100), 5)
    row["level"], row["opened"] = 2, 100 * 60
    frozen = int(POLICY.freeze.total_seconds() // 3600)
    live(row, range(100, 100 + frozen + 150), 50)
    assert usual(row, 100 + frozen + 150) > 15


def test_the_window_that_opened_an_episode_is_no_part_of_what_is_usual():
    row = live(a_row(), range(1, 100), 5)
    baseline.disown(Row(row, 0), 330)
    assert (int(row["known"][0]) & 0b111_1111).bit_count() == 0
    assert int(row["known"][0]).bit_count() == HOURS - 7


def test_what_was_disowned_is_forgotten_at_once():
    row = live(a_row(), range(1, 100), lambda hour: 5 if hour < 96 else 15)
    before = rated(row, 100)["heard_hours"][0, 0]
    baseline.rate(row, np.array([100]), POLICY)
    baseline.disown(Row(row, 0), 300)
    baseline.rate(row, np.array([100]), POLICY)
    assert row["heard_hours"][0, 0] < before
    assert row["level_negative"][0, 0] == pytest.approx(2.5, rel=0.05)


# ---------------------------------------------------------------------------------------- slow sum


def test_a_small_excess_that_lasts_grows_the_slow_sum_and_it_drains_behind_it():
    row = live(a_row(), range(1, 24 * 14), 10)
    assert row["slow"][0] < 1
    live(row, range(24 * 14, 24 * 15), 30)
    grown = float(row["slow"][0])
    assert grown > 5
    live(row, range(24 * 15, 24 * 18), 10)
    assert row["slow"][0] < grown / 2


def test_one_burst_does_not_fill_the_slow_sum():
    row = live(a_row(), range(1, 24 * 14), 10)
    live(row, range(24 * 14, 24 * 14 + 1), 5000)
    assert row["slow"][0] <= POLICY.slow_cap


def test_the_slow_sum_says_nothing_before_a_day_is_known():
    row = live(a_row(), range(1, 24), lambda hour: 1 if hour < 4 else 60)
    assert row["slow"][0] == 0


# ------------------------------------------------------------------------------------------ silence


@pytest.mark.parametrize("hours", [1, 23, 24, 25, 70, 24 * 30 + 5])
def test_idle_hours_are_walked_through_in_one_step(hours: int):
    jumped, walked = (live(a_row(), range(1, 24 * 9), 8) for _ in range(2))
    jumped["slow"] = walked["slow"] = 9.0
    begin = 24 * 9
    baseline.advance(jumped, np.array([(begin + hours) * 12]), POLICY)
    for bin_ in range(begin * 12, (begin + hours) * 12 + 1):
        if bin_ % 5 == 0 or bin_ == (begin + hours) * 12:
            baseline.advance(walked, np.array([bin_]), POLICY)
    one, other = (row.pack(np.array([0])) for row in (jumped, walked))
    for name in WATCH.names or ():
        half = one[name].dtype == np.float16
        assert np.allclose(one[name], other[name], rtol=2e-3 if half else 1e-4, atol=1e-6), name


def test_rows_that_stand_at_different_hours_are_moved_on_each_by_itself():
    ends = [200 * 12 + 3, 230 * 12, 900 * 12 + 11]
    alone = [live(a_row(), range(1, 200), rate) for rate in (2, 10, 0)]
    both = Table(3)
    for place, row in enumerate(alone):
        both.unpack(np.array([place]), row.pack(np.array([0])))
    budget.allow(both, np.full(3, 1 / 30), POLICY)
    baseline.advance(both, np.array(ends), POLICY)
    for place, (row, end) in enumerate(zip(alone, ends, strict=True)):
        baseline.advance(row, np.array([end]), POLICY)
        one, other = row.pack(np.array([0])), both.pack(np.array([place]))
        for name in WATCH.names or ():
            assert np.allclose(one[name], other[name], rtol=1e-6), name


# ----------------------------------------------------------------------------------------- too late


def teach(row: Table, hours: Iterable[int], an_hour: float, negative: float = 0.5) -> None:
    """Teach a row that in each of these hours so many posts were written."""
    own = np.array(list(hours), np.int64)
    counts = np.full(len(own), float(an_hour))
    one = Some(row, np.array([0]))
    correct(one, own, counts * negative, counts, POLICY)
    one.put()


def test_history_teaches_the_level_and_no_window():
    row = live(a_row(), range(1, 100), 5)
    hours, exposure, before = row["hours_all"].copy(), row["exposure"].copy(), usual(row, 100)
    teach(row, range(40, 70), 5)
    assert (row["hours_all"] == hours).all()
    assert (row["exposure"] == exposure).all()
    assert usual(row, 100) > before


def test_the_longer_ago_history_was_the_less_it_teaches():
    rows = [live(a_row(), range(1, 200), 5) for _ in range(2)]
    for row, hour in zip(rows, (10, 150), strict=True):
        teach(row, [hour], 10, negative=1.0)
    assert usual(rows[0], 200) < usual(rows[1], 200)


def test_an_hour_of_history_far_beyond_the_others_counts_as_they_may():
    calm, stormy = (live(a_row(), range(1, 200), 5) for _ in range(2))
    teach(calm, [190], 5, negative=1.0)
    teach(stormy, [190], 3000, negative=1.0)
    assert usual(stormy, 200) < 2 * usual(calm, 200)


def test_a_handful_of_old_posts_does_not_say_that_somebody_listened():
    row, told = (live(a_row(295), range(296, 298), 0) for _ in range(2))
    teach(told, [10], 1)
    assert (rated(told, 298)["heard_hours"] == rated(row, 298)["heard_hours"]).all()
    teach(told, range(10, 290, 20), 1)
    assert (rated(told, 298)["heard_hours"] > HOURS).all()


def test_history_of_the_hours_of_an_open_episode_teaches_nothing():
    row = live(a_row(), range(1, 200), 5)
    row["level"], row["opened"] = 2, 190 * 60
    before = usual(row, 200)
    teach(row, range(189, 200), 6, negative=1.0)
    assert usual(row, 200) == before


def lived_and_told() -> tuple[Table, Table]:
    """One who was watched for 300 hours, and one whose history was told after an hour of watching."""
    lived = live(a_row(), range(1, 300), 6)
    told = live(a_row(295), range(296, 300), 6)
    teach(told, range(1, 295), 6)
    return lived, told


@pytest.mark.parametrize("later", [0, 5, 20, 48])
def test_history_of_before_the_watch_is_as_good_as_having_been_there(later: int):
    lived, told = (live(row, range(300, 300 + later), 6) for row in lived_and_told())
    one, other = rated(lived, 300 + later), rated(told, 300 + later)
    assert (other["heard_hours"] > HOURS / 2).all()
    assert np.allclose(one["level_negative"], other["level_negative"], rtol=0.35)
    assert other["usual_share"] == pytest.approx(one["usual_share"], rel=0.1)


@pytest.mark.parametrize("later", [5, 20, 48])
def test_steady_history_does_not_make_a_subject_look_erratic(later: int):
    _, told = lived_and_told()
    row = rated(live(told, range(300, 300 + later), 6), 300 + later)
    assert row["noise"][0] <= POLICY.spread + 0.05
    assert row["now"][0] == pytest.approx(1, abs=0.2)
