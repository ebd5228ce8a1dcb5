"""A receiver of OTLP over HTTP for tests: it takes spans as a collector would, and keeps them."""

import gzip
import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    service: str
    name: str
    id: str
    parent: str
    attributes: dict[str, str]


@dataclass(slots=True)
class Collector:
    """
    What was received.

    Attributes:
        url: For ``OTEL_EXPORTER_OTLP_ENDPOINT``.
        traces: By trace id, its spans.
    """

    url: str
    traces: dict[str, list[Span]] = field(default_factory=lambda: defaultdict(list))

    def take(self, request: ExportTraceServiceRequest) -> None:
        for resource in request.resource_spans:
            names = {a.key: a.value.string_value for a in resource.resource.attributes}
            for span in (span for scope in resource.scope_spans for span in scope.spans):
                found = Span(
                    service=names["service.name"],
                    name=span.name,
                    id=span.span_id.hex(),
                    parent=span.parent_span_id.hex(),
                    attributes={a.key: a.value.string_value for a in span.attributes},
                )
                self.traces[span.trace_id.hex()].append(found)


@contextmanager
def collector() -> Iterator[Collector]:
    """Listen on a free port of 127.0.0.1."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            assert self.path == "/v1/traces"
            assert self.headers["Content-Type"] == "application/x-protobuf"
            found.take(ExportTraceServiceRequest.FromString(body))
            answer = ExportTraceServiceResponse().SerializeToString()
            self.send_response(200)
            self.send_header("Content-Type", "application/x-protobuf")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    found = Collector(f"http://127.0.0.1:{server.server_address[1]}")
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield found
    finally:
        server.shutdown()
        server.server_close()
