"""archgw status, logs: how the running stack is, and what it says."""

import json
import sys
import time
from dataclasses import asdict
from typing import Annotated, Any

import grpc
import typer
from rich.markup import escape
from rich.table import Table

from archgw import budgets, client, docker, report
from archgw.dashboard import keys
from archgw.home import Health, Home, Stack, home
from router_service.config import MOST_WORKERS
from router_service.pb import router_pb2 as pb
from router_service.shell import unix_http
from router_service.workers import ROUTER, name


def status(
    as_json: Annotated[bool, typer.Option("--json", help="Print it as JSON.")] = False,
) -> None:
    """Show whether the gateway runs, how each model has been doing, and what is done without.

    Exits with 1 when it is not running, or its router service does not answer.
    """
    at = home()
    stack = at.stack()
    if stack is None and (contained := docker.stack(at)):
        _of_containers(at, contained, as_json=as_json)
        return
    if stack is None:
        report.fail("the gateway is not running", mend="start it: archgw up")
    try:
        reply = client.status(at)
    except grpc.RpcError:
        if as_json:
            sys.stdout.write(json.dumps(_about(stack) | {"processes": _processes(at.health())}, indent=1) + "\n")
            raise typer.Exit(report.NO) from None
        report.fail(
            f"the router service does not answer{_since(at.health().get('router'))} (supervisor: process {stack.pid})",
            mend="it is restarted by itself; look at its log: archgw logs",
        )
    ejected = client.ejections(at)
    if as_json:
        told = _as_json(stack, reply, ejected, at.health()) | {"config_trouble": config_trouble(at)}
        sys.stdout.write(json.dumps(told, indent=1) + "\n")
        return
    _print(stack, reply, ejected, at.health())
    _print_dashboard(at, stack)
    if trouble := config_trouble(at):
        report.console.print("\n[yellow]config.yaml has changed and cannot be used; the one before goes on:[/yellow]")
        report.console.print(trouble, markup=False, soft_wrap=True)


def logs(
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with new lines as they come.")] = False,
    lines: Annotated[int, typer.Option("--lines", "-n", min=1, help="How many lines of each log.")] = 30,
) -> None:
    """Print what the supervisor, the router service, Envoy and the dashboard logged: never a prompt, never a key."""
    at = home()
    if at.sockets or docker.stack(at):
        report.fail("containers keep their own logs", mend=f"{docker.command(at)} logs")
    routers = [ROUTER, *(name(number) for number in range(1, MOST_WORKERS))]
    names = [one for one in ("supervisor", *routers, "envoy", "access", "dashboard") if at.log(one).exists()]
    if not names:
        report.fail("nothing has been logged yet", mend="start the gateway: archgw up")
    places = {name: _print_tail(at, name, lines) for name in names}
    while follow:
        places = {name: _print_since(at, name, place) for name, place in places.items()}
        time.sleep(0.3)


def _of_containers(at: Home, stack: Stack, *, as_json: bool) -> None:
    """What is said of it in there, where its sockets are."""
    done = docker.run(at, "status", *(["--json"] if as_json else []))
    if not as_json:
        report.console.print(f"in containers, of {escape(stack.config)}:  {docker.command(at)} ps", soft_wrap=True)
    sys.stdout.write(done.stdout)
    if done.returncode:
        report.fail(
            f"the router's container does not answer: {done.stderr.strip()[-300:] or 'it says nothing'}",
            mend=f"look at its log: {docker.command(at)} logs router",
        )


def config_trouble(at: Home) -> str:
    """Why the config that is there is not the one in use; empty when it is, or nobody answers."""
    try:
        trouble: str = json.loads(unix_http.ask(at.control_socket, "/config")[1])["trouble"]
    except (OSError, ValueError, KeyError):
        return ""
    return trouble


