"""Envoy's messages as events, and effects as Envoy's messages."""

from collections.abc import Callable
from typing import Any

import pytest
from dialogue import WALL, exchange_of, gateway_of

from router_service.effects import Ask, Choose, Effect, Proceed, Record, Release, Respond, Score, Send, Wake
from router_service.events import Event, RequestBody, RequestHeaders, ResponseBody, ResponseHeaders, ResponseTrailers
from router_service.pb import access_log_pb2 as log
from router_service.pb import ext_proc_pb2 as pb
from router_service.shell import wire


def header_map(*headers: tuple[str, str | bytes]) -> pb.HeaderMap:
    """Text as `value`, bytes as `raw_value`."""
    return pb.HeaderMap(
        headers=[
            pb.HeaderValue(key=name, raw_value=value)
            if isinstance(value, bytes)
            else pb.HeaderValue(key=name, value=value)
            for name, value in headers
        ]
    )


def http(*headers: tuple[str, str | bytes], end: bool = False) -> pb.HttpHeaders:
    return pb.HttpHeaders(headers=header_map(*headers), end_of_stream=end)


def message(**fields: Any) -> pb.ProcessingRequest:
    return pb.ProcessingRequest(**fields)


def with_attributes(message: pb.ProcessingRequest, **values: str) -> pb.ProcessingRequest:
    message.attributes["envoy.filters.http.ext_proc"].update({name.replace("__", "."): v for name, v in values.items()})
    return message


# -- messages -> events --------------------------------------------------------------------------------------------

EVENTS: dict[str, tuple[pb.ProcessingRequest, Event | None]] = {
    "a request's headers": (
        message(request_headers=http((":path", b"/v1/messages"), ("X-App", b"cli"), end=True)),
        RequestHeaders({":path": "/v1/messages", "x-app": "cli"}, True),
    ),
    "a request's body": (message(request_body=pb.HttpBody(body=b"{}", end_of_stream=True)), RequestBody(b"{}")),
    "a response's headers": (
        message(response_headers=http((":status", b"200"), ("content-type", b"text/html"))),
        ResponseHeaders(200, {":status": "200", "content-type": "text/html"}),
    ),
    "a response's headers and nothing else": (
        message(response_headers=http((":status", b"204"), end=True)),
        ResponseHeaders(204, {":status": "204"}, True),
    ),
    "a reply of Envoy's own": (
        with_attributes(
            message(response_headers=http((":status", b"503"))), response__code_details="no_healthy_upstream"
        ),
        ResponseHeaders(503, {":status": "503"}, False, "no_healthy_upstream"),
    ),
    "a chunk": (message(response_body=pb.HttpBody(body=b"data")), ResponseBody(b"data")),
    "the last chunk": (message(response_body=pb.HttpBody(body=b"", end_of_stream=True)), ResponseBody(b"", True)),
    "trailers": (message(response_trailers=pb.HttpTrailers()), ResponseTrailers()),
    "what nobody asked for": (message(request_trailers=pb.HttpTrailers()), None),
    "nothing": (message(), None),
}


@pytest.mark.parametrize(("told", "event"), EVENTS.values(), ids=EVENTS.keys())
def test_a_message_is_an_event(told: pb.ProcessingRequest, event: Event | None) -> None:
    assert wire.event(told) == event


@pytest.mark.parametrize(
    ("given", "read"),
    [
        ([("A", "1")], {"a": "1"}),
        ([("a", b"1")], {"a": "1"}),
        ([("a", b"gr\xc3\xbc\xc3\x9f")], {"a": "grüß"}),
        ([("a", b"\xff")], {"a": "�"}),
        ([("a", "1"), ("A", "2")], {"a": "1, 2"}),
        ([], {}),
    ],
    ids=["as text", "as bytes", "UTF-8", "not UTF-8", "twice", "none"],
)
def test_headers(given: list[tuple[str, str | bytes]], read: dict[str, str]) -> None:
    assert wire.headers(header_map(*given)) == read


def test_an_attribute_that_was_not_sent_is_empty() -> None:
    assert wire.attribute(with_attributes(message(), request__id="x"), "response.code_details") == ""


