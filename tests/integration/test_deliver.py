"""Deliver, store and notifiers together against stand-ins that fail: nothing lost, nothing doubled."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import pytest

from services.alerter.deliver import Deliverer
from services.alerter.notifier import (
    UNLIMITED,
    Delivery,
    DeliveryId,
    Lease,
    Notifier,
    Outbox,
    Pace,
    Refused,
    Retry,
    Sent,
    Unknown,
)
from services.alerter.notifier.exchange import Surroundings
from services.alerter.notifiers import build, new_client
from services.alerter.settings import ReceiverTable
from services.alerter.store import deliveries, incidents
from services.alerter.store.database import Database
from services.alerter.store.outbox import SqlOutbox
from services.demo.standins import Fault, StandIns
from services.demo.standins.pagerduty import AlertState
from tests.build import a_backlash, a_subject
from tests.databases import ENGINES, drop, migrated, new_url
from tests.outbox import LINK, MemoryOutbox, a_delivery, a_notice
from uproar.incident import Act, Incident, State, Verb, advance
from uproar.notice import NoticeKind, notice
from uproar.routing import ReceiverName

RECEIVERS = ("slack", "pagerduty", "webhook")


class Clock:
    """The wall clock, which a test may put forward."""

    def __init__(self) -> None:
        self.ahead = timedelta()

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.ahead

    def forward(self, **by: float) -> None:
        self.ahead += timedelta(**by)


class Store:
    """One outbox of any kind, and what a test must put into it and see of it."""

    def __init__(self, outbox: Outbox, put: Callable[..., Any], rows: Callable[..., Any]) -> None:
        self.outbox, self.put, self.rows = outbox, put, rows

    async def states(self, receiver: str | None = None) -> list[str]:
        """The states of all deliveries, by receiver and place."""
        rows = [r for r in await self.rows() if receiver in {None, r["receiver"]}]
        rows.sort(key=lambda r: (r["incident"], r["receiver"], r["sequence"]))
        return [row["state"] for row in rows]


def in_memory() -> Store:
    outbox = MemoryOutbox()

    async def put(_: Incident, delivery: Delivery) -> None:
        outbox.put(delivery)

    async def rows() -> list[dict[str, Any]]:
        return [
            {
                "incident": row.delivery.incident,
                "receiver": row.delivery.receiver,
                "sequence": row.delivery.sequence,
                "state": row.state,
            }
            for row in outbox.rows.values()
        ]

    return Store(outbox, put, rows)


def in_sql(database: Database) -> Store:
    known: list[Incident] = []

    async def put(incident: Incident, delivery: Delivery) -> None:
        async with database.writing() as transaction:
            if incident.id not in {one.id for one in known}:
                subject = a_subject(incident.subject)
                await incidents.create(transaction, incident, subject, now=incident.updated_at)
                known.append(incident)
            await deliveries.enqueue(transaction, [delivery])

    async def rows() -> list[dict[str, Any]]:
        async with database.reading() as transaction:
            return [
                row
                for incident in known
                for row in await deliveries.of_incident(transaction, incident.id)
            ]

    return Store(SqlOutbox(database), put, rows)


@pytest.fixture
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    if request.param == "memory":
        yield in_memory()
        return
    url = new_url(tmp_path, request.param)
    async with migrated(url) as database:
        yield in_sql(database)
    drop(url)


EVERY = pytest.mark.parametrize("store", ["memory", *ENGINES], indirect=True)
DURABLE = pytest.mark.parametrize("store", ENGINES, indirect=True)


class Unpaced:
    """A notifier whose receiver takes as much as comes: these tests are not about its pace."""

    pace = UNLIMITED

    def __init__(self, notifier: Notifier) -> None:
        self._notifier = notifier

    def __getattr__(self, name: str) -> Any:
        return getattr(self._notifier, name)


class House:
    """An outbox, the stand-ins, and as many workers as a test wants."""

    def __init__(self, store: Store, standins: StandIns, client: Any, clock: Clock) -> None:
        self.store, self.standins, self.clock = store, standins, clock
        self.outbox: Outbox = store.outbox
        standins.ledger.clock = clock
        surroundings = Surroundings(client=client, installation="i1", clock=clock)
        tables = [
            ReceiverTable(name=kind, type=kind, options=options)
            for kind, options in standins.tables().items()
        ]
        self.notifiers = {n: Unpaced(one) for n, one in build(tables, surroundings).items()}
        self.written = asyncio.Event()
        self.story: dict[str, Incident] = {}
        self.count = 0

    def worker(
        self,
        owner: str = "w",
        outbox: Outbox | None = None,
        seed: int = 1,
        timeout: float = 10,
        lease: float = 15,
    ) -> Deliverer:
        return Deliverer(
            outbox or self.outbox,
            self.notifiers,
            clock=self.clock,
            rng=Random(seed),
            owner=owner,
            written=self.written,
            poll=timedelta(milliseconds=30),
            timeout=timedelta(seconds=timeout),
            lease=timedelta(seconds=lease),
        )

    @asynccontextmanager
    async def working(self, *workers: Deliverer) -> AsyncIterator[None]:
        stop = asyncio.Event()
        tasks = [asyncio.create_task(w.run(stop)) for w in workers or [self.worker()]]
        try:
            yield
        finally:
            stop.set()
            await asyncio.gather(*tasks)

    async def happens(self, kind: NoticeKind, subject: str = "air-quillon") -> None:
        """Write what an incident's next step means to every receiver."""
        was = self.story.get(subject)
        step: Any = a_backlash(subject=subject)
        if kind is NoticeKind.ACKNOWLEDGE:
            step = Act(verb=Verb.ACKNOWLEDGE, by="anna")
        elif kind is NoticeKind.RESOLVE:
            step = Act(verb=Verb.RESOLVE, by="anna")
        now = self.clock()
        incident, lines = advance(was, step, now=now)
        self.story[subject] = incident
        said = notice(incident, lines[0], subject=a_subject(subject), url=LINK, was=was)
        for receiver in RECEIVERS:
            self.count += 1
            delivery = Delivery(
                id=DeliveryId(f"01J{self.count:05}"),
                incident=incident.id,
                episode=1,
                sequence=lines[0].sequence,
                receiver=ReceiverName(receiver),
                kind=kind,
                notice=said,
                created_at=now,
            )
            await self.store.put(incident, delivery)
        self.written.set()

    async def all_delivered(self, *, hurry: bool = False) -> None:
        """Wait for it; ``hurry`` puts the clock forward so that no wait has to be waited out."""
        async with asyncio.timeout(120):
            while set(await self.store.states()) != {"delivered"}:
                if hurry:
                    self.clock.forward(seconds=5)
                await asyncio.sleep(0.05)

    def told_as_it_is(self, kind: NoticeKind) -> None:
        """Every receiver stands where the incidents stand; no page, post or event exists twice."""
        state = {
            NoticeKind.TRIGGER: AlertState.TRIGGERED,
            NoticeKind.ACKNOWLEDGE: AlertState.ACKNOWLEDGED,
            NoticeKind.RESOLVE: AlertState.RESOLVED,
        }[kind]
        ids = sorted(incident.id for incident in self.story.values())
        alerts = [(alert.key, alert.state) for alert in self.standins.pagerduty.alerts]
        assert sorted(alerts) == [(f"uproar:i1:{id}:1", state) for id in ids]  # noqa: A001
        posts = self.standins.slack.top_level()
        assert sorted(post.metadata["event_payload"]["incident"] for post in posts) == ids
        step = list(NoticeKind).index(kind)
        assert {len(self.standins.slack.thread(post.ts)) for post in posts} == {step}
        assert len(self.standins.webhook.ids) == len(ids) * (step + 1)

    def slack_texts(self) -> list[str]:
        return [message.text for message in self.standins.slack.top_level()]


