"""One truth on every surface: who acknowledges in Slack is on it in PagerDuty, REST and console."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import httpx
import pytest

from services.alerter.store import answers
from services.alerter.store.database import Database
from services.alerter.store.incidents import Arrival
from services.alerter.tend import Tender
from services.demo.standins import Fault, pagerduty_webhooks, slack_clicks
from services.demo.standins.pagerduty import AlertState
from tests.build import a_backlash, a_moment
from tests.databases import migrated, new_url
from tests.surfaces import (
    INSTALLATION,
    Surfaces,
    acknowledge,
    acknowledged_everywhere,
    now,
    surfaces,
    until,
)
from uproar.backlash import EpisodeId, Event, Level
from uproar.incident import Act, IncidentId, Verb
from uproar.routing import ReceiverName

SURFACES = ("slack", "pagerduty", "rest", "console")


@pytest.fixture
async def there(database: Database) -> AsyncIterator[Surfaces]:
    async with surfaces(database) as running:
        yield running


@pytest.fixture
async def small(tmp_path: Path) -> AsyncIterator[Surfaces]:
    async with migrated(new_url(tmp_path)) as database, surfaces(database) as running:
        yield running


async def lines(there: Surfaces, incident: str) -> list[tuple[str, str]]:
    answer = await there.api.get(f"/v1/incidents/{incident}/timeline")
    return [(line["happened"], line["by"]) for line in answer.json()["items"]]


async def test_an_acknowledgement_on_any_surface_is_on_every_other(there):
    for surface in SURFACES:
        incident = f"e_{surface}"
        await there.page(incident)
        by = await acknowledge(there, incident, surface)
        await until(lambda i=incident, by=by: acknowledged_everywhere(there, i, by))
        await there.standins.pagerduty.subscription.settled()
        # PagerDuty tells us of our own acknowledgement too: the echo is no second line.
        assert await lines(there, incident) == [("opened", "uproar"), ("acknowledge", by)]


async def test_a_resolve_on_any_surface_is_on_every_other(there):
    async def resolved(incident: str) -> bool:
        message, alert = there.in_slack(incident), there.in_pagerduty(incident)
        shown = await there.status(incident)
        return (
            message.text.startswith("✅")
            and alert.state is AlertState.RESOLVED
            and shown["status"] == "resolved"
        )

    await there.page("e_slack")
    assert await there.press("e_slack", "resolve")
    await until(lambda: resolved("e_slack"))
    assert not any(block["type"] == "actions" for block in there.in_slack("e_slack").blocks)

    await there.page("e_pagerduty")
    there.pagerduty_acts("e_pagerduty", AlertState.RESOLVED)
    await until(lambda: resolved("e_pagerduty"))
    assert (await lines(there, "e_pagerduty"))[-1] == ("resolve", "Ben (PagerDuty)")


async def test_a_press_is_done_once_however_often_slack_repeats_it(small):
    await small.page("e_1")
    message = small.in_slack("e_1")
    payload = small.standins.slack.clicks.payload(message, "uproar_acknowledge", user="Anna")
    async with httpx.AsyncClient() as http:
        for _ in range(3):
            body, headers = slack_clicks.signed(payload, now=now())
            url = f"{small.url}/v1/slack/interactions"
            assert (await http.post(url, content=body, headers=headers)).status_code == 200
    assert await lines(small, "e_1") == [("opened", "uproar"), ("acknowledge", "Anna (Slack)")]


async def test_what_is_being_taken_is_asked_for_again(small):
    await small.page("e_1")
    body = pagerduty_webhooks.event(
        "incident.acknowledged", f"uproar:{INSTALLATION}:e_1:1", by="Ben"
    )
    scope = "pagerduty:01STANDIN00000001"
    async with small.database.writing() as transaction:
        await answers.claim(transaction, scope, scope, now=now())
    headers = pagerduty_webhooks.signed(body)
    async with httpx.AsyncClient() as http:
        url = f"{small.url}/v1/pagerduty/webhooks"
        assert (await http.post(url, content=body, headers=headers)).status_code == 503
        async with small.database.writing() as transaction:
            await answers.release(transaction, scope)
        assert (await http.post(url, content=body, headers=headers)).status_code == 202
    assert (await small.status("e_1"))["acknowledged_by"] == "Ben (PagerDuty)"


async def test_a_press_on_a_message_of_a_past_wave_changes_nothing_and_the_person_hears_why(small):
    await small.page("e_1")
    old = replace(small.in_slack("e_1"))
    element = next(b for b in old.blocks if b["type"] == "actions")["elements"][0]
    element["value"] = f"7:{element['value'].partition(':')[2]}"
    assert await small.standins.slack.clicks.press(old, "uproar_acknowledge")
    assert (await small.status("e_1"))["status"] == "open"
    (answer,) = small.standins.slack.clicks.answers
    assert answer["response_type"] == "ephemeral"
    assert "earlier wave" in answer["text"]


async def test_a_receiver_acts_only_on_incidents_that_it_was_told_of(small):
    quiet = a_backlash(Event.OPENED, incident=EpisodeId("e_quiet"), level=Level.WATCH)
    await small.advancer.hear(quiet, Arrival())
    body = pagerduty_webhooks.event(
        "incident.resolved", f"uproar:{INSTALLATION}:e_quiet:1", by="Ben"
    )
    async with httpx.AsyncClient() as http:
        answer = await http.post(
            f"{small.url}/v1/pagerduty/webhooks",
            content=body,
            headers=pagerduty_webhooks.signed(body),
        )
    assert answer.status_code == 202
    assert (await small.status("e_quiet"))["status"] == "open"


async def test_through_the_socket_nobody_needs_to_reach_us(tmp_path):
    async with migrated(new_url(tmp_path)) as database, surfaces(database, socket=True) as there:
        clicks = there.standins.slack.clicks
        await there.page("e_1")
        assert await there.press("e_1", "acknowledge")
        await until(lambda: acknowledged_everywhere(there, "e_1", "Anna (Slack)"))
        assert there.callbacks.problem() is None

        for rubbish in (
            "not json",
            "[]",
            '{"type": 7}',
            '{"envelope_id": [], "type": "interactive"}',
        ):
            await clicks.sockets[-1].send_text(rubbish)
        await clicks.sockets[-1].send_bytes(b"\xff\xfe")

        act, failures = there.advancer.act, [RuntimeError("a bug of ours")]

        async def fails(*given):
            if failures:
                raise failures.pop()
            return await act(*given)

        there.advancer.act = fails
        clicks.answers_within = 0.2
        assert not await there.press("e_1", "resolve")  # Slack shows the person an error
        clicks.answers_within = 3.0
        there.advancer.act = act

        await clicks.ask_back()  # Slack refreshes connections every few hours
        await until(lambda: clicks.opened == 2 and len(clicks.sockets) == 1)
        await there.page("e_2", at=a_moment(minutes=1))
        assert await there.press("e_2", "acknowledge")
        await until(lambda: acknowledged_everywhere(there, "e_2", "Anna (Slack)"))

        there.standins.trouble(Fault.RATE_LIMITED, path="/slack/api/apps.connections.open")
        await clicks.close()
        await until(lambda: "429" in (there.callbacks.problem() or ""))
        await until(lambda: clicks.opened == 3 and there.callbacks.problem() is None)
        assert await there.press("e_2", "resolve")
        await until(lambda: there.in_pagerduty("e_2").state is AlertState.RESOLVED)


async def test_a_webhook_that_pagerduty_dropped_is_made_up_for(small):
    tender = Tender(small.database, small.callbacks, small.notifiers, now)
    duty = small.notifiers[ReceiverName("duty")]
    await small.page("e_1")
    small.standins.pagerduty.subscription.dropping = 1
    small.pagerduty_acts("e_1", AlertState.ACKNOWLEDGED)

    async def asked() -> bool:  # again, while the receipt of the page is not written yet
        await tender.tend(duty)
        return (await small.status("e_1"))["status"] == "acknowledged"

    await until(asked)
    await until(lambda: acknowledged_everywhere(small, "e_1", "Ben (PagerDuty)"))
    await tender.tend(duty)  # asked again, it is no news
    assert await lines(small, "e_1") == [
        ("opened", "uproar"),
        ("acknowledge", "Ben (PagerDuty)"),
    ]


async def test_alertmanager_hears_again_of_what_lasts_and_of_what_has_just_ended(small):
    tender = Tender(small.database, small.callbacks, small.notifiers, now)
    am, seen = small.notifiers[ReceiverName("am")], small.standins.alertmanager
    await small.page("e_1")
    await until(lambda: len(seen.firing()) == 1)

    async def told_again() -> bool:
        await tender.tend(am)
        return seen.firing()[0].updates > 1

    await until(told_again)
    assert (await small.api.post("/v1/incidents/e_1/resolve")).is_success
    await until(lambda: seen.firing() == [])
    seen.alerts.clear()  # an instance that was restarted

    async def told_of_the_end() -> bool:
        await tender.tend(am)
        assert seen.firing() == []  # nor while the receipt of the end is not written yet
        return bool(seen.alerts)

    await until(told_of_the_end)
    assert len(seen.alerts) == 2  # it knows the end, and that of the lower severity


async def test_a_tender_goes_on_when_a_receiver_fails(small):
    tender = Tender(small.database, small.callbacks, small.notifiers, now, every=timedelta(0))
    await small.page("e_1")
    small.standins.trouble(Fault.SERVER_ERROR, path="/pagerduty/incidents")
    small.standins.trouble(Fault.CUT, path="/alertmanager")
    stop = asyncio.Event()
    work = asyncio.create_task(tender.run(stop))
    await until(lambda: any(a.updates > 2 for a in small.standins.alertmanager.firing()))
    stop.set()
    await work


async def test_a_snooze_from_slack_is_everywhere_and_can_be_taken_on(small):
    await small.page("e_1")
    assert await small.press("e_1", "snooze", choice=1)
    assert (await small.status("e_1"))["status"] == "snoozed"
    await until(lambda: "Snoozed until" in small.in_slack("e_1").text)
    await until(lambda: small.in_pagerduty("e_1").state is AlertState.ACKNOWLEDGED)
    await small.standins.pagerduty.subscription.settled()
    assert (await small.status("e_1"))["status"] == "snoozed"  # PagerDuty's echo is no act
    assert await small.press("e_1", "acknowledge", user="Ben")
    await until(lambda: acknowledged_everywhere(small, "e_1", "Ben (Slack)"))


async def test_a_false_alarm_says_why_and_mutes_the_wave(small):
    await small.page("e_1")
    assert await small.press("e_1", "false-alarm", choice=2)
    await until(lambda: small.in_pagerduty("e_1").state is AlertState.RESOLVED)
    answer = await small.api.get("/v1/incidents/e_1/timeline")
    last = answer.json()["items"][-1]
    assert (last["happened"], last["by"], last["summary"]) == (
        "false-alarm",
        "Anna (Slack)",
        "Our own campaign",
    )
    grew = a_backlash(
        Event.GREW, incident=EpisodeId("e_1"), subject="e_1", sequence=1, posts=400, page=True
    )
    told = len(small.standins.slack.top_level())
    await small.advancer.hear(grew, Arrival())
    assert (await small.status("e_1"))["status"] == "resolved"
    assert len(small.standins.slack.top_level()) == told


async def test_a_snooze_that_is_over_wakes_somebody_in_pagerduty_again(small):
    """PagerDuty takes a trigger for an alert that is acknowledged, and wakes nobody."""
    await small.page("e_1")
    assert await small.press("e_1", "snooze")
    await until(lambda: small.in_pagerduty("e_1").state is AlertState.ACKNOWLEDGED)
    await small.advancer.act(IncidentId("e_1"), Act(verb=Verb.REOPEN, by="Ada"))
    await until(lambda: small.in_pagerduty("e_1").state is AlertState.TRIGGERED)
    await small.standins.pagerduty.subscription.settled()
    assert (await small.status("e_1"))["status"] == "open"
    assert [alert.state for alert in small.standins.pagerduty.alerts] == [
        AlertState.RESOLVED,
        AlertState.TRIGGERED,
    ]


async def test_a_split_closes_the_alert_of_the_wave_that_leaves(small):
    await small.page("e_1")
    ended = a_backlash(Event.ENDED, incident=EpisodeId("e_1"), subject="e_1", sequence=1)
    await small.advancer.hear(ended, Arrival())
    await until(lambda: small.in_pagerduty("e_1").state is AlertState.RESOLVED)
    wave = a_backlash(
        Event.OPENED, incident=EpisodeId("e_2"), subject="e_1", at=a_moment(minutes=90)
    )
    await small.advancer.hear(wave, Arrival())
    await until(lambda: small.in_pagerduty("e_1").key.endswith(":2"))
    await small.advancer.split(IncidentId("e_1"), Act(verb=Verb.NOTE, by="Ada"))
    await until(lambda: small.in_pagerduty("e_2") is not None)
    await until(lambda: small.in_pagerduty("e_1").state is AlertState.RESOLVED)
    assert small.in_pagerduty("e_2").state is AlertState.TRIGGERED
