"""archgw render: what other programs are fed, a command for each."""

import json
import sys
from typing import Annotated

import typer

from archgw import configs
from archgw.commands.render_kubernetes import render_kubernetes
from archgw.render import envoy

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
) -> None:
    """Print the Envoy configuration (JSON) that archgw makes of the config.

    Models whose key is not set are rendered, too: the keys themselves are never part of it.
    """
    path = configs.find(config)
    place = envoy.Place(router_socket=router_socket, admin_port=admin_port)
    plan = configs.complete(path)
    sys.stdout.write(json.dumps(envoy.render(plan, place), indent=1) + "\n")


render_app.command("kubernetes")(render_kubernetes)
