"""archgw dashboard: the page about your requests."""

import os
import sys
import webbrowser
from pathlib import Path
from typing import Annotated

import typer

from archgw import configs, report
from archgw.dashboard import keys
from archgw.home import Home, NotPrivate, home
from archgw.machine import DASHBOARD_HOST, why_taken
from router_service.config import Config, Dashboard


def dashboard(
    config: Annotated[Path | None, typer.Option(help=configs.HELP, show_default=False)] = None,
    port: Annotated[
        int | None,
        typer.Option(
            min=1, max=65_535, help="Serve it here, instead of at dashboard.port of the config.", show_default=False
        ),
    ] = None,
    open_: Annotated[bool, typer.Option("--open/--no-open", help="Open it in a browser, where there is one.")] = True,
) -> None:
    """Open the page that shows your requests live, with cost, speed, failovers and preferences.

    A running gateway serves it already; where it does not, it is served from the ledger until Ctrl-C. Only thumbs that
    you give are written.
    """
    at = home()
    stack = at.stack()
    try:
        at.create()
        if stack and stack.dashboard and port is None:
            _show(at, stack.dashboard, open_=open_)
            return
        _serve(at, config or (Path(stack.config) if stack else None), port, open_=open_)
    except NotPrivate as error:
        report.fail(str(error))


def _show(at: Home, url: str, *, open_: bool) -> None:
    report.console.print(keys.address(at, url), soft_wrap=True, markup=False)
    if open_ and _has_screen():
        webbrowser.open(keys.way_in(at, url))


def _serve(at: Home, config: Path | None, port: int | None, *, open_: bool) -> None:
    from archgw.dashboard.serving import here  # loads a web server

    known = _read(config)
    port = port or (known.dashboard if known else Dashboard()).port
    if taken := why_taken(DASHBOARD_HOST, port):
        mend = "name another: archgw dashboard --port N"
        report.fail(f"cannot listen on {DASHBOARD_HOST}:{port}: {taken}", mend=mend)
    _show(at, f"http://{DASHBOARD_HOST}:{port}", open_=open_)
    report.console.print("Ctrl-C ends it.", style="dim")
    here(at, known, port)


def _read(config: Path | None) -> Config | None:
    """None where there is no config: then the ledger is where it usually is."""
    if config is None and configs.kept() is None:
        return None
    return configs.read(configs.find(config), need_keys=False)


def _has_screen() -> bool:
    shows = sys.platform == "darwin" or any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY"))
    return shows and sys.stdout.isatty()
