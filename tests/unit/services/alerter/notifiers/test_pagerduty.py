import asyncio
import json
from dataclasses import replace
from datetime import timedelta

import httpx
import pytest

from services.alerter.notifier import Delivery, Outcome, Refused, Retry, Sent, Unknown
from services.alerter.notifier.callback import Told
from services.alerter.notifier.exchange import Surroundings
from services.alerter.notifier.options import read_options
from services.alerter.notifiers.pagerduty import PagerDuty, PagerDutyOptions, render
from services.alerter.notifiers.pagerduty.keys import dedup_key
from services.alerter.settings import ReceiverTable
from services.demo.standins.ledger import Ledger
from services.demo.standins.pagerduty import ROUTING_KEY, AlertState, PagerDutyStandIn, wrong
from tests.build import NOON
from tests.outbox import LINK, a_delivery, a_notice
from uproar.backlash import Level
from uproar.errors import Misconfigured
from uproar.incident import IncidentId, State, Verb
from uproar.notice import NoticeKind
from uproar.routing import ReceiverName

KEY = "A" * 31 + "7"


def options(**given) -> PagerDutyOptions:
    table = ReceiverTable(name="duty", type="pagerduty", options={"routing_key": KEY} | given)
    return read_options(PagerDutyOptions, table)


class Api:
    def __init__(self, *answers: tuple[int, object], **headers: str) -> None:
        self.answers, self.headers = list(answers), headers
        self.events: list[dict] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        assert str(request.url) == "https://events.pagerduty.com/v2/enqueue"
        self.events.append(json.loads(request.content))
        status, body = self.answers.pop(0) if self.answers else (202, {"status": "success"})
        stream = httpx.ByteStream(json.dumps(body).encode())
        return httpx.Response(status, stream=stream, headers=self.headers)

    def notifier(self) -> PagerDuty:
        client = httpx.AsyncClient(transport=httpx.MockTransport(self))
        surroundings = Surroundings(client=client, installation="i1", clock=lambda: NOON)
        return PagerDuty(ReceiverName("duty"), options(), surroundings)


def test_a_trigger_says_what_happened_and_how_bad_it_is():
    event = render(a_delivery(), key="k")
    assert wrong(event | {"routing_key": ROUTING_KEY}) == []
    assert event["event_action"] == "trigger"
    payload = event["payload"]
    assert payload["summary"].startswith("Backlash against Air Quillon: 40 people complain")
    assert (payload["severity"], payload["source"]) == ("error", "Air Quillon")
    assert payload["timestamp"] == "2026-03-02T12:00:00+00:00"
    assert event["links"] == [{"href": LINK, "text": a_notice().headline}]
    details = payload["custom_details"]
    assert details["why_now"].startswith("That is 13 times the usual.")
    assert details["posts"] == [
        {
            "text": "Air Quillon lost my bag again",
            "at": "2026-03-02T12:00:00+00:00",
            "url": "https://example.org/1",
        }
    ]
    assert "changed" not in details


@pytest.mark.parametrize(
    ("level", "severity"),
    [(Level.WATCH, "warning"), (Level.ALERT, "error"), (Level.CRISIS, "critical")],
)
def test_the_level_is_the_severity(level, severity):
    event = render(a_delivery(notice=a_notice(level=level)), key="k")
    assert event["payload"]["severity"] == severity


def test_a_rise_is_a_trigger_on_the_same_alert():
    assert render(a_delivery(kind=NoticeKind.UPDATE), key="k")["event_action"] == "trigger"


@pytest.mark.parametrize("kind", [NoticeKind.ACKNOWLEDGE, NoticeKind.RESOLVE])
def test_acts_and_ends_carry_the_key_only(kind):
    event = render(a_delivery(kind=kind), key="k")
    assert event == {"event_action": kind.value, "dedup_key": "k"}


def test_the_longest_notice_stays_within_the_limits():
    long = "\U0001f4a9" * 5000
    quotes = tuple(replace(q, text="😡" * 280, url="https://a.example/" + "x" * 900)
                   for q in a_notice().quotes * 3)  # fmt: skip
    notice = a_notice(title=long, headline=long, quotes=quotes)
    event = render(a_delivery(notice=notice), key="k")
    assert len(event["payload"]["summary"]) == 1024
    assert len(json.dumps(event).encode()) < 100_000
    assert wrong(event | {"routing_key": ROUTING_KEY}) == []


