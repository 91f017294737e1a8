"""What speaks for or against an answer: read narrowly, told with the request that it is about."""

import json
from collections.abc import Mapping
from typing import Any

import pytest
from dialogue import (
    A_OPEN,
    A_START,
    A_STOP,
    A_TEXT,
    CHAT,
    CLAUDE,
    DEEPSEEK,
    JSON,
    MESSAGES,
    STREAM,
    anthropic_event,
    attempt_of,
    conversation_of,
    exchange_of,
    gateway_of,
    openai_completion,
    recorded,
)

from router_service import intent
from router_service.bookkeeping import signal_rows
from router_service.conversation import Conversation
from router_service.detectors import DETECTORS
from router_service.detectors.detector import Next
from router_service.events import Gone, ResponseBody, Tick
from router_service.gateway import Gateway
from router_service.outcome import Outcome
from router_service.torn import tear

SESSION = {"x-claude-code-session-id": "s"}
OVERLOADED = anthropic_event("error", error={"type": "overloaded_error", "message": "no"})
ASK = "why does the login test fail on my machine"


def user(words: Any) -> dict[str, Any]:
    return {"role": "user", "content": words}


def said(words: str = "Because of the clock.") -> dict[str, Any]:
    return {"role": "assistant", "content": words}


def call() -> dict[str, Any]:
    return {"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "Read", "input": {}}]}


def result(text: str, **more: Any) -> dict[str, Any]:
    return user([{"type": "tool_result", "tool_use_id": "t", "content": text, **more}])


def finds(detector: str, conversation: Conversation, given: dict[str, str] | None = None, **more: Any) -> int | None:
    return DETECTORS[detector](Next(conversation, intent.read(conversation, given or {}), **more))


# -- what the client sends next ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("again", "is_one"),
    [
        (ASK, True),
        (ASK.upper() + "?!", True),
        ("So why does the login test fail on my machine", True),
        ("no, why does the login test only fail on the server", False),
        ("thanks, now write a test for it", False),
        ("", False),
    ],
)
def test_the_same_asked_again(again: str, is_one: bool) -> None:
    conversation = conversation_of(messages=[user(ASK), said(), user(again or "ok")])
    assert (finds("re_ask", conversation) == 0) is is_one


@pytest.mark.parametrize("words", ["go on", "yes, please", "continue", "ok"])
def test_what_one_may_well_say_twice_is_no_complaint(words: str) -> None:
    conversation = conversation_of(messages=[user(words), said(), user(words)])
    assert finds("re_ask", conversation) is None


def test_a_long_ask_is_known_again_by_its_ends() -> None:
    long = "compare these two files line by line " + "x = 1; " * 400 + " and tell me which of them is older"
    same, other = (
        finds("re_ask", conversation_of(messages=[user(long), said(), user(more)]))
        for more in (long, "what is new in them " + long[40:])
    )
    assert (same, other) == (0, None)


@pytest.mark.parametrize(
    ("text", "signal"),
    [
        ("<tool_use_error>Error: No such tool available: ToolSearch</tool_use_error>", "tool error"),
        ("<tool_use_error>InputValidationError: Read failed</tool_use_error>", "tool error"),
        ("failed to parse function arguments: expected value at line 1", "tool error"),
        ("unsupported call: shel", "tool error"),
        ("The edit tool was called with invalid arguments: SchemaError(Missing key)", "tool error"),
        ("Model tried to call unavailable tool 'grep'. Available tools: bash", "tool error"),
        ("FAILED tests/test_login.py: 1 failed", None),
        ("in the docs: <tool_use_error> is what a client says", None),
        ("", None),
    ],
)
def test_a_call_that_was_wrong_is_told_from_one_that_failed(text: str, signal: str | None) -> None:
    conversation = conversation_of(messages=[user(ASK), call(), result(text, is_error=True)])
    assert (finds("tool_error", conversation) == 0) is bool(signal)
    functions = [
        user(ASK),
        {
            "role": "assistant",
            "tool_calls": [{"id": "t", "type": "function", "function": {"name": "Read", "arguments": "{}"}}],
        },
        {"role": "tool", "tool_call_id": "t", "content": text},
    ]
    assert (finds("tool_error", conversation_of(CHAT, messages=functions)) == 0) is bool(signal)


def test_only_the_last_answers_calls_count() -> None:
    bad = result("unsupported call: shel")
    assert finds("tool_error", conversation_of(messages=[user(ASK), call(), bad, call(), result("fine")])) is None


# -- told with the request that it is about ------------------------------------------------------------------------


def answered(gateway: Gateway, *messages: dict[str, Any], given: Mapping[str, str] = SESSION, **more: Any) -> Outcome:
    """The outcome of one more request of the session: somebody answered it well."""
    exchange = exchange_of(gateway, messages=list(messages), given=dict(given), scores={"coding": 0.9}, **more)
    attempt = attempt_of(gateway, exchange)
    attempt.feed(JSON, 0.1)
    content = {"id": "m", "type": "message", "content": [{"type": "text", "text": "hi"}], "stop_reason": "end_turn"}
    body = content if exchange.decision.first.label == CLAUDE else openai_completion()
    outcome = recorded(attempt.feed(ResponseBody(json.dumps(body).encode(), end=True), 0.2))
    assert outcome
    return outcome


def test_a_complaint_is_about_the_answer_before_it() -> None:
    gateway = gateway_of()
    first = answered(gateway, user(ASK))
    assert (first.model_served, first.signals) == (CLAUDE, ())
    again = answered(gateway, user(ASK), said(), user(ASK))
    assert again.signals == ((first.id, "re-ask"),)
    wrong = answered(gateway, user(ASK), said(), user(ASK), call(), result("<tool_use_error>no such tool"))
    assert wrong.signals == ((again.id, "tool error"),)
    assert signal_rows(wrong)[0] == {"request": again.id, "signal": "tool error", "at": wrong.started + wrong.duration}


