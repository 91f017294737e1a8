"""Envoy's messages <-> events and effects: a table each way, nothing decided here."""

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
            return ResponseTrailers(tuple(one.key for one in message.response_trailers.trailers.headers))
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
    """The id of the candidate whose turn it is, as the leaf's endpoint names it."""
    return message.metadata_context.filter_metadata["archgw"].fields["candidate"].string_value


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


def response(effect: Effect, heard: Event | None, request: Headers, prefix: str = "") -> pb.ProcessingResponse | None:
    """The message that carries an effect; None for effects that are not Envoy's business.

    `heard` is what it answers, `request` the request's headers as Envoy showed them; `prefix` is what stands
    before the names of our clusters there.
    """
    match effect:
        case Proceed():
            return _proceed(heard)
        case Respond():
            return _immediate(effect)
        case Advise():
            return _advise(effect, heard)
        case Choose():
            return _choose(effect, prefix)
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


def _proceed(heard: Event | None) -> pb.ProcessingResponse:
    match heard:
        case RequestBody():
            return pb.ProcessingResponse(request_body=pb.BodyResponse())
        case ResponseHeaders():
            return pb.ProcessingResponse(response_headers=pb.HeadersResponse())
        case ResponseTrailers(names):  # an answer is complete without them, and no client knows what may stand there
            gone = pb.HeaderMutation(remove_headers=names)
            return pb.ProcessingResponse(response_trailers=pb.TrailersResponse(header_mutation=gone))
    return pb.ProcessingResponse(request_headers=pb.HeadersResponse())


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


def _advise(effect: Advise, heard: Event | None) -> pb.ProcessingResponse:
    """Of an answer, which is routed nowhere any more, only what is set or taken away."""
    mutation = pb.HeaderMutation(set_headers=_options(effect.headers), remove_headers=effect.remove)
    answered = pb.CommonResponse(header_mutation=mutation)
    routed = pb.CommonResponse(header_mutation=mutation, clear_route_cache=True)
    match heard:
        case RequestBody():
            return pb.ProcessingResponse(request_body=pb.BodyResponse(response=routed))
        case ResponseHeaders():
            return pb.ProcessingResponse(response_headers=pb.HeadersResponse(response=answered))
        case ResponseBody():
            return pb.ProcessingResponse(response_body=pb.BodyResponse(response=answered))
        case ResponseTrailers():
            return pb.ProcessingResponse(response_trailers=pb.TrailersResponse(header_mutation=mutation))
    return pb.ProcessingResponse(request_headers=pb.HeadersResponse(response=routed))


def _choose(effect: Choose, prefix: str) -> pb.ProcessingResponse:
    body = effect.exchange.encode()
    set = {
        "x-archgw-chain": f"{prefix}{effect.chain}",
        "x-archgw-exchange": effect.exchange,
        "x-envoy-max-retries": str(effect.attempts - 1),
        "x-envoy-upstream-rq-per-try-timeout-ms": str(int((effect.patience + _BACKSTOP) * 1000)),
        "content-length": str(len(body)),  # Envoy answers 500 when the replaced body has another length
    }
    common = pb.CommonResponse(
        header_mutation=pb.HeaderMutation(set_headers=_options(set)),
        body_mutation=pb.BodyMutation(body=body),
        clear_route_cache=True,
    )
    return pb.ProcessingResponse(request_body=pb.BodyResponse(response=common))


def _ask(effect: Ask, request: Headers, prefix: str) -> pb.ProcessingResponse:
    """Only what the effect names reaches the provider; the route removes x-archgw-provider itself."""
    gone = [
        name
        for name in request
        if not name.startswith(":") and name not in effect.headers and name not in _LEFT_TO_ROUTE
    ]
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


def _options(headers: Headers) -> list[pb.HeaderValueOption]:
    return [
        pb.HeaderValueOption(header=pb.HeaderValue(key=name, raw_value=value.encode()), append_action=_OVERWRITE)
        for name, value in headers.items()
    ]
