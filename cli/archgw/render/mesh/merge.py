"""Fragments into another team's bootstrap: what a person would do by hand, and as often as one likes.

What is ours there already, by its prefix, is taken out first. Nothing else of theirs is changed.
"""

import json
from typing import Any

from archgw.render.envoy_pieces import Json
from archgw.render.mesh.foreign import chains, expression, get, key, kind, managers, server_names
from archgw.render.mesh.fragments import Fragments
from archgw.render.mesh.shapes import NotEnvoys, check


class CannotMerge(ValueError):
    """Why, in words, with what to do about it."""


def merge(theirs: Json, ours: Fragments, *, listener: str = "", host: str = "") -> Json:
    """Their bootstrap with our routing on one listener of theirs. `host` is the domain at which models are asked for;
    it may be new. Without it, or without `listener`, there must be one to take. Raises CannotMerge.
    """
    if get(theirs, "configs") is not None:
        raise CannotMerge("it is what Envoy says of itself at /config_dump; merging wants the file that it starts with")
    try:
        check(theirs)
    except NotEnvoys as error:
        raise CannotMerge(str(error)) from error
    merged: Json = json.loads(json.dumps(theirs))  # what YAML has under one anchor, two listeners would share
    static = _within(merged, "static_resources", {})
    for field, added in (("listeners", [ours.listener]), ("clusters", list(ours.clusters))):
        kept = [one for one in get(static, field) or [] if not _is_ours(one, ours)]
        static[key(static, field)] = [*kept, *added]
    extensions = _within(merged, "bootstrap_extensions", [])
    if not any(kind(one) == kind(ours.extension) for one in extensions):  # theirs may hold a buffer of another size
        extensions.append(ours.extension)
    found = list(chains(_listener(get(static, "listeners"), listener)))
    for _, manager in found:
        _into_manager(manager, ours, host)
    for manager in _asked(found, host):
        _into_routes(manager, ours, host)
    return merged


def _within(of: Json, name: str, otherwise: Any) -> Any:
    """The value of a field of theirs, to be added to; `otherwise` is put there where nothing is."""
    field = key(of, name)
    if of.get(field) is None:
        of[field] = otherwise
    return of[field]


def _is_ours(one: Json, ours: Fragments) -> bool:
    return str(get(one, "name") or "").startswith(ours.prefix)


def _says_ours(mapper: Json, ours: Fragments) -> bool:
    """Whether it is one of our replies, of this config or an earlier one: they speak of our routes."""
    return mapper in ours.replies or f"startsWith('{ours.prefix}')" in str(expression(mapper))


def _listener(listeners: list[Json], name: str) -> Json:
    reached = [one for one in listeners if get(one, "internal_listener") is None]  # the others no client comes to
    found = [one for one in reached if any(managers(one))]
    named = [one for one in found if get(one, "name") == name] if name else found
    if len(named) == 1:
        return named[0]
    if not found:
        raise CannotMerge(
            "none of its listeners has a connection manager for HTTP; where they come over LDS, serve xds/*.json and"
            " paste manager.json and routes.json into what serves them"
        )
    there = ", ".join(str(get(one, "name")) for one in found)
    if name:
        raise CannotMerge(f"no listener {name} has a connection manager for HTTP; there are: {there}")
    raise CannotMerge(
        f"say which listener clients come to, by --listener; with a connection manager there are: {there}"
    )


def _asked(found: list[tuple[Json, Json]], host: str) -> list[Json]:
    """The managers that models are asked at: whoever has the host, else whoever takes it in TLS. In any other its
    routes would be a way around what their chain for it wants to see, such as a client's certificate."""
    if not host:
        hosts = [[get(one, "domains") for one in _hosts(manager)] for _, manager in found]
        if any(one != hosts[0] for one in hosts):
            raise CannotMerge("its filter chains have hosts of their own: say by --host where models are asked for")
        return [manager for _, manager in found]
    has = [manager for _, manager in found if any(host in (get(one, "domains") or []) for one in _hosts(manager))]
    named = [manager for chain, manager in found if host in server_names(chain)]
    covered = [manager for chain, manager in found if any(_covers(name, host) for name in server_names(chain))]
    others = [manager for chain, manager in found if not server_names(chain)]
    if not (asked := has or named or covered or others):
        raise CannotMerge(f"no filter chain of it takes {host}: add it to the server_names of one")
    return asked


def _covers(name: str, host: str) -> bool:
    return name.startswith("*.") and host.endswith(name[1:])


def _hosts(manager: Json) -> list[Json]:
    return get(get(manager, "route_config"), "virtual_hosts") or []


def _into_manager(manager: Json, ours: Fragments, host: str) -> None:
    """What stands in it whatever it is asked for. What an earlier merge has put into its routes goes, and so does the
    virtual host that was made for it, unless it is this one.
    """
    filters = [one for one in get(manager, "http_filters") or [] if not _is_ours(one, ours)]
    last = next((at for at, one in enumerate(filters) if kind(one) == "Router"), None)
    if last is None:
        raise CannotMerge("its connection manager has no router filter, so that it answers nobody")
    filters[last:last] = ours.filters
    manager[key(manager, "http_filters")] = filters
    said = _within(manager, "local_reply_config", {})
    of_theirs = [one for one in get(said, "mappers") or [] if not _says_ours(one, ours)]
    said[key(said, "mappers")] = [*ours.replies, *of_theirs]
    hosts = _hosts(manager)
    for one in hosts:
        one[key(one, "routes")] = [route for route in get(one, "routes") or [] if not _is_ours(route, ours)]
    hosts[:] = [
        one
        for one in hosts
        if get(one, "routes") or not _is_ours(one, ours) or (host and host in (get(one, "domains") or []))
    ]


def _into_routes(manager: Json, ours: Fragments, host: str) -> None:
    routes = get(manager, "route_config")
    if routes is None:
        name = get(get(manager, "rds"), "route_config_name") or "scoped"
        raise CannotMerge(
            f"its routes ({name}) are not in this file but served over RDS; add routes.json to what serves them, and"
            " paste the other pieces"
        )
    hosts = _within(routes, "virtual_hosts", [])
    chosen = _host(hosts, ours, host)
    chosen[key(chosen, "routes")] = [*ours.routes, *get(chosen, "routes")]


def _host(hosts: list[Json], ours: Fragments, domain: str) -> Json:
    """The virtual host of this domain, made if there is none."""
    if domain:
        found = next((one for one in hosts if domain in (get(one, "domains") or [])), None)
        if found is None:
            found = {"name": f"{ours.prefix}clients", "domains": [domain], "routes": []}
            hosts.append(found)
        return found
    if len(hosts) == 1:
        return hosts[0]
    there = ", ".join(str(domain) for one in hosts for domain in get(one, "domains") or []) or "none"
    raise CannotMerge(f"say at which host models are asked for, by --host, an old one or a new one; there are: {there}")
