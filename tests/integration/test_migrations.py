"""From every earlier schema to this one, with rows in the tables, on both databases."""

import asyncio
from pathlib import Path

import msgspec
import pytest
from sqlalchemy import insert, select, text

from services.alerter.access import Access, Role
from services.alerter.advance import Advancer
from services.alerter.store import history, incidents, networks, readings
from services.alerter.store.database import Database
from services.alerter.store.filter import Filter
from services.alerter.store.incidents import Arrival
from services.alerter.store.migrate import drift, migrate
from services.alerter.store.migrations import versions
from services.alerter.store.tables import SUBJECTS
from tests.build import NOON, a_backlash, a_moment, a_reading, a_why, some_evidence
from uproar.backlash import Event, Level
from uproar.incident import Act, IncidentId, State, Verb
from uproar.routing import Receiver, ReceiverName, Route

OF_0001 = (
    """
    INSERT INTO incidents (id, subject, subject_name, kind, state, level, severity, peak_severity,
        posts, authors, title, why, opened_at, happened_at, created_at, updated_at, episode, sequence)
    VALUES ('{id}', 'air-quillon', 'Air Quillon', 'brand', 'open', 'alert', 60, 60, 60, 40,
        'Les bagages sont perdus', '{why}', '{noon}', '{noon}', '{noon}', '{later}', 1, 2)
    """,
    """
    INSERT INTO transitions (incident, sequence, happened, before, after, at, happened_at, "by",
        level, severity, posts, authors, page, backlash, summary)
    VALUES ('{id}', 1, 'opened', NULL, 'open', '{noon}', '{noon}', 'uproar', 'alert', 50, 50, 30,
        true, 'b_1', 'why')
    """,
    """
    INSERT INTO transitions (incident, sequence, happened, before, after, at, happened_at, "by",
        level, severity, posts, authors, page, backlash, summary)
    VALUES ('{id}', 2, 'grew', 'open', 'open', '{later}', '{later}', 'uproar', 'alert', 60, 60, 40,
        false, 'b_2', 'why')
    """,
    """
    INSERT INTO evidence (incident, post, text, created_at, why, sequence, place)
    VALUES ('{id}', 'push:1', 'Où est ma valise?', '{noon}', 'loud', 2, 0)
    """,
    """
    INSERT INTO backlash (id, incident, at, received_at) VALUES ('{heard}', '{id}', '{noon}', '{noon}')
    """,
    "INSERT INTO keys (id, name, role, digest, created_at) VALUES ('k', 'Ada', 'viewer', 'd', '{noon}')",
)


async def filled(database: Database) -> IncidentId:
    """Write, into the tables of 0001, an incident that its code could have written."""
    heard = a_backlash()
    words = {
        "id": heard.incident,
        "heard": heard.id,
        "why": msgspec.json.encode(a_why()).decode(),
        "noon": NOON.strftime("%Y-%m-%d %H:%M:%S.%f"),
        "later": a_moment(minutes=3).strftime("%Y-%m-%d %H:%M:%S.%f"),
    }
    zone = "" if database.is_sqlite else "+00"
    words |= {name: words[name] + zone for name in ("noon", "later")}
    async with database.writing() as transaction:
        for statement in OF_0001:
            await transaction.execute(text(statement.format(**words).replace(":", "\\:")))
    return IncidentId(heard.incident)


