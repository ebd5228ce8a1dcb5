"""Facts: what a notice has to say, in numbers and names, before a language puts it into words."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple, Protocol

from uproar.incident import UPROAR, Happening, Incident, State, Transition
from uproar.subject import Subject

LATE: Final = timedelta(minutes=5)
"""A minute is closed a minute after its end at most; what is heard so much later is told so."""

PAST: Final = timedelta(days=7)
"""What is older is a replay of the past: topics keep no post for longer."""

MAX_NAME: Final = 60
MAX_NOTE: Final = 300
GROWING: Final = frozenset(
    {Happening.OPENED, Happening.GREW, Happening.ROSE, Happening.DOUBLED, Happening.RETURNED}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """
    What can be said of an incident at one transition.

    Attributes:
        name: The subject's, short enough for a title.
        by: Who did it; empty where it was detection.
        note: What the person wrote to the act; empty without one.
        reopened: It had been resolved before.
        incident: As it stands now.
        was: As it stood before this transition; None where it begins.
        at: When it happened: event time, or the wall clock for an act.
        late: How long after that it was heard of, where detection had to catch up; None otherwise.
    """

    name: str
    what: Happening
    by: str
    note: str
    reopened: bool
    incident: Incident
    was: Incident | None
    at: datetime
    late: timedelta | None = None

    @property
    def complaining(self) -> int:
        """People who complained in the deciding window."""
        return max(1, round(self.incident.why.negative))

    @property
    def usual(self) -> int:
        """How many are usual there; 0 stands for fewer than one."""
        return round(self.incident.why.baseline)

    @property
    def times(self) -> int:
        """How many times the usual that is; 0 where it says nothing."""
        baseline = self.incident.why.baseline
        ratio = round(self.complaining / baseline) if baseline >= 1 else 0
        return ratio if ratio > 1 else 0

    @property
    def window(self) -> timedelta:
        """The window in which so many complained."""
        return timedelta(seconds=self.incident.why.window_seconds)

    @property
    def shares(self) -> tuple[int, int] | None:
        """Percent of negative posts in the window, and the usual one; None where unknown."""
        why = self.incident.why
        if why.negative_share is None or why.baseline_share is None:
            return None
        return round(100 * why.negative_share), round(100 * why.baseline_share)

    @property
    def lasted(self) -> timedelta:
        """From the first event to the last, in event time."""
        return self.incident.happened_at - self.incident.opened_at

    @property
    def taken_by(self) -> str:
        """Who is on it."""
        return line(self.incident.acknowledged_by or "", MAX_NAME)

    @property
    def closed_by(self) -> str:
        """Who resolved it; empty where it ended by itself."""
        by = self.incident.resolved_by or ""
        return "" if by == UPROAR else line(by, MAX_NAME)

    @property
    def assignee(self) -> str:
        """Whose it is; empty where it is nobody's."""
        return line(self.incident.assignee or "", MAX_NAME)

    @property
    def begins(self) -> bool:
        """Whether the reader hears of an open incident for the first time, or once more."""
        return self.was is None or self.reopened

    @property
    def growing(self) -> bool:
        """Whether detection saw it begin or grow; then the title says how many complain."""
        return self.what in GROWING

    @property
    def closed(self) -> bool:
        """Whether it is over."""
        return self.incident.state is State.RESOLVED

    def when(self, moment: datetime) -> str:
        """Say a moment: the hour, and the day where it is not the day of what happened."""
        day = "" if moment.astimezone(UTC).date() == self.at.date() else "%Y-%m-%d "
        return moment.astimezone(UTC).strftime(f"{day}%H:%M UTC")


class Trial(NamedTuple):
    """What is said when a receiver is only tried."""

    title: str
    why_now: str


class Phrases(Protocol):
    """A language: each function says one thing; the modules beside this one are such."""

    @property
    def TRIAL(self) -> Trial: ...  # noqa: N802
    def title(self, facts: Facts) -> str: ...
    def headline(self, facts: Facts) -> str: ...
    def why_now(self, facts: Facts) -> str: ...
    def how_big(self, facts: Facts) -> str: ...
    def changed(self, facts: Facts) -> str: ...
    def standing(self, facts: Facts) -> str: ...
    def advice(self, facts: Facts) -> str: ...


def gather(
    incident: Incident, transition: Transition, subject: Subject, was: Incident | None
) -> Facts:
    """Bring together what a notice may say."""
    act = transition.by != UPROAR
    return Facts(
        name=line(subject.name, MAX_NAME),
        what=transition.happened,
        by=line(transition.by, MAX_NAME) if act else "",
        note=line(transition.summary or "", MAX_NOTE) if act else "",
        reopened=transition.before is State.RESOLVED and transition.after is not State.RESOLVED,
        incident=incident,
        was=was,
        at=(transition.happened_at or transition.at).astimezone(UTC),
        late=_late(transition),
    )


def _late(transition: Transition) -> timedelta | None:
    if transition.happened_at is None or transition.happened not in GROWING:
        return None
    late = transition.at - transition.happened_at
    return late if LATE <= late <= PAST else None


def line(text: str, limit: int) -> str:
    """Make one line of a text, without control characters, and cut it at a limit."""
    printable = "".join(c if c.isprintable() or c == "\u200d" else " " for c in text)
    joined = " ".join(printable.split())
    return joined if len(joined) <= limit else joined[: limit - 1].rstrip() + "…"


def span(duration: timedelta, *, day: str) -> str:
    """Say how long: ``15 min``, ``2 h 10 min``, ``3 d 4 h`` with the language's letter for a day."""
    minutes = max(1, round(duration.total_seconds() / 60))
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    parts = [(days, day), (hours, "h"), (minutes, "min")]
    said = [f"{number}\u00a0{unit}" for number, unit in parts if number]
    return "\u00a0".join(said[:2])
