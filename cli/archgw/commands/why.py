"""archgw why: everything about one decision."""

import json
import sys
import time
from typing import Annotated

import grpc
import typer
from google.protobuf.json_format import MessageToDict
from rich.markup import escape
from rich.table import Table

from archgw import client, docker, report
from archgw.home import home
from router_service.pb import router_pb2 as pb
from router_service.switching import dollars

_SHOWN = 600  # letters of what was asked
_DECIDED = "whoever asked goes to the model himself: no model was asked here, and what it costs is not known"
_CACHE = {  # how it had to do with the request
    "hit": "answered from it; no model was asked",
    "miss": "held no answer; this one is kept, if it is whole and good",
    "refresh": "was not looked into, as the client wished; this answer takes the place of what it held",
}


def why(
    request: Annotated[
        str,
        typer.Argument(
            help="'last', or the id of a request (x-arch-request-id, archgw top) or how it begins.", metavar="REQUEST"
        ),
    ] = "last",
    session: Annotated[
        str,
        typer.Option(
            "--session", help="The last request of this session: its id or how it begins.", show_default=False
        ),
    ] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print it as JSON.")] = False,
) -> None:
    """Tell why a request was answered by the model that answered it.

    What was asked, how well each of your preferences fits, who was passed over and why, what a change of model would
    have cost, every try, tokens and dollars. The running gateway remembers its last 500 requests, in memory alone.
    """
    at = home()
    if at.stack() is None:
        report.fail("the gateway is not running", mend=docker.way_to(at, "why"))
    try:
        found = client.explain(at, "" if request == "last" else request, session)
    except grpc.RpcError as error:
        if error.code() is not grpc.StatusCode.NOT_FOUND:
            report.fail("the gateway does not answer", mend="see what it is doing: archgw status")
        wanted = f"session {session}" if session else f"request {request}" if request != "last" else "request yet"
        report.fail(
            f"there is no {wanted} among the last 500 of this gateway",
            mend="see which there are: archgw top   (of several replicas each knows what it has answered itself)",
        )
    if as_json:
        told = MessageToDict(found, preserving_proto_field_name=True)
        sys.stdout.write(json.dumps(told, indent=1, ensure_ascii=False) + "\n")
        return
    _print(found)


def _print(found: pb.Explanation) -> None:
    request, out = found.request, report.console
    answer = request.model_served or request.decided or f"error {request.status}"
    out.print(f"[bold]{escape(request.route or '-')}[/bold] -> [bold]{escape(answer)}[/bold]")
    out.print(f"why: {escape(request.reason)}\n", soft_wrap=True)
    out.print(_facts(found))
    if found.fits:
        out.print()
        out.print(_fits(found))
    if found.tries:
        out.print()
        out.print(_tries(found))


def _facts(found: pb.Explanation) -> Table:
    grid = Table(box=None, pad_edge=False, show_header=False)
    grid.add_column(style="bold", no_wrap=True)
    grid.add_column(overflow="fold")
    for name, text in _rows(found):
        if text:
            grid.add_row(name, escape(text))
    return grid


def _rows(found: pb.Explanation) -> list[tuple[str, str]]:
    request = found.request
    when = time.strftime("%H:%M:%S", time.localtime(request.started))
    difficulty = max(found.difficulty.items(), key=lambda item: item[1], default=("", 0.0))
    return [
        ("request", f"{request.id}, {request.kind}, {when}" + (f", {request.client}" if request.client else "")),
        ("decided only", _DECIDED if request.decided else ""),
        ("client key", request.caller),
        ("session", request.session),
        ("asked for", request.model_asked),
        ("asked", _cut(found.ask)),
        ("said before", _cut(" | ".join(found.context))),
        ("looks", f"{difficulty[0]} ({difficulty[1]:.2f})" if difficulty[0] else ""),
        ("router model", found.trouble or (f"took {report.seconds(found.seconds)}" if found.fits else "was not asked")),
        ("in this order", ", ".join(found.candidates)),
        ("passed over", "; ".join(f"{passed.model}: {passed.why}" for passed in found.passed_over)),
        ("served before", found.served_before),
        ("switch", found.switch),
        ("adapted", "; ".join(found.warnings)),
        ("first content", report.seconds(request.first_content) if request.HasField("first_content") else ""),
        ("in all", report.seconds(request.duration)),
        ("cache", _CACHE.get(request.cache, "")),
        ("tokens", _tokens(found)),
        ("cost", _cost(found)),
        ("error", request.error),
    ]


def _cut(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]} ..."


def _tokens(found: pb.Explanation) -> str:
    request = found.request
    counts = [
        (request.input_tokens, "read"),
        (request.cached_tokens, "from the vendor's cache"),
        (found.cache_write_tokens, "written to it"),
        (request.output_tokens, "written"),
    ]
    return ", ".join(f"{count:,} {what}" for count, what in counts if count > 0)


def _cost(found: pb.Explanation) -> str:
    request = found.request
    if not request.HasField("cost"):
        return f"unknown: no published price of {request.model_served}" if request.model_served else ""
    told = dollars(request.cost)
    if request.cache == "hit":
        saved = f"; {dollars(found.baseline)} saved" if found.HasField("baseline") else ""
        return f"nothing{saved}; the session {dollars(found.session_cost)} ({dollars(found.session_baseline)})"
    if found.HasField("baseline") and found.baseline_model != request.model_served:
        told += f" ({dollars(found.baseline)} on {found.baseline_model})"
    return f"{told}; the session {dollars(found.session_cost)} ({dollars(found.session_baseline)})"


def _fits(found: pb.Explanation) -> Table:
    table = Table("preference", box=None, pad_edge=False, header_style="bold")
    table.add_column("fit", justify="right")
    table.add_column("")
    for fit in found.fits:
        table.add_row(escape(fit.route), f"{fit.probability:.2f}", "█" * round(fit.probability * 30))
    return table


def _tries(found: pb.Explanation) -> Table:
    table = Table("try", box=None, pad_edge=False, header_style="bold")
    table.add_column("status", justify="right")
    table.add_column("took", justify="right")
    table.add_column("", overflow="fold")
    for one in found.tries:
        style = "yellow" if one.trouble else ""
        row = one.model, str(one.status or "-"), report.seconds(one.seconds), one.trouble or "answered"
        table.add_row(*map(escape, row), style=style)
    return table
