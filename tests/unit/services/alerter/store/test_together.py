import asyncio

import pytest
from sqlalchemy import event, text

from services.alerter.store.database import Database, Transaction
from services.alerter.store.together import Together
from uproar.errors import Malformed, Unavailable


async def add(transaction: Transaction, name: str, value: object = "x") -> str:
    await transaction.execute(
        text("INSERT INTO facts VALUES (:name, :value)"), {"name": name, "value": value}
    )
    return name


async def kept(database: Database) -> set[str]:
    async with database.reading() as transaction:
        return set(await transaction.scalars(text("SELECT name FROM facts")))


async def test_what_comes_while_one_writes_goes_into_one_transaction(database: Database):
    together, commits = Together(database), 0

    def count(_: object) -> None:
        nonlocal commits
        commits += 1

    event.listen(database.engine.sync_engine, "commit", count)
    names = [f"n{n}" for n in range(30)]
    found = await asyncio.gather(
        *(together.write(lambda t, name=name: add(t, name)) for name in names)
    )

    assert found == names
    assert await kept(database) == set(names)
    assert commits <= 3


async def test_the_fault_of_one_is_not_that_of_the_others(database: Database):
    together = Together(database)
    wishes = [
        together.write(lambda t: add(t, "first")),
        together.write(lambda t: add(t, "good")),
        together.write(lambda t: add(t, "bad", 2**70)),
        together.write(lambda t: add(t, "better")),
    ]
    found = await asyncio.gather(*wishes, return_exceptions=True)

    assert [found[0], found[1], found[3]] == ["first", "good", "better"]
    assert isinstance(found[2], Malformed)
    assert await kept(database) == {"first", "good", "better"}


async def test_with_the_database_away_all_are_told(database: Database):
    together = Together(database)

    async def away(_: Transaction) -> None:
        raise Unavailable("away")

    found = await asyncio.gather(*(together.write(away) for _ in range(3)), return_exceptions=True)
    assert [type(one) for one in found] == [Unavailable] * 3


async def test_whoever_is_cancelled_while_he_writes_for_all_leaves_nobody_waiting(
    database: Database,
):
    together, begun, go = Together(database), asyncio.Event(), asyncio.Event()

    async def slow(transaction: Transaction) -> str:
        begun.set()
        await go.wait()
        return await add(transaction, "slow")

    first = asyncio.create_task(together.write(slow))
    await begun.wait()
    second = asyncio.create_task(together.write(lambda t: add(t, "second")))
    await asyncio.sleep(0)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first

    assert await second == "second"
    assert await kept(database) == {"second"}
