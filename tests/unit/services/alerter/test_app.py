import asyncio
from datetime import timedelta

import httpx
import pytest

from services.alerter import app as wiring
from services.alerter import beginning, metrics, operator
from services.alerter.advance import Advancer
from services.alerter.app import Upkeep, application, main
from services.alerter.beginning import Beginning
from services.alerter.store import migrate, readings, subjects
from services.alerter.store.database import Database
from services.alerter.store.incidents import Arrival
from services.process import Health
from tests.build import NOON, a_backlash, a_reading, a_subject
from tests.databases import sqlite_url
from uproar.backlash import Level
from uproar.errors import Misconfigured, Unavailable
from uproar.incident import Act, Verb
from uproar.subject import Subject


async def test_upkeep_measures_what_stands_in_the_database(
    database: Database, advancer: Advancer, clock
):
    await advancer.hear(a_backlash(), Arrival())
    clock.forward(seconds=9)

    await Upkeep(database, advancer, clock).look()

    assert metrics.INCIDENTS.labels(state="open")._value.get() == 1
    assert metrics.INCIDENTS.labels(state="resolved")._value.get() == 0
    assert metrics.OUTBOX_PENDING._value.get() == 2
    assert metrics.OUTBOX_OLDEST._value.get() == 9


async def test_upkeep_counts_nothing_for_a_receiver_before_its_first_notice(
    database: Database, advancer: Advancer, clock
):
    await Upkeep(database, advancer, clock, receivers=["a quiet one"]).look()

    for metric in (metrics.OUTBOX_DEAD, metrics.OUTBOX_WAITING):
        series = {s.labels["receiver"]: s.value for m in metric.collect() for s in m.samples}
        assert series["a quiet one"] == 0  # an alert looks for what is added


async def test_upkeep_sets_what_was_paged_beside_the_budgets(
    database: Database, advancer: Advancer, clock
):
    async with database.writing() as transaction:
        await subjects.put(transaction, a_subject("air-quillon", budget="2/week"), now=NOON)
    incident = await advancer.hear(a_backlash(level=Level.ALERT, page=True), Arrival())
    upkeep = Upkeep(database, advancer, clock)
    await upkeep.look()
    assert metrics.PAGES_30D.labels(verdict="none")._value.get() == 1
    assert metrics.BUDGET_30D._value.get() == pytest.approx(60 / 7)

    await advancer.act(incident.id, Act(verb=Verb.FALSE_ALARM, by="Ada", note="a giveaway"))
    clock.forward(seconds=61)
    await upkeep.look()
    assert metrics.PAGES_30D.labels(verdict="none")._value.get() == 0
    assert sum(s.value for m in metrics.PAGES_30D.collect() for s in m.samples) == 1

    clock.forward(days=31)
    await upkeep.look()
    assert sum(s.value for m in metrics.PAGES_30D.collect() for s in m.samples) == 0


async def test_the_database_can_be_migrated_without_an_alerter(tmp_path, monkeypatch):
    url = sqlite_url(tmp_path)
    monkeypatch.setenv("UPROAR_DATABASE_URL", url)
    await wiring.migrate_only(asyncio.Event())
    database = Database(url)
    try:
        assert await migrate.drift(database) == []
    finally:
        await database.close()


async def test_upkeep_wakes_what_was_snoozed(database: Database, advancer: Advancer, clock):
    incident = await advancer.hear(a_backlash(), Arrival())
    until = NOON + timedelta(hours=1)
    await advancer.act(incident.id, Act(verb=Verb.SNOOZE, by="Ada", until=until))
    clock.forward(hours=1)

    await Upkeep(database, advancer, clock).look()

    assert metrics.INCIDENTS.labels(state="open")._value.get() == 1
    assert metrics.INCIDENTS.labels(state="snoozed")._value.get() == 0


async def test_upkeep_prunes_once_an_hour(database: Database, advancer: Advancer, clock):
    async with database.writing() as transaction:
        await readings.add(transaction, [a_reading()], now=NOON - timedelta(days=90))
    upkeep = Upkeep(database, advancer, clock)

    async def left() -> int:
        await upkeep.look()
        async with database.reading() as transaction:
            rows = await readings.page(transaction, "air-quillon", since=None, until=None, limit=9)
        return len(rows)

    clock.forward(minutes=59)
    assert await left() == 1
    clock.forward(minutes=1)
    assert await left() == 0


