"""What OpenTelemetry is told of an outcome, by its conventions for generative AI; and what it is not."""

from dataclasses import replace

import pytest
from test_ledger import outcome

from router_service.conversation import Usage
from router_service.outcome import AttemptOutcome, Outcome, Trace
from router_service.spans import DURATION, FIRST_CHUNK, TOKENS, Parent, measurements, of, parent

BEGAN = 1_700_000_000.0
ILL = AttemptOutcome(
    "openai/gpt-4o-mini", 429, "answered 429 (too fast, said the vendor)", 0.1, "answered 429 (rate_limit_error)",
    0.05, "openai", "gpt-4o-mini", "api.openai.com", 443,
)  # fmt: skip
WELL = AttemptOutcome(
    "mine", 200, "", 1.5, began=0.2, provider="gemini", model="gemini-2.5-pro", host="google.example", port=443
)
DONE = outcome(
    "r1",
    at=BEGAN,
    attempts=(ILL, WELL),
    model_served="mine",
    streamed=True,
    dialect="anthropic_messages",
    model_told="gemini-2.5-pro-002",
    usage=Usage(input=10, cached=5, cache_write=2, output=7, reasoning=3),
    duration=4.0,
    trace=Trace(fits=(("coding", 0.7), ("none of them", 0.3)), began=0.01, waited=0.03, seconds=0.02),
)


def test_a_request_is_a_server_span_with_the_choice_and_each_try_in_it() -> None:
    span = of(DONE)
    assert (span.name, span.kind, span.start, span.end) == ("POST /v1/messages", "server", BEGAN, BEGAN + 4.0)
    assert [(child.name, child.kind) for child in span.children] == [
        ("route", "internal"),
        ("chat gpt-4o-mini", "client"),
        ("chat gemini-2.5-pro", "client"),
    ]
    assert {
        "http.route": "/v1/messages",
        "http.response.status_code": 200,
        "archgw.request.id": "r1",
        "archgw.kind": "user turn",
        "archgw.route": "coding",
        "archgw.score": 0.7,
        "archgw.tries": 2,
        "archgw.reason": "coding (0.70) -> anthropic/claude-sonnet-4-5",
        "archgw.model.served": "mine",
        "gen_ai.conversation.id": "s",
    }.items() <= span.attributes.items()
    assert span.error is None and "error.type" not in span.attributes


def test_the_choice_takes_as_long_as_it_was_waited_for() -> None:
    route = of(DONE).children[0]
    assert (route.start, route.end) == (BEGAN + 0.01, BEGAN + 0.01 + 0.03)
    assert route.attributes["archgw.routing.fits"] == ["coding 0.700", "none of them 0.300"]
    late = of(replace(DONE, trace=Trace(waited=0.1, trouble="the router model took longer than 100 ms"))).children[0]
    assert (late.error, late.attributes["error.type"]) == ("the router model took longer than 100 ms", "_OTHER")


def test_without_the_router_model_there_is_no_choice() -> None:
    assert [child.kind for child in of(replace(DONE, trace=Trace())).children] == ["client", "client"]


def test_a_try_that_failed_says_with_what() -> None:
    failed = of(DONE).children[1]
    assert (failed.start, failed.end) == pytest.approx((BEGAN + 0.05, BEGAN + 0.15))
    assert failed.attributes == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-4o-mini",
        "gen_ai.request.stream": True,
        "server.address": "api.openai.com",
        "server.port": 443,
        "http.response.status_code": 429,
        "error.type": "429",
        "archgw.candidate": "openai/gpt-4o-mini",
        "archgw.try": 1,
    }
    assert failed.error == "answered 429 (rate_limit_error)", "without the vendor's own words"


def test_the_try_that_answered_lasts_as_long_as_its_answer_and_says_what_it_used() -> None:
    answered = of(DONE).children[2]
    assert (answered.start, answered.end) == (BEGAN + 0.2, BEGAN + 4.0)
    assert {
        "gen_ai.provider.name": "gcp.gemini",
        "gen_ai.request.model": "gemini-2.5-pro",
        "gen_ai.response.model": "gemini-2.5-pro-002",
        "gen_ai.response.time_to_first_chunk": 1.5,
        "gen_ai.usage.input_tokens": 17,  # by the conventions all of it, what was cached included
        "gen_ai.usage.cache_read.input_tokens": 5,
        "gen_ai.usage.cache_creation.input_tokens": 2,
        "gen_ai.usage.output_tokens": 7,
        "gen_ai.usage.reasoning.output_tokens": 3,
    }.items() <= answered.attributes.items()
    assert answered.error is None and "error.type" not in answered.attributes


def test_what_is_not_known_is_not_told() -> None:
    told = of(replace(DONE, usage=Usage(), cost=None, streamed=False)).children[2].attributes
    assert not [name for name in told if "usage" in name or "cost" in name or "chunk" in name or "stream" in name]


