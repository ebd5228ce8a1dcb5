import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from random import Random

import pytest
import structlog
from structlog.testing import LogCapture

from services.alerter import deliver, metrics
from services.alerter.deliver import GIVE_UP, HELD, WAITS, Deliverer, wait_before
from services.alerter.notifier import (
    UNLIMITED,
    Delivery,
    Outcome,
    Pace,
    Refused,
    Retry,
    Sent,
    Unknown,
)
from tests.build import NOON
from tests.outbox import MemoryOutbox, a_delivery, a_notice
from uproar.incident import IncidentId
from uproar.notice import NoticeKind
from uproar.routing import ReceiverName


@pytest.fixture
def logged(monkeypatch: pytest.MonkeyPatch) -> list:
    """What this room logs, whatever another test has made of logging."""
    capture = LogCapture()
    monkeypatch.setattr(deliver, "log", structlog.wrap_logger(None, processors=[capture]))
    return capture.entries


class Clock:
    """A wall clock that goes only when it is told to."""

    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> datetime:
        return self.now

    def forward(self, **by: float) -> None:
        self.now += timedelta(**by)


class ScriptedNotifier:
    """Does with each delivery what its script says next; then everything is sent."""

    type = "scripted"
    pace = UNLIMITED

    def __init__(self, name: str, *script: Outcome | Exception | Callable) -> None:
        self.name = ReceiverName(name)
        self.script = list(script)
        self.seen: list[Delivery] = []

    async def notify(self, delivery: Delivery) -> Outcome:
        self.seen.append(delivery)
        step = self.script.pop(0) if self.script else Sent(f"ref-{len(self.seen)}")
        if callable(step):
            step = await step(delivery)
        if isinstance(step, Exception):
            raise step
        return step

    async def check(self) -> Outcome:
        return Sent()


class House:
    """An outbox, a clock, notifiers and the workers between them."""

    def __init__(self, *notifiers: ScriptedNotifier, timeout: float = 5) -> None:
        self.clock, self.outbox, self.written = Clock(), MemoryOutbox(), asyncio.Event()
        self.deliverer = Deliverer(
            self.outbox,
            {n.name: n for n in notifiers},
            clock=self.clock,
            rng=Random(7),
            owner="test",
            written=self.written,
            poll=timedelta(milliseconds=10),
            timeout=timedelta(seconds=timeout),
            lease=timedelta(seconds=timeout + 0.3),
        )

    @asynccontextmanager
    async def working(self) -> AsyncIterator[asyncio.Event]:
        stop = asyncio.Event()
        work = asyncio.create_task(self.deliverer.run(stop))
        try:
            yield stop
        finally:
            stop.set()
            await work

    async def until(self, state: str, id: str = "01J0A") -> None:  # noqa: A002
        await eventually(lambda: self.outbox.rows[id].state == state)


