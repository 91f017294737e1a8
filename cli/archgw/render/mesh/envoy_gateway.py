"""For Envoy Gateway: patches of what it makes, and the service in its proxy's pod.

No EnvoyExtensionPolicy: it can neither tell our service which hop asks, nor let it set x-envoy-max-retries, ends its
streams after ten seconds, and stands before rate limits and authorization.
"""

import yaml

from archgw.render.envoy_pieces import Json
from archgw.render.images import ENVOY_IMAGE
from archgw.render.mesh.fragments import Fragments
from archgw.render.mesh.manifests import Site, resource, router_container, socket_mount, text, volumes
from router_service.plan import Plan

NAMESPACE = "archgw"
_NAME = "archgw"
_OURS, _STANDARD = "gateway.envoyproxy.io/v1alpha1", "gateway.networking.k8s.io/v1"
_PORT = 443
_LISTENER = f"tcp-{_PORT}"  # as it names them since XDSNameSchemeV2
_TYPES = "type.googleapis.com/envoy.config"
_ROUTER = "..http_filters[?(@.name=='envoy.filters.http.router')]"
_MANAGER = "..filters[?(@.name=='envoy.filters.network.http_connection_manager')]"


def files(ours: Fragments, plan: Plan, site: Site) -> dict[str, str]:
    return {
        "envoyproxy.yaml": text("The proxy: its bootstrap, and the router service in its pod.", [_proxy(ours, site)]),
        "gateway.yaml": text("The host at which models are asked for.", [_gateway(site), _route(site), _nothing(site)]),
        "envoypatchpolicy.yaml": text("What is added to the proxy.", [_patches(ours, site)]),
    }


def _proxy(ours: Fragments, site: Site) -> Json:
    deployment = {
        "container": {"image": ENVOY_IMAGE, "volumeMounts": [socket_mount()]},
        "initContainers": [router_container(site)],
        "pod": {"volumes": volumes()},
    }
    extensions = yaml.safe_dump({"bootstrap_extensions": [ours.extension]}, sort_keys=False)
    spec = {
        "bootstrap": {"type": "Merge", "value": extensions},
        "provider": {"type": "Kubernetes", "kubernetes": {"envoyDeployment": deployment}},
    }
    return resource(_OURS, "EnvoyProxy", _NAME, site, spec)


def _gateway(site: Site) -> Json:
    listener = {
        "name": "https",
        "port": _PORT,
        "protocol": "HTTPS",
        "hostname": site.host,
        "tls": {"mode": "Terminate", "certificateRefs": [{"kind": "Secret", "name": "archgw-tls"}]},
    }
    proxy = {"group": "gateway.envoyproxy.io", "kind": "EnvoyProxy", "name": _NAME}
    spec = {"gatewayClassName": "eg", "infrastructure": {"parametersRef": proxy}, "listeners": [listener]}
    return resource(_STANDARD, "Gateway", _NAME, site, spec)


def _route(site: Site) -> Json:
    """Makes the virtual host that our routes are put into; whatever else is asked of it is not there."""
    nothing = {
        "type": "ExtensionRef",
        "extensionRef": {"group": "gateway.envoyproxy.io", "kind": "HTTPRouteFilter", "name": "archgw-nothing-else"},
    }
    spec = {"parentRefs": [{"name": _NAME}], "hostnames": [site.host], "rules": [{"filters": [nothing]}]}
    return resource(_STANDARD, "HTTPRoute", _NAME, site, spec)


def _nothing(site: Site) -> Json:
    return resource(_OURS, "HTTPRouteFilter", "archgw-nothing-else", site, {"directResponse": {"statusCode": 404}})


def _patches(ours: Fragments, site: Site) -> Json:
    """A filter added where the router filter stands comes before it; routes are added in front, the last first."""
    host = f"..virtual_hosts[?(@.name =~ '{site.host.replace('.', '_')}$')]"
    routes = f"{site.namespace}/{_NAME}/https"
    patches = [
        _whole("listener.v3.Listener", ours.listener),
        *(_whole("cluster.v3.Cluster", cluster) for cluster in ours.clusters),
        *(_patch("listener.v3.Listener", _LISTENER, filter, jsonPath=_ROUTER) for filter in ours.filters),
        _patch(
            "listener.v3.Listener",
            _LISTENER,
            {"mappers": list(ours.replies)},
            jsonPath=_MANAGER,
            path="/typed_config/local_reply_config",
        ),
        *(
            _patch("route.v3.RouteConfiguration", routes, one, jsonPath=host, path="/routes/0")
            for one in reversed(ours.routes)
        ),
    ]
    target = {"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": _NAME}
    return resource(
        _OURS, "EnvoyPatchPolicy", _NAME, site, {"type": "JSONPatch", "targetRef": target, "jsonPatches": patches}
    )


def _whole(kind: str, value: Json) -> Json:
    return _patch(kind, str(value["name"]), value, path="")


def _patch(kind: str, name: str, value: Json, **where: str) -> Json:
    return {"type": f"{_TYPES}.{kind}", "name": name, "operation": {"op": "add", **where, "value": value}}
