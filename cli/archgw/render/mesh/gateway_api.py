"""For any gateway of the Gateway API: archgw as a service of its own behind it, with an Envoy of its own."""

from archgw.render.envoy_pieces import Json
from archgw.render.mesh.fragments import Fragments, answered, told
from archgw.render.mesh.manifests import LABELS, Site, duration, resource, text
from router_service.plan import Plan

NAMESPACE = "gateways"
_SERVICE = "archgw"  # its name and its namespace, as in deploy/kubernetes
_GROUP = "gateway.networking.k8s.io"
_SPARE = 10.0  # seconds that the gateway waits longer than archgw, which fails with better words


def files(ours: Fragments, plan: Plan, site: Site) -> dict[str, str]:
    documents = [_route(plan, site), *([_grant(site)] if site.namespace != _SERVICE else [])]
    return {"httproute.yaml": text("archgw behind a gateway that is there already.", documents)}


def _route(plan: Plan, site: Site) -> Json:
    timeout = duration(plan.listener.timeout + _SPARE)
    rule = {
        "matches": [{"path": {"type": "PathPrefix", "value": path}} for path in (*answered(), *told())],
        "timeouts": {"request": timeout, "backendRequest": timeout},  # a stream may take as long as a request
        "backendRefs": [{"name": _SERVICE, "namespace": _SERVICE, "port": plan.listener.port}],
    }
    spec = {"parentRefs": [{"name": "gateway"}], "hostnames": [site.host], "rules": [rule]}
    return resource(f"{_GROUP}/v1", "HTTPRoute", "archgw", site, spec)


def _grant(site: Site) -> Json:
    """That their routes may lead into our namespace."""
    return {
        "apiVersion": f"{_GROUP}/v1beta1",
        "kind": "ReferenceGrant",
        "metadata": {"name": f"archgw-for-{site.namespace}", "namespace": _SERVICE, "labels": LABELS},
        "spec": {
            "from": [{"group": _GROUP, "kind": "HTTPRoute", "namespace": site.namespace}],
            "to": [{"group": "", "kind": "Service", "name": _SERVICE}],
        },
    }
