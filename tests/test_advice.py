"""Somebody else's Envoy asks: what becomes of his request's headers, whatever goes wrong."""

import json
from typing import Any

import pytest
from dialogue import CHAT, CLAUDE, DEEPSEEK, GPT, MESSAGES, THREE, WALL, gateway_of, headers, one, recorded, request

from router_service.advice import Advice
from router_service.budgets import Asker, account
from router_service.conversation import Usage
from router_service.effects import Advise, Effect, Proceed, Score
from router_service.events import (
    Gone,
    RequestBody,
    RequestHeaders,
    ResponseBody,
    ResponseHeaders,
    ResponseTrailers,
    Scored,
)
from router_service.gateway import Gateway
from router_service.pb import ext_proc_pb2 as pb
from router_service.policies.policy import Scores
from router_service.shell import wire

KEY = "sha256:2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae"  # of "foo"
CLIENTS = f"{THREE}clients: [{{name: laptop, key: '{KEY}'}}]\n"
FORGED = {"x-arch-model": "gpt-4o-mini", "x-arch-provider": "mine", "x-arch-anything": "1"}
BODY = json.dumps(request()).encode()


def advised(
    gateway: Gateway | None = None, *, path: str = MESSAGES, body: bytes = BODY, **given: str
) -> tuple[Advise, list[Effect]]:
    """What is made of the body, and all that was answered to it."""
    advice = Advice(gateway or gateway_of(), wall=WALL)
    effects = advice.feed(RequestHeaders(headers(path) | {n.replace("_", "-"): v for n, v in given.items()}), 0.0)
    assert effects == [Advise({}, effects[0].remove)] and isinstance(effects[0], Advise)
    effects = advice.feed(RequestBody(body), 0.0)
    if one(effects, Score):
        effects = advice.feed(Scored(Scores({"coding": 0.9}, 0.1)), 0.1)
    told = one(effects, Advise)
    assert told is not None, effects
    return told, effects


def test_all_that_is_told() -> None:
    told, effects = advised(x_session_id="s1")
    assert told.headers == {
        "x-arch-model": "claude-sonnet-4-5",
        "x-arch-provider": "anthropic",
        "x-arch-route": "coding",
        "x-arch-reason": "coding (0.90 over none of them 0.10) -> anthropic/claude-sonnet-4-5",
        "x-arch-models": f"{CLAUDE}, {DEEPSEEK}, {GPT}",
        "x-arch-request-id": "id-1",
    }
    outcome = recorded(effects)
    assert outcome and (outcome.decided, outcome.session, outcome.route) == (True, "s1/", "coding")


def test_an_endpoint_of_your_own_is_no_vendors() -> None:
    """A route that leads to OpenAI must not get what was meant to stay in the house."""
    own = 'llm_providers: [{model: mine/llama-3, base_url: "http://llama.internal/v1", provider_interface: openai}]\n'
    told, _ = advised(gateway_of(own))
    assert (told.headers["x-arch-provider"], told.headers["x-arch-model"]) == ("mine", "llama-3")


@pytest.mark.parametrize("path", [MESSAGES, f"/anthropic{MESSAGES}?beta=true", f"/api{CHAT}", "/openai/v1/responses"])
def test_his_own_prefix_may_stand_before_the_path(path: str) -> None:
    body = json.dumps({"model": "openai/gpt-4o-mini", "max_tokens": 9, "messages": request()["messages"]})
    if "responses" in path:
        body = '{"model": "openai/gpt-4o-mini", "input": "hello"}'
    told, _ = advised(path=path, body=body.encode())
    assert (told.headers["x-arch-model"], told.headers["x-arch-route"]) == ("gpt-4o-mini", "explicit")


