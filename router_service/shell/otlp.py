"""OTLP over HTTP, by OpenTelemetry's own SDK: spans and measurements in, protobuf out.

The SDK reads its standard variables (OTEL_EXPORTER_OTLP_HEADERS, OTEL_RESOURCE_ATTRIBUTES ...). All of it is done where
`send` is called, in one thread. The SDK's own log is silenced: of a header that it cannot read it tells the value.
"""

import logging
import math
import os
import socket
import time
from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

import requests
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider

from router_service import spans
from router_service.outcome import Outcome
from router_service.shell.telemetry import Sent

_KINDS = {"server": trace.SpanKind.SERVER, "internal": trace.SpanKind.INTERNAL, "client": trace.SpanKind.CLIENT}
_UNNAMED = "unknown_service"
_EVERY = 60.0  # seconds; so does the SDK without OTEL_METRIC_EXPORT_INTERVAL


class Otlp:
    """One collector, at `address`. `worker` tells this process from others of the same gateway."""

    def __init__(self, address: str, worker: str = "") -> None:
        logging.getLogger("opentelemetry").setLevel(logging.CRITICAL + 1)
        self._http = _Http()
        resource = _resource(worker)
        self._traces = _Traces(f"{address}/v1/traces", self._http, resource) if _wanted("TRACES") else None
        self._metrics = _Metrics(f"{address}/v1/metrics", self._http, resource) if _wanted("METRICS") else None

    def send(self, outcomes: Sequence[Outcome]) -> Sent:
        told = self._traces.send(outcomes) if self._traces else True
        if self._metrics:
            self._metrics.send(outcomes)
        troubles = [one.trouble for one in (self._traces, self._metrics) if one]
        return Sent(told, next(filter(None, troubles), ""))

    def close(self) -> None:
        if self._metrics:
            self._metrics.tell()


class _Http:
    """The SDK's exporters say that they failed, but not how: this session knows what was last answered."""

    def __init__(self) -> None:
        self.session = requests.Session()
        self.session.hooks["response"].append(self._note)
        self._status = 0

    def forget(self) -> None:
        self._status = 0

    def trouble(self, signal: str) -> str:
        """Elsewhere is no answer: the SDK takes it for one, and follows it nowhere."""
        if not self._status:
            return f"nobody takes {signal} there"
        return f"{signal}: it answered {self._status}" if self._status >= 300 else ""

    def _note(self, reply: Any, *_: Any, **__: Any) -> None:
        self._status = reply.status_code


class _Ended(SpanProcessor):
    """Keeps what has ended, for one message."""

    def __init__(self) -> None:
        self.spans: list[ReadableSpan] = []

    def on_end(self, span: ReadableSpan) -> None:
        if span.context and span.context.trace_flags.sampled:
            self.spans.append(span)


class _Traces:
    """`trouble` is of the last message."""

    def __init__(self, endpoint: str, http: _Http, resource: Resource) -> None:
        self._http, self._ended = http, _Ended()
        self._exporter = OTLPSpanExporter(endpoint, session=http.session)
        provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        provider.add_span_processor(self._ended)
        self._tracer = provider.get_tracer("archgw", version("archgw"))
        self.trouble = ""

    def send(self, outcomes: Sequence[Outcome]) -> bool:
        for outcome in outcomes:
            self._begin(spans.of(outcome), _context(outcome.parent))
        ended, self._ended.spans = self._ended.spans, []
        if not ended:
            return True
        self._http.forget()
        self._exporter.export(ended)
        self.trouble = self._http.trouble("traces")
        return not self.trouble

    def _begin(self, span: spans.Span, context: Any) -> None:
        made = self._tracer.start_span(
            span.name, context, _KINDS[span.kind], span.attributes, start_time=_nanoseconds(span.start)
        )
        if span.error is not None:
            made.set_status(trace.Status(trace.StatusCode.ERROR, span.error))
        for child in span.children:
            self._begin(child, trace.set_span_in_context(made, context))
        made.end(_nanoseconds(span.end))


class _Metrics:
    """`trouble` is of the last message."""

    def __init__(self, endpoint: str, http: _Http, resource: Resource) -> None:
        self._http, self.trouble = http, ""
        exporter = OTLPMetricExporter(endpoint, session=http.session)
        self._reader = PeriodicExportingMetricReader(exporter, math.inf)  # without a thread of its own
        provider = MeterProvider([self._reader], resource, shutdown_on_exit=False)
        meter = provider.get_meter("archgw", version("archgw"))
        self._instruments = {
            name: meter.create_histogram(name, unit, words, explicit_bucket_boundaries_advisory=buckets)
            for name, unit, words, buckets in _INSTRUMENTS
        }
        self._measured = False
        self._every = _interval()
        self._next = time.monotonic() + self._every

    def send(self, outcomes: Sequence[Outcome]) -> None:
        for outcome in outcomes:
            for one in spans.measurements(outcome):
                self._instruments[one.name].record(one.value, one.attributes)
                self._measured = True
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + self._every
            self.tell()

    def tell(self) -> None:
        if self._measured:
            self._http.forget()
            self._reader.collect()
            self.trouble = self._http.trouble("metrics")


_INSTRUMENTS = (
    (spans.DURATION, "s", "GenAI operation duration.", spans.SECONDS),
    (spans.FIRST_CHUNK, "s", "Time to receive the first chunk.", spans.SECONDS),
    (spans.TOKENS, "{token}", "Number of input and output tokens used.", spans.NUMBERS),
)


def _context(traceparent: str) -> Any:
    known = spans.parent(traceparent)
    if known is None:
        return None
    client = trace.SpanContext(known.trace, known.span, is_remote=True, trace_flags=trace.TraceFlags(known.flags))
    return trace.set_span_in_context(trace.NonRecordingSpan(client))


def _resource(worker: str) -> Resource:
    """What OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES say leads. Two processes must not count as one."""
    told = Resource.create({"service.version": version("archgw")})
    if worker:
        here = told.attributes.get("service.instance.id") or socket.gethostname()
        told = told.merge(Resource({"service.instance.id": f"{here}/{worker}"}))
    named = not str(told.attributes.get("service.name", _UNNAMED)).startswith(_UNNAMED)
    return told if named else told.merge(Resource({"service.name": "archgw"}))


def _wanted(signal: str) -> bool:
    """OTEL_TRACES_EXPORTER=none is the standard way to have only metrics, and the other way round."""
    return os.environ.get(f"OTEL_{signal}_EXPORTER", "").strip().lower() != "none"


def _interval() -> float:
    try:
        return max(0.1, float(os.environ.get("OTEL_METRIC_EXPORT_INTERVAL", "")) / 1000)
    except ValueError:
        return _EVERY


def _nanoseconds(seconds: float) -> int:
    return int(seconds * 1e9)