def test_the_key_names_the_episode_of_an_incident_of_this_installation():
    assert dedup_key(a_delivery(episode=2), "i1") == "uproar:i1:e_1:2"


async def test_every_event_of_an_episode_has_the_same_key():
    api = Api()
    kinds = (NoticeKind.TRIGGER, NoticeKind.ACKNOWLEDGE, NoticeKind.RESOLVE)
    for kind in kinds:
        assert await api.notifier().notify(a_delivery(kind=kind)) == Sent("uproar:i1:e_1:1")
    assert {event["dedup_key"] for event in api.events} == {"uproar:i1:e_1:1"}
    assert {event["routing_key"] for event in api.events} == {KEY}


# ------------------------------------------------------------------ who must be woken again


class Duty:
    """PagerDuty's stand-in; each delivery knows what the one before it gave as its reference."""

    def __init__(self) -> None:
        self.pagerduty = PagerDutyStandIn(Ledger(clock=lambda: NOON))
        self.losing: list[str] = []
        self.ref: str | None = None
        client = httpx.AsyncClient(transport=httpx.MockTransport(self._take))
        surroundings = Surroundings(client=client, installation="i1", clock=lambda: NOON)
        self.notifier = PagerDuty(ReceiverName("duty"), options(), surroundings)

    def _take(self, request: httpx.Request) -> httpx.Response:
        event = json.loads(request.content)
        self.pagerduty.take(event)
        if event["event_action"] in self.losing:
            self.losing.remove(event["event_action"])
            raise httpx.ReadError("lost")
        return httpx.Response(202, stream=httpx.ByteStream(b"{}"))

    async def told(self, kind: NoticeKind, sequence: int, *, episode: int = 1, **said) -> Outcome:
        delivery = a_delivery(
            kind=kind,
            sequence=sequence,
            episode=episode,
            parent_ref=self.ref,
            notice=a_notice(**said),
        )
        outcome = await self.notifier.notify(delivery)
        self.ref = outcome.ref if isinstance(outcome, Sent) else self.ref
        return outcome

    @property
    def alerts(self) -> list[tuple[str, str]]:
        return [
            (a.key.removeprefix("uproar:i1:e_1:"), a.state.value) for a in self.pagerduty.alerts
        ]


TRIGGER, UPDATE = NoticeKind.TRIGGER, NoticeKind.UPDATE
ACKNOWLEDGE, RESOLVE = NoticeKind.ACKNOWLEDGE, NoticeKind.RESOLVE


async def test_a_second_page_whose_answer_is_lost_opens_one_alert_and_closes_none_that_is_taken():
    duty = Duty()
    await duty.told(TRIGGER, 1)
    await duty.told(ACKNOWLEDGE, 2)
    duty.losing = ["trigger"]
    assert isinstance(await duty.told(TRIGGER, 3, before=State.SNOOZED), Unknown)
    duty.pagerduty.move(duty.pagerduty.alerts[-1], AlertState.ACKNOWLEDGED, by="Ben")
    assert isinstance(await duty.told(TRIGGER, 3, before=State.SNOOZED), Sent)
    assert duty.alerts == [("1", "resolved"), ("1.3", "acknowledged")]


async def test_what_follows_a_second_page_is_about_its_alert():
    duty = Duty()
    await duty.told(TRIGGER, 1)
    await duty.told(ACKNOWLEDGE, 2)
    await duty.told(TRIGGER, 3, before=State.ACKNOWLEDGED)
    await duty.told(ACKNOWLEDGE, 4)
    assert duty.alerts == [("1", "resolved"), ("1.3", "acknowledged")]
    await duty.told(TRIGGER, 5, before=State.SNOOZED)
    assert duty.alerts[1:] == [("1.3", "resolved"), ("1.5", "triggered")]
    await duty.told(UPDATE, 6, before=State.OPEN, page=True)
    await duty.told(RESOLVE, 7)
    assert duty.alerts[2:] == [("1.5", "resolved")]


async def test_a_crisis_wakes_who_has_acknowledged_once_more():
    duty = Duty()
    await duty.told(TRIGGER, 1)
    await duty.told(ACKNOWLEDGE, 2)
    await duty.told(UPDATE, 3, before=State.ACKNOWLEDGED, page=True, level=Level.CRISIS)
    assert duty.alerts == [("1", "resolved"), ("1.3", "triggered")]
    await duty.told(RESOLVE, 4)
    assert duty.alerts == [("1", "resolved"), ("1.3", "resolved")]


