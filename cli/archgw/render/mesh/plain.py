"""For an Envoy that is run by hand or by a control plane of one's own: pieces to paste, and the same to serve."""

import json
from collections.abc import Iterable

from archgw.render.envoy import resources
from archgw.render.envoy_pieces import Json
from archgw.render.mesh.fragments import Fragments
from archgw.render.mesh.manifests import Site
from router_service.plan import Plan

_TYPES = "type.googleapis.com/envoy.config"


def files(ours: Fragments, plan: Plan, site: Site) -> dict[str, str]:
    virtual_host = {"name": f"{ours.prefix}clients", "domains": ["*"], "routes": list(ours.routes)}
    own_routes = {"name": f"{ours.prefix}models", "virtual_hosts": [virtual_host]}
    written: dict[str, Json] = {
        "bootstrap.json": {
            "bootstrap_extensions": [ours.extension],
            "static_resources": {"listeners": [ours.listener], "clusters": list(ours.clusters)},
        },
        "manager.json": {"http_filters": list(ours.filters), "local_reply_config": {"mappers": list(ours.replies)}},
        "routes.json": {"routes": list(ours.routes)},
        "xds/clusters.json": _served("cluster.v3.Cluster", ours.clusters),
        "xds/listeners.json": _served("listener.v3.Listener", [ours.listener]),
        "xds/routes.json": _served("route.v3.RouteConfiguration", [own_routes]),
    }
    return {name: json.dumps(content, indent=1) + "\n" for name, content in written.items()}


def _served(kind: str, of: Iterable[Json]) -> Json:
    return resources("1", ({"@type": f"{_TYPES}.{kind}", **one} for one in of))