@pytest.fixture
async def house(store: Store) -> AsyncIterator[House]:
    async with StandIns() as standins, new_client() as client:
        yield House(store, standins, client, Clock())


# ---------------------------------------------------------------------- the outbox's contract


async def lease(
    store: Store,
    now: datetime,
    *,
    limit: int = 10,
    receiver: str = "slack",
    pace: Pace = UNLIMITED,
) -> list[Delivery]:
    name = ReceiverName(receiver)
    return list(await store.outbox.lease(name, now=now, owner="w", limit=limit, pace=pace))


async def written(store: Store, *, subject: str = "a", sequence: int = 1, **given: Any) -> Delivery:
    now = given.setdefault("created_at", datetime(2026, 3, 2, 12, tzinfo=UTC))
    incident, _ = advance(None, a_backlash(subject=subject), now=now)
    receiver = given.pop("receiver", "slack")
    given["notice"] = replace(given.get("notice") or a_notice(), incident=incident.id)
    delivery = a_delivery(
        receiver,
        id=f"01J{receiver}{subject}{sequence}{given.get('kind', '')}{given.get('standby', '')}",
        incident=incident.id,
        sequence=sequence,
        **given,
    )
    await store.put(incident, delivery)
    return delivery


NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


@EVERY
async def test_a_delivery_is_leased_to_one_and_settled_once(store: Store):
    await written(store)
    (mine,) = await lease(store, NOON)
    assert (mine.attempt, mine.fence, mine.doubtful, mine.parent_ref) == (1, 1, False, None)
    assert await lease(store, NOON) == []
    assert await store.outbox.settle(mine, Sent("ref"), now=NOON, next_at=None)
    assert not await store.outbox.settle(mine, Sent("ref"), now=NOON, next_at=None)
    assert await store.states() == ["delivered"]


