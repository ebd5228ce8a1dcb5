from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from services.alerter.access import Role
from services.alerter.notifier.exchange import Surroundings
from services.alerter.notifiers import build, new_client, receivers
from services.alerter.settings import ReceiverTable
from services.demo.standins import Fault, StandIns
from tests.unit.services.alerter.conftest import Caller


@pytest.fixture
async def told(parts) -> AsyncIterator[tuple[Caller, StandIns]]:
    async with StandIns() as standins, new_client() as sending:
        tables = [
            ReceiverTable(name=f"my-{kind}", type=kind, options=options | {"language": "fr"})
            for kind, options in standins.tables().items()
        ]
        around = Surroundings(client=sending, installation="i1", clock=lambda: datetime.now(UTC))
        made = build(tables, around)
        known = {one: made[one.name] for one in receivers(tables)}
        caller = Caller(replace(parts, receivers=known))
        async with caller.http:
            yield caller, standins


async def test_receivers_are_listed_without_their_secrets(told):
    call, standins = told
    answer = await call("GET", "/v1/receivers", Role.VIEWER)
    assert {"name": "my-slack", "type": "slack", "language": "fr"}.items() <= (
        answer.json()["items"][0].items()
    )
    for secret in (standins.token, standins.routing_key, standins.secret, standins.url):
        assert secret not in answer.text


async def test_a_test_message_arrives_and_says_what_it_is(told):
    call, standins = told
    for kind in standins.tables():
        answer = await call("POST", f"/v1/receivers/my-{kind}/test", Role.RESPONDER)
        assert answer.status_code == 200, answer.text
        assert answer.json()["delivered"] is True
    (message,) = standins.slack.top_level()
    assert message.text.startswith("🟡 Essai d’uproar")
    assert not any(block["type"] == "actions" for block in message.blocks)
    assert {alert.state for alert in standins.pagerduty.alerts} == {"resolved"}  # nobody is woken


async def test_a_test_that_does_not_arrive_says_why(told):
    call, standins = told
    standins.trouble(Fault.OK_FALSE, error="channel_not_found", path="/slack")
    answer = await call("POST", "/v1/receivers/my-slack/test")
    assert answer.status_code == 502
    assert answer.json()["detail"] == "my-slack: Slack: channel_not_found"


async def test_nobody_is_tested_who_is_not_there(told):
    assert (await told[0]("POST", "/v1/receivers/nobody/test")).status_code == 404
