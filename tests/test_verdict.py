"""Small judgements about a provider's answer."""

from typing import Any

import pytest
from dialogue import CHAT, conversation_of

from router_service.conversation import Failure, ReplyEvent, ReplyFailed, ReplyStarted, TextDelta
from router_service.verdict import (
    failure_in,
    final_status,
    in_words,
    is_event_stream,
    is_json,
    json_object,
    lacks_model,
    retry_after,
    status_of,
    until_failure,
    wants_usage,
)

LATE = "upstream_reset_before_response_started{%s}"


@pytest.mark.parametrize(
    ("content_type", "stream", "json"),
    [
        ("text/event-stream", True, False),
        ("text/event-stream; charset=utf-8", True, False),
        ("application/json", False, True),
        ("application/json; charset=utf-8", False, True),
        ("text/html", False, False),
        ("", False, False),
    ],
)
def test_what_an_answer_is(content_type: str, stream: bool, json: bool) -> None:
    headers = {"content-type": content_type} if content_type else {}
    assert (is_event_stream(headers), is_json(headers)) == (stream, json)


@pytest.mark.parametrize("body", [b"", b"[1]", b"null", b"{", b"\xff", b"hello"])
def test_what_is_no_object_is_a_value_error(body: bytes) -> None:
    with pytest.raises(ValueError, match=r"not an object|Expecting|decode|UTF|utf"):
        json_object(body)


@pytest.mark.parametrize(
    ("fields", "wanted"),
    [
        ({}, False),
        ({"stream_options": {"include_usage": True}}, True),
        ({"stream_options": {"include_usage": False}}, False),
    ],
    ids=["unasked", "asked", "declined"],
)
def test_usage_is_told_to_who_asks(fields: dict[str, Any], wanted: bool) -> None:
    assert wants_usage(conversation_of(CHAT, **fields)) is wanted


START, TEXT, FAILED = ReplyStarted("1", "m"), TextDelta("hi"), ReplyFailed("api_error", "no")


@pytest.mark.parametrize(
    ("events", "kept", "failure"),
    [
        ([START, TEXT], [START, TEXT], None),
        ([START, FAILED, TEXT], [START], FAILED),
        ([FAILED], [], FAILED),
        ([], [], None),
    ],
    ids=["none", "in between", "alone", "nothing"],
)
def test_events_up_to_a_failure(events: list[ReplyEvent], kept: list[ReplyEvent], failure: ReplyFailed | None) -> None:
    assert (until_failure(events), failure_in(events)) == (kept, failure)


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        ("rate_limit_error", 429),
        ("api_error", 500),
        ("overloaded_error", 503),
        ("timeout_error", 504),
        ("invalid_request_error", 502),
        ("billing_error", 502),
    ],
)
def test_an_error_inside_a_stream_has_a_status(kind: str, status: int) -> None:
    assert status_of(ReplyFailed(kind, "no")) == status


@pytest.mark.parametrize(
    ("message", "lacks"),
    [
        ("Model Not Exist", True),
        ("The model `gpt-9` does not exist or you do not have access to it.", True),
        ("model: claude-1 not found", True),
        ("The model `llama-2` has been decommissioned and is no longer supported.", True),
        ("Invalid model: grok-9", True),
        ("unknown model grok-9", True),
        ("messages: at least one message is required", False),
        ("prompt is too long: 130000 tokens > 128000 maximum", False),
        ("This model's maximum context length is 8192 tokens.", False),
        ("temperature does not support 0 with this model", False),
    ],
)
def test_a_400_about_the_model_is_ours_to_mend(message: str, lacks: bool) -> None:
    assert lacks_model(Failure(400, "invalid_request_error", message)) is lacks


@pytest.mark.parametrize(
    ("statuses", "final"),
    [
        ([429], 429),
        ([429, 429], 429),
        ([429, 503], 503),
        ([402], 402),
        ([402, 429], 429),
        ([402, 503], 503),
        ([413, 413], 400),
        ([413, 429], 503),
        ([401], 403),
        ([403, 401], 403),
        ([401, 429], 503),
        ([504, 504], 504),
        ([504, 500], 503),
        ([0], 503),
        ([500], 503),
        ([404], 503),
    ],
)
def test_what_the_client_hears_when_all_have_failed(statuses: list[int], final: int) -> None:
    assert final_status(statuses) == final


@pytest.mark.parametrize(
    ("details", "body", "words"),
    [
        (LATE % "connection_timeout", b"", "could not be reached in time"),
        (LATE % "remote_connection_failure", b"", "could not be connected to"),
        (LATE % "connection_termination", b"", "closed the connection before it answered"),
        (LATE % "remote_reset", b"", "reset the connection before it answered"),
        (LATE % "protocol_error", b"", "answered in no HTTP that can be read"),
        ("response_timeout", b"upstream request timeout", "did not answer in time"),
        ("no_healthy_upstream", b"no healthy upstream", "has no address that answers (is its host name right?)"),
        (
            LATE % "remote_connection_failure|TLS_error:|1:SSL_routines:CERTIFICATE_VERIFY_FAILED:TLS_error_end",
            b"",
            "could not be trusted: TLS error:|1:SSL routines:CERTIFICATE VERIFY FAILED",
        ),
        ("something_new", b"of Envoy's", "failed (something_new: of Envoy's)"),
    ],
)
def test_envoys_own_failure_in_words(details: str, body: bytes, words: str) -> None:
    assert in_words(details, body) == words


@pytest.mark.parametrize(
    ("headers", "body", "seconds"),
    [
        ({"retry-after": "17", "retry-after-ms": "1"}, b"try again in 3s", "17"),
        ({"retry-after-ms": "1500"}, b"", "2"),
        ({"retry-after-ms": "soon"}, b"", ""),
        ({}, b"Please try again in 486ms.", "1"),
        ({}, b"Please try again in 7.66s.", "8"),
        ({}, b"Please try again in 1m12.5s.", "73"),
        ({}, b"Please try again in 2h3m.", "7380"),
        ({}, b"Please retry after 26 seconds.", "26"),
        ({}, b'"retryDelay": "37s"', "37"),
        ({}, b"Please try again in a while.", ""),
        ({}, b"Slow.", ""),
    ],
)
def test_when_to_come_back_is_read_where_vendors_say_it(headers: dict[str, str], body: bytes, seconds: str) -> None:
    assert retry_after(headers, body) == seconds
