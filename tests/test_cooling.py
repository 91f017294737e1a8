"""Who had better not be asked first: vendors say when to come back, and until then others answer."""

import json
from typing import Any

import pytest
from dialogue import (
    CLAUDE,
    DEEPSEEK,
    GPT,
    MESSAGES,
    THREE,
    WALL,
    attempt_of,
    exchange_of,
    gateway_of,
    one,
    openai_completion,
    recorded,
    refusal,
)

from router_service.attempt import Attempt
from router_service.cooling import Cooling, pause
from router_service.effects import Ask, Effect, Respond
from router_service.events import RequestHeaders, ResponseBody
from router_service.exchange import Exchange
from router_service.gateway import Gateway
from router_service.verdict import seconds_until

CODING = {"coding": 0.9}  # Claude, then DeepSeek, then GPT
SESSION = {"x-claude-code-session-id": "s"}
ASKED = {"role": "user", "content": "write a parser"}
CALLED = {"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "Read", "input": {}}]}
RESULT = {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": "x"}]}


# -- how long ------------------------------------------------------------------------------------------------------


def test_the_later_of_two_ends_wins_with_its_reason() -> None:
    cooling = Cooling()
    cooling.cool("a", 40.0, "answered 429")
    cooling.cool("a", 20.0, "answered 529")
    assert (cooling.left("a", 10.0), cooling.why("a", 10.0)) == (30.0, "answered 429")
    assert (cooling.left("a", 40.0), cooling.why("a", 40.0)) == (0.0, "")
    assert (cooling.left("b", 0.0), cooling.why("b", 0.0)) == (0.0, "")
    assert cooling.all(10.0) == {"a": 30.0}


@pytest.mark.parametrize(
    ("status", "told", "seconds"),
    [
        pytest.param(429, 40.0, 40.0, id="as the vendor says"),
        pytest.param(529, 40.0, 40.0, id="overloaded"),
        pytest.param(503, 40.0, 40.0, id="a 503 with a word"),
        pytest.param(429, 86_400.0, 300.0, id="a quota of the day is asked for now and then"),
        pytest.param(429, 0.0, 0.0, id="come back at once"),
        pytest.param(429, None, 10.0, id="a 429 without a word"),
        pytest.param(529, None, 10.0, id="a 529 without a word"),
        pytest.param(503, None, 0.0, id="a 503 without a word is a failure like others"),
        pytest.param(500, 40.0, 0.0, id="a 500"),
        pytest.param(402, None, 0.0, id="no money left"),
    ],
)
def test_how_long_one_cools(status: int, told: float | None, seconds: float) -> None:
    assert pause(status, told, usually=10.0, at_most=300.0) == seconds


@pytest.mark.parametrize(
    ("told", "seconds"),
    [
        ("40", 40.0),
        ("1.5", 1.5),
        ("-3", 0.0),
        ("Tue, 14 Nov 2023 22:14:00 GMT", 40.0),
        ("Tue, 14 Nov 2023 22:00:00 GMT", 0.0),
        ("soon", None),
        ("nan", None),
        ("", None),
    ],
)
def test_a_retry_after_is_seconds_or_a_date(told: str, seconds: float | None) -> None:
    assert seconds_until(told, WALL) == seconds  # WALL is 22:13:20 of that day


def told_to_wait(gateway: Gateway, exchange: Exchange, label: str, *, status: int = 429, **more: str) -> list[Effect]:
    """The candidate is asked at the first second, and refuses at the second."""
    attempt = attempt_of(gateway, exchange, label, at=1.0)
    return [effect for event in refusal(status, **more) for effect in attempt.feed(event, 2.0)]


@pytest.mark.parametrize(
    ("config", "more", "left"),
    [
        ("{}", {"retry_after": "40"}, 40.0),
        ("{}", {}, 10.0),
        ("{cool_for: 3s}", {}, 3.0),
        ("{cool_for: 0}", {}, 0.0),
        ("{cool_at_most: 30s}", {"retry_after": "40"}, 30.0),
        ("{cool_at_most: 0}", {"retry_after": "40"}, 0.0),
        ("{}", {"retry_after": "Tue, 14 Nov 2023 22:14:22 GMT"}, 60.0),  # which is a minute after the refusal
    ],
)
def test_a_candidate_that_wants_to_be_left_alone_cools(config: str, more: dict[str, str], left: float) -> None:
    gateway = gateway_of(f"{THREE}failover: {config}")
    told_to_wait(gateway, exchange_of(gateway, model=CLAUDE), CLAUDE, **more)
    assert gateway.cooling.left("anthropic-claude-sonnet-4-5", 2.0) == left
    assert gateway.cooling.why("anthropic-claude-sonnet-4-5", 2.0) == ("answered 429" if left else "")


def test_words_say_how_long_as_well_as_a_header() -> None:
    gateway = gateway_of()
    attempt = attempt_of(gateway, exchange_of(gateway, model=GPT), GPT)
    words = {"error": {"message": "Rate limit reached. Please try again in 1m12.5s", "type": "tokens"}}
    for event in refusal(429, words):
        attempt.feed(event, 0.0)
    assert gateway.cooling.left("openai-gpt-4o-mini", 0.0) == 73.0


def test_a_request_that_no_waiting_mends_cools_nobody() -> None:
    """More than a whole minute's tokens at once: the next, smaller request is welcome."""
    gateway = gateway_of()
    attempt = attempt_of(gateway, exchange_of(gateway, model=GPT), GPT)
    words = "Request too large for gpt-4o-mini on tokens per min (TPM): Limit 30000, Requested 80000."
    for event in refusal(429, {"error": {"message": words, "type": "tokens", "code": "rate_limit_exceeded"}}):
        attempt.feed(event, 0.0)
    assert gateway.cooling.all(0.0) == {}


# -- who answers first ---------------------------------------------------------------------------------------------


def cooling_gateway(config: str = THREE, **seconds: float) -> Gateway:
    """Who cools from the start, by vendor."""
    gateway = gateway_of(config)
    for candidate in gateway.plan.candidates:
        if candidate.provider.name in seconds:
            gateway.cooling.cool(candidate.id, seconds[candidate.provider.name], "answered 429")
    return gateway


@pytest.mark.parametrize(
    ("cold", "first", "later"),
    [
        pytest.param({}, CLAUDE, set(), id="nobody cools"),
        pytest.param({"anthropic": 40}, DEEPSEEK, {CLAUDE}, id="the next of the preference answers"),
        pytest.param({"anthropic": 40, "deepseek": 50}, GPT, set(), id="then the default's"),
        pytest.param({"deepseek": 50}, CLAUDE, {DEEPSEEK}, id="who cools steps in last"),
        pytest.param({"anthropic": 40, "deepseek": 30, "openai": 50}, DEEPSEEK, set(), id="all: the soonest"),
        pytest.param({"anthropic": 40, "deepseek": 40, "openai": 40}, CLAUDE, set(), id="all alike: as written"),
    ],
)
def test_who_answers_first(cold: dict[str, float], first: str, later: set[str]) -> None:
    gateway = cooling_gateway(**cold)
    exchange = exchange_of(gateway, scores=CODING)
    assert exchange.decision.first.label == first
    labels = {candidate.id: candidate.label for candidate in gateway.plan.candidates}
    assert {labels[id] for id in exchange.later} == later
    assert exchange.decision.name == "coding"


def test_the_reason_says_so() -> None:
    exchange = exchange_of(cooling_gateway(anthropic=39.6), scores=CODING)
    words = f"{CLAUDE} is to be left alone for 40 s more (answered 429) -> {DEEPSEEK}"
    assert exchange.decision.reason.endswith(words)
    assert exchange.trace.cooling == ((CLAUDE, 39.6),)


def test_the_reason_says_when_nobody_is_well() -> None:
    exchange = exchange_of(cooling_gateway(anthropic=20, deepseek=30, openai=40), scores=CODING)
    assert exchange.decision.reason.endswith("for 20 s more (answered 429), and nobody is well sooner")


def test_when_it_is_over_everything_is_as_before() -> None:
    exchange = exchange_of(cooling_gateway(anthropic=40), scores=CODING, at=40.0)
    assert exchange.decision.first.label == CLAUDE and "left alone" not in exchange.decision.reason


def test_what_the_client_names_is_asked_all_the_same() -> None:
    exchange = exchange_of(cooling_gateway(anthropic=40), model=CLAUDE)
    assert exchange.decision.first.label == CLAUDE


def test_what_the_client_names_is_left_alone_where_it_broke_off_in_an_answer() -> None:
    """Nobody could step in then, so that the client has to ask again; and it had better ask somebody else."""
    gateway = gateway_of()
    gateway.cooling.cool("anthropic-claude-sonnet-4-5", 30.0, "broke off in an answer")
    exchange = exchange_of(gateway, model=CLAUDE)
    assert exchange.decision.first.label != CLAUDE and "broke off in an answer" in exchange.decision.reason
    alone = gateway_of(f"{THREE}failover: {{attempts: 1}}")
    alone.cooling.cool("anthropic-claude-sonnet-4-5", 30.0, "broke off in an answer")
    assert exchange_of(alone, model=CLAUDE).decision.first.label == CLAUDE, "nobody steps in where that is not wanted"


def test_the_fast_lane_moves_too() -> None:
    exchange = exchange_of(cooling_gateway(openai=40), model="arch.fast.v1")
    assert exchange.decision.first.label == CLAUDE and exchange.decision.name == "fast"


def test_a_tool_loop_moves_rather_than_waits_and_stays_where_it_went() -> None:
    gateway = gateway_of()
    assert exchange_of(gateway, scores=CODING, given=SESSION, messages=[ASKED]).decision.first.label == CLAUDE
    gateway.cooling.cool("anthropic-claude-sonnet-4-5", 40.0, "answered 529")
    moved = exchange_of(gateway, given=SESSION, messages=[ASKED, CALLED, RESULT])
    assert moved.decision.first.label == DEEPSEEK
    attempt = attempt_of(gateway, moved, DEEPSEEK)
    for event in answer():
        attempt.feed(event, 1.0)
    after = exchange_of(gateway, given=SESSION, messages=[ASKED, CALLED, RESULT], at=41.0)
    assert after.decision.first.label == DEEPSEEK, "the turn ends where it went on"


SUMMARY = {"role": "user", "content": "CRITICAL: Respond with TEXT ONLY. Summarize."}
WINDOWS = """
llm_providers:
  - {model: anthropic/claude-sonnet-4-5, default: true}
  - {model: deepseek/deepseek-chat}
  - {model: openai/gpt-4.1}
"""


def test_what_is_to_be_summarized_goes_to_nobody_who_cannot_hold_it() -> None:
    gateway = cooling_gateway(WINDOWS, anthropic=40)
    long = [{"role": "user", "content": "word " * 110_000}, {"role": "assistant", "content": "yes"}, SUMMARY]
    exchange = exchange_of(gateway, messages=long)
    assert exchange.intent.kind == "compaction"
    assert exchange.decision.first.label == "openai/gpt-4.1"


def test_who_cannot_take_the_request_is_no_way_out() -> None:
    gateway = cooling_gateway(anthropic=40)
    picture = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}}
    messages = [{"role": "user", "content": [picture, {"type": "text", "text": "write what it shows"}]}]
    exchange = exchange_of(gateway, scores=CODING, messages=messages)
    assert exchange.decision.first.label == GPT  # DeepSeek, which is next, cannot see


