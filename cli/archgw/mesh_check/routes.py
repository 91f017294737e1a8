"""The routes of a connection manager: whether ours are there, first, and as they must be, and where theirs lead."""

import re
from collections.abc import Iterable, Iterator

from archgw.mesh_check.finding import Finding, is_ours, seconds
from archgw.render.envoy_pieces import Json
from archgw.render.mesh.foreign import Foreign, Manager, get
from archgw.render.mesh.fragments import Fragments, answered, told
from router_service import admission
from router_service.config.addresses import is_nobodys
from router_service.plan import Plan


def findings(one: Manager, theirs: Foreign, ours: Fragments, plan: Plan) -> Iterator[Finding]:
    if one.routes is None:
        what = f"{one.name}: its routes ({one.route_name or 'scoped'}) are not in here"
        yield Finding(
            "note" if not theirs.dumped else "missing", what, "give the running Envoy's /config_dump, which has them"
        )
        return
    wired = hosts(one, ours)
    if not wired:
        yield Finding(
            "missing", f"{one.name}: our routes", "put those of routes.json before the routes of a virtual host"
        )
    for host in wired:
        where = f"{one.name}, {get(host, 'name')}"
        yield from _in_order(where, get(host, "routes") or [], ours)
        for route in get(host, "routes") or []:
            if is_ours(route, ours):
                yield from _route(where, route, ours, plan)
        if get(host, "hedge_policy"):
            yield Finding(
                "clash",
                f"{where}: its hedge_policy sends a slow request to a second model while the first goes on",
                "take it off that virtual host, or ask for models at one of their own",
            )
        yield from _admitted(where, get(host, "domains") or [], plan)


def leading_in(one: Manager, ours: Fragments) -> Iterator[Finding]:
    """Routes of theirs that lead to clusters of ours. What the service says to Envoy there holds vendors' keys."""
    for host in get(one.routes, "virtual_hosts") or []:
        for route in get(host, "routes") or []:
            if is_ours(route, ours):
                continue
            name = f"{one.name}, {get(host, 'name')}: the route {get(route, 'name') or 'without a name'}"
            action = get(route, "route") or {}
            weighted = get(get(action, "weighted_clusters"), "clusters") or []
            clusters = [str(get(each, "name")) for each in weighted] + [str(get(action, "cluster") or "")]
            if reached := next((cluster for cluster in clusters if cluster.startswith(ours.prefix)), ""):
                mend = "take it away: only our own routes may, behind our filters"
                yield Finding("clash", f"{name} leads to {reached}, past all that the service asks", mend)
            named = [get(action, "cluster_header"), *(get(each, "cluster_header") for each in weighted)]
            for header in filter(None, named):
                if not _bound(get(route, "match") or {}, str(header)):
                    yield Finding(
                        "note",
                        f"{name} goes to whatever cluster the header {header} names",
                        f"let no client set it: {ours.prefix}router is among them now, and tells vendors' keys",
                    )


def _bound(match: Json, header: str) -> bool:
    """Whether the route takes only some values of a header."""
    found = [get(one, "string_match") or {} for one in get(match, "headers") or [] if get(one, "name") == header]
    return any(get(one, "prefix") or get(one, "exact") for one in found)


def hosts(one: Manager, ours: Fragments) -> list[Json]:
    """The virtual hosts that have routes of ours."""
    hosts = get(one.routes, "virtual_hosts") or []
    return [host for host in hosts if any(is_ours(route, ours) for route in get(host, "routes") or [])]


def _in_order(where: str, routes: list[Json], ours: Fragments) -> Iterator[Finding]:
    names = [str(get(route, "name") or "") for route in routes]
    wanted = [str(route["name"]) for route in ours.routes]
    lacking = [name for name in wanted if name not in names]
    if lacking:
        yield Finding("missing", f"{where}: {len(lacking)} of our routes: {lacking[0]}", "add them from routes.json")
    if [name for name in names if name in wanted] != [name for name in wanted if name in names]:
        yield Finding("clash", f"{where}: our routes stand in the wrong order", "as in routes.json")
    last = max((at for at, name in enumerate(names) if name in wanted), default=0)
    for route in routes[:last]:
        taken = next((path for path in _paths() if _takes(get(route, "match") or {}, path)), "")
        if taken and not is_ours(route, ours):
            what = f"{where}: the route {get(route, 'name') or 'without a name'} stands before ours and takes {taken}"
            yield Finding("clash", what, "put ours first")
    for route in routes[last:]:
        lost = _only(get(route, "match") or {})
        if not is_ours(route, ours) and any(lost == path or lost.startswith(f"{path}/") for path in _paths()):
            yield Finding(
                "clash",
                f"{where}: the route {get(route, 'name') or 'without a name'} gets nothing: {lost} is ours now",
                "ask for models at a host of their own (--host), or let theirs have another path",
            )