@pytest.mark.parametrize("door", ["envoy://attempt/openai-gpt-4o", "envoy://archgw.attempt/openai-gpt-4o"])
def test_the_leaf_tells_whose_turn_it_is(door: str) -> None:
    assert wire.candidate(with_attributes(message(), destination__address=door)) == "openai-gpt-4o"


def test_without_a_leaf_it_is_nobodys_turn() -> None:
    assert wire.candidate(message()) == ""


# -- effects -> messages -------------------------------------------------------------------------------------------


def answer(effect: Effect, last: pb.ProcessingRequest | None = None, **request: str) -> pb.ProcessingResponse:
    told = wire.response(effect, wire.event(last) if last else None, request)
    assert told is not None
    return pb.ProcessingResponse.FromString(told)


def set_headers(mutation: pb.HeaderMutation) -> dict[str, str]:
    assert all(
        option.append_action == pb.HeaderValueOption.OVERWRITE_IF_EXISTS_OR_ADD for option in mutation.set_headers
    )
    return {option.header.key: option.header.raw_value.decode() for option in mutation.set_headers}


def test_in_anothers_envoy_our_clusters_have_a_name_before_theirs() -> None:
    """Else a request goes to no cluster, or to one of theirs."""
    chosen = wire.response(Choose("chain.default.gpt", "0123456789abcdef", 3, 60.0), None, {}, "archgw.")
    asked = wire.response(Ask("provider.gpt.a1b2c3", {}, b""), None, {}, "archgw.")
    assert chosen and asked
    chosen, asked = map(pb.ProcessingResponse.FromString, (chosen, asked))
    named = set_headers(chosen.request_body.response.header_mutation)
    assert named["x-archgw-chain"] == "archgw.chain.default.gpt"
    named = set_headers(asked.request_headers.response.header_mutation)
    assert named["x-archgw-provider"] == "archgw.provider.gpt.a1b2c3"


