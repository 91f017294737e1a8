"""Plan -> Envoy's configuration: two hops inside one Envoy.

The FRONT listener terminates clients, asks the service once (selection) and sends the request down a chain, an
aggregate cluster whose leaves all lead to the ATTEMPT listener, an internal one. There the service is asked
once per try (attempt) and the request goes on to one provider. Retry and outlier detection act between the two.
Why two hops, and each odd line below: docs/architecture.md. Seen on Envoy 1.40.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from archgw.render import envoy_workers
from archgw.render.envoy_clusters import (
    chain_cluster,
    leaf_cluster,
    nobody_cluster,
    provider_cluster,
    router_cluster,
)
from archgw.render.envoy_pieces import (
    CONNECTION_WINDOW,
    EXTENSIONS,
    STREAM_WINDOW,
    Json,
    Place,
    seconds,
    socket_address,
    typed,
)
from archgw.render.envoy_replies import TORN, local_replies, lost_replies, torn_replies
from router_service.paths import CALL
from router_service.plan import Plan

__all__ = ["Files", "Place", "files", "render", "resources"]

_MAX_CONNECTIONS = 10_000
_ADMIN = ("/clusters", "/config_dump", "/drain_listeners", "/ready", "/server_info", "/stats")  # and no way to end it
_TYPES = "type.googleapis.com/envoy.config"
_MAX_STREAMS = 100  # requests at once on one HTTP/2 connection
_BACKSTOP = 5.0  # seconds that Envoy's timers run longer than the service's, which fail with better words
# By Envoy's own rule a cluster is called what stands before the first dot, and the rest, the model's name, becomes part
# of the metric's. The others that concern us are as Envoy has them; the same name twice it refuses (seen on 1.40).
_OUR_CLUSTERS = r"leaf\.[^.]+|provider\.[^.]+\.[^.]+|chain\.[^.]+\.[^.]+\.[^.]+"
_ENVOYS_TAGS = (
    "http_conn_manager_prefix", "listener_address", "rds_route_config", "response_code", "response_code_class",
    "ssl_cipher", "ssl_curve", "ssl_sigalg", "ssl_version", "tls_certificate", "worker_id",
)  # fmt: skip
_TAGS = [
    {"tag_name": "envoy.cluster_name", "regex": rf"^cluster\.(({_OUR_CLUSTERS}|[^.]+)\.)"},
    *({"tag_name": f"envoy.{name}"} for name in _ENVOYS_TAGS),
]
# There is a chain for each preference and who answers it first, and nobody reads of it, or of a leaf, more than how
# often it was tried again or put aside: the rest would be a third of what Envoy does to take a chain in.
_UNREAD = (
    r"cluster\.(leaf\.[^.]+|chain\.[^.]+\.[^.]+\.[^.]+)\.(assignment|bind|circuit|default|external|http1|internal|lb_|max_host"
    r"|membership|original|retry_or|update|upstream_cx|upstream_flow|upstream_internal|version|warming"
    r"|upstream_rq_(\d|active|cancel|complete|maint|max|pending|per_cx|retry_(backoff|limit)|rx|total|tx)).*"
)
_LONGEST_WAIT = "3600s"  # the most that Envoy 1.40 takes
_KEPT_OPEN = 300.0  # seconds of a client's connection on which nothing is asked


def render(plan: Plan, place: Place) -> Json:
    """All in one file, which Envoy reads once."""
    listeners = [_front_listener(plan, place, {"route_config": _front_routes(plan)}), attempt_listener(plan, place)]
    return _bootstrap(place, listeners, [*own_clusters(plan, place), *clusters_of(plan, place)])


@dataclass(frozen=True, slots=True)
class Files:
    """The same in three files: `routes` and `clusters` are read anew whenever they are replaced, `bootstrap` never."""

    bootstrap: Json
    routes: tuple[Json, ...]
    clusters: tuple[Json, ...]


def files(plan: Plan, place: Place, *, routes: str, clusters: str) -> Files:
    """`routes`, `clusters`: the paths at which Envoy finds these files; what they hold is `resources` of it."""
    discovered = {"rds": {"route_config_name": "front", "config_source": _file(routes)}}
    listeners = [_front_listener(plan, place, discovered), attempt_listener(plan, place)]
    bootstrap = _bootstrap(place, listeners, own_clusters(plan, place)) | {
        "dynamic_resources": {"cds_config": _file(clusters)}
    }
    return Files(
        bootstrap,
        ({"@type": f"{_TYPES}.route.v3.RouteConfiguration"} | _front_routes(plan),),
        tuple({"@type": f"{_TYPES}.cluster.v3.Cluster"} | cluster for cluster in clusters_of(plan, place)),
    )


def resources(version: str, of: Iterable[Json]) -> Json:
    """A file of resources as Envoy's xDS over files wants it; `version` tells one edition from the next."""
    return {"version_info": version, "resources": list(of)}


