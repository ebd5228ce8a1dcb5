"""
Traces: one W3C trace from the push to the page, and its spans for whoever collects them.

Every record carries ``traceparent``, and every log line its trace id. Spans are made only where the
standard environment of OpenTelemetry asks for them (``OTEL_EXPORTER_OTLP_ENDPOINT``, or
``OTEL_TRACES_EXPORTER=otlp``); they need ``uproar[traces]``. The rest of that environment is heeded
as well: headers, sampler, resource attributes, ``OTEL_SDK_DISABLED``.
"""

import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from enum import StrEnum
from random import Random
from typing import Any, Final

from opentelemetry.context import Context
from opentelemetry.trace import Span as OtelSpan
from opentelemetry.trace import SpanKind, StatusCode, Tracer, TracerProvider
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from uproar.errors import Misconfigured
from uproar.wire import Headers

_HEADER: Final = "traceparent"
_W3C: Final = TraceContextTextMapPropagator()
_ENDPOINTS: Final = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_PROTOCOLS: Final = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
FLUSH_MS: Final = 3_000
MOST_TRACES: Final = 64
"""Of which a batch has spans; the records of others pass their trace on."""

Value = str | int | float | bool
Parent = bytes | str | None
"""A ``traceparent``; whatever is broken is none."""

# ---------------------------------------------------------------------------------- the context


def new_traceparent(rng: Random) -> str:
    """Begin a W3C trace (https://www.w3.org/TR/trace-context/)."""
    return f"00-{rng.getrandbits(128) or 1:032x}-{rng.getrandbits(64) or 1:016x}-01"


def child_traceparent(parent: Parent, rng: Random) -> str:
    """Go on with a trace in a span of one's own; begin one where the parent's is missing or broken."""
    text = _text(parent)
    if not (trace := trace_id(text)):
        return new_traceparent(rng)
    return f"00-{trace}-{rng.getrandbits(64) or 1:016x}-{text[-2:]}"


_TRACEPARENT = re.compile(r"00-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")


def trace_id(traceparent: Parent) -> str:
    """Return the trace id for logs; empty where there is none or it is broken."""
    match = _TRACEPARENT.fullmatch(_text(traceparent))
    return match[1] if match else ""


def _text(traceparent: Parent) -> str:
    if isinstance(traceparent, bytes):
        return traceparent.decode("ascii", "replace")
    return traceparent or ""


# ------------------------------------------------------------------------------------- the spans


class Kind(StrEnum):
    """What a span is to the others of its trace."""

    SERVER = "server"
    CONSUMER = "consumer"
    INTERNAL = "internal"
    CLIENT = "client"


@dataclass(slots=True)
class Span:
    """
    One step of a trace.

    Attributes:
        traceparent: What the steps that follow have for a parent; empty where there is no trace.
    """

    traceparent: str
    _otel: OtelSpan | None = None

    def note(self, **attributes: Value) -> None:
        """Say more of the step; dots in the names are written as ``__``."""
        if self._otel is not None:
            self._otel.set_attributes(_named(attributes))

    def failed(self, reason: str) -> None:
        """Say that the step did not do what it was there for."""
        if self._otel is not None:
            self._otel.set_status(StatusCode.ERROR, reason)


@contextmanager
def span(
    name: str,
    *,
    parent: Parent,
    kind: Kind = Kind.INTERNAL,
    rng: Random | None = None,
    since: int | None = None,
    **attributes: Value,
) -> Iterator[Span]:
    """
    Do a step of a trace.

    Args:
        name: Of the step; few different ones.
        parent: The step before it.
        kind: What it is to that one.
        rng: Where no spans are collected: for the ids of a step that others go on from. None: the
            steps that follow go on from the parent.
        since: When it began, in nanoseconds since 1970; None for now.
        attributes: What else is known of it; dots in the names are written as ``__``.
    """
    if _collecting is None:
        kept = _text(parent) if trace_id(parent) else ""
        yield Span(child_traceparent(parent, rng) if rng else kept)
        return
    context = _W3C.extract({_HEADER: _text(parent)}, context=Context())
    with _collecting.tracer.start_as_current_span(
        name,
        context=context,
        kind=SpanKind[kind.name],
        attributes=_named(attributes),
        start_time=since,
    ) as started:
        carrier: dict[str, str] = {}
        _W3C.inject(carrier)
        yield Span(carrier.get(_HEADER, ""), started)


