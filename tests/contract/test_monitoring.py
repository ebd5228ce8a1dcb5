"""Dashboard and alert rules ask only for what our processes expose, and every query can be read."""

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import promql_parser
import pytest
import yaml
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

from services.alerter import metrics as alerter
from services.classifier import metrics as classifier
from services.ingest import metrics as ingest
from services.process import Health, Readiness
from tests.monitoring import ALERTS, DASHBOARD, DEPLOY, PANELS, queries
from uproar.watermark import State

SCRAPED = {"job", "instance"}
"""Labels that Prometheus adds."""
VALUES = {"state": {*map(str, State), "open", "acknowledged", "resolved", "snoozed"}}
"""Label values that may be asked for where they are few."""
SUFFIXES = {
    "counter": {"_total": set(), "_created": set()},
    "gauge": {"": set()},
    "histogram": {"_bucket": {"le"}, "_sum": set(), "_count": set(), "_created": set()},
    "info": {"_info": set()},
}


def exposed() -> dict[str, set[str]]:
    """Return every series name that a scrape of the three processes can bring, and its labels."""
    found: dict[str, set[str]] = {"up": SCRAPED}
    for family in Readiness(Health()).collect():
        found[family.name] = {*family._labelnames, *SCRAPED}
    for registry in (ingest.REGISTRY, classifier.REGISTRY, alerter.REGISTRY):
        found |= dict(_series(registry))
    return found


def _series(registry: CollectorRegistry) -> Iterator[tuple[str, set[str]]]:
    for collector in registry._collector_to_names:
        labels = set(getattr(collector, "_labelnames", ()))
        for family in collector.collect():
            for suffix, more in SUFFIXES[family.type].items():
                yield family.name + suffix, labels | more | SCRAPED


def selectors(query: str) -> list[Any]:
    """Return every series that a query asks for."""
    return list(_selectors(promql_parser.parse(query)))


def _selectors(part: Any) -> Iterator[Any]:
    if isinstance(part, promql_parser.VectorSelector):
        yield part
    for name in ("lhs", "rhs", "expr", "vector_selector"):
        if (inner := getattr(part, name, None)) is not None:
            yield from _selectors(inner)
    for inner in getattr(part, "args", None) or ():
        yield from _selectors(inner)


@pytest.mark.parametrize(("where", "query"), queries())
def test_every_query_asks_only_for_what_our_processes_expose(where, query):
    known = exposed()
    asked = selectors(query)
    assert asked, f"{where}: asks for nothing"
    for selector in asked:
        assert selector.name in known, f"{where}: nobody exposes {selector.name}"
        for matcher in selector.matchers.matchers:
            assert matcher.name in known[selector.name], (
                f"{where}: {selector.name} has no such label"
            )
            if matcher.name in VALUES:
                assert matcher.value in VALUES[matcher.name], where


@pytest.mark.parametrize(("where", "query"), queries())
def test_every_query_groups_and_joins_only_by_labels_that_are_there(where, query):
    named = {
        label.strip()
        for labels in re.findall(r"\b(?:by|on|without|ignoring)\s*\(([^)]*)\)", query)
        for label in labels.split(",")
    }
    known = set.union(*(exposed()[selector.name] for selector in selectors(query)))
    assert named <= known, where


def test_a_wrong_name_would_be_found():
    (selector,) = selectors('sum(rate(uproar_ingest_post_total{verdict="accepted"}[1m]))')
    assert selector.name not in exposed()
    with pytest.raises(ValueError, match=r"parse|paren|expected"):
        selectors("sum(rate(uproar_ingest_posts_total[1m])")


def test_the_dashboard_shows_what_the_issue_names():
    shown = {selector.name for _, query in queries() for selector in selectors(query)}
    assert {
        "uproar_classifier_lag_records",
        "uproar_classifier_event_time_timestamp_seconds",
        "uproar_ingest_posts_total",
        "uproar_alerter_post_to_page_seconds_bucket",
        "uproar_alerter_outbox_receiver_pending",
        "uproar_alerter_pages_30d",
        "uproar_alerter_budget_30d",
        "uproar_alerter_incidents",
    } <= shown


