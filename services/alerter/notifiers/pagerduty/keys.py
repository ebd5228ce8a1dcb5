"""
Keys: which alert in PagerDuty stands for an incident; a ``dedup_key`` names it.

A trigger on an alert that somebody has acknowledged wakes nobody. Who must be woken again gets a new
alert, whose key ends in the number of the transition, and the former one is resolved before: both
can be repeated, however often an answer is lost. So is that of an earlier wave, which nothing else
would close where somebody has opened the incident again; and where a silence held a new wave back, what
people do about it concerns the alert of the earlier one, which may be open still.
"""

from typing import Final

from services.alerter.notifier import Delivery
from services.alerter.notifier.callback import STORM
from uproar.incident import IncidentId, State
from uproar.notice import NoticeKind

_QUIET: Final = {State.SNOOZED, State.ACKNOWLEDGED}


def dedup_key(delivery: Delivery, installation: str) -> str:
    """Name the alert that a delivery is about: a new one, that of its episode, or of its storm."""
    if delivery.bundle:
        return f"uproar:{installation}:{STORM}{delivery.id}:1"
    if _wakes_again(delivery):
        return f"{_first(delivery, installation)}.{delivery.sequence}"
    return _own(delivery, installation)


def replaced(delivery: Delivery, installation: str) -> str | None:
    """Name the alert whose place a new one takes; None where the delivery needs no new one."""
    if delivery.bundle:
        return None
    told = incident_of(delivery.parent_ref, installation)
    if delivery.parent_ref and told and told[0] == delivery.incident:
        later = delivery.kind is NoticeKind.TRIGGER and told[1] < delivery.episode
        return delivery.parent_ref if later or _wakes_again(delivery) else None
    return _first(delivery, installation) if _wakes_again(delivery) else None


def alerts(standing: Delivery, installation: str) -> list[str]:
    """Name the alerts in which an incident stands: its own, that of its storm, or both."""
    storm = [standing.bundle_ref] if standing.bundle_ref else []
    own = [_own(standing, installation)] if standing.parent_ref or not storm else []
    return [*own, *storm]


def incident_of(key: str | None, installation: str) -> tuple[IncidentId, int] | None:
    """Return the incident and the episode that a dedup_key of this installation names."""
    product, _, rest = (key or "").partition(":")
    where, _, rest = rest.partition(":")
    incident, _, number = rest.rpartition(":")
    episode, again, sequence = number.partition(".")
    if product != "uproar" or where != installation or not incident:
        return None
    if not _is_number(episode) or (again and not _is_number(sequence)):
        return None
    return IncidentId(incident), int(episode)


def _wakes_again(delivery: Delivery) -> bool:
    loud = delivery.kind is NoticeKind.TRIGGER or delivery.notice.page
    return loud and delivery.notice.before in _QUIET


def _own(delivery: Delivery, installation: str) -> str:
    """Name the alert in which an incident stands by itself: the newest; a wave opens its own."""
    told = incident_of(delivery.parent_ref, installation)
    if delivery.parent_ref is None or told is None or told[0] != delivery.incident:
        return _first(delivery, installation)
    opens = delivery.kind is NoticeKind.TRIGGER and told[1] != delivery.episode
    return _first(delivery, installation) if opens else delivery.parent_ref


def _first(delivery: Delivery, installation: str) -> str:
    return f"uproar:{installation}:{delivery.incident}:{delivery.episode}"


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= 6
