"""archgw render: what other programs are fed, a command for each."""

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from archgw import configs
from archgw.home import write_private
from archgw.render import compose, containers, envoy

render_app = typer.Typer(
    no_args_is_help=True, help="Print what archgw feeds to other programs, rendered from the config."
)


@render_app.command("envoy")
def render_envoy(
    config: configs.Argument = None,
    router_socket: Annotated[
        str, typer.Option(help="The unix socket of the router service.")
    ] = envoy.Place().router_socket,
    admin_port: Annotated[int, typer.Option(help="Envoy's admin port, on loopback.")] = envoy.Place().admin_port,
    in_container: Annotated[
        bool,
        typer.Option("--in-container", help="For the Envoy of docker-compose.yaml, and the models whose key is there."),
    ] = False,
    output: Annotated[
        Path | None, typer.Option(help="Write it into this file, whole or not at all.", show_default=False)
    ] = None,
) -> None:
    """Print the Envoy configuration (JSON) that archgw makes of the config.

    Models whose key is not set are rendered, too, but for a container: the keys themselves are never part of it.
    """
    path = configs.find(config)
    if in_container:
        place, plan = containers.place(containers.THIS_MACHINE), containers.listening(configs.resolve(path)[1])
    else:
        place = envoy.Place(router_socket=router_socket, admin_port=admin_port)
        plan = configs.complete(path)
    text = json.dumps(envoy.render(plan, place), indent=1) + "\n"
    if output:
        write_private(output, text)
    else:
        sys.stdout.write(text)


@render_app.command("compose")
def render_compose(config: configs.Argument = None) -> None:
    """Print the docker-compose.yaml that archgw makes of the config, to lie beside it. It holds no key."""
    path = configs.find(config)
    sys.stdout.write(compose.text(configs.complete(path), compose.Files(config=f"./{path.name}")))
