"""archgw route: which preference, which model, and why - without calling anyone."""

import asyncio
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import grpc
import typer
from rich.markup import escape
from rich.table import Table

from archgw import client, configs, report
from archgw.home import home
from router_service import decisions
from router_service.asks import ask_and_context
from router_service.conversation import Conversation
from router_service.pb import router_pb2 as pb
from router_service.plan import Plan
from router_service.policies.policy import Scores

if TYPE_CHECKING:
    from router_service.shell.router_model import Model


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
    explain: Annotated[
        bool, typer.Option("--explain", help="Also show what the router model read, and how hard it finds the ask.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print it as JSON.")] = False,
) -> None:
    """Show which preference and which model a prompt would get, and why. Nothing is sent to any provider.

    Asks the running gateway; with --config, or when none runs, the model is loaded here.
    """
    said = asked(prompt, context or [])
    reply = _from_the_stack(*said, explain=explain) if config is None else None
    if reply is None:
        path = configs.find(config)
        reply = _here(configs.complete(path), *said, explain=explain)
    if as_json:
        sys.stdout.write(json.dumps(_as_json(reply), indent=1, ensure_ascii=False) + "\n")
        return
    _print(reply)


def asked(prompt: str, context: list[str]) -> tuple[str, list[str]]:
    """The prompt and its context, as they would be read in a conversation: envelopes off, long texts cut."""
    ask, before = ask_and_context(Conversation(model="", messages=decisions.said(prompt, context)))
    return ask, list(before)


def _from_the_stack(prompt: str, context: list[str], *, explain: bool) -> pb.DecideReply | None:
    at = home()
    if at.stack() is None:
        return None
    try:
        return client.decide(at, prompt, context, explain=explain)
    except grpc.RpcError:
        return None


def _here(plan: Plan, prompt: str, context: list[str], *, explain: bool) -> pb.DecideReply:
    with report.console.status("loading the router model ..."):
        from router_service.shell import router_model  # loads the tokenizer library: a second
        from router_service.shell.onnx_model import BadModel
        from router_service.shell.router_api import decided, first_turn

        try:
            model = router_model.of(plan)
            scores = asyncio.run(_scored(model, prompt, tuple(context)))
        except BadModel as error:
            report.fail(f"routing.model: {error}")
    reading = model.reading(prompt, tuple(context)) if explain else None
    return decided(plan, scores, reading, first_turn(prompt, context, scores))


async def _scored(model: "Model", prompt: str, context: tuple[str, ...]) -> Scores:
    try:
        await model.warm_up()
        return await model.score(prompt, context)
    finally:
        await model.close()


def _print(reply: pb.DecideReply) -> None:
    out = report.console
    first, *rest = reply.models
    out.print(f"[bold]{escape(reply.route)}[/bold] -> [bold]{escape(first)}[/bold]")
    out.print(f"why: {escape(reply.reason)}", soft_wrap=True)
    out.print(f"if that fails: {escape(', '.join(rest)) or 'nobody else'}\n")
    if reply.trouble:
        out.print(f"nothing was scored: {escape(reply.trouble)}", soft_wrap=True)
    else:
        out.print(_fits(reply))
    if reply.difficulty:
        level, share = max(reply.difficulty.items(), key=lambda item: item[1])
        out.print(f"\nit looks {level} ({share:.2f})")
    if reply.HasField("reading"):
        _print_reading(reply.reading)
    if not reply.trouble:
        out.print(f"\nthe router model took {report.seconds(reply.seconds)}")


def _fits(reply: pb.DecideReply) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("preference")
    table.add_column("fit", justify="right")
    table.add_column("")
    for fit in reply.fits:
        table.add_row(escape(fit.route), f"{fit.probability:.2f}", "█" * round(fit.probability * 30))
    return table


def _print_reading(reading: pb.Reading) -> None:
    grid = Table(box=None, pad_edge=False, show_header=False)
    grid.add_row("[bold]read[/bold]", escape(reading.ask))
    grid.add_row("[bold]said before[/bold]", escape(reading.context) or "nothing")
    if reading.tokens:
        grid.add_row("[bold]tokens[/bold]", str(reading.tokens))
    grid.add_row("[bold]model[/bold]", escape(reading.model))
    report.console.print()
    report.console.print(grid)


def _as_json(reply: pb.DecideReply) -> dict[str, object]:
    return {
        "route": reply.route,
        "models": list(reply.models),
        "reason": reply.reason,
        "fits": {fit.route: round(fit.probability, 4) for fit in reply.fits},
        "difficulty": {level: round(share, 4) for level, share in reply.difficulty.items()},
        "seconds": reply.seconds,
        **({"trouble": reply.trouble} if reply.trouble else {}),
        **({"read": _read(reply.reading)} if reply.HasField("reading") else {}),
    }


def _read(reading: pb.Reading) -> dict[str, object]:
    """`tokens`: null where the model does not say."""
    return {"ask": reading.ask, "context": reading.context, "tokens": reading.tokens or None, "model": reading.model}
