"""Routing: which receivers hear of which transition, and what for. Not what is said (notice)."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, NewType

from uproar.backlash import Level
from uproar.errors import Malformed
from uproar.incident import Happening, State, Transition
from uproar.notice import Language, NoticeKind
from uproar.schedule import Schedule
from uproar.subject import Kind, Subject

ReceiverName = NewType("ReceiverName", str)

DEFAULT_ROUTE: Final = "default"

MOST_FAILOVER: Final = 5

SUPERSEDES: Final[Mapping[NoticeKind, frozenset[NoticeKind]]] = {
    NoticeKind.TRIGGER: frozenset({NoticeKind.UPDATE}),
    NoticeKind.UPDATE: frozenset({NoticeKind.UPDATE}),
    NoticeKind.ACKNOWLEDGE: frozenset({NoticeKind.UPDATE}),
    NoticeKind.RESOLVE: frozenset({NoticeKind.UPDATE, NoticeKind.ACKNOWLEDGE}),
}
"""What nobody needs to be told any more, once there is a later notice of the same incident."""

LAST_WORDS: Final = frozenset({NoticeKind.ACKNOWLEDGE, NoticeKind.RESOLVE})
"""That somebody has it, or that it is over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Receiver:
    """
    Somebody who can be told: a channel, a pager service, an address.

    Attributes:
        language: In which language it is told; None: in that of the subject.
        pages_only: It only wakes people: updates that are no page are kept from it.
        canary: It also takes the product's own test posts.
    """

    name: ReceiverName
    language: Language | None = None
    pages_only: bool = False
    canary: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class OnCall:
    """
    A place in a route that whoever is on call takes.

    Attributes:
        members: Everybody who ever takes it.
    """

    schedule: Schedule
    members: tuple[Receiver, ...]

    @property
    def name(self) -> str:
        """The name of the schedule."""
        return self.schedule.name

    def at(self, moment: datetime) -> tuple[Receiver, ...]:
        """Return who takes it at a moment: never nobody."""
        by_name = {receiver.name: receiver for receiver in self.members}
        return tuple(by_name[ReceiverName(name)] for name in self.schedule.on_call(moment))


Told = Receiver | OnCall


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """
    Who hears of an incident once it has reached ``level``.

    Attributes:
        failover: Who is paged, one after the other, where a receiver gave no receipt in time.
    """

    name: str
    receivers: tuple[Told, ...]
    failover: tuple[Told, ...] = ()
    level: Level = Level.ALERT


def names_of(receivers: Sequence[Receiver]) -> Callable[[object, str], tuple[str, ...]]:
    """Return what checks a list of their names, for :func:`uproar.schedule.read_schedules`."""
    known: dict[str, Told] = {receiver.name: receiver for receiver in receivers}
    return lambda names, where: tuple(one.name for one in _named(names, where, known))


def read_routes(
    tables: Sequence[Mapping[str, Any]],
    receivers: Sequence[Receiver],
    schedules: Sequence[Schedule] = (),
) -> tuple[Route, ...]:
    """
    Read the ``[[route]]`` tables; where none is called ``default``, that one goes to all receivers.

    A route may name a schedule wherever it may name a receiver.

    Raises:
        Malformed: Which route is wrong and why, or which schedule is in none.
    """
    known = _known(receivers, schedules)
    routes = tuple(_route(table, number, known) for number, table in enumerate(tables, start=1))
    names = [route.name for route in routes]
    if twice := {name for name in names if names.count(name) > 1}:
        raise Malformed(f"route {min(twice)!r} stands twice")
    used = {one.name for route in routes for one in (*route.receivers, *route.failover)}
    if idle := [schedule.name for schedule in schedules if schedule.name not in used]:
        raise Malformed(f"schedule {idle[0]!r} is in no route: name it among a route's receivers")
    if DEFAULT_ROUTE not in names:
        routes += (Route(name=DEFAULT_ROUTE, receivers=tuple(receivers)),)
    return routes


def _known(receivers: Sequence[Receiver], schedules: Sequence[Schedule]) -> dict[str, Told]:
    by_name = {receiver.name: receiver for receiver in receivers}
    known: dict[str, Told] = {str(name): receiver for name, receiver in by_name.items()}
    for schedule in schedules:
        if schedule.name in known:
            raise Malformed(f"schedule {schedule.name!r}: a receiver has this name already")
        members = tuple(by_name[ReceiverName(name)] for name in schedule.members)
        known[schedule.name] = OnCall(schedule=schedule, members=members)
    return known


