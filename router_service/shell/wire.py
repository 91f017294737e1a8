"""Envoy's messages <-> events and effects: a table each way, nothing decided here."""

from collections.abc import Callable

from router_service.exchange import (
    Advise,
    Ask,
    Choose,
    Effect,
    Event,
    Headers,
    Proceed,
    Release,
    RequestBody,
    RequestHeaders,
    Respond,
    ResponseBody,
    ResponseHeaders,
    ResponseTrailers,
    Send,
)
from router_service.pb import access_log_pb2 as log
from router_service.pb import ext_proc_pb2 as pb

DETAILS = "archgw"  # marks local replies of ours, so that Envoy's local_reply_config leaves them alone
RETRY = "x-archgw-retry"
NEXT = "x-archgw-next"
_BACKSTOP = 2.0  # seconds that Envoy's own timer runs longer than ours, which fails with better words

_OVERWRITE = pb.HeaderValueOption.OVERWRITE_IF_EXISTS_OR_ADD
# Taken away by the attempt route instead: the route match still needs them.
_LEFT_TO_ROUTE = frozenset({"x-archgw-provider", "x-forwarded-proto", "host", "content-length"})
_NAMED_BY_ENVOY = _LEFT_TO_ROUTE | {"x-request-id"}  # where it must answer itself


def event(message: pb.ProcessingRequest) -> Event | None:
    match message.WhichOneof("request"):
        case "request_headers":
            return RequestHeaders(headers(message.request_headers.headers), message.request_headers.end_of_stream)
        case "request_body":
            return RequestBody(message.request_body.body)
        case "response_headers":
            return _response_headers(message)
        case "response_body":
            return ResponseBody(message.response_body.body, message.response_body.end_of_stream)
        case "response_trailers":
            return ResponseTrailers()
    return None


def headers(map: pb.HeaderMap) -> dict[str, str]:
    """Header names in lower case; of repeated ones, the values joined with commas (RFC 9110, 5.3)."""
    found: dict[str, str] = {}
    for header in map.headers:
        value = header.value or header.raw_value.decode("utf-8", "replace")
        name = header.key.lower()
        found[name] = f"{found[name]}, {value}" if name in found else value
    return found


def attribute(message: pb.ProcessingRequest, name: str) -> str:
    """The value of an attribute that the filter was told to send; empty when it was not."""
    for struct in message.attributes.values():
        if name in struct.fields:
            return struct.fields[name].string_value
    return ""


def candidate(message: pb.ProcessingRequest) -> str:
    """The id of the candidate whose turn it is: the leaf's door to the attempt hop, envoy://attempt/ID, names it."""
    return attribute(message, "destination.address").removeprefix("envoy://").partition("/")[2]


def torn(message: log.StreamAccessLogsMessage) -> list[str]:
    """The attempts whose stream was torn by the provider, by the names that their `Ask`s gave them."""
    logged = (entry.common_properties.metadata.filter_metadata for entry in message.http_logs.log_entry)
    return [one["archgw"].fields["attempt"].string_value for one in logged if "archgw" in one]


def _response_headers(message: pb.ProcessingRequest) -> ResponseHeaders:
    found = headers(message.response_headers.headers)
    status = int(found.get(":status", "0"))
    return ResponseHeaders(
        status, found, message.response_headers.end_of_stream, attribute(message, "response.code_details")
    )


# -- effects ---------------------------------------------------------------------------------------------------


def response(
    effect: Effect, last: pb.ProcessingRequest | None, request: Headers, prefix: str = ""
) -> pb.ProcessingResponse | None:
    """The message that carries an effect; None for effects that are not Envoy's business.

    `last` is the message it answers, `request` the request's headers as Envoy showed them; `prefix` is what stands
    before the names of our clusters there.
    """
    match effect:
        case Proceed():
            return _proceed(last)
        case Respond():
            return _immediate(effect)
        case Advise():
            return _advise(effect, last)
        case Choose():
            return _choose(effect, request, prefix)
        case Ask():
            return _ask(effect, request, prefix)
        case Release(set, remove):
            mutation = pb.HeaderMutation(set_headers=_options(set), remove_headers=remove)
            common = pb.CommonResponse(header_mutation=mutation)
            return pb.ProcessingResponse(response_headers=pb.HeadersResponse(response=common))
        case Send(chunk, end):
            streamed = pb.StreamedBodyResponse(body=chunk, end_of_stream=end)
            common = pb.CommonResponse(body_mutation=pb.BodyMutation(streamed_response=streamed))
            return pb.ProcessingResponse(response_body=pb.BodyResponse(response=common))
    return None


def patience(seconds: float) -> pb.ProcessingResponse:
    """That the answer to the message at hand will take up to so long; Envoy heeds it once for each message."""
    told = pb.ProcessingResponse()
    told.override_message_timeout.FromMilliseconds(int((seconds + _BACKSTOP) * 1000))
    return told


