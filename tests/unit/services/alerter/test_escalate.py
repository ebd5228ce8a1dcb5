import httpx
import pytest

from services.alerter.advance import Advancer
from services.alerter.escalate import Auditor
from services.alerter.notifier import Retry, Sent
from services.alerter.store.database import Database
from services.alerter.store.incidents import Arrival
from services.alerter.store.outbox import SqlOutbox
from tests.build import a_backlash
from uproar.routing import ReceiverName

ROOM, DUTY = ReceiverName("war-room"), ReceiverName("duty")


@pytest.fixture
async def auditor(database: Database, clock):
    def beat(_: httpx.Request) -> httpx.Response:
        made.beats += 1
        return httpx.Response(200, stream=httpx.ByteStream(b""))

    async with httpx.AsyncClient(transport=httpx.MockTransport(beat)) as client:
        made = Auditor(
            database,
            receivers=[ROOM, DUTY],
            client=client,
            heartbeat="https://watch.example/beat",
            clock=clock,
        )
        made.beats = 0
        yield made


async def settled(outbox: SqlOutbox, receiver: ReceiverName, outcome, clock) -> None:
    (page,) = await outbox.lease(receiver, now=clock.now, owner="w", limit=1)
    again = None if isinstance(outcome, Sent) else clock.now
    await outbox.settle(page, outcome, now=clock.now, next_at=again)


async def test_the_outside_hears_a_heartbeat_while_every_page_reaches_somebody(
    auditor: Auditor, advancer: Advancer, database: Database, clock
):
    await advancer.hear(a_backlash(), Arrival())
    await settled(SqlOutbox(database), ROOM, Sent("1"), clock)
    clock.forward(minutes=10)
    await auditor.look()
    assert (auditor.problem, auditor.beats) == (None, 1)


async def test_a_page_that_has_reached_nobody_stops_the_heartbeat(
    auditor: Auditor, advancer: Advancer, database: Database, clock
):
    await advancer.hear(a_backlash(), Arrival())
    await settled(SqlOutbox(database), ROOM, Retry("down"), clock)
    clock.forward(seconds=119)
    await auditor.look()
    assert auditor.beats == 1
    clock.forward(seconds=2)
    await auditor.look()
    assert auditor.problem == "1 pages have reached nobody by their deadline"
    await settled(SqlOutbox(database), DUTY, Sent("1"), clock)
    await auditor.look()
    assert (auditor.problem, auditor.beats) == (None, 2)


async def test_deliveries_to_somebody_who_is_not_there_are_named(
    auditor: Auditor, advancer: Advancer
):
    auditor._receivers = [DUTY]
    await advancer.hear(a_backlash(), Arrival())
    await auditor.look()
    assert auditor.problem == (
        "deliveries wait for receivers that uproar.toml does not name: war-room"
    )
    assert auditor.beats == 0


async def test_without_a_database_nothing_is_said_to_be_well(clock):
    away = Database("postgresql+asyncpg://nobody@127.0.0.1:1/none")
    async with httpx.AsyncClient() as client:
        auditor = Auditor(away, receivers=[], client=client, heartbeat=None, clock=clock)
        await auditor.look()
    assert "cannot be checked" in (auditor.problem or "")
    await away.close()