def test_how_many_tokens_it_comes_to_is_asked_of_who_would_answer() -> None:
    gateway = cooling_gateway(anthropic=40)
    exchange = exchange_of(gateway, model=CLAUDE, path="/v1/messages/count_tokens")
    assert exchange.decision.first.label == CLAUDE and not exchange.later


# -- in which order they step in -----------------------------------------------------------------------------------


def answer() -> tuple[Any, ResponseBody]:
    head, _ = refusal(200)
    return head, ResponseBody(json.dumps(openai_completion()).encode(), end=True)


def turn(gateway: Gateway, exchange: Exchange, label: str) -> str:
    """Envoy comes with this candidate: "asked" (and fails), "passed" or "the end"."""
    attempt = Attempt(gateway, exchange, gateway.plan.names[label], 1.0)
    effects = attempt.feed(RequestHeaders({}), 1.0)
    if one(effects, Ask):
        ended = [effect for event in refusal(500) for effect in attempt.feed(event, 1.0)]
        return "asked, the end" if recorded(ended) else "asked"
    reply = one(effects, Respond)
    assert reply is not None and not reply.retry
    return "passed" if reply.next else "the end"


def test_who_cools_is_asked_when_all_others_have_failed() -> None:
    """As Envoy walks: to the end of the chain, and then again from its beginning."""
    gateway = cooling_gateway(deepseek=40)
    exchange = exchange_of(gateway, scores=CODING)
    chain = [candidate.label for candidate in exchange.decision.chain.candidates]
    assert chain == [CLAUDE, DEEPSEEK, GPT] and exchange.tries == 6
    walked = [turn(gateway, exchange, label) for label in [*chain, *chain]]
    assert walked == ["asked", "passed", "asked", "passed", "asked", "the end"]


