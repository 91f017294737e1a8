"""Asks Envoy on its own page, a unix socket. All raise OSError when it does not answer."""

import json
from pathlib import Path
from typing import Any
from urllib.parse import quote

from router_service.shell import unix_http

_ACTIVE = "http.front.downstream_rq_active"
# What /archgw/metrics passes on. Of a leaf: whether it is put aside; of a provider's cluster: what went over the wire;
# of a chain: what was tried again; of the front: who asks. A dozen lines for a model, where Envoy has hundreds.
_TOLD = (
    r"cluster\.leaf\.[^.]+\.outlier_detection\.ejections_(active|enforced_total)",
    r"cluster\.provider\.[^.]+\.[^.]+\.upstream_(rq_\dxx|rq_active|cx_active|cx_[rt]x_bytes_total|cx_connect_fail"
    r"|rq_pending_overflow|rq_active_overflow)",
    r"cluster\.chain\.[^.]+\.[^.]+\.[^.]+\.upstream_rq_(retry|retry_overflow|timeout|per_try_timeout)",
    r"http\.front\.downstream_(rq_\dxx|rq_active|cx_active|cx_total|cx_[rt]x_bytes_total)",
    r"listener\.[\d\[].*\.downstream_(global_)?cx_overflow",
    r"server\.(uptime|memory_allocated)",
)
_FILTER = f"^({'|'.join(_TOLD)})$"
_BRIEFLY = 2.0  # seconds


def statistics(socket: Path, wanted: str) -> dict[str, str]:
    """By name, those whose name matches this regular expression."""
    _, said = unix_http.ask(socket, f"/stats?filter={quote(wanted)}")
    lines = (line.partition(": ") for line in said.decode().splitlines())
    return {name: value for name, _, value in lines}


def ejections(socket: Path) -> dict[str, bool]:
    """Candidate id -> whether it is put aside for its errors."""
    _, said = unix_http.ask(socket, "/clusters?format=json", timeout=_BRIEFLY)
    leaves = (one for one in json.loads(said)["cluster_statuses"] if one["name"].startswith("leaf."))
    return {leaf["name"].removeprefix("leaf."): _is_ejected(leaf) for leaf in leaves}


def figures(socket: Path) -> bytes:
    """Those of its own that matter to us, as Prometheus reads them."""
    status, said = unix_http.ask(socket, f"/stats/prometheus?filter={quote(_FILTER)}", timeout=_BRIEFLY)
    if status != 200:
        raise OSError(f"answered {status}")
    return said if not said or said.endswith(b"\n") else said + b"\n"


def take_no_more(socket: Path) -> None:
    """No new connection; those that are there go on."""
    unix_http.ask(socket, "/drain_listeners", method="POST")


def drain(socket: Path) -> None:
    """New connections for its `--drain-time-s` only; until then answers on those that are there ask to close them."""
    unix_http.ask(socket, "/drain_listeners?graceful", method="POST")


def under_way(socket: Path) -> int:
    """Requests of clients that are neither answered nor given up."""
    return int(statistics(socket, f"^{_ACTIVE}$").get(_ACTIVE, "0"))


def _is_ejected(cluster: dict[str, Any]) -> bool:
    hosts = cluster.get("host_statuses", [])
    return any(host.get("health_status", {}).get("failed_outlier_check") for host in hosts)