@EVERY
async def test_an_old_fence_settles_nothing(store: Store):
    await written(store)
    (old,) = await lease(store, NOON)
    later = NOON + timedelta(seconds=30)
    leases = await store.outbox.leases()
    assert await store.outbox.reclaim([Lease(old.id, 7)], now=later) == 0
    assert await store.outbox.reclaim(leases, now=later) == 1
    (new,) = await lease(store, later)
    assert (new.attempt, new.fence, new.doubtful) == (2, 2, True)
    assert not await store.outbox.settle(old, Sent("old"), now=later, next_at=None)
    assert await store.outbox.settle(new, Sent("new"), now=later, next_at=None)


@EVERY
async def test_a_delivery_holds_those_behind_it_and_its_ref_is_handed_on(store: Store):
    await written(store)
    await written(store, sequence=2, kind=NoticeKind.ACKNOWLEDGE)
    (first,) = await lease(store, NOON)
    assert await lease(store, NOON) == []
    wait = NOON + timedelta(seconds=5)
    await store.outbox.settle(first, Retry("down"), now=NOON, next_at=wait)
    assert await lease(store, NOON) == []
    (again,) = await lease(store, wait)
    assert again.id == first.id
    assert not again.doubtful
    await store.outbox.settle(again, Sent("C1:1.0"), now=wait, next_at=None)
    (second,) = await lease(store, wait)
    assert (second.kind, second.parent_ref) == (NoticeKind.ACKNOWLEDGE, "C1:1.0")


@EVERY
async def test_what_is_refused_is_dead_and_holds_nobody(store: Store):
    await written(store)
    await written(store, sequence=2)
    (first,) = await lease(store, NOON)
    await store.outbox.settle(first, Refused("gone"), now=NOON, next_at=None)
    (second,) = await lease(store, NOON)
    assert (second.sequence, second.parent_ref) == (2, None)
    assert await store.states() == ["dead", "leased"]


@EVERY
async def test_doubt_stays_until_it_is_sent(store: Store):
    await written(store)
    (first,) = await lease(store, NOON)
    await store.outbox.settle(first, Unknown("lost"), now=NOON, next_at=NOON)
    (second,) = await lease(store, NOON)
    await store.outbox.settle(second, Retry("down"), now=NOON, next_at=NOON)
    (third,) = await lease(store, NOON)
    assert [d.doubtful for d in (first, second, third)] == [False, True, True]


@EVERY
async def test_pages_go_first_and_only_so_many_at_once(store: Store):
    quiet = replace(a_delivery().notice, page=False)
    await written(store, subject="a", kind=NoticeKind.UPDATE, notice=quiet)
    await written(store, subject="b", kind=NoticeKind.RESOLVE, notice=quiet)
    await written(store, subject="c", created_at=NOON + timedelta(seconds=1))
    later = NOON + timedelta(seconds=2)
    kinds = [d.kind for d in await lease(store, later, limit=2)]
    assert kinds == [NoticeKind.TRIGGER, NoticeKind.RESOLVE]
    assert [d.kind for d in await lease(store, later, limit=2)] == [NoticeKind.UPDATE]