def test_nobody_is_asked_twice_while_somebody_cools() -> None:
    gateway = cooling_gateway(deepseek=40)
    exchange = exchange_of(gateway, scores=CODING)
    for label in (CLAUDE, DEEPSEEK, GPT, CLAUDE, DEEPSEEK):
        turn(gateway, exchange, label)
    assert exchange.asked == ["anthropic-claude-sonnet-4-5", "openai-gpt-4o-mini", "deepseek-deepseek-chat"]


def test_whom_envoy_has_put_aside_besides_is_not_waited_for() -> None:
    gateway = cooling_gateway(deepseek=40)
    exchange = exchange_of(gateway, scores=CODING)
    walked = [turn(gateway, exchange, label) for label in (CLAUDE, GPT, CLAUDE, GPT, CLAUDE, GPT)]
    assert walked == ["asked", "asked", "passed", "passed", "passed", "the end"]


def test_no_more_are_asked_than_may_be_however_often_envoy_comes() -> None:
    gateway = cooling_gateway(f"{THREE}failover: {{attempts: 2}}", deepseek=40)
    exchange = exchange_of(gateway, scores=CODING)
    walked = [turn(gateway, exchange, label) for label in (CLAUDE, DEEPSEEK, GPT, CLAUDE, DEEPSEEK, GPT)]
    assert walked == ["asked", "passed", "asked", "passed", "passed", "the end"]


