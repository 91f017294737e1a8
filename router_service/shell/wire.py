"""Envoy's messages <-> events and effects: a table each way, nothing decided here."""

from collections.abc import Iterable, Set
from functools import lru_cache

from google.protobuf.struct_pb2 import Struct, Value

from router_service.effects import Advise, Ask, Choose, Effect, Proceed, Release, Respond, Send
from router_service.events import (
    Event,
    Headers,
    RequestBody,
    RequestHeaders,
    ResponseBody,
    ResponseHeaders,
    ResponseTrailers,
)
from router_service.pb import access_log_pb2 as log
from router_service.pb import ext_proc_pb2 as pb
from router_service.protobuf import nested, opened, sized, tag, varint

DETAILS = "archgw"  # marks local replies of ours, so that Envoy's local_reply_config leaves them alone
RETRY = "x-archgw-retry"
NEXT = "x-archgw-next"
_NAMES = 256  # of headers, whose bytes are kept: a client may send any
_BACKSTOP = 2.0  # seconds that Envoy's own timer runs longer than ours, which fails with better words

# Taken away by the attempt route instead: the route match still needs them.
_LEFT_TO_ROUTE = frozenset({"x-archgw-provider", "x-forwarded-proto", "host", "content-length"})
_NAMED_BY_ENVOY = _LEFT_TO_ROUTE | {"x-request-id"}  # where it must answer itself


def event(message: pb.ProcessingRequest) -> Event | None:
    match message.WhichOneof("request"):
        case "response_body":  # most are
            told = message.response_body
            return ResponseBody(told.body, told.end_of_stream)
        case "request_headers":
            return RequestHeaders(headers(message.request_headers.headers), message.request_headers.end_of_stream)
        case "request_body":
            return RequestBody(message.request_body.body)
        case "response_headers":
            return _response_headers(message)
        case "response_trailers":
            return ResponseTrailers(tuple(one.key for one in message.response_trailers.trailers.headers))
    return None


def headers(map: pb.HeaderMap) -> dict[str, str]:
    """Header names in lower case; of repeated ones, the values joined with commas (RFC 9110, 5.3)."""
    found: dict[str, str] = {}
    for header in map.headers:
        value = header.raw_value.decode("utf-8", "replace") or header.value  # Envoy 1.40 fills in the former
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


def response(effect: Effect, heard: Event | None, request: Headers, prefix: str = "") -> bytes | None:
    """The ProcessingResponse that carries an effect; None for effects that are not Envoy's business.

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
            return _choose(effect, request, prefix)
        case Ask():
            return _ask(effect, request, prefix)
        case Release(set, remove):
            return sized(_RESPONSE_HEADERS, _common(_mutation(set, remove)))
        case Send(chunk, False):
            return nested(_SENT_CHUNK, chunk)
        case Send(chunk):
            return nested(_SENT, sized(_CHUNK, chunk) + _END)
    return None


def patience(seconds: float) -> bytes:
    """That the answer to the message at hand will take up to so long; Envoy heeds it once for each message."""
    told = pb.ProcessingResponse()
    told.override_message_timeout.FromMilliseconds(int((seconds + _BACKSTOP) * 1000))
    return told.SerializeToString()


def _proceed(heard: Event | None) -> bytes:
    if isinstance(heard, ResponseTrailers):  # an answer is complete without them, and no client knows what they say
        return sized(_RESPONSE_TRAILERS, sized(_TRAILERS_MUTATION, _removed(heard.names)))
    return sized(_PHASES.get(type(heard), _REQUEST_HEADERS), b"")


def _immediate(effect: Respond) -> bytes:
    set = dict(effect.headers) | ({RETRY: "1"} if effect.retry else {}) | ({NEXT: "1"} if effect.next else {})
    reply = pb.ImmediateResponse(status=pb.HttpStatus(code=effect.status), body=effect.body, details=DETAILS)
    return sized(_IMMEDIATE, reply.SerializeToString() + sized(_REPLY_HEADERS, _set(set)))


def _advise(effect: Advise, heard: Event | None) -> bytes:
    """Of an answer, which is routed nowhere any more, only what is set or taken away."""
    if isinstance(heard, ResponseTrailers):
        both = _set(effect.headers) + _removed(effect.remove)
        return sized(_RESPONSE_TRAILERS, sized(_TRAILERS_MUTATION, both))
    anew = b"" if isinstance(heard, ResponseHeaders | ResponseBody) else _ROUTE_ANEW
    phase = _PHASES.get(type(heard), _REQUEST_HEADERS)
    return sized(phase, _common(_mutation(effect.headers, effect.remove) + anew))


def _choose(effect: Choose, request: Headers, prefix: str) -> bytes:
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
    return sized(_REQUEST_BODY, _common(_mutation(set, gone) + sized(_BODY_MUTATION, sized(_BODY, body)) + _ROUTE_ANEW))


def _names(headers: Headers, *, but: Set[str]) -> list[str]:
    return [name for name in headers if not name.startswith(":") and name not in but]


def _ask(effect: Ask, request: Headers, prefix: str) -> bytes:
    """Only what the effect names reaches the provider; the route removes x-archgw-provider itself."""
    gone = _names(request, but=_LEFT_TO_ROUTE.union(effect.headers))
    set = dict(effect.headers) | {"x-archgw-provider": f"{prefix}{effect.cluster}"}
    known = _text("attempt", effect.attempt) + _text("id", effect.attempt.partition("/")[0])
    known += _text("dialect", effect.dialect) + _text("model", effect.model)
    known += _text("content_length", str(len(effect.body)))
    ours = sized(_METADATA, _entry("archgw", sized(_STRUCT, known)))
    return b"".join((*_replaced(_mutation(set, gone), effect.body), ours))


def _replaced(mutation: bytes, body: bytes) -> tuple[bytes, ...]:
    """Headers and body in place of the request's, in pieces: a long body is copied once, when they are joined."""
    value = opened(_BODY, len(body))
    before = mutation + opened(_BODY_MUTATION, len(value) + len(body)) + value
    behind = _ROUTE_ANEW + _REPLACED
    size = len(before) + len(body) + len(behind)
    common = opened(_COMMON, size)
    return opened(_REQUEST_HEADERS, len(common) + size), common, before, body, behind