@EVERY
async def test_a_receiver_that_asked_for_rest_is_left_alone_and_no_other(store: Store):
    await written(store)
    await written(store, receiver="pagerduty", sequence=2)
    until = NOON + timedelta(seconds=60)
    for rest in (until, NOON + timedelta(seconds=5)):
        await store.outbox.rate_limited(ReceiverName("slack"), rest, now=NOON)
    assert await lease(store, until - timedelta(seconds=1)) == []
    assert len(await lease(store, NOON, receiver="pagerduty")) == 1
    assert len(await lease(store, until)) == 1


@EVERY
async def test_a_pace_is_kept_by_all_who_lease_and_outlives_them(store: Store):
    pace = Pace(every=timedelta(seconds=10), burst=2)
    for n in range(5):
        await written(store, subject=f"s{n}")
    assert len(await lease(store, NOON, pace=pace)) == 2
    assert await lease(store, NOON + timedelta(seconds=9), pace=pace) == []
    assert len(await lease(store, NOON + timedelta(seconds=10), pace=pace)) == 1
    assert len(await lease(store, NOON + timedelta(seconds=60), pace=pace)) == 2


@EVERY
async def test_a_clock_that_is_set_back_holds_no_page(store: Store):
    pace = Pace(every=timedelta(seconds=10), burst=1)
    for n in range(2):
        await written(store, subject=f"s{n}")
    assert len(await lease(store, NOON, pace=pace)) == 1
    later = NOON + timedelta(seconds=5)
    assert await lease(store, later, pace=pace) == []
    earlier = NOON - timedelta(days=1)
    assert len(await lease(store, earlier, pace=pace)) == 1


@DURABLE
async def test_times_of_a_clock_that_was_set_back_since_count_as_come(store: Store):
    await written(store)
    (page,) = await lease(store, NOON)
    await store.outbox.settle(page, Retry("down"), now=NOON, next_at=NOON + timedelta(seconds=5))
    await store.outbox.rate_limited(ReceiverName("slack"), NOON + timedelta(minutes=1), now=NOON)
    assert await lease(store, NOON) == []
    assert len(await lease(store, NOON - timedelta(days=1))) == 1


@DURABLE
async def test_a_receiver_that_asks_for_rest_once_the_clock_was_set_back_is_left_alone(
    store: Store,
):
    await written(store)
    slack, earlier = ReceiverName("slack"), NOON - timedelta(hours=2)
    await store.outbox.rate_limited(slack, NOON + timedelta(minutes=1), now=NOON)
    until = earlier + timedelta(hours=1)
    await store.outbox.rate_limited(slack, until, now=earlier)
    assert await lease(store, until - timedelta(seconds=1)) == []
    assert len(await lease(store, until)) == 1


@DURABLE
async def test_an_update_that_nobody_has_seen_is_superseded_and_a_page_never_is(store: Store):
    quiet = replace(a_delivery().notice, page=False)
    deadline = NOON + timedelta(seconds=60)
    await written(store, deadline=deadline)
    for sequence in (2, 3):
        await written(store, sequence=sequence, kind=NoticeKind.UPDATE, notice=quiet)
    await written(store, sequence=4, kind=NoticeKind.UPDATE, deadline=deadline)
    await written(store, sequence=5, kind=NoticeKind.ACKNOWLEDGE, notice=quiet)
    assert await store.states() == ["pending", "superseded", "superseded", "pending", "pending"]
    await written(store, sequence=6, kind=NoticeKind.RESOLVE, notice=quiet)
    states = await store.states()
    assert states == ["pending", *["superseded"] * 2, "pending", "superseded", "pending"]
    sent = []
    while leased := await lease(store, NOON):
        sent += [one.sequence for one in leased]
        await store.outbox.settle(leased[0], Sent("C1:1"), now=NOON, next_at=None)
    assert sent == [1, 4, 6]


