from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from uproar.errors import Malformed
from uproar.schedule import Schedule, Shift, read_schedules

PARIS = ZoneInfo("Europe/Paris")
WEEKDAYS = frozenset(range(5))
OFFICE = Shift(receivers=("desk",), days=WEEKDAYS, begins=time(9), ends=time(18))
NIGHT = Shift(receivers=("owl",), days=WEEKDAYS, begins=time(18), ends=time(9))
SCHEDULE = Schedule(name="on-call", zone=PARIS, otherwise=("agency",), shifts=(OFFICE, NIGHT))


def paris(day: int, hour: int, minute: int = 0, month: int = 6) -> datetime:
    """A local time in 2026; 1 June is a Monday."""
    return datetime(2026, month, day, hour, minute, tzinfo=PARIS)


@pytest.mark.parametrize(
    ("moment", "who"),
    [
        (paris(1, 9), "desk"),
        (paris(1, 17, 59), "desk"),
        (paris(1, 18), "owl"),
        (paris(2, 8, 59), "owl"),
        (paris(6, 8), "owl"),  # the night that began on Friday
        (paris(6, 9), "agency"),
        (paris(8, 3), "agency"),  # no night began on Sunday
    ],
)
def test_a_shift_runs_from_its_first_minute_to_its_last_and_over_midnight(
    moment: datetime, who: str
):
    assert SCHEDULE.on_call(moment) == (who,)
    assert SCHEDULE.on_call(moment.astimezone(UTC)) == (who,)


def test_hours_are_those_of_the_time_zone_in_summer_and_in_winter():
    assert SCHEDULE.on_call(datetime(2026, 6, 1, 7, 0, tzinfo=UTC)) == ("desk",)
    assert SCHEDULE.on_call(datetime(2026, 12, 1, 7, 0, tzinfo=UTC)) == ("owl",)
    assert SCHEDULE.on_call(datetime(2026, 12, 1, 8, 0, tzinfo=UTC)) == ("desk",)


def test_somebody_is_on_call_in_every_minute_of_a_year_also_when_the_clocks_change():
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    while moment.year == 2026:
        assert SCHEDULE.on_call(moment)
        moment += timedelta(minutes=15)


def test_a_rotation_hands_over_once_a_week_at_the_hour_of_the_shift():
    week = Shift(receivers=("anna", "bert", "cleo"), starting=date(2026, 6, 1), begins=time(9))
    turns = Schedule(
        name="weeks",
        zone=PARIS,
        otherwise=("agency",),
        shifts=(
            Shift(receivers=week.receivers, starting=week.starting, begins=time(9), ends=time(9)),
        ),
    )
    assert turns.on_call(paris(1, 8, 59)) == ("cleo",)
    assert turns.on_call(paris(1, 9)) == ("anna",)
    assert turns.on_call(paris(8, 8, 59)) == ("anna",)
    assert turns.on_call(paris(8, 9)) == ("bert",)
    assert turns.on_call(paris(22, 9)) == ("anna",)
    assert turns.changes(paris(1, 9)) == paris(8, 9)


def test_shifts_that_overlap_page_both_and_each_once():
    both = Schedule(
        name="b",
        zone=UTC,
        otherwise=("z",),
        shifts=(Shift(receivers=("a", "b")), Shift(receivers=("b", "c"))),
    )
    assert both.on_call(paris(1, 12)) == ("a", "b", "c")
    assert both.members == ("a", "b", "c", "z")


def test_it_tells_when_somebody_else_is_on_call():
    assert SCHEDULE.changes(paris(1, 12)) == paris(1, 18)
    assert SCHEDULE.changes(paris(5, 20)) == paris(6, 9)
    assert SCHEDULE.changes(paris(6, 9)) == paris(8, 9)
    always = Schedule(name="a", zone=UTC, otherwise=("z",), shifts=())
    assert always.changes(paris(1, 12)) is None


TABLE: dict[str, Any] = {
    "name": "on-call",
    "time_zone": "Europe/Paris",
    "otherwise": ["agency"],
    "shift": [
        {"receivers": ["desk"], "days": ["mon", "fri"], "from": "09:00", "to": "18:00"},
        {"rotation": ["anna", "bert"], "starting": date(2026, 6, 1), "from": "18:00"},
    ],
}


def read(*tables: dict[str, Any]) -> tuple[Schedule, ...]:
    return read_schedules(tables, lambda names, _: tuple(names or ()), ZoneInfo)  # type: ignore[call-overload]


def test_a_schedule_is_read_as_it_stands_in_the_file():
    assert read(TABLE) == (
        Schedule(
            name="on-call",
            zone=PARIS,
            otherwise=("agency",),
            shifts=(
                Shift(receivers=("desk",), days=frozenset({0, 4}), begins=time(9), ends=time(18)),
                Shift(receivers=("anna", "bert"), begins=time(18), starting=date(2026, 6, 1)),
            ),
        ),
    )


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"name": " "}, "has no name"),
        ({"time_zone": None}, "say in which time_zone"),
        ({"time_zone": "Mars/Olympus"}, "there is no time zone 'Mars/Olympus'"),
        ({"time_zone": "../etc/passwd"}, "there is no time zone"),
        ({"otherwise": []}, "who is paged while no shift runs"),
        ({"shift": {"receivers": ["a"]}}, r"write \[\[schedule.shift\]\]"),
        ({"colour": "red"}, "unknown colour"),
        ({"shift": [{}]}, "shift 1: name either receivers, or a rotation"),
        ({"shift": [{"receivers": []}]}, "receivers names nobody"),
        ({"shift": [{"rotation": ["a"]}]}, "has a starting day"),
        ({"shift": [{"rotation": ["a"], "starting": "monday"}]}, "starting must be a day"),
        ({"shift": [{"receivers": ["a"], "starting": date(2026, 6, 1)}]}, "has a starting day"),
        ({"shift": [{"receivers": ["a"], "days": ["Monday"]}]}, "days must be a list of mon"),
        ({"shift": [{"receivers": ["a"], "days": []}]}, "days must be a list"),
        ({"shift": [{"receivers": ["a"], "from": "9"}]}, "from must be an hour"),
        ({"shift": [{"receivers": ["a"], "to": "25:00"}]}, "to must be an hour"),
        ({"shift": [{"receivers": ["a"], "until": "18:00"}]}, "unknown until"),
    ],
)
def test_a_schedule_that_makes_no_sense_is_refused_with_its_reason(
    wrong: dict[str, Any], reason: str
):
    with pytest.raises(Malformed, match=reason):
        read(TABLE | wrong)


def test_two_schedules_of_one_name_are_refused():
    with pytest.raises(Malformed, match="stands twice"):
        read(TABLE, TABLE)