def _file(path: str) -> Json:
    watched = {"path": path, "watched_directory": {"path": str(PurePath(path).parent)}}
    return {"path_config_source": watched, "resource_api_version": "V3"}


def _bootstrap(place: Place, listeners: list[Json], clusters: list[Json]) -> Json:
    pipe = {"pipe": {"path": place.admin_socket, "mode": 0o600}}
    return {
        "node": {"id": "archgw", "cluster": "archgw"},
        "admin": {
            "address": pipe if place.admin_socket else socket_address("127.0.0.1", place.admin_port),
            "allow_paths": [{"prefix": path} for path in _ADMIN],
        },
        "bootstrap_extensions": [internal_listeners()],
        "static_resources": {"listeners": listeners, "clusters": clusters},
        "stats_config": {
            "use_all_default_tags": False,
            "stats_tags": _TAGS,
            "stats_matcher": {"exclusion_list": {"patterns": [{"safe_regex": {"regex": _UNREAD}}]}},
        },
        "overload_manager": {
            "resource_monitors": [
                typed(
                    "envoy.resource_monitors.global_downstream_max_connections",
                    "resource_monitors.downstream_connections.v3.DownstreamConnectionsConfig",
                    max_active_downstream_connections=_MAX_CONNECTIONS,
                )
            ]
        },
    }


def internal_listeners() -> Json:
    """The extension without which Envoy has no listener that is not on a port."""
    return typed("envoy.bootstrap.internal_listener", "bootstrap.internal_listener.v3.InternalListener")


def own_clusters(plan: Plan, place: Place) -> list[Json]:
    router = router_cluster(place)
    if plan.workers == 1:
        return [router, nobody_cluster(place)]
    each = envoy_workers.own_clusters(router, place, plan.workers)
    return [envoy_workers.spread(router, place, plan.workers), *each, nobody_cluster(place)]


def clusters_of(plan: Plan, place: Place) -> list[Json]:
    return [
        *(leaf_cluster(candidate, plan.failover, place) for candidate in plan.candidates),
        *(provider_cluster(candidate, place) for candidate in plan.candidates),
        *(chain_cluster(chain, plan.failover, place) for chain in plan.chains.values()),
    ]


# -- listeners -------------------------------------------------------------------------------------------------