@DURABLE
async def test_an_update_that_may_have_been_seen_is_not_superseded(store: Store):
    quiet = replace(a_delivery().notice, page=False)
    await written(store, sequence=1, kind=NoticeKind.UPDATE, notice=quiet)
    (update,) = await lease(store, NOON)
    await store.outbox.settle(update, Unknown("lost"), now=NOON, next_at=NOON)
    await written(store, sequence=2, kind=NoticeKind.UPDATE, notice=quiet)
    assert await store.states() == ["sent_unknown", "pending"]


# -------------------------------------------------------------------------- those who stand by


async def paged(
    store: Store, *receivers: str, standbys: tuple[str, ...] = (), **given: Any
) -> None:
    """Write a page to receivers, and to those who stand by."""
    ranks = [(name, 0) for name in receivers] + [(n, i) for i, n in enumerate(standbys, 1)]
    deadline = NOON + timedelta(seconds=60)
    for name, standby in ranks:
        await written(
            store, receiver=name, standby=standby, deadline=deadline, created_at=NOON, **given
        )


async def send(store: Store, receiver: str, now: datetime, outcome: Any = None) -> list[int]:
    """Lease what is due and settle it; returns the sequences."""
    leased = await lease(store, now, receiver=receiver)
    for one in leased:
        again = None if isinstance(outcome or Sent(), Sent) else now + timedelta(seconds=300)
        await store.outbox.settle(one, outcome or Sent(f"{receiver}:1"), now=now, next_at=again)
    return [one.sequence for one in leased]


@DURABLE
async def test_who_stands_by_is_paged_at_the_deadline_where_one_gave_no_receipt(store: Store):
    await paged(store, "slack", "pagerduty", standbys=("mail", "hook"))
    before, deadline, last = (NOON + timedelta(seconds=s) for s in (59, 60, 120))
    assert await send(store, "slack", NOON, Retry("down")) == [1]
    assert await send(store, "pagerduty", NOON) == [1]
    await store.outbox.stand_down()
    assert await send(store, "mail", before) == []
    assert await send(store, "mail", deadline) == [1]
    assert await store.outbox.stand_down() == 1  # the mail has arrived: the hook is not needed
    assert await send(store, "hook", last) == []
    assert await store.states("hook") == ["superseded"]
    assert await store.states("slack") == ["retry_at"]  # and is not given up


@DURABLE
async def test_the_next_who_stands_by_is_paged_where_the_one_before_fails_as_well(store: Store):
    await paged(store, "slack", standbys=("mail", "hook"))
    assert await send(store, "slack", NOON, Retry("down")) == [1]
    assert await send(store, "mail", NOON + timedelta(seconds=60), Retry("down")) == [1]
    assert await store.outbox.stand_down() == 0
    assert await send(store, "hook", NOON + timedelta(seconds=119)) == []
    assert await send(store, "hook", NOON + timedelta(seconds=120)) == [1]


@DURABLE
async def test_a_refusal_pages_who_stands_by_at_once(store: Store):
    await paged(store, "slack", standbys=("mail",))
    assert await send(store, "slack", NOON, Refused("token_revoked")) == [1]
    assert await store.states("slack") == ["retry_at"]
    assert await send(store, "mail", NOON) == [1]


@DURABLE
async def test_who_was_never_called_hears_nothing_and_who_was_hears_the_end(store: Store):
    quiet = replace(a_delivery().notice, page=False)
    for subject, late in (("calm", False), ("late", True)):
        await paged(store, "slack", standbys=("mail",), subject=subject)
        (page,) = await lease(store, NOON)
        outcome = Retry("down") if late else Sent("C1:1")
        again = NOON + timedelta(seconds=300) if late else None
        await store.outbox.settle(page, outcome, now=NOON, next_at=again)
    for subject in ("calm", "late"):
        given = {"kind": NoticeKind.RESOLVE, "notice": quiet, "subject": subject}
        await written(store, receiver="mail", sequence=2, standby=1, **given)
    assert [await store.outbox.stand_down() for _ in range(3)] == [1, 1, 0]
    deadline = NOON + timedelta(seconds=60)
    assert await send(store, "mail", deadline) == [1]
    assert await send(store, "mail", deadline) == [2]
    assert await send(store, "mail", deadline) == []
    assert sorted(await store.states("mail")) == ["delivered"] * 2 + ["superseded"] * 2
    await written(store, receiver="mail", sequence=3, standby=1, **given | {"subject": "calm"})
    assert len(await store.states("mail")) == 4


