from sqlalchemy import select

from services.alerter.store import subjects
from services.alerter.store.database import Database
from services.alerter.store.subjects import Seeding
from services.alerter.store.tables import SUBJECTS
from tests.build import NOON, a_moment, a_subject
from uproar.subject import Kind

LATER = a_moment(minutes=1)


async def seeded(database: Database, *watched, now=NOON) -> list[Seeding]:
    async with database.writing() as transaction:
        return list((await subjects.seed(transaction, watched, now=now)).values())


async def found(database: Database, subject_id: str = "air-quillon"):
    async with database.reading() as transaction:
        return await subjects.find(transaction, subject_id)


async def waiting(database: Database) -> list[tuple[str, int, bool]]:
    async with database.reading() as transaction:
        rows = await subjects.unpublished(transaction)
    return [(row.subject.id, row.version, row.deleted_at is not None) for row in rows]


async def published(database: Database) -> None:
    async with database.writing() as transaction:
        for row in await subjects.unpublished(transaction):
            await subjects.mark_published(transaction, row.subject.id, row.version)


async def test_a_subject_comes_back_as_it_was_written(database: Database):
    full = a_subject(
        "ada",
        kind=Kind.PERSON,
        purpose="our CEO asked for it",
        aliases=("Ada L.", "Дада"),
        handles=("@ada",),
        exclude=("ADA compliance",),
        languages=("en", "fr"),
        budget="2/week",
        route="people",
    )
    async with database.writing() as transaction:
        written = await subjects.create(transaction, full, now=NOON)

    assert written is not None
    assert (written.version, written.updated_at) == (1, NOON)
    assert await found(database, "ada") == written
    assert written.subject == full


async def test_an_id_can_be_taken_once(database: Database):
    async with database.writing() as transaction:
        await subjects.create(transaction, a_subject(), now=NOON)
        assert await subjects.create(transaction, a_subject(name="Other"), now=NOON) is None

    assert (await found(database)).subject == a_subject()


async def test_a_change_counts_and_saying_the_same_does_not(database: Database):
    async with database.writing() as transaction:
        await subjects.put(transaction, a_subject(), now=NOON)
        await subjects.put(transaction, a_subject(), now=LATER)
        same = await subjects.find(transaction, "air-quillon")
        changed = await subjects.put(transaction, a_subject(name="Quillon"), now=LATER)

    assert (same.version, same.updated_at) == (1, NOON)
    assert (changed.version, changed.updated_at) == (2, LATER)


async def test_a_deleted_subject_is_gone_for_people_and_still_to_be_told_to_the_topic(
    database: Database,
):
    await seeded(database, a_subject())
    await published(database)
    async with database.writing() as transaction:
        assert await subjects.delete(transaction, "air-quillon", now=LATER)
        assert not await subjects.delete(transaction, "air-quillon", now=LATER)
        assert await subjects.page(transaction, limit=9) == []

    assert await found(database) is None
    assert await waiting(database) == [("air-quillon", 2, True)]


async def test_of_a_person_who_is_no_longer_watched_only_the_id_stays(database: Database):
    ada = a_subject("a1", name="Ada L.", kind=Kind.PERSON, purpose="asked", handles=("@ada",))
    assert await seeded(database, ada, a_subject()) == [Seeding.ADDED] * 2
    async with database.writing() as transaction:
        for subject in ("a1", "air-quillon"):
            assert await subjects.delete(transaction, subject, now=LATER)
        rows = dict((await transaction.execute(select(SUBJECTS.c.id, SUBJECTS.c.value))).all())

    assert rows["a1"] == {"id": "a1", "name": "a1"}
    assert rows["air-quillon"]["name"] == a_subject().name
    assert await waiting(database) == [("a1", 2, True), ("air-quillon", 2, True)]
    assert await seeded(database, ada) == [Seeding.LEFT_DELETED]
    async with database.writing() as transaction:
        again = await subjects.create(transaction, ada, now=LATER)
    assert again == await found(database, "a1")
    assert again.subject == ada


