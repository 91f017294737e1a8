"""Small pieces that Envoy's configuration is made of."""

from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any

from router_service.config.addresses import is_local

Json = dict[str, Any]

EXTENSIONS = "type.googleapis.com/envoy.extensions"
STREAM_WINDOW = 256 * 1024  # bytes of one HTTP/2 stream on their way: Envoy's own 16 MB times many slow readers is much
CONNECTION_WINDOW = 32 * 1024 * 1024  # of all streams of a connection: slow ones must not take it from the others


@dataclass(frozen=True, slots=True)
class Place:
    """What differs between machines: where Envoy finds the service, and where it listens and logs.

    `router_socket`, `ca_file` and `access_log` are paths. Envoy's own page is at `admin_socket`, which its owner alone
    may open; without one, at `admin_port` on loopback. In an Envoy that is not ours, `prefix` stands before all names.
    Where Envoy is in a container, `this_machine` is by which name it reaches the machine's own loopback address; the
    service, and what is sent, keep to the config's.
    """

    router_socket: str = "/run/archgw/router.sock"
    admin_port: int = 9901
    admin_socket: str = ""
    ca_file: str = "/etc/ssl/certs/ca-certificates.crt"
    access_log: str = "/dev/stdout"
    prefix: str = ""
    this_machine: str = ""

    def named(self, name: str) -> str:
        return f"{self.prefix}{name}"

    def counted_as(self, name: str) -> str:
        """By what name Envoy counts it: its statistics end a cluster's name at the first dot."""
        return self.named(name).replace(".", "_") if self.prefix else name

    def reached(self, host: str) -> str:
        """Where Envoy finds what the config has at `host`."""
        return self.this_machine if self.this_machine and is_local(host) else host


def endpoint(cluster: str, address: Json, metadata: Json | None = None) -> Json:
    endpoint: Json = {"endpoint": {"address": address}}
    if metadata:
        endpoint["metadata"] = metadata
    return {"cluster_name": cluster, "endpoints": [{"lb_endpoints": [endpoint]}]}


def socket_address(host: str, port: int) -> Json:
    return {"socket_address": {"address": host, "port_value": port}}


def typed(name: str, type: str, **config: Any) -> Json:
    return {"name": name, "typed_config": {"@type": f"{EXTENSIONS}.{type}", **config}}


def seconds(value: float) -> str:
    return f"{value:g}s"


def is_ip(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