@pytest.mark.parametrize(
    ("ended", "of_the_request", "of_the_try"),
    [
        ({}, None, None),
        ({"status": 499, "error": "the stream was cut before its end"}, None, "cancelled"),
        ({"error": "archgw: mine: tore the connection"}, "_OTHER", "_OTHER"),
        (
            {"model_served": "", "status": 499, "attempts": (replace(WELL, status=499, trouble="cut"),)},
            None,
            "cancelled",
        ),
        ({"model_served": "", "status": 504, "attempts": (replace(WELL, status=504, trouble="late"),)}, "504", "504"),
        ({"model_served": "", "status": 502, "attempts": (replace(WELL, status=0, trouble="empty"),)}, "502", "_OTHER"),
        ({"model_served": "", "status": 400, "attempts": (replace(WELL, status=400, trouble="odd"),)}, None, "400"),
    ],
    ids=["well", "the client left", "torn", "left before", "late", "empty", "the client's mistake"],
)
def test_an_error_has_a_type_that_can_be_counted(
    ended: dict[str, object], of_the_request: str, of_the_try: str
) -> None:
    span = of(replace(DONE, **ended))  # type: ignore[arg-type]
    assert span.attributes.get("error.type") == of_the_request
    assert span.children[-1].attributes.get("error.type") == of_the_try
    assert (span.error is not None) == bool(of_the_request)
    assert (span.children[-1].error is not None) == bool(of_the_try)


def test_a_refusal_is_told_without_a_path_of_the_strangers() -> None:
    refused = outcome(kind="refused", status=404, attempts=(), model_served="", trace=Trace(), error="no such path")
    span = of(refused)
    assert (span.name, span.children, span.error) == ("refused", (), None)
    assert "http.route" not in span.attributes


def test_nothing_of_what_was_asked_is_told() -> None:
    secret = "zqsecretzq"
    asked = replace(
        DONE,
        ask=secret,
        prompt=secret,
        error=f"answered 500 ({secret})",
        attempts=(replace(ILL, trouble=f"answered 429 ({secret})", brief=""), WELL),
        trace=replace(DONE.trace, ask=secret, context=(secret,)),
        warnings=(secret,),
    )
    assert secret not in str([of(asked), list(measurements(asked))])


def test_each_call_of_a_model_is_measured() -> None:
    told = [(one.name, one.value, one.attributes.get("gen_ai.token.type")) for one in measurements(DONE)]
    assert told == [
        (DURATION, pytest.approx(0.1), None),
        (DURATION, pytest.approx(3.8), None),
        (FIRST_CHUNK, 1.5, None),
        (TOKENS, 17, "input"),
        (TOKENS, 7, "output"),
    ]
    failed, answered = list(measurements(DONE))[:2]
    assert (failed.attributes["error.type"], answered.attributes.get("error.type")) == ("429", None)


def test_labels_of_measurements_are_what_the_config_names() -> None:
    """And no word of a vendor's: every one would be a series of its own."""
    names = {name for one in measurements(DONE) for name in one.attributes}
    assert names == {
        "gen_ai.operation.name",
        "gen_ai.provider.name",
        "gen_ai.request.model",
        "gen_ai.token.type",
        "server.address",
        "server.port",
        "error.type",
    }


@pytest.mark.parametrize(("streamed", "measured"), [(True, 1), (False, 0)])
def test_first_chunks_are_measured_of_streams_alone(streamed: bool, measured: int) -> None:
    assert sum(one.name == FIRST_CHUNK for one in measurements(replace(DONE, streamed=streamed))) == measured


TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


@pytest.mark.parametrize(
    ("header", "known"),
    [
        (f"00-{TRACE}-{SPAN}-01", Parent(int(TRACE, 16), int(SPAN, 16), 1)),
        (f"00-{TRACE}-{SPAN}-00", Parent(int(TRACE, 16), int(SPAN, 16), 0)),
        (f"cc-{TRACE}-{SPAN}-01", Parent(int(TRACE, 16), int(SPAN, 16), 1)),
        (f"ff-{TRACE}-{SPAN}-01", None),
        (f"00-{'0' * 32}-{SPAN}-01", None),
        (f"00-{TRACE}-{'0' * 16}-01", None),
        (f"00-{TRACE.upper()}-{SPAN}-01", None),
        (f"00-{TRACE}-{SPAN}", None),
        ("whatever", None),
        ("", None),
    ],
)
def test_a_traceparent(header: str, known: Parent | None) -> None:
    assert parent(header) == known


def test_an_outcome_without_anything_is_told_as_well() -> None:
    bare = Outcome("1", 1.0, "title", "", "", "", "", "", "", 499)
    assert of(bare).children == () and not list(measurements(bare))