# ------------------------------------------------------------------------------------ in a storm

SLOW = Pace(every=timedelta(seconds=1), burst=1, bundle=8)


@DURABLE
async def test_more_pages_than_a_receiver_takes_go_out_bound_together(store: Store):
    deadline = NOON + timedelta(seconds=60)
    for n in range(20):
        await written(store, subject=f"s{n:02}", deadline=deadline)
    named: list[str] = []
    for second in range(3):
        (one,) = await lease(store, NOON + timedelta(seconds=second), pace=SLOW)
        assert await lease(store, NOON + timedelta(seconds=second), pace=SLOW) == []
        named += [one.incident, *(notice.incident for notice in one.bundle)]
        await store.outbox.settle(one, Sent("C1:1"), now=NOON, next_at=None)
        assert len(one.bundle) == (7 if second < 2 else 0)  # the last few go one by one again
    assert len(set(named)) == len(named) == 17
    assert sorted(await store.states()) == ["delivered"] * 17 + ["pending"] * 3


@DURABLE
async def test_a_bundle_stays_together_until_it_has_arrived(store: Store):
    deadline = NOON + timedelta(seconds=60)
    for n in range(12):
        await written(store, subject=f"s{n:02}", deadline=deadline)
    (first,) = await lease(store, NOON, pace=SLOW)
    await store.outbox.reclaim(await store.outbox.leases(), now=NOON)
    later = NOON + timedelta(seconds=5)
    again = next(d for d in await lease(store, later, pace=SLOW) if d.id == first.id)
    assert again.bundle == first.bundle
    assert again.doubtful
    assert not await store.outbox.settle(first, Sent("old"), now=later, next_at=None)
    assert await store.outbox.settle(again, Unknown("lost"), now=later, next_at=later)
    assert (await store.states()).count("sent_unknown") == 8
    assert (await store.states()).count("leased") == 0


@DURABLE
async def test_what_follows_a_bundle_knows_it_and_when_all_of_it_is_over(store: Store):
    deadline = NOON + timedelta(seconds=60)
    for n in range(12):
        await written(store, subject=f"s{n:02}", deadline=deadline)
    (storm,) = await lease(store, NOON, pace=SLOW)
    await store.outbox.settle(storm, Sent("uproar:storm"), now=NOON, next_at=None)
    for n in (0, 1):
        await written(store, subject=f"s{n:02}", sequence=2, kind=NoticeKind.RESOLVE)
    ends = [d for d in await lease(store, NOON) if d.kind is NoticeKind.RESOLVE]
    assert [(d.parent_ref, d.bundle_ref, d.bundle_state) for d in ends] == [
        (None, "uproar:storm", State.OPEN)
    ] * 2


# --------------------------------------------------------------------- against the stand-ins


@DURABLE
async def test_an_incident_is_told_from_its_page_to_its_end(house: House):
    async with house.working():
        for kind in (NoticeKind.TRIGGER, NoticeKind.ACKNOWLEDGE, NoticeKind.RESOLVE):
            await house.happens(kind)
            await house.all_delivered()
    told = [(m.service, m.what) for m in house.standins.messages]
    assert [what for service, what in told if service == "pagerduty"] == [
        "trigger",
        "acknowledge",
        "resolve",
    ]
    assert [what for service, what in told if service == "webhook"] == [
        "incident.opened",
        "incident.acknowledged",
        "incident.resolved",
    ]
    assert [what for service, what in told if service == "slack"] == [
        "post",
        *["update", "reply"] * 2,
    ]
    (alert,) = house.standins.pagerduty.alerts
    assert alert.state is AlertState.RESOLVED
    assert house.slack_texts() == [
        "✅ Over: backlash against Air Quillon. 40 people complained, detected "
        + house.story["air-quillon"].opened_at.strftime("%Y-%m-%d %H:%M UTC")
        + ". Closed by anna."
    ]