def test_what_a_client_made_up_steers_nothing_and_goes_no_further() -> None:
    gateway, advice = gateway_of(), Advice(gateway_of(), wall=WALL)
    (at_once,) = advice.feed(RequestHeaders(headers() | FORGED), 0.0)
    assert isinstance(at_once, Advise) and set(at_once.remove) == set(FORGED), "a body may never come"
    told, _ = advised(gateway, **FORGED)
    assert told.headers["x-arch-model"] == "claude-sonnet-4-5"
    assert told.remove == ("x-arch-anything",), "the others are overwritten"


def test_a_session_is_pinned_as_by_any_decision() -> None:
    gateway = gateway_of()
    advised(gateway, x_session_id="s1")
    pin = gateway.sessions.pin("s1/")
    assert pin and pin.candidate == "anthropic-claude-sonnet-4-5"
    assert len(gateway.exchanges) == 0


UNKNOWN = json.dumps(request(model="gpt-99")).encode()


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"no JSON", "not valid JSON"),
        (b"{}", "model: expected a non-empty string"),
        (b"", "not valid JSON"),
        (UNKNOWN, "knows no model 'gpt-99'"),
    ],
    ids=["no JSON", "no request", "nothing", "an unknown model"],
)
def test_what_cannot_be_decided_goes_on_without_us(body: bytes, words: str) -> None:
    told, effects = advised(body=body, **FORGED)
    assert set(told.headers) == {"x-arch-reason", "x-arch-request-id"}
    assert words in told.headers["x-arch-reason"]
    assert set(told.remove) == set(FORGED)
    outcome = recorded(effects)
    assert outcome and outcome.decided and outcome.status >= 400


@pytest.mark.parametrize(
    ("method", "path", "end", "words"),
    [
        ("GET", MESSAGES, True, "archgw decides about POST requests whose path ends in /v1/messages or"),
        ("POST", "/v1/embeddings", False, "archgw decides about POST requests whose path ends in /v1/messages or"),
        ("POST", MESSAGES, True, "the request has no body"),
        ("POST", f"{MESSAGES}/count_tokens", False, "archgw decides about POST requests"),
    ],
)
def test_what_is_no_question_of_ours_is_let_pass_at_its_headers(method: str, path: str, end: bool, words: str) -> None:
    advice = Advice(gateway_of(), wall=WALL)
    effects = advice.feed(RequestHeaders(headers(path) | {":method": method} | FORGED, end), 0.0)
    told = one(effects, Advise)
    assert told and told.headers["x-arch-reason"].startswith(words) and set(told.remove) == set(FORGED)
    assert advice.done, "his Envoy need not wait for the rest of it"
    assert advice.feed(RequestBody(b"whatever it is"), 0.1) == [Advise({})]
    assert advice.feed(Gone(), 0.2) == []


def test_a_body_is_waited_for_where_it_is_decided_about() -> None:
    advice = Advice(gateway_of(), wall=WALL)
    advice.feed(RequestHeaders(headers()), 0.0)
    assert not advice.done
    advice.feed(RequestBody(BODY), 0.0)
    assert not advice.done, "the router model is asked"
    advice.feed(Scored(Scores({}, 1.0)), 0.1)
    assert advice.done


def test_a_model_that_is_late_costs_the_decision_and_not_the_request() -> None:
    advice = Advice(gateway_of(), wall=WALL)
    advice.feed(RequestHeaders(headers()), 0.0)
    advice.feed(RequestBody(BODY), 0.0)
    told = one(advice.feed(Scored(Scores({}, 1.0, trouble="late")), 0.1), Advise)
    assert told and told.headers["x-arch-route"] == "default" and told.headers["x-arch-model"]


def test_a_length_that_is_too_much_is_said_at_the_headers_and_its_body_let_pass() -> None:
    gateway = gateway_of(f"{THREE}limits: {{body: 1MiB}}\n")
    advice = Advice(gateway, wall=WALL)
    effects = advice.feed(RequestHeaders(headers(content_length="2000000")), 0.0)
    told = one(effects, Advise)
    assert told and "larger than 1 MiB" in told.headers["x-arch-reason"]
    assert advice.feed(RequestBody(b" "), 0.1) == [Advise({})]
    assert len(gateway.exchanges) == 0