async def test_upkeep_tells_that_the_database_is_away(clock):
    away = Database("postgresql+asyncpg://nobody@127.0.0.1:1/none")
    stop = asyncio.Event()
    advancer = Advancer(away, routes=[], console_url="", clock=clock, written=asyncio.Event())
    upkeep = Upkeep(away, advancer, clock)
    running = asyncio.create_task(upkeep.run(stop))
    async with asyncio.timeout(60):
        while upkeep.problem is None:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    stop.set()
    await running
    await away.close()

    assert "does not answer" in upkeep.problem


async def test_ready_is_about_the_database_and_only_degraded_without_the_broker(parts):
    health = Health()
    trouble: dict[str, str | None] = {"database": None, "consume": "no Kafka"}
    health.watch("database", lambda: trouble["database"])
    health.watch("consume", lambda: trouble["consume"], vital=False)
    transport = httpx.ASGITransport(app=application(parts, health))
    async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:
        without_broker = await client.get("/ready")
        trouble["database"] = "gone"
        without_database = await client.get("/ready")
        live = await client.get("/live")

    assert without_broker.status_code == 200
    assert without_broker.json() == {"ready": True, "degraded": {"consume": "no Kafka"}}
    assert without_database.status_code == 503
    assert live.status_code == 200


async def begun(database: Database, *watched: Subject) -> str | None:
    begin = Beginning(database, watched, [], [], clock=wiring.wall_clock)
    return await begin.run(asyncio.Event())


async def test_the_beginning_migrates_seeds_and_names_the_installation_for_good(tmp_path):
    database = Database(sqlite_url(tmp_path))
    first, second = [await begun(database) for _ in range(2)]
    await database.close()

    assert first == second
    assert len(first) == 26


async def test_an_alerter_that_finds_no_database_tells_its_operator_and_begins_when_it_is_back(
    tmp_path, monkeypatch
):
    told, stop, migrates, away = [], asyncio.Event(), migrate.migrate, True

    async def tell(operator, what, part, trouble):
        nonlocal away
        told.append((what, part, trouble.reason))
        away = False
        return True

    async def may_migrate(database):
        if away:
            raise Unavailable("the database does not answer")
        await migrates(database)

    def works(*_, health, **__):
        async def work(stop: asyncio.Event) -> None:
            assert health.problems() == {}
            stop.set()

        return [work]

    monkeypatch.setattr(migrate, "migrate", may_migrate)
    monkeypatch.setattr(wiring, "_works", works)
    monkeypatch.setattr(wiring, "logs", lambda *_: None)
    monkeypatch.setattr(beginning, "RETRY_EVERY", timedelta(milliseconds=1))
    monkeypatch.setattr(operator, "LOOK_EVERY", timedelta(milliseconds=1))
    monkeypatch.setattr(operator, "GRACE", timedelta())
    monkeypatch.setattr(operator.Operator, "_tell", tell)
    monkeypatch.setenv("UPROAR_ALERTER_OPERATOR_WEBHOOK", "https://desk.example/hook")
    monkeypatch.setenv("UPROAR_DATA_DIR", str(tmp_path))

    await main(stop)

    assert told[0] == ("alarm", "database", "the database does not answer")


async def test_the_watch_list_file_is_seeded_at_the_start(tmp_path):
    database = Database(sqlite_url(tmp_path))
    await begun(database, a_subject())
    async with database.reading() as transaction:
        assert (await subjects.find(transaction, "air-quillon")).subject == a_subject()
    await database.close()


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        ("[[receiver]]\nname = 'a'\ntype = 'pigeon'", "pigeon"),
        ("[[route]]\nname = 'default'\nreceivers = ['nobody']", "nobody"),
        ("[[subject]]\nid = 'x'\nname = 'X'\nkind = 'person'", "purpose"),
    ],
)
async def test_a_wrong_config_ends_the_start_with_its_reason(tmp_path, monkeypatch, config, reason):
    path = tmp_path / "uproar.toml"
    path.write_text(config)
    monkeypatch.setenv("UPROAR_CONFIG", str(path))
    monkeypatch.setenv("UPROAR_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setattr(wiring, "logs", lambda *_: None)  # the log of the tests stays theirs

    with pytest.raises(Misconfigured, match=reason):
        await main(asyncio.Event())
