"""Plan -> Envoy's configuration: two hops inside one Envoy.

The FRONT listener terminates clients, asks the service once (selection) and sends the request down a chain, an
aggregate cluster whose leaves all lead to the ATTEMPT listener, an internal one. There the service is asked
once per try (attempt) and the request goes on to one provider. Retry and outlier detection act between the two.
Why two hops, and each odd line below: docs/architecture.md. Seen on Envoy 1.40.
"""

from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any

from router_service.config import Failover
from router_service.plan import Candidate, Chain, Plan

Json = dict[str, Any]

MAX_BODY = 32 * 1024 * 1024
_EXTENSIONS = "type.googleapis.com/envoy.extensions"
_BACKSTOP = 2.0  # seconds that Envoy's own timers run longer than the service's, which fail with better words


@dataclass(frozen=True, slots=True)
class Place:
    """What differs between machines: where Envoy finds the service, and where it listens and logs.

    `router_socket` and `ca_file` are paths; `admin_port` is on loopback; `access_log` is a path.
    """

    router_socket: str = "/run/archgw/router.sock"
    admin_port: int = 9901
    ca_file: str = "/etc/ssl/certs/ca-certificates.crt"
    access_log: str = "/dev/stdout"


def render(plan: Plan, place: Place) -> Json:
    return {
        "node": {"id": "archgw", "cluster": "archgw"},
        "admin": {"address": _socket_address("127.0.0.1", place.admin_port)},
        "bootstrap_extensions": [
            _typed("envoy.bootstrap.internal_listener", "bootstrap.internal_listener.v3.InternalListener")
        ],
        "static_resources": {
            "listeners": [_front_listener(plan, place), _attempt_listener(plan, place)],
            "clusters": [
                _router_cluster(place),
                {"name": "nobody", "type": "STATIC", "load_assignment": {"cluster_name": "nobody"}},
                *(_leaf(candidate, plan.failover) for candidate in plan.candidates),
                *(_provider(candidate, place) for candidate in plan.candidates),
                *(_chain(chain) for chain in plan.chains.values()),
            ],
        },
        "layered_runtime": {
            "layers": [{"name": "static", "static_layer": {"overload.global_downstream_max_connections": 4096}}]
        },
    }


# -- listeners -------------------------------------------------------------------------------------------------


def _front_listener(plan: Plan, place: Place) -> Json:
    manager = _connection_manager(
        "front",
        place,
        http_filters=[_selection_filter(), _router_filter(suppress_envoy_headers=True)],
        route_config=_front_routes(plan),
    ) | {
        # Copies of our own headers that a client made up must not steer anything.
        "early_header_mutation_extensions": [
            _typed(
                "envoy.http.early_header_mutation.header_mutation",
                "http.early_header_mutation.header_mutation.v3.HeaderMutation",
                mutations=[
                    {"remove_on_match": {"key_matcher": {"prefix": "x-archgw-"}}},
                    {"remove_on_match": {"key_matcher": {"prefix": "x-envoy-"}}},
                    {"remove": "x-forwarded-for"},
                    {
                        "append": {
                            "append_action": "OVERWRITE_IF_EXISTS_OR_ADD",
                            "header": {"key": "accept-encoding", "value": "identity"},
                        }
                    },
                ],
            )
        ],
        "use_remote_address": True,
        "skip_xff_append": True,
        "normalize_path": True,
        "stream_idle_timeout": _seconds(plan.listener.timeout),
        "local_reply_config": {"mappers": list(_local_replies())},
    }
    return {
        "name": "front",
        "address": _socket_address(plan.listener.address, plan.listener.port),
        "filter_chains": [{"filters": [manager_filter(manager)]}],
    }