def _front_listener(plan: Plan, place: Place, routes: Json) -> Json:
    """`routes`: as they are, or where they are found."""
    manager = _connection_manager(
        "front",
        place,
        http_filters=[selection_filter(plan, place), _router_filter(dynamic_stats=False)],
        routes=routes,
    ) | {
        # Copies of our own headers that a client made up must not steer anything.
        "early_header_mutation_extensions": [
            typed(
                "envoy.http.early_header_mutation.header_mutation",
                "http.early_header_mutation.header_mutation.v3.HeaderMutation",
                mutations=cleaned_headers(),
            )
        ],
        "use_remote_address": True,
        "skip_xff_append": True,
        "normalize_path": True,
        "stream_idle_timeout": _total(plan),
        "request_headers_timeout": seconds(plan.limits.pause_in_request),
        "request_timeout": _total(plan),
        "max_request_headers_kb": -(-plan.limits.header_size // 1024),
        "common_http_protocol_options": {
            "max_headers_count": plan.limits.headers,
            "idle_timeout": seconds(_KEPT_OPEN),
        },
        "http2_protocol_options": {
            "max_concurrent_streams": _MAX_STREAMS,
            "initial_stream_window_size": STREAM_WINDOW,
            "initial_connection_window_size": CONNECTION_WINDOW,
        },
        "local_reply_config": {"mappers": list(local_replies(plan.limits))},
    }
    return {
        "name": "front",
        "address": socket_address(plan.listener.address, plan.listener.port),
        "filter_chains": [{"filters": [_manager_filter(manager)]}],
    }


def cleaned_headers() -> list[Json]:
    """What is done to a client's headers before anybody reads them: he steers nothing, no answer comes compressed."""
    return [
        {"remove_on_match": {"key_matcher": {"prefix": "x-archgw-"}}},
        {"remove_on_match": {"key_matcher": {"prefix": "x-envoy-"}}},
        {"remove": "x-forwarded-for"},
        {
            "append": {
                "append_action": "OVERWRITE_IF_EXISTS_OR_ADD",
                "header": {"key": "accept-encoding", "value": "identity"},
            }
        },
    ]


def attempt_listener(plan: Plan, place: Place) -> Json:
    """Names no candidate, so it never changes: a changed listener would cut the streams it carries."""
    manager = _connection_manager(
        "attempt",
        place,
        http_filters=[
            _attempt_filter(plan, place),
            typed(
                "envoy.filters.http.header_mutation",
                "filters.http.header_mutation.v3.HeaderMutation",
                # Replacing a body from ext_proc takes content-length away; providers want it back.
                mutations={
                    "request_mutations": [
                        {
                            "append": {
                                "append_action": "ADD_IF_ABSENT",
                                "header": {
                                    "key": "content-length",
                                    "value": "%DYNAMIC_METADATA(archgw:content_length)%",
                                },
                            }
                        }
                    ]
                },
            ),
            _router_filter(),
        ],
        routes={"route_config": _attempt_routes(plan, place)},
    ) | {
        "stream_idle_timeout": _total(plan),
        # Envoy waits a second before it closes, for the sake of a network that is not between the hops: so much later
        # would the client know that a provider's connection broke in the middle of its answer.
        "delayed_close_timeout": "0s",
        # A service that ends between two tries is missed here first.
        "local_reply_config": {"mappers": torn_replies() + lost_replies()},
    }
    manager["access_log"] += _torn_logs(plan, place)
    return {
        "name": place.named("attempt"),
        "internal_listener": {},
        "filter_chains": [{"filters": [_manager_filter(manager)]}],
    }


def _manager_filter(manager: Json) -> Json:
    return {"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}


def _connection_manager(hop: str, place: Place, *, http_filters: list[Json], routes: Json) -> Json:
    return {
        "@type": f"{EXTENSIONS}.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": place.counted_as(hop),
        "http_protocol_options": {"enable_trailers": hop == "attempt"},  # a client's would go to providers unseen
        "generate_request_id": True,
        "access_log": [_access_log(hop, place)],
        "http_filters": http_filters,
        **routes,
    }


def _access_log(hop: str, place: Place) -> Json:
    """Facts only: no body, no query, no credential."""
    fields = {
        "hop": hop,
        "time": "%START_TIME%",
        "id": "%STREAM_ID%",
        "request": "%RESP(X-ARCH-REQUEST-ID)%",
        "method": "%REQ(:METHOD)%",
        "path": "%PATH(NQ)%",
        "status": "%RESPONSE_CODE%",
        "details": "%RESPONSE_CODE_DETAILS%",
        "flags": "%RESPONSE_FLAGS%",
        "attempts": "%UPSTREAM_REQUEST_ATTEMPT_COUNT%",
        "cluster": "%UPSTREAM_CLUSTER%",
        "candidate": "%UPSTREAM_METADATA(archgw:candidate)%",
        "bytes_in": "%BYTES_RECEIVED%",
        "bytes_out": "%BYTES_SENT%",
        "first_byte_ms": "%RESPONSE_DURATION%",
        "total_ms": "%DURATION%",
    }
    return typed(
        "envoy.access_loggers.file",
        "access_loggers.file.v3.FileAccessLog",
        path=place.access_log,
        log_format={"json_format": fields},
    )


def _torn_logs(plan: Plan, place: Place) -> list[Json]:
    """Tell the service of streams that a provider tore; to it they end as they do when a client leaves."""
    if plan.workers == 1:
        return [_torn_log(place.named("router"), TORN)]
    return [
        _torn_log(envoy_workers.own_cluster(worker), f"{TORN} && {envoy_workers.held_by(worker)}")
        for worker in range(plan.workers)
    ]


def _torn_log(cluster: str, when: str) -> Json:
    return typed(
        "envoy.access_loggers.http_grpc",
        "access_loggers.grpc.v3.HttpGrpcAccessLogConfig",
        common_config={
            "log_name": "torn",
            "grpc_service": {"envoy_grpc": {"cluster_name": cluster}},
            "transport_api_version": "V3",
            "buffer_size_bytes": 0,  # at once: the service waits a second before it says that the client left
        },
    ) | {
        "filter": {
            "extension_filter": typed(
                "envoy.access_loggers.extension_filters.cel",
                "access_loggers.filters.cel.v3.ExpressionFilter",
                expression=when,
            )
        }
    }


# -- filters ---------------------------------------------------------------------------------------------------


def selection_filter(plan: Plan, place: Place) -> Json:
    retry = envoy_workers.retry() if plan.workers > 1 else {}
    return _ext_proc(
        service=_service("selection", place) | retry,
        message_timeout="10s",
        max_message_timeout=_LONGEST_WAIT,  # the service asks for more where a request waits for another's answer
        processing_mode={
            "request_header_mode": "SEND",
            "request_body_mode": "BUFFERED",
            "response_header_mode": "SKIP",
            "response_body_mode": "NONE",
            "request_trailer_mode": "SKIP",
            "response_trailer_mode": "SKIP",
        },
    )


def _attempt_filter(plan: Plan, place: Place) -> Json:
    return _ext_proc(
        service=_service("attempt", place),
        # While an answer is held for its first content, Envoy waits for us: longer than our own timer.
        message_timeout=_total(plan),
        processing_mode={
            "request_header_mode": "SEND",
            "request_body_mode": "NONE",
            "response_header_mode": "SEND",
            "response_body_mode": "FULL_DUPLEX_STREAMED",
            "request_trailer_mode": "SKIP",
            "response_trailer_mode": "SEND",
        },
        metadata_options={"receiving_namespaces": {"untyped": ["archgw"]}},
        # Through which door it came: whose turn it is. Metadata of the leaf would go with every event of a stream.
        request_attributes=["destination.address"],
        response_attributes=["response.code_details"],
    )


def _service(role: str, place: Place) -> Json:
    told = [{"key": "x-archgw-role", "value": role}]
    if place.prefix:
        told.append({"key": "x-archgw-prefix", "value": place.prefix})
    return {"envoy_grpc": {"cluster_name": place.named("router")}, "timeout": "0s", "initial_metadata": told}


def _ext_proc(*, service: Json, message_timeout: str, processing_mode: Json, **more: Any) -> Json:
    return typed(
        "envoy.filters.http.ext_proc",
        "filters.http.ext_proc.v3.ExternalProcessor",
        grpc_service=service,
        message_timeout=message_timeout,
        **more,
        # allow_all_routing: the service sets :authority; allow_envoy: it sets x-envoy-max-retries.
        mutation_rules={"allow_all_routing": True, "allow_envoy": True},
        processing_mode=processing_mode,
    )


def _router_filter(**more: bool) -> Json:
    """`dynamic_stats`: whether answers are counted by their status, which nobody reads of chains."""
    return typed(
        "envoy.filters.http.router",
        "filters.http.router.v3.Router",
        suppress_envoy_headers=True,
        **more,
    )


# -- routes ----------------------------------------------------------------------------------------------------


def _front_routes(plan: Plan) -> Json:
    routes = [to_chain(plan), decisions(plan, Place()), unrouted(plan, Place())]
    return {"name": "front", "virtual_hosts": [{"name": "clients", "domains": ["*"], "routes": routes}]}


def to_chain(plan: Plan) -> Json:
    """The way of a request for which the service has chosen."""
    return {
        "match": {"prefix": "/", "headers": [{"name": "x-archgw-chain", "present_match": True}]},
        "route": {
            "cluster_header": "x-archgw-chain",
            "timeout": _total(plan),
            "idle_timeout": _total(plan),  # else that of the route before it stays in force
            "retry_policy": {
                # Retriable is what the service says (x-archgw-retry), and a hop that broke before it could say.
                "retry_on": "reset,connect-failure,refused-stream,retriable-headers,gateway-error",
                # x-archgw-next: somebody was passed over, which nobody counts as a failure.
                "retriable_headers": [
                    {"name": "x-archgw-retry", "present_match": True},
                    {"name": "x-archgw-next", "present_match": True},
                ],
                # A bound only: the service sets x-envoy-max-retries to what the chain and the config allow.
                "num_retries": 1,
                # A bound, too: the service sets x-envoy-upstream-rq-per-try-timeout-ms for each request.
                "per_try_timeout": _total(plan),
                "retry_back_off": {"base_interval": "0.005s", "max_interval": "0.02s"},
                "retry_priority": typed(
                    "envoy.retry_priorities.previous_priorities",
                    "retry.priority.previous_priorities.v3.PreviousPrioritiesConfig",
                    update_frequency=1,
                ),
                "retry_host_predicate": [
                    typed(
                        "envoy.retry_host_predicates.previous_hosts",
                        "retry.host.previous_hosts.v3.PreviousHostsPredicate",
                    )
                ],
                "host_selection_retry_max_attempts": 5,
            },
        },
        "request_body_buffer_limit": plan.limits.body,
        "response_headers_to_remove": ["x-archgw-retry", "x-archgw-next"],
    }


def decisions(plan: Plan, place: Place) -> Json:
    """By gRPC, which the service lets through once it knows who asks; it is asked by nothing else that is not Envoy."""
    to_us = {"cluster": place.named("router"), "timeout": "30s", "idle_timeout": seconds(plan.limits.pause_in_request)}
    return {"match": {"path": CALL, "grpc": {}}, "route": to_us, "request_body_buffer_limit": plan.limits.body}


def unrouted(plan: Plan, place: Place) -> Json:
    """Before the service has chosen, every request is on this route, and its limit holds for the body that is buffered
    (a direct_response's would be ignored). Nobody gets further on it: the service answers, or chooses a chain. So who
    pauses on it for long is a client that does not go on sending.
    """
    return {
        "match": {"prefix": "/"},
        "route": {"cluster": place.named("nobody"), "idle_timeout": seconds(plan.limits.pause_in_request)},
        "request_body_buffer_limit": plan.limits.body,
    }


def _attempt_routes(plan: Plan, place: Place) -> Json:
    to_provider = {
        "match": {"prefix": "/", "headers": [{"name": "x-archgw-provider", "present_match": True}]},
        "route": {"cluster_header": "x-archgw-provider", "timeout": "0s"},
        # x-forwarded-proto cannot be taken away by ext_proc: the route would no longer match.
        "request_headers_to_remove": ["x-archgw-provider", "x-forwarded-proto"],
        "request_body_buffer_limit": 2 * plan.limits.body,
    }
    unrouted = {"match": {"prefix": "/"}, "direct_response": {"status": 503}}
    held = envoy_workers.attempt_routes(unrouted, _service("attempt", place), plan.workers) if plan.workers > 1 else ()
    return {
        "name": "attempt",
        "virtual_hosts": [{"name": "providers", "domains": ["*"], "routes": [to_provider, *held, unrouted]}],
    }


def _total(plan: Plan) -> str:
    """How long a whole request may take, as Envoy sees it."""
    return seconds(plan.listener.timeout + _BACKSTOP)
