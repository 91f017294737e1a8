"""Who may reach the pod, and whom it may reach.

A NetworkPolicy knows addresses and no names. So it lets the pod reach the whole internet at the ports of the config's
models, and nothing private; where Cilium is, `toFQDNs` names their hosts, and only those.
"""

from collections.abc import Iterable
from ipaddress import ip_address

from archgw.render.envoy_pieces import Json
from archgw.render.kubernetes_pod import LABELS, NAME
from router_service.config import RemoteModel
from router_service.config.addresses import is_nobodys
from router_service.plan import Address, Plan, address

CLIENTS = {"archgw-client": "true"}  # the label of a namespace whose pods may ask
VENDORS = f"{NAME}-vendors"
_PRIVATE = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10")
_PRIVATE_6 = ("fc00::/7",)
# Besides: this machine, and where a cloud tells it its own credentials.
_NEVER = ("0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "168.63.129.16/32")
_NEVER_6 = ("::1/128", "fe80::/10")
_CACHED_DNS = "169.254.20.10/32"  # NodeLocal DNSCache, which a cluster may have
_STORES = (6379, 5432)  # Redis, PostgreSQL
# Where the clouds' libraries fetch what proves a request.
_IDENTITIES = {
    "google": ("oauth2.googleapis.com", "sts.googleapis.com", "iamcredentials.googleapis.com"),
    "aws": ("sts.amazonaws.com", "sts.*.amazonaws.com"),
}


def policies(plan: Plan) -> list[Json]:
    """Nobody in, nobody out; then those who may."""
    places = list(_places(plan))
    own = sorted({place.port for place in places if _is_private(place.host)})
    return [
        policy("deny-all", {}, {"policyTypes": ["Ingress", "Egress"]}),
        policy(NAME, LABELS, {"policyTypes": ["Ingress", "Egress"], "ingress": [_clients(plan)], "egress": [_DNS]}),
        *_vendors(places),
        *([policy(f"{NAME}-own-models", LABELS, _within(own))] if own else []),
        *([stores()] if names_stores(plan) else []),
    ]


def names_stores(plan: Plan) -> bool:
    """Whether the config itself wants Redis or PostgreSQL; of `$NAME` nobody knows more here."""
    return plan.state.url not in ("sqlite", "memory") or not plan.ledger.url.startswith(("sqlite", "none"))


def stores() -> Json:
    """What replicas share, wherever it is: the URLs are in the Secret. To be narrowed to where it is."""
    return policy(f"{NAME}-stores", LABELS, _within(_STORES))


def cilium(plan: Plan) -> Json:
    """The hosts of the config's models by name; Cilium learns their addresses from what DNS answers the pod."""
    named = [place for place in _places(plan) if not _is_private(place.host) and not _is_ip(place.host)]
    by_port: dict[int, set[str]] = {}
    for place in named:
        by_port.setdefault(place.port, set()).add(place.host)
    rules = [_named(port, sorted(hosts)) for port, hosts in sorted(by_port.items())]
    if identities := _identities(plan):
        rules.append(_named(443, identities))
    dns = {
        "toEndpoints": [{"matchLabels": {"k8s:io.kubernetes.pod.namespace": "kube-system", "k8s-app": "kube-dns"}}],
        "toPorts": [{"ports": [{"port": "53", "protocol": "ANY"}], "rules": {"dns": [{"matchPattern": "*"}]}}],
    }
    return {
        "apiVersion": "cilium.io/v2",
        "kind": "CiliumNetworkPolicy",
        "metadata": {"name": VENDORS, "namespace": NAME},
        "spec": {"endpointSelector": {"matchLabels": LABELS}, "egress": [dns, *rules]},
    }


def policy(name: str, pods: Json, spec: Json) -> Json:
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": name},
        "spec": {"podSelector": {"matchLabels": pods} if pods else {}, **spec},
    }


def _clients(plan: Plan) -> Json:
    """Pods of the gateway's own namespace, and those of namespaces that are labelled so."""
    who = [{"podSelector": {}}, {"namespaceSelector": {"matchLabels": CLIENTS}}]
    return {"from": who, "ports": _ports([plan.listener.port])}


_DNS: Json = {
    "to": [
        {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}}},
        {"ipBlock": {"cidr": _CACHED_DNS}},
    ],
    "ports": [{"port": 53, "protocol": "UDP"}, {"port": 53, "protocol": "TCP"}],
}


def _vendors(places: Iterable[Address]) -> list[Json]:
    ports = sorted({place.port for place in places if not _is_private(place.host)})
    world = [
        {"ipBlock": {"cidr": "0.0.0.0/0", "except": [*_PRIVATE, *_NEVER]}},
        {"ipBlock": {"cidr": "::/0", "except": [*_PRIVATE_6, *_NEVER_6]}},
    ]
    spec = {"policyTypes": ["Egress"], "egress": [{"to": world, "ports": _ports(ports)}]}
    return [policy(VENDORS, LABELS, spec)] if ports else []


def _within(ports: Iterable[int]) -> Json:
    """To the cluster's pods, and to private addresses beside it."""
    blocks = [{"ipBlock": {"cidr": cidr}} for cidr in (*_PRIVATE, *_PRIVATE_6)]
    return {
        "policyTypes": ["Egress"],
        "egress": [{"to": [{"namespaceSelector": {}}, *blocks], "ports": _ports(ports)}],
    }


def _named(port: int, hosts: Iterable[str]) -> Json:
    names = [{"matchPattern" if "*" in host else "matchName": host} for host in hosts]
    return {"toFQDNs": names, "toPorts": [{"ports": [{"port": str(port), "protocol": "TCP"}]}]}


def _ports(ports: Iterable[int]) -> list[Json]:
    return [{"port": port, "protocol": "TCP"} for port in ports]


def _places(plan: Plan) -> Iterable[Address]:
    """Of all that the two processes ask by an address of the config."""
    yield from (candidate.address for candidate in plan.candidates)
    if isinstance(plan.routing.model, RemoteModel):
        yield address(plan.routing.model.base_url)
    if plan.telemetry.otlp:
        yield address(plan.telemetry.otlp)


def _identities(plan: Plan) -> list[str]:
    clouds = {candidate.provider.cloud.name for candidate in plan.candidates if candidate.provider.cloud}
    return sorted(host for cloud in clouds for host in _IDENTITIES.get(cloud, ()))


def _is_ip(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _is_private(host: str) -> bool:
    """A private address, or a name such as only a cluster or an office knows."""
    return ip_address(host).is_private if _is_ip(host) else is_nobodys(host) or host.endswith(".svc")