async def eventually(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not true():  # noqa: ASYNC110 - what is waited for knows no events
            await asyncio.sleep(0.005)


async def forever(_: Delivery) -> Outcome:
    await asyncio.Event().wait()
    raise AssertionError


def count(outcome: str) -> float:
    labels = {"notifier": "scripted", "outcome": outcome}
    return metrics.REGISTRY.get_sample_value("uproar_alerter_deliveries_total", labels) or 0


def pages() -> float:
    return metrics.REGISTRY.get_sample_value("uproar_alerter_post_to_page_seconds_count") or 0


async def test_a_delivery_that_is_written_goes_out_and_its_receipt_is_kept():
    house = House(slack := ScriptedNotifier("slack"))
    before = count("sent")
    async with house.working():
        house.outbox.put(a_delivery())
        house.written.set()
        await house.until("delivered")
    assert house.outbox.rows["01J0A"].ref == "ref-1"
    assert [d.attempt for d in slack.seen] == [1]
    assert count("sent") == before + 1
    assert house.deliverer.problem() is None


async def test_a_delivery_goes_out_at_once_though_the_next_poll_is_far():
    house = House(ScriptedNotifier("slack"))
    house.deliverer._poll = timedelta(hours=1)
    async with house.working():
        await asyncio.sleep(0.05)
        house.outbox.put(a_delivery())
        house.written.set()
        await house.until("delivered")


async def test_who_has_nothing_due_costs_no_look_of_its_own():
    house = House(slack := ScriptedNotifier("slack"), ScriptedNotifier("duty"))
    asked = []
    lease = house.outbox.lease

    async def counted(receiver, **about):
        asked.append(receiver)
        return await lease(receiver, **about)

    house.outbox.lease = counted
    async with house.working():
        for number in range(5):
            house.outbox.put(a_delivery(id=f"01J0{number}", incident=f"i-{number}"))
            await house.until("delivered", f"01J0{number}")
    assert len(slack.seen) == 5
    assert asked.count("duty") <= 2  # at the start, and woken for the end


async def test_a_retry_waits_within_its_ceiling_and_then_succeeds():
    house = House(slack := ScriptedNotifier("slack", Retry("down"), Retry("down")))
    house.outbox.put(a_delivery())
    async with house.working():
        await house.until("retry_at")
        waits = house.outbox.rows["01J0A"].next_at - NOON
        assert timedelta() <= waits <= WAITS[0]
        assert house.deliverer.problem() == "slack: down"
        house.clock.forward(minutes=1)
        await eventually(lambda: len(slack.seen) == 2)
        house.clock.forward(minutes=1)
        await house.until("delivered")
    assert [d.attempt for d in slack.seen] == [1, 2, 3]
    assert not any(d.doubtful for d in slack.seen)
    assert house.deliverer.problem() is None


async def test_retry_after_holds_everything_for_that_receiver_and_nothing_for_another():
    limited = Retry("HTTP 429", after=timedelta(seconds=90))
    house = House(slack := ScriptedNotifier("slack", limited), pager := ScriptedNotifier("pager"))
    house.outbox.put(a_delivery())
    async with house.working():
        await house.until("retry_at")
        assert house.outbox.limits["slack"] == NOON + timedelta(seconds=90)
        house.outbox.put(a_delivery(id="01J0B", incident=IncidentId("e_2")))
        house.outbox.put(a_delivery("pager", id="01J0C"))
        house.written.set()
        await house.until("delivered", "01J0C")
        house.clock.forward(seconds=89)
        await asyncio.sleep(0.05)
        assert len(slack.seen) == 1
        house.clock.forward(seconds=2)
        await house.until("delivered")
        await house.until("delivered", "01J0B")
    assert len(pager.seen) == 1


async def test_what_is_refused_and_no_page_is_dead_and_said_aloud(logged):
    house = House(ScriptedNotifier("slack", Refused("Slack: token_revoked")))
    house.outbox.put(a_delivery(kind=NoticeKind.UPDATE, notice=a_notice(page=False)))
    async with house.working():
        await house.until("dead")
    assert house.deliverer.problem() == "slack: Slack: token_revoked"
    assert [(entry["log_level"], entry["reason"]) for entry in logged] == [
        ("error", "Slack: token_revoked")
    ]


@pytest.mark.parametrize("page", [True, False], ids=["page", "wake"])
async def test_a_trigger_that_was_refused_is_tried_again_until_a_person_has_mended_it(
    page: bool, logged: list
):
    refused = Refused("Slack: token_revoked")
    house = House(slack := ScriptedNotifier("slack", refused, refused))
    house.outbox.put(a_delivery(notice=a_notice(page=page)))
    async with house.working():
        for attempt in (1, 2):
            await eventually(lambda n=attempt: len(slack.seen) == n)
            await house.until("retry_at")
            assert house.outbox.rows["01J0A"].next_at == house.clock.now + HELD
            house.clock.forward(seconds=HELD.total_seconds())
        await house.until("delivered")
    assert [entry["log_level"] for entry in logged] == ["error", "error", "info"]


async def test_a_page_that_is_refused_after_its_incident_has_ended_is_dead():
    house = House(ScriptedNotifier("slack", Refused("Slack: token_revoked")))
    house.outbox.put(a_delivery(ended=True))
    async with house.working():
        await house.until("dead")


async def test_no_more_goes_out_than_the_receiver_takes():
    house = House(slack := ScriptedNotifier("slack"))
    slack.pace = Pace(every=timedelta(seconds=10), burst=2)
    for n in range(5):
        house.outbox.put(a_delivery(id=f"01J0{n}", incident=IncidentId(f"e_{n}")))
    async with house.working():
        for sent in (2, 3, 4, 5):
            await eventually(lambda n=sent: len(slack.seen) == n)
            await asyncio.sleep(0.05)
            assert len(slack.seen) == sent
            house.clock.forward(seconds=10)


async def test_a_delivery_whose_answer_was_lost_is_sent_again_as_doubtful():
    house = House(slack := ScriptedNotifier("slack", Unknown("the answer was lost")))
    house.outbox.put(a_delivery())
    async with house.working():
        await house.until("sent_unknown")
        house.clock.forward(minutes=1)
        await house.until("delivered")
    assert [d.doubtful for d in slack.seen] == [False, True]


async def test_a_receiver_that_never_answers_is_cut_off():
    house = House(slack := ScriptedNotifier("slack", forever), timeout=0.05)
    house.outbox.put(a_delivery())
    async with house.working():
        await house.until("sent_unknown")
        assert house.outbox.rows["01J0A"].reason == "no answer within 0.05 s"
        house.clock.forward(minutes=1)
        await house.until("delivered")
    assert len(slack.seen) == 2


async def test_a_slow_receiver_stalls_no_other():
    house = House(ScriptedNotifier("slack", forever, forever), ScriptedNotifier("pager"))
    house.deliverer._timeout = timedelta(seconds=1)
    house.outbox.put(a_delivery())
    house.outbox.put(a_delivery(id="01J0B", incident=IncidentId("e_2")))
    for n in range(20):
        delivery = a_delivery("pager", id=f"01J1{n:02}", incident=IncidentId(f"e_{n}"))
        house.outbox.put(delivery)
    async with house.working():
        await eventually(
            lambda: sum(r.state == "delivered" for r in house.outbox.rows.values()) == 20
        )
        assert house.outbox.rows["01J0A"].state == "leased"


@pytest.mark.usefixtures("logged")
async def test_a_notifier_that_crashes_is_our_fault_and_stops_nobody():
    broken = ScriptedNotifier("slack", ZeroDivisionError("xoxb-1-secret"))
    house = House(broken)
    house.outbox.put(a_delivery())
    house.outbox.put(a_delivery(id="01J0B", incident=IncidentId("e_2")))
    async with house.working():
        await house.until("sent_unknown")
        await house.until("delivered", "01J0B")
        assert (
            house.outbox.rows["01J0A"].reason
            == "uproar's own fault (ZeroDivisionError): see its log"
        )
        house.clock.forward(minutes=1)
        await house.until("delivered")


async def test_the_deliveries_of_an_incident_keep_their_order():
    house = House(slack := ScriptedNotifier("slack", Retry("down")))
    house.outbox.put(a_delivery())
    house.outbox.put(a_delivery(id="01J0B", sequence=2, kind=NoticeKind.ACKNOWLEDGE))
    house.outbox.put(a_delivery(id="01J0C", sequence=3, kind=NoticeKind.RESOLVE))
    async with house.working():
        await house.until("retry_at")
        await asyncio.sleep(0.05)
        assert len(slack.seen) == 1
        house.clock.forward(minutes=1)
        await house.until("delivered", "01J0C")
    assert [d.id for d in slack.seen] == ["01J0A", "01J0A", "01J0B", "01J0C"]
    assert [d.parent_ref for d in slack.seen] == [None, None, "ref-2", "ref-3"]


async def test_a_receipt_is_written_when_the_database_is_back():
    house = House(slack := ScriptedNotifier("slack"))

    async def while_the_database_dies(_: Delivery) -> Outcome:
        house.outbox.down = True
        return Sent("ref")

    slack.script.append(while_the_database_dies)
    house.outbox.put(a_delivery())
    async with house.working():
        await eventually(lambda: house.outbox.down)
        await eventually(lambda: house.deliverer.problem() is not None)
        assert "does not answer" in house.deliverer.problem()
        house.outbox.down = False
        await house.until("delivered")
        await eventually(lambda: house.deliverer.problem() is None)
    assert len(slack.seen) == 1


async def test_a_receipt_lost_at_the_end_leaves_the_delivery_leased():
    house = House(slack := ScriptedNotifier("slack"))

    async def while_the_database_dies(_: Delivery) -> Outcome:
        house.outbox.down = True
        return Sent("ref")

    slack.script.append(while_the_database_dies)
    house.outbox.put(a_delivery())
    async with house.working():
        await eventually(lambda: house.outbox.down)
    assert house.outbox.rows["01J0A"].state == "leased"


async def test_a_dead_process_leaves_nothing_behind_but_doubt(logged):
    house = House(slack := ScriptedNotifier("slack", forever), timeout=0.2)
    house.outbox.put(a_delivery())
    work = asyncio.create_task(house.deliverer.run(asyncio.Event()))
    await eventually(lambda: len(slack.seen) == 1)
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work
    assert house.outbox.rows["01J0A"].state == "leased"
    house.clock.forward(days=1)  # a jump of the wall clock ends no lease
    async with house.working():
        await asyncio.sleep(0.1)
        assert len(slack.seen) == 1
        await house.until("delivered")
    assert slack.seen[1].doubtful
    assert any("sender died" in entry["event"] for entry in logged)


async def test_a_receipt_under_an_old_fence_counts_for_nothing():
    house = House(slack := ScriptedNotifier("slack"))
    before = count("sent")

    async def while_another_takes_over(_: Delivery) -> Outcome:
        house.outbox.rows["01J0A"].fence += 1
        return Sent("stale")

    slack.script.append(while_another_takes_over)
    house.outbox.put(a_delivery())
    async with house.working():
        await eventually(lambda: len(slack.seen) == 1)
        await asyncio.sleep(0.05)
    assert house.outbox.rows["01J0A"].ref is None
    assert count("sent") == before


async def test_a_lease_that_is_still_worked_on_is_never_taken_over_by_its_own_process():
    house = House(slack := ScriptedNotifier("slack"), timeout=0.2)
    settle, outbox = house.outbox.settle, house.outbox

    async def slow(*args, **given):
        await asyncio.sleep(1)  # twice as long as a lease: the database is slow
        return await settle(*args, **given)

    outbox.settle = slow
    outbox.put(a_delivery())
    async with house.working():
        await house.until("delivered")
    assert [d.attempt for d in slack.seen] == [1]


async def test_what_was_held_up_between_lease_and_send_is_not_sent_under_a_lease_that_may_be_over():
    house = House(slack := ScriptedNotifier("slack"), timeout=0.2)
    lease, outbox = house.outbox.lease, house.outbox

    async def slow(*args, **given):
        leased = await lease(*args, **given)
        if leased and leased[0].attempt == 1:
            await asyncio.sleep(0.4)
        return leased

    outbox.lease = slow
    outbox.put(a_delivery())
    async with house.working():
        await house.until("retry_at")
        assert slack.seen == []
        house.clock.forward(minutes=1)
        await house.until("delivered")
    assert [d.attempt for d in slack.seen] == [2]


async def test_what_is_on_its_way_at_the_end_is_waited_for():
    arrived = asyncio.Event()

    async def slow(_: Delivery) -> Outcome:
        arrived.set()
        await asyncio.sleep(0.1)
        return Sent("ref")

    house = House(ScriptedNotifier("slack", slow))
    house.outbox.put(a_delivery())
    async with house.working() as stop:
        await arrived.wait()
        stop.set()
    assert house.outbox.rows["01J0A"].state == "delivered"


async def test_nothing_is_given_up_before_the_incident_has_ended():
    house = House(slack := ScriptedNotifier("slack", *[Retry("down")] * 2))
    house.outbox.put(a_delivery())
    async with house.working():
        await house.until("retry_at")
        house.clock.now = NOON + 3 * GIVE_UP
        await eventually(lambda: len(slack.seen) == 2)
        await house.until("retry_at")
        house.clock.forward(hours=1)
        await house.until("delivered")


async def test_nothing_is_given_up_before_a_week_has_passed():
    house = House(slack := ScriptedNotifier("slack", *[Retry("down")] * 3))
    house.outbox.put(a_delivery(ended=True))
    async with house.working():
        await house.until("retry_at")
        house.clock.now = NOON + GIVE_UP - timedelta(seconds=1)
        await eventually(lambda: len(slack.seen) == 2)
        await house.until("retry_at")
        house.clock.forward(hours=1)
        await house.until("dead")
    assert house.outbox.rows["01J0A"].reason == "not delivered within 7 days; at last: down"


async def test_the_time_from_post_to_page_is_measured_for_pages_only(logged):
    house = House(ScriptedNotifier("slack"))
    before = pages()
    accepted = NOON - timedelta(seconds=3)
    house.outbox.put(a_delivery(accepted_at=accepted))
    quiet = a_notice(page=False)
    house.outbox.put(
        a_delivery(id="01J0B", incident=IncidentId("e_2"), notice=quiet, accepted_at=accepted)
    )
    house.outbox.put(
        a_delivery(
            id="01J0C",
            incident=IncidentId("e_3"),
            kind=NoticeKind.CANARY,
            accepted_at=accepted,
        )
    )
    async with house.working():
        for id in ("01J0A", "01J0B", "01J0C"):  # noqa: A001
            await house.until("delivered", id)
    assert pages() == before + 1
    assert {entry["post_to_page_seconds"] for entry in logged} == {3.0}


async def test_a_receiver_nobody_serves_keeps_its_deliveries():
    house = House(ScriptedNotifier("slack"))
    house.outbox.put(a_delivery("removed"))
    async with house.working():
        await asyncio.sleep(0.05)
    assert house.outbox.rows["01J0A"].state == "pending"


def test_waits_grow_to_five_minutes_and_are_never_longer():
    class Longest(Random):
        def random(self) -> float:
            return 1.0

    seconds = [wait_before(n, Longest()).total_seconds() for n in range(1, 12)]
    assert seconds == [2, 5, 10, 20, 40, 60, 120, 300, 300, 300, 300]
    rng = Random(1)
    drawn = [wait_before(3, rng).total_seconds() for _ in range(1000)]
    assert min(drawn) < 1
    assert 9 < max(drawn) <= 10