async def test_the_file_is_taken_over_once_and_again_where_it_changed(database: Database):
    assert await seeded(database, a_subject()) == [Seeding.ADDED]
    assert await seeded(database, a_subject(), now=LATER) == [Seeding.KEPT]
    assert await seeded(database, a_subject(name="Quillon"), now=LATER) == [Seeding.CHANGED]

    row = await found(database)
    assert (row.subject.name, row.version) == ("Quillon", 2)


async def test_a_change_over_the_api_outlives_the_file_until_the_file_changes(database: Database):
    await seeded(database, a_subject())
    async with database.writing() as transaction:
        await subjects.put(transaction, a_subject(name="By API"), now=NOON)

    assert await seeded(database, a_subject()) == [Seeding.KEPT]
    assert (await found(database)).subject.name == "By API"
    assert await seeded(database, a_subject(name="By file")) == [Seeding.CHANGED]
    assert (await found(database)).subject.name == "By file"


async def test_what_was_deleted_over_the_api_does_not_come_back_from_the_file(database: Database):
    await seeded(database, a_subject())
    async with database.writing() as transaction:
        await subjects.delete(transaction, "air-quillon", now=NOON)

    assert await seeded(database, a_subject()) == [Seeding.LEFT_DELETED]
    assert await seeded(database, a_subject(name="Changed")) == [Seeding.LEFT_DELETED]
    assert await found(database) is None


async def test_over_the_api_a_deleted_subject_can_be_watched_again(database: Database):
    await seeded(database, a_subject())
    async with database.writing() as transaction:
        await subjects.delete(transaction, "air-quillon", now=NOON)
        again = await subjects.create(transaction, a_subject(), now=LATER)

    assert again.version == 3
    assert await found(database) == again


async def test_a_subject_made_over_the_api_is_adopted_by_an_equal_entry_of_the_file(
    database: Database,
):
    async with database.writing() as transaction:
        await subjects.create(transaction, a_subject(), now=NOON)

    await seeded(database, a_subject(), now=LATER)

    assert (await found(database)).version == 1
    assert await seeded(database, a_subject()) == [Seeding.KEPT]


async def test_the_topic_is_told_of_each_change_once(database: Database):
    await seeded(database, a_subject("a"), a_subject("b"))
    assert await waiting(database) == [("a", 1, False), ("b", 1, False)]
    await published(database)
    assert await waiting(database) == []

    async with database.writing() as transaction:
        await subjects.put(transaction, a_subject("b", name="New"), now=LATER)

    assert await waiting(database) == [("b", 2, False)]


async def test_what_changed_while_it_was_being_published_is_published_again(database: Database):
    await seeded(database, a_subject())
    async with database.writing() as transaction:
        await subjects.put(transaction, a_subject(name="New"), now=LATER)
        await subjects.mark_published(transaction, "air-quillon", 1)

    assert await waiting(database) == [("air-quillon", 2, False)]


async def test_a_new_broker_is_told_everything_tombstones_too(database: Database):
    await seeded(database, a_subject("a"), a_subject("b"))
    await published(database)
    async with database.writing() as transaction:
        await subjects.delete(transaction, "a", now=NOON)
        rows = await subjects.everything(transaction)

    assert [(row.subject.id, row.deleted_at) for row in rows] == [("a", NOON), ("b", None)]


async def test_the_list_is_paged_by_id_and_shows_no_canary(database: Database):
    await seeded(
        database,
        a_subject("c"),
        a_subject("a"),
        a_subject("b"),
        a_subject("canary", kind=Kind.CANARY),
    )
    async with database.reading() as transaction:
        first = await subjects.page(transaction, limit=2)
        second = await subjects.page(transaction, limit=2, after=first[-1].subject.id)

    assert [row.subject.id for row in (*first, *second)] == ["a", "b", "c"]
