"""A model that cannot take a request is not asked, as long as another can."""

from typing import Any

import pytest
from dialogue import (
    CHAT,
    CLAUDE,
    DEEPSEEK,
    GPT,
    JSON,
    MESSAGES,
    attempt_of,
    conversation_of,
    exchange_of,
    gateway_of,
    one,
    plan_of,
    recorded,
)
from dialogue import refusal as refused

from router_service import needs
from router_service.attempt import Attempt
from router_service.effects import Ask, Respond
from router_service.events import RequestHeaders, ResponseBody

PICTURE = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "aGk="}}
LINKED = [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://x.y/z.png"}}]}]
PDF = {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": "aGk="}}
SEES: list[Any] = [{"role": "user", "content": [PICTURE, {"type": "text", "text": "what is it?"}]}]
READS: list[Any] = [{"role": "user", "content": [PDF]}]
SHOWN: list[Any] = [
    {"role": "user", "content": "look"},
    {"role": "assistant", "content": [{"type": "tool_use", "id": "a", "name": "f", "input": {}}]},
    {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "a", "content": [PICTURE]}]},
]
CHATTY = {"small-talk": 0.9}  # which DeepSeek alone answers


@pytest.mark.parametrize(
    ("messages", "expected"),
    [
        (SEES, needs.Needs(images=True, tokens=1)),
        (SHOWN, needs.Needs(images=True)),
        (READS, needs.Needs(documents=True)),
        ([{"role": "user", "content": "привет!!"}], needs.Needs(tokens=1)),
    ],
    ids=["an image", "an image in a result", "a document", "words"],
)
def test_what_a_request_needs(messages: Any, expected: needs.Needs) -> None:
    assert needs.of(conversation_of(messages=messages)) == expected


@pytest.mark.parametrize(
    ("label", "needed", "words"),
    [
        (DEEPSEEK, needs.Needs(images=True), "it cannot see images"),
        (DEEPSEEK, needs.Needs(documents=True), "it cannot read documents"),
        (GPT, needs.Needs(images=True, documents=True), ""),
        (CLAUDE, needs.Needs(tokens=200_001), "its window holds 200,000 tokens, and these are 200,001 at least"),
        (CLAUDE, needs.Needs(tokens=200_000), ""),
        (DEEPSEEK, needs.Needs(tools=True), ""),
    ],
)
def test_what_is_in_the_way(label: str, needed: needs.Needs, words: str) -> None:
    assert needs.obstacle(plan_of().names[label], needed) == words


def test_nothing_is_in_the_way_of_a_model_that_nobody_knows() -> None:
    plan = plan_of("llm_providers: [{model: mine/x, base_url: 'http://127.0.0.1:1/v1', provider_interface: openai}]")
    assert needs.obstacle(plan.candidates[0], needs.Needs(images=True, documents=True, tools=True, tokens=10**9)) == ""


def test_the_preferences_models_that_cannot_take_it_give_way_to_the_default() -> None:
    exchange = exchange_of(gateway_of(), scores=CHATTY, messages=SEES)
    assert exchange.decision.first.label == GPT
    assert exchange.decision.reason == (
        f"small talk (0.90); {DEEPSEEK} passed over: it cannot see images -> {GPT} (default)"
    )


def test_the_next_of_the_preferences_own_models_comes_first() -> None:
    text = """
llm_providers: [{model: openai/gpt-4o-mini}, {model: anthropic/claude-sonnet-4-5}, {model: deepseek/deepseek-chat}]
routing_preferences: [{name: coding, description: writing code, models: [deepseek-chat, claude-sonnet-4-5]}]
"""
    exchange = exchange_of(gateway_of(text), scores={"coding": 0.9}, messages=SEES)
    assert exchange.decision.first.label == CLAUDE
    assert exchange.decision.reason.endswith(f"-> {CLAUDE}; {DEEPSEEK} passed over: it cannot see images")


def test_a_long_session_leaves_a_small_window() -> None:
    text = "llm_providers: [{model: openai/gpt-4}, {model: openai/gpt-4.1}]"
    long = [{"role": "user", "content": "word " * 20_000}]
    assert exchange_of(gateway_of(text), messages=long).decision.first.label == "openai/gpt-4.1"


def test_where_nobody_fits_everybody_is_left_in() -> None:
    exchange = exchange_of(gateway_of("llm_providers: [{model: deepseek/deepseek-chat}]"), messages=SEES)
    assert exchange.decision.first.label == DEEPSEEK
    assert not exchange.obstacles


