"""News: what people did in PagerDuty, from its webhooks (v3) or asked of its REST API."""

from collections.abc import Sequence
from typing import Final

import msgspec

from services.alerter.notifier.callback import Signed, Told, any_fits, digests
from services.alerter.notifiers.pagerduty.keys import incident_of
from uproar.errors import Malformed
from uproar.incident import Act, IncidentId, Verb

MAX_NAME: Final = 80
_EVENTS: Final = {
    "incident.acknowledged": Verb.ACKNOWLEDGE,
    "incident.resolved": Verb.RESOLVE,
}
_STATES: Final = {"acknowledged": Verb.ACKNOWLEDGE, "resolved": Verb.RESOLVE}


class _Agent(msgspec.Struct):
    summary: str | None = None
    type: str = ""

    @property
    def automatic(self) -> bool:
        """Whether it is an integration: our own events come back so, and are no act of a person."""
        return self.type.endswith("integration_reference")


class _Data(msgspec.Struct):
    incident_key: str | None = None


class _Event(msgspec.Struct):
    id: str
    event_type: str
    agent: _Agent | None = None
    data: _Data | None = None


class _Webhook(msgspec.Struct):
    event: _Event


class _Incident(msgspec.Struct):
    id: str
    status: str
    incident_key: str | None = None
    last_status_change_at: str = ""
    last_status_change_by: _Agent | None = None


class _Listing(msgspec.Struct):
    incidents: list[_Incident]


def verifies(signed: Signed, secrets: Sequence[str]) -> bool:
    """
    Tell whether PagerDuty signed this with one of our secrets.

    Only the body is signed, no time: a repeat is known by the id of its event.
    """
    given = signed.headers.get("x-pagerduty-signature", "").split(",")
    expected = [f"v1={digest}" for digest in digests(signed.body, secrets)]
    return any_fits([one.strip() for one in given], expected)


def read(body: bytes, *, installation: str) -> list[Told]:
    """
    Read a webhook; nothing where it is of another kind or about nothing of this installation.

    Raises:
        Malformed: It is no webhook of v3.
    """
    try:
        event = msgspec.json.decode(body, type=_Webhook).event
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise Malformed("no webhook of PagerDuty's") from error
    verb = _EVENTS.get(event.event_type)
    key = event.data.incident_key if event.data else None
    if verb is None or (place := incident_of(key, installation)) is None:
        return []
    if event.agent and event.agent.automatic:
        return []
    return [_told(event.id, place, verb, event.agent)]


def read_listing(body: bytes, *, installation: str) -> list[Told]:
    """
    Read how an incident of ours stands in PagerDuty, as people left it; raises Malformed.

    Args:
        body: Its incidents with our key, the newest first: an older one that is resolved is history.
        installation: Ours.
    """
    try:
        listing = msgspec.json.decode(body, type=_Listing)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise Malformed("no list of incidents of PagerDuty's") from error
    told = []
    for incident in listing.incidents[:1]:
        place = incident_of(incident.incident_key, installation)
        verb = _STATES.get(incident.status)
        by = incident.last_status_change_by
        if place is not None and verb is not None and not (by and by.automatic):
            name = f"rest:{incident.id}:{incident.status}:{incident.last_status_change_at}"
            told.append(_told(name, place, verb, by))
    return told


def _told(name: str, place: tuple[IncidentId, int], verb: Verb, agent: _Agent | None) -> Told:
    incident, episode = place
    who = agent.summary if agent and agent.summary else ""
    printable = " ".join("".join(c if c.isprintable() else " " for c in who).split())
    by = f"{printable[:MAX_NAME]} (PagerDuty)" if printable else "PagerDuty"
    return Told(
        key=name,
        incident=incident,
        episode=episode,
        act=Act(verb=verb, by=by, via="pagerduty"),
        echo=True,
    )