class Dying:
    """An outbox whose process dies between the send and the receipt, so many times."""

    def __init__(self, outbox: Outbox, deaths: int) -> None:
        self._outbox, self.deaths = outbox, deaths
        self.died = asyncio.Event()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._outbox, name)

    async def settle(self, *args: Any, **given: Any) -> bool:
        if self.deaths <= 0:
            return await self._outbox.settle(*args, **given)
        self.deaths -= 1
        self.died.set()
        await asyncio.Event().wait()
        raise AssertionError


@DURABLE
async def test_a_death_between_send_and_receipt_loses_no_page_and_doubles_none(house: House):
    await house.happens(NoticeKind.TRIGGER)
    dying = Dying(house.outbox, deaths=3)
    work = asyncio.create_task(house.worker("first", dying).run(asyncio.Event()))
    async with asyncio.timeout(60):
        while dying.deaths:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    work.cancel()
    await asyncio.gather(work, return_exceptions=True)
    assert set(await house.store.states()) == {"leased"}
    async with house.working(house.worker("second", timeout=1, lease=1.5)):
        await house.all_delivered()
    assert len(house.standins.slack.top_level()) == 1
    assert [alert.triggers for alert in house.standins.pagerduty.alerts] == [2]
    effects = [m.effect for m in house.standins.messages if m.service == "webhook"]
    assert effects == ["new", "dropped"]


@DURABLE
async def test_two_workers_on_one_outbox_send_nothing_twice(house: House):
    for n in range(12):
        await house.happens(NoticeKind.TRIGGER, f"brand-{n}")
    async with house.working(house.worker("first"), house.worker("second", seed=2)):
        await house.all_delivered()
    assert len(house.standins.slack.top_level()) == 12
    assert [alert.triggers for alert in house.standins.pagerduty.alerts] == [1] * 12
    assert len(house.standins.webhook.ids) == 12
    assert len(house.standins.messages) == 36


@DURABLE
async def test_a_rate_limit_outlives_the_process_that_met_it(house: House):
    house.standins.trouble(Fault.RATE_LIMITED, path="/slack", retry_after=300)
    await house.happens(NoticeKind.TRIGGER)
    async with house.working(house.worker("first")), asyncio.timeout(60):
        while await house.store.states("slack") != ["retry_at"]:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
        await house.happens(NoticeKind.TRIGGER, "another")
    house.clock.forward(seconds=250)
    async with house.working(house.worker("second")):
        await asyncio.sleep(0.3)
        assert house.standins.slack.top_level() == []
        house.clock.forward(seconds=60)
        await house.all_delivered()
    assert len(house.standins.slack.top_level()) == 2


@DURABLE
@pytest.mark.parametrize("seed", range(2))
async def test_a_storm_of_failures_loses_nothing_and_doubles_no_page(house: House, seed: int):
    rng = Random(seed)
    subjects = [f"brand-{n}" for n in range(8)]
    passing = [
        Fault.RATE_LIMITED,
        Fault.UNAVAILABLE,
        Fault.SERVER_ERROR,
        Fault.REDIRECT,
        Fault.DROPPED,
        Fault.CUT,
    ]
    async with house.working(house.worker("first", seed=seed), house.worker("second")):
        for kind in (NoticeKind.TRIGGER, NoticeKind.ACKNOWLEDGE, NoticeKind.RESOLVE):
            for _ in range(12):
                path = rng.choice(["/slack", "/pagerduty", "/webhook"])
                house.standins.trouble(rng.choice(passing), path=path)
            for subject in subjects:
                await house.happens(kind, subject)
            await house.all_delivered(hurry=True)
            house.told_as_it_is(kind)


@DURABLE
async def test_pages_go_out_while_one_receiver_is_down_for_good(house: House):
    house.standins.trouble(Fault.SILENT, path="/slack", times=100)
    async with house.working(house.worker(timeout=1)), asyncio.timeout(60):
        for n in range(6):
            await house.happens(NoticeKind.TRIGGER, f"brand-{n}")
        while len(house.standins.pagerduty.alerts) < 6:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
        assert "delivered" not in await house.store.states("slack")
        house.standins.troubles.waiting.clear()
