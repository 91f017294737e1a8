"""Asks Envoy on its own page. All raise OSError when it does not answer."""

import json
from typing import Any
from urllib.parse import quote

from archgw import unix_http
from archgw.home import Home

_ACTIVE = "http.front.downstream_rq_active"


def statistics(at: Home, wanted: str) -> dict[str, str]:
    """By name, those whose name matches this regular expression."""
    _, said = unix_http.ask(at.admin_socket, f"/stats?filter={quote(wanted)}")
    lines = (line.partition(": ") for line in said.decode().splitlines())
    return {name: value for name, _, value in lines}


def ejections(at: Home) -> dict[str, bool]:
    """Candidate id -> whether it is put aside for its errors."""
    _, said = unix_http.ask(at.admin_socket, "/clusters?format=json")
    leaves = (one for one in json.loads(said)["cluster_statuses"] if one["name"].startswith("leaf."))
    return {leaf["name"].removeprefix("leaf."): _is_ejected(leaf) for leaf in leaves}


def take_no_more(at: Home) -> None:
    """No new connection; those that are there go on."""
    unix_http.ask(at.admin_socket, "/drain_listeners", method="POST")


def under_way(at: Home) -> int:
    """Requests of clients that are neither answered nor given up."""
    return int(statistics(at, f"^{_ACTIVE}$").get(_ACTIVE, "0"))


def _is_ejected(cluster: dict[str, Any]) -> bool:
    hosts = cluster.get("host_statuses", [])
    return any(host.get("health_status", {}).get("failed_outlier_check") for host in hosts)
