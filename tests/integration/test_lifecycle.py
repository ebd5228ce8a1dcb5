"""What people do to incidents, on both databases: merge, split, snooze, silence, and search."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select

from services.alerter.advance import Advancer
from services.alerter.store import audit, deliveries, history, incidents, silences
from services.alerter.store.database import Database
from services.alerter.store.filter import Filter
from services.alerter.store.incidents import Arrival
from services.alerter.store.silences import Silence
from services.alerter.store.tables import DELIVERIES
from tests.build import NOON, a_backlash, a_deletion, a_subject, some_evidence
from uproar.backlash import Backlash, EpisodeId, Event, Level, episode_id
from uproar.incident import Act, IllegalTransition, Incident, IncidentId, State, Verb
from uproar.post import PostId
from uproar.routing import OnCall, Receiver, ReceiverName, Route
from uproar.schedule import Schedule
from uproar.subject import Kind, SubjectId

ROUTES = [Route(name="default", receivers=(Receiver(name=ReceiverName("room")),))]
ADA = Act(verb=Verb.NOTE, by="Ada", via="api 192.0.2.1")


class Room:
    """An advancer with a clock that a test moves, and what its one receiver was told."""

    def __init__(self, database: Database) -> None:
        self.database, self.now = database, NOON
        self.advancer = Advancer(
            database,
            routes=ROUTES,
            console_url="http://console.test",
            clock=lambda: self.now,
            written=asyncio.Event(),
        )

    async def hear(self, event: Backlash) -> Incident:
        heard = await self.advancer.hear(event, Arrival())
        assert heard is not None
        return heard

    async def act(self, incident: IncidentId, verb: Verb, **given: Any) -> Incident:
        self.now += timedelta(minutes=1)
        done = await self.advancer.act(incident, Act(verb=verb, by="Ada", **given))
        assert done is not None
        return done

    async def stands(self, incident: IncidentId) -> Incident:
        async with self.database.writing() as transaction:
            found = await incidents.locked(transaction, incident)
        assert found is not None
        return found

    async def told(self, incident: IncidentId) -> list[str]:
        return [row["kind"] for row in await self.deliveries(incident)]

    async def deliveries(self, incident: IncidentId) -> list[dict[str, Any]]:
        query = select(DELIVERIES).where(DELIVERIES.c.incident == incident)
        async with self.database.reading() as transaction:
            rows = await transaction.execute(query.order_by(DELIVERIES.c.sequence))
        return [dict(row) for row in rows.mappings()]

    async def happened(self, incident: IncidentId) -> list[str]:
        async with self.database.reading() as transaction:
            rows = await history.timeline(transaction, incident)
        return [row["happened"] for row in rows]

    async def found(self, **asked: Any) -> list[str]:
        async with self.database.reading() as transaction:
            rows = await history.incidents(transaction, Filter(**asked), limit=9)
        return [row["id"] for row in rows]


@pytest.fixture
def room(database: Database) -> Room:
    return Room(database)


def a_wave(at: datetime = NOON, subject: str = "air-quillon", **given: Any) -> Backlash:
    episode = episode_id(SubjectId(subject), at)
    return a_backlash(incident=episode, at=at, subject=subject, **given)


def more(wave: Backlash, event: Event = Event.GREW, *, sequence: int = 1, **given: Any) -> Backlash:
    given = {"page": False, "at": wave.at + timedelta(hours=1)} | given
    return a_backlash(
        event, sequence=sequence, incident=wave.incident, subject=wave.subject, **given
    )


# ------------------------------------------------------------------------------------ episodes


async def test_waves_within_a_week_are_episodes_of_one_incident_and_each_pages(room: Room):
    first, second = a_wave(), a_wave(NOON + timedelta(days=3))
    one = await room.hear(first)
    await room.hear(more(first, Event.ENDED))

    again = await room.hear(second)
    by_name = await room.stands(IncidentId(second.incident))

    assert (again.id, again.episode, again.state) == (one.id, 2, State.OPEN)
    assert by_name == again
    assert await room.told(one.id) == ["trigger", "resolve", "trigger"]
    async with room.database.reading() as transaction:
        rows = await history.episodes(transaction, one.id)
        assert (await history.incident(transaction, second.incident))["id"] == one.id
    assert [(row["id"], row["number"]) for row in rows] == [
        (first.incident, 1),
        (second.incident, 2),
    ]
    assert await room.found() == [one.id]


async def test_a_canary_is_an_incident_of_its_own_each_time(room: Room):
    async with room.database.writing() as transaction:
        from services.alerter.store import subjects

        await subjects.put(transaction, a_subject("canary", kind=Kind.CANARY), now=NOON)
    first = await room.hear(a_wave(subject="canary"))
    second = await room.hear(a_wave(NOON + timedelta(minutes=1), "canary"))
    assert first.id != second.id


# ------------------------------------------------------------------------------ merge and split


async def test_a_merged_incident_is_closed_and_its_crisis_pages_where_it_went(room: Room):
    brand, product = a_wave(), a_wave(subject="quillon-one")
    lead, member = await room.hear(brand), await room.hear(product)

    merged = await room.advancer.merge(member.id, lead.id, ADA)
    await room.hear(more(product, level=Level.CRISIS, page=True))

    assert merged is not None
    assert (merged.state, merged.merged_into) == (State.RESOLVED, lead.id)
    assert await room.told(member.id) == ["trigger", "resolve"]
    assert await room.told(lead.id) == ["trigger", "update", "update"]
    assert (await room.stands(lead.id)).level is Level.CRISIS
    assert await room.happened(lead.id) == ["opened", "absorb", "rose"]
    async with room.database.reading() as transaction:
        assert [row["id"] for row in await history.merged(transaction, lead.id)] == [member.id]


async def test_an_undone_merge_is_as_if_it_had_not_been(room: Room):
    lead, member = await room.hear(a_wave()), await room.hear(a_wave(subject="quillon-one"))
    await room.act(member.id, Verb.ACKNOWLEDGE)
    await room.advancer.merge(member.id, lead.id, ADA)

    back = await room.advancer.unmerge(member.id, ADA)

    assert back is not None
    assert (back.state, back.acknowledged_by, back.merged_into) == (
        State.ACKNOWLEDGED,
        "Ada",
        None,
    )
    assert await room.happened(lead.id) == ["opened", "absorb", "release"]


async def test_merges_make_no_circle(room: Room):
    one, other = await room.hear(a_wave()), await room.hear(a_wave(subject="quillon-one"))
    await room.advancer.merge(one.id, other.id, ADA)

    with pytest.raises(IllegalTransition, match="was itself merged"):
        await room.advancer.merge(other.id, one.id, ADA)
    with pytest.raises(IllegalTransition, match="into itself"):
        await room.advancer.merge(one.id, one.id, ADA)
    assert await room.advancer.merge(one.id, IncidentId("e_none"), ADA) is None


async def test_a_split_wave_lives_on_alone_and_a_merge_undoes_the_split(room: Room):
    first, second = a_wave(), a_wave(NOON + timedelta(days=1), posts=900)
    whole = await room.hear(first)
    await room.hear(more(first, Event.ENDED))
    await room.hear(second)

    new = await room.advancer.split(whole.id, ADA)
    grown = await room.hear(more(second, posts=2000))

    assert new is not None
    assert (new.id, new.state) == (IncidentId(second.incident), State.OPEN)
    assert (grown.id, grown.posts) == (new.id, 2000)
    left = await room.stands(whole.id)
    assert (left.state, left.episode, left.posts) == (State.RESOLVED, 1, 60)
    assert set(await room.found()) == {whole.id, new.id}
    undone = await room.advancer.merge(new.id, whole.id, ADA)
    assert undone is not None
    assert undone.merged_into == whole.id


async def test_merges_from_two_sides_at_once_end_in_one_of_them(room: Room):
    one, other = await room.hear(a_wave()), await room.hear(a_wave(subject="quillon-one"))

    done = await asyncio.gather(
        room.advancer.merge(one.id, other.id, ADA),
        room.advancer.merge(other.id, one.id, ADA),
        return_exceptions=True,
    )

    assert [isinstance(what, IllegalTransition) for what in done].count(True) == 1


# ----------------------------------------------------------------------------------- timers


async def test_a_snooze_wakes_by_itself_and_triggers_again(room: Room):
    incident = await room.hear(a_wave())
    await room.act(incident.id, Verb.SNOOZE, until=NOON + timedelta(hours=1))

    assert await room.advancer.ring() == 0
    room.now = NOON + timedelta(hours=1)
    assert await room.advancer.ring() == 1
    assert await room.advancer.ring() == 0

    assert (await room.stands(incident.id)).state is State.OPEN
    assert await room.told(incident.id) == ["trigger", "acknowledge", "trigger"]


async def test_two_replicas_wake_it_once(room: Room):
    incident = await room.hear(a_wave())
    await room.act(incident.id, Verb.SNOOZE, until=NOON + timedelta(hours=1))
    room.now = NOON + timedelta(hours=2)

    rung = await asyncio.gather(*(room.advancer.ring() for _ in range(4)))

    assert sum(rung) == 1
    assert await room.happened(incident.id) == ["opened", "snooze", "wake"]


# ----------------------------------------------------------------------------------- silences


async def silence(room: Room, *, severity: int | None = None, hours: int = 2) -> None:
    async with room.database.writing() as transaction:
        await silences.create(
            transaction,
            Silence(
                id="s1",
                subject="air-quillon",
                starts_at=NOON,
                ends_at=NOON + timedelta(hours=hours),
                severity=severity,
                reason="a launch",
                created_by="Ada",
                created_at=NOON,
            ),
        )


async def test_a_silence_tells_nobody_and_loses_no_page_when_it_ends(room: Room):
    await silence(room)
    incident = await room.hear(a_wave())
    loud = await room.hear(a_wave(subject="quillon-one"))

    assert await room.told(incident.id) == []
    assert await room.told(loud.id) == ["trigger"]
    assert await room.advancer.ring() == 0
    room.now = NOON + timedelta(hours=2)
    assert await room.advancer.ring() == 1
    assert await room.advancer.ring() == 0

    async with room.database.reading() as transaction:
        (row,) = await deliveries.of_incident(transaction, incident.id)
        timeline = await history.timeline(transaction, incident.id)
    assert row["kind"] == "trigger"
    assert [line["page"] for line in timeline] == [True, True]


async def test_what_is_over_or_taken_before_the_silence_ends_is_not_told_any_more(room: Room):
    await silence(room)
    wave = a_wave()
    incident = await room.hear(wave)
    await room.hear(more(wave, Event.ENDED))

    room.now = NOON + timedelta(hours=3)
    assert await room.advancer.ring() == 0
    assert await room.told(incident.id) == []


async def silenced(room: Room) -> None:
    """Begin a silence now; it lasts two hours."""
    async with room.database.writing() as transaction:
        await silences.create(
            transaction,
            Silence(
                id=f"s{room.now.isoformat()}",
                subject="air-quillon",
                starts_at=room.now,
                ends_at=room.now + timedelta(hours=2),
                severity=None,
                reason="a launch",
                created_by="Ada",
                created_at=room.now,
            ),
        )


async def ended_silence(room: Room) -> int:
    """Go behind the end of every silence; returns of how many incidents it is told then."""
    room.now += timedelta(hours=3)
    return await room.advancer.ring()


@pytest.mark.parametrize("over", [Event.ENDED, Verb.RESOLVE, Verb.ACKNOWLEDGE])
async def test_who_was_paged_before_a_silence_hears_in_it_who_has_it_and_that_it_is_over(
    room: Room, over: Event | Verb
):
    wave = a_wave()
    incident = await room.hear(wave)
    await silenced(room)
    await room.hear(more(wave))
    if isinstance(over, Verb):
        await room.act(incident.id, over)
    else:
        await room.hear(more(wave, over, sequence=2))

    said = "acknowledge" if over is Verb.ACKNOWLEDGE else "resolve"
    assert await room.told(incident.id) == ["trigger", said]
    assert await ended_silence(room) == 0
    assert await room.told(incident.id) == ["trigger", said]


async def test_who_was_told_nothing_hears_neither_who_has_it_nor_that_it_is_over(room: Room):
    await silenced(room)
    incident = await room.hear(a_wave())
    await room.act(incident.id, Verb.ACKNOWLEDGE)
    assert await ended_silence(room) == 0
    await room.act(incident.id, Verb.RESOLVE)
    assert await room.told(incident.id) == []


async def test_what_is_taken_in_a_silence_pages_nobody_on_call_when_it_ends(room: Room):
    duty = Schedule(name="duty", zone=UTC, otherwise=("room",))
    on_call = OnCall(schedule=duty, members=(Receiver(name=ReceiverName("room")),))
    room.advancer._routes = [Route(name="default", receivers=(on_call,))]
    await silenced(room)
    incident = await room.hear(a_wave())
    await room.act(incident.id, Verb.ACKNOWLEDGE)
    assert await ended_silence(room) == 0
    assert await room.told(incident.id) == []


async def test_a_snooze_that_ends_in_a_silence_is_told_when_the_silence_does(room: Room):
    incident = await room.hear(a_wave())
    await room.act(incident.id, Verb.SNOOZE, until=NOON + timedelta(hours=1))
    room.now = NOON + timedelta(minutes=30)
    await silenced(room)
    room.now = NOON + timedelta(hours=1)
    assert await room.advancer.ring() == 1
    assert await room.told(incident.id) == ["trigger", "acknowledge"]

    assert await ended_silence(room) == 1

    *_, last = await room.deliveries(incident.id)
    assert (last["kind"], last["payload"]["before"]) == ("trigger", "snoozed")
    assert last["deadline"] is not None
    assert await room.advancer.ring() == 0


async def test_what_was_reopened_in_a_silence_is_told_when_it_ends(room: Room):
    incident = await room.hear(a_wave())
    await room.act(incident.id, Verb.RESOLVE)
    await silenced(room)
    await room.act(incident.id, Verb.REOPEN)
    assert await room.told(incident.id) == ["trigger", "resolve"]

    assert await ended_silence(room) == 1

    *_, last = await room.deliveries(incident.id)
    assert (last["kind"], last["payload"]["before"]) == ("trigger", "resolved")


async def test_what_opens_at_watch_in_a_silence_is_told_to_a_route_that_asks_for_it(room: Room):
    (route,) = ROUTES
    room.advancer._routes = [replace(route, level=Level.WATCH)]
    await silenced(room)
    incident = await room.hear(a_wave(level=Level.WATCH))
    assert await room.told(incident.id) == []

    assert await ended_silence(room) == 1

    (only,) = await room.deliveries(incident.id)
    assert (only["kind"], only["payload"]["before"]) == ("trigger", None)


async def test_updates_that_a_silence_held_back_are_told_as_one_update(room: Room):
    wave = a_wave()
    incident = await room.hear(wave)
    await silenced(room)
    await room.hear(more(wave, posts=70))
    await room.hear(more(wave, posts=80, sequence=2))

    assert await ended_silence(room) == 1

    assert await room.told(incident.id) == ["trigger", "update"]


async def test_a_silence_lets_through_what_is_worse_than_planned(room: Room):
    await silence(room, severity=61)
    wave = a_wave()
    incident = await room.hear(wave)
    assert await room.told(incident.id) == []

    await room.hear(more(wave, severity=61))

    assert await room.told(incident.id) == ["update"]


# ------------------------------------------------------------------------------ what is written


async def test_every_act_is_in_the_audit_with_who_what_when_and_from_where(room: Room):
    incident = await room.hear(a_wave())
    await room.act(incident.id, Verb.ASSIGN, assignee="Bo", via="slack")

    async with room.database.reading() as transaction:
        (line,) = await audit.page(transaction, limit=9)

    assert (line["who"], line["what"], line["target"]) == ("Ada", "incident.assign", incident.id)
    assert (line["via"], line["subject"]) == ("slack", "air-quillon")
    assert line["detail"] == {"assignee": "Bo"}


async def test_lines_have_places_that_grow_as_they_are_written(room: Room):
    first = await room.hear(a_wave())
    second = await room.hear(a_wave(subject="quillon-one"))
    await asyncio.gather(
        *(room.advancer.act(one.id, ADA_NOTES) for one in (first, second) for _ in range(4))
    )

    async with room.database.reading() as transaction:
        lines = [
            line for one in (first, second) for line in await history.timeline(transaction, one.id)
        ]
    assert sorted(line["position"] for line in lines) == list(range(1, 11))


ADA_NOTES = Act(verb=Verb.NOTE, by="Ada", note="calling legal about Éclair_9")


async def test_search_finds_words_of_titles_notes_and_posts_and_forgets_deleted_ones(room: Room):
    post = some_evidence("push:9", text="Mon vol est ANNULÉ, merci @air_quillon")
    incident = await room.hear(a_wave(evidence=(post,)))
    await room.advancer.act(incident.id, ADA_NOTES)

    for asked in ("annule", "vol annulé", "@Air_Quillon", "eclair_9", "legal calling", "annu"):
        assert await room.found(text=asked) == [incident.id], asked
    for asked in ("vols", "annulé billet", "an", "!!!", "quillon_air"):
        assert await room.found(text=asked) == [], asked

    await room.advancer.forget([a_deletion(id=PostId("push:9"))])
    assert await room.found(text="annule") == []
    assert await room.found(text="calling") == [incident.id]


async def test_an_event_of_an_episode_that_was_merged_twice_reaches_the_last_one(room: Room):
    waves = [a_wave(subject=f"s{n}") for n in range(3)]
    one, two, three = [await room.hear(wave) for wave in waves]
    await room.advancer.merge(one.id, two.id, ADA)
    await room.advancer.merge(two.id, three.id, ADA)

    await room.hear(more(waves[0], level=Level.CRISIS, page=True))

    assert (await room.stands(three.id)).level is Level.CRISIS
    assert (await room.told(three.id))[-1] == "update"
    assert await room.found(subject=EpisodeId("nobody")) == []
