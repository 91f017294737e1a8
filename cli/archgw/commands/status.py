"""archgw status, logs: how the running stack is, and what it says."""

import json
import sys
import time
from typing import Annotated, Any

import grpc
import typer
from rich.markup import escape
from rich.table import Table

from archgw import client, report, unix_http
from archgw.home import Home, Stack, home
from router_service.pb import router_pb2 as pb


def status(
    as_json: Annotated[bool, typer.Option("--json", help="Print it as JSON.")] = False,
) -> None:
    """Show whether the gateway runs and how each model has been doing.

    Exits with 1 when it is not running.
    """
    at = home()
    stack = at.stack()
    if stack is None:
        report.fail("the gateway is not running", mend="start it: archgw up")
    try:
        reply = client.status(at)
    except grpc.RpcError:
        report.fail(
            f"the router service does not answer (supervisor: process {stack.pid})",
            mend="it is restarted by itself; look at its log: archgw logs",
        )
    ejected = ejections(at)
    if as_json:
        sys.stdout.write(json.dumps(_as_json(stack, reply, ejected), indent=1) + "\n")
        return
    _print(stack, reply, ejected)


def logs(
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with new lines as they come.")] = False,
    lines: Annotated[int, typer.Option("--lines", "-n", min=1, help="How many lines of each log.")] = 30,
) -> None:
    """Print what the supervisor, the router service and Envoy logged. No prompt and no key is ever among it."""
    at = home()
    names = [name for name in ("supervisor", "router", "envoy", "access") if at.log(name).exists()]
    if not names:
        report.fail("nothing has been logged yet", mend="start the gateway: archgw up")
    places = {name: _print_tail(at, name, lines) for name in names}
    while follow:
        places = {name: _print_since(at, name, place) for name, place in places.items()}
        time.sleep(0.3)


def ejections(at: Home) -> dict[str, bool]:
    """Candidate id -> whether Envoy has put it aside for its errors."""
    try:
        clusters = json.loads(unix_http.ask(at.admin_socket, "/clusters?format=json")[1])["cluster_statuses"]
    except (OSError, ValueError, KeyError):
        return {}
    leaves = (cluster for cluster in clusters if cluster["name"].startswith("leaf."))
    return {cluster["name"].removeprefix("leaf."): _ejected(cluster) for cluster in leaves}


def _ejected(cluster: dict[str, Any]) -> bool:
    hosts = cluster.get("host_statuses", [])
    return any(host.get("health_status", {}).get("failed_outlier_check") for host in hosts)


def _print(stack: Stack, reply: pb.StatusReply, ejected: dict[str, bool]) -> None:
    out = report.console
    minutes = (time.time() - stack.started) / 60
    out.print(f"[green]running[/green] at [bold]{stack.url}[/bold] for {minutes:.0f} min  ({escape(stack.config)})")
    out.print(
        f"{reply.requests_ended} requests ended, {reply.requests_under_way} under way, {reply.sessions} sessions\n"
    )
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("model", "answered", "failed", "state", "last trouble"):
        table.add_column(heading, justify="right" if heading in ("answered", "failed") else "left")
    for candidate in reply.candidates:
        state = "[red]put aside[/red]" if ejected.get(candidate.id) else "in use"
        table.add_row(
            candidate.label,
            str(candidate.answered),
            str(candidate.failed),
            state,
            escape(candidate.last_trouble[:80]),
        )
    out.print(table)


def _as_json(stack: Stack, reply: pb.StatusReply, ejected: dict[str, bool]) -> dict[str, Any]:
    return {
        "url": stack.url,
        "config": stack.config,
        "pid": stack.pid,
        "started": stack.started,
        "requests_ended": reply.requests_ended,
        "requests_under_way": reply.requests_under_way,
        "sessions": reply.sessions,
        "models": [
            {
                "model": candidate.label,
                "answered": candidate.answered,
                "failed": candidate.failed,
                "put_aside": ejected.get(candidate.id, False),
                "last_trouble": candidate.last_trouble,
            }
            for candidate in reply.candidates
        ],
    }


def _print_tail(at: Home, name: str, lines: int) -> int:
    content = at.log(name).read_bytes()
    for line in content.decode("utf-8", "replace").splitlines()[-lines:]:
        sys.stdout.write(f"{name:>10} | {line}\n")
    return len(content)


def _print_since(at: Home, name: str, place: int) -> int:
    with at.log(name).open("rb") as file:
        file.seek(place if at.log(name).stat().st_size >= place else 0)
        fresh = file.read()
        whole = fresh[: fresh.rfind(b"\n") + 1]
        for line in whole.decode("utf-8", "replace").splitlines():
            sys.stdout.write(f"{name:>10} | {line}\n")
        sys.stdout.flush()
        return file.tell() - len(fresh) + len(whole)
