"""The store on PostgreSQL, and on SQLite where the two could differ."""

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import make_url, text

from services.alerter.advance import Advancer
from services.alerter.consume import Taker
from services.alerter.notifier import Delivery, Sent
from services.alerter.store import (
    answers,
    backlog,
    history,
    incidents,
    readings,
    subjects,
)
from services.alerter.store.database import Database
from services.alerter.store.filter import Filter
from services.alerter.store.incidents import Arrival
from services.alerter.store.migrate import drift, migrate
from services.alerter.store.outbox import SqlOutbox
from services.alerter.store.retention import prune
from tests.build import NOON, a_backlash, a_deletion, a_moment, a_reading, a_subject, some_evidence
from tests.databases import drop, migrated, new_url
from uproar.backlash import Event, episode_id
from uproar.incident import Act, IncidentId, State, Verb
from uproar.post import PostId
from uproar.routing import Receiver, ReceiverName, Route
from uproar.subject import SubjectId
from uproar.topics import BACKLASH, DEAD_LETTER
from uproar.wire import Record

ROOM = ReceiverName("war-room")
ROUTES = [Route(name="default", receivers=(Receiver(name=ROOM),))]


def an_advancer(database: Database) -> Advancer:
    return Advancer(
        database,
        routes=ROUTES,
        console_url="http://console.test",
        clock=lambda: NOON,
        written=asyncio.Event(),
    )


async def test_the_schema_is_that_of_the_tables_up_and_down(database: Database):
    assert await drift(database) == []
    await migrate(database, "base")
    await migrate(database)
    assert await drift(database) == []


async def test_two_processes_may_migrate_at_once(url: str):
    one, other = Database(url), Database(url)
    await asyncio.gather(migrate(one), migrate(other))
    assert await drift(one) == []
    await one.close()
    await other.close()


async def test_an_incident_lives_from_the_first_event_to_the_end(database: Database):
    advancer, outbox = an_advancer(database), SqlOutbox(database)
    evidence = (some_evidence("push:1", text="a\x00b \ud800 🔥"), some_evidence("push:2"))
    async with database.writing() as transaction:
        await subjects.put(transaction, a_subject(name="Air Quillon S.A."), now=NOON)
    opened = await advancer.hear(
        a_backlash(evidence=evidence), Arrival(accepted_at=a_moment(seconds=-3))
    )
    assert await advancer.hear(a_backlash(), Arrival()) is None
    await advancer.hear(a_backlash(Event.GREW, sequence=1), Arrival())
    await advancer.act(opened.id, Act(verb=Verb.ACKNOWLEDGE, by="Ada", note="on\x00 it"))
    await advancer.forget([a_deletion(id=PostId("push:2"))])
    await advancer.hear(a_backlash(Event.ENDED, sequence=2, evidence=()), Arrival())

    async with database.reading() as transaction:
        row = await history.incident(transaction, opened.id)
        timeline = await history.timeline(transaction, opened.id)
        cited = await history.evidence(transaction, opened.id)
        counts = await history.counts(transaction, states=State)
    assert (row["state"], row["subject_name"], row["opened_at"]) == (
        "resolved",
        "Air Quillon S.A.",
        NOON,
    )
    assert row["why"]["window_seconds"] == 900
    assert [line["happened"] for line in timeline] == ["opened", "grew", "acknowledge", "ended"]
    assert timeline[2]["summary"] == "on it"
    assert {post["post"]: post["text"] for post in cited} == {
        "push:1": some_evidence().text,
        "push:2": "[deleted]",
    }
    assert counts.by_state[State.RESOLVED] == 1

    kinds = []
    for _ in range(2):
        (delivery,) = await outbox.lease(ROOM, now=NOON, owner="w", limit=9)
        kinds.append((delivery.kind.value, delivery.parent_ref))
        await outbox.settle(delivery, Sent(f"ts-{delivery.sequence}"), now=NOON, next_at=None)
    assert kinds == [("trigger", None), ("resolve", "ts-1")]  # nobody saw what came between
    assert not await outbox.lease(ROOM, now=NOON, owner="w", limit=9)


async def test_everything_at_once_from_two_replicas_loses_and_doubles_nothing(url: str):
    """Two alerters: each hears every event, people act on both, workers of both deliver."""
    one, other = Database(url), Database(url)
    await migrate(one)
    number = 12
    events = [
        a_backlash(event, sequence=sequence, subject=f"s{n}", incident=f"e_{n}")
        for n in range(number)
        for sequence, event in enumerate([Event.OPENED, Event.GREW])
    ]

    async def hear(database: Database) -> int:
        advancer, heard = an_advancer(database), 0
        for event in events:
            while True:
                try:
                    heard += await advancer.hear(event, Arrival()) is not None
                    break
                except Exception as error:
                    if type(error).__name__ != "Unavailable":
                        raise
        return heard

    async def act(database: Database) -> None:
        advancer, left = an_advancer(database), {IncidentId(f"e_{n}") for n in range(number)}
        while left:
            for incident in sorted(left):
                act = Act(verb=Verb.ACKNOWLEDGE, by="Ada")
                if await advancer.act(incident, act) is not None:
                    left.discard(incident)
            await asyncio.sleep(0.01)
        acted.set()

    sent: list[Delivery] = []
    acted = asyncio.Event()

    async def pending(database: Database) -> int:
        async with database.reading() as transaction:
            return (await backlog.measured(transaction)).pending

    async def deliver(database: Database, name: str) -> None:
        outbox = SqlOutbox(database)
        while not acted.is_set() or await pending(database):
            for delivery in await outbox.lease(ROOM, now=NOON, owner=name, limit=3):
                sent.append(delivery)
                await asyncio.sleep(0)
                assert await outbox.settle(delivery, Sent("ts"), now=NOON, next_at=None)
            await asyncio.sleep(0.005)

    async with asyncio.timeout(120):
        heard = await asyncio.gather(hear(one), hear(other))
        await asyncio.gather(
            act(one), deliver(one, "one"), deliver(other, "other"), deliver(other, "third")
        )

    assert sum(heard) == 2 * number
    assert len({delivery.id for delivery in sent}) == len(sent)
    for n in range(number):
        told = [delivery for delivery in sent if delivery.incident == f"e_{n}"]
        assert [d.sequence for d in told] == sorted(d.sequence for d in told)
        assert [d.kind.value for d in told if d.kind.value != "update"] == [
            "trigger",
            "acknowledge",
        ]
    await one.close()
    await other.close()