def _route(table: Mapping[str, Any], number: int, known: Mapping[str, Told]) -> Route:
    where = f"route {table.get('name', f'number {number}')!r}"
    if unknown := sorted(str(key)[:50] for key in set(table) - set(_KEYS))[:10]:
        raise Malformed(f"{where}: unknown {', '.join(unknown)}; known are {', '.join(_KEYS)}")
    name, level = table.get("name"), table.get("level", "alert")
    if not isinstance(name, str) or not name.strip():
        raise Malformed(f"{where} has no name")
    first = _named(table.get("receivers"), f"{where}: receivers", known)
    if not first:
        raise Malformed(f"{where}: receivers must be a list of names of receivers or schedules")
    failover = _named(table.get("failover", ()), f"{where}: failover", known)
    if len(failover) > MOST_FAILOVER:
        raise Malformed(f"{where}: at most {MOST_FAILOVER} can stand by")
    if both := [receiver.name for receiver in failover if receiver in first]:
        raise Malformed(f"{where}: {both[0]!r} is told at once and cannot stand by as well")
    if not isinstance(level, str) or level not in set(Level):
        raise Malformed(f"{where}: level must be one of {', '.join(Level)}")
    return Route(name=name, receivers=first, failover=failover, level=Level(level))


_KEYS: Final = ("name", "receivers", "failover", "level")


def _named(names: object, where: str, known: Mapping[str, Told]) -> tuple[Told, ...]:
    if not isinstance(names, list | tuple):
        raise Malformed(f"{where} must be a list of receiver names")
    if missing := [n for n in names if not isinstance(n, str) or n not in known]:
        raise Malformed(f"{where}: there is no receiver {missing[0]!r}")
    return tuple(dict.fromkeys(known[str(name)] for name in names))


def language_of(receiver: Receiver, subject: Subject) -> Language:
    """Return in which language a receiver is told of a subject: its own, the subject's, English."""
    return receiver.language or Language(subject.language or Language.EN)


def route_of(subject: Subject, routes: Sequence[Route]) -> Route | None:
    """Return the route a subject names, or the default one: a wrong name must not lose a page."""
    by_name = {route.name: route for route in routes}
    return by_name.get(subject.route or DEFAULT_ROUTE) or by_name.get(DEFAULT_ROUTE)


def called(
    subject: Subject, routes: Sequence[Route], *, at: datetime
) -> list[tuple[Receiver, int]]:
    """Return who is paged at a moment, and in which place each stands by; 0 for at once."""
    route = route_of(subject, routes)
    if route is None:
        return []
    first = _present(route.receivers, at)
    idle = [one for one in _present(route.failover, at) if one not in first]
    return [(one, 0) for one in first] + [(one, rank) for rank, one in enumerate(idle, start=1)]


def receivers(
    transition: Transition,
    subject: Subject,
    routes: Sequence[Route],
    *,
    reached: Level | None,
) -> list[tuple[Receiver, NoticeKind]]:
    """
    Tell who hears of a transition, and what for.

    Args:
        transition: What happened to the incident.
        subject: Whose incident it is.
        routes: All routes.
        reached: The highest level the incident had before this transition; None where it begins.

    Returns:
        Each receiver once, in the order of its route.
    """
    if subject.kind is Kind.CANARY:
        return _canary(transition, routes)
    route = route_of(subject, routes)
    if route is None:
        return []
    told = _told(transition, route, _present(route.receivers, transition.at), reached)
    calls = transition.page
    return [
        (one, kind)
        for one, kind in told
        if one in route.receivers or calls or kind is NoticeKind.TRIGGER
    ]


def standbys(
    transition: Transition,
    subject: Subject,
    routes: Sequence[Route],
    *,
    reached: Level | None,
) -> list[tuple[Receiver, NoticeKind]]:
    """Tell who hears of it where those of :func:`receivers` give no receipt; the next one first."""
    route = route_of(subject, routes)
    if subject.kind is Kind.CANARY or route is None:
        return []
    first = _present(route.receivers, transition.at)
    idle = [one for one in _present(route.failover, transition.at) if one not in first]
    return _told(transition, route, idle, reached)


