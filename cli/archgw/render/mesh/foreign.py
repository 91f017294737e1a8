"""Another team's bootstrap, or what their Envoy says of itself at /config_dump, read: what is where.

Envoy takes each name in two spellings (`static_resources`, `staticResources`), and so do we.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from archgw.render.envoy_pieces import Json

_MANAGER = "HttpConnectionManager"


@dataclass(frozen=True, slots=True)
class Manager:
    """A connection manager of theirs, the listener that it stands in, and the routes that it knows: None where they
    are told by nobody we have read."""

    listener: Json
    config: Json
    routes: Json | None
    route_name: str = ""

    @property
    def name(self) -> str:
        return str(get(self.listener, "name") or "a listener without a name")

    @property
    def filters(self) -> list[Json]:
        return list(get(self.config, "http_filters") or [])


@dataclass(frozen=True, slots=True)
class Foreign:
    """`version` is empty where nobody says it, as in a bootstrap."""

    extensions: tuple[Json, ...]
    listeners: tuple[Json, ...]
    clusters: dict[str, Json]
    routes: dict[str, Json] = field(default_factory=dict)  # by name, that come over xDS
    version: tuple[int, ...] = ()
    dumped: bool = False

    @property
    def managers(self) -> list[Manager]:
        return [self._manager(listener, config) for listener in self.listeners for config in managers(listener)]

    def _manager(self, listener: Json, config: Json) -> Manager:
        name = str(get(get(config, "rds") or {}, "route_config_name") or "")
        return Manager(listener, config, get(config, "route_config") or self.routes.get(name), name)


def get(of: Any, name: str) -> Any:
    """The value of a field, however it is spelled; None where it is not set."""
    return of.get(key(of, name)) if isinstance(of, dict) else None


def key(of: Json, name: str) -> str:
    """How the field is spelled here."""
    head, *rest = name.split("_")
    other = head + "".join(word.capitalize() for word in rest)
    return other if other in of and name not in of else name


def kind(of: Any) -> str:
    """Of what type a filter, an extension or the like is: the last word of its @type."""
    return last_word(get(of, "typed_config"))


def last_word(typed: Any) -> str:
    """Of its @type."""
    return str(typed.get("@type") or "").rpartition(".")[2] if isinstance(typed, dict) else ""


def expression(mapper: Any) -> object:
    """When a mapper of local replies holds, where that is told in CEL."""
    return get(get(get(get(mapper, "filter"), "extension_filter"), "typed_config"), "expression")


def managers(listener: Json) -> Iterator[Json]:
    """The connection managers of a listener."""
    return (manager for _, manager in chains(listener))


def chains(listener: Json) -> Iterator[tuple[Json, Json]]:
    """Its filter chains that have a connection manager, each with it."""
    for chain in filter(None, [*(get(listener, "filter_chains") or []), get(listener, "default_filter_chain")]):
        for one in get(chain, "filters") or []:
            if kind(one) == _MANAGER:
                yield chain, get(one, "typed_config")


def server_names(chain: Json) -> list[str]:
    """By which names of TLS a filter chain is chosen; none where it is for whoever is left."""
    return [str(name) for name in get(get(chain, "filter_chain_match"), "server_names") or []]


def read(document: Json) -> Foreign:
    """Raises ValueError where it is neither a bootstrap nor a dump."""
    if isinstance(document, dict) and isinstance(document.get("configs"), list):
        return _dump(document["configs"])
    if isinstance(document, dict) and (get(document, "static_resources") or get(document, "dynamic_resources")):
        return _bootstrap(document)
    raise ValueError("it is neither a bootstrap (static_resources) nor what Envoy prints at /config_dump (configs)")


def _bootstrap(document: Json) -> Foreign:
    static = get(document, "static_resources") or {}
    return Foreign(
        tuple(get(document, "bootstrap_extensions") or ()),
        tuple(get(static, "listeners") or ()),
        _by_name(get(static, "clusters") or []),
    )


def _dump(configs: list[Json]) -> Foreign:
    """The parts of a dump; what Envoy has got over xDS stands beside what was static."""
    parts = {last_word(part): part for part in configs}
    bootstrap = get(parts.get("BootstrapConfigDump"), "bootstrap") or {}
    clusters, listeners, routes = (parts.get(f"{kind}ConfigDump", {}) for kind in ("Clusters", "Listeners", "Routes"))
    active = [get(get(one, "active_state"), "listener") for one in get(listeners, "dynamic_listeners") or []]
    known = [get(one, "listener") for one in get(listeners, "static_listeners") or []]
    held = [
        get(one, "cluster")
        for name in ("static_clusters", "dynamic_active_clusters", "dynamic_warming_clusters")
        for one in get(clusters, name) or []
    ]
    told = [get(one, "route_config") for one in get(routes, "dynamic_route_configs") or []]
    build = get(get(bootstrap, "node"), "user_agent_build_version")
    version = get(build, "version") or {}
    numbers = tuple(int(get(version, part) or 0) for part in ("major_number", "minor_number", "patch"))
    return Foreign(
        tuple(get(bootstrap, "bootstrap_extensions") or ()),
        tuple(filter(None, (*known, *active))),
        _by_name(filter(None, held)),
        _by_name(filter(None, told)),
        numbers if any(numbers) else (),
        dumped=True,
    )


def _by_name(resources: Any) -> dict[str, Json]:
    return {str(get(one, "name")): one for one in resources}
