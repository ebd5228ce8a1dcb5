import asyncio

import pytest

from services.alerter.advance import Advancer
from services.alerter.store import deliveries, history, incidents, subjects
from services.alerter.store.database import Database
from services.alerter.store.incidents import Arrival
from tests.build import NOON, a_backlash, a_deletion, a_subject, some_evidence
from uproar.backlash import Event, Level
from uproar.errors import Malformed, Unavailable
from uproar.incident import Act, IllegalTransition, IncidentId, State, Verb
from uproar.post import PostId

INCIDENT = IncidentId(a_backlash().incident)


async def told(database: Database) -> list[tuple[str, str, int]]:
    async with database.reading() as transaction:
        rows = await deliveries.of_incident(transaction, INCIDENT)
    return [(row["receiver"], row["kind"], row["sequence"]) for row in rows]


async def stands(database: Database) -> tuple[State, int]:
    async with database.writing() as transaction:
        incident = await incidents.locked(transaction, INCIDENT)
    assert incident is not None
    return incident.state, incident.sequence


async def test_an_event_makes_incident_timeline_and_deliveries_in_one_go(
    advancer: Advancer, database: Database
):
    incident = await advancer.hear(a_backlash(), Arrival())

    assert incident is not None
    assert await stands(database) == (State.OPEN, 1)
    assert await told(database) == [("war-room", "trigger", 1), ("duty", "trigger", 1)]


async def test_an_event_heard_again_does_nothing_at_all(advancer: Advancer, database: Database):
    await advancer.hear(a_backlash(), Arrival())
    before = await stands(database), await told(database)

    assert await advancer.hear(a_backlash(), Arrival()) is None

    assert (await stands(database), await told(database)) == before


async def test_the_same_event_from_two_readers_at_once_opens_one_incident(
    advancer: Advancer, database: Database
):
    heard = await asyncio.gather(
        *(advancer.hear(a_backlash(), Arrival()) for _ in range(8)), return_exceptions=True
    )

    too_late = [
        one for one in heard if isinstance(one, Unavailable)
    ]  # PostgreSQL: to be read again
    assert len([one for one in heard if one is not None]) - len(too_late) == 1
    assert len(too_late) == 0 or not database.is_sqlite
    assert await advancer.hear(a_backlash(), Arrival()) is None
    assert await stands(database) == (State.OPEN, 1)
    assert len(await told(database)) == 2


async def test_growth_and_an_acknowledgement_at_once_lose_neither(
    advancer: Advancer, database: Database
):
    await advancer.hear(a_backlash(), Arrival())
    growth = [a_backlash(Event.GREW, sequence=n, severity=60 + n) for n in range(1, 6)]

    await asyncio.gather(
        *(advancer.hear(event, Arrival()) for event in growth),
        advancer.act(INCIDENT, Act(verb=Verb.ACKNOWLEDGE, by="Ada")),
    )

    assert await stands(database) == (State.ACKNOWLEDGED, 7)
    async with database.reading() as transaction:
        timeline = await history.timeline(transaction, INCIDENT)
    assert [line["sequence"] for line in timeline] == [1, 2, 3, 4, 5, 6, 7]


async def test_an_act_on_an_unknown_incident_is_none(advancer: Advancer):
    assert await advancer.act(INCIDENT, Act(verb=Verb.RESOLVE, by="Ada")) is None


async def test_what_is_refused_leaves_no_trace(advancer: Advancer, database: Database):
    await advancer.hear(a_backlash(), Arrival())
    await advancer.act(INCIDENT, Act(verb=Verb.RESOLVE, by="Ada"))
    before = await stands(database), await told(database)

    with pytest.raises(IllegalTransition):
        await advancer.act(INCIDENT, Act(verb=Verb.ACKNOWLEDGE, by="Bo"))

    assert (await stands(database), await told(database)) == before


async def test_a_crash_before_the_commit_leaves_nothing_and_the_event_is_taken_later(
    advancer: Advancer, database: Database, monkeypatch: pytest.MonkeyPatch
):
    async def crash(*_) -> None:
        raise RuntimeError("the process dies here")

    with monkeypatch.context() as patched:
        patched.setattr(deliveries, "enqueue", crash)
        with pytest.raises(RuntimeError):
            await advancer.hear(a_backlash(), Arrival())
    async with database.reading() as transaction:
        assert await history.incident(transaction, INCIDENT) is None

    assert await advancer.hear(a_backlash(), Arrival()) is not None
    assert len(await told(database)) == 2


async def test_a_database_that_is_away_makes_no_half_incident():
    away = Database("postgresql+asyncpg://nobody@127.0.0.1:1/none")
    advancer = Advancer(
        away, routes=[], console_url="http://x", clock=lambda: NOON, written=asyncio.Event()
    )
    with pytest.raises(Unavailable):
        await advancer.hear(a_backlash(), Arrival())
    await away.close()


async def test_the_subject_is_named_as_it_is_watched_or_by_its_id(
    advancer: Advancer, database: Database
):
    async with database.writing() as transaction:
        await subjects.put(transaction, a_subject(name="Air Quillon S.A."), now=NOON)
    await advancer.hear(a_backlash(), Arrival())
    other = a_backlash(subject="never-heard", incident="e_other")
    await advancer.hear(other, Arrival())

    async with database.reading() as transaction:
        rows = [
            await history.incident(transaction, str(event.incident))
            for event in (a_backlash(), other)
        ]

    assert [row["subject_name"] for row in rows] == ["Air Quillon S.A.", "never-heard"]


async def test_a_subject_id_that_cannot_be_is_malformed(advancer: Advancer):
    with pytest.raises(Malformed, match="subject id"):
        await advancer.hear(a_backlash(subject="a/b"), Arrival())


@pytest.mark.parametrize("field", ["severity", "posts", "authors"])
async def test_a_number_no_database_keeps_is_malformed(advancer: Advancer, field: str):
    with pytest.raises(Malformed, match="does not fit"):
        await advancer.hear(a_backlash(**{field: 2**64}), Arrival())


async def test_a_post_that_was_taken_back_does_not_come_back_with_a_later_event(
    advancer: Advancer, database: Database
):
    await advancer.forget([a_deletion(id=PostId("push:1"))])
    await advancer.hear(a_backlash(), Arrival())
    await advancer.hear(
        a_backlash(Event.GREW, sequence=1, level=Level.CRISIS, page=True), Arrival()
    )

    async with database.reading() as transaction:
        (post,) = await history.evidence(transaction, INCIDENT)

    assert post["text"] == "[deleted]"
    assert some_evidence().text not in str(post)


async def test_the_outbox_workers_are_woken_after_the_commit(
    database: Database, clock, advancer: Advancer
):
    written = asyncio.Event()
    other = Advancer(database, routes=[], console_url="", clock=clock, written=written)
    await other.hear(a_backlash(), Arrival())
    assert written.is_set()

    written.clear()
    await other.hear(a_backlash(), Arrival())
    assert not written.is_set()
    await other.act(INCIDENT, Act(verb=Verb.RESOLVE, by="Ada"))
    assert written.is_set()
