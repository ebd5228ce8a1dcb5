"""Plan: what happens in one schedule, and what goes wrong in it; drawn from a seed."""

from dataclasses import dataclass, replace
from random import Random

from tests.build import a_backlash, a_moment
from uproar.backlash import Backlash, Event, Level, episode_id
from uproar.incident import Verb
from uproar.subject import SubjectId

KINDS = ("slack", "pagerduty", "webhook")
HEALED = 70.0
"""Seconds after which nothing goes wrong any more: from there on all must come right."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Life:
    """How long a process lives, in steps, and where it stands still; 0: neither."""

    dies_at: int = 0
    stalls_at: int = 0
    restarts_after: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Deed:
    """
    What a person does to the incident of a subject.

    Attributes:
        other: MERGE: the subject whose incident shall speak for it.
        seconds: SNOOZE: how long, in true time.
    """

    at: float
    subject: str
    verb: Verb
    other: str | None = None
    seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """
    One schedule.

    Attributes:
        events: What detection says, and when it arrives.
        acts: What people do.
        lives: For each replica the lives that end before all is healed.
        outages: When the database goes away, and for how long.
        jumps: When somebody sets the clock, and by how much.
        silences: When one begins, for how long, and over which subject.
        refusals: When a receiver begins to refuse all that comes, for how long, and which one.
        trouble: How likely a request fails.
        readable: Whether Slack lets us look for a message that may have arrived.
    """

    seed: int
    receivers: tuple[str, ...]
    failover: tuple[str, ...]
    events: tuple[tuple[float, Backlash], ...]
    acts: tuple[Deed, ...]
    lives: tuple[tuple[Life, ...], ...]
    outages: tuple[tuple[float, float], ...]
    jumps: tuple[tuple[float, float], ...]
    trouble: float
    readable: bool
    silences: tuple[tuple[float, float, str], ...] = ()
    refusals: tuple[tuple[float, float, str], ...] = ()


def draw(seed: int) -> Plan:
    """Draw the schedule of a seed."""
    return _lived(_drawn(seed), Random(f"{seed} lived"))


def _drawn(seed: int) -> Plan:
    rng = Random(seed)
    order = rng.sample(KINDS, 3)
    told = rng.choice((1, 1, 1, 2, 3))
    storm = rng.random() < 0.01
    number = rng.randint(12, 16) if storm else rng.choice((1, 1, 1, 2, 3))
    subjects = [f"s{n}" for n in range(number)]
    within = 2.0 if storm else 15.0  # seconds: more pages at once than a receiver takes
    all_end = storm and rng.random() < 0.5
    replicas = rng.choice((1, 1, 2))
    return Plan(
        seed=seed,
        receivers=tuple(order[:told]),
        failover=tuple(order[told : told + 1]) if rng.random() < 0.4 else (),
        events=tuple(
            sorted(
                (e for s in subjects for e in _story(s, rng, within, all_end)), key=lambda e: e[0]
            )
        ),
        acts=tuple(act for s in subjects for act in _acts(s, rng)),
        lives=tuple(_lives(rng) for _ in range(replicas)),
        outages=tuple(
            (rng.uniform(0, 60), rng.uniform(0.1, 12)) for _ in range(rng.choice((0, 0, 1)))
        ),
        jumps=tuple(
            (rng.uniform(0, HEALED - 5), rng.choice((-86400, -1800, -90, 40, 90, 3600, 86400)))
            for _ in range(rng.choice((0, 0, 1, 2)))
        ),
        trouble=rng.choice((0.0, 0.15, 0.4, 0.7)),
        readable=rng.random() < 0.7,
    )


def _story(subject: str, rng: Random, within: float, ends: bool) -> list[tuple[float, Backlash]]:
    at = rng.uniform(0, within)
    story = [(at, a_backlash(subject=subject, at=a_moment(minutes=1)))]
    steps = [
        (Event.GREW, {"level": Level.ALERT}),
        (Event.GREW, {"level": Level.CRISIS, "page": True, "severity": 90}),
        (Event.ENDED, {"level": Level.CRISIS}),
    ]
    for number, (event, given) in enumerate(steps, start=1):
        if rng.random() < 0.4 or (ends and event is Event.ENDED):
            at += rng.uniform(0, 25)
            moment = a_moment(minutes=1 + number)
            story.append(
                (at, a_backlash(event, subject=subject, sequence=number, at=moment, **given))
            )
    return story


def _acts(subject: str, rng: Random) -> list[Deed]:
    at, acts = rng.uniform(1, 30), []
    for verb in (Verb.ACKNOWLEDGE, Verb.RESOLVE):
        at += rng.uniform(0, 20)
        if rng.random() < 0.5:
            acts.append(Deed(at=at, subject=subject, verb=verb))
    return acts


# ------------------------------------------------------------- what makes a life of it, in half of all


def _lived(plan: Plan, rng: Random) -> Plan:
    """Add what outlasts a moment: snoozes, reopenings, silences, merges, waves, refusals."""
    if rng.random() < 0.5:
        return plan
    subjects = sorted({event.subject for _, event in plan.events})
    waves = [one for s in subjects if rng.random() < 0.3 for one in _again(s, plan, rng)]
    deeds = [one for s in subjects for one in _deeds(s, subjects, rng)]
    return replace(
        plan,
        events=tuple(sorted((*plan.events, *waves), key=lambda event: event[0])),
        acts=(*plan.acts, *deeds),
        silences=tuple(
            (rng.uniform(0, 40), rng.uniform(5, 40), s) for s in subjects if rng.random() < 0.4
        ),
        refusals=tuple(
            (rng.uniform(0, 40), rng.uniform(5, 25), one)
            for one in (*plan.receivers, *plan.failover)
            if rng.random() < 0.25
        ),
    )


def _deeds(subject: str, subjects: list[str], rng: Random) -> list[Deed]:
    at, deeds = rng.uniform(1, 20), []
    for _ in range(rng.choice((0, 1, 2, 3))):
        verb = rng.choice((Verb.SNOOZE, Verb.SNOOZE, Verb.REOPEN, Verb.ACKNOWLEDGE, Verb.SPLIT))
        deeds.append(Deed(at=at, subject=subject, verb=verb, seconds=rng.uniform(5, 30)))
        at += rng.uniform(1, 20)
    others = [other for other in subjects if other != subject]
    if others and rng.random() < 0.3:
        deeds.append(Deed(at=at, subject=subject, verb=Verb.MERGE, other=rng.choice(others)))
        at += rng.uniform(1, 20)
        if rng.random() < 0.5:
            deeds.append(Deed(at=at, subject=subject, verb=Verb.UNMERGE))
    return deeds


def _again(subject: str, plan: Plan, rng: Random) -> list[tuple[float, Backlash]]:
    """Let the wave end, and another one begin: an episode of the same incident."""
    story = [(at, event) for at, event in plan.events if event.subject == subject]
    at, last = story[-1]
    waves = []
    if last.event is not Event.ENDED:
        at += rng.uniform(0, 10)
        moment = a_moment(minutes=9)
        end = a_backlash(Event.ENDED, subject=subject, sequence=9, at=moment, level=last.level)
        waves.append((at, end))
    moment = a_moment(minutes=10)
    wave = episode_id(SubjectId(subject), moment)
    opened = a_backlash(subject=subject, at=moment, incident=wave)
    return [*waves, (at + rng.uniform(0, 15), opened)]


def _lives(rng: Random) -> tuple[Life, ...]:
    return tuple(
        Life(
            dies_at=rng.randint(1, 30) if rng.random() < 0.3 else rng.randint(30, 400),
            stalls_at=rng.randint(1, 250) if rng.random() < 0.4 else 0,
            restarts_after=rng.uniform(0.2, 12),
        )
        for _ in range(rng.choice((0, 1, 1, 2)))
    )
