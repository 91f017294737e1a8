"""archgw check-mesh: another team's Envoy, looked at before and after."""

import json
import tempfile
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from archgw import configs, report
from archgw.machine import CannotStart, refusal
from archgw.mesh_check import whole
from archgw.reading import document
from archgw.render.envoy import Place
from archgw.render.mesh.foreign import read
from archgw.render.mesh.fragments import PREFIX, fragments
from archgw.render.mesh.shapes import check

_COLOURS = {"missing": "red", "clash": "red", "note": "yellow"}


def check_mesh(
    file: Annotated[
        Path, typer.Argument(help="Their bootstrap (JSON or YAML), or what their Envoy prints at /config_dump.")
    ],
    config: configs.Argument = None,
    listener: Annotated[str, typer.Option(help="The listener that clients of models come to.")] = "",
    prefix: Annotated[str, typer.Option(help="What stands before all names of ours.")] = PREFIX,
    router_socket: Annotated[str, typer.Option(help="The unix socket of the router service.")] = Place().router_socket,
    validate: Annotated[
        bool, typer.Option("--validate", help="Let the Envoy of this machine check a bootstrap, too.")
    ] = False,
) -> None:
    """Tell what an Envoy of yours lacks to route to models, and what in it is in the way. Changes nothing, asks nobody.

    Each with what to do about it; exits with 1 where something is missing or clashes.
    """
    plan = configs.complete(configs.find(config))
    theirs = document(file)
    try:
        check(theirs)
        seen = read(theirs)
    except ValueError as error:
        report.fail(f"{file}: {error}")
    ours = fragments(plan, Place(router_socket=router_socket, prefix=prefix))
    found = whole.findings(seen, ours, plan, listener=listener)
    for one in found:
        colour = _COLOURS[one.weight]
        report.console.print(
            f"[{colour}]{one.weight}:[/{colour}] {escape(one.what)}\n  {escape(one.mend)}", soft_wrap=True
        )
    if validate:
        if seen.dumped:
            report.fail("--validate wants a bootstrap; a dump is of an Envoy that runs", code=report.MISUSE)
        _validate(json.dumps(theirs))
    if any(one.weight != "note" for one in found):
        report.fail(
            "not in order yet", mend=f"render the pieces, or merge them: archgw render mesh --for plain --into {file}"
        )
    report.console.print("[green]Everything is in order.[/green]")


def _validate(bootstrap: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "bootstrap.json"
        file.write_text(bootstrap)
        try:
            refused = refusal(file)
        except CannotStart as error:
            report.fail(str(error))
    if refused:
        report.fail(refused)
    report.console.print("Envoy accepts it.")
