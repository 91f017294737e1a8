"""What a container is given: where it finds what, and what the plan and the place are as seen from in there."""

from dataclasses import replace

from archgw.render.envoy_pieces import Place
from router_service.plan import Plan

USER = 65532  # of the router and of Envoy alike: the sockets are their owner's alone
SOCKETS = "/run/archgw"
DATA = "/var/lib/archgw"
SECRETS = "/run/secrets"
CONFIG = "/etc/archgw/config.yaml"
ENVOY_CONFIG = "/etc/archgw/envoy.json"  # in Envoy's
TMP = "/tmp:mode=1777,size=64m"  # noqa: S108 - a container's own, in memory
THIS_MACHINE = "host.docker.internal"  # the machine that runs the containers, as Docker calls it
ENVOY = ("envoy", "-c", ENVOY_CONFIG, "--disable-hot-restart", "--concurrency", "4", "--log-level", "warning")


def place(this_machine: str = "") -> Place:
    return Place(f"{SOCKETS}/router.sock", admin_socket=f"{SOCKETS}/admin.sock", this_machine=this_machine)


def listening(plan: Plan) -> Plan:
    """To all of the container's own network: whom that lets in is decided where its port is published."""
    return replace(plan, listener=replace(plan.listener, address="0.0.0.0"))