# -- limits --------------------------------------------------------------------------------------------------------

FULL = refusal(503, {"error": {"message": "upstream connect error"}})
DETAILS = "upstream_reset_before_response_started{overflow}"


def test_who_is_full_is_passed_over_and_not_blamed() -> None:
    gateway = gateway_of(f"{THREE}failover: {{limits: {{max_requests: 1}}}}")
    exchange = exchange_of(gateway, model=CLAUDE)
    attempt = attempt_of(gateway, exchange, CLAUDE)
    head, body = FULL
    effects = [*attempt.feed(_by_envoy(head), 1.0), *attempt.feed(body, 1.0)]
    reply = one(effects, Respond)
    assert reply is not None and reply.next and not reply.retry and reply.status == 429
    assert exchange.attempts[-1].trouble == "has as much under way as failover.limits allow"
    assert gateway.cooling.all(1.0) == {}


def test_when_all_are_full_the_client_is_told_so() -> None:
    gateway = gateway_of(f"{THREE}failover: {{limits: {{max_requests: 1}}}}")
    exchange = exchange_of(gateway, model=CLAUDE)
    for label in (CLAUDE, GPT, DEEPSEEK):
        attempt = attempt_of(gateway, exchange, label)
        effects = [effect for event in (_by_envoy(FULL[0]), FULL[1]) for effect in attempt.feed(event, 1.0)]
    reply, outcome = one(effects, Respond), recorded(effects)
    assert reply is not None and outcome is not None and reply.status == outcome.status == 503
    assert reply.body.count(b"has as much under way") == 3 and reply.headers["x-arch-attempts"] == "0"


def test_a_budget_of_second_tries() -> None:
    """Two of five requests may be at a second try; the first to fail take them, and give them back when they end."""
    gateway = gateway_of(f"{THREE}failover: {{limits: {{retry_budget: {{share: 40%, least: 0}}}}}}")
    exchanges = [exchange_of(gateway, model=CLAUDE, path=MESSAGES) for _ in range(5)]
    first = [turn(gateway, exchange, CLAUDE) for exchange in exchanges]
    second = [turn(gateway, exchange, GPT) for exchange in exchanges]
    assert first == ["asked"] * 5 and second == ["asked"] * 2 + ["passed"] * 3
    attempt = Attempt(gateway, exchanges[4], gateway.plan.names[DEEPSEEK], 1.0)
    reply = one(attempt.feed(RequestHeaders({}), 1.0), Respond)
    assert reply is not None and reply.status == 503 and b"failover.limits.retry_budget" in reply.body
    turn(gateway, exchanges[0], DEEPSEEK)  # the end
    assert gateway.exchanges.get(exchanges[0].id) is None
    third = exchange_of(gateway, model=CLAUDE)
    turn(gateway, third, CLAUDE)
    assert third.again, "the one that has ended made room"


def _by_envoy(head: Any) -> Any:
    return type(head)(head.status, head.headers, head.end, DETAILS)
