"""For a gateway that Istio runs: what is added to its proxy, its pod, and the mesh's list of hosts."""

from archgw.render.envoy_pieces import Json
from archgw.render.mesh.fragments import Fragments
from archgw.render.mesh.manifests import (
    Site,
    duration,
    resource,
    router_container,
    socket_mount,
    text,
    vendors,
    volumes,
)
from router_service.plan import Plan

NAMESPACE = "istio-ingress"
USER = 1337  # as whom Istio's proxy runs, and so must the service: its socket opens for nobody else
_GATEWAY = "istio-ingressgateway"  # the Deployment, its Service, and the label that chooses it
_SELECTOR = {"istio": "ingressgateway"}
_PORT = 443
_SESSION = "x-claude-code-session-id"
_MANAGER, _ROUTER = "envoy.filters.network.http_connection_manager", "envoy.filters.http.router"


def files(ours: Fragments, plan: Plan, site: Site) -> dict[str, str]:
    return {
        "envoyfilter.yaml": text("What is added to the gateway's proxy.", [_envoy_filter(ours, site)]),
        "gateway.yaml": text("The host at which models are asked for.", [_gateway(site), _virtual_service(plan, site)]),
        "hosts.yaml": text("Where models are, and how callers find one session's replica.", _hosts(plan, site)),
        "pod.yaml": text("The router service in the gateway's pod, as a patch of its Deployment.", [_pod(site)]),
    }


def _envoy_filter(ours: Fragments, site: Site) -> Json:
    manager = {"filterChain": {"filter": {"name": _MANAGER}}}
    before_router = {"filterChain": {"filter": {"name": _MANAGER, "subFilter": {"name": _ROUTER}}}}
    replies = {"typed_config": {"@type": _MANAGER_TYPE, "local_reply_config": {"mappers": list(ours.replies)}}}
    virtual_host = {"vhost": {"name": f"{site.host}:{_PORT}"}}
    patches = [
        {"applyTo": "BOOTSTRAP", "patch": {"operation": "MERGE", "value": {"bootstrap_extensions": [ours.extension]}}},
        _patch("LISTENER", "ADD", ours.listener),
        *(_patch("CLUSTER", "ADD", cluster) for cluster in ours.clusters),
        *(_patch("HTTP_FILTER", "INSERT_BEFORE", filter, listener=before_router) for filter in ours.filters),
        _patch("NETWORK_FILTER", "MERGE", replies, listener=manager),
        # Each is put before those that are there: the last one first.
        *(_patch("HTTP_ROUTE", "INSERT_FIRST", one, routeConfiguration=virtual_host) for one in reversed(ours.routes)),
    ]
    spec = {"workloadSelector": {"labels": _SELECTOR}, "configPatches": patches}
    return resource("networking.istio.io/v1alpha3", "EnvoyFilter", "archgw", site, spec)


_MANAGER_TYPE = "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"


def _patch(what: str, operation: str, value: Json, **where: Json) -> Json:
    match = {"context": "GATEWAY", **where}
    return {"applyTo": what, "match": match, "patch": {"operation": operation, "value": value}}


def _gateway(site: Site) -> Json:
    server = {
        "port": {"number": _PORT, "name": "https", "protocol": "HTTPS"},
        "hosts": [site.host],
        "tls": {"mode": "SIMPLE", "credentialName": "archgw-tls"},
    }
    return resource("networking.istio.io/v1", "Gateway", "archgw", site, {"selector": _SELECTOR, "servers": [server]})


def _virtual_service(plan: Plan, site: Site) -> Json:
    """Makes the virtual host that our routes are put into; whatever else is asked of it is not there."""
    spec = {
        "hosts": [site.host],
        "gateways": ["archgw"],
        "http": [{"name": "nothing-else", "directResponse": {"status": 404}}],
    }
    return resource("networking.istio.io/v1", "VirtualService", "archgw", site, spec)


def _hosts(plan: Plan, site: Site) -> list[Json]:
    hosts = sorted({(address.host, address.port, address.scheme) for address in vendors(plan)})
    entries = [
        resource(
            "networking.istio.io/v1",
            "ServiceEntry",
            f"archgw-{host.replace('.', '-')}-{port}",
            site,
            {
                "hosts": [host],
                "exportTo": ["."],
                "location": "MESH_EXTERNAL",
                "resolution": "DNS",
                "ports": [{"number": port, "name": _protocol(scheme).lower(), "protocol": _protocol(scheme)}],
            },
        )
        for host, port, scheme in hosts
    ]
    spec = {
        "host": f"{_GATEWAY}.{site.namespace}.svc.cluster.local",
        "trafficPolicy": {
            "loadBalancer": {"consistentHash": {"httpHeaderName": _SESSION}},
            "connectionPool": {"http": {"idleTimeout": duration(plan.listener.timeout), "maxRetries": 0}},
        },
    }
    return [*entries, resource("networking.istio.io/v1", "DestinationRule", "archgw-sessions", site, spec)]


def _protocol(scheme: str) -> str:
    return {"https": "TLS", "http": "HTTP"}[scheme]


def _pod(site: Site) -> Json:
    pod = {
        "initContainers": [router_container(site)],
        "containers": [{"name": "istio-proxy", "volumeMounts": [socket_mount()]}],
        "volumes": volumes(),
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": _GATEWAY, "namespace": site.namespace},
        "spec": {"template": {"spec": pod}},
    }