def test_the_clients_own_choice_stands() -> None:
    gateway = gateway_of()
    exchange = exchange_of(gateway, model=DEEPSEEK, messages=SEES)
    assert exchange.decision.first.label == DEEPSEEK and "passed over" not in exchange.decision.reason
    ask = one(_begun(gateway, exchange, DEEPSEEK), Ask)
    assert ask is not None and b"which deepseek-chat cannot see" in ask.body


def test_who_cannot_step_in_is_passed_over_and_not_blamed() -> None:
    gateway = gateway_of()
    exchange = exchange_of(gateway, model=CLAUDE, path=MESSAGES, messages=SEES)  # then GPT, then DeepSeek
    assert [candidate.label for candidate in exchange.decision.chain.candidates] == [CLAUDE, GPT, DEEPSEEK]
    first = attempt_of(gateway, exchange, CLAUDE)
    for event in refused(503):
        first.feed(event, 1.0)
    passed = _begun(gateway, exchange, DEEPSEEK)
    reply = one(passed, Respond)
    assert reply is not None and reply.next and not reply.retry and reply.status == 429
    assert one(_begun(gateway, exchange, GPT), Ask) is not None
    assert [attempt.candidate for attempt in exchange.attempts] == [CLAUDE]


def test_when_only_who_cannot_is_left_the_client_hears_of_who_failed() -> None:
    gateway = gateway_of("llm_providers: [{model: openai/gpt-4o-mini}, {model: deepseek/deepseek-chat}]")
    exchange = exchange_of(
        gateway,
        path=CHAT,
        messages=[{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://x.y/z.png"}}]}],
    )
    first = attempt_of(gateway, exchange, GPT)
    for event in refused(503):
        first.feed(event, 1.0)
    ended = _begun(gateway, exchange, DEEPSEEK)
    reply, outcome = one(ended, Respond), recorded(ended)
    assert reply is not None and reply.status == 503
    assert outcome is not None and outcome.error == exchange.attempts[-1].trouble != ""
    assert f"{GPT} answered 503".encode() in reply.body and DEEPSEEK.encode() not in reply.body
    assert reply.headers["x-arch-attempts"] == "1"


def test_passing_over_costs_no_try_of_anybody_else() -> None:
    text = """
llm_providers: [{model: openai/gpt-4o-mini}, {model: deepseek/deepseek-chat}, {model: anthropic/claude-sonnet-4-5}]
failover: {attempts: 2}
"""
    gateway = gateway_of(text)
    exchange = exchange_of(gateway, messages=SEES)
    assert exchange.tries == 3  # DeepSeek, which is passed over, stands between
    first = attempt_of(gateway, exchange, GPT)
    for event in refused(503):
        first.feed(event, 1.0)
    _begun(gateway, exchange, DEEPSEEK)
    last = attempt_of(gateway, exchange, CLAUDE)
    last.feed(JSON, 2.0)
    last.feed(
        ResponseBody(
            b'{"type": "message", "content": [{"type": "text", "text": "a cat"}], "stop_reason": "end_turn"}', end=True
        ),
        2.0,
    )
    assert [attempt.trouble for attempt in exchange.attempts][1:] == [""]


def _begun(gateway: Any, exchange: Any, label: str) -> list[Any]:
    return Attempt(gateway, exchange, gateway.plan.names[label], 1.0).feed(RequestHeaders({}), 1.0)


def test_no_more_are_asked_than_the_config_allows() -> None:
    text = """
llm_providers: [{model: openai/gpt-4o-mini}, {model: anthropic/claude-sonnet-4-5}, {model: deepseek/deepseek-chat}]
failover: {attempts: 1}
"""
    exchange = exchange_of(gateway_of(text), messages=SEES)
    assert exchange.tries == 1


def test_when_nobody_who_fits_can_be_reached_the_next_adapts() -> None:
    """Envoy has put the first aside and comes with DeepSeek alone, as often as it may."""
    gateway = gateway_of("llm_providers: [{model: openai/gpt-4o-mini}, {model: deepseek/deepseek-chat}]")
    exchange = exchange_of(gateway, messages=SEES)
    assert exchange.tries == 2
    assert one(_begun(gateway, exchange, DEEPSEEK), Respond) is not None
    ask = one(_begun(gateway, exchange, DEEPSEEK), Ask)
    assert ask is not None and b"which deepseek-chat cannot see" in ask.body
