"""What the campaign counts, and what makes it fail: told of receivers and sums that are made up."""

import sqlite3
from collections.abc import Sequence
from typing import Any

import pytest
from click.testing import CliRunner

from services.demo.standins.pagerduty import Alert, AlertState
from tests.chaos import campaign, kills
from tests.chaos.real import Real
from tests.chaos.trial import differences
from tests.chaos.verdict import Verdict, _second_alerts, _wrong_end

COLUMNS = (
    "incident", "episode", "sequence", "kind", "bundle", "receiver", "attempt", "was", "pages",
)  # fmt: skip


def rows(*given: tuple[Any, ...]) -> list[sqlite3.Row]:
    """Rows of the outbox: incident, sequence, kind, bundle, and how it stood before."""
    connection = sqlite3.connect(":memory:")
    connection.row_factory = sqlite3.Row
    connection.execute(f"CREATE TABLE deliveries ({', '.join(COLUMNS)})")
    for incident, sequence, kind, bundle, *was in given:
        row = (incident, 1, sequence, kind, bundle, "pagerduty", 1, *(was or [None]), None)
        connection.execute("INSERT INTO deliveries VALUES (?,?,?,?,?,?,?,?,?)", row)
    return connection.execute("SELECT * FROM deliveries").fetchall()


def alone(incident: str, state: AlertState = AlertState.TRIGGERED) -> Alert:
    return Alert(key=f"uproar:i1:{incident}:1", summary="", severity="error", state=state)


def in_storm(bundle: str, *incidents: str, state: AlertState = AlertState.TRIGGERED) -> Alert:
    details = {"incidents": [{"incident": incident} for incident in incidents]}
    key = f"uproar:i1:storm:{bundle}:1"
    return Alert(key=key, summary="", severity="error", state=state, details=details)


AGAIN = Alert(key="uproar:i1:a:1.4", summary="", severity="error")
BUNDLED = (("a", 1, "trigger", "d1"), ("b", 1, "trigger", "d1"))


@pytest.mark.parametrize(
    ("deliveries", "alerts", "second"),
    [
        (BUNDLED, [in_storm("d1", "a", "b")], []),
        (BUNDLED, [in_storm("d1", "a", "b"), alone("a")], ["a:1"]),
        (BUNDLED, [in_storm("d1", "a", "b"), in_storm("d2", "b", "c")], ["b:0", "c:0"]),
        (BUNDLED, [in_storm("d1", "a", "b")] * 2, ["a:1", "b:1"]),
        ((*BUNDLED, ("a", 2, "update", None)), [in_storm("d1", "a", "b"), alone("a")], []),
        ([("a", 1, "trigger", None), ("a", 2, "update", None)], [alone("a")], []),
        ([("a", 1, "trigger", None), ("a", 2, "update", None)], [alone("a")] * 2, ["a:1"]),
        (
            [("a", 1, "trigger", None), ("a", 2, "resolve", None), ("a", 3, "trigger", None)],
            [alone("a")] * 2,
            [],
        ),
        (
            [("a", 1, "trigger", None), ("a", 4, "trigger", None, "snoozed")],
            [alone("a"), AGAIN],
            [],
        ),
        (
            [("a", 1, "trigger", None), ("a", 4, "trigger", None, "open")],
            [alone("a"), AGAIN],
            ["a:1"],
        ),
    ],
)
def test_an_incident_in_two_alerts_is_found_alone_or_in_a_storm(
    deliveries: Sequence[tuple[Any, ...]], alerts: list[Alert], second: list[str]
) -> None:
    assert sorted(_second_alerts(alerts, rows(*deliveries))) == sorted(second)


def test_a_storm_that_stays_open_and_one_that_is_closed_too_early_are_found() -> None:
    states = {"a": "resolved", "b": "resolved", "c": "open"}
    resolved = {"a", "b"}
    over = AlertState.RESOLVED
    fine = [in_storm("d1", "a", "b", state=over), in_storm("d2", "a", "c"), alone("b", over)]
    assert _wrong_end(fine, states, resolved, set()) == []
    wrong = [in_storm("d3", "a", "b"), in_storm("d4", "a", "c", state=over), alone("c", over)]
    assert _wrong_end(wrong, states, resolved, set()) == [alert.key for alert in wrong]
    assert _wrong_end(wrong[:1], states, resolved, {"a"}) == []
    assert _wrong_end([alone("c", over), alone("c")], states, resolved, set()) == []


def test_posts_in_slots_that_nobody_expects_count_as_counted_twice() -> None:
    expected = {("a", "12:00"): 3, ("a", "12:05"): 2}
    assert differences(expected, expected) == (0, 0)
    assert differences(expected, {("a", "12:00"): 1, ("a", "12:05"): 4}) == (2, 2)
    assert differences(expected, expected | {("a", "12:10"): 5}) == (0, 5)


@pytest.mark.parametrize(
    ("verdict", "real", "code"),
    [
        ({}, {}, 0),
        ({"slack_duplicates": 3}, {"slack_duplicates": 2}, 0),
        ({"lost": ["x"]}, {}, 1),
        ({"pagerduty_duplicates": ["x"]}, {}, 1),
        ({"unlabelled": 1}, {}, 1),
        ({"wrong_end": ["x"]}, {}, 1),
        ({}, {"pages_lost": 1}, 1),
        ({}, {"pagerduty_duplicates": 1}, 1),
        ({}, {"unlabelled": 1}, 1),
        ({}, {"posts_lost": 1}, 1),
        ({}, {"posts_counted_twice": 1}, 1),
    ],
)
def test_the_campaign_fails_for_whatever_was_promised_and_not_kept(
    monkeypatch: pytest.MonkeyPatch, verdict: dict[str, Any], real: dict[str, int], code: int
) -> None:
    monkeypatch.setattr(campaign, "schedules", lambda *_: [Verdict(seed=1, **verdict)])
    monkeypatch.setattr(kills, "campaign", lambda *_, **__: Real(**real))
    done = CliRunner().invoke(campaign.main, [])
    assert done.exit_code == code, done.output
    assert done.output.splitlines()[-1].startswith("chaos: 1 schedules, pages lost ")


def test_a_thousand_schedules_without_a_storm_prove_nothing() -> None:
    quiet = [Verdict(seed=seed) for seed in range(1000)]
    assert campaign.summed(quiet, Real())["no storm"]
    assert not campaign.summed([*quiet, Verdict(seed=7, bundles=1)], Real())["no storm"]
