"""archgw up, down, reload: start and stop the stack, and let it use another config."""

import asyncio
import json
import logging
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from archgw import configs, docker, report
from archgw.control import STOP_WITHIN
from archgw.dashboard import keys
from archgw.home import AlreadyRunning, Home, NotPrivate, NotWritable, Stack, home, written_to
from archgw.machine import CannotStart, ca_file, check_port, envoy_binary
from archgw.processes import tail
from archgw.supervisor import READY_WITHIN, Supervisor, until_told_to_stop
from router_service.config import MOST_WORKERS, Config
from router_service.plan import Plan
from router_service.shell import envoy_admin, unix_http
from router_service.shell.private import open_private

_JUST_NOW = 600.0  # seconds
_ENDED_WITHIN = 15.0  # seconds, from when no request is under way
_RELOADED_WITHIN = 120.0


def up(
    config: Annotated[Path | None, typer.Argument(help=configs.HELP, show_default=False)] = None,
    foreground: Annotated[
        bool, typer.Option("--foreground", help="Stay here and show the log; Ctrl-C stops the stack.")
    ] = False,
    watch: Annotated[
        bool, typer.Option("--watch/--no-watch", help="Use a changed config as soon as it is written.")
    ] = True,
    workers: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=MOST_WORKERS,
            help="How many router services stand behind the one Envoy, instead of what the config says.",
            show_default=False,
        ),
    ] = None,
    in_docker: Annotated[bool, typer.Option("--docker", help="Run it in containers, at the same addresses.")] = False,
) -> None:
    """Start the gateway: the router service and Envoy, both kept running, and the dashboard.

    Returns once a probe request has passed through both, and says where to send requests.
    """
    if in_docker and foreground:
        report.fail("containers run in the background", mend="archgw up --docker", code=report.MISUSE)
    path = configs.find(config)
    settings, plan = configs.resolve(path, workers=workers)
    report.warn(settings.warnings)
    at = home()
    running = at.stack()
    if contained := docker.stack(at):
        report.fail(f"already running in containers at {contained.url}", mend="stop it first: archgw down")
    if running:
        report.fail(
            f"already running at {running.url} with {running.config} (process {running.pid})",
            mend="stop it first: archgw down   (or look at it: archgw status)",
        )
    if at.is_held():
        report.fail("another archgw is just starting here", mend="wait a moment, then: archgw status")
    configs.check_model(settings)
    if in_docker:
        _in_docker(path, at, settings, plan)
        return
    try:
        envoy_binary()
        ca_file()
        check_port(plan)
    except CannotStart as error:
        report.fail(str(error))
    try:
        at.create()
        if foreground:
            _in_foreground(path, at, settings, plan, watch=watch, workers=workers)
        else:
            stack = _in_background(path, at, watch=watch, workers=workers)
            _welcome(stack, settings, plan, keys.address(at, stack.dashboard) if stack.dashboard else "")
            _troubles(at)
    except AlreadyRunning:
        report.fail("another archgw is just starting here", mend="wait a moment, then: archgw status")
    except NotPrivate as error:
        report.fail(str(error))
    except CannotStart as error:
        report.fail(str(error), mend="the whole log: archgw logs")


def down(
    within: Annotated[
        float, typer.Option(min=0, metavar="SECONDS", help="How long requests under way may take to end.")
    ] = STOP_WITHIN,
    now: Annotated[bool, typer.Option("--now", help="End them at once.")] = False,
) -> None:
    """Stop the gateway. It takes no new connection, and ends when no request is under way."""
    at = home()
    within = 0 if now else within
    stack = at.stack()
    if stack is None and (contained := docker.stack(at)):
        _end_containers(at, contained, within)
        return
    if stack is None:
        report.console.print("Nothing is running.")
        return
    if at.sockets:
        _drain(at, within)
        return
    try:
        unix_http.ask(at.control_socket, "/stop", method="POST", body={"within": within})
    except OSError:  # it is about to end, or hangs
        os.kill(stack.pid, signal.SIGTERM)
    deadline = time.monotonic() + within + _ENDED_WITHIN
    with report.console.status(f"waiting up to {within:g} s for requests under way (archgw down --now ends them)"):
        while at.is_held() and time.monotonic() < deadline:
            time.sleep(0.05)
    if at.is_held():
        report.fail(f"process {stack.pid} does not stop", mend=f"end it by force: kill -9 {stack.pid}")
    report.console.print(f"Stopped the gateway at {stack.url}.")


def _in_docker(path: Path, at: Home, settings: Config, plan: Plan) -> None:
    try:
        check_port(plan)
        report.warn(docker.unseen(path))
        stack = docker.start(at, path, plan, time.time())
    except NotPrivate as error:
        report.fail(str(error))
    except CannotStart as error:
        report.fail(str(error))
    shown = docker.run(at, "dashboard", "--no-open") if stack.dashboard else None
    address = shown.stdout.strip() if shown and shown.returncode == 0 else ""
    _welcome(stack, settings, plan, address)
    beside = f"{docker.command(at)} exec router archgw top"
    report.console.print(f"in containers; what asks the gateway itself is asked in there:  {beside}", soft_wrap=True)


def _end_containers(at: Home, stack: Stack, within: float) -> None:
    try:
        with report.console.status(f"waiting up to {within:g} s for requests under way (archgw down --now ends them)"):
            docker.stop(at, within)
    except CannotStart as error:
        report.fail(str(error))
    report.console.print(
        f"Stopped the containers of the gateway at {stack.url}. What they kept is in Docker's volumes."
    )