@pytest.mark.parametrize(
    ("last", "phase"),
    [
        (message(request_headers=http()), "request_headers"),
        (message(response_headers=http()), "response_headers"),
        (message(response_trailers=pb.HttpTrailers()), "response_trailers"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_proceeds_is_what_was_last_heard(last: pb.ProcessingRequest, phase: str) -> None:
    assert answer(Proceed(), last).WhichOneof("response") == phase


def test_a_vendors_trailers_stay_behind() -> None:
    told = message(response_trailers=pb.HttpTrailers(trailers=header_map(("x-billed-to", "us"))))
    assert list(answer(Proceed(), told).response_trailers.header_mutation.remove_headers) == ["x-billed-to"]


@pytest.mark.parametrize(("retry", "more"), [(False, {}), (True, {"x-archgw-retry": "1"})], ids=["final", "retry"])
def test_a_reply_of_ours(retry: bool, more: dict[str, str]) -> None:
    reply = answer(Respond(429, {"retry-after": "7"}, b"{}", retry=retry)).immediate_response
    assert (reply.status.code, reply.body, reply.details) == (429, b"{}", "archgw")
    assert set_headers(reply.headers) == {"retry-after": "7"} | more


def test_a_choice_sends_the_exchanges_id_down_its_chain() -> None:
    common = answer(Choose("chain.default.gpt", "0123456789abcdef", 3, 60.0)).request_body.response
    assert common.body_mutation.body == b"0123456789abcdef"
    assert common.clear_route_cache
    assert set_headers(common.header_mutation) == {
        "x-archgw-chain": "chain.default.gpt",
        "x-archgw-exchange": "0123456789abcdef",
        "x-envoy-max-retries": "2",
        "x-envoy-upstream-rq-per-try-timeout-ms": "62000",
        "content-length": "16",
    }


@pytest.mark.parametrize(
    ("prefix", "gone"), [("", ["cookie", "x-api-key"]), ("archgw.", [])], ids=["our own Envoy", "another's"]
)
def test_what_the_exchange_keeps_of_a_request_goes_no_further(prefix: str, gone: list[str]) -> None:
    seen = {
        ":path": "/",
        "cookie": "c",
        "x-api-key": "k",
        "host": "h",
        "x-request-id": "r",
        "x-forwarded-proto": "http",
    }
    told = wire.response(Choose("chain.default.gpt", "0123456789abcdef", 3, 60.0), None, seen, prefix)
    assert told
    common = pb.ProcessingResponse.FromString(told).request_body.response
    assert sorted(common.header_mutation.remove_headers) == gone


def test_a_provider_gets_what_the_effect_names_and_nothing_else() -> None:
    seen = {
        ":path": "/",
        "cookie": "c",
        "x-api-key": "k",
        "host": "h",
        "x-archgw-exchange": "e",
        "x-forwarded-proto": "http",
    }
    told = answer(Ask("provider.gpt", {":path": "/v1", "x-api-key": "ours"}, b"{1}", attempt="e/1"), None, **seen)
    common = told.request_headers.response
    assert common.status == pb.CommonResponse.CONTINUE_AND_REPLACE
    assert common.body_mutation.body == b"{1}"
    assert set_headers(common.header_mutation) == {
        ":path": "/v1",
        "x-api-key": "ours",
        "x-archgw-provider": "provider.gpt",
    }
    assert sorted(common.header_mutation.remove_headers) == ["cookie", "x-archgw-exchange"]
    assert told.dynamic_metadata["archgw"]["content_length"] == "3"
    assert (told.dynamic_metadata["archgw"]["attempt"], told.dynamic_metadata["archgw"]["id"]) == ("e/1", "e")


def test_torn_streams_are_named_as_their_asks_were() -> None:
    message = log.StreamAccessLogsMessage()
    for attempt in ("e/1", "f/2"):
        metadata = message.http_logs.log_entry.add().common_properties.metadata
        metadata.filter_metadata["archgw"].update({"attempt": attempt})
    message.http_logs.log_entry.add()  # of a stream of which nothing is known
    assert wire.torn(message) == ["e/1", "f/2"]


def test_released_headers_are_set_and_taken_away() -> None:
    mutation = answer(Release({"x-arch-model": "gpt"}, ("content-length",))).response_headers.response.header_mutation
    assert (set_headers(mutation), list(mutation.remove_headers)) == ({"x-arch-model": "gpt"}, ["content-length"])


# Around what has a length of one byte: of the value itself, and of what stands around it.
@pytest.mark.parametrize("length", [0, 1, *range(90, 131), 300, 20_000])
def test_headers_and_what_envoy_is_told_are_of_any_length(length: int) -> None:
    value = "v" * length
    told = answer(Ask("provider.gpt", {"x-long": value}, b"{1}", dialect=value, model="é" * length))
    assert set_headers(told.request_headers.response.header_mutation)["x-long"] == value
    assert told.dynamic_metadata["archgw"]["dialect"] == value
    assert told.dynamic_metadata["archgw"]["model"] == "é" * length


@pytest.mark.parametrize("length", [0, 1, *range(100, 131), 20_000])
@pytest.mark.parametrize("end", [True, False])
def test_a_chunk_of_any_length(length: int, end: bool) -> None:
    streamed = answer(Send(b"c" * length, end)).response_body.response.body_mutation.streamed_response
    assert (streamed.body, streamed.end_of_stream) == (b"c" * length, end)


@pytest.mark.parametrize("end", [True, False])
def test_a_chunk_for_the_client(end: bool) -> None:
    streamed = answer(Send(b"data", end)).response_body.response.body_mutation.streamed_response
    assert (streamed.body, streamed.end_of_stream) == (b"data", end)


def outcome() -> Record:
    return Record(exchange_of(gateway_of(), model="auto", scores={"coding": 1.0}).outcome(now=WALL, status=200))


@pytest.mark.parametrize(
    "effect",
    [lambda: Wake(1.0), lambda: Score("ask", ()), outcome],
    ids=["a timer", "a question to the router model", "a record"],
)
def test_what_is_not_envoys_business_is_no_message(effect: Callable[[], Effect]) -> None:
    assert wire.response(effect(), None, {}) is None
