from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest

from services.alerter.notifier import Refused, Retry, Sent
from services.alerter.notifier.callback import Told
from services.alerter.notifier.exchange import Surroundings
from services.alerter.notifiers import build, new_client
from services.alerter.notifiers.alertmanager import LASTS, Alertmanager
from services.alerter.settings import ReceiverTable
from services.demo.standins import Fault, StandIns
from tests.outbox import a_delivery, a_notice
from uproar.backlash import Level
from uproar.errors import Misconfigured
from uproar.incident import State
from uproar.notice import NoticeKind


def now() -> datetime:
    return datetime.now(UTC)


@pytest.fixture
async def there() -> AsyncIterator[tuple[Alertmanager, StandIns]]:
    async with StandIns() as standins, new_client() as client:
        around = Surroundings(client=client, installation="i1", clock=now)
        options = standins.tables()["alertmanager"] | {"labels": {"team": "pr"}}
        table = ReceiverTable(name="am", type="alertmanager", options=options)
        (made,) = build([table], around).values()
        yield made, standins


async def test_an_incident_fires_with_labels_that_no_number_changes(there):
    alertmanager, standins = there
    await alertmanager.notify(a_delivery())
    (alert,) = standins.alertmanager.firing()
    assert alert.labels == {
        "alertname": "UproarBacklash",
        "installation": "i1",
        "incident": a_notice().incident,
        "episode": "1",
        "subject": "air-quillon",
        "severity": "warning",
        "team": "pr",
    }
    assert alert.annotations["summary"].startswith("Backlash against Air Quillon")
    await alertmanager.notify(a_delivery(id="01B", sequence=2, notice=a_notice(posts=999)))
    (alert,) = standins.alertmanager.firing()
    assert alert.updates == 2


async def test_a_rise_resolves_the_alert_of_the_lower_severity(there):
    alertmanager, standins = there
    await alertmanager.notify(a_delivery())
    await alertmanager.notify(
        a_delivery(
            id="01B", sequence=2, notice=a_notice(level=Level.CRISIS), kind=NoticeKind.UPDATE
        )
    )
    (alert,) = standins.alertmanager.firing()
    assert alert.labels["severity"] == "critical"


async def test_an_end_resolves(there):
    alertmanager, standins = there
    await alertmanager.notify(a_delivery())
    over = a_notice(state=State.RESOLVED)
    await alertmanager.notify(
        a_delivery(id="01B", sequence=2, notice=over, kind=NoticeKind.RESOLVE)
    )
    assert standins.alertmanager.firing() == []


async def no_news(told: Told) -> None:
    raise AssertionError(told)


async def test_what_is_told_again_goes_on_firing(there):
    alertmanager, standins = there
    await alertmanager.notify(a_delivery())
    assert standins.alertmanager.firing(at=now() + LASTS + timedelta(seconds=1)) == []
    before = standins.alertmanager.firing()[0].ends_at
    await alertmanager.tend([a_delivery()], no_news)
    assert standins.alertmanager.firing()[0].ends_at > before


async def test_every_instance_is_told_and_one_that_hears_is_enough(there):
    standins = there[1]
    async with StandIns() as other, new_client() as client:
        around = Surroundings(client=client, installation="i1", clock=now)
        urls = [f"{one.url}/alertmanager" for one in (standins, other)]
        table = ReceiverTable(name="am", type="alertmanager", options={"urls": urls})
        (both,) = build([table], around).values()
        other.trouble(Fault.UNAVAILABLE)
        assert isinstance(await both.notify(a_delivery()), Sent)
        assert len(standins.alertmanager.firing()) == 1
        assert other.alertmanager.firing() == []
        await both.tend([a_delivery()], no_news)  # a minute later
        assert len(other.alertmanager.firing()) == 1
        standins.trouble(Fault.UNAVAILABLE)
        other.trouble(Fault.RATE_LIMITED, retry_after=3)
        assert isinstance(await both.notify(a_delivery()), Retry)
        standins.trouble(Fault.BAD_REQUEST)
        other.trouble(Fault.BAD_REQUEST)
        assert isinstance(await both.notify(a_delivery()), Refused)


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"urls": []}, "at least 1"),
        ({"urls": "ftp://x"}, "web address"),
        ({"urls": "http://am.example", "token": "t"}, "https"),
        ({"urls": "https://am.example", "labels": {"severity": "x"}}, "severity"),
        ({"urls": "https://am.example", "labels": {"a-b": "x"}}, "a-b"),
    ],
)
async def test_wrong_options_are_told(options, why):
    async with new_client() as client:
        around = Surroundings(client=client, installation="i1", clock=now)
        with pytest.raises(Misconfigured, match=why):
            build([ReceiverTable(name="am", type="alertmanager", options=options)], around)
