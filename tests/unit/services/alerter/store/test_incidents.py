from datetime import timedelta

from services.alerter.store import deletions, history, incidents, search
from services.alerter.store.columns import safe
from services.alerter.store.database import Database
from services.alerter.store.filter import Filter
from services.alerter.store.incidents import Arrival
from tests.build import NOON, a_backlash, a_deletion, a_moment, a_subject, a_why, some_evidence
from uproar.backlash import Backlash, Event, episode_id
from uproar.incident import Act, Incident, IncidentId, State, Verb, advance
from uproar.post import PostId
from uproar.subject import Kind, SubjectId


async def kept(database: Database, event: Backlash, **subject) -> Incident:
    """Store the incident that an event opens."""
    incident, lines = advance(None, event, now=NOON)
    async with database.writing() as transaction:
        watched = a_subject(event.subject, **subject)
        await incidents.create(transaction, incident, watched, now=NOON)
        await incidents.remember_event(transaction, incident.id, event, Arrival(), now=NOON)
        await incidents.add_evidence(transaction, incident, event.evidence)
        await incidents.write_down(transaction, incident, lines)
        await search.index(transaction, incident.id)
    return incident


def an_event(number: int, subject: str = "air-quillon", **given) -> Backlash:
    """An event of its own incident, opened so many minutes after noon."""
    at = a_moment(minutes=number)
    given.setdefault("evidence", ())
    return a_backlash(subject=subject, incident=episode_id(SubjectId(subject), at), at=at, **given)


async def test_an_incident_comes_back_as_it_was_stored(database: Database):
    evidence = (some_evidence("push:2"), some_evidence("push:1", author=None, url=None))
    why = a_why(gates={"share": "open"}, parts={"reach": 0.5})

    incident = await kept(database, a_backlash(evidence=evidence, why=why))

    async with database.writing() as transaction:
        assert await incidents.locked(transaction, incident.id) == incident


async def test_what_became_of_it_is_stored_too(database: Database):
    incident = await kept(database, a_backlash())
    acted, lines = advance(
        incident, Act(verb=Verb.ACKNOWLEDGE, by="Ada", note="on it"), now=a_moment(minutes=3)
    )

    async with database.writing() as transaction:
        await incidents.save(transaction, acted)
        await incidents.write_down(transaction, acted, lines)

    async with database.reading() as transaction:
        assert await incidents.locked(transaction, incident.id) == acted
        timeline = await history.timeline(transaction, incident.id)
    assert [(line["happened"], line["by"], line["summary"]) for line in timeline] == [
        ("opened", "uproar", a_why().summary),
        ("acknowledge", "Ada", "on it"),
    ]


async def test_an_unknown_incident_is_none(database: Database):
    async with database.writing() as transaction:
        assert await incidents.locked(transaction, IncidentId("e_none")) is None
        assert await history.incident(transaction, "e_none") is None


async def test_texts_lose_what_no_database_keeps(database: Database):
    hostile = "a\x00b\ud800c 🔥"
    incident = await kept(
        database, a_backlash(evidence=(some_evidence(text=hostile),), why=a_why(summary=hostile))
    )

    async with database.writing() as transaction:
        again = await incidents.locked(transaction, incident.id)

    assert again is not None
    assert again.evidence[0].text == again.title == again.why.summary == safe(hostile) == "ab?c 🔥"


async def test_a_post_cited_again_is_kept_once_and_moves_to_the_newest(database: Database):
    incident = await kept(
        database, a_backlash(evidence=(some_evidence("a:1"), some_evidence("a:2")))
    )
    grew = a_backlash(
        Event.GREW, sequence=1, evidence=(some_evidence("a:3"), some_evidence("a:1", why="again"))
    )
    grown, _ = advance(incident, grew, now=NOON)

    async with database.writing() as transaction:
        await incidents.add_evidence(transaction, grown, grew.evidence)
        rows = await history.evidence(transaction, incident.id)
        cited = await incidents.cited(transaction, incident.id)

    assert [row["post"] for row in rows] == ["a:3", "a:1", "a:2"]
    assert [post.id for post in cited] == ["a:3", "a:1"]


async def test_the_list_goes_from_the_newest_to_the_oldest_in_pages(database: Database):
    stored = [await kept(database, an_event(number)) for number in (3, 1, 2)]
    async with database.reading() as transaction:
        first = await history.incidents(transaction, Filter(), limit=2)
        after = (first[-1]["opened_at"], first[-1]["id"])
        second = await history.incidents(transaction, Filter(), limit=2, after=after)

    expected = sorted(stored, key=lambda incident: incident.opened_at, reverse=True)
    assert [row["id"] for row in first + second] == [incident.id for incident in expected]