async def test_a_new_wave_has_an_alert_of_its_own_and_leaves_none_behind():
    duty = Duty()
    await duty.told(TRIGGER, 1)
    await duty.told(ACKNOWLEDGE, 2)
    await duty.told(TRIGGER, 3, episode=2, before=State.ACKNOWLEDGED)
    assert duty.alerts == [("1", "resolved"), ("2.3", "triggered")]
    await duty.told(RESOLVE, 4, episode=2)
    await duty.told(TRIGGER, 5, episode=3, before=State.RESOLVED)
    assert duty.alerts[1:] == [("2.3", "resolved"), ("3", "triggered")]
    await duty.told(TRIGGER, 6, episode=4, before=State.OPEN)  # somebody had opened it again
    assert duty.alerts[2:] == [("3", "resolved"), ("4", "triggered")]
    await duty.told(TRIGGER, 7, episode=3, before=State.OPEN)  # what the wave before still said
    assert duty.alerts[3] == ("4", "triggered")


async def test_what_is_done_about_a_wave_that_a_silence_held_back_is_about_the_alert_there_is():
    duty = Duty()
    await duty.told(TRIGGER, 1)
    await duty.told(ACKNOWLEDGE, 3, episode=2, before=State.OPEN)
    assert duty.alerts == [("1", "acknowledged")]
    await duty.told(RESOLVE, 4, episode=2)
    assert duty.alerts == [("1", "resolved")]


async def test_while_the_former_alert_cannot_be_closed_no_second_one_is_opened():
    duty = Duty()
    await duty.told(TRIGGER, 1)
    duty.losing = ["resolve"]
    assert isinstance(await duty.told(TRIGGER, 3, before=State.SNOOZED), Retry)
    assert len(duty.alerts) == 1


async def test_a_canary_leaves_no_open_alert_behind():
    api = Api()
    await api.notifier().notify(a_delivery(kind=NoticeKind.CANARY))
    assert [event["event_action"] for event in api.events] == ["trigger", "resolve"]
    assert api.events[0]["payload"]["severity"] == "info"
    api = Api((500, {}))
    assert isinstance(await api.notifier().notify(a_delivery(kind=NoticeKind.CANARY)), Retry)
    assert len(api.events) == 1


async def test_a_refusal_tells_why_but_not_the_key():
    said = {"errors": ["Length of 'routing_key' is incorrect", f"Invalid routing key {KEY}"]}
    outcome = await Api((400, said)).notifier().notify(a_delivery())
    assert outcome == Refused(
        "PagerDuty: HTTP 400: Length of 'routing_key' is incorrect; Invalid routing key [secret]"
    )


@pytest.mark.parametrize("said", [[], {}, {"errors": 5}, "no", None])
async def test_a_refusal_without_a_reason_is_one_too(said):
    outcome = await Api((403, said)).notifier().notify(a_delivery())
    assert outcome == Refused("PagerDuty: HTTP 403")


async def test_too_many_events_wait_for_half_a_minute_or_as_long_as_asked():
    outcome = await Api((429, {})).notifier().notify(a_delivery())
    assert isinstance(outcome, Retry)
    assert outcome.after == timedelta(seconds=30)
    outcome = await Api((429, {}), **{"retry-after": "7"}).notifier().notify(a_delivery())
    assert isinstance(outcome, Retry)
    assert outcome.after == timedelta(seconds=7)


@pytest.mark.parametrize("status", [200, 204, 500, 502, 503])
async def test_what_is_not_accepted_is_tried_again(status):
    outcome = await Api((status, {})).notifier().notify(a_delivery())
    assert outcome == Retry(f"PagerDuty: HTTP {status}")


async def test_a_check_pages_nobody():
    api = Api()
    assert await api.notifier().check() == Sent("uproar:i1:check")
    assert [event["event_action"] for event in api.events] == ["resolve"]


# ------------------------------------------------------------------ asked how incidents stand


