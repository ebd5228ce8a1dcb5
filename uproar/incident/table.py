"""Table: the states of an incident, what can happen to it, and the one table of both."""

from collections.abc import Mapping
from enum import StrEnum
from itertools import product
from types import MappingProxyType
from typing import Final

from uproar.errors import Malformed


class IllegalTransition(Malformed):
    """What happened cannot happen to an incident in this state; the text says so to a person."""


class State(StrEnum):
    """Where an incident stands."""

    OPEN = "open"
    ACKNOWLEDGED = "acknowledged"
    SNOOZED = "snoozed"
    RESOLVED = "resolved"


class Happening(StrEnum):
    """What can happen to an incident: the events of detection, the verbs of people, a timer."""

    OPENED = "opened"
    GREW = "grew"
    ROSE = "rose"  # it grew to a level that this episode has not had
    DOUBLED = "doubled"  # it grew to twice its size at the moment when people put it away
    RETURNED = "returned"  # a new episode of it began
    SUBSIDED = "subsided"
    ENDED = "ended"
    ACKNOWLEDGE = "acknowledge"
    RESOLVE = "resolve"
    REOPEN = "reopen"
    SNOOZE = "snooze"
    ASSIGN = "assign"
    NOTE = "note"
    RATE = "rate"  # a person says how bad it is
    FALSE_ALARM = "false-alarm"
    MERGE = "merge"  # it went into another one
    ABSORB = "absorb"  # another one came into it
    UNMERGE = "unmerge"  # it came out of another one again
    RELEASE = "release"  # another one left it again
    SPLIT = "split"  # its last episode became an incident of its own
    WAKE = "wake"  # its snooze is over
    UNSILENCE = "unsilence"  # a silence over its subject is over


_REMARKS: Final = (
    Happening.ASSIGN,
    Happening.NOTE,
    Happening.RATE,
    Happening.ABSORB,
    Happening.RELEASE,
)
"""What is written down and changes no state."""

# An incident begins with whichever event is heard first: an `opened` that Kafka no longer has must
# not cost the page of the `grew` behind it. A repeated act stays in the timeline and changes nothing.
# What people put away (resolved, snoozed) comes back only when it rose, doubled or returned.
TABLE: Final[Mapping[tuple[State | None, Happening], State]] = MappingProxyType(
    {(state, remark): state for state, remark in product(State, _REMARKS)}
    | {
        (None, Happening.OPENED): State.OPEN,
        (None, Happening.GREW): State.OPEN,
        (None, Happening.SUBSIDED): State.OPEN,
        (None, Happening.ENDED): State.RESOLVED,
        (None, Happening.SPLIT): State.OPEN,
        (State.OPEN, Happening.OPENED): State.OPEN,
        (State.OPEN, Happening.GREW): State.OPEN,
        (State.OPEN, Happening.ROSE): State.OPEN,
        (State.OPEN, Happening.RETURNED): State.OPEN,
        (State.OPEN, Happening.SUBSIDED): State.OPEN,
        (State.OPEN, Happening.ENDED): State.RESOLVED,
        (State.OPEN, Happening.ACKNOWLEDGE): State.ACKNOWLEDGED,
        (State.OPEN, Happening.RESOLVE): State.RESOLVED,
        (State.OPEN, Happening.REOPEN): State.OPEN,
        (State.OPEN, Happening.SNOOZE): State.SNOOZED,
        (State.OPEN, Happening.FALSE_ALARM): State.RESOLVED,
        (State.OPEN, Happening.MERGE): State.RESOLVED,
        (State.OPEN, Happening.SPLIT): State.RESOLVED,
        (State.OPEN, Happening.UNSILENCE): State.OPEN,
        (State.ACKNOWLEDGED, Happening.OPENED): State.ACKNOWLEDGED,
        (State.ACKNOWLEDGED, Happening.GREW): State.ACKNOWLEDGED,
        (State.ACKNOWLEDGED, Happening.ROSE): State.ACKNOWLEDGED,
        (State.ACKNOWLEDGED, Happening.RETURNED): State.OPEN,  # nobody is on the new episode yet
        (State.ACKNOWLEDGED, Happening.SUBSIDED): State.ACKNOWLEDGED,
        (State.ACKNOWLEDGED, Happening.ENDED): State.RESOLVED,
        (State.ACKNOWLEDGED, Happening.ACKNOWLEDGE): State.ACKNOWLEDGED,
        (State.ACKNOWLEDGED, Happening.RESOLVE): State.RESOLVED,
        (State.ACKNOWLEDGED, Happening.REOPEN): State.OPEN,
        (State.ACKNOWLEDGED, Happening.SNOOZE): State.SNOOZED,
        (State.ACKNOWLEDGED, Happening.FALSE_ALARM): State.RESOLVED,
        (State.ACKNOWLEDGED, Happening.MERGE): State.RESOLVED,
        (State.ACKNOWLEDGED, Happening.SPLIT): State.RESOLVED,
        (State.ACKNOWLEDGED, Happening.UNSILENCE): State.ACKNOWLEDGED,
        (State.SNOOZED, Happening.OPENED): State.SNOOZED,
        (State.SNOOZED, Happening.GREW): State.SNOOZED,
        (State.SNOOZED, Happening.ROSE): State.OPEN,
        (State.SNOOZED, Happening.DOUBLED): State.OPEN,
        (State.SNOOZED, Happening.RETURNED): State.OPEN,
        (State.SNOOZED, Happening.SUBSIDED): State.SNOOZED,
        (State.SNOOZED, Happening.ENDED): State.RESOLVED,
        (State.SNOOZED, Happening.ACKNOWLEDGE): State.ACKNOWLEDGED,
        (State.SNOOZED, Happening.RESOLVE): State.RESOLVED,
        (State.SNOOZED, Happening.REOPEN): State.OPEN,
        (State.SNOOZED, Happening.SNOOZE): State.SNOOZED,
        (State.SNOOZED, Happening.WAKE): State.OPEN,
        (State.SNOOZED, Happening.FALSE_ALARM): State.RESOLVED,
        (State.SNOOZED, Happening.MERGE): State.RESOLVED,
        (State.SNOOZED, Happening.SPLIT): State.RESOLVED,
        (State.SNOOZED, Happening.UNSILENCE): State.SNOOZED,
        (State.RESOLVED, Happening.OPENED): State.RESOLVED,
        (State.RESOLVED, Happening.GREW): State.RESOLVED,
        (State.RESOLVED, Happening.ROSE): State.OPEN,
        (State.RESOLVED, Happening.DOUBLED): State.OPEN,
        (State.RESOLVED, Happening.RETURNED): State.OPEN,
        (State.RESOLVED, Happening.SUBSIDED): State.RESOLVED,
        (State.RESOLVED, Happening.ENDED): State.RESOLVED,
        (State.RESOLVED, Happening.RESOLVE): State.RESOLVED,
        (State.RESOLVED, Happening.REOPEN): State.OPEN,
        (State.RESOLVED, Happening.FALSE_ALARM): State.RESOLVED,
        (State.RESOLVED, Happening.MERGE): State.RESOLVED,
        (State.RESOLVED, Happening.UNMERGE): State.OPEN,  # or as it stood before: see acts
        (State.RESOLVED, Happening.SPLIT): State.RESOLVED,
    }
)


def following(state: State | None, happening: Happening) -> State:
    """Return the state that follows; raises IllegalTransition where the table has none."""
    try:
        return TABLE[state, happening]
    except KeyError:
        raise IllegalTransition(
            f"an incident that is {state.value if state else 'unknown'} cannot {happening.value}"
        ) from None
