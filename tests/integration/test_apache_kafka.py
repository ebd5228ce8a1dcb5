"""
The whole product on Apache Kafka that fails: nothing is lost, nobody is paged twice.

What is doubled on the way is counted, and the time to recover is printed.
"""

import signal
import time

import pytest

from tests.broker import cluster
from tests.chaos import trial
from tests.chaos.real import Real
from tests.chaos.trial import Pace, Trial

pytestmark = [pytest.mark.kafka, pytest.mark.slow, pytest.mark.timeout(600)]

OUTAGES = (30, 75)
"""Seconds; the longer one is beyond the minute after which a silent source is not waited for."""
FAREWELLS = (signal.SIGTERM, signal.SIGKILL, signal.SIGTERM, signal.SIGKILL, signal.SIGKILL)
"""How each of five second classifiers ends: with its coming, ten rebalances."""
IN_THE_STORM = 0.45
"""The share of the posts that have come when the crisis begins."""


@pytest.fixture
def report(capsys):
    def say(what: str, real: Real) -> None:
        with capsys.disabled():
            print(
                f"\n{what}: posts lost {real.posts_lost}, counted twice {real.posts_counted_twice},"
                f" records doubled {real.posts_doubled}, pages lost {real.pages_lost},"
                f" second pages {real.pagerduty_duplicates + real.slack_duplicates}"
            )
        assert (real.posts_lost, real.posts_counted_twice, real.pages_lost) == (0, 0, 0)
        assert (real.pagerduty_duplicates, real.slack_duplicates) == (0, 0)

    return say


def test_of_three_nodes_any_one_may_die_and_come_back(tmp_path, report):
    told = []

    def trouble(under: Trial) -> None:
        for node, moment in ((2, IN_THE_STORM), (1, 0.75)):
            under.pace.wait_until(moment)
            before, began = under.acknowledged(), time.monotonic()
            kafka.kill(node)
            under.wait_until_it_goes_on(before)
            told.append(f"without node {node} it goes on after {time.monotonic() - began:.1f} s")
            kafka.restart(node)
            under.wait_until_well()

    with cluster(nodes=3) as kafka:
        real = trial.run(
            tmp_path, trouble, seed=21, pace=Pace(90, IN_THE_STORM), address=kafka.address
        )
    report(f"three nodes, {', '.join(told)}", real)


def test_ten_rebalances_in_a_crisis_cost_no_post_and_no_second_page(tmp_path, report):
    slowest = 0.0

    def trouble(under: Trial) -> None:
        nonlocal slowest
        under.pace.wait_until(IN_THE_STORM)
        for farewell in FAREWELLS:
            with under.second_classifier() as second:
                before, began = under.acknowledged(), time.monotonic()
                trial.end(second, farewell)
                under.wait_until_it_goes_on(before)
                slowest = max(slowest, time.monotonic() - began)

    with cluster() as kafka:
        real = trial.run(
            tmp_path, trouble, seed=22, pace=Pace(400, IN_THE_STORM), address=kafka.address
        )
    report(f"ten rebalances, goes on after {slowest:.1f} s at most", real)


@pytest.mark.parametrize("seconds", OUTAGES)
def test_a_broker_that_is_away_is_only_waited_for(tmp_path, report, seconds):
    took = 0.0

    def trouble(under: Trial) -> None:
        nonlocal took
        under.pace.wait_until(IN_THE_STORM)
        before = under.acknowledged()
        kafka.kill()
        time.sleep(seconds)
        kafka.restart()
        began = time.monotonic()
        under.wait_until_it_goes_on(before)
        under.wait_until_well()
        took = time.monotonic() - began

    with cluster() as kafka:
        real = trial.run(
            tmp_path, trouble, seed=23, pace=Pace(60, IN_THE_STORM), address=kafka.address
        )
    report(f"broker away for {seconds} s, all well {took:.1f} s after it is back", real)