def _attempt_listener(plan: Plan, place: Place) -> Json:
    """Names no candidate, so it never changes: a changed listener would cut the streams it carries."""
    manager = _connection_manager(
        "attempt",
        place,
        http_filters=[
            _attempt_filter(plan),
            _typed(
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
            _router_filter(suppress_envoy_headers=True),
        ],
        route_config=_attempt_routes(),
    ) | {"stream_idle_timeout": _seconds(plan.listener.timeout)}
    return {
        "name": "attempt",
        "internal_listener": {},
        "filter_chains": [{"filters": [manager_filter(manager)]}],
    }


def manager_filter(manager: Json) -> Json:
    return {"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}


def _connection_manager(hop: str, place: Place, *, http_filters: list[Json], route_config: Json) -> Json:
    return {
        "@type": f"{_EXTENSIONS}.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": hop,
        "http_protocol_options": {"enable_trailers": True},
        "generate_request_id": True,
        "access_log": [_access_log(hop, place)],
        "http_filters": http_filters,
        "route_config": route_config,
    }


def _access_log(hop: str, place: Place) -> Json:
    """Facts only: no body, no query, no credential."""
    fields = {
        "hop": hop,
        "time": "%START_TIME%",
        "id": "%STREAM_ID%",
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
    return _typed(
        "envoy.access_loggers.file",
        "access_loggers.file.v3.FileAccessLog",
        path=place.access_log,
        log_format={"json_format": fields},
    )


# -- filters ---------------------------------------------------------------------------------------------------


def _selection_filter() -> Json:
    return _ext_proc(
        role="selection",
        message_timeout="10s",
        processing_mode={
            "request_header_mode": "SEND",
            "request_body_mode": "BUFFERED",
            "response_header_mode": "SKIP",
            "response_body_mode": "NONE",
            "request_trailer_mode": "SKIP",
            "response_trailer_mode": "SKIP",
        },
    )


def _attempt_filter(plan: Plan) -> Json:
    return _ext_proc(
        role="attempt",
        # While an answer is held for its first content, Envoy waits for us: longer than our own timer.
        message_timeout=_seconds(plan.failover.first_content_timeout + _BACKSTOP),
        processing_mode={
            "request_header_mode": "SEND",
            "request_body_mode": "NONE",
            "response_header_mode": "SEND",
            "response_body_mode": "FULL_DUPLEX_STREAMED",
            "request_trailer_mode": "SKIP",
            "response_trailer_mode": "SEND",
        },
    )


def _ext_proc(*, role: str, message_timeout: str, processing_mode: Json) -> Json:
    return _typed(
        "envoy.filters.http.ext_proc",
        "filters.http.ext_proc.v3.ExternalProcessor",
        grpc_service={
            "envoy_grpc": {"cluster_name": "router"},
            "timeout": "0s",
            "initial_metadata": [{"key": "x-archgw-role", "value": role}],
        },
        message_timeout=message_timeout,
        # allow_all_routing: the service sets :authority; allow_envoy: it sets x-envoy-max-retries.
        mutation_rules={"allow_all_routing": True, "allow_envoy": True},
        processing_mode=processing_mode,
        metadata_options={
            "receiving_namespaces": {"untyped": ["archgw"]},
            # Carries the leaf's metadata: which candidate's turn it is.
            "forwarding_namespaces": {"untyped": ["archgw"]},
        },
        response_attributes=["response.code_details", "response.flags"] if role == "attempt" else [],
    )


def _router_filter(*, suppress_envoy_headers: bool) -> Json:
    return _typed(
        "envoy.filters.http.router",
        "filters.http.router.v3.Router",
        suppress_envoy_headers=suppress_envoy_headers,
    )


# -- routes ----------------------------------------------------------------------------------------------------


def _front_routes(plan: Plan) -> Json:
    to_chain = {
        "match": {"prefix": "/", "headers": [{"name": "x-archgw-chain", "present_match": True}]},
        "route": {
            "cluster_header": "x-archgw-chain",
            "timeout": _seconds(plan.listener.timeout),
            "retry_policy": {
                # Retriable is what the service says (x-archgw-retry), and a hop that broke before it could say.
                "retry_on": "reset,connect-failure,refused-stream,retriable-headers,gateway-error",
                "retriable_headers": [{"name": "x-archgw-retry", "present_match": True}],
                # A bound only: the service sets x-envoy-max-retries to what the chain and the config allow.
                "num_retries": 1,
                "per_try_timeout": _seconds(plan.failover.first_content_timeout + _BACKSTOP),
                "retry_back_off": {"base_interval": "0.005s", "max_interval": "0.02s"},
                "retry_priority": _typed(
                    "envoy.retry_priorities.previous_priorities",
                    "retry.priority.previous_priorities.v3.PreviousPrioritiesConfig",
                    update_frequency=1,
                ),
                "retry_host_predicate": [
                    _typed(
                        "envoy.retry_host_predicates.previous_hosts",
                        "retry.host.previous_hosts.v3.PreviousHostsPredicate",
                    )
                ],
                "host_selection_retry_max_attempts": 5,
            },
        },
        "request_body_buffer_limit": MAX_BODY,
        "response_headers_to_remove": ["x-archgw-retry"],
    }
    # Before the service has chosen, every request is on this route, and its limit holds for the body that is buffered
    # (a direct_response's would be ignored). Nobody gets further on it: the service answers, or chooses a chain.
    unrouted = {"match": {"prefix": "/"}, "route": {"cluster": "nobody"}, "request_body_buffer_limit": MAX_BODY}
    return {
        "name": "front",
        "virtual_hosts": [{"name": "clients", "domains": ["*"], "routes": [to_chain, unrouted]}],
    }


def _attempt_routes() -> Json:
    to_provider = {
        "match": {"prefix": "/", "headers": [{"name": "x-archgw-provider", "present_match": True}]},
        "route": {"cluster_header": "x-archgw-provider", "timeout": "0s"},
        # x-forwarded-proto cannot be taken away by ext_proc: the route would no longer match.
        "request_headers_to_remove": ["x-archgw-provider", "x-forwarded-proto"],
        "request_body_buffer_limit": 2 * MAX_BODY,
    }
    unrouted = {"match": {"prefix": "/"}, "direct_response": {"status": 503}}
    return {
        "name": "attempt",
        "virtual_hosts": [{"name": "providers", "domains": ["*"], "routes": [to_provider, unrouted]}],
    }


def _local_replies() -> list[Json]:
    """What Envoy itself must say, in the client's dialect. Our own replies carry the details `archgw`."""
    anthropic = {"type": "error", "error": {"type": "api_error", "message": "%LOCAL_REPLY_BODY%"}}
    openai = {"error": {"message": "%LOCAL_REPLY_BODY%", "type": "api_error", "param": None, "code": None}}
    ours = "response.code_details.startsWith('archgw')"
    messages = "request.path.startsWith('/v1/messages')"
    broken = "response.code_details.startsWith('ext_proc')"
    down = "archgw: the router service is not answering; it is restarted by itself, try again in a moment"
    too_large = f"archgw: the request is larger than {MAX_BODY // 2**20} MiB; shorten the conversation or its images"
    return [
        *(
            _mapper(f"!({ours}) && {when} && {where}", _said(shape, words), status)
            for when, words, status in (
                (broken, down, 503),
                ("response.code == 413", too_large, 413),
            )
            for where, shape in ((messages, anthropic), (f"!({messages})", openai))
        ),
        *(
            _mapper(f"!({ours}) && {where}", _said(shape, "archgw: %LOCAL_REPLY_BODY%"), None)
            for where, shape in ((messages, anthropic), (f"!({messages})", openai))
        ),
    ]


def _said(shape: Json, words: str) -> Json:
    error = shape["error"] | {"message": words}
    return shape | {"error": error}


def _mapper(expression: str, body: Json, status: int | None) -> Json:
    cel = _typed(
        "envoy.access_loggers.extension_filters.cel",
        "access_loggers.filters.cel.v3.ExpressionFilter",
        expression=expression,
    )
    mapper: Json = {"filter": {"extension_filter": cel}, "body_format_override": {"json_format": body}}
    return mapper | ({"status_code": status} if status else {})


# -- clusters --------------------------------------------------------------------------------------------------

_UNLIMITED = {
    "thresholds": [{"max_connections": 8192, "max_pending_requests": 8192, "max_requests": 8192, "max_retries": 8192}]
}


def _router_cluster(place: Place) -> Json:
    return _cluster("router", {"explicit_http_config": {"http2_protocol_options": {}}}) | {
        "type": "STATIC",
        "connect_timeout": "1s",
        "load_assignment": _endpoint("router", {"pipe": {"path": place.router_socket}}),
    }


def _leaf(candidate: Candidate, failover: Failover) -> Json:
    """The candidate as the front sees it: a door to the attempt hop that tells it whose turn it is."""
    endpoint = {"envoy_internal_address": {"server_listener_name": "attempt", "endpoint_id": candidate.id}}
    metadata = {"filter_metadata": {"archgw": {"candidate": candidate.id}}}
    return _cluster(candidate.leaf, {"explicit_http_config": {"http_protocol_options": {"enable_trailers": True}}}) | {
        "type": "STATIC",
        "connect_timeout": "1s",
        "load_assignment": _endpoint(candidate.leaf, endpoint, metadata),
        "outlier_detection": {
            "consecutive_5xx": failover.put_aside_after,
            "consecutive_gateway_failure": failover.put_aside_after,
            "enforcing_consecutive_gateway_failure": 100,
            "interval": "1s",
            "base_ejection_time": _seconds(failover.put_aside_for),
            "max_ejection_percent": 100,
        },
        "transport_socket": _typed(
            "envoy.transport_sockets.internal_upstream",
            "transport_sockets.internal_upstream.v3.InternalUpstreamTransport",
            passthrough_metadata=[{"kind": {"host": {}}, "name": "archgw"}],
            transport_socket=_typed("envoy.transport_sockets.raw_buffer", "transport_sockets.raw_buffer.v3.RawBuffer"),
        ),
    }


def _provider(candidate: Candidate, place: Place) -> Json:
    address = candidate.address
    tls = address.scheme == "https"
    protocol = (
        {"auto_config": {"http_protocol_options": {"enable_trailers": True}, "http2_protocol_options": {}}}
        if tls
        else {"explicit_http_config": {"http_protocol_options": {"enable_trailers": True}}}
    )
    # Vendors close idle connections after about a minute; a request on a closing one would be a lost attempt.
    protocol |= {"common_http_protocol_options": {"idle_timeout": "45s"}}
    cluster = _cluster(candidate.cluster, protocol) | {
        "type": "STATIC" if _is_ip(address.host) else "STRICT_DNS",
        "connect_timeout": "5s",
        "load_assignment": _endpoint(candidate.cluster, _socket_address(address.host, address.port)),
    }
    if not _is_ip(address.host):
        cluster |= {"dns_lookup_family": "V4_PREFERRED", "respect_dns_ttl": True}
    return cluster | ({"transport_socket": _tls(address.host, place)} if tls else {})


def _chain(chain: Chain) -> Json:
    protocol = {
        "explicit_http_config": {"http_protocol_options": {"enable_trailers": True}},
        # Every failure that the service reports counts towards ejection, whatever its status. On leaves of an
        # aggregate this matcher is ignored; here it works.
        "outlier_detection": {
            "error_matcher": {
                "http_response_headers_match": {"headers": [{"name": "x-archgw-retry", "present_match": True}]}
            }
        },
    }
    return _cluster(chain.name, protocol) | {
        "connect_timeout": "1s",
        "lb_policy": "CLUSTER_PROVIDED",
        "cluster_type": _typed(
            "envoy.clusters.aggregate",
            "clusters.aggregate.v3.ClusterConfig",
            clusters=[candidate.leaf for candidate in chain.candidates],
        ),
    }


def _cluster(name: str, protocol: Json) -> Json:
    return {
        "name": name,
        "circuit_breakers": _UNLIMITED,
        "typed_extension_protocol_options": {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                "@type": f"{_EXTENSIONS}.upstreams.http.v3.HttpProtocolOptions",
                **protocol,
            }
        },
    }


def _tls(host: str, place: Place) -> Json:
    kind = "IP_ADDRESS" if _is_ip(host) else "DNS"
    validation = {
        "trusted_ca": {"filename": place.ca_file},
        "match_typed_subject_alt_names": [{"san_type": kind, "matcher": {"exact": host}}],
    }
    server_name: Json = {} if _is_ip(host) else {"sni": host}
    return _typed(
        "envoy.transport_sockets.tls",
        "transport_sockets.tls.v3.UpstreamTlsContext",
        **server_name,
        common_tls_context={"validation_context": validation},
    )


def _endpoint(cluster: str, address: Json, metadata: Json | None = None) -> Json:
    endpoint: Json = {"endpoint": {"address": address}}
    if metadata:
        endpoint["metadata"] = metadata
    return {"cluster_name": cluster, "endpoints": [{"lb_endpoints": [endpoint]}]}


def _socket_address(host: str, port: int) -> Json:
    return {"socket_address": {"address": host, "port_value": port}}


def _typed(name: str, type: str, **config: Any) -> Json:
    return {"name": name, "typed_config": {"@type": f"{_EXTENSIONS}.{type}", **config}}


def _seconds(value: float) -> str:
    return f"{value:g}s"


def _is_ip(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
