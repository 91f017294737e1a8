"""archgw up, down: start and stop the stack."""

import asyncio
import logging
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from archgw import configs, report
from archgw.home import AlreadyRunning, Home, NotPrivate, Stack, home, open_private
from archgw.supervisor import (
    READY_WITHIN,
    CannotStart,
    Supervisor,
    ca_file,
    check_port,
    envoy_binary,
    tail,
    until_told_to_stop,
)
from router_service.config import Config
from router_service.plan import Plan


def up(
    config: Annotated[Path | None, typer.Argument(help=configs.HELP, show_default=False)] = None,
    foreground: Annotated[
        bool, typer.Option("--foreground", help="Stay here and show the log; Ctrl-C stops the stack.")
    ] = False,
) -> None:
    """Start the gateway: the router service and Envoy, both kept running.

    Returns once a probe request has passed through both, and says where to send requests.
    """
    path = configs.find(config)
    settings, plan = configs.resolve(path)
    report.warn(settings.warnings)
    at = home()
    running = at.stack()
    if running:
        report.fail(
            f"already running at {running.url} with {running.config} (process {running.pid})",
            mend="stop it first: archgw down   (or look at it: archgw status)",
        )
    if at.is_held():
        report.fail("another archgw is just starting here", mend="wait a moment, then: archgw status")
    try:
        envoy_binary()
        ca_file()
        check_port(plan)
    except CannotStart as error:
        report.fail(str(error))
    try:
        at.create()
        if foreground:
            _in_foreground(path, at, settings, plan)
        else:
            _welcome(_in_background(path, at), settings, plan)
    except AlreadyRunning:
        report.fail("another archgw is just starting here", mend="wait a moment, then: archgw status")
    except NotPrivate as error:
        report.fail(str(error))
    except CannotStart as error:
        report.fail(str(error), mend="the whole log: archgw logs")


def down() -> None:
    """Stop the gateway. Requests under way are ended."""
    at = home()
    stack = at.stack()
    if stack is None:
        report.console.print("Nothing is running.")
        return
    os.kill(stack.pid, signal.SIGTERM)
    deadline = time.monotonic() + 15
    while at.is_held() and time.monotonic() < deadline:
        time.sleep(0.05)
    if at.is_held():
        report.fail(f"process {stack.pid} does not stop", mend=f"end it by force: kill -9 {stack.pid}")
    report.console.print(f"Stopped the gateway at {stack.url}.")


def _in_background(path: Path, at: Home) -> Stack:
    log = open_private(at.log("supervisor"), os.O_WRONLY | os.O_TRUNC)
    process = subprocess.Popen(
        [sys.executable, "-m", "archgw.supervisor", str(path)],
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
                raise CannotStart(tail(at.log("supervisor"), 30))
            time.sleep(0.05)
    process.terminate()
    raise CannotStart("the stack did not come up in time")


def _in_foreground(path: Path, at: Home, settings: Config, plan: Plan) -> None:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", stream=sys.stderr)
    supervisor = Supervisor(path, at)

    asyncio.run(until_told_to_stop(supervisor, on_ready=lambda stack: _welcome(stack, settings, plan)))
    report.console.print("Stopped.")


def _welcome(stack: Stack, config: Config, plan: Plan) -> None:
    out = report.console
    out.print(f"[green]archgw is up[/green] at [bold]{stack.url}[/bold]  ({escape(config.file)})\n")
    out.print(report.routes_table(plan))
    if plan.disabled:
        out.print("\n[yellow]not used:[/yellow]")
        for item in plan.disabled:
            out.print(f"  {escape(item.label)}: {escape(item.reason)}", soft_wrap=True)
    out.print("\nnext:  [bold]archgw cli-agent claude[/bold]", end="     ")
    out.print("watch it work:  [bold]archgw top[/bold]     stop:  archgw down")
