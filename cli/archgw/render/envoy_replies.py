"""What Envoy says itself when nobody else can, in the client's dialect."""

from collections.abc import Mapping

from archgw.render.envoy_pieces import Json, typed
from router_service import limits, paths
from router_service.config import Limits

_EXPLAINED = {  # what every reply carries, whoever gives it
    "x-arch-model": "none",
    "x-arch-route": "none",
    "x-arch-reason": "answered by Envoy: %RESPONSE_CODE_DETAILS%",
    "x-arch-attempts": "%UPSTREAM_REQUEST_ATTEMPT_COUNT%",
    "x-arch-request-id": "%REQ(X-REQUEST-ID)%",
}

_ANTHROPICS = ("/v1/messages", "/routing/v1/messages", paths.DECIDE)  # beginnings of paths

# How Envoy calls it where a provider has torn an answer of which nothing had gone out.
TORN = "response.code_details.startsWith('upstream_reset_after_response_started')"
_RESOURCE_EXHAUSTED = "8"
_OURS = "response.code_details.startsWith('archgw')"
_REFUSED = "archgw: this is no HTTP request that can be answered: %LOCAL_REPLY_BODY% (%RESPONSE_CODE_DETAILS%)"


def local_replies(most: Limits) -> list[Json]:
    """What Envoy itself must say, in the client's dialect. Our own replies carry the details `archgw`."""
    return [
        _too_large_a_call(most),
        *_to_requests(most),
        # What could not be read as far as its path: who asked is not known, and both kinds of client read this one.
        _to_anybody("response.code == 431", "invalid_request_error", limits.headers_too_large(most)),
        _to_anybody("response.code == 408", "timeout_error", limits.paused_too_long(most)),
        _to_anybody("(response.code < 500 || response.code == 501)", "invalid_request_error", _REFUSED),
    ]


def _too_large_a_call(most: Limits) -> Json:
    """Of 413 Envoy would make UNKNOWN; a status of gRPC's that stands there already it keeps (seen on 1.40)."""
    return {
        "filter": _cel(f"request.path == '{paths.CALL}' && response.code == 413"),
        "body_format_override": {"text_format_source": {"inline_string": limits.body_too_large(most)}},
        "headers_to_add": [{"header": {"key": "grpc-status", "value": _RESOURCE_EXHAUSTED}}],
    }


def lost_replies(within: str = "") -> list[Json]:
    """Where the router service that holds the request has gone."""
    broken = f"{within}response.code_details.startsWith('ext_proc')"
    down = "archgw: the router service is not answering; it is restarted by itself, try again in a moment"
    return _said(f"{broken} && response.code >= 500", "api_error", down, status=503)


def replies_on(routes: str, most: Limits) -> list[Json]:
    """The same, on routes whose names begin so, in an Envoy that has others; first of all, our own go out as they are.

    What could not be read as far as its path is not ours to answer there.
    """
    untouched = {
        "filter": _cel(_OURS),
        "body_format_override": {"text_format_source": {"inline_string": "%LOCAL_REPLY_BODY%"}},
    }
    return [untouched, *_to_requests(most, within=f"xds.route_name.startsWith('{routes}') && ")]


def _to_requests(most: Limits, within: str = "") -> list[Json]:
    unreached = "archgw: no model could be reached (%LOCAL_REPLY_BODY%)"
    return [
        *lost_replies(within),
        *_said(f"{within}response.code == 413", "request_too_large", limits.body_too_large(most)),
        *_said(f"{within}response.code == 431", "invalid_request_error", limits.headers_too_large(most)),
        *_said(f"{within}response.code == 408", "timeout_error", limits.paused_too_long(most)),
        *_said(f"{within}response.code == 503", "overloaded_error", unreached),
        *_said(f"{within}response.code == 504", "timeout_error", "archgw: no model answered in time"),
        *_said(f"{within}response.code < 500", "invalid_request_error", _REFUSED),
        *_said(f"{within}true", "api_error", "archgw: %LOCAL_REPLY_BODY% (%RESPONSE_CODE_DETAILS%)"),
    ]


def torn_replies() -> list[Json]:
    """Of the attempt hop, where an answer is torn that the service still held: it is not asked again, and the front hop
    takes this for the provider's. Whoever else there is answers instead; this stands where there is nobody.
    """
    words = "archgw: no model could answer. %DYNAMIC_METADATA(archgw:model)% broke off in its answer"
    anthropic = {"type": "error", "error": {"type": "api_error", "message": words}}
    openai = {"error": {"message": words, "type": "api_error", "param": None, "code": None}}
    messages = "metadata.filter_metadata['archgw']['dialect'] == 'anthropic_messages'"
    explained = _EXPLAINED | {
        "x-arch-model": "%DYNAMIC_METADATA(archgw:model)%",
        "x-arch-request-id": "%DYNAMIC_METADATA(archgw:id)%",
    }
    return [
        _mapper(f"{TORN} && {messages}", anthropic, None, explained),
        _mapper(f"{TORN} && !({messages})", openai, None, explained),
    ]


def _said(when: str, kind: str, words: str, *, status: int | None = None) -> list[Json]:
    """One mapper for each dialect; `status` replaces Envoy's own."""
    anthropic = {"type": "error", "error": {"type": kind, "message": words}}
    openai = {"error": {"message": words, "type": kind, "param": None, "code": None}}
    messages = " || ".join(f"request.path.startsWith('{path}')" for path in _ANTHROPICS)
    return [
        _mapper(f"!({_OURS}) && {when} && ({messages})", anthropic, status),
        _mapper(f"!({_OURS}) && {when} && !({messages})", openai, status),
    ]


def _to_anybody(when: str, kind: str, words: str) -> Json:
    body = {"type": "error", "error": {"type": kind, "message": words, "param": None, "code": None}}
    return _mapper(f"!({_OURS}) && {when}", body, None)


def _mapper(expression: str, body: Json, status: int | None, explained: Mapping[str, str] = _EXPLAINED) -> Json:
    mapper: Json = {
        "filter": _cel(expression),
        "body_format_override": {"json_format": body},
        "headers_to_add": [{"header": {"key": name, "value": value}} for name, value in explained.items()],
    }
    return mapper | ({"status_code": status} if status else {})


def _cel(expression: str) -> Json:
    cel = typed(
        "envoy.access_loggers.extension_filters.cel",
        "access_loggers.filters.cel.v3.ExpressionFilter",
        expression=expression,
    )
    return {"extension_filter": cel}