def _drain(at: Home, within: float) -> None:
    """In a container nobody but who runs it ends it: what is under way is brought to its end."""
    deadline = time.monotonic() + within
    try:
        envoy_admin.take_no_more(at.admin_socket)
        while envoy_admin.under_way(at.admin_socket) and time.monotonic() < deadline:
            time.sleep(0.1)
    except OSError as error:
        report.fail(f"Envoy does not answer ({error})", mend="its container may have ended: docker compose ps")
    report.console.print("No new requests are taken; end the containers: docker compose down")


def reload() -> None:
    """Use config.yaml, and the .env beside it, as they are now. Nothing that is under way is cut short.

    A config that cannot be used changes nothing: the one before goes on. A running gateway does the same by itself when
    the file is written, unless it was started with --no-watch.
    """
    at = home()
    if docker.stack(at):
        report.fail("containers read their config when they start", mend="archgw down, then: archgw up --docker")
    if at.stack() is None:
        report.fail("the gateway is not running", mend="start it: archgw up")
    try:
        with report.console.status("reading the config, and asking Envoy and the router service to take it ..."):
            status, said = unix_http.ask(at.control_socket, "/reload", method="POST", timeout=_RELOADED_WITHIN)
        told = json.loads(said)
    except (OSError, ValueError) as error:
        report.fail(f"the gateway does not answer ({error})", mend="look at its log: archgw logs")
    if status != 200:
        report.errors.print(told["trouble"], markup=False, soft_wrap=True)
        report.fail("nothing has changed: the config from before goes on")
    report.warn(told["warnings"])
    for change in told["changes"]:
        report.console.print(f"  {escape(change)}", soft_wrap=True)
    if told["later"]:
        report.warn([f"{', '.join(told['later'])}: as written only when started anew (archgw down, archgw up)"])
    report.console.print("Reloaded." if told["changes"] else _nothing_new(told["last"], told["ago"]), soft_wrap=True)


def _nothing_new(last: list[str], ago: float) -> str:
    """Whoever has just changed the file wants to hear that it was seen."""
    if not last or ago > _JUST_NOW:
        return "Nothing is different."
    told = "".join(f"\n  {escape(change)}" for change in last)
    return f"Nothing is different since the file was last read, {ago:.0f} s ago:{told}"


def _in_background(path: Path, at: Home, *, watch: bool, workers: int | None) -> Stack:
    with written_to(at.folder):
        log = open_private(at.log("supervisor"), os.O_WRONLY | os.O_TRUNC)
    options = [*([] if watch else ["--no-watch"]), *(["--workers", str(workers)] if workers else [])]
    process = subprocess.Popen(
        [sys.executable, "-m", "archgw.supervisor", str(path), *options],
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        start_new_session=True,
        cwd="/",
    )
    os.close(log)
    with report.console.status("starting the router service and Envoy ..."):
        deadline = time.monotonic() + READY_WITHIN + 10
        while time.monotonic() < deadline:
            stack = at.stack()
            if stack and stack.pid == process.pid:
                return stack
            if process.poll() is not None:
                raise _why_ended(at)
            time.sleep(0.05)
    process.terminate()
    raise CannotStart("the stack did not come up in time")


def _why_ended(at: Home) -> CannotStart | NotWritable:
    """What the supervisor has said last; nothing, where there was no room for it."""
    if said := tail(at.log("supervisor"), 30):
        return CannotStart(said)
    full = f"the gateway ended, and could not write why to {at.log('supervisor')}: the disk seems to be full"
    return NotWritable(f"{full}; make room, or set ARCHGW_HOME to a folder elsewhere")


def _in_foreground(path: Path, at: Home, settings: Config, plan: Plan, *, watch: bool, workers: int | None) -> None:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", stream=sys.stderr)
    supervisor = Supervisor(path, at, watch=watch, dashboard=True, workers=workers)

    def welcome(stack: Stack) -> None:
        _welcome(stack, settings, plan, keys.address(at, stack.dashboard) if stack.dashboard else "")

    asyncio.run(until_told_to_stop(supervisor, on_ready=welcome))
    report.console.print("Stopped.")


def _troubles(at: Home) -> None:
    """What does not work from the start, and is done without."""
    import grpc  # when the stack is up: nobody waits for it any more

    from archgw import client

    with suppress(grpc.RpcError):
        report.warn(client.status(at).troubles)


def _welcome(stack: Stack, config: Config, plan: Plan, dashboard: str) -> None:
    out = report.console
    out.print(f"[green]archgw is up[/green] at [bold]{stack.url}[/bold]  ({escape(config.file)})\n")
    out.print(report.routes_table(plan))
    if plan.disabled:
        out.print("\n[yellow]not used:[/yellow]")
        for item in plan.disabled:
            out.print(f"  {escape(item.label)}: {escape(item.reason)}", soft_wrap=True)
    if dashboard:
        out.print(f"\ndashboard:  {dashboard}", soft_wrap=True, markup=False)
    if stack.without:
        report.warn([stack.without])
    out.print("\nnext:  [bold]archgw cli-agent claude[/bold]", end="     ")
    out.print("watch it work:  [bold]archgw top[/bold]     stop:  archgw down")
