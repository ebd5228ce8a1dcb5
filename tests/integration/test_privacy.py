"""Privacy on SQLite and PostgreSQL: an author is found under every key, and erased everywhere."""

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from sqlalchemy import select, text, update

from services.alerter.advance import Advancer
from services.alerter.notifier import Sent
from services.alerter.privacy import ALWAYS, Author, Privacy
from services.alerter.reroute import reroute
from services.alerter.store import answers, audit, erasure, history, past, readings, silences
from services.alerter.store.database import Database
from services.alerter.store.filter import Filter
from services.alerter.store.incidents import Arrival
from services.alerter.store.outbox import SqlOutbox
from services.alerter.store.retention import expire, prune
from services.alerter.store.tables import (
    AUDIT,
    DELETIONS,
    DELIVERIES,
    EVIDENCE,
    METADATA,
    TRANSITIONS,
)
from services.alerter.store.written import PLACES as WRITTEN
from services.ingest.sources import SOURCES
from tests.build import NOON, a_backlash, a_deletion, a_moment, some_evidence
from tests.databases import drop, migrated, new_url
from uproar.backlash import EpisodeId, Event
from uproar.incident import Act, IncidentId, Verb
from uproar.post import PostId, pseudonym
from uproar.routing import Receiver, ReceiverName, Route
from uproar.watermark import SourceState, State

OLD, NEW = b"the old key", b"the new key"
TEXT = "they broke my cello and laughed"
PLACES = (("e_1", "mastodon:1", OLD), ("e_2", "mastodon:2", NEW), ("e_3", "push:3", NEW))


def an_advancer(database: Database, clock: Callable[[], datetime]) -> Advancer:
    told = tuple(Receiver(name=ReceiverName(name)) for name in ("slack", "email"))
    return Advancer(
        database,
        routes=[Route(name="default", receivers=told)],
        console_url="https://uproar.example",
        clock=clock,
        written=asyncio.Event(),
    )


@pytest.fixture
def advancer(database: Database) -> Advancer:
    return an_advancer(database, lambda: NOON)


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
    """Every text of the database that a post could be in."""
    async with database.reading() as transaction:
        tables = [
            select(EVIDENCE.c.text, EVIDENCE.c.author, EVIDENCE.c.url),
            select(DELIVERIES.c.payload),
            select(TRANSITIONS.c.summary),
            select(AUDIT.c.target, AUDIT.c.detail),
            select(text("body")).select_from(text("answers")),
        ]
        rows = [row for query in tables for row in (await transaction.execute(query)).all()]
    return "\n".join(repr(tuple(row)) for row in rows)  # the repr of a row is cut short


async def test_an_author_is_found_under_every_key_and_on_every_network(told: Privacy):
    found = (await told.find(whom())).stored
    assert {(one.incident, one.id) for one in found if one.what == "post"} == {
        (incident, post) for incident, post, _ in PLACES
    }
    assert sum(one.what == "message" for one in found) == 2 * len(PLACES)
    named = [one for one in found if one.what not in {"post", "message"}]
    assert sorted(one.what for one in named) == ["answer", "audit", "note"]
    assert all("rang @jane" in one.text for one in named)
    assert {one.text for one in found if one not in named} == {TEXT}


async def test_one_network_or_one_pseudonym_can_be_asked_for(told: Privacy):
    mastodon = await told.find(whom(network="mastodon"))
    assert {one.incident for one in mastodon.stored if one.what == "post"} == {"e_1", "e_2"}
    assert mastodon.networks == ["mastodon"]
    one = await told.find(whom(jane("push", NEW)))
    assert {found.incident for found in one.stored} == {"e_3"}
    assert one.networks == []
    assert (await told.find(whom("somebody-else"))).stored == []


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
    assert (await told.find(whom())).stored == []
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


@pytest.mark.parametrize("network", ["push", "bluesky", "forum", "mastodon"])
async def test_what_comes_later_comes_blank_of_every_network_that_was_ever_heard_of(
    told: Privacy, database: Database, advancer: Advancer, network: str
):
    """Of the forum no post was cited yet; those of Mastodon were, and are long gone."""
    forum = SourceState(
        source="forum",
        state=State.LIVE,
        event_time=NOON,
        cursor=None,
        last_post_at=None,
        reported_at=NOON,
    )
    async with database.writing() as transaction:
        await readings.report(transaction, [forum])
        await expire(transaction, before=a_moment(minutes=1))
    erased = await told.erase(whom("john"), by="Ada")
    assert erased.networks == ["bluesky", "forum", "mastodon", "push"]
    theirs = pseudonym("@John", network, NEW)
    evidence = (some_evidence(f"{network}:99", text="a post to come", author=theirs),)
    await advancer.hear(a_backlash(evidence=evidence), Arrival())
    assert "a post to come" not in await everything(database)


def test_a_post_of_every_connector_may_come_at_any_time():
    assert {"push", *SOURCES} == ALWAYS


async def test_who_is_erased_while_an_event_is_heard_is_not_told_on(tmp_path: Path):
    """On PostgreSQL two write at once; what was read before the other had its turn does not count."""
    url = new_url(tmp_path, "postgresql")
    async with migrated(url) as database:
        advancer = an_advancer(database, lambda: NOON)
        first = (some_evidence("push:1", text="the first", author="a_1"),)
        incident = await advancer.hear(a_backlash(evidence=first), Arrival())
        grew = a_backlash(
            Event.GREW, sequence=1, evidence=(some_evidence("push:2", text=TEXT, author="a_2"),)
        )
        taken = Act(verb=Verb.ACKNOWLEDGE, by="Ada")
        async with database.writing() as transaction:
            gone = [a_deletion(author="a_1"), a_deletion(author="a_2")]
            await erasure.forget(transaction, gone, now=NOON)
            both = [
                asyncio.create_task(advancer.hear(grew, Arrival())),
                asyncio.create_task(advancer.act(incident.id, taken)),
            ]
            await wait_for_each_other(database, both)
        await asyncio.gather(*both)
        left = await everything(database)
    drop(url)
    assert "the first" not in left
    assert TEXT not in left


async def test_who_is_erased_while_a_page_is_rerouted_is_not_told_on(tmp_path: Path):
    url = new_url(tmp_path, "postgresql")
    async with migrated(url) as database:
        evidence = (some_evidence("push:1", text=TEXT, author="a_1"),)
        await an_advancer(database, lambda: NOON).hear(a_backlash(evidence=evidence), Arrival())
        pager = Receiver(name=ReceiverName("pager"))
        routes = [Route(name="default", receivers=(pager,))]
        async with database.writing() as transaction:
            await erasure.forget(transaction, [a_deletion(author="a_1")], now=NOON)
            moving = reroute(database, routes=routes, receivers=[pager.name], now=NOON)
            waiting = asyncio.create_task(moving)
            await wait_for_each_other(database, [waiting])
        assert await waiting == 1
        left = await everything(database)
        async with database.reading() as transaction:
            paged = set(await transaction.scalars(select(DELIVERIES.c.receiver)))
    drop(url)
    assert "pager" in paged
    assert TEXT not in left


