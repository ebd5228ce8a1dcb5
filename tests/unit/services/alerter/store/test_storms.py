"""A storm's one message, and the incidents in it that go ways of their own."""

from collections.abc import Collection
from datetime import datetime, timedelta
from random import Random

import pytest

from services.alerter.advance import Advancer
from services.alerter.deliver import HELD, Deliverer
from services.alerter.notifier import Delivery, Outcome, Pace, Refused, Sent, Unknown
from services.alerter.store import deliveries
from services.alerter.store.database import Database
from services.alerter.store.incidents import Arrival
from services.alerter.store.outbox import SqlOutbox
from tests.build import NOON, a_backlash, a_moment
from uproar.backlash import Event
from uproar.incident import Act, IncidentId, State, Verb
from uproar.notice import NoticeKind
from uproar.routing import ReceiverName, Route

ROOM, DUTY = ReceiverName("war-room"), ReceiverName("duty")
PACE = Pace(every=timedelta(seconds=1), burst=1, bundle=12)
REFUSED = Refused("Slack: token_revoked")


class Storm:
    """Twelve incidents whose pages go out in one message to the war room; the duty stands by."""

    def __init__(self, database: Database, advancer: Advancer) -> None:
        room, duty = advancer._routes[0].receivers
        advancer._routes = [Route(name="default", receivers=(room,), failover=(duty,))]
        self.database, self.advancer, self.outbox = database, advancer, SqlOutbox(database)
        self.deliverer = Deliverer(
            self.outbox,
            {},
            clock=advancer._clock,
            rng=Random(1),
            owner="w",
            written=advancer._written,
        )
        self.subjects: dict[IncidentId, str] = {}

    async def begins(self, *, now: datetime = NOON) -> Delivery:
        for n in range(12):
            incident = await self.advancer.hear(a_backlash(subject=f"s{n:02}"), Arrival())
            assert incident is not None
            self.subjects[incident.id] = incident.subject
        return await self.leased(now)

    async def leased(self, now: datetime) -> Delivery:
        (message,) = await self.outbox.lease(ROOM, now=now, owner="w", limit=1, pace=PACE)
        return message

    async def meets(self, message: Delivery, outcome: Outcome, *, now: datetime) -> None:
        """Settle as the worker does."""
        outcome = self.deliverer._final(message, outcome)
        wait = self.deliverer._wait(message, outcome)
        next_at = None if wait is None else now + wait
        await self.outbox.settle(message, outcome, now=now, next_at=next_at)

    async def ends(self, incident: IncidentId) -> None:
        event = a_backlash(Event.ENDED, sequence=1, subject=self.subjects[incident])
        await self.advancer.hear(event, Arrival())

    async def pages(self, incidents: Collection[IncidentId]) -> set[str]:
        async with self.database.reading() as transaction:
            rows = [
                row
                for incident in incidents
                for row in await deliveries.of_incident(transaction, incident)
            ]
        return {r["state"] for r in rows if (r["receiver"], r["kind"]) == (ROOM, "trigger")}


@pytest.fixture
def storm(database: Database, advancer: Advancer) -> Storm:
    return Storm(database, advancer)


async def test_a_storm_that_is_refused_outlives_the_incident_it_is_named_after(storm: Storm):
    message = await storm.begins()
    assert len(message.bundle) == 11
    await storm.meets(message, REFUSED, now=NOON)
    await storm.ends(message.incident)

    later = NOON + HELD
    again = await storm.leased(later)
    await storm.meets(again, REFUSED, now=later)

    assert (again.id, again.ended) == (message.id, False)
    assert await storm.pages(storm.subjects) == {"retry_at"}
    mended = await storm.leased(later + HELD)
    await storm.meets(mended, Sent("C1:1"), now=later + HELD)
    assert await storm.pages(storm.subjects) == {"delivered"}


async def test_a_storm_is_given_up_once_all_its_incidents_are_over(storm: Storm, clock):
    message = await storm.begins()
    await storm.meets(message, REFUSED, now=NOON)
    *over, lasts = storm.subjects
    for incident in over:
        await storm.ends(incident)
    clock.forward(days=8)
    again = await storm.leased(clock.now)
    await storm.meets(again, Unknown("no answer"), now=clock.now)
    assert await storm.pages(storm.subjects) == {"sent_unknown"}

    await storm.ends(lasts)
    clock.forward(minutes=6)
    last = await storm.leased(clock.now)
    await storm.meets(last, Unknown("no answer"), now=clock.now)

    assert last.ended
    assert await storm.pages(storm.subjects) == {"dead"}


async def test_a_storm_that_is_refused_calls_who_stands_by_for_each_of_its_incidents(storm: Storm):
    message = await storm.begins()
    await storm.meets(message, REFUSED, now=NOON)

    called = await storm.outbox.lease(DUTY, now=NOON, owner="w", limit=99)

    assert {one.incident for one in called} == set(storm.subjects)


@pytest.mark.parametrize(
    ("last", "stands", "kind"),
    [
        (State.RESOLVED, State.ACKNOWLEDGED, NoticeKind.RESOLVE),
        (State.ACKNOWLEDGED, State.ACKNOWLEDGED, NoticeKind.ACKNOWLEDGE),
        (State.OPEN, State.OPEN, None),
    ],
)
async def test_a_storm_stands_where_the_slowest_of_its_incidents_stands(
    storm: Storm, last: State, stands: State, kind: NoticeKind | None
):
    message = await storm.begins()
    await storm.outbox.settle(message, Sent("storm"), now=NOON, next_at=None)
    first, *others, end = storm.subjects
    await storm.ends(first)
    for incident in others:
        await storm.advancer.act(incident, Act(verb=Verb.ACKNOWLEDGE, by="Ada"))
    if last is State.RESOLVED:
        await storm.ends(end)
    elif last is State.ACKNOWLEDGED:
        await storm.advancer.act(end, Act(verb=Verb.ACKNOWLEDGE, by="Ada"))

    news = await storm.outbox.lease(ROOM, now=a_moment(minutes=1), owner="w", limit=99)

    assert {(one.bundle_ref, one.bundle_state) for one in news} == {("storm", stands)}
    assert [one.kind for one in news if one.incident == end] == ([kind] if kind else [])