def _print(stack: Stack, reply: pb.StatusReply, ejected: dict[str, bool] | None, health: dict[str, Health]) -> None:
    out = report.console
    minutes = (time.time() - stack.started) / 60
    out.print(f"[green]running[/green] at [bold]{stack.url}[/bold] for {minutes:.0f} min  ({escape(stack.config)})")
    if stack.workers > 1:
        out.print(f"{stack.workers} router services behind one Envoy")
    if ejected is None:
        out.print(f"[red]Envoy does not answer[/red]{_since(health.get('envoy'))}: nobody can ask anything meanwhile")
    out.print(f"{reply.requests_ended} requests ended, {reply.requests_under_way} under way, {reply.sessions} sessions")
    for process, one in health.items():
        if one.ended is not None and one.starts is None:
            times, minutes = _times(one.restarts), (time.time() - one.ended) / 60
            out.print(
                f"[yellow]{process} ended by itself and was started again {times}[/yellow], last {minutes:.0f} min ago"
            )
    for trouble in reply.troubles:
        out.print(f"[yellow]done without:[/yellow] {escape(trouble)}", soft_wrap=True)
    out.print()
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("model", "answered", "failed", "state", "last trouble"):
        table.add_column(heading, justify="right" if heading in ("answered", "failed") else "left")
    for candidate in reply.candidates:
        table.add_row(
            escape(candidate.label),
            str(candidate.answered),
            str(candidate.failed),
            _state(candidate, aside=(ejected or {}).get(candidate.id, False)),
            escape(candidate.last_trouble[:80]),
        )
    out.print(table)
    if reply.budgets:
        out.print()
        out.print(budgets.table(budgets.told(reply.budgets), time.time()))


def _print_dashboard(at: Home, stack: Stack) -> None:
    if stack.dashboard:
        report.console.print(f"\ndashboard: {keys.address(at, stack.dashboard)}", soft_wrap=True, markup=False)
    if stack.without:
        report.console.print(f"\n[yellow]{escape(stack.without)}[/yellow]", soft_wrap=True)


def _state(candidate: pb.Candidate, *, aside: bool) -> str:
    """Envoy does not say for how long it puts somebody aside."""
    cooling = f"[yellow]cooling, {candidate.cooling_left:.0f} s left: {escape(candidate.cooling_why)}[/yellow]"
    found = [*(["[red]put aside (Envoy)[/red]"] if aside else []), *([cooling] if candidate.cooling_left else [])]
    return ", ".join(found) or "in use"


def _since(health: Health | None) -> str:
    """What the supervisor knows of a process that does not answer."""
    if health is None or health.ended is None:
        return ""
    if health.starts is None:
        return f": it has ended by itself {_times(health.restarts)} and is just starting"
    left = max(0.0, health.starts - time.time())
    return f": it has ended by itself {_times(health.restarts)} and is started again in {left:.0f} s"


def _times(number: int) -> str:
    return "once" if number == 1 else f"{number} times"


def _about(stack: Stack) -> dict[str, Any]:
    """Without the key of the dashboard: what is JSON is kept and sent around."""
    told = {"url": stack.url, "config": stack.config, "pid": stack.pid, "started": stack.started}
    told["workers"] = stack.workers
    return told | {"dashboard": stack.dashboard or None}


def _processes(health: dict[str, Health]) -> dict[str, Any]:
    """Those that ended by themselves: how often, when last, and when they start again (seconds since the epoch)."""
    return {name: asdict(one) for name, one in health.items()}


def _as_json(
    stack: Stack, reply: pb.StatusReply, ejected: dict[str, bool] | None, health: dict[str, Health]
) -> dict[str, Any]:
    return _about(stack) | {
        "envoy_answers": ejected is not None,
        "processes": _processes(health),
        "troubles": list(reply.troubles),
        "requests_ended": reply.requests_ended,
        "requests_under_way": reply.requests_under_way,
        "sessions": reply.sessions,
        "models": [
            {
                "model": candidate.label,
                "answered": candidate.answered,
                "failed": candidate.failed,
                "put_aside": (ejected or {}).get(candidate.id, False),
                "cooling": {"left": round(candidate.cooling_left, 1), "why": candidate.cooling_why}
                if candidate.cooling_left
                else None,
                "last_trouble": candidate.last_trouble,
            }
            for candidate in reply.candidates
        ],
        "budgets": [asdict(line) for line in budgets.told(reply.budgets)],
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
