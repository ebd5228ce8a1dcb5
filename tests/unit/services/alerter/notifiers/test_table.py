import logging

import pytest

from services.alerter.notifier import DeliveryId
from services.alerter.notifier.exchange import Surroundings
from services.alerter.notifiers import NOTIFIERS, build, new_client, receivers, trial_delivery
from services.alerter.settings import ReceiverTable
from services.demo.standins import StandIns
from tests.build import NOON
from uproar.errors import Misconfigured
from uproar.notice import Language, NoticeKind
from uproar.routing import Receiver, ReceiverName


def tables(**changes) -> list[ReceiverTable]:
    standins = StandIns(port=1)
    standins.mail.port = 1
    given = standins.tables()
    return [
        ReceiverTable(name=f"my-{kind}", type=kind, options=options | changes)
        for kind, options in given.items()
    ]


@pytest.fixture
async def surroundings():
    async with new_client() as client:
        yield Surroundings(client=client, installation="i1", clock=lambda: NOON)


def test_every_notifier_is_named_after_its_type():
    assert set(NOTIFIERS) == {"slack", "pagerduty", "email", "alertmanager", "webhook"}
    assert all(notifier.type == name for name, notifier in NOTIFIERS.items())


async def test_the_notifier_of_each_receiver_is_made(surroundings):
    made = build(tables(), surroundings)
    assert {name: (n.name, n.type) for name, n in made.items()} == {
        f"my-{kind}": (f"my-{kind}", kind) for kind in NOTIFIERS
    }


async def test_all_that_is_wrong_is_told_at_once(surroundings):
    wrong = [
        ReceiverTable(name="a", type="fax", options={}),
        ReceiverTable(name="b", type="pagerduty", options={"routing_key": "x"}),
        *tables(),
    ]
    with pytest.raises(Misconfigured) as caught:
        build(wrong, surroundings)
    first, second = str(caught.value).split("\n")
    assert (
        first
        == "receiver 'a': type 'fax' is none of slack, pagerduty, email, alertmanager, webhook"
    )
    assert second.startswith("receiver 'b': routing_key: ")


def test_routing_learns_what_each_receiver_may_hear():
    made = {r.name: r for r in receivers(tables(language="fr", canary=True))}
    assert {name: r.pages_only for name, r in made.items()} == {
        "my-slack": False,
        "my-pagerduty": True,
        "my-webhook": False,
        "my-alertmanager": False,
        "my-email": False,
    }
    assert all(r.language is Language.FR and r.canary for r in made.values())
    with pytest.raises(Misconfigured, match="none of slack"):
        receivers([ReceiverTable(name="a", type="fax", options={})])


def test_a_trial_says_that_it_is_one():
    receiver = Receiver(name=ReceiverName("my-slack"), language=Language.FR)
    trial = trial_delivery(receiver, DeliveryId("01J0A"), url="https://u.example", now=NOON)
    assert trial.kind is NoticeKind.CANARY
    assert trial.receiver == "my-slack"
    assert trial.notice.title.startswith("Essai")
    assert not trial.notice.page


async def test_the_shared_client_logs_no_address_and_goes_straight_to_this_machine(
    monkeypatch, caplog
):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    with caplog.at_level(logging.DEBUG):
        async with StandIns() as standins, new_client() as client:
            assert (await client.get(f"{standins.url}/messages?key=secret-1")).status_code == 200
    assert "secret-1" not in caplog.text