class Rest:
    """PagerDuty's REST API: each key that is asked for is an incident that Ben acknowledged."""

    def __init__(self, *, silent: int = 1000, status: int = 200) -> None:
        self.silent, self.status = silent, status
        self.asked: list[str] = []
        self.taken: list[Told] = []
        self.first = asyncio.Event()

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        assert request.headers["authorization"] == "Token token=rest"
        key = request.url.params["incident_key"]
        self.asked.append(key)
        if len(self.asked) > self.silent:
            await asyncio.Event().wait()
        by = {"type": "user_reference", "summary": "Ben"}
        found = {"id": key, "status": "acknowledged", "incident_key": key}
        # All that is known of an incident is long.
        found |= {"last_status_change_by": by, "description": "x" * 100_000}
        said = json.dumps({"incidents": [found]}).encode()
        return httpx.Response(self.status, stream=httpx.ByteStream(said))

    async def take(self, told: Told) -> None:
        self.taken.append(told)
        self.first.set()

    async def tended(self, standing: list[Delivery]) -> None:
        client = httpx.AsyncClient(transport=httpx.MockTransport(self))
        surroundings = Surroundings(client=client, installation="i1", clock=lambda: NOON)
        given = options(api_token="rest")
        await PagerDuty(ReceiverName("duty"), given, surroundings).tend(standing, self.take)


STORM = "uproar:i1:storm:01J0S:1"


def standing(incident: str, **given) -> Delivery:
    return a_delivery(incident=IncidentId(incident), **given)


async def test_each_alert_is_asked_for_once_that_of_a_storm_too():
    rest = Rest()
    await rest.tended(
        [
            standing("e_1", parent_ref="uproar:i1:e_1:1.5"),
            standing("e_2", bundle_ref=STORM),
            standing("e_3", bundle_ref=STORM),
            standing("e_4", bundle_ref=STORM, parent_ref="uproar:i1:e_4:1"),
            standing("e_5"),
        ]
    )
    assert rest.asked == ["uproar:i1:e_1:1.5", STORM, "uproar:i1:e_4:1", "uproar:i1:e_5:1"]
    assert [told.incident for told in rest.taken] == ["e_1", "storm:01J0S", "e_4", "e_5"]
    assert {told.act.verb for told in rest.taken} == {Verb.ACKNOWLEDGE}


async def test_what_is_known_is_taken_although_the_rest_is_never_answered():
    rest = Rest(silent=8)
    work = asyncio.create_task(rest.tended([standing(f"e_{n}") for n in range(20)]))
    async with asyncio.timeout(60):
        await rest.first.wait()
    work.cancel()
    await asyncio.gather(work, return_exceptions=True)
    assert rest.taken[0].incident == "e_0"


async def test_who_asks_too_often_asks_the_rest_in_a_minute():
    rest = Rest(status=429)
    await rest.tended([standing(f"e_{n}") for n in range(20)])
    assert (len(rest.asked), rest.taken) == (8, [])


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"routing_key": "short"}, "routing_key.*32 letters and digits"),
        ({"routing_key": "é" * 32}, "routing_key.*32 letters"),
        ({"api_url": "http://events.example"}, "api_url.*https"),
        ({"api_url": "nonsense"}, "api_url.*no web address"),
        ({"language": "de"}, "language"),
    ],
)
def test_wrong_options_are_told(given, reason):
    with pytest.raises(Misconfigured, match=f"receiver 'duty': {reason}"):
        options(**given)


def test_the_key_may_stand_in_a_file(tmp_path):
    (tmp_path / "key").write_text(KEY + "\n")
    table = {"routing_key_file": str(tmp_path / "key")}
    given = ReceiverTable(name="duty", type="pagerduty", options=table)
    read = read_options(PagerDutyOptions, given)
    assert read.routing_key.get_secret_value() == KEY
    assert KEY not in repr(read)


def test_a_key_and_a_file_are_one_too_many(tmp_path):
    with pytest.raises(Misconfigured, match="routing_key or routing_key_file, not both"):
        options(routing_key_file=str(tmp_path / "key"))


def test_a_file_that_is_not_there_is_named(tmp_path):
    table = {"routing_key_file": str(tmp_path / "gone")}
    given = ReceiverTable(name="duty", type="pagerduty", options=table)
    with pytest.raises(Misconfigured, match=r"routing_key_file: cannot read .*gone"):
        read_options(PagerDutyOptions, given)


def test_a_plain_address_is_fine_on_this_machine_only():
    for host in ("127.0.0.1:8000", "localhost:8000", "[::1]:8000"):
        assert options(api_url=f"http://{host}/").api_url == f"http://{host}"
