from datetime import timedelta

from services.alerter.store import answers, deletions, people, readings
from services.alerter.store.database import Database
from services.alerter.store.people import PassRow, Purpose
from services.alerter.store.retention import prune
from tests.build import NOON, a_deletion, a_moment, a_reading, a_source_state
from uproar.reading import Reading
from uproar.watermark import State


async def pages(database: Database, *, limit: int = 9, after=None, **asked) -> list[dict]:
    asked = {"since": None, "until": None} | asked
    async with database.reading() as transaction:
        return await readings.page(transaction, "air-quillon", limit=limit, after=after, **asked)


async def kept(database: Database, *given: Reading, now=NOON) -> None:
    async with database.writing() as transaction:
        await readings.add(transaction, given, now=now)


async def test_a_reading_heard_again_is_one_reading_as_last_told(database: Database):
    await kept(database, a_reading(posts=10))
    await kept(database, a_reading(posts=11))

    (row,) = await pages(database)
    assert row["posts"] == 11


async def test_a_decision_and_the_five_minutes_that_end_with_it_are_two(database: Database):
    await kept(database, a_reading(), a_reading(decision=True, seconds=60))

    assert [row["decision"] for row in await pages(database)] == [True, False]


async def test_readings_are_paged_from_the_newest_within_the_time_asked_for(database: Database):
    moments = [a_moment(minutes=5 * n) for n in range(4)]
    await kept(database, *(a_reading(at) for at in moments), a_reading(moments[3], decision=True))
    await kept(database, a_reading(subject="other"))

    first = await pages(database, limit=2)
    second = await pages(database, after=(first[-1]["at"], first[-1]["decision"]))

    assert [row["at"] for row in first] == [moments[3], moments[3]]
    assert [row["at"] for row in second] == [moments[2], moments[1], moments[0]]
    inside = await pages(database, since=moments[1], until=moments[3])
    assert [row["at"] for row in inside] == [moments[2], moments[1]]


async def test_sources_are_told_as_ingest_last_told_them(database: Database):
    late = a_source_state(reported_at=a_moment(seconds=-10), state=State.LIVE)
    async with database.writing() as transaction:
        await readings.report(transaction, [a_source_state(state=State.ENDED), late])
        await readings.report(transaction, [a_source_state("a", last_post_at=None)])
        told = await readings.sources(transaction, now=NOON)

    assert [(row["name"], row["state"]) for row in told] == [
        ("a", State.LIVE),
        ("push", State.ENDED),
    ]


async def test_a_live_source_not_heard_of_for_a_minute_is_blind(database: Database):
    async with database.writing() as transaction:
        await readings.report(
            transaction, [a_source_state("live"), a_source_state("done", state=State.ENDED)]
        )
        after_a_minute = await readings.sources(transaction, now=a_moment(seconds=60))
        later = await readings.sources(transaction, now=a_moment(seconds=61))

    assert [row["state"] for row in after_a_minute] == [State.ENDED, State.LIVE]
    assert [row["state"] for row in later] == [State.ENDED, State.BLIND]


async def test_who_is_not_told_of_any_more_is_forgotten_in_the_end(database: Database):
    day, since = timedelta(days=1), NOON - timedelta(days=2)
    async with database.writing() as transaction:
        await readings.report(
            transaction,
            [
                a_source_state("gone", state=State.BLIND),
                a_source_state("replay", state=State.BLIND, event_time=since),
                a_source_state("done", state=State.ENDED, event_time=since),
                a_source_state("its-ingest-died"),
            ],
        )

        async def left(days: float) -> list[str]:
            rows = await readings.sources(transaction, now=NOON + days * day)
            return [row["name"] for row in rows]

        assert await left(1) == ["done", "gone", "its-ingest-died", "replay"]
        assert await left(1.1) == ["gone", "its-ingest-died"]
        assert await left(7.1) == ["its-ingest-died"]
        assert await prune(transaction, now=NOON + 1.1 * day) == 2
        assert await left(0) == ["gone", "its-ingest-died"]


async def test_only_what_was_kept_long_enough_goes(database: Database):
    day = timedelta(days=1)
    await kept(database, a_reading(NOON), now=NOON - 91 * day)
    await kept(database, a_reading(a_moment(minutes=5)), now=NOON - 89 * day)
    async with database.writing() as transaction:
        await answers.claim(transaction, "old", "r", now=NOON - 2 * day)
        await answers.claim(transaction, "new", "r", now=NOON)
        await deletions.remember(transaction, [a_deletion(id="x:1")], now=NOON - 91 * day)
        for name, expires_at in (("over", NOON - day), ("open", NOON + day)):
            holder = PassRow(name=name, role="viewer", key=None, expires_at=expires_at)
            await people.add_pass(transaction, Purpose.SESSION, holder, name, now=NOON - 2 * day)

        gone = await prune(transaction, now=NOON)

        assert gone == 4
        assert await people.session(transaction, "open", now=NOON)
        assert (await answers.claim(transaction, "new", "r", now=NOON)) is not None
    assert [row["at"] for row in await pages(database)] == [a_moment(minutes=5)]
