"""What many incidents look like in one message: each named, within the limits of the receiver."""

import json

import httpx
import pytest

from services.alerter.notifier import Sent
from services.alerter.notifier.exchange import Surroundings
from services.alerter.notifiers.email import Email
from services.alerter.notifiers.email.letter import write
from services.alerter.notifiers.pagerduty import PagerDuty, PagerDutyOptions
from services.alerter.notifiers.pagerduty import render as event
from services.alerter.notifiers.slack import Slack
from services.alerter.notifiers.slack.blocks import bundle
from services.demo.standins.pagerduty import ROUTING_KEY, wrong
from services.demo.standins.slack_limits import content
from tests.build import NOON
from tests.outbox import a_delivery, a_notice
from uproar.incident import IncidentId, State
from uproar.notice import Language, NoticeKind
from uproar.routing import ReceiverName

LINK = "https://uproar.example.com/incidents/"


def notices(count: int, *, name: str = "Brand", link: str = LINK, **given):
    return tuple(
        a_notice(
            incident=IncidentId(f"e_{n:020}"),
            subject_name=f"{name} {n}",
            headline=f"Backlash against {name} {n}: 40 people, detected 12:00 UTC",
            link=f"{link}e_{n:020}",
            **given,
        )
        for n in range(count)
    )


@pytest.mark.parametrize("language", list(Language))
@pytest.mark.parametrize(
    "given",
    [{}, {"name": "<!channel> & " * 30}, {"link": LINK + "x" * 120}, {"link": LINK + "y" * 500}],
)
def test_slack_takes_a_message_that_names_as_many_incidents_as_it_may(language, given):
    many = notices(Slack.pace.bundle, language=language, **given)
    said = bundle(many, repeated=True)
    content({"text": said.text, "blocks": list(said.blocks)})
    content({"text": said.plain})
    shown = json.dumps(said.blocks)
    assert "<!channel>" not in json.dumps(said.blocks[1:])  # the header is plain text
    if "name" not in given and len(given.get("link", "")) < 400:
        assert all(one.link in shown for one in many)
    assert all(f"{len(many)}" in text for text in (said.text, shown))


def test_pagerduty_takes_an_event_that_names_as_many_incidents_as_it_may():
    many = notices(PagerDuty.pace.bundle, name="Brand " * 60)
    sent = event(a_delivery(notice=many[0], bundle=many[1:]), key="k")
    assert wrong(sent | {"routing_key": ROUTING_KEY}) == []
    named = [one["incident"] for one in sent["payload"]["custom_details"]["incidents"]]
    assert sorted(named) == sorted(one.incident for one in many)
    assert len(json.dumps(sent)) < 512_000


def test_a_letter_names_every_incident_and_escapes_what_it_quotes():
    many = notices(Email.pace.bundle, name="<b>Brand</b>")
    delivery = a_delivery(notice=many[0], bundle=many[1:])
    letter, _ = write(delivery, sender="u <u@example.org>", to=["d@example.org"], now=NOON)
    assert str(len(many)) in letter["Subject"]
    for kind in ("plain", "html"):
        said = letter.get_body((kind,)).get_content()
        assert all(one.link in said for one in many)
    assert "<b>Brand" not in said
    assert len(letter.as_bytes()) < 200_000


@pytest.mark.parametrize(
    ("stands", "sent"),
    [(State.OPEN, []), (State.ACKNOWLEDGED, ["acknowledge"]), (State.RESOLVED, ["resolve"])],
)
async def test_pagerduty_brings_the_alert_of_a_storm_where_the_slowest_incident_stands(
    stands: State, sent: list[str]
):
    events = []

    def take(request: httpx.Request) -> httpx.Response:
        events.append(json.loads(request.content))
        return httpx.Response(202, stream=httpx.ByteStream(b"{}"))

    async with httpx.AsyncClient(transport=httpx.MockTransport(take)) as client:
        duty = PagerDuty(
            ReceiverName("duty"),
            PagerDutyOptions(routing_key=ROUTING_KEY),
            Surroundings(client=client, installation="i1", clock=lambda: NOON),
        )
        end = a_delivery(kind=NoticeKind.RESOLVE, bundle_ref="storm", bundle_state=stands)
        assert isinstance(await duty.notify(end), Sent)

    storm = [event["event_action"] for event in events if event["dedup_key"] == "storm"]
    assert storm == sent
    assert events[-1]["event_action"] == "resolve"