async def test_two_that_opened_in_the_same_moment_are_both_listed_over_pages(database: Database):
    for subject in ("a", "b", "c"):
        await kept(database, an_event(0, subject))
    seen, after = [], None
    async with database.reading() as transaction:
        for _ in range(3):
            (row,) = await history.incidents(transaction, Filter(), limit=1, after=after)
            seen.append(row["subject"])
            after = (row["opened_at"], row["id"])

    assert sorted(seen) == ["a", "b", "c"]


async def test_each_filter_leaves_out_what_it_should(database: Database):
    quiet = await kept(database, an_event(1, "shy-brand", severity=10))
    await kept(
        database,
        an_event(2, severity=90, evidence=(some_evidence(text="They broke 100% of my GUITAR_s"),)),
    )

    async def found(**asked) -> list[str]:
        async with database.reading() as transaction:
            rows = await history.incidents(transaction, Filter(**asked), limit=9)
        return [row["subject"] for row in rows]

    both = ["air-quillon", "shy-brand"]
    assert await found() == both
    assert await found(states=[State.OPEN]) == both
    assert await found(states=[State.RESOLVED, State.ACKNOWLEDGED]) == []
    assert await found(subject="shy-brand") == ["shy-brand"]
    assert await found(severity_min=11) == ["air-quillon"]
    assert await found(since=quiet.opened_at) == both
    assert await found(since=quiet.opened_at + timedelta(seconds=1)) == ["air-quillon"]
    assert await found(until=quiet.opened_at) == []
    assert await found(text="guitar_S") == ["air-quillon"]
    assert await found(text="100%") == ["air-quillon"]
    assert await found(text="1000") == []
    assert await found(text="Shy") == ["shy-brand"]


async def test_counts_tell_states_and_the_worst_that_is_not_resolved(database: Database):
    await kept(database, an_event(1, severity=30))
    await kept(database, an_event(2, severity=50))
    ended = an_event(3, event=Event.ENDED, severity=99)
    await kept(database, ended)

    async with database.reading() as transaction:
        counts = await history.counts(transaction, states=State)

    assert counts.by_state[State.OPEN] == 2
    assert counts.by_state[State.RESOLVED] == 1
    assert counts.by_state[State.ACKNOWLEDGED] == 0
    assert counts.worst_severity == 50


async def test_without_incidents_there_is_no_worst(database: Database):
    async with database.reading() as transaction:
        assert (await history.counts(transaction)).worst_severity is None


async def test_a_canary_is_in_no_list_and_no_count(database: Database):
    incident = await kept(database, a_backlash(), kind=Kind.CANARY)

    async with database.reading() as transaction:
        assert await history.incidents(transaction, Filter(), limit=9) == []
        assert (await history.counts(transaction)).by_state[State.OPEN] == 0
        assert await history.incident(transaction, incident.id) is not None


async def test_a_deleted_post_is_blank_now_and_when_it_comes_again(database: Database):
    post = some_evidence("push:1")
    incident = await kept(database, a_backlash(evidence=(post, some_evidence("push:2"))))

    async with database.writing() as transaction:
        touched = await deletions.remember(transaction, [a_deletion(id=PostId("push:1"))], now=NOON)
        rows = await history.evidence(transaction, incident.id)
        again = await deletions.redacted(transaction, [post, some_evidence("push:2")])

    assert touched == {incident.id: {"push:1"}}
    assert [(row["text"], row["author"], row["url"]) for row in rows] == [
        ("[deleted]", None, None),
        (post.text, post.author, post.url),
    ]
    assert [item.text for item in again] == ["[deleted]", post.text]


async def test_a_deleted_account_takes_all_its_posts_along(database: Database):
    theirs = [some_evidence(f"push:{n}", author="a_gone") for n in range(2)]
    nobodys = some_evidence("push:9", author=None)
    incident = await kept(database, a_backlash(evidence=(*theirs, nobodys)))

    async with database.writing() as transaction:
        await deletions.remember(transaction, [a_deletion(author="a_gone")], now=NOON)
        rows = await history.evidence(transaction, incident.id)
        again = await deletions.redacted(transaction, [theirs[0], nobodys])

    assert [row["text"] for row in rows] == ["[deleted]", "[deleted]", nobodys.text]
    assert [post.text for post in again] == ["[deleted]", nobodys.text]


async def test_a_tombstone_that_names_nothing_blanks_nothing(database: Database):
    incident = await kept(database, a_backlash(evidence=(some_evidence(author=None),)))

    async with database.writing() as transaction:
        assert await deletions.remember(transaction, [a_deletion(id=None)], now=NOON) == {}
        (row,) = await history.evidence(transaction, incident.id)

    assert row["text"] == some_evidence().text
