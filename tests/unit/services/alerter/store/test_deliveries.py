import asyncio
from datetime import datetime

import pytest

from services.alerter.advance import Advancer
from services.alerter.notifier import Delivery, Lease, Refused, Retry, Sent, Unknown
from services.alerter.store import backlog, deliveries
from services.alerter.store.database import Database
from services.alerter.store.incidents import Arrival
from services.alerter.store.outbox import SqlOutbox
from tests.build import NOON, a_backlash, a_deletion, a_moment, some_evidence
from uproar.backlash import Event, Level, episode_id
from uproar.incident import Act, IncidentId, Verb
from uproar.notice import NoticeKind
from uproar.post import PostId
from uproar.routing import ReceiverName, Route
from uproar.subject import SubjectId

ROOM, DUTY = ReceiverName("war-room"), ReceiverName("duty")


@pytest.fixture
def outbox(database: Database) -> SqlOutbox:
    return SqlOutbox(database)


async def opened(advancer: Advancer, subject: str = "air-quillon", **given) -> IncidentId:
    incident = await advancer.hear(a_backlash(subject=subject, **given), Arrival())
    assert incident is not None
    return incident.id


async def leased(
    outbox: SqlOutbox, receiver: ReceiverName = ROOM, *, now: datetime = NOON, owner: str = "w"
) -> list[Delivery]:
    return list(await outbox.lease(receiver, now=now, owner=owner, limit=10))


async def states(database: Database, incident: IncidentId) -> list[str]:
    async with database.reading() as transaction:
        rows = await deliveries.of_incident(transaction, incident)
    return [row["state"] for row in rows if row["receiver"] == ROOM]


def acknowledge() -> Act:
    return Act(verb=Verb.ACKNOWLEDGE, by="Ada")


async def test_a_page_is_leased_whole_and_once(advancer: Advancer, outbox: SqlOutbox):
    accepted_at = a_moment(seconds=-7)
    arrival = Arrival(
        accepted_at=accepted_at, traceparent="00-" + "1" * 32 + "-" + "2" * 16 + "-01"
    )
    await advancer.hear(a_backlash(), arrival)

    (delivery,) = await leased(outbox)

    assert await leased(outbox) == []
    assert (delivery.kind, delivery.attempt, delivery.fence) == (NoticeKind.TRIGGER, 1, 1)
    assert delivery.notice.page
    assert delivery.notice.quotes[0].text == some_evidence().text
    assert delivery.notice.link == f"http://console.test/incidents/{delivery.incident}"
    assert delivery.deadline == a_moment(seconds=60)
    assert (delivery.accepted_at, delivery.traceparent) == (accepted_at, arrival.traceparent)
    assert not delivery.doubtful
    assert len(await leased(outbox, DUTY)) == 1


async def test_who_has_something_due_is_known_in_one_look(advancer: Advancer, outbox: SqlOutbox):
    assert await outbox.due(now=NOON) == set()
    await opened(advancer)
    assert await outbox.due(now=NOON) == {ROOM, DUTY}
    (page,) = await leased(outbox)
    assert await outbox.due(now=NOON) == {DUTY}

    later = a_moment(seconds=40)
    assert await outbox.settle(page, Retry("busy"), now=NOON, next_at=later)
    assert await outbox.due(now=a_moment(seconds=39)) == {DUTY}
    assert await outbox.due(now=later) == {ROOM, DUTY}
    assert ROOM in await outbox.due(now=a_moment(minutes=-30))  # the clock was set back
    assert len(await leased(outbox, now=a_moment(minutes=-30))) == 1


async def test_what_is_sent_is_done_and_gives_the_next_one_its_parent(
    advancer: Advancer, outbox: SqlOutbox, database: Database
):
    incident = await opened(advancer)
    (page,) = await leased(outbox)
    await advancer.act(incident, acknowledge())
    assert await leased(outbox) == []  # the page is in flight: the acknowledgement waits

    assert await outbox.settle(page, Sent("ts-1"), now=a_moment(seconds=2), next_at=None)
    (acknowledged,) = await leased(outbox)

    assert (acknowledged.kind, acknowledged.parent_ref) == (NoticeKind.ACKNOWLEDGE, "ts-1")
    await outbox.settle(acknowledged, Sent(None), now=NOON, next_at=None)
    await advancer.act(incident, Act(verb=Verb.RESOLVE, by="Ada"))
    (resolved,) = await leased(outbox)
    assert resolved.parent_ref == "ts-1"
    assert await states(database, incident) == ["delivered", "delivered", "leased"]


