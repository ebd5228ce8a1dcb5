"""What is done to the one message of a storm is done to every incident that it names."""

from datetime import timedelta
from types import SimpleNamespace

from services.alerter.advance import Advancer
from services.alerter.callbacks import Callbacks
from services.alerter.notifier import Pace, Sent
from services.alerter.notifier.callback import STORM, Told
from services.alerter.notifier.exchange import Surroundings
from services.alerter.notifiers import build, new_client
from services.alerter.notifiers.pagerduty.keys import dedup_key, incident_of
from services.alerter.settings import ReceiverTable
from services.alerter.store import history
from services.alerter.store.database import Database
from services.alerter.store.incidents import Arrival
from services.alerter.store.outbox import SqlOutbox
from services.alerter.tend import Tender
from services.demo.standins import StandIns
from services.demo.standins.pagerduty import AlertState
from tests.build import NOON, a_backlash
from uproar.incident import Act, IncidentId, Verb
from uproar.routing import ReceiverName

DUTY = ReceiverName("duty")
PACE = Pace(every=timedelta(seconds=1), burst=1, bundle=8)


async def test_an_acknowledgement_of_a_storm_acknowledges_what_it_names_and_no_other(
    database: Database, advancer: Advancer, clock
):
    for n in range(12):
        await advancer.hear(a_backlash(subject=f"s{n:02}"), Arrival())
    outbox = SqlOutbox(database)
    (storm,) = await outbox.lease(DUTY, now=NOON, owner="w", limit=9, pace=PACE)
    await outbox.settle(storm, Sent("key"), now=NOON, next_at=None)
    place = incident_of(dedup_key(storm, "i1"), "i1")
    assert place == (IncidentId(f"{STORM}{storm.id}"), 1)

    callbacks = Callbacks(database, advancer, {}, clock)
    listener = SimpleNamespace(name=DUTY, type="pagerduty")
    act = Act(verb=Verb.ACKNOWLEDGE, by="Ben (PagerDuty)")
    told = Told(key="w:1", incident=place[0], episode=place[1], act=act, echo=True)
    for _ in range(2):  # a repeat changes nothing
        await callbacks.take(listener, told)

    async with database.reading() as transaction:
        named = {storm.incident, *(notice.incident for notice in storm.bundle)}
        rows = [await history.incident(transaction, i) for i in sorted(named)]
        counts = await history.counts(transaction)
        lines = await history.timeline(transaction, storm.incident)
    assert {row["state"] for row in rows} == {"acknowledged"}
    assert len(rows) == 8
    assert sorted(counts.by_state.values(), reverse=True)[:2] == [8, 4]
    assert [line["happened"] for line in lines] == ["opened", "acknowledge"]


async def test_an_acknowledgement_of_a_storm_that_no_webhook_told_of_is_asked_for(
    database: Database, advancer: Advancer, clock
):
    for n in range(12):
        await advancer.hear(a_backlash(subject=f"s{n:02}"), Arrival())
    async with StandIns() as standins, new_client() as client:
        given = standins.tables()["pagerduty"] | {
            "api_token": standins.api_token,
            "rest_url": f"{standins.url}/pagerduty",
        }
        table = ReceiverTable(name=DUTY, type="pagerduty", options=given)
        notifiers = build([table], Surroundings(client=client, installation="i1", clock=clock))
        outbox, duty = SqlOutbox(database), notifiers[DUTY]
        (storm,) = await outbox.lease(DUTY, now=NOON, owner="w", limit=9, pace=PACE)
        sent = await duty.notify(storm)
        await outbox.settle(storm, sent, now=NOON, next_at=None)
        standins.pagerduty.move(standins.pagerduty.alerts[0], AlertState.ACKNOWLEDGED, by="Ben")
        callbacks = Callbacks(database, advancer, notifiers, clock)
        await Tender(database, callbacks, notifiers, clock).tend(duty)
    async with database.reading() as transaction:
        counts = await history.counts(transaction)
        lines = await history.timeline(transaction, storm.incident)
    assert (counts.by_state["acknowledged"], counts.by_state["open"]) == (8, 4)
    assert [(line["happened"], line["by"]) for line in lines][1:] == [
        ("acknowledge", "Ben (PagerDuty)")
    ]
