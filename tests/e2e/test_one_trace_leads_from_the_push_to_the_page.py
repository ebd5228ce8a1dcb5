"""With a collector of OpenTelemetry, the page's trace begins with the push that closed its minute."""

from pathlib import Path

from services.demo.standins.__main__ import toml
from services.demo.story import WATCH
from tests.e2e.house import end_of, house, short_story, write
from tests.otlp import Collector, Span, collector
from tests.standins import standins

STEPS = {
    "push": "uproar-ingest",
    "score": "uproar-classifier",
    "decide": "uproar-classifier",
    "hear": "uproar-alerter",
    "deliver": "uproar-alerter",
}


def test_one_trace_leads_from_the_push_to_the_page(tmp_path: Path) -> None:
    with standins() as paged, collector() as collected:
        config = tmp_path / "uproar.toml"
        config.write_text(WATCH.read_text("utf-8") + toml(paged, "slack"), "utf-8")
        with house(tmp_path, OTEL_EXPORTER_OTLP_ENDPOINT=collected.url) as home:
            posts = short_story(seed=7)
            home.replay(write(tmp_path / "story.jsonl", posts))
            home.wait_until_judged(end_of(posts))
            home.wait("the page", lambda: any(m.what == "post" for m in paged.messages))
            assert home.stop() == 0  # what was collected is sent before a process ends
        page = _page(collected)
    chain = _upwards(page, collected)
    assert [step.name for step in chain] == ["deliver", "hear", "decide", "push"]
    assert {step.name for step in _trace(page, collected)} == set(STEPS)
    assert all(step.service == STEPS[step.name] for step in _trace(page, collected))


def _page(collected: Collector) -> Span:
    """Return the step that told Slack of the incident."""
    told = [
        step
        for steps in collected.traces.values()
        for step in steps
        if step.attributes.get("uproar.kind") == "trigger"
        and step.attributes["uproar.outcome"] == "sent"
    ]
    assert {step.attributes["uproar.receiver"] for step in told} == {"local-slack"}
    return told[0]


def _trace(step: Span, collected: Collector) -> list[Span]:
    return next(steps for steps in collected.traces.values() if step in steps)


def _upwards(step: Span, collected: Collector) -> list[Span]:
    """Return a step and those it goes back to, the first push last."""
    by_id = {each.id: each for each in _trace(step, collected)}
    chain = [step]
    while chain[-1].parent in by_id:
        chain.append(by_id[chain[-1].parent])
    return chain