async def test_what_must_be_sent_again_waits_for_its_time_and_holds_those_behind_it(
    advancer: Advancer, outbox: SqlOutbox
):
    incident = await opened(advancer)
    (page,) = await leased(outbox)
    await advancer.act(incident, acknowledge())

    later = a_moment(seconds=10)
    assert await outbox.settle(page, Retry("HTTP 503"), now=NOON, next_at=later)

    assert await leased(outbox, now=a_moment(seconds=9)) == []
    (again,) = await leased(outbox, now=later)
    assert (again.id, again.attempt, again.fence, again.doubtful) == (page.id, 2, 2, False)


async def test_a_lost_answer_makes_the_next_attempt_doubtful(
    advancer: Advancer, outbox: SqlOutbox, database: Database
):
    incident = await opened(advancer)
    (page,) = await leased(outbox)

    await outbox.settle(page, Unknown("timeout"), now=NOON, next_at=a_moment(seconds=5))

    assert await states(database, incident) == ["sent_unknown"]
    (again,) = await leased(outbox, now=a_moment(seconds=5))
    assert again.doubtful


async def test_what_is_refused_is_dead_and_holds_nothing_back(
    advancer: Advancer, outbox: SqlOutbox, database: Database
):
    incident = await opened(advancer)
    (page,) = await leased(outbox)
    await outbox.settle(page, Refused("channel_not_found"), now=NOON, next_at=None)
    await advancer.act(incident, acknowledge())

    (after,) = await leased(outbox)

    assert after.kind is NoticeKind.ACKNOWLEDGE
    assert await states(database, incident) == ["dead", "leased"]
    async with database.reading() as transaction:
        rows = await deliveries.of_incident(transaction, incident)
    assert [row["last_error"] for row in rows if row["state"] == "dead"] == ["channel_not_found"]


async def test_a_lease_of_a_dead_sender_is_taken_over_and_its_late_receipt_is_fenced_off(
    advancer: Advancer, outbox: SqlOutbox, database: Database
):
    incident = await opened(advancer)
    (slow,) = await leased(outbox, owner="slow")
    after = a_moment(seconds=30)
    leases = await outbox.leases()
    assert leases == [Lease(slow.id, slow.fence)]

    assert await outbox.reclaim([Lease(slow.id, slow.fence - 1)], now=after) == 0
    assert await outbox.reclaim(leases, now=after) == 1
    (quick,) = await leased(outbox, now=after, owner="quick")

    assert (quick.id, quick.fence, quick.doubtful) == (slow.id, slow.fence + 1, True)
    assert not await outbox.settle(slow, Refused("too late"), now=after, next_at=None)
    assert await outbox.settle(quick, Sent("ts"), now=after, next_at=None)
    assert not await outbox.settle(quick, Retry("again"), now=after, next_at=None)
    assert await states(database, incident) == ["delivered"]


async def test_a_receipt_that_comes_after_the_lease_but_before_a_successor_counts(
    advancer: Advancer, outbox: SqlOutbox
):
    await opened(advancer)
    (slow,) = await leased(outbox)
    await outbox.reclaim(await outbox.leases(), now=NOON)

    assert await outbox.settle(slow, Sent("ts"), now=NOON, next_at=None)
    assert await leased(outbox) == []


async def test_a_receiver_that_wants_to_be_left_alone_is(advancer: Advancer, outbox: SqlOutbox):
    await opened(advancer)
    until = a_moment(seconds=30)

    await outbox.rate_limited(ROOM, until, now=NOON)
    await outbox.rate_limited(ROOM, a_moment(seconds=10), now=NOON)  # never shortens it

    assert await leased(outbox, now=a_moment(seconds=29)) == []
    assert len(await leased(outbox, DUTY)) == 1
    assert len(await leased(outbox, now=until)) == 1


async def test_pages_go_first_then_the_older(advancer: Advancer, outbox: SqlOutbox, clock):
    older = await opened(advancer, "older")
    (page,) = await leased(outbox)
    await outbox.settle(page, Sent("1"), now=NOON, next_at=None)
    grew = a_backlash(Event.GREW, sequence=1, subject="older", page=False)
    await advancer.hear(grew, Arrival())
    clock.forward(seconds=1)
    newer = await opened(advancer, "newer", incident=episode_id(SubjectId("newer"), NOON))

    due = await leased(outbox, now=clock.now)

    assert [(d.incident, d.kind) for d in due] == [
        (newer, NoticeKind.TRIGGER),
        (older, NoticeKind.UPDATE),
    ]


async def test_no_more_is_leased_than_asked_for(advancer: Advancer, outbox: SqlOutbox):
    for subject in ("a", "b", "c"):
        await opened(advancer, subject, incident=episode_id(SubjectId(subject), NOON))

    due = await outbox.lease(ROOM, now=NOON, owner="w", limit=2)

    assert len(due) == 2