async def test_an_incident_of_0001_lives_on(url: str):
    database = Database(url)
    await migrate(database, "0001")
    incident = await filled(database)

    await migrate(database)

    assert await drift(database) == []
    async with database.reading() as transaction:
        (listed,) = await history.incidents(transaction, Filter(), limit=9)
        (found,) = await history.incidents(transaction, Filter(text="valise bagages"), limit=9)
        (episode,) = await history.episodes(transaction, incident)
        lines = await history.timeline(transaction, incident)
    assert listed["id"] == found["id"] == episode["id"] == incident
    assert [(line["position"], line["until"]) for line in lines] == [
        (1, a_moment(minutes=3)),
        (2, None),
    ]
    advancer = Advancer(
        database,
        routes=[],
        console_url="",
        clock=lambda: a_moment(minutes=60),
        written=asyncio.Event(),
    )
    assert await advancer.hear(a_backlash(), Arrival()) is None
    grew = a_backlash(Event.GREW, sequence=5, level=Level.CRISIS)
    assert (await advancer.hear(grew, Arrival())).level is Level.CRISIS
    assert (await advancer.act(incident, Act(verb=Verb.RESOLVE, by="Ada"))).state is State.RESOLVED
    await database.close()


async def test_networks_are_known_and_persons_forgotten_that_an_older_uproar_left(url: str):
    database = Database(url)
    await migrate(database, "0001")
    await filled(database)
    await migrate(database, "0007")
    people = [
        {"id": subject, "value": {"id": subject, "name": "Ada", "purpose": "p"}, "deleted_at": gone}
        for subject, gone in (("gone", NOON), ("here", None))
    ]
    alike = {"kind": "person", "version": 1, "published": 1, "updated_at": NOON}
    async with database.writing() as transaction:
        await transaction.execute(insert(SUBJECTS), [person | alike for person in people])

    await migrate(database)

    async with database.reading() as transaction:
        assert await networks.known(transaction) == {"push"}
        query = select(SUBJECTS.c.id, SUBJECTS.c.value)
        values = dict((await transaction.execute(query)).all())
    assert values == {"gone": {"id": "gone", "name": "gone"}, "here": people[1]["value"]}
    await database.close()


async def test_a_way_back_to_0001_keeps_its_rows(url: str):
    database = Database(url)
    await migrate(database, "0001")
    incident = await filled(database)

    await migrate(database)
    await migrate(database, "0001")
    await migrate(database)

    assert await drift(database) == []
    async with database.writing() as transaction:
        assert (await incidents.locked(transaction, incident)).posts == 60
    await database.close()


OLDER = sorted(p.name[1:5] for p in Path(versions.__path__[0]).glob("v[0-9]*.py"))[:-1]
KEPT = ("incidents", "transitions", "evidence", "deliveries", "backlash", "readings", "keys")


async def counted(database: Database) -> dict[str, int]:
    async with database.reading() as transaction:
        return {
            name: await transaction.scalar(text(f"SELECT count(*) FROM {name}")) for name in KEPT
        }


@pytest.mark.parametrize("older", OLDER)
async def test_what_this_version_wrote_outlives_a_way_down_and_up_again(url: str, older: str):
    database = Database(url)
    await migrate(database)
    room = Advancer(
        database,
        routes=[Route(name="default", receivers=(Receiver(name=ReceiverName("war-room")),))],
        console_url="",
        clock=lambda: a_moment(minutes=5),
        written=asyncio.Event(),
    )
    told = a_backlash(evidence=(some_evidence("push:1", text="Où est ma valise?"),))
    incident = (await room.hear(told, Arrival())).id
    for act in (Act(verb=Verb.ACKNOWLEDGE, by="Ada"), Act(verb=Verb.NOTE, by="Bo", note="calling")):
        await room.act(incident, act)
    await Access(database, lambda: NOON).create_key("Ada", Role.VIEWER)
    async with database.writing() as transaction:
        await readings.add(transaction, [a_reading()], now=NOON)
    before = await counted(database)
    assert min(before.values()) > 0

    await migrate(database, older)
    assert await counted(database) == before
    await migrate(database)

    assert await drift(database) == []
    assert await counted(database) == before
    async with database.reading() as transaction:
        (found,) = await history.incidents(transaction, Filter(text="valise"), limit=9)
    assert found["id"] == incident
    assert await room.hear(told, Arrival()) is None
    grew = a_backlash(Event.GREW, sequence=5, level=Level.CRISIS)
    assert (await room.hear(grew, Arrival())).state is State.ACKNOWLEDGED
    await database.close()
