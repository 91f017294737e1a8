"""archgw top: requests as they end, live."""

import sys
import time
from collections import deque
from typing import Annotated

import grpc
import typer
from rich.live import Live
from rich.markup import escape
from rich.table import Table

from archgw import client, docker, report
from archgw.home import home
from router_service.pb import router_pb2 as pb
from router_service.switching import dollars

_COLUMNS = (
    *("time", "session", "kind", "preference", "score", "model", "tries", "first", "total", "tokens in/out", "cost"),
    "",
)


def top(
    lines: Annotated[int, typer.Option("--lines", "-n", min=1, help="How many requests to show.")] = 20,
    plain: Annotated[
        bool,
        typer.Option("--plain", help="One line a request, for pipes; the default when not on a terminal."),
    ] = False,
) -> None:
    """Watch requests as they are answered: what kind, which preference, which model, how fast, for how much.

    What was asked is shown in a few words only when the gateway was started with ARCHGW_SHOW_ASKS=1.
    """
    at = home()
    if at.stack() is None:
        report.fail("the gateway is not running", mend=docker.way_to(at, "top"))
    try:
        if plain or not sys.stdout.isatty():
            for request in client.watch(at, replay=lines):
                sys.stdout.write("  ".join(_cells(request)) + "\n")
                sys.stdout.flush()
        else:
            _live(client.watch(at, replay=lines), lines)
    except KeyboardInterrupt:
        return
    except grpc.RpcError:
        report.fail("the gateway has stopped", mend="start it again: archgw up")


def _live(requests, lines: int) -> None:  # type: ignore[no-untyped-def]  # an iterator of requests
    shown: deque[pb.Request] = deque(maxlen=lines)
    with Live(_table(shown), console=report.console, screen=False, auto_refresh=False) as live:
        for request in requests:
            shown.append(request)
            live.update(_table(shown), refresh=True)


def _table(requests: deque[pb.Request]) -> Table:
    table = Table(
        box=None,
        pad_edge=False,
        header_style="bold",
        expand=True,
        title=None if requests else "waiting for requests ...",
    )
    for name in _COLUMNS:
        number = name in ("score", "first", "total", "cost")
        last = name == _COLUMNS[-1]
        table.add_column(
            name,
            no_wrap=True,
            justify="right" if number else "left",
            min_width=None if last else max(len(name), 6),
            ratio=1 if last else None,
        )
    for request in requests:
        style = "red" if request.status >= 400 else "yellow" if request.attempts > 1 else ""
        table.add_row(*(escape(cell) for cell in _cells(request)), style=style)
    return table


def _cells(request: pb.Request) -> list[str]:
    return [
        time.strftime("%H:%M:%S", time.localtime(request.started)),
        " ".join(filter(None, (request.caller, _session(request.session)))),
        request.kind,
        request.route or "-",
        f"{request.score:.2f}" if request.HasField("score") else "-",
        request.model_served or request.decided or f"error {request.status}",
        _tries(request),
        report.seconds(request.first_content if request.HasField("first_content") else None),
        report.seconds(request.duration),
        f"{_tokens(request.input_tokens, request.cached_tokens)} / {_tokens(request.output_tokens)}",
        dollars(request.cost) if request.HasField("cost") else "-",
        request.ask or request.error[:60],
    ]


def _tries(request: pb.Request) -> str:
    if request.cache == "hit":
        return "cached"
    if request.decided:
        return "decided only"
    return f"{request.attempts} ({request.failed} failed)" if request.failed else str(request.attempts)


def _session(key: str) -> str:
    """The beginning of its id, and of the sub-agent's."""
    session, _, agent = key.removeprefix("fingerprint/").partition("/")
    return session[:6] + (f"/{agent[:4]}" if agent else "") or "-"


def _tokens(*counts: int) -> str:
    known = [count for count in counts if count >= 0]
    return f"{sum(known):,}" if known else "?"
