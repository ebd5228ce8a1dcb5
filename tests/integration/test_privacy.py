"""Privacy on SQLite and PostgreSQL: an author is found under every key, and erased everywhere."""

import asyncio
from datetime import timedelta

import msgspec
import pytest
from sqlalchemy import select, text

from services.alerter.advance import Advancer
from services.alerter.notifier import Sent
from services.alerter.privacy import Author, Privacy
from services.alerter.store import answers, erasure, history
from services.alerter.store.database import Database
from services.alerter.store.filter import Filter
from services.alerter.store.incidents import Arrival
from services.alerter.store.outbox import SqlOutbox
from services.alerter.store.retention import expire, prune
from services.alerter.store.tables import AUDIT, DELIVERIES, EVIDENCE, TRANSITIONS
from tests.build import NOON, a_backlash, a_deletion, a_moment, some_evidence
from uproar.backlash import EpisodeId, Event
from uproar.incident import Act, IncidentId, Verb
from uproar.post import PostId, pseudonym
from uproar.routing import Receiver, ReceiverName, Route

OLD, NEW = b"the old key", b"the new key"
TEXT = "they broke my cello and laughed"
PLACES = (("e_1", "mastodon:1", OLD), ("e_2", "mastodon:2", NEW), ("e_3", "push:3", NEW))


@pytest.fixture
def advancer(database: Database) -> Advancer:
    told = tuple(Receiver(name=ReceiverName(name)) for name in ("slack", "email"))
    return Advancer(
        database,
        routes=[Route(name="default", receivers=told)],
        console_url="https://uproar.example",
        clock=lambda: NOON,
        written=asyncio.Event(),
    )


def jane(network: str, key: bytes) -> str:
    return pseudonym("@Jane", network, key)


def whom(given: str = "@Jane", network: str | None = None) -> Author:
    return Author(given=given, network=network, keys=(NEW, OLD))


@pytest.fixture
async def told(database: Database, advancer: Advancer) -> Privacy:
    """Three incidents that cite Jane on two networks, under two keys, and somebody else."""
    for incident, post, key in PLACES:
        evidence = (
            some_evidence(post, text=TEXT, author=jane(post.partition(":")[0], key)),
            some_evidence(f"{post}0", text="a bystander", author="a_ffffffffffffffff"),
        )
        event = a_backlash(
            Event.OPENED, incident=EpisodeId(incident), subject=incident, evidence=evidence
        )
        await advancer.hear(event, Arrival())
    note = "rang @jane, who is furious; Janet is not"
    await advancer.act(IncidentId("e_1"), Act(verb=Verb.NOTE, by="Ada", note=note))
    async with database.writing() as transaction:
        await answers.claim(transaction, "k1", "r", now=NOON)
        await answers.fulfil(transaction, "k1", status=200, body=f'{{"note": "{note}"}}')
    return Privacy(database, lambda: NOON)


async def everything(database: Database) -> str:
    """Every text of the database that could name somebody."""
    async with database.reading() as transaction:
        tables = [
            select(EVIDENCE.c.text, EVIDENCE.c.author, EVIDENCE.c.url),
            select(DELIVERIES.c.payload),
            select(TRANSITIONS.c.summary),
            select(AUDIT.c.target, AUDIT.c.detail),
            select(text("body")).select_from(text("answers")),
        ]
        rows = [row for query in tables for row in (await transaction.execute(query)).all()]
    return "\n".join(map(repr, rows))


async def test_an_author_is_found_under_every_key_and_on_every_network(told: Privacy):
    found = await told.find(whom())
    assert {(one.incident, one.id) for one in found if one.what == "post"} == {
        (incident, post) for incident, post, _ in PLACES
    }
    assert sum(one.what == "message" for one in found) == 2 * len(PLACES)
    (note,) = [one for one in found if one.what == "note"]
    assert note.text.startswith("rang @jane")
    assert {one.text for one in found if one.what != "note"} == {TEXT}


async def test_one_network_or_one_pseudonym_can_be_asked_for(told: Privacy):
    mastodon = await told.find(whom(network="mastodon"))
    assert {one.incident for one in mastodon if one.what == "post"} == {"e_1", "e_2"}
    one = await told.find(whom(jane("push", NEW)))
    assert {found.incident for found in one} == {"e_3"}
    assert await told.find(whom("somebody-else")) == []


