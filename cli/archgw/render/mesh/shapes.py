"""Whether another's file has the shapes of Envoy's API wherever we look into it: nobody else has to ask. Pure."""

import re
from collections.abc import Callable
from typing import Any

from archgw.render.envoy_pieces import Json
from archgw.render.mesh.foreign import key, kind, last_word

_DURATION = re.compile(r"-?\d+(\.\d{1,9})?s")
_NUMBER = re.compile(r"\d+")


class NotEnvoys(ValueError):
    """Where the file is not as Envoy's API has it, and what is expected there."""


def check(document: Json) -> None:
    """Of a bootstrap, or of what Envoy prints at /config_dump. What is not set, or null, is as good as any. Raises
    NotEnvoys for the first thing that is wrong."""
    _check(document, _DUMP if "configs" in document else _BOOTSTRAP, "")


# An object with these fields among others, a list of so formed things, or a word for a value; by a function where it
# depends on the value.
_Shape = dict[str, Any] | list[Any] | str | Callable[[Any], Any]

_METADATA: Json = {"initial_metadata": [{}]}
_MATCH: Json = {"headers": [{"string_match": {}}], "safe_regex": {}}
_ACTION = {
    "weighted_clusters": {"clusters": [{}]},
    "timeout": "duration",
    "idle_timeout": "duration",
    "max_stream_duration": {"max_stream_duration": "duration"},
    "retry_policy": {"retriable_headers": [{}]},
}
_ROUTE = {"match": _MATCH, "route": _ACTION, "typed_per_filter_config": {}, "request_body_buffer_limit": "number"}
_HOST = {"domains": ["text"], "routes": [_ROUTE], "typed_per_filter_config": {}, "hedge_policy": {}}
_ROUTES = {"virtual_hosts": [_HOST]}
_KNOWN = {  # by the last word of their @type
    "Buffer": {"max_request_bytes": "number"},
    "ExternalProcessor": {"processing_mode": {}, "grpc_service": _METADATA},
    "ClusterConfig": {"clusters": ["text"]},
}


def _typed(one: Any) -> _Shape:
    return {"typed_config": _KNOWN.get(kind(one), {})}


_MAPPER: Json = {"filter": {"extension_filter": {"typed_config": {}}}}
_KNOWN["HttpConnectionManager"] = {
    "http_filters": [_typed],
    "route_config": _ROUTES,
    "rds": {},
    "request_timeout": "duration",
    "common_http_protocol_options": {"max_stream_duration": "duration"},
    "local_reply_config": {"mappers": [_MAPPER], "body_format": {}},
}
_CHAIN = {"filters": [_typed], "filter_chain_match": {"server_names": ["text"]}}
_LISTENER = {
    "filter_chains": [_CHAIN],
    "default_filter_chain": _CHAIN,
    "internal_listener": {},
    "per_connection_buffer_limit_bytes": "number",
}
_ADDRESS: Json = {"socket_address": {}, "envoy_internal_address": {}, "pipe": {}}
_CLUSTER = {
    "cluster_type": _typed,
    "load_assignment": {"endpoints": [{"lb_endpoints": [{"endpoint": {"address": _ADDRESS}}]}]},
    "transport_socket": {},
}
_VERSION = {"major_number": "number", "minor_number": "number", "patch": "number"}
_BOOTSTRAP = {
    "static_resources": {"listeners": [_LISTENER], "clusters": [_CLUSTER]},
    "dynamic_resources": {},
    "bootstrap_extensions": [_typed],
    "node": {"user_agent_build_version": {"version": _VERSION}},
}
_CLUSTERS = [{"cluster": _CLUSTER}]
_PARTS = {
    "BootstrapConfigDump": {"bootstrap": _BOOTSTRAP},
    "ClustersConfigDump": {
        "static_clusters": _CLUSTERS,
        "dynamic_active_clusters": _CLUSTERS,
        "dynamic_warming_clusters": _CLUSTERS,
    },
    "ListenersConfigDump": {
        "static_listeners": [{"listener": _LISTENER}],
        "dynamic_listeners": [{"active_state": {"listener": _LISTENER}}],
    },
    "RoutesConfigDump": {"dynamic_route_configs": [{"route_config": _ROUTES}]},
}
_DUMP = {"configs": [lambda part: _PARTS.get(last_word(part), {})]}


def _check(value: Any, shape: _Shape, place: str) -> None:
    if callable(shape):
        shape = shape(value)
    match shape:
        case dict():
            _expect(isinstance(value, dict), "an object", value, place)
            for name, of in shape.items():
                field = key(value, name)
                if value.get(field) is not None:
                    _check(value[field], of, f"{place}.{field}".lstrip("."))
        case list():
            _expect(isinstance(value, list), "a list", value, place)
            for at, one in enumerate(value):
                _check(one, shape[0], f"{place}[{at}]")
        case "duration" if isinstance(value, dict):  # which Envoy 1.40 takes, too
            _check(value, {"seconds": "number", "nanos": "number"}, place)
        case "duration":
            _expect(isinstance(value, str) and _DURATION.fullmatch(value), "seconds such as 15s", value, place)
        case "number":
            _expect(_is_whole(value), "a number", value, place)
        case "text":
            _expect(isinstance(value, str), "a text", value, place)


def _is_whole(value: Any) -> bool:
    """As protobuf's JSON has it: 10, 10.0, and, where it has 64 bits, "10"."""
    if isinstance(value, float):
        return value.is_integer() and value >= 0
    return isinstance(value, int | str) and not isinstance(value, bool) and bool(_NUMBER.fullmatch(str(value)))


def _expect(found: object, wanted: str, value: Any, place: str) -> None:
    if not found:
        raise NotEnvoys(
            f"this is not as Envoy's API has it: {place}: expected {wanted}, found {_said(value)}; look at it with"
            " envoy --mode validate"
        )


def _said(value: Any) -> str:
    """What it is; of what stands in it no more than a word, for it may be a key."""
    match value:
        case dict():
            return "an object"
        case list():
            return "a list"
        case None:
            return "nothing"
        case str():
            return "a text" if len(value) > 20 else f"'{value}'"
        case _:
            return str(value)