@contextmanager
def batch(name: str, headers: Iterable[Headers]) -> Iterator[Callable[[Headers], Headers]]:
    """
    Do a step of many traces at once: each has a span of it.

    Args:
        name: Of the step.
        headers: Of the records that are handled together.

    Yields:
        What makes of a record's headers those of what comes of it.
    """
    if _collecting is None:
        yield lambda given: given
        return
    with ExitStack() as stack:
        parents = dict.fromkeys(value for each in headers for key, value in each if key == _HEADER)
        steps = {
            parent: stack.enter_context(span(name, parent=parent, kind=Kind.CONSUMER))
            for parent in list(parents)[:MOST_TRACES]
        }

        def go_on(given: Headers) -> Headers:
            return tuple(
                (key, steps[value].traceparent.encode())
                if key == _HEADER and value in steps
                else (key, value)
                for key, value in given
            )

        yield go_on


def _named(attributes: Mapping[str, Value]) -> dict[str, Value]:
    return {name.replace("__", "."): value for name, value in attributes.items()}


# -------------------------------------------------------------------------- where they are sent


@dataclass(frozen=True, slots=True)
class _Collecting:
    tracer: Tracer
    provider: Any


_collecting: _Collecting | None = None


def begin(service: str) -> None:
    """
    Collect spans from now on, where the environment asks for it.

    Args:
        service: Name of the process; ``OTEL_SERVICE_NAME`` overrides ``uproar-<service>``.

    Raises:
        Misconfigured: It asks for what we cannot do, or the extra is not installed.
    """
    if not _asked_for():
        return
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import (  # noqa: PLC0415
            OTLPSpanExporter,
        )
        from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
        from opentelemetry.sdk.trace import TracerProvider as Provider  # noqa: PLC0415
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415
    except ImportError as error:
        raise Misconfigured(
            "OTEL_* asks for traces: pip install 'uproar[traces]', or set OTEL_SDK_DISABLED=true"
        ) from error
    name = os.environ.get("OTEL_SERVICE_NAME") or f"uproar-{service}"
    provider = Provider(resource=Resource.create({"service.name": name}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    use(provider)


def use(provider: TracerProvider | None) -> None:
    """Make spans with a provider; None: make none."""
    global _collecting
    _collecting = None
    if provider is not None:
        _collecting = _Collecting(provider.get_tracer("uproar"), provider)


def end() -> None:
    """Send what was collected, three seconds at most, and collect no more."""
    if _collecting is not None:
        _collecting.provider.force_flush(FLUSH_MS)
        _collecting.provider.shutdown()
    use(None)


def _asked_for() -> bool:
    if os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return False
    exporter = os.environ.get("OTEL_TRACES_EXPORTER", "").strip().lower()
    if exporter not in {"", "none", "otlp"}:
        raise Misconfigured(f"OTEL_TRACES_EXPORTER={exporter}: otlp or none")
    endpoint = any(os.environ.get(name) for name in _ENDPOINTS)
    if exporter == "none" or not (exporter or endpoint):
        return False
    protocol = next((os.environ[name] for name in _PROTOCOLS if os.environ.get(name)), "")
    if protocol not in {"", "http/protobuf"}:
        raise Misconfigured(
            f"{_PROTOCOLS[1]}={protocol}: spans are sent as http/protobuf, by default to port 4318"
        )
    return True
