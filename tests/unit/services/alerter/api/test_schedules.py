from collections.abc import AsyncIterator
from dataclasses import replace
from zoneinfo import ZoneInfo

import pytest

from services.alerter.access import Role
from services.alerter.advance import Advancer
from services.alerter.store import deliveries
from services.alerter.store.database import Database
from services.alerter.store.incidents import Arrival
from tests.build import a_backlash
from tests.unit.services.alerter.conftest import PAGER, SLACK, Caller, Clock
from uproar.incident import Act, IncidentId, Verb
from uproar.routing import Route, names_of, read_routes
from uproar.schedule import Schedule, read_schedules

ON_CALL = {
    "name": "on-call",
    "time_zone": "Europe/Paris",
    "otherwise": ["war-room"],
    "shift": [{"receivers": ["duty"], "days": ["mon", "tue"], "from": "09:00", "to": "18:00"}],
}


@pytest.fixture
def schedules() -> tuple[Schedule, ...]:
    return read_schedules([ON_CALL], names_of((SLACK, PAGER)), ZoneInfo)


@pytest.fixture
def routes(schedules: tuple[Schedule, ...]) -> tuple[Route, ...]:
    table = {"name": "default", "receivers": ["on-call"]}
    return read_routes([table], (SLACK, PAGER), schedules)


@pytest.fixture
async def call(parts, schedules, routes) -> AsyncIterator[Caller]:
    caller = Caller(replace(parts, schedules=schedules, routes=routes))
    async with caller.http:
        yield caller


async def test_a_schedule_tells_who_is_on_call_and_until_when(call: Caller):
    at = "2026-06-01T07:30:00Z"  # a Monday
    (shown,) = (await call("GET", f"/v1/schedules?at={at}", Role.VIEWER)).json()["items"]
    assert shown == {
        "name": "on-call",
        "time_zone": "Europe/Paris",
        "on_call": ["duty"],
        "until": "2026-06-01T16:00:00Z",
        "otherwise": ["war-room"],
        "shifts": [
            {
                "receivers": ["duty"],
                "rotation": False,
                "days": ["mon", "tue"],
                "begins": "09:00",
                "ends": "18:00",
            }
        ],
        "routes": ["default"],
    }


async def test_without_a_moment_it_is_now(call: Caller, clock: Clock):
    for _ in range(8):
        (shown,) = (await call("GET", "/v1/schedules", Role.VIEWER)).json()["items"]
        local = clock().astimezone(ZoneInfo("Europe/Paris"))
        working = local.weekday() < 2 and 9 <= local.hour < 18
        assert shown["on_call"] == (["duty"] if working else ["war-room"])
        clock.forward(hours=25)


async def test_a_route_shows_the_schedule_by_its_name(call: Caller):
    (route,) = (await call("GET", "/v1/routes", Role.VIEWER)).json()["items"]
    assert route["receivers"] == ["on-call"]
    assert (await call("GET", "/v1/schedules", None)).status_code == 401


async def test_who_was_paged_hears_the_end_after_the_shift_and_who_was_not_hears_nothing(
    database: Database, advancer: Advancer, clock: Clock, routes
):
    advancer._routes = routes
    while clock().weekday() != 0:
        clock.forward(days=1)
    clock.now = clock.now.replace(hour=10)
    opened = await advancer.hear(a_backlash(), Arrival())
    assert opened is not None
    assert await told(database, opened.id) == [("duty", "trigger")]

    clock.forward(hours=12)
    await advancer.act(opened.id, Act(verb=Verb.NOTE, by="anna", note="hm"))
    await advancer.act(opened.id, Act(verb=Verb.RESOLVE, by="anna"))

    assert await told(database, opened.id) == [
        ("duty", "trigger"),
        ("duty", "resolve"),
    ]


async def told(database: Database, incident: IncidentId) -> list[tuple[str, str]]:
    async with database.reading() as transaction:
        rows = await deliveries.of_incident(transaction, incident)
    return [(row["receiver"], row["kind"]) for row in rows]