# -- messages as bytes -----------------------------------------------------------------------------------------

_REQUEST_HEADERS = tag(pb.ProcessingResponse, "request_headers")
_REQUEST_BODY = tag(pb.ProcessingResponse, "request_body")
_RESPONSE_HEADERS = tag(pb.ProcessingResponse, "response_headers")
_RESPONSE_BODY = tag(pb.ProcessingResponse, "response_body")
_RESPONSE_TRAILERS = tag(pb.ProcessingResponse, "response_trailers")
_IMMEDIATE = tag(pb.ProcessingResponse, "immediate_response")
_METADATA = tag(pb.ProcessingResponse, "dynamic_metadata")
_PHASES: dict[type, bytes] = {
    RequestHeaders: _REQUEST_HEADERS,
    RequestBody: _REQUEST_BODY,
    ResponseHeaders: _RESPONSE_HEADERS,
    ResponseBody: _RESPONSE_BODY,
}
_COMMON = tag(pb.HeadersResponse, "response")  # of a body's answer, too
_HEADER_MUTATION = tag(pb.CommonResponse, "header_mutation")
_BODY_MUTATION = tag(pb.CommonResponse, "body_mutation")
_REPLACED = tag(pb.CommonResponse, "status") + varint(pb.CommonResponse.CONTINUE_AND_REPLACE)
_ROUTE_ANEW = tag(pb.CommonResponse, "clear_route_cache") + varint(1)
_TRAILERS_MUTATION = tag(pb.TrailersResponse, "header_mutation")
_REPLY_HEADERS = tag(pb.ImmediateResponse, "headers")
_BODY = tag(pb.BodyMutation, "body")
_STREAMED = tag(pb.BodyMutation, "streamed_response")
_CHUNK = tag(pb.StreamedBodyResponse, "body")
_END = tag(pb.StreamedBodyResponse, "end_of_stream") + varint(1)
_SET = tag(pb.HeaderMutation, "set_headers")
_REMOVE = tag(pb.HeaderMutation, "remove_headers")
_HEADER = tag(pb.HeaderValueOption, "header")
_OVERWRITE = tag(pb.HeaderValueOption, "append_action") + varint(pb.HeaderValueOption.OVERWRITE_IF_EXISTS_OR_ADD)
_KEY = tag(pb.HeaderValue, "key")
_RAW_VALUE = tag(pb.HeaderValue, "raw_value")
_FIELD = tag(Struct, "fields")
_FIELD_NAME = tag(Struct.FieldsEntry, "key")
_FIELD_VALUE = tag(Struct.FieldsEntry, "value")
_STRING = tag(Value, "string_value")
_STRUCT = tag(Value, "struct_value")


_SENT = (_RESPONSE_BODY, _COMMON, _BODY_MUTATION, _STREAMED)
_SENT_CHUNK = (*_SENT, _CHUNK)
# A header that is set, and what Envoy is told of an attempt, where every length is one byte: most are that short.
_SHORT_OPTION = b"%b%%c%b%%c%%b%b%%c%%b%b" % (_SET, _HEADER, _RAW_VALUE, _OVERWRITE)
_SHORT_TEXT = b"%b%%c%%b%b%%c%b%%c%%b" % (_FIELD, _FIELD_VALUE, _STRING)
_SHORT = 0x80 - 2 - len(_OVERWRITE)  # bytes of what stands within them


def _common(fields: bytes) -> bytes:
    return sized(_COMMON, fields)


def _mutation(set: Headers, remove: Iterable[str] = ()) -> bytes:
    return sized(_HEADER_MUTATION, _set(set) + _removed(remove))


def _set(headers: Headers) -> bytes:
    return b"".join([_option(name, value.encode()) for name, value in headers.items()])


def _option(name: str, value: bytes) -> bytes:
    key, length = _key(name), len(value)
    size = len(key) + 2 + length
    if size < _SHORT:
        return _SHORT_OPTION % (size + 2 + len(_OVERWRITE), size, key, length, value)
    return sized(_SET, sized(_HEADER, key + sized(_RAW_VALUE, value)) + _OVERWRITE)


def _removed(names: Iterable[str]) -> bytes:
    return b"".join(map(_gone, names))


# Requests of a client have the same headers, and every answer of ours.
@lru_cache(_NAMES)
def _key(name: str) -> bytes:
    return sized(_KEY, name.encode())


@lru_cache(_NAMES)
def _gone(name: str) -> bytes:
    return sized(_REMOVE, name.encode())


@lru_cache(_NAMES)
def _field_name(name: str) -> bytes:
    return sized(_FIELD_NAME, name.encode())


def _entry(name: str, value: bytes) -> bytes:
    return sized(_FIELD, _field_name(name) + sized(_FIELD_VALUE, value))


def _text(name: str, told: str) -> bytes:
    key, value = _field_name(name), told.encode()
    length = len(value)
    size = len(key) + 4 + length
    if size < _SHORT:
        return _SHORT_TEXT % (size, key, length + 2, length, value)
    return _entry(name, sized(_STRING, value))
