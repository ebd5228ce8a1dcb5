"""Incident: what people work on, and the one table of its states. Not who hears of it (routing)."""

from datetime import datetime
from typing import assert_never

from uproar.backlash import Backlash
from uproar.incident.acts import MAX_SNOOZE, Act, Verb, done, split
from uproar.incident.hearing import SAME_INCIDENT, belongs, echoed, heard
from uproar.incident.standing import UPROAR, Episode, Incident, IncidentId, Transition, Verdict
from uproar.incident.table import TABLE, Happening, IllegalTransition, State

__all__ = [
    "MAX_SNOOZE",
    "SAME_INCIDENT",
    "TABLE",
    "UPROAR",
    "Act",
    "Episode",
    "Happening",
    "IllegalTransition",
    "Incident",
    "IncidentId",
    "State",
    "Transition",
    "Verb",
    "Verdict",
    "advance",
    "belongs",
    "echoed",
    "split",
]


def advance(
    incident: Incident | None, happened: Backlash | Act, *, now: datetime
) -> tuple[Incident, list[Transition]]:
    """
    Move an incident on.

    Args:
        incident: As it stands; None where the event is the first of its incident.
        happened: An event of detection that :func:`belongs` to it, or what a person does.
        now: Wall clock.

    Returns:
        The incident after it, and what is to be written down: nothing for an event heard before.

    Raises:
        IllegalTransition: An act that this state does not allow, or on no incident; an event of
            another incident.
    """
    match happened:
        case Act():
            return done(incident, happened, now)
        case Backlash():
            return heard(incident, happened, now)
        case _:
            assert_never(happened)
