"""All that Envoy must have for us: extension, listener, clusters, and a connection manager that asks us."""

from collections.abc import Iterator

from archgw.mesh_check import manager
from archgw.mesh_check.finding import Finding, is_ours, metadata
from archgw.mesh_check.routes import hosts, leading_in
from archgw.render.envoy_pieces import Json
from archgw.render.mesh.foreign import Foreign, Manager, get, kind
from archgw.render.mesh.fragments import Fragments
from router_service.plan import Plan

OLDEST = (1, 40)
_RENAME = "render with another --prefix, or rename theirs"


def findings(theirs: Foreign, ours: Fragments, plan: Plan, *, listener: str = "") -> list[Finding]:
    """`listener`: the one that clients of models come to; without it, those that have our routes, else our filters,
    else all: where filters are added to every listener, as Istio does it, most of them have no use for ours."""
    managers = [one for one in theirs.managers if get(one.listener, "internal_listener") is None]
    named = [one for one in managers if one.name == listener] if listener else managers
    filtered = [one for one in named if any(is_ours(filter, ours) for filter in one.filters)]
    wired = [one for one in filtered if hosts(one, ours)] or filtered
    return [
        *_version(theirs),
        *_extension(theirs, ours),
        *_attempt(theirs, ours),
        *_clusters(theirs, ours),
        *_wiring(named, wired, ours, listener),
        *(
            finding
            for one in wired or named
            for finding in manager.findings(one, theirs, ours, plan, wired=bool(wired))
        ),
        *(finding for one in managers for finding in leading_in(one, ours)),
    ]


def _version(theirs: Foreign) -> Iterator[Finding]:
    if theirs.version and theirs.version[:2] < OLDEST:
        said, oldest = (".".join(map(str, version)) for version in (theirs.version, OLDEST))
        yield Finding("clash", f"it is Envoy {said}", f"what we render was tried on {oldest} and needs no older one")


def _extension(theirs: Foreign, ours: Fragments) -> Iterator[Finding]:
    if not any(kind(one) == kind(ours.extension) for one in theirs.extensions):
        yield Finding(
            "missing",
            "the bootstrap extension envoy.bootstrap.internal_listener",
            "add it from bootstrap.json; it comes over no xDS, so Envoy starts anew for it",
        )


def _attempt(theirs: Foreign, ours: Fragments) -> Iterator[Finding]:
    name = ours.listener["name"]
    found = next((one for one in theirs.listeners if get(one, "name") == name), None)
    if found is None:
        yield Finding("missing", f"the listener {name}", "add it from bootstrap.json, or serve xds/listeners.json")
    elif get(found, "internal_listener") is None or not any(True for _ in _roles(found)):
        yield Finding("clash", f"the listener {name} is another one", _RENAME)


def _roles(listener: Json) -> Iterator[str]:
    for chain in get(listener, "filter_chains") or []:
        for one in get(chain, "filters") or []:
            for filter in get(get(one, "typed_config"), "http_filters") or []:
                yield from metadata(filter, "x-archgw-role")


def _clusters(theirs: Foreign, ours: Fragments) -> Iterator[Finding]:
    wanted = {str(one["name"]): one for one in ours.clusters}
    lacking = [name for name in wanted if name not in theirs.clusters]
    if lacking:
        shown = ", ".join(lacking[:3]) + (", ..." if len(lacking) > 3 else "")
        yield Finding(
            "missing",
            f"{len(lacking)} of {len(wanted)} clusters: {shown}",
            "add them from bootstrap.json, or serve xds/clusters.json",
        )
    for name, cluster in wanted.items():
        if name in theirs.clusters and _facts(theirs.clusters[name]) != _facts(cluster):
            yield Finding(
                "clash",
                f"the cluster {name} is not the one that this config makes",
                f"replace it with that of bootstrap.json; or, if it is theirs, {_RENAME}",
            )
    gone = [name for name in theirs.clusters if name.startswith(ours.prefix) and name not in wanted]
    if gone:
        yield Finding("note", f"{len(gone)} clusters of an earlier config, such as {gone[0]}", "they can go")


def _facts(cluster: Json) -> object:
    """What makes a cluster the one it is, however it is written."""
    kind_of = get(get(cluster, "cluster_type"), "name") or get(cluster, "type") or "STATIC"
    members = get(get(get(cluster, "cluster_type"), "typed_config"), "clusters") or []
    endpoints = [
        get(get(one, "endpoint"), "address")
        for locality in get(get(cluster, "load_assignment"), "endpoints") or []
        for one in get(locality, "lb_endpoints") or []
    ]
    return kind_of, tuple(members), [_where(address) for address in endpoints], bool(get(cluster, "transport_socket"))


def _where(address: Json) -> tuple[object, ...]:
    socket, door = get(address, "socket_address"), get(address, "envoy_internal_address")
    if socket:
        return get(socket, "address"), get(socket, "port_value")
    if door:
        return get(door, "server_listener_name"), get(door, "endpoint_id")
    return (get(get(address, "pipe"), "path"),)


def _wiring(named: list[Manager], wired: list[Manager], ours: Fragments, listener: str) -> Iterator[Finding]:
    if not named:
        what = f"no listener {listener} has" if listener else "no listener has"
        yield Finding(
            "missing",
            f"{what} a connection manager for HTTP",
            "name another by --listener; where listeners come over LDS, give the running Envoy's /config_dump",
        )
    elif not wired:
        names = " and ".join(one["name"] for one in ours.filters)
        yield Finding("missing", f"the filters {names}", "add them from manager.json right before the router filter")
