from dataclasses import dataclass, field

import pytest

from services.alerter.callbacks import Callbacks
from services.alerter.notifier.callback import Nothing, Told
from services.alerter.store.incidents import Arrival
from tests.build import a_backlash
from uproar.errors import Unavailable
from uproar.incident import Act, IncidentId, Verb
from uproar.routing import ReceiverName


@dataclass
class Far:
    """A receiver's far side that remembers what it was answered."""

    name: str = "war-room"
    type: str = "slack"
    answered: list[Nothing] = field(default_factory=list)

    def verifies(self, signed, *, now):
        return True

    def read(self, body):
        return []

    async def reply(self, told, why):
        self.answered.append(why)


def a_told(verb: Verb = Verb.ACKNOWLEDGE, **given) -> Told:
    defaults = {"key": "k", "incident": IncidentId(a_backlash().incident), "episode": 1}
    return Told(act=Act(verb=verb, by="Anna (Slack)"), **defaults | given)


@pytest.fixture
async def callbacks(database, advancer, clock) -> Callbacks:
    await advancer.hear(a_backlash(), Arrival())
    return Callbacks(database, advancer, {}, clock)


async def state(call) -> str:
    return (await call("GET", f"/v1/incidents/{a_backlash().incident}")).json()["status"]


async def test_an_act_that_failed_on_our_side_may_be_told_again(
    callbacks, advancer, monkeypatch, call
):
    real, failures = advancer.act, [Unavailable("away"), RuntimeError("a bug")]

    async def act(*given):
        if failures:
            raise failures.pop(0)
        return await real(*given)

    monkeypatch.setattr(advancer, "act", act)
    for error in (Unavailable, RuntimeError):
        with pytest.raises(error):
            await callbacks.take(Far(), a_told())
    await callbacks.take(Far(), a_told())
    assert await state(call) == "acknowledged"


async def test_what_the_incident_no_longer_allows_is_told_to_the_person(callbacks, call):
    far = Far()
    await callbacks.take(far, a_told(Verb.RESOLVE, key="1"))
    await callbacks.take(far, a_told(Verb.ACKNOWLEDGE, key="2"))
    assert await state(call) == "resolved"
    assert far.answered == [Nothing.REFUSED]


@pytest.mark.parametrize(
    ("verb", "echo", "lines"),
    [(Verb.RESOLVE, True, 2), (Verb.RESOLVE, False, 3), (Verb.ACKNOWLEDGE, True, 2)],
)
async def test_an_echo_of_what_stands_already_is_no_line(callbacks, call, verb, echo, lines):
    await callbacks.take(Far(), a_told(Verb.RESOLVE, key="1"))
    await callbacks.take(Far(), a_told(verb, key="2", echo=echo))
    answer = await call("GET", f"/v1/incidents/{a_backlash().incident}/timeline")
    assert len(answer.json()["items"]) == lines


async def test_who_was_never_told_cannot_act(callbacks, call):
    await callbacks.take(Far(name=ReceiverName("stranger")), a_told())
    assert await state(call) == "open"
