"""Schedule: who is on call at a moment: shifts by weekday and hour in a time zone, and turns by week."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Any, Final

from uproar.errors import Malformed

DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_KEYS: Final = ("name", "time_zone", "otherwise", "shift")
_SHIFT_KEYS: Final = ("receivers", "rotation", "starting", "days", "from", "to")
_WEEK: Final = 7

Named = Callable[[object, str], tuple[str, ...]]
"""Checks a list of receivers' names and returns it; its second argument says where it stands."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shift:
    """
    Hours of some weekdays, and who takes them.

    Attributes:
        receivers: Who is on call: all of them, or with ``starting`` one after the other, a week each.
        days: Weekdays on which it begins, Monday is 0.
        begins: When it begins, in the schedule's time zone.
        ends: When it ends; not later than ``begins``: on the day after.
        starting: The day on which the first of a rotation begins his week.
    """

    receivers: tuple[str, ...]
    days: frozenset[int] = frozenset(range(_WEEK))
    begins: time = time()
    ends: time = time()
    starting: date | None = None

    def at(self, local: datetime) -> tuple[str, ...]:
        """Return who of it is on call at a local time."""
        today, clock = local.date(), local.time()
        yesterday = today - timedelta(days=1)
        over_night = self.ends <= self.begins
        begun = today.weekday() in self.days and clock >= self.begins
        if begun and (over_night or clock < self.ends):
            return self._turn(today)
        if over_night and yesterday.weekday() in self.days and clock < self.ends:
            return self._turn(yesterday)
        return ()

    def _turn(self, day: date) -> tuple[str, ...]:
        if self.starting is None:
            return self.receivers
        weeks = (day - self.starting).days // _WEEK
        return (self.receivers[weeks % len(self.receivers)],)


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """
    Who is on call when. Somebody always is.

    Attributes:
        zone: In which the hours of the shifts are meant, summer time included.
        otherwise: Who is on call while no shift is.
    """

    name: str
    zone: tzinfo
    otherwise: tuple[str, ...]
    shifts: tuple[Shift, ...] = ()

    def on_call(self, at: datetime) -> tuple[str, ...]:
        """Return who is on call at a moment, each once: all shifts that run, or ``otherwise``."""
        local = at.astimezone(self.zone)
        found = dict.fromkeys(who for shift in self.shifts for who in shift.at(local))
        return tuple(found) or self.otherwise

    def changes(self, at: datetime) -> datetime | None:
        """Return when somebody else is on call next, within the next 8 days; None: nobody is."""
        local = at.astimezone(self.zone)
        days = [local.date() + timedelta(days=n) for n in range(_WEEK + 2)]
        hours = {hour for shift in self.shifts for hour in (shift.begins, shift.ends, time())}
        ends = sorted(
            datetime.combine(day, hour, self.zone).astimezone(UTC) for day in days for hour in hours
        )
        now = set(self.on_call(at))
        return next((end for end in ends if end > at and set(self.on_call(end)) != now), None)

    @property
    def members(self) -> tuple[str, ...]:
        """Everybody who is ever on call."""
        every = (who for shift in self.shifts for who in shift.receivers)
        return tuple(dict.fromkeys([*every, *self.otherwise]))


def read_schedules(
    tables: Sequence[Mapping[str, Any]], named: Named, zone: Callable[[str], tzinfo]
) -> tuple[Schedule, ...]:
    """
    Read the ``[[schedule]]`` tables.

    Args:
        tables: As they stand in uproar.toml.
        named: Checks names of receivers.
        zone: Finds a time zone by its name; raises KeyError or ValueError for an unknown one.

    Raises:
        Malformed: Which schedule is wrong and why.
    """
    read = tuple(_schedule(table, n, named, zone) for n, table in enumerate(tables, start=1))
    names = [schedule.name for schedule in read]
    if twice := {name for name in names if names.count(name) > 1}:
        raise Malformed(f"schedule {min(twice)!r} stands twice")
    return read


def _schedule(
    table: Mapping[str, Any], number: int, named: Named, zone: Callable[[str], tzinfo]
) -> Schedule:
    where = f"schedule {table.get('name', f'number {number}')!r}"
    _known(table, _KEYS, where)
    name, zone_name, shifts = table.get("name"), table.get("time_zone"), table.get("shift", [])
    if not isinstance(name, str) or not name.strip():
        raise Malformed(f"{where} has no name")
    if not isinstance(zone_name, str):
        raise Malformed(f"{where}: say in which time_zone, for example 'Europe/Paris'")
    try:
        found = zone(zone_name)
    except (KeyError, ValueError, OSError):
        raise Malformed(f"{where}: there is no time zone {zone_name!r}") from None
    otherwise = named(table.get("otherwise"), f"{where}: otherwise")
    if not otherwise:
        raise Malformed(f"{where}: otherwise must name who is paged while no shift runs")
    if not isinstance(shifts, list) or not all(isinstance(one, Mapping) for one in shifts):
        raise Malformed(f"{where}: write [[schedule.shift]] before each shift")
    return Schedule(
        name=name,
        zone=found,
        otherwise=otherwise,
        shifts=tuple(
            _shift(one, f"{where}, shift {n}", named) for n, one in enumerate(shifts, start=1)
        ),
    )


def _shift(table: Mapping[str, Any], where: str, named: Named) -> Shift:
    _known(table, _SHIFT_KEYS, where)
    starting = table.get("starting")
    turns = "rotation" in table
    if turns == ("receivers" in table):
        raise Malformed(f"{where}: name either receivers, or a rotation")
    key = "rotation" if turns else "receivers"
    who = named(table[key], f"{where}: {key}")
    if not who:
        raise Malformed(f"{where}: {key} names nobody")
    if turns != (starting is not None):
        raise Malformed(f"{where}: a rotation, and nothing else, has a starting day")
    if turns and (not isinstance(starting, date) or isinstance(starting, datetime)):
        raise Malformed(f"{where}: starting must be a day, for example 2026-01-05")
    return Shift(
        receivers=who,
        days=_days(table.get("days", list(DAYS)), where),
        begins=_hour(table.get("from", "00:00"), f"{where}: from"),
        ends=_hour(table.get("to", "24:00"), f"{where}: to"),
        starting=starting,
    )


def _days(given: object, where: str) -> frozenset[int]:
    if not isinstance(given, list) or not given or not all(day in DAYS for day in given):
        raise Malformed(f"{where}: days must be a list of {', '.join(DAYS)}")
    return frozenset(DAYS.index(day) for day in given)


def _hour(given: object, where: str) -> time:
    if given == "24:00":
        return time()
    try:
        if isinstance(given, str):
            hour = time.fromisoformat(given)
            if hour.tzinfo is None:
                return hour
    except ValueError:
        pass
    raise Malformed(f"{where} must be an hour, for example '08:00'")


def _known(table: Mapping[str, Any], keys: Sequence[str], where: str) -> None:
    if unknown := sorted(set(table) - set(keys)):
        raise Malformed(f"{where}: unknown {', '.join(unknown)}; known are {', '.join(keys)}")
