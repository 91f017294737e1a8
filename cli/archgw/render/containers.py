"""What a container is given: where it finds what, what it runs, and how the plan and the place are seen from in there.

The same for Compose and for a pod, but for how keys are mounted.
"""

from collections.abc import Iterable
from dataclasses import replace

from archgw.render.envoy_pieces import Place
from router_service.plan import Plan

USER = 65532  # of the router and of Envoy alike: the sockets are their owner's alone
SOCKETS = "/run/archgw"
DATA = "/var/lib/archgw"
SECRETS = "/run/secrets"
CONFIG = "/etc/archgw/config.yaml"
TMP = "/tmp:mode=1777,size=64m"  # noqa: S108 - a container's own, in memory
THIS_MACHINE = "host.docker.internal"  # the machine that runs the containers, as Docker calls it
ROUTER_SOCKET = f"{SOCKETS}/router.sock"
ADMIN_SOCKET = f"{SOCKETS}/admin.sock"

# As the Dockerfile's ENTRYPOINT has it.
ROUTER = (
    "python", "-m", "router_service",
    "--config", CONFIG,
    "--socket", ROUTER_SOCKET,
    "--state", f"{DATA}/state.sqlite",
    "--ledger", f"{DATA}/ledger.sqlite",
    "--cache", f"{DATA}/cache.sqlite",
    "--envoy-admin", ADMIN_SOCKET,
)  # fmt: skip
PROBE = ("python", "-m", "router_service.shell.probe", ROUTER_SOCKET)


class Several(Exception):
    """Of what is one in a container, the config wants several; in words."""


def envoy(config: str, *, threads: int, more: Iterable[str] = ()) -> list[str]:
    """`config`: where Envoy's own is, in its container."""
    return [
        "envoy", "-c", config, "--disable-hot-restart", "--concurrency", str(threads), "--log-level", "warning", *more
    ]  # fmt: skip


def place(this_machine: str = "") -> Place:
    return Place(ROUTER_SOCKET, admin_socket=ADMIN_SOCKET, this_machine=this_machine)


def listening(plan: Plan) -> Plan:
    """To all of the container's own network: whom that lets in is decided where its port is published."""
    return replace(plan, listener=replace(plan.listener, address="0.0.0.0"))


def check_alone(workers: int) -> None:
    """Raises Several."""
    if workers > 1:
        raise Several(
            f"workers: {workers}: one router service stands beside an Envoy in containers, and beside another's; leave"
            " it out. More is carried by more of both: replicas, which share their state in Redis"
        )