def _paths() -> tuple[str, ...]:
    return (*answered(), *told())


def _only(match: Json) -> str:
    """All paths that a route of theirs takes begin so."""
    found = (get(match, field) for field in ("prefix", "path_separated_prefix", "path"))
    return str(next((one for one in found if one is not None), ""))


def _takes(match: Json, path: str) -> bool:
    """Whether a route of theirs may match a path."""
    prefix, below, exact = (get(match, field) for field in ("prefix", "path_separated_prefix", "path"))
    if (regex := get(get(match, "safe_regex"), "regex")) is not None:
        return _fits(str(regex), path)
    if prefix is not None:
        return path.startswith(str(prefix))
    if below is not None:
        return path == below or path.startswith(f"{below}/")
    return bool(exact == path)


def _fits(regex: str, path: str) -> bool:
    """As far as Python reads it as RE2 does."""
    try:
        return bool(re.fullmatch(regex, path))
    except re.error:
        return False


def _route(where: str, route: Json, ours: Fragments, plan: Plan) -> Iterator[Finding]:
    name = f"{where}: the route {get(route, 'name')}"
    wanted = next((one for one in ours.routes if one["name"] == get(route, "name")), None)
    if wanted is None:
        yield Finding("note", f"{name} is of an earlier config", "it can go")
        return
    there, should = get(route, "route") or {}, wanted["route"]
    for field in ("cluster", "cluster_header"):
        if get(there, field) != should.get(field):
            yield Finding("clash", f"{name} leads elsewhere", "render it anew")
    switched = get(route, "typed_per_filter_config") or {}
    for filter in wanted["typed_per_filter_config"]:
        if filter not in switched or get(switched[filter], "disabled"):
            yield Finding("missing", f"{name}: it does not switch on {filter}", "as in routes.json")
    limit = get(route, "request_body_buffer_limit")
    if limit is None or int(limit) < plan.limits.body:
        yield Finding(
            "missing" if limit is None else "clash",
            f"{name}: request_body_buffer_limit is {limit or 'not set'}, so that long conversations get a 413",
            f"{plan.limits.body} (limits.body)",
        )
    if "retry_policy" in should and not get(get(there, "retry_policy"), "retriable_headers"):
        yield Finding("missing", f"{name}: its retry_policy, so that nobody steps in", "as in routes.json")
    for field, otherwise in (("timeout", "15s"), ("idle_timeout", "300s")):
        now, then = seconds(get(there, field) or otherwise), seconds(get(should, field))
        if 0 < now < then:  # 0s: for ever
            yield Finding("clash", f"{name}: its {field} cuts streams", f"{then:g}s")


def _admitted(where: str, domains: Iterable[str], plan: Plan) -> Iterator[Finding]:
    """Whether the service answers whom Envoy lets in."""
    if plan.clients:
        return
    yield Finding(
        "note",
        f"{where}: whoever comes through to our routes spends your keys",
        "let a filter of yours ask who it is, before ours, or give clients keys (`clients` in the config)",
    )
    for domain in domains:
        if "*" in domain:
            if not any(_covers(domain, host) for host in plan.listener.hosts) and not is_nobodys(domain.lstrip("*")):
                yield Finding(
                    "clash",
                    f"{where}: it lets in {'any host' if domain == '*' else 'hosts'} ({domain}), and the service"
                    " refuses all but bare addresses and names that nobody can own, such as localhost",
                    "list the names that clients ask by in listeners.egress_traffic.hosts, or give clients keys",
                )
            continue
        try:
            admission.admit((), plan.listener, "/v1/models", {":authority": domain}, 0.0)
        except admission.NotAdmitted:
            yield Finding(
                "clash",
                f"{where}: the service refuses what is asked of {domain}",
                "list it in listeners.egress_traffic.hosts, or give clients keys",
            )


def _covers(domain: str, host: str) -> bool:
    """Whether a domain of Envoy's with a `*` at its beginning or its end lets in a host."""
    begun, _, ended = domain.lower().partition("*")
    return host.startswith(begun) and host.endswith(ended)
