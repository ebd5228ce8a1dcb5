"""A receiver that was replaced leaves nothing behind that nobody will ever get."""

from datetime import timedelta

import pytest

from services.alerter.advance import Advancer
from services.alerter.notifier import Outcome, Refused, Retry, Sent
from services.alerter.reroute import reroute
from services.alerter.store import backlog, deliveries
from services.alerter.store.database import Database
from services.alerter.store.incidents import Arrival
from services.alerter.store.outbox import SqlOutbox
from tests.build import a_backlash
from uproar.backlash import Event
from uproar.incident import Act, IncidentId, Verb
from uproar.routing import Receiver, ReceiverName, Route

OLD, NEW, MAIL = (Receiver(name=ReceiverName(name)) for name in ("old", "new", "mail"))


class Desk:
    """An alerter whose receiver ``old`` becomes ``new``; ``mail`` stands by for either."""

    def __init__(self, database: Database, advancer: Advancer, clock) -> None:
        self.database, self.advancer, self.clock = database, advancer, clock
        self.outbox = SqlOutbox(database)
        advancer._routes = [Route(name="default", receivers=(OLD,), failover=(MAIL,))]

    async def opens(self) -> IncidentId:
        incident = await self.advancer.hear(a_backlash(), Arrival())
        assert incident is not None
        return incident.id

    async def replaced(self, *routes: Route) -> int:
        routes = routes or (Route(name="default", receivers=(NEW,), failover=(MAIL,)),)
        names = [one.name for one in (NEW, MAIL)]
        return await reroute(self.database, routes=routes, receivers=names, now=self.clock.now)

    async def sends(self, receiver: Receiver, outcome: Outcome) -> list[str]:
        leased = await self.outbox.lease(receiver.name, now=self.clock.now, owner="w", limit=9)
        again = None if isinstance(outcome, Sent) else self.clock.now + timedelta(minutes=5)
        for one in leased:
            await self.outbox.settle(one, outcome, now=self.clock.now, next_at=again)
        return [one.kind.value for one in leased]

    async def states(self, incident: IncidentId) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        async with self.database.reading() as transaction:
            for row in await deliveries.of_incident(transaction, incident):
                found.setdefault(row["receiver"], []).append(row["state"])
        return found

    async def strays(self) -> frozenset[str]:
        async with self.database.reading() as transaction:
            found = await backlog.audit(
                transaction, late=self.clock.now, receivers=[NEW.name, MAIL.name]
            )
        return found.stray


@pytest.fixture
def desk(database: Database, advancer: Advancer, clock) -> Desk:
    return Desk(database, advancer, clock)


async def test_a_page_that_a_broken_receiver_holds_goes_to_the_one_in_its_place(desk: Desk):
    incident = await desk.opens()
    await desk.sends(OLD, Refused("token_revoked"))
    assert await desk.replaced() == 1

    assert await desk.states(incident) == {
        "old": ["superseded"],
        "new": ["pending"],
        "mail": ["pending"],
    }
    assert await desk.strays() == frozenset()
    assert await desk.sends(NEW, Sent("1")) == ["trigger"]
    assert await desk.outbox.stand_down() == 1  # it has arrived: the mail is not needed
    assert await desk.replaced() == 0


async def test_who_stood_by_and_is_told_first_by_now_is_paged_at_once(desk: Desk):
    incident = await desk.opens()
    await desk.sends(OLD, Retry("down"))
    await desk.replaced(Route(name="default", receivers=(MAIL,)))

    assert await desk.sends(MAIL, Sent("1")) == ["trigger"]
    assert await desk.states(incident) == {"old": ["superseded"], "mail": ["delivered"]}


async def test_who_has_the_page_is_not_paged_again(desk: Desk):
    incident = await desk.opens()
    await desk.sends(OLD, Refused("token_revoked"))
    assert await desk.sends(MAIL, Sent("1")) == ["trigger"]
    await desk.replaced(Route(name="default", receivers=(MAIL,)))

    assert await desk.sends(MAIL, Sent("2")) == []
    assert await desk.states(incident) == {"old": ["superseded"], "mail": ["delivered"]}


@pytest.mark.parametrize("over", [Verb.ACKNOWLEDGE, Event.ENDED])
async def test_what_somebody_has_or_what_is_over_pages_nobody(desk: Desk, over: Verb | Event):
    incident = await desk.opens()
    await desk.sends(OLD, Refused("token_revoked"))
    await desk.sends(MAIL, Sent("1"))
    if isinstance(over, Verb):
        await desk.advancer.act(incident, Act(verb=over, by="Ada"))
    else:
        await desk.advancer.hear(a_backlash(over, sequence=1), Arrival())

    await desk.replaced()

    states = await desk.states(incident)
    assert states["old"] == ["superseded", "superseded"]
    assert "new" not in states


async def test_what_is_on_its_way_is_taken_from_a_worker_that_is_no_more(desk: Desk):
    incident = await desk.opens()
    await desk.outbox.lease(OLD.name, now=desk.clock.now, owner="dead", limit=9)
    await desk.replaced()
    assert (await desk.states(incident))["old"] == ["superseded"]
    assert await desk.outbox.leases() == []


async def test_a_page_that_no_route_takes_stays_where_the_auditor_names_it(desk: Desk):
    await desk.opens()
    await desk.replaced(Route(name="other", receivers=(NEW,)))
    assert await desk.strays() == {"old"}
