"""Asks Envoy on its own page, a unix socket. All raise OSError when it does not answer."""

import json
from pathlib import Path
from typing import Any
from urllib.parse import quote

from router_service.shell import unix_http

_ACTIVE = "http.front.downstream_rq_active"


def statistics(socket: Path, wanted: str) -> dict[str, str]:
    """By name, those whose name matches this regular expression."""
    _, said = unix_http.ask(socket, f"/stats?filter={quote(wanted)}")
    lines = (line.partition(": ") for line in said.decode().splitlines())
    return {name: value for name, _, value in lines}


def ejections(socket: Path) -> dict[str, bool]:
    """Candidate id -> whether it is put aside for its errors."""
    _, said = unix_http.ask(socket, "/clusters?format=json")
    leaves = (one for one in json.loads(said)["cluster_statuses"] if one["name"].startswith("leaf."))
    return {leaf["name"].removeprefix("leaf."): _is_ejected(leaf) for leaf in leaves}


def take_no_more(socket: Path) -> None:
    """No new connection; those that are there go on."""
    unix_http.ask(socket, "/drain_listeners", method="POST")


def under_way(socket: Path) -> int:
    """Requests of clients that are neither answered nor given up."""
    return int(statistics(socket, f"^{_ACTIVE}$").get(_ACTIVE, "0"))


def _is_ejected(cluster: dict[str, Any]) -> bool:
    hosts = cluster.get("host_statuses", [])
    return any(host.get("health_status", {}).get("failed_outlier_check") for host in hosts)