def test_every_panel_says_what_it_shows_and_takes_the_data_source_of_the_dashboard():
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])
    assert len({panel["title"] + panel["type"] for panel in PANELS}) == len(PANELS)
    for panel in PANELS:
        assert panel["description"].endswith(".")
        assert panel["fieldConfig"]["defaults"]["unit"]
        for target in panel["targets"]:
            assert target["datasource"]["uid"] == panel["datasource"]["uid"] == "${datasource}"
            assert 'job=~"$job"' in target["expr"]
    assert {each["name"] for each in DASHBOARD["templating"]["list"]} == {"datasource", "job"}


def test_no_panel_covers_another():
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        at = panel["gridPos"]
        assert at["x"] + at["w"] <= 24
        cells = {
            (x, y)
            for x in range(at["x"], at["x"] + at["w"])
            for y in range(at["y"], at["y"] + at["h"])
        }
        assert not cells & taken, panel["title"]
        taken |= cells


def test_every_alert_says_how_bad_it_is_and_what_to_do():
    assert len({rule["alert"] for rule in ALERTS}) == len(ALERTS)
    for rule in ALERTS:
        assert rule["labels"]["severity"] in {"page", "ticket"}
        assert set(rule["annotations"]) == {"summary", "description"}


RULE_TESTS = yaml.safe_load((DEPLOY / "prometheus" / "rules.test.yml").read_text("utf-8"))["tests"]


@pytest.mark.parametrize("alert", [rule["alert"] for rule in ALERTS])
def test_every_alert_has_a_case_in_which_it_fires_and_one_in_which_it_does_not(alert):
    fires = {
        bool(case["exp_alerts"])
        for test in RULE_TESTS
        for case in test["alert_rule_test"]
        if case["alertname"] == alert
    }
    assert fires == {True, False}


AT_START = """
from prometheus_client import generate_latest
from services.alerter import metrics as alerter
from services.alerter.consume import Taker
from services.classifier import metrics as classifier
from services.classifier.guard import Guard
from services.ingest import metrics as ingest
Guard("uproar-score", None, dead_letters="dead", down=())
Taker(None, None, None)
for registry in (ingest.REGISTRY, classifier.REGISTRY, alerter.REGISTRY):
    print(generate_latest(registry).decode())
"""
"""What the processes build before they read their first record."""


def test_every_counter_of_an_alert_is_0_before_anything_has_happened():
    # increase() of a counter that is born with its first rise sees no rise.
    done = subprocess.run(
        [sys.executable, "-c", AT_START], capture_output=True, text=True, timeout=60, check=True
    )
    shown = [
        sample
        for family in text_string_to_metric_families(done.stdout)
        for sample in family.samples
        if family.type == "counter"
    ]
    asked = [
        selector
        for rule in ALERTS
        for selector in selectors(rule["expr"])
        if selector.name.endswith("_total")
    ]
    assert {s.name for s in asked} >= {"uproar_classifier_dead_letters_total"}
    for selector in asked:
        wanted = {m.name: m.value for m in selector.matchers.matchers}
        found = [
            sample.value
            for sample in shown
            if sample.name == selector.name and sample.labels.items() >= wanted.items()
        ]
        assert found, f"{selector.name} {wanted} is not there from the start"
        assert set(found) == {0}


def test_what_is_scraped_are_the_three_services_on_their_ports():
    config = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text("utf-8"))
    (job,) = config["scrape_configs"]
    assert job["job_name"] == "uproar"
    assert job["static_configs"][0]["targets"] == [
        "ingest:8081",
        "classifier:8082",
        "alerter:8080",
    ]


@pytest.mark.parametrize(
    "check", [("check", "config", "prometheus.yml"), ("test", "rules", "rules.test.yml")]
)
def test_prometheus_itself_takes_them_and_the_alerts_fire_when_they_should(check):
    if (promtool := shutil.which("promtool")) is None:
        pytest.skip("promtool is not installed: apt-get install prometheus")
    done = subprocess.run(
        [promtool, *check], cwd=DEPLOY / "prometheus", capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr
