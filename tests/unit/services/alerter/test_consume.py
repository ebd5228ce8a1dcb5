import json
from dataclasses import replace

import pytest

from services.alerter.advance import Advancer
from services.alerter.consume import Taker
from services.alerter.store import deletions, deliveries, history, incidents, readings
from services.alerter.store.database import Database
from tests.build import (
    NOON,
    a_backlash,
    a_deletion,
    a_moment,
    a_reading,
    a_source_state,
    some_evidence,
)
from uproar.backlash import Event
from uproar.incident import IncidentId
from uproar.topics import BACKLASH, DEAD_LETTER, DELETIONS, READINGS, SOURCES, Topic
from uproar.wire import ACCEPTED_AT, TRACEPARENT, DeadLetter, Record

INCIDENT = IncidentId(a_backlash().incident)


class Graveyard:
    """Keeps dead letters, as a broker would."""

    def __init__(self) -> None:
        self.records: list[Record] = []

    async def __call__(self, record: Record) -> None:
        self.records.append(record)

    @property
    def letters(self) -> list[DeadLetter]:
        return [DEAD_LETTER.decode(record.value) for record in self.records]


@pytest.fixture
def taker(database: Database, advancer: Advancer, clock) -> Taker:
    return Taker(database, advancer, clock)


def read(topic: Topic, *values: object, headers=()) -> list[Record]:
    """Records as they come from a partition; bytes are taken as they are."""
    return [
        Record(
            topic=topic.name,
            value=value if isinstance(value, bytes | None) else topic.codec.encode(value),
            key=b"k",
            headers=headers,
            partition=0,
            offset=offset,
        )
        for offset, value in enumerate(values)
    ]


async def stored(database: Database) -> list[str]:
    async with database.reading() as transaction:
        return [line["happened"] for line in await history.timeline(transaction, INCIDENT)]


async def test_events_become_an_incident_in_their_order(taker: Taker, database: Database):
    events = [a_backlash(), a_backlash(Event.GREW, sequence=1), a_backlash(Event.ENDED, sequence=2)]

    assert await taker.take(read(BACKLASH, *events), Graveyard()) == 3

    assert await stored(database) == ["opened", "grew", "ended"]


async def test_a_batch_read_again_after_a_crash_before_the_offset_changes_nothing(
    taker: Taker, database: Database
):
    batch = read(BACKLASH, a_backlash(), a_backlash(Event.GREW, sequence=1))
    await taker.take(batch, Graveyard())

    assert await taker.take(batch, Graveyard()) == 2

    assert await stored(database) == ["opened", "grew"]
    async with database.reading() as transaction:
        assert len(await deliveries.of_incident(transaction, INCIDENT)) == 3


async def test_the_time_of_acceptance_and_the_trace_are_kept(taker: Taker, database: Database):
    trace = b"00-" + b"a" * 32 + b"-" + b"b" * 16 + b"-01"
    headers = ((ACCEPTED_AT, b"2026-03-02T13:00:00+01:00"), (TRACEPARENT, trace))

    await taker.take(read(BACKLASH, a_backlash(), headers=headers), Graveyard())

    async with database.reading() as transaction:
        arrival = await incidents.arrival(transaction, INCIDENT)
    assert (arrival.accepted_at, arrival.traceparent) == (NOON, trace.decode())


