"""services/traces.py: one trace from step to step, and its spans where somebody wants them."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from services import traces
from services.traces import Kind, batch, child_traceparent, new_traceparent, span, trace_id
from uproar.errors import Misconfigured

TRACE = "00-" + "a" * 32 + "-" + "b" * 16 + "-01"


@pytest.fixture
def collected():
    """Spans, as they end."""
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    traces.use(provider)
    yield exporter
    traces.use(None)


@pytest.fixture(autouse=True)
def _no_settings_of_others(monkeypatch):
    import os

    for name in [name for name in os.environ if name.startswith("OTEL_")]:
        monkeypatch.delenv(name)
    yield
    traces.use(None)


def test_a_child_keeps_the_trace_and_changes_the_span():
    parent = new_traceparent(Random(1))
    child = child_traceparent(parent.encode(), Random(2))
    assert trace_id(parent) == trace_id(child) != ""
    assert parent != child


@given(st.one_of(st.none(), st.binary(max_size=80), st.text(max_size=80)))
def test_any_broken_parent_begins_a_new_trace(parent):
    assert trace_id(child_traceparent(parent, Random(3)))


def test_the_all_zero_trace_is_no_trace():
    assert trace_id(f"00-{'0' * 32}-{'1' * 16}-01") == ""


# ------------------------------------------------------------------------------ nobody collects


def test_where_nobody_collects_a_step_still_has_an_id_of_its_own():
    with span("push", parent=TRACE, rng=Random(1)) as step:
        step.note(uproar__posts=3)
        step.failed("nobody hears it")
    assert trace_id(step.traceparent) == trace_id(TRACE)
    assert step.traceparent != TRACE


def test_where_nobody_collects_a_step_without_chance_passes_its_parent_on():
    for parent, passed in ((TRACE, TRACE), (TRACE.encode(), TRACE), (None, ""), (b"\xff", "")):
        with span("hear", parent=parent) as step:
            assert step.traceparent == passed


def test_where_nobody_collects_a_batch_leaves_every_header_as_it_was():
    headers = (("traceparent", b"t"), ("accepted-at", b"now"))
    with batch("score", [headers]) as go_on:
        assert go_on(headers) is headers


# ----------------------------------------------------------------------------- somebody collects


def test_a_step_is_a_child_of_the_one_before_it(collected):
    with span("push", parent=TRACE, kind=Kind.SERVER, uproar__source="chirp") as first:
        pass
    with span("hear", parent=first.traceparent.encode()) as second:
        second.failed("the database is away")
    push, hear = collected.get_finished_spans()
    assert f"{push.context.trace_id:032x}" == trace_id(TRACE) == trace_id(second.traceparent)
    assert f"{push.parent.span_id:016x}" == "b" * 16
    assert hear.parent.span_id == push.context.span_id
    assert push.kind.name == "SERVER"
    assert push.attributes == {"uproar.source": "chirp"}
    assert hear.status.description == "the database is away"


@given(st.one_of(st.none(), st.binary(max_size=80), st.text(max_size=80)))
def test_a_broken_parent_begins_a_trace(parent):
    provider = TracerProvider()
    traces.use(provider)
    with span("push", parent=parent) as step:
        assert trace_id(step.traceparent)
    traces.use(None)


def test_a_batch_has_a_span_in_every_trace_that_it_is_a_step_of(collected):
    other = TRACE.replace("a", "c").encode()
    records = [
        (("traceparent", TRACE.encode()), ("accepted-at", b"now")),
        (("traceparent", other),),
        (("traceparent", TRACE.encode()),),
        (),
    ]
    with batch("score", records) as go_on:
        pass
    spans = collected.get_finished_spans()
    assert sorted(f"{each.context.trace_id:032x}"[0] for each in spans) == ["a", "c"]
    first, second, third, none = map(go_on, records)
    assert first[1] == ("accepted-at", b"now")
    assert first[0] == third[0] != records[0][0]
    assert trace_id(second[0][1]) == trace_id(other)
    assert none == ()


def test_a_batch_of_more_traces_than_it_can_have_spans_passes_the_rest_on(collected):
    rng = Random(1)
    records = [(("traceparent", new_traceparent(rng).encode()),) for _ in range(100)]
    with batch("score", records) as go_on:
        pass
    assert len(collected.get_finished_spans()) == traces.MOST_TRACES
    assert go_on(records[-1]) == records[-1]


def test_a_step_that_crashes_says_so_and_the_crash_goes_on(collected):
    with pytest.raises(ZeroDivisionError), span("decide", parent=TRACE):
        raise ZeroDivisionError
    (broken,) = collected.get_finished_spans()
    assert broken.status.status_code.name == "ERROR"


# -------------------------------------------------------------------------------- the environment


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"OTEL_TRACES_EXPORTER": "none", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"},
        {"OTEL_SDK_DISABLED": "True", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"},
        {"OTEL_SERVICE_NAME": "mine"},
    ],
)
def test_without_being_asked_for_nothing_is_collected(monkeypatch, environment):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    traces.begin("ingest")
    assert traces._collecting is None


@pytest.mark.parametrize(
    ("environment", "reason"),
    [
        ({"OTEL_TRACES_EXPORTER": "zipkin"}, "OTEL_TRACES_EXPORTER=zipkin: otlp or none"),
        (
            {"OTEL_TRACES_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"},
            "http/protobuf",
        ),
    ],
)
def test_what_we_cannot_do_is_a_wrong_setting(monkeypatch, environment, reason):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(Misconfigured, match=reason):
        traces.begin("ingest")


@pytest.mark.parametrize("name", ["uproar-alerter", "mine"])
def test_the_service_has_its_name(monkeypatch, name):
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
    if name == "mine":
        monkeypatch.setenv("OTEL_SERVICE_NAME", name)
    traces.begin("alerter")
    assert traces._collecting is not None
    assert traces._collecting.provider.resource.attributes["service.name"] == name
    traces.end()
    assert traces._collecting is None
