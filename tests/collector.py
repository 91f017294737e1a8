"""A collector for tests: takes OTLP over HTTP, and reads the protobuf as a real one does."""

import gzip
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span


@dataclass
class Told:
    """A span as it arrived."""

    name: str
    kind: str
    trace: str
    id: str
    parent: str
    start: float
    end: float
    error: str | None
    attributes: dict[str, Any]
    resource: dict[str, Any]


@dataclass
class Collector:
    """Answers `status`, until it leaves. `headers` and `bodies` are all that it was sent."""

    url: str
    leave: Callable[[], None]
    status: int = 200
    headers: list[dict[str, str]] = field(default_factory=list)
    bodies: list[tuple[str, bytes]] = field(default_factory=list)

    def spans(self) -> list[Told]:
        return [span for path, body in self.bodies if path == "/v1/traces" for span in _spans(body)]

    def metrics(self) -> dict[str, list[tuple[dict[str, Any], Any]]]:
        """By name: attributes and data point, as of the last message."""
        bodies = [body for path, body in self.bodies if path == "/v1/metrics"]
        found: dict[str, list[tuple[dict[str, Any], Any]]] = {}
        for one in ExportMetricsServiceRequest.FromString(bodies[-1]).resource_metrics if bodies else ():
            for metric in (metric for scope in one.scope_metrics for metric in scope.metrics):
                points = metric.histogram.data_points
                found[metric.name] = [(_values(point.attributes), point) for point in points]
        return found


@contextmanager
def collector() -> Iterator[Collector]:
    """One that runs, on a free port of loopback; afterwards nobody answers there."""

    class Door(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            if self.headers.get("content-encoding") == "gzip":
                body = gzip.decompress(body)
            made.headers.append({name.lower(): value for name, value in self.headers.items()})
            made.bodies.append((self.path, body))
            self.send_response(made.status)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Door)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})

    def leave() -> None:
        server.shutdown()
        server.server_close()
        thread.join()

    made = Collector(f"http://127.0.0.1:{server.server_port}", leave)
    thread.start()
    try:
        yield made
    finally:
        leave()


def _spans(body: bytes) -> Iterator[Told]:
    for one in ExportTraceServiceRequest.FromString(body).resource_spans:
        for span in (span for scope in one.scope_spans for span in scope.spans):
            yield Told(
                span.name,
                Span.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_").lower(),
                span.trace_id.hex(),
                span.span_id.hex(),
                span.parent_span_id.hex(),
                span.start_time_unix_nano / 1e9,
                span.end_time_unix_nano / 1e9,
                span.status.message if span.status.code == 2 else None,
                _values(span.attributes),
                _values(one.resource.attributes),
            )


def _values(attributes: "Iterator[KeyValue] | Any") -> dict[str, Any]:
    return {one.key: _value(one.value) for one in attributes}


def _value(value: AnyValue) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [_value(one) for one in value.array_value.values]
    return getattr(value, kind) if kind else None
