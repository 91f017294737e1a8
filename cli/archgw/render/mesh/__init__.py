"""Our routing for an Envoy that somebody else runs, one file per target and one line in the table.

`fragments` are the pieces, `foreign` reads what others have, `merge` puts the one into the other; `manifests` is how
Kubernetes is told.
"""

from collections.abc import Callable
from typing import Literal

from archgw.render.mesh import envoy_gateway, gateway_api, istio, plain
from archgw.render.mesh.fragments import Fragments
from archgw.render.mesh.manifests import Site
from router_service.plan import Plan

Target = Literal["plain", "istio", "envoy-gateway", "gateway-api"]
Files = dict[str, str]  # by name, what stands in them

TARGETS: dict[Target, Callable[[Fragments, Plan, Site], Files]] = {
    "plain": plain.files,
    "istio": istio.files,
    "envoy-gateway": envoy_gateway.files,
    "gateway-api": gateway_api.files,
}
SITES: dict[Target, Site] = {  # where each is put when nobody says it, and as whom its Envoy runs
    "plain": Site(),
    "istio": Site(namespace=istio.NAMESPACE, user=istio.USER),
    "envoy-gateway": Site(namespace=envoy_gateway.NAMESPACE),
    "gateway-api": Site(namespace=gateway_api.NAMESPACE),
}
