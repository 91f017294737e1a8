"""archgw route: which preference, which model, and why - without calling anyone."""

import json
import sys
from pathlib import Path
from typing import Annotated

import grpc
import typer
from rich.markup import escape
from rich.table import Table

from archgw import client, configs, report
from archgw.home import home
from router_service.pb import router_pb2 as pb
from router_service.plan import Plan


def route(
    prompt: Annotated[str, typer.Argument(help="What you would ask.")],
    config: Annotated[Path | None, typer.Option("--config", "-c", help=configs.HELP, show_default=False)] = None,
    context: Annotated[
        list[str] | None,
        typer.Option(
            "--context",
            help="What was said before, newest first: 'user: ...' or 'assistant: ...'. May be repeated.",
            show_default=False,
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print it as JSON.")] = False,
) -> None:
    """Show which preference and which model a prompt would get, and why. Nothing is sent to any provider.

    Asks the running gateway; with --config, or when none runs, the model is loaded here.
    """
    reply = _from_the_stack(prompt, context or []) if config is None else None
    if reply is None:
        path = configs.find(config)
        reply = _here(configs.complete(path), prompt, context or [])
    if as_json:
        sys.stdout.write(json.dumps(_as_json(reply), indent=1, ensure_ascii=False) + "\n")
        return
    _print(reply)


def _from_the_stack(prompt: str, context: list[str]) -> pb.DecideReply | None:
    at = home()
    if at.stack() is None:
        return None
    try:
        return client.decide(at, prompt, context)
    except grpc.RpcError:
        return None


def _here(plan: Plan, prompt: str, context: list[str]) -> pb.DecideReply:
    with report.console.status("loading the router model ..."):
        from router_service.shell.onnx_router import OnnxRouter  # loads the tokenizer library: a second
        from router_service.shell.router_api import decided

        router = OnnxRouter(plan.routes)
        router.score(prompt, context)  # the first run is slower; tell the usual time
        return decided(plan, router.score(prompt, context))


def _print(reply: pb.DecideReply) -> None:
    out = report.console
    first, *rest = reply.models
    out.print(f"[bold]{escape(reply.route)}[/bold] -> [bold]{escape(first)}[/bold]")
    out.print(f"why: {escape(reply.reason)}", soft_wrap=True)
    out.print(f"if that fails: {escape(', '.join(rest)) or 'nobody else'}\n")
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("preference")
    table.add_column("fit", justify="right")
    table.add_column("")
    for fit in reply.fits:
        table.add_row(escape(fit.route), f"{fit.probability:.2f}", "█" * round(fit.probability * 30))
    out.print(table)
    out.print(f"\nthe router model took {report.seconds(reply.seconds)}")


def _as_json(reply: pb.DecideReply) -> dict[str, object]:
    return {
        "route": reply.route,
        "models": list(reply.models),
        "reason": reply.reason,
        "fits": {fit.route: round(fit.probability, 4) for fit in reply.fits},
        "seconds": reply.seconds,
    }
