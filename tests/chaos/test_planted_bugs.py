"""The campaign is worth its time: it finds bugs that were planted, and a seed replays exactly."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest
from sqlalchemy import update

from services.alerter.deliver import Deliverer
from services.alerter.notifier import Delivery, Outcome, Sent
from services.alerter.store.database import Database
from services.alerter.store.outbox import SqlOutbox, _settled
from services.alerter.store.tables import DELIVERIES
from tests.chaos.campaign import quiet, stage
from tests.chaos.schedule import Product, Stage
from tests.chaos.verdict import Verdict
from uproar.routing import ReceiverName

ENOUGH = 400
"""Schedules within which a planted bug must be found; a campaign has 25 times as many."""


class ReceiptBeforeTheSend(Deliverer):
    """Writes `delivered` first and sends then: a crash or a failure in between loses the page."""

    async def _deliver(self, delivery: Delivery, since: float, stop: Any) -> None:
        if await self._keep(delivery, Sent("receipt"), stop):
            await self._attempt(delivery, since)


class LeaseWithoutFence(SqlOutbox):
    """Takes a receipt from whoever comes with one, however old its lease is."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self._db = database

    async def settle(
        self, delivery: Delivery, outcome: Outcome, *, now: datetime, next_at: datetime | None
    ) -> bool:
        statement = (
            update(DELIVERIES)
            .where(DELIVERIES.c.id == delivery.id)
            .values(lease_owner=None, leased_at=None, **_settled(outcome, now, next_at))
        )
        async with self._db.writing() as transaction:
            return (await transaction.execute(statement)).rowcount == 1


class StormAndAlone(Deliverer):
    """Sends what it has told in a storm once more, alone."""

    async def _attempt(self, delivery: Delivery, since: float) -> Outcome:
        outcome = await super()._attempt(delivery, since)
        if delivery.bundle and isinstance(outcome, Sent):
            await super()._attempt(replace(delivery, bundle=()), since)
        return outcome


class StormLeftOpen(SqlOutbox):
    """Never says that all the incidents of a storm have come as far as the notice says."""

    async def lease(self, receiver: ReceiverName, **given: Any) -> Sequence[Delivery]:
        leased = await super().lease(receiver, **given)
        return [replace(delivery, bundle_state=None) for delivery in leased]


STORM, STORM_WITH_ACTS = 2150, 2030
"""Seeds: many pages in one message to PagerDuty, and in one to Slack; in the first all end."""


@pytest.fixture(autouse=True)
def silence() -> None:
    quiet()


def found(product: Product, *, first: int = 0) -> Verdict | None:
    """Play schedules from a seed on until one breaks a promise."""
    with stage(product) as one:
        verdicts = (one.replay(seed) for seed in range(first, first + ENOUGH))
        return next((verdict for verdict in verdicts if not verdict.fine), None)


@pytest.fixture(scope="module")
def sound() -> Iterator[Stage]:
    with stage() as one:
        yield one


def test_a_receipt_that_is_written_before_the_send_is_found() -> None:
    verdict = found(Product(deliverer=ReceiptBeforeTheSend))
    assert verdict is not None
    assert verdict.lost


def test_a_lease_without_a_fence_is_found() -> None:
    verdict = found(Product(outbox=LeaseWithoutFence), first=260)  # the campaign meets one at 280
    assert verdict is not None
    assert verdict.lost or verdict.pagerduty_duplicates or verdict.wrong_end


def test_a_storm_is_told_in_one_message_and_its_alert_ends_with_it(sound: Stage) -> None:
    verdict = sound.replay(STORM)
    assert verdict.fine, verdict
    assert verdict.bundles == 2


def test_an_incident_that_is_paged_in_a_storm_and_alone_is_found() -> None:
    with stage(Product(deliverer=StormAndAlone)) as one:
        verdict = one.replay(STORM_WITH_ACTS)
    assert verdict.pagerduty_duplicates


def test_a_storm_whose_alert_stays_open_is_found() -> None:
    with stage(Product(outbox=StormLeftOpen)) as one:
        verdict = one.replay(STORM)
    (left_open,) = verdict.wrong_end
    assert ":storm:" in left_open


@pytest.mark.parametrize("seed", [3, 7, 11])
def test_a_seed_takes_the_same_steps_again(sound: Stage, seed: int) -> None:
    first, second = sound.replay(seed), sound.replay(seed)
    assert first == second


def test_the_product_keeps_its_promises_in_some_schedules(sound: Stage) -> None:
    verdicts: Sequence[Verdict] = [sound.replay(seed) for seed in range(60)]
    assert [verdict for verdict in verdicts if not verdict.fine] == []
    assert sum(verdict.pages for verdict in verdicts) > 100
    assert sum(len(verdict.deaths) for verdict in verdicts) > 20
    assert {fault for verdict in verdicts for fault in verdict.faults} >= {"429", "silent", "cut"}