def acquainted(
    transition: Transition,
    subject: Subject,
    routes: Sequence[Route],
    *,
    reached: Level | None,
) -> list[tuple[Receiver, NoticeKind, int]]:
    """
    Tell who else of a schedule hears of it, if they were ever told of the incident.

    Whoever is on call hears what follows. Who is off call by now hears that somebody has it, or
    that it is over: what they were paged for must not stay open with them.

    Returns:
        Each with what it is for, and the place in which it stood by; 0 for who was told at once.
    """
    route = route_of(subject, routes)
    if subject.kind is Kind.CANARY or route is None:
        return []
    now = _present((*route.receivers, *route.failover), transition.at)
    known = [one for one, _ in receivers(transition, subject, routes, reached=reached)]
    known += [one for one, _ in standbys(transition, subject, routes, reached=reached)]
    rank = {one: 1 for place in route.failover for one in _members(place)}
    rank |= {one: 0 for place in route.receivers for one in _members(place)}
    told = _told(transition, route, [one for one in rank if one not in known], reached)
    return [(one, kind, rank[one]) for one, kind in told if one in now or kind in LAST_WORDS]


def _present(places: Iterable[Told], at: datetime) -> list[Receiver]:
    each = (place.at(at) if isinstance(place, OnCall) else (place,) for place in places)
    return list(dict.fromkeys(receiver for those in each for receiver in those))


def _members(place: Told) -> tuple[Receiver, ...]:
    return place.members if isinstance(place, OnCall) else ()


def _told(
    transition: Transition, route: Route, who: Sequence[Receiver], reached: Level | None
) -> list[tuple[Receiver, NoticeKind]]:
    if transition.level.rank < route.level.rank:
        return []
    told = reached is not None and reached.rank >= route.level.rank
    kind = _kind(transition, told=told)
    if kind is None:
        return []
    quiet = kind is NoticeKind.UPDATE and not transition.page
    unique = dict.fromkeys(who)
    return [(receiver, kind) for receiver in unique if not (quiet and receiver.pages_only)]


_TAKEN: Final = dict.fromkeys((Happening.ACKNOWLEDGE, Happening.SNOOZE), NoticeKind.ACKNOWLEDGE)
_CLOSED: Final = dict.fromkeys(
    (Happening.RESOLVE, Happening.ENDED, Happening.FALSE_ALARM, Happening.MERGE),
    NoticeKind.RESOLVE,
)
_LAST: Final[Mapping[Happening, NoticeKind]] = _TAKEN | _CLOSED
_KEPT_IN_THE_TIMELINE: Final = frozenset({Happening.NOTE, Happening.RATE, Happening.RELEASE})
_SOUGHT: Final = frozenset({Happening.REOPEN, Happening.WAKE, Happening.UNSILENCE})
_PUT_AWAY: Final = frozenset({State.RESOLVED, State.SNOOZED})


def _kind(transition: Transition, *, told: bool) -> NoticeKind | None:
    """What a transition is to those who have been told of the incident before, or have not."""
    happened = transition.happened
    if happened in _KEPT_IN_THE_TIMELINE:
        return None
    if happened in _LAST:
        return _LAST[happened] if transition.changed else None
    if happened in _SOUGHT:  # somebody must take it
        if transition.changed or transition.page:
            return NoticeKind.TRIGGER
        return NoticeKind.UPDATE if happened is Happening.UNSILENCE else None
    event = transition.happened_at is not None
    away = transition.after is State.RESOLVED or (transition.after is State.SNOOZED and event)
    if away and not transition.page:  # people put it away: only what brings it back disturbs them
        return NoticeKind.RESOLVE if happened is Happening.SPLIT and transition.changed else None
    back = transition.before in _PUT_AWAY and (event or transition.changed)
    new = back or not told or happened is Happening.RETURNED
    return NoticeKind.TRIGGER if new else NoticeKind.UPDATE


def _canary(transition: Transition, routes: Sequence[Route]) -> list[tuple[Receiver, NoticeKind]]:
    if not transition.page:
        return []
    every = (r for route in routes for r in _present(route.receivers, transition.at))
    marked = dict.fromkeys(receiver for receiver in every if receiver.canary)
    return [(receiver, NoticeKind.CANARY) for receiver in marked]