def test_another_model_named_after_a_routed_answer_is_an_override_once() -> None:
    gateway = gateway_of()
    first = answered(gateway, user(ASK))
    named = answered(gateway, user(ASK), said(), user("now you"), model=DEEPSEEK)
    assert (named.model_served, named.signals) == (DEEPSEEK, ((first.id, "override"),))
    assert answered(gateway, user(ASK), said(), user("more"), said(), user("and more"), model=DEEPSEEK).signals == ()


def test_who_names_the_model_that_was_chosen_overrides_nothing() -> None:
    gateway = gateway_of()
    answered(gateway, user(ASK))
    assert answered(gateway, user(ASK), said(), user("now you"), model=CLAUDE).signals == ()


def test_a_session_that_begins_anew_complains_of_nothing() -> None:
    gateway = gateway_of()
    answered(gateway, user(ASK))
    assert answered(gateway, user("no, that is wrong: why does it still fail")).signals == ()


# -- how an answer ends --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reason", "signal"), [("max_tokens", "truncation"), ("refusal", "refusal"), ("end_turn", None), ("tool_use", None)]
)
@pytest.mark.parametrize("path", [MESSAGES, CHAT])
def test_an_answer_speaks_of_itself(reason: str, signal: str | None, path: str) -> None:
    gateway = gateway_of()
    exchange = exchange_of(gateway, path=path, stream=True, messages=[user(ASK)], scores={"coding": 0.9})
    attempt = attempt_of(gateway, exchange)
    attempt.feed(STREAM, 0.1)
    delta = anthropic_event("message_delta", delta={"stop_reason": reason}, usage={"output_tokens": 5})
    events = b"".join((A_START, A_OPEN, A_TEXT, delta, A_STOP))
    outcome = recorded(attempt.feed(ResponseBody(events, end=True), 0.2))
    assert outcome and outcome.signals == (((outcome.id, signal),) if signal else ())


def test_words_that_decline_are_a_refusal() -> None:
    gateway = gateway_of()
    exchange = exchange_of(gateway, model="openai/gpt-4o-mini", messages=[user(ASK)])
    attempt = attempt_of(gateway, exchange)
    attempt.feed(JSON, 0.1)
    message = {"role": "assistant", "content": None, "refusal": "I will not."}
    body = openai_completion() | {"choices": [{"message": message, "finish_reason": "stop"}]}
    outcome = recorded(attempt.feed(ResponseBody(json.dumps(body).encode(), end=True), 0.2))
    assert outcome and outcome.signals == ((outcome.id, "refusal"),)


@pytest.mark.parametrize(
    ("event", "at", "signal"),
    [
        (ResponseBody(b"", end=True), 0.3, "error"),
        (ResponseBody(OVERLOADED, end=True), 0.3, "error"),
        (Tick(), 1e6, "error"),
        (Gone(), 0.3, "unfinished"),
    ],
    ids=["ends too soon", "the vendor says so", "falls silent", "the client left"],
)
def test_an_answer_that_breaks_off_speaks_against_the_model_unless_the_client_left(
    event: Any, at: float, signal: str
) -> None:
    gateway = gateway_of()
    exchange = exchange_of(gateway, stream=True, messages=[user(ASK)], scores={"coding": 0.9})
    attempt = attempt_of(gateway, exchange)
    for begun in (STREAM, ResponseBody(A_START + A_OPEN + A_TEXT)):
        attempt.feed(begun, 0.1)
    outcome = recorded(attempt.feed(event, at)) or exchange.cut
    assert outcome and outcome.model_served == CLAUDE and outcome.signals == ((outcome.id, signal),)


def test_a_torn_stream_looks_as_if_the_client_had_left_until_envoy_says_so() -> None:
    gateway = gateway_of()
    exchange = exchange_of(gateway, stream=True, messages=[user(ASK)], scores={"coding": 0.9})
    attempt = attempt_of(gateway, exchange)
    for event in (STREAM, ResponseBody(A_START + A_OPEN + A_TEXT), Gone()):
        attempt.feed(event, 0.1)
    tear(gateway, f"{exchange.id}/1", 0.2)
    assert exchange.cut and exchange.cut.signals == ((exchange.id, "error"),)


def test_our_own_mistake_is_not_held_against_the_model() -> None:
    gateway = gateway_of()
    exchange = exchange_of(gateway, stream=True, messages=[user(ASK)], scores={"coding": 0.9})
    attempt = attempt_of(gateway, exchange)
    for event in (STREAM, ResponseBody(A_START + A_OPEN + A_TEXT)):
        attempt.feed(event, 0.1)
    outcome = recorded(attempt.give_up("a mistake of ours", 0.2))
    assert outcome and outcome.signals == ((outcome.id, "unfinished"),)


def test_a_probe_of_one_token_is_no_truncation() -> None:
    gateway = gateway_of()
    exchange = exchange_of(gateway, messages=[user("quota")], max_tokens=1)
    attempt = attempt_of(gateway, exchange)
    attempt.feed(JSON, 0.1)
    body = openai_completion() | {"choices": [{"message": {"content": "h"}, "finish_reason": "length"}]}
    outcome = recorded(attempt.feed(ResponseBody(json.dumps(body).encode(), end=True), 0.2))
    assert outcome and (outcome.kind, outcome.signals) == ("probe", ())
