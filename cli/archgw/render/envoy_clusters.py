"""The clusters: the service, a leaf and a provider per candidate, a chain per route and first candidate."""

from dataclasses import replace

from archgw.render.envoy_pieces import (
    CONNECTION_WINDOW,
    EXTENSIONS,
    STREAM_WINDOW,
    Json,
    Place,
    endpoint,
    is_ip,
    seconds,
    socket_address,
    typed,
)
from router_service.config import CircuitBreakers, Failover
from router_service.plan import Candidate, Chain

# On leaves nothing is limited: what overflows there is never tried elsewhere (Envoy 1.40). In a provider's cluster the
# service hears of it and passes the candidate over. Retries are counted on the chain, and there alone; what a
# retry_budget is a share of is counted on leaves, so the service keeps the budget itself.
_FIELDS = ("max_connections", "max_pending_requests", "max_requests", "max_retries")
_UNLIMITED = CircuitBreakers()

_WINDOWS = {"initial_stream_window_size": STREAM_WINDOW, "initial_connection_window_size": CONNECTION_WINDOW}


def router_cluster(place: Place) -> Json:
    return _cluster(place, "router", {"explicit_http_config": {"http2_protocol_options": _WINDOWS}}) | {
        "type": "STATIC",
        "connect_timeout": "1s",
        "load_assignment": endpoint(place.named("router"), {"pipe": {"path": place.router_socket}}),
    }


def nobody_cluster(place: Place) -> Json:
    """Where requests are bound for while nobody has been chosen."""
    name = place.named("nobody")
    return {"name": name, "type": "STATIC", "load_assignment": {"cluster_name": name}} | _counted(place, "nobody")


def leaf_cluster(candidate: Candidate, failover: Failover, place: Place) -> Json:
    """The candidate as the front sees it: a door to the attempt hop that tells it whose turn it is.

    The metadata is for the access log.
    """
    door = {"envoy_internal_address": {"server_listener_name": place.named("attempt"), "endpoint_id": candidate.id}}
    metadata = {"filter_metadata": {"archgw": {"candidate": candidate.id}}}
    protocol = {"explicit_http_config": {"http_protocol_options": {"enable_trailers": True}}}
    return _cluster(place, candidate.leaf, protocol) | {
        "type": "STATIC",
        "connect_timeout": "1s",
        "load_assignment": endpoint(place.named(candidate.leaf), door, metadata),
        "outlier_detection": {
            "consecutive_5xx": failover.put_aside_after,
            "consecutive_gateway_failure": failover.put_aside_after,
            "enforcing_consecutive_gateway_failure": 100,
            "interval": "1s",
            "base_ejection_time": seconds(failover.put_aside_for),
            "max_ejection_percent": 100,
        },
    }


def provider_cluster(candidate: Candidate, place: Place) -> Json:
    address = candidate.address
    host = place.reached(address.host)
    tls = address.scheme == "https"
    protocol: Json = (
        {"auto_config": {"http_protocol_options": {"enable_trailers": True}, "http2_protocol_options": _WINDOWS}}
        if tls
        else {"explicit_http_config": {"http_protocol_options": {"enable_trailers": True}}}
    )
    # Vendors close idle connections after about a minute; a request on a closing one would be a lost attempt.
    protocol |= {"common_http_protocol_options": {"idle_timeout": "45s"}}
    limits = replace(candidate.limits, max_retries=_UNLIMITED.max_retries)
    cluster = _cluster(place, candidate.cluster, protocol, limits) | {
        "type": "STATIC" if is_ip(host) else "STRICT_DNS",
        "connect_timeout": "5s",
        "load_assignment": endpoint(place.named(candidate.cluster), socket_address(host, address.port)),
    }
    if not is_ip(host):
        cluster |= {"dns_lookup_family": "V4_PREFERRED", "respect_dns_ttl": True}
    return cluster | ({"transport_socket": _tls(address.host, place)} if tls else {})


def chain_cluster(chain: Chain, failover: Failover, place: Place) -> Json:
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
    return _cluster(place, chain.name, protocol, CircuitBreakers(max_retries=failover.limits.max_retries)) | {
        "connect_timeout": "1s",
        "lb_policy": "CLUSTER_PROVIDED",
        "cluster_type": typed(
            "envoy.clusters.aggregate",
            "clusters.aggregate.v3.ClusterConfig",
            clusters=[place.named(candidate.leaf) for candidate in chain.candidates],
        ),
    }


def _cluster(place: Place, name: str, protocol: Json, limits: CircuitBreakers = _UNLIMITED) -> Json:
    return {
        "name": place.named(name),
        **_counted(place, name),
        "circuit_breakers": {"thresholds": [{field: getattr(limits, field) for field in _FIELDS}]},
        "typed_extension_protocol_options": {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                "@type": f"{EXTENSIONS}.upstreams.http.v3.HttpProtocolOptions",
                **protocol,
            }
        },
    }


def _counted(place: Place, name: str) -> Json:
    return {"alt_stat_name": place.counted_as(name)} if place.prefix else {}


def _tls(host: str, place: Place) -> Json:
    kind = "IP_ADDRESS" if is_ip(host) else "DNS"
    validation = {
        "trusted_ca": {"filename": place.ca_file},
        "match_typed_subject_alt_names": [{"san_type": kind, "matcher": {"exact": host}}],
    }
    server_name: Json = {} if is_ip(host) else {"sni": host}
    return typed(
        "envoy.transport_sockets.tls",
        "transport_sockets.tls.v3.UpstreamTlsContext",
        **server_name,
        common_tls_context={"validation_context": validation},
    )
