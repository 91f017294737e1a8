"""Plan -> what an Envoy that is not ours is given, a list of each kind; all of it under names of our own.

Two filters stand in its connection manager, switched off; our routes switch them on for themselves alone. Whoever asks
for anything else passes as before. Which filter and which cluster are whose is told by their prefix.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from archgw.render.envoy import (
    attempt_listener,
    cleaned_headers,
    clusters_of,
    internal_listeners,
    own_clusters,
    selection_filter,
    to_chain,
    unrouted,
)
from archgw.render.envoy_pieces import Json, Place, typed
from archgw.render.envoy_replies import replies_on
from router_service.decisions import PATHS as DECISIONS
from router_service.dialects import DIALECTS
from router_service.feedback import PATH as FEEDBACK
from router_service.paths import SESSION
from router_service.plan import Plan

PREFIX = "archgw."
_FILTER_CONFIG = "type.googleapis.com/envoy.config.route.v3.FilterConfig"


@dataclass(frozen=True, slots=True)
class Fragments:
    """`filters` stand last before the router filter, `routes` and `replies` before all others, each in this order."""

    extension: Json
    filters: tuple[Json, ...]
    routes: tuple[Json, ...]
    replies: tuple[Json, ...]
    listener: Json
    clusters: tuple[Json, ...]
    prefix: str = PREFIX


def fragments(plan: Plan, place: Place, beside: Plan | None = None) -> Fragments:
    """`place.prefix` must not be empty. With `beside`, an earlier plan, its clusters are there, too: services that
    serve it go on, until all serve the new one.
    """
    plan = replace(plan, workers=1)  # one service stands beside each of their Envoys
    before = clusters_of(beside, place) if beside else []
    clusters = {one["name"]: one for one in (*own_clusters(plan, place), *clusters_of(plan, place))}
    return Fragments(
        internal_listeners(),
        tuple(filters(plan, place)),
        tuple(routes(plan, place, [place.named("headers"), place.named("selection")])),
        tuple(replies_on(place.prefix, plan.limits)),
        attempt_listener(plan, place),
        (*clusters.values(), *(one for one in before if one["name"] not in clusters)),
        place.prefix,
    )


def filters(plan: Plan, place: Place) -> list[Json]:
    return [headers_filter(place), selection_filter(plan, place) | {"name": place.named("selection"), "disabled": True}]


def headers_filter(place: Place) -> Json:
    """In place of our own Envoy's early mutation, which would hold for everybody's requests."""
    mutations = {"request_mutations": cleaned_headers()}
    filter = typed(
        "envoy.filters.http.header_mutation", "filters.http.header_mutation.v3.HeaderMutation", mutations=mutations
    )
    return filter | {"name": place.named("headers"), "disabled": True}


def routes(plan: Plan, place: Place, switched_on: list[str]) -> list[Json]:
    """`switched_on`: the names of our filters there. A forged x-archgw-chain leads past none of them: all routes have
    them on, and the first takes the header away. Should a filter of theirs come to our routes too late to switch
    ours on, the header leads to a chain of ours, of which the service knows nothing then, and to no cluster of theirs.
    """
    own = {"typed_per_filter_config": {name: {"@type": _FILTER_CONFIG, "config": {}} for name in switched_on}}
    chosen, asked = _of_any_length(to_chain(plan)), _of_any_length(unrouted(plan, place))
    headers = {"headers": [{"name": "x-archgw-chain", "string_match": {"prefix": place.named("chain.")}}]}
    return [
        *({"name": place.named(f"chosen{at}"), **chosen, "match": _below(at) | headers, **own} for at in answered()),
        *({"name": place.named(f"asked{at}"), **asked, "match": _below(at), **own} for at in (*answered(), *told())),
    ]


def _of_any_length(route: Json) -> Json:
    """Their manager's bound of all streams is not for ours, which have bounds of their own."""
    return route | {"route": route["route"] | {"max_stream_duration": {"max_stream_duration": "0s"}}}


def answered() -> list[str]:
    """Where models are asked, and beneath."""
    return _tops(path for dialect in DIALECTS.values() for path in dialect.paths)


def told() -> list[str]:
    """Where the service itself answers, and beneath."""
    counters = (dialect.counter.path for dialect in DIALECTS.values() if dialect.counter)
    wanted = _tops((*answered(), *counters, FEEDBACK, "/v1/models", SESSION.rstrip("/"), *DECISIONS))
    return [path for path in wanted if path not in answered()]


def _tops(paths: Iterable[str]) -> list[str]:
    """Those that stand beneath no other."""
    found = list(dict.fromkeys(paths))
    return [path for path in found if not any(path.startswith(f"{other}/") for other in found)]


def _below(path: str) -> Json:
    return {"path_separated_prefix": path}