async def test_an_act_and_growth_at_once_from_two_replicas_are_both_written(url: str):
    one, other = Database(url), Database(url)
    await migrate(one)
    incident = (await an_advancer(one).hear(a_backlash(), Arrival())).id
    growth = [a_backlash(Event.GREW, sequence=n) for n in range(1, 11)]

    await asyncio.gather(
        *(an_advancer(one).hear(event, Arrival()) for event in growth[::2]),
        *(an_advancer(other).hear(event, Arrival()) for event in growth[1::2]),
        an_advancer(other).act(incident, Act(verb=Verb.ACKNOWLEDGE, by="Ada")),
    )

    async with one.writing() as transaction:
        stands = await incidents.locked(transaction, incident)
        timeline = await history.timeline(transaction, incident)
    assert (stands.state, stands.sequence) == (State.ACKNOWLEDGED, 12)
    assert [line["sequence"] for line in timeline] == list(range(1, 13))
    await one.close()
    await other.close()


async def test_lists_filters_and_pages_say_the_same_on_both(database: Database):
    advancer = an_advancer(database)
    for n in range(4):
        at = a_moment(minutes=n // 2)
        await advancer.hear(
            a_backlash(
                subject=f"s{n}",
                incident=episode_id(SubjectId(f"s{n}"), at),
                at=at,
                evidence=(some_evidence(f"push:{n}", text=f"100% GUITAR_{n}"),),
            ),
            Arrival(),
        )

    async def found(after=None, limit=9, **asked) -> list[dict]:
        async with database.reading() as transaction:
            return await history.incidents(transaction, Filter(**asked), limit=limit, after=after)

    everything = [row["subject"] for row in await found()]
    paged, after = [], None
    while rows := await found(after, limit=1):
        paged.append(rows[0]["subject"])
        after = (rows[0]["opened_at"], rows[0]["id"])
    assert paged == everything
    assert set(everything[:2]) == {"s2", "s3"}
    assert [row["subject"] for row in await found(text="guitar_3")] == ["s3"]
    assert await found(text="guitarX3") == []
    assert len(await found(since=a_moment(minutes=1), states=[State.OPEN])) == 2


async def test_readings_answers_and_retention_work_on_both(database: Database):
    async with database.writing() as transaction:
        await readings.add(transaction, [a_reading(), a_reading(decision=True)], now=NOON)
        await readings.add(transaction, [a_reading(posts=99)], now=NOON)
        first = await readings.page(transaction, "air-quillon", since=None, until=None, limit=1)
        rest = await readings.page(
            transaction,
            "air-quillon",
            since=None,
            until=None,
            limit=9,
            after=(first[0]["at"], first[0]["decision"]),
        )
        assert [row["posts"] for row in (*first, *rest)] == [10, 99]
        assert await answers.claim(transaction, "scope", "r", now=NOON) is None
        assert (await answers.claim(transaction, "scope", "r", now=NOON)).status is None
        assert await prune(transaction, now=NOON + timedelta(days=91)) == 3


@pytest.mark.parametrize("number", [2**31, 2**63])
async def test_a_number_that_does_not_fit_is_buried_not_fatal(database: Database, number: int):
    buried: list[Record] = []

    async def bury(record: Record) -> None:
        buried.append(record)

    taker = Taker(database, an_advancer(database), lambda: NOON)
    records = [
        Record(topic=BACKLASH.name, value=BACKLASH.codec.encode(event), partition=0, offset=n)
        for n, event in enumerate([a_backlash(subject="huge", posts=number), a_backlash()])
    ]

    assert await taker.take(records, bury) == 2

    async with database.reading() as transaction:
        assert await history.incident(transaction, a_backlash().incident) is not None
    if number == 2**63 or not database.is_sqlite:  # SQLite's integers have 64 bits
        assert "does not fit" in DEAD_LETTER.decode(buried[0].value).reason


async def test_a_backlog_is_counted_on_both(database: Database):
    await an_advancer(database).hear(a_backlash(), Arrival())
    async with database.reading() as transaction:
        waits = await backlog.measured(transaction)
    assert (waits.pending, waits.oldest) == (1, NOON)


async def test_connections_that_the_server_cut_cost_nobody_an_error(tmp_path: Path):
    url = new_url(tmp_path, "postgresql")
    cut = text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = :name")
    killer = Database(make_url(url).set(database="postgres").render_as_string())
    async with migrated(url) as database:
        for _ in range(3):
            async with database.reading() as transaction:
                assert await transaction.scalar(text("SELECT 1")) == 1
            async with killer.reading() as transaction:
                await transaction.execute(cut, {"name": database.url.database})
    await killer.close()
    drop(url)