async def test_an_erasure_leaves_nothing_and_touches_nobody_else(
    told: Privacy, database: Database, advancer: Advancer
):
    assert TEXT in await everything(database)
    await told.erase(whom(), by="Ada")
    left = await everything(database)
    for gone in (TEXT, "@jane", *(jane(p.partition(":")[0], key) for _, p, key in PLACES)):
        assert gone not in left
    assert "a bystander" in left
    assert "rang [erased], who is furious; Janet is not" in left
    assert await told.find(whom()) == []
    async with database.reading() as transaction:
        assert await history.incidents(transaction, Filter(text="cello"), limit=9) == []
        untold = await erasure.untold(transaction)
    assert {d.author for d in untold} >= {jane("mastodon", OLD), jane("push", NEW)}


async def test_what_comes_later_of_an_erased_author_comes_blank(
    told: Privacy, database: Database, advancer: Advancer
):
    await told.erase(whom(), by="Ada")
    evidence = (some_evidence("push:9", text=TEXT, author=jane("push", OLD)),)
    event = a_backlash(
        Event.GREW, incident=EpisodeId("e_1"), subject="e_1", sequence=1, evidence=evidence
    )
    await advancer.hear(event, Arrival())
    assert TEXT not in await everything(database)


async def test_erased_again_nothing_changes_and_it_is_told_again(told: Privacy, database: Database):
    await told.erase(whom(), by="Ada")
    async with database.writing() as transaction:
        for deletion in await erasure.untold(transaction):
            await erasure.mark_told(transaction, deletion, now=NOON)
        assert await erasure.untold(transaction) == []
    before = await everything(database)
    assert await told.erase(whom(), by="Ada") == []
    after = await everything(database)
    assert after.count("[deleted]") == before.count("[deleted]")
    async with database.reading() as transaction:
        assert await erasure.untold(transaction) != []


async def test_a_tombstone_from_the_topic_blanks_pages_that_wait_and_those_that_were_sent(
    told: Privacy, database: Database, advancer: Advancer
):
    outbox = SqlOutbox(database)
    (delivery, *_) = await outbox.lease(ReceiverName("slack"), now=NOON, owner="o", limit=1)
    await outbox.settle(delivery, Sent("x"), now=NOON, next_at=None)
    gone = [a_deletion(id=PostId(post)) for _, post, _ in PLACES]
    await advancer.forget(gone)
    await advancer.forget(gone)
    async with database.reading() as transaction:
        payloads = [row.payload for row in await transaction.execute(select(DELIVERIES.c.payload))]
    quotes = [quote for payload in payloads for quote in payload["quotes"]]
    assert len(quotes) == 2 * 2 * len(PLACES)
    assert TEXT not in repr(quotes)


# ------------------------------------------------------------------------------- retention


async def test_old_posts_go_and_the_incident_and_its_timeline_stay(
    told: Privacy, database: Database
):
    async def expired(**before: float) -> int:
        total = 0
        while True:
            async with database.writing() as transaction:
                gone = await expire(transaction, before=a_moment(**before), limit=2)
            total += gone
            if not gone:
                return total

    assert await expired(minutes=-1) == 0
    assert await expired(minutes=1) == 4 * len(PLACES)  # evidence, and what was told to two
    async with database.reading() as transaction:
        assert (await transaction.execute(select(EVIDENCE))).all() == []
        rows = (await transaction.execute(select(DELIVERIES.c.payload))).all()
        assert len(await history.incidents(transaction, Filter(), limit=9)) == 3
        assert await history.timeline(transaction, "e_1")
    assert [row.payload["quotes"] for row in rows] == [[]] * len(rows)
    assert await expired(minutes=1) == 0


async def test_tombstones_that_everybody_has_go_and_the_others_stay(
    told: Privacy, database: Database
):
    await told.erase(whom(), by="Ada")
    async with database.writing() as transaction:
        first, *others = await erasure.untold(transaction)
        await erasure.mark_told(transaction, first, now=NOON)
        await prune(transaction, now=NOON + timedelta(days=91))
        assert await erasure.untold(transaction) == others


def test_a_stored_place_is_ready_for_json():
    stored = erasure.Stored(incident="e", what="post", id="p", at=NOON, text="t")
    assert msgspec.json.encode(stored)
