"""`telemetry`: where traces and metrics are sent, if anywhere."""

import re
from dataclasses import dataclass
from functools import partial
from urllib.parse import urlsplit

from router_service.config.addresses import is_bare
from router_service.config.clouds import Clouds
from router_service.config.reading import Value, section

LIBRARY = "otlp"  # what it is called where it is lacking
_OVER_GRPC = 4317


@dataclass(frozen=True, slots=True)
class Telemetry:
    """`otlp`: the address of a collector, spoken to by OTLP over HTTP; empty: nothing is sent."""

    otlp: str = ""


def telemetry(value: Value | None, clouds: Clouds) -> Telemetry:
    return section(value, Telemetry(), {"otlp": partial(_collector, clouds)})


def _collector(clouds: Clouds, value: Value) -> str | None:
    """What stands before /v1/traces and /v1/metrics."""
    url = value.text()
    if url is None:
        return None
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port or an IPv6 address that is none
        usable = False
    if not usable or re.search(r"[^!-~]", url):
        value.wrong(f"expected an address such as http://127.0.0.1:4318, found '{url}'")
        return None
    if parts.query or parts.fragment or "@" in parts.netloc:
        value.wrong("only scheme, host, port and path belong here", "headers come from OTEL_EXPORTER_OTLP_HEADERS")
        return None
    if found := re.search(r"/v1/(traces|metrics|logs)/?$", url):
        value.wrong("the address goes on to one kind of telemetry", f"leave off {found[0]}")
        return None
    if LIBRARY in clouds.lacking:
        value.wrong("OTLP needs a library", "pip install 'archgw[otel]'")
        return None
    if parts.port == _OVER_GRPC:
        value.odd("4317 is where collectors take OTLP over gRPC; archgw speaks it over HTTP, which is 4318")
    if is_bare(url):
        value.odd("what is told goes there unencrypted; write https://")
    return url.rstrip("/")