def _proceed(last: pb.ProcessingRequest | None) -> pb.ProcessingResponse:
    phases: dict[str, Callable[[], pb.ProcessingResponse]] = {
        "request_headers": lambda: pb.ProcessingResponse(request_headers=pb.HeadersResponse()),
        "request_body": lambda: pb.ProcessingResponse(request_body=pb.BodyResponse()),
        "response_headers": lambda: pb.ProcessingResponse(response_headers=pb.HeadersResponse()),
        "response_trailers": lambda: pb.ProcessingResponse(response_trailers=_without_trailers(last)),
    }
    phase = last.WhichOneof("request") if last else None
    return phases[phase or "request_headers"]()


def _without_trailers(last: pb.ProcessingRequest | None) -> pb.TrailersResponse:
    """An answer is complete without them, and no client knows what a vendor might say there."""
    names = [trailer.key for trailer in last.response_trailers.trailers.headers] if last else []
    return pb.TrailersResponse(header_mutation=pb.HeaderMutation(remove_headers=names))


def _immediate(effect: Respond) -> pb.ProcessingResponse:
    set = dict(effect.headers) | ({RETRY: "1"} if effect.retry else {}) | ({NEXT: "1"} if effect.next else {})
    return pb.ProcessingResponse(
        immediate_response=pb.ImmediateResponse(
            status=pb.HttpStatus(code=effect.status),
            headers=pb.HeaderMutation(set_headers=_options(set)),
            body=effect.body,
            details=DETAILS,
        )
    )


def _advise(effect: Advise, last: pb.ProcessingRequest | None) -> pb.ProcessingResponse:
    """Of an answer, which is routed nowhere any more, only what is set or taken away."""
    phase = (last.WhichOneof("request") if last else None) or "request_headers"
    mutation = pb.HeaderMutation(set_headers=_options(effect.headers), remove_headers=effect.remove)
    common = pb.CommonResponse(header_mutation=mutation, clear_route_cache=phase.startswith("request"))
    answer = pb.ProcessingResponse()
    if phase.endswith("trailers"):
        getattr(answer, phase).header_mutation.CopyFrom(mutation)
    else:
        getattr(answer, phase).response.CopyFrom(common)
    return answer


def _choose(effect: Choose, request: Headers, prefix: str) -> pb.ProcessingResponse:
    """The exchange keeps the client's headers, so no attempt need be shown them; in an Envoy of others' they may be
    read on their way.
    """
    body = effect.exchange.encode()
    gone = [] if prefix else _names(request, but=_NAMED_BY_ENVOY)
    set = {
        "x-archgw-chain": f"{prefix}{effect.chain}",
        "x-archgw-exchange": effect.exchange,
        "x-envoy-max-retries": str(effect.attempts - 1),
        "x-envoy-upstream-rq-per-try-timeout-ms": str(int((effect.patience + _BACKSTOP) * 1000)),
        "content-length": str(len(body)),  # Envoy answers 500 when the replaced body has another length
    }
    common = pb.CommonResponse(
        header_mutation=pb.HeaderMutation(set_headers=_options(set), remove_headers=gone),
        body_mutation=pb.BodyMutation(body=body),
        clear_route_cache=True,
    )
    return pb.ProcessingResponse(request_body=pb.BodyResponse(response=common))


def _ask(effect: Ask, request: Headers, prefix: str) -> pb.ProcessingResponse:
    """Only what the effect names reaches the provider; the route removes x-archgw-provider itself."""
    gone = _names(request, but=_LEFT_TO_ROUTE.union(effect.headers))
    set = dict(effect.headers) | {"x-archgw-provider": f"{prefix}{effect.cluster}"}
    common = pb.CommonResponse(
        status=pb.CommonResponse.CONTINUE_AND_REPLACE,
        header_mutation=pb.HeaderMutation(set_headers=_options(set), remove_headers=gone),
        body_mutation=pb.BodyMutation(body=effect.body),
        clear_route_cache=True,
    )
    answer = pb.ProcessingResponse(request_headers=pb.HeadersResponse(response=common))
    known = {"attempt": effect.attempt, "id": effect.attempt.partition("/")[0]}
    known |= {"dialect": effect.dialect, "model": effect.model}
    answer.dynamic_metadata.update({"archgw": {"content_length": str(len(effect.body)), **known}})
    return answer


def _names(headers: Headers, *, but: frozenset[str]) -> list[str]:
    return [name for name in headers if not name.startswith(":") and name not in but]


def _options(headers: Headers) -> list[pb.HeaderValueOption]:
    return [
        pb.HeaderValueOption(header=pb.HeaderValue(key=name, raw_value=value.encode()), append_action=_OVERWRITE)
        for name, value in headers.items()
    ]