async def wait_for_each_other(database: Database, tasks: list[asyncio.Task[Any]]) -> None:
    """Return once each of these writers waits for another to end."""
    waiting = text(
        "SELECT count(*) FROM pg_stat_activity"
        " WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    found = 0
    while found != len(tasks):
        assert not any(task.done() for task in tasks)
        async with database.reading() as transaction:
            found = await transaction.scalar(waiting)


async def test_erased_again_nothing_changes_and_it_is_told_again(told: Privacy, database: Database):
    await told.erase(whom(), by="Ada")
    async with database.writing() as transaction:
        for deletion in await erasure.untold(transaction):
            await erasure.mark_told(transaction, deletion, now=NOON)
        assert await erasure.untold(transaction) == []
    before = await everything(database)
    assert (await told.erase(whom(), by="Ada")).stored == []
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


# --------------------------------------------------------------- what people wrote about an author


@pytest.fixture
async def written(database: Database, advancer: Advancer) -> Privacy:
    """The name of an account in every place where people write what they please."""
    await advancer.hear(a_backlash(incident=EpisodeId("e_1"), subject="s"), Arrival())
    for verb, note in (
        (Verb.ACKNOWLEDGE, "called @jane_doe"),
        (Verb.FALSE_ALARM, "@Jane_Doe was joking"),
        (Verb.NOTE, "jane_doe_2 is somebody else, [erased] too"),
        (Verb.RESOLVE, None),
    ):
        await advancer.act(IncidentId("e_1"), Act(verb=verb, by="Ada", note=note))
    async with database.writing() as transaction:
        made = silences.Silence(
            id="01", subject="s", starts_at=NOON, ends_at=a_moment(minutes=9), severity=None,
            reason="jane_doe raids us", created_by="Ada", created_at=NOON,
        )  # fmt: skip
        await silences.create(transaction, made)
        await audit.note(
            transaction, now=NOON, who="Ada", via="api", what="silence.create", target="01",
            detail={"reason": made.reason, "more": ["by", {"whom": "@jane_doe"}]},
        )  # fmt: skip
        await answers.claim(transaction, "k1", "r", now=NOON)
        await answers.fulfil(transaction, "k1", status=200, body='{"note": "@jane_doe"}')
        refused = update(DELIVERIES).values(last_error="HTTP 400: called @jane_doe")
        await transaction.execute(refused)
    return Privacy(database, lambda: NOON)


async def named_in(database: Database, name: str) -> set[str]:
    """Every column, and the search index, in which a name stands: the whole database is read."""
    found: set[str] = set()
    async with database.reading() as transaction:
        for table in METADATA.sorted_tables:
            for row in (await transaction.execute(select(table))).mappings():
                found |= {f"{table.name}.{k}" for k, v in row.items() if name in str(v).lower()}
        indexed = (await transaction.execute(text("SELECT * FROM search"))).all()
    return found | {"search"} if name in repr(indexed).lower() else found


async def test_an_erasure_leaves_the_name_in_no_column_and_not_in_the_search_index(
    written: Privacy, database: Database
):
    alike = "jane_doe_2"
    async with database.reading() as transaction:
        before = await history.incidents(transaction, Filter(text="joking"), limit=9)
    assert await named_in(database, "jane_doe") == {
        f"{place.column.table.name}.{place.column.name}" for place in WRITTEN
    } | {"search"}
    assert {one.what for one in (await written.find(whom("@jane_doe"))).stored} == {
        place.what for place in WRITTEN
    }

    await written.erase(whom("@jane_doe"), by="Ada")

    assert (await written.find(whom("@jane_doe"))).stored == []
    left = await named_in(database, "jane_doe")
    assert left == await named_in(database, alike) != set()
    async with database.reading() as transaction:
        lines = [row["summary"] for row in await history.timeline(transaction, "e_1")]
        (then,) = await past.incidents(transaction, Filter(), NOON, limit=9)
        found = await history.incidents(transaction, Filter(text="jane_doe joking"), limit=9)
    assert lines[1:4] == [
        "called [erased]",
        "[erased] was joking",
        f"{alike} is somebody else, [erased] too",
    ]
    assert then["verdict_reason"] == before[0]["verdict_reason"].replace("@Jane_Doe", "[erased]")
    assert [row["id"] for row in found] == []


@pytest.mark.parametrize("account", ["erased", "açaï_Łucja", "état", "été"])
async def test_an_account_of_any_name_is_found_in_notes_and_gone_afterwards(
    told: Privacy, database: Database, advancer: Advancer, account: str
):
    note = f"rang @{account.upper()} and [erased]"
    await advancer.act(IncidentId("e_2"), Act(verb=Verb.FALSE_ALARM, by="Ada", note=note))
    assert {"note", "reason", "version", "audit"} <= {
        one.what for one in (await told.find(whom(account))).stored
    }
    await told.erase(whom(account), by="Ada")
    assert (await told.find(whom(account))).stored == []
    async with database.reading() as transaction:
        *_, last = await history.timeline(transaction, "e_2")
    assert last["summary"] == "rang [erased] and [erased]"


async def test_a_name_that_is_also_a_word_of_ours_leaves_messages_that_can_be_sent(
    written: Privacy, database: Database
):
    for word in ("en", "acknowledge", "alert", "state", "uproar"):
        await written.erase(whom(word), by="Ada")
    leased = await SqlOutbox(database).lease(ReceiverName("slack"), now=NOON, owner="o", limit=9)
    assert leased != []


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


async def test_tombstones_of_posts_go_and_those_of_accounts_stay_for_good(
    told: Privacy, database: Database, advancer: Advancer
):
    await told.erase(whom(), by="Ada")
    await advancer.forget([a_deletion(id=PostId("push:77"))])
    async with database.writing() as transaction:
        first, *others = await erasure.untold(transaction)
        await erasure.mark_told(transaction, first, now=NOON)
        await prune(transaction, now=NOON + timedelta(days=91))
        assert await erasure.untold(transaction) == others
        left = set(await transaction.scalars(select(DELETIONS.c.what)))
    assert left == {f"author:{deletion.author}" for deletion in (first, *others)}


async def test_the_reason_of_a_silence_goes_as_a_post_does(written: Privacy, database: Database):
    async with database.writing() as transaction:
        await prune(transaction, now=NOON + timedelta(days=90))
        assert await silences.find(transaction, "01") is not None
        await prune(transaction, now=NOON + timedelta(days=91))
        assert await silences.find(transaction, "01") is None


async def test_a_replay_of_a_crisis_of_years_ago_keeps_its_posts_as_long_as_any(
    database: Database, advancer: Advancer
):
    evidence = (some_evidence("push:1", text=TEXT, created_at=NOON - timedelta(days=3000)),)
    await advancer.hear(a_backlash(evidence=evidence), Arrival())
    async with database.writing() as transaction:
        assert await expire(transaction, before=NOON - timedelta(days=1)) == 0
    assert TEXT in await everything(database)
    async with database.writing() as transaction:
        await expire(transaction, before=NOON + timedelta(days=1))
    assert TEXT not in await everything(database)


async def test_a_message_that_quotes_an_old_post_lets_it_go_with_the_post(database: Database):
    """Later it could not be found by its author any more."""
    now = [NOON]
    advancer = an_advancer(database, lambda: now[-1])
    evidence = (some_evidence("push:1", text=TEXT), some_evidence("push:2", text="another"))
    incident = await advancer.hear(a_backlash(evidence=evidence), Arrival())
    now.append(NOON + timedelta(days=60))
    await advancer.act(incident.id, Act(verb=Verb.ACKNOWLEDGE, by="Ada"))
    newer = (some_evidence("push:3", text="newer"),)
    await advancer.hear(a_backlash(Event.GREW, sequence=1, evidence=newer), Arrival())
    async with database.writing() as transaction:
        await expire(transaction, before=NOON + timedelta(days=1), limit=1)
    left = await everything(database)
    assert (TEXT in left) + ("another" in left) == 1
    async with database.writing() as transaction:
        await expire(transaction, before=NOON + timedelta(days=1), limit=1)
    left = await everything(database)
    assert TEXT not in left
    assert "newer" in left


def test_a_stored_place_is_ready_for_json():
    stored = erasure.Stored(incident="e", what="post", id="p", at=NOON, text="t")
    assert msgspec.json.encode(stored)
