"""What a notice says in English."""

from typing import Final

from uproar.backlash import Level
from uproar.incident import Happening, State
from uproar.notice.facts import Facts, Trial, span

_OPENING: Final = {
    Level.WATCH: "Worth a look, {}",
    Level.ALERT: "Backlash against {}",
    Level.CRISIS: "Crisis for {}",
}

# What people and timers do beside acknowledging and resolving.
_DID: Final = {
    Happening.REOPEN: "{} opened it again",
    Happening.SNOOZE: "{} snoozed it",
    Happening.ASSIGN: "{} assigned it",
    Happening.NOTE: "{} left a note",
    Happening.RATE: "{} rated it",
    Happening.FALSE_ALARM: "{} called it a false alarm",
    Happening.MERGE: "{} merged it into another incident",
    Happening.ABSORB: "{} merged another incident into it",
    Happening.UNMERGE: "{} took it out of another incident again",
    Happening.RELEASE: "{} took another incident out of it again",
    Happening.SPLIT: "{} split it",
    Happening.WAKE: "The snooze is over",
    Happening.UNSILENCE: "The silence is over",
}

TRIAL: Final = Trial(
    title="A test from uproar: this receiver works",
    why_now="Somebody asked uproar to try it. Nothing has happened.",
)


def title(facts: Facts) -> str:
    """What happened, in one line."""
    opening = _OPENING[facts.incident.level].format(facts.name)
    match facts.what:
        case Happening.ACKNOWLEDGE:
            said = f"{facts.by} is on it: {_lower(opening)}"
        case Happening.RESOLVE:
            said = f"{facts.by} closed it: {_lower(opening)}"
        case Happening.SUBSIDED:
            said = f"{opening} is calming down"
        case Happening.ENDED:
            said = f"{opening} is over after {span(facts.lasted, day='d')}"
        case Happening.GREW if not facts.begins:
            said = f"{opening} grows: {_window(facts)}"
        case Happening.ROSE if not facts.begins:
            said = f"Now worse. {opening}: {_window(facts)}"
        case Happening.RETURNED:
            said = f"It is back. {opening}: {_window(facts)}"
        case what if what in _DID:
            said = f"{_did(facts)}: {_lower(opening)}"
        case _:
            said = f"{opening}: {_window(facts)}"
    return said + (f"; detected {span(facts.late, day='d')} late" if facts.late else "")


def headline(facts: Facts) -> str:
    """What the incident is, whatever happened last."""
    incident = facts.incident
    opening = _OPENING[incident.level].format(facts.name)
    detected = f"detected {facts.when(incident.opened_at)}"
    if facts.closed:
        people = _people(incident.authors, "complained")
        return f"Over: {_lower(opening)}. {people}, {detected}"
    return f"{opening}: {_people(incident.authors)}, {detected}"


def why_now(facts: Facts) -> str:
    """Why the detector speaks; not again what the title of a growing wave says."""
    said = []
    if not facts.growing:
        said.append(f"{_window(facts)}.")
    elif facts.times:
        said.append(f"That is {facts.times} times the usual.")
    if facts.shares:
        said.append(f"{facts.shares[0]} % of the posts are negative, usual is {facts.shares[1]} %.")
    if facts.incident.why.unscored:
        said.append(f"{_posts(facts.incident.why.unscored)} could not be scored.")
    return " ".join(said)


def how_big(facts: Facts) -> str:
    """Posts, people, severity."""
    incident = facts.incident
    level = f"level {incident.level.value}"
    if facts.closed:
        return (
            f"{_posts(incident.posts)} in all, {_people(incident.authors, 'complained')}. "
            f"At its worst: severity {incident.peak_severity} of 100, {level}."
        )
    return (
        f"{_posts(incident.posts)} so far, {_people(incident.authors)}. "
        f"Severity {incident.severity} of 100, {level}."
    )


def changed(facts: Facts) -> str:
    """What is new since the transition before; empty for the first."""
    match facts.what:
        case Happening.ACKNOWLEDGE | Happening.RESOLVE:
            verb = "took it on" if facts.what is Happening.ACKNOWLEDGE else "closed it"
            note = f" “{facts.note}”" if facts.note else ""
            return f"{facts.by} {verb} at {facts.when(facts.at)}.{note}"
        case Happening.ENDED:
            return "Complaints are back to the usual."
        case Happening.RETURNED:
            return "It was over, and a new wave of it began."
        case what if what in _DID:
            note = f" “{facts.note}”" if facts.note else ""
            return f"{_did(facts)} at {facts.when(facts.at)}.{note}"
    again = "It had been closed and has risen again. " if facts.reopened else ""
    return (again + _moved(facts)).strip()


def standing(facts: Facts) -> str:
    """Who is on it."""
    incident = facts.incident
    match incident.state:
        case State.OPEN:
            return "Nobody is on it yet."
        case State.ACKNOWLEDGED:
            return f"{facts.taken_by} is on it."
        case State.SNOOZED:
            until = incident.snoozed_until
            return f"Snoozed until {facts.when(until)}." if until else "Snoozed."
        case State.RESOLVED:
            by = f" by {facts.closed_by}" if facts.closed_by else ""
            return f"Closed{by}." if by else "It is over."


def advice(facts: Facts) -> str:
    """How to answer well."""
    if facts.incident.state is State.RESOLVED:
        return "Tell those who complained what has changed, and note what you would do sooner."
    if facts.what is Happening.SUBSIDED:
        return "Keep what you promised: say what has been done since. Do not delete criticism."
    return (
        "Answer openly: what you know, what you do next, when you will be back. "
        "Do not delete criticism."
    )


def _did(facts: Facts) -> str:
    whose = f" to {facts.assignee}" if facts.what is Happening.ASSIGN and facts.assignee else ""
    return _DID[facts.what].format(facts.by) + whose


def _window(facts: Facts) -> str:
    usual = str(facts.usual) if facts.usual else "fewer than 1"
    verb = "complains" if facts.complaining == 1 else "complain"
    people = f"{facts.complaining:,} {'person' if facts.complaining == 1 else 'people'}"
    return f"{people} {verb} within {span(facts.window, day='d')}, usual is {usual}"


def _moved(facts: Facts) -> str:
    was, now = facts.was, facts.incident
    if was is None:
        return ""
    pairs = (
        ("posts", f"{was.posts:,}", f"{now.posts:,}"),
        ("people complaining", f"{was.authors:,}", f"{now.authors:,}"),
        ("severity", str(was.severity), str(now.severity)),
        ("level", was.level.value, now.level.value),
    )
    moves = [f"{name} {before} → {after}" for name, before, after in pairs if before != after]
    return f"{', '.join(moves).capitalize()}." if moves else ""


def _posts(number: int) -> str:
    return f"{number:,} post" if number == 1 else f"{number:,} posts"


def _people(number: int, do: str = "complaining") -> str:
    return f"{number:,} {'person' if number == 1 else 'people'} {do}"


def _lower(opening: str) -> str:
    return opening[0].lower() + opening[1:]
