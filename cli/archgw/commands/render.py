"""archgw render: what other programs are fed, a command for each."""

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from archgw import configs, report
from archgw.commands.render_kubernetes import render_kubernetes
from archgw.home import write_private
from archgw.reading import document
from archgw.render import compose, containers, envoy, mesh
from archgw.render.mesh.fragments import PREFIX, fragments
from archgw.render.mesh.merge import CannotMerge, merge
from router_service.plan import Plan
from router_service.shell.rendered import to_json

render_app = typer.Typer(
    no_args_is_help=True,
    help="Render what archgw feeds to other programs from the config: print it, or write it into a folder.",
)


@render_app.command("envoy")
def render_envoy(
    config: configs.Argument = None,
    router_socket: Annotated[
        str, typer.Option(help="The unix socket of the router service.")
    ] = envoy.Place().router_socket,
    admin_port: Annotated[int, typer.Option(help="Envoy's admin port, on loopback.")] = envoy.Place().admin_port,
    admin_socket: Annotated[
        str, typer.Option(help="A unix socket for Envoy's admin page, instead of a port.", show_default=False)
    ] = "",
    in_container: Annotated[
        bool,
        typer.Option("--in-container", help="For the Envoy of docker-compose.yaml, and the models whose key is there."),
    ] = False,
    only_usable: Annotated[bool, typer.Option("--only-usable", help="Leave out models whose key is not set.")] = False,
    output: Annotated[
        Path | None, typer.Option(help="Write it into this file, whole or not at all.", show_default=False)
    ] = None,
    rendered_as: Annotated[
        Path | None,
        typer.Option(
            "--rendered",
            help="Write into this file of what it was rendered, for the router service's --rendered.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Print the Envoy configuration (JSON) that archgw makes of the config.

    Models whose key is not set are rendered, too, but for a container or with --only-usable, which is for where the
    router service has the same keys. The keys themselves are never part of it.
    """
    given, plan = configs.at_once(configs.find(config), all_models=not (in_container or only_usable))
    if in_container:
        place, plan = containers.place(containers.THIS_MACHINE), containers.listening(plan)
    else:
        place = envoy.Place(router_socket=router_socket, admin_port=admin_port, admin_socket=admin_socket)
    if rendered_as:
        with report.written(rendered_as):
            write_private(rendered_as, to_json(given, [candidate.label for candidate in plan.candidates]))
    text = json.dumps(envoy.render(plan, place), indent=1) + "\n"
    if output:
        with report.written(output):
            write_private(output, text)
    else:
        sys.stdout.write(text)


@render_app.command("compose")
def render_compose(config: configs.Argument = None) -> None:
    """Print the docker-compose.yaml that archgw makes of the config, to lie beside it. It holds no key."""
    path = configs.find(config)
    plan = configs.complete(path)
    _check_alone(plan)
    sys.stdout.write(compose.text(plan, compose.Files(config=f"./{path.name}")))


@render_app.command("mesh")
def render_mesh(
    target: Annotated[mesh.Target, typer.Option("--for", help="Whose Envoy it is.")],
    config: configs.Argument = None,
    out: Annotated[Path | None, typer.Option(help="The folder that the files are written into.")] = None,
    into: Annotated[
        Path | None, typer.Option(help="Their bootstrap (JSON or YAML): print it with our routing in it. plain alone.")
    ] = None,
    listener: Annotated[str, typer.Option(help="With --into: the listener that clients come to, if several are.")] = "",
    host: Annotated[str, typer.Option(help="At which host models are asked for.")] = "",
    namespace: Annotated[str, typer.Option(help="The namespace of their gateway, for Kubernetes.")] = "",
    beside: Annotated[
        Path | None, typer.Option(help="An earlier config, whose clusters stay while services still serve it.")
    ] = None,
    prefix: Annotated[str, typer.Option(help="What stands before all names of ours.")] = PREFIX,
    router_socket: Annotated[
        str, typer.Option(help="The unix socket of the router service.")
    ] = envoy.Place().router_socket,
    ca_file: Annotated[
        str, typer.Option(help="Where their Envoy finds the certificates that vendors' are checked against.")
    ] = envoy.Place().ca_file,
) -> None:
    """Render our routing for an Envoy that you run: as pieces, for Istio, for Envoy Gateway, or behind a gateway.

    With --into the bootstrap is merged as a person would do it, as often as you like. Look before: archgw check-mesh
    """
    if not prefix:
        report.fail("--prefix must not be empty: names such as router are others', too", code=report.MISUSE)
    place = envoy.Place(router_socket=router_socket, prefix=prefix, ca_file=ca_file)
    plan = configs.complete(configs.find(config))
    _check_alone(plan)
    ours = fragments(plan, place, configs.complete(configs.find(beside)) if beside else None)
    if into is not None:
        if target != "plain" or out is not None:
            report.fail("--into is for plain alone, and prints what it makes: no --out", code=report.MISUSE)
        try:
            merged = merge(document(into), ours, listener=listener, host=host)
        except CannotMerge as error:
            report.fail(f"{into}: {error}")
        sys.stdout.write(json.dumps(merged, indent=1) + "\n")
        return
    if out is None:
        report.fail("say where the files go: --out DIR", code=report.MISUSE)
    site = mesh.SITES[target]
    site = replace(site, host=host or site.host, namespace=namespace or site.namespace)
    for name, content in mesh.TARGETS[target](ours, plan, site).items():
        file = out / name
        with report.written(file):
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(content)
        report.errors.print(f"wrote {file}", markup=False, soft_wrap=True)


render_app.command("kubernetes")(render_kubernetes)


def _check_alone(plan: Plan) -> None:
    try:
        containers.check_alone(plan.workers)
    except containers.Several as error:
        report.fail(str(error))
