"""Kafka stops, or the database does: what is due goes out, what cannot be kept is waited for."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import uvicorn
from fastapi import FastAPI, Request

from services.alerter.advance import Advancer
from services.alerter.app import wall_clock
from services.alerter.consume import Taker
from services.alerter.store.database import Database
from services.demo.standins import Fault, StandIns
from tests.broker import a_broker, free_port
from tests.build import a_backlash
from tests.databases import Server, postgres
from tests.integration.test_alerter import House, running, send
from uproar.topics import BACKLASH


@pytest.fixture
async def receivers() -> AsyncIterator[StandIns]:
    async with StandIns() as standins:
        yield standins


async def test_due_deliveries_go_out_and_the_api_answers_with_kafka_stopped(
    tmp_path: Path, receivers: StandIns
):
    broker, event = a_broker(), a_backlash()
    try:
        broker.start()
        house = House(tmp_path, broker.address, receivers)
        with running(house):
            await house.begin()
            receivers.trouble(Fault.RATE_LIMITED, path="/slack", times=2, retry_after=3)
            receivers.trouble(Fault.UNAVAILABLE, path="/pagerduty", times=2)
            await send(broker.address, BACKLASH, event)
            await house.until(lambda: house.items("/v1/incidents"))
            broker.kill()

            async def all_sent() -> bool:
                rows = await house.items(f"/v1/incidents/{event.incident}/deliveries")
                sent = {row["receiver"] for row in rows if row["state"] == "delivered"}
                return {"slack", "pagerduty", "webhook"} <= sent and len(sent) == len(rows)

            await house.until(all_sent)
            for path in ("/v1/status", "/v1/incidents", f"/v1/incidents/{event.incident}/timeline"):
                assert await house.ask(path) is not None
            assert len(receivers.slack.top_level()) == len(receivers.pagerduty.alerts) == 1
    finally:
        broker.remove()


# ------------------------------------------------------------------------- the database goes


@pytest.fixture
def server() -> Iterator[Server]:
    with postgres() as directory:
        yield Server(directory)


@contextmanager
def desk(said: list[dict]) -> Iterator[str]:
    """Listen where the operator is told."""
    app, port = FastAPI(), free_port()

    @app.post("/hook")
    async def hook(request: Request) -> None:
        said.append(json.loads(await request.body()))

    server = uvicorn.Server(uvicorn.Config(app, port=port, log_level="critical"))
    task = asyncio.create_task(server.serve())
    try:
        yield f"http://127.0.0.1:{port}/hook"
    finally:
        server.should_exit = True
        task.add_done_callback(lambda _: None)


async def test_with_the_database_down_events_wait_the_operator_is_told_and_all_goes_on(
    tmp_path: Path, receivers: StandIns, server: Server
):
    url = server.new_url()
    broker, said = a_broker(), []
    try:
        broker.start()
        house = House(tmp_path, broker.address, receivers)
        with desk(said) as hook, running(house):
            house.database_url = url
            house._environment |= {
                "UPROAR_DATABASE_URL": url,
                "UPROAR_ALERTER_OPERATOR_WEBHOOK": hook,
            }
            await house.begin()
            await asyncio.to_thread(server.stop)
            events = [a_backlash(subject=f"s{n}") for n in range(3)]
            await send(broker.address, BACKLASH, *events)

            async def told(what: str) -> bool:
                return any(
                    event["type"] == what and event["data"]["part"] == "database" for event in said
                )

            await house.until(lambda: told("operator.alarm"))
            assert await house.ask("/ready") is None
            await asyncio.to_thread(server.start)
            await house.until(lambda: told("operator.recovered"))

            async def all_paged() -> bool:
                return len(receivers.pagerduty.alerts) == 3

            await house.until(all_paged)
            assert all(event["text"].startswith("[uproar, to its operator]") for event in said)
    finally:
        broker.remove()


async def test_an_event_that_cannot_be_kept_is_not_done_and_is_kept_later(server: Server):
    database = Database(server.new_url())
    from services.alerter.store.migrate import migrate

    await migrate(database)
    advancer = Advancer(
        database, routes=[], console_url="", clock=wall_clock, written=asyncio.Event()
    )
    taker = Taker(database, advancer, wall_clock)
    records = [BACKLASH.record(a_backlash(), key="k")]
    await asyncio.to_thread(server.stop)
    assert await taker.take(records, _never) == 0
    await asyncio.to_thread(server.start)
    assert await taker.take(records, _never) == 1
    await database.close()


async def _never(_: object) -> None:
    raise AssertionError("nothing here is malformed")