async def test_workers_that_lease_at_once_never_get_the_same(advancer: Advancer, outbox: SqlOutbox):
    for number in range(12):
        subject = f"s{number}"
        await opened(advancer, subject, incident=episode_id(SubjectId(subject), NOON))

    batches = await asyncio.gather(
        *(outbox.lease(ROOM, now=NOON, owner=f"w{n}", limit=3) for n in range(6))
    )

    got = [delivery.id for batch in batches for delivery in batch]
    assert len(got) == len(set(got)) == 12


async def test_the_backlog_tells_how_many_wait_and_since_when(
    advancer: Advancer, outbox: SqlOutbox, database: Database
):
    await opened(advancer)
    async with database.reading() as transaction:
        waits = await backlog.measured(transaction)
    assert (waits.pending, waits.oldest) == (2, NOON)

    for receiver in (ROOM, DUTY):
        (page,) = await leased(outbox, receiver)
        await outbox.settle(page, Sent(), now=NOON, next_at=None)
    async with database.reading() as transaction:
        waits = await backlog.measured(transaction)
    assert (waits.pending, waits.oldest) == (0, None)


async def test_what_waits_for_a_failover_is_counted_until_nobody_needs_it(
    advancer: Advancer, outbox: SqlOutbox, database: Database, clock
):
    room, duty = advancer._routes[0].receivers
    advancer._routes = [Route(name="default", receivers=(room,), failover=(duty,))]

    async def waiting() -> tuple[int, set[str]]:
        async with database.reading() as transaction:
            found = await backlog.measured(transaction)
        return found.pending, set(found.by_receiver)

    incident = await opened(advancer)
    assert await waiting() == (2, {ROOM, DUTY})  # nobody has the page yet
    (page,) = await leased(outbox)
    await outbox.settle(page, Sent(), now=NOON, next_at=None)
    assert await waiting() == (0, set())
    assert await outbox.stand_down() == 1

    await advancer.hear(
        a_backlash(Event.GREW, sequence=1, level=Level.CRISIS, page=True), Arrival()
    )
    (crisis,) = await leased(outbox)
    await outbox.settle(crisis, Refused("gone"), now=NOON, next_at=a_moment(minutes=5))
    (called,) = await leased(outbox, DUTY)
    await outbox.settle(called, Retry("busy"), now=NOON, next_at=a_moment(minutes=1))
    await advancer.act(incident, Act(verb=Verb.ACKNOWLEDGE, by="anna"))
    assert await waiting() == (4, {ROOM, DUTY})  # the page, and that somebody has it, to each


async def test_a_snooze_that_is_over_is_not_given_up_where_it_is_refused(
    advancer: Advancer, outbox: SqlOutbox, database: Database, clock
):
    room, duty = advancer._routes[0].receivers
    advancer._routes = [Route(name="default", receivers=(room,), failover=(duty,))]
    incident = await opened(advancer)
    (page,) = await leased(outbox)
    await outbox.settle(page, Sent(), now=NOON, next_at=None)
    until = a_moment(minutes=60)
    await advancer.act(incident, Act(verb=Verb.SNOOZE, by="Ada", until=until))
    (snoozed,) = await leased(outbox)
    await outbox.settle(snoozed, Sent(), now=NOON, next_at=None)
    clock.now = until
    assert await advancer.ring() == 1
    assert [await outbox.stand_down() for _ in range(3)] == [
        1,
        1,
        0,
    ]  # the page, and that it sleeps

    (wake,) = await leased(outbox, now=until)
    await outbox.settle(wake, Refused("gone"), now=until, next_at=a_moment(minutes=65))

    assert (wake.kind, wake.notice.page) == (NoticeKind.TRIGGER, False)
    (called,) = await leased(outbox, DUTY, now=until)
    assert called.kind is NoticeKind.TRIGGER
    async with database.reading() as transaction:
        found = await backlog.audit(transaction, late=a_moment(minutes=62), receivers=[ROOM, DUTY])
    assert found.unheard == 1


async def test_a_deleted_post_leaves_a_page_that_is_still_to_be_sent(
    advancer: Advancer, outbox: SqlOutbox
):
    await opened(advancer, evidence=(some_evidence("push:1"), some_evidence("push:2")))

    await advancer.forget([a_deletion(id=PostId("push:1"))])

    (page,) = await leased(outbox)
    assert [(q.text, q.url) for q in page.notice.quotes] == [
        ("[deleted]", None),
        (some_evidence().text, some_evidence().url),
    ]


async def test_watch_level_tells_nobody_and_the_rise_to_alert_does(
    advancer: Advancer, outbox: SqlOutbox
):
    await opened(advancer, level=Level.WATCH)
    assert await leased(outbox) == []

    rose = a_backlash(Event.GREW, sequence=1, level=Level.ALERT, page=True)
    await advancer.hear(rose, Arrival())

    (page,) = await leased(outbox)
    assert (page.kind, page.notice.page) == (NoticeKind.TRIGGER, True)