def test_a_budget_that_blocks_is_his_to_heed() -> None:
    gateway = gateway_of(f"{THREE}budgets: [{{name: ours, at_most: $5, per: day, then: block}}]\n")
    account(gateway.spending, gateway.plan.budgets, Asker(""), cost=6.0, usage=Usage(), at=WALL)
    told, _ = advised(gateway)
    assert "ours" in told.headers["x-arch-reason"] and "x-arch-model" not in told.headers


def test_an_error_of_our_own_stops_nobody() -> None:
    advice = Advice(gateway_of(), wall=WALL)
    advice.feed(RequestHeaders(headers() | FORGED), 0.0)
    told = one(advice.give_up("an error in archgw itself", 0.1), Advise)
    assert told and told.headers["x-arch-reason"] == "archgw: an error in archgw itself"
    assert set(told.remove) == set(FORGED)


@pytest.mark.parametrize(
    ("given", "name", "gone"),
    [
        ({"x-arch-key": "foo"}, "laptop", ["x-arch-key"]),
        ({"x-api-key": "foo"}, "laptop", ["x-api-key"]),
        ({"x-api-key": "sk-his-own"}, "", []),
        ({}, "", []),
        ({"origin": "https://his.example", ":authority": "his.example"}, "", []),
    ],
    ids=["by our header", "by the usual one", "by no key of ours", "without", "from a page of his"],
)
def test_he_lets_his_clients_in_and_a_key_of_ours_goes_no_further(
    given: dict[str, str], name: str, gone: list[str]
) -> None:
    told, effects = advised(gateway_of(CLIENTS), **given)
    outcome = recorded(effects)
    assert outcome and (outcome.status, outcome.caller) == (200, name)
    assert list(told.remove) == gone


def test_a_room_that_is_full_stops_nobody() -> None:
    gateway = gateway_of(f"{THREE}limits: {{requests: 1}}\n")
    gateway.exchanges.expect("another", 10, 0.0)
    told = one(Advice(gateway, wall=WALL).feed(RequestHeaders(headers()), 0.0), Advise)
    assert told and "1 requests under way" in told.headers["x-arch-reason"]


@pytest.mark.parametrize("event", [ResponseHeaders(200, {}), ResponseBody(b"hi"), ResponseTrailers()])
def test_an_answer_that_is_shown_too_is_let_pass(event: Any) -> None:
    advice = Advice(gateway_of(), wall=WALL)
    advice.feed(RequestHeaders(headers()), 0.0)
    assert advice.feed(event, 0.1) == [Advise({})]


PHASES = ["request_headers", "request_body", "response_headers", "response_body", "response_trailers"]


@pytest.mark.parametrize("phase", PHASES)
def test_advice_as_envoy_is_told_it(phase: Any) -> None:
    last = pb.ProcessingRequest()
    getattr(last, phase).SetInParent()
    said = wire.response(Advise({"x-arch-model": "m"}, ("x-arch-key",)), wire.event(last), {})
    answer = pb.ProcessingResponse.FromString(said or b"")
    assert answer.WhichOneof("response") == phase
    told = getattr(answer, phase)
    common = told if phase == "response_trailers" else told.response
    assert common.header_mutation.remove_headers == ["x-arch-key"]
    assert [option.header.key for option in common.header_mutation.set_headers] == ["x-arch-model"]
    if phase != "response_trailers":
        assert common.clear_route_cache == phase.startswith("request")


def test_a_body_that_is_let_through_goes_on_as_it_is() -> None:
    last = pb.ProcessingRequest(request_body=pb.HttpBody(body=b"grpc"))
    passed = wire.response(Proceed(), wire.event(last), {})
    assert passed == pb.ProcessingResponse(request_body=pb.BodyResponse()).SerializeToString()