@pytest.mark.parametrize("value", [b"", b"yesterday", b"2026-03-02T12:00:00", b"\xff", b"\x00"])
async def test_a_broken_header_costs_no_page(taker: Taker, database: Database, value: bytes):
    headers = ((ACCEPTED_AT, value), (TRACEPARENT, value))

    assert await taker.take(read(BACKLASH, a_backlash(), headers=headers), Graveyard()) == 1

    assert await stored(database) == ["opened"]


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (b"{", "truncated"),
        (b"", "truncated"),
        (None, "empty value"),
        (b'{"schema":"post","version":1}', "this topic carries backlash.v1"),
        (BACKLASH.codec.encode(a_backlash()).replace(b'"posts":60', b'"posts":"60"'), "posts"),
        (BACKLASH.codec.encode(a_backlash(subject="a/b")), "subject id"),
        (BACKLASH.codec.encode(a_backlash(posts=2**63)), "does not fit"),
    ],
)
async def test_what_can_never_be_taken_is_buried_with_its_reason_and_the_rest_goes_on(
    taker: Taker, database: Database, value, reason
):
    graveyard = Graveyard()

    done = await taker.take(read(BACKLASH, value, a_backlash()), graveyard)

    assert done == 2
    assert await stored(database) == ["opened"]
    (letter,) = graveyard.letters
    assert reason in letter.reason
    assert letter.origin == "uproar.backlash.v1/0/0"
    assert letter.at == NOON
    assert graveyard.records[0].topic == "uproar.backlash.v1.dlq"


async def test_an_unknown_key_of_a_newer_writer_is_ignored(taker: Taker, database: Database):
    event = json.loads(BACKLASH.codec.encode(a_backlash())) | {"of_tomorrow": {"peak": 1}}
    graveyard = Graveyard()

    await taker.take(read(BACKLASH, json.dumps(event).encode()), graveyard)

    assert graveyard.letters == []
    assert await stored(database) == ["opened"]


async def test_with_the_database_away_nothing_is_buried_and_nothing_counts_as_done(clock):
    away = Database("postgresql+asyncpg://nobody@127.0.0.1:1/none")
    advancer = Advancer(away, routes=[], console_url="", clock=clock, written=None)
    taker, graveyard = Taker(away, advancer, clock), Graveyard()

    for batch in (
        read(BACKLASH, a_backlash()),
        read(READINGS, a_reading()),
        read(DELETIONS, a_deletion()),
    ):
        assert await taker.take(batch, graveyard) == 0

    assert graveyard.letters == []
    await away.close()


async def test_readings_sources_and_deletions_are_kept(taker: Taker, database: Database):
    graveyard = Graveyard()
    await taker.take(read(BACKLASH, a_backlash(evidence=(some_evidence("push:1"),))), graveyard)
    await taker.take(read(READINGS, a_reading(), a_reading(a_moment(minutes=5))), graveyard)
    await taker.take(read(SOURCES, a_source_state()), graveyard)
    await taker.take(read(DELETIONS, a_deletion()), graveyard)

    async with database.reading() as transaction:
        kept = await readings.page(transaction, "air-quillon", since=None, until=None, limit=9)
        sources = await readings.sources(transaction, now=NOON)
        (post,) = await history.evidence(transaction, INCIDENT)
        again = await deletions.redacted(transaction, [some_evidence("push:1")])
    assert len(kept) == 2
    assert [source["name"] for source in sources] == ["push"]
    assert post["text"] == again[0].text == "[deleted]"
    assert graveyard.letters == []


async def test_the_tombstone_of_a_source_ends_it_and_a_later_report_brings_it_back(
    taker: Taker, database: Database
):
    async def after(*values: object) -> list[str]:
        await taker.take(read(SOURCES, *values), Graveyard())
        async with database.reading() as transaction:
            return [row["name"] for row in await readings.sources(transaction, now=NOON)]

    other = a_source_state("other")
    assert await after(a_source_state("k"), other, None) == ["other"]
    assert await after(None, a_source_state("k")) == ["k", "other"]


async def test_a_reading_that_does_not_fit_is_buried_alone(taker: Taker, database: Database):
    batch = read(
        READINGS,
        a_reading(),
        b"{",
        replace(a_reading(a_moment(minutes=5)), posts=2**63),
        a_reading(a_moment(minutes=10)),
    )
    graveyard = Graveyard()

    assert await taker.take(batch, graveyard) == 4

    async with database.reading() as transaction:
        kept = await readings.page(transaction, "air-quillon", since=None, until=None, limit=9)
    assert [row["at"] for row in kept] == [a_moment(minutes=10), NOON]
    assert [letter.origin.rpartition("/")[2] for letter in graveyard.letters] == ["1", "2"]
