"""Choosing for one request, as a dialogue: what Envoy and the router model say, what is to be done about it."""

import json
from dataclasses import replace
from typing import Any

import pytest
from dialogue import (
    CHAT,
    CLAUDE,
    DEEPSEEK,
    GPT,
    MESSAGES,
    THREE,
    WALL,
    ask,
    exchange_of,
    gateway_of,
    headers,
    one,
    recorded,
    request,
)

from router_service.effects import Choose, Proceed, Respond, Score
from router_service.events import Gone, RequestBody, RequestHeaders, Scored
from router_service.exchange import Exchanges
from router_service.gateway import Gateway
from router_service.policies.policy import Scores
from router_service.selection import Selection
from router_service.session import NEW, Pin, Read

SESSION = {"x-claude-code-session-id": "s"}
ASKED = {"role": "user", "content": "write a parser"}
CALLED = {"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "Read", "input": {}}]}
RESULT = {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": "x"}]}
SAID = {"role": "assistant", "content": "done"}
MEANWHILE = "The user sent a new message while you were working:\nand now chat"
TYPED = {"role": "user", "content": [*RESULT["content"], {"type": "text", "text": MEANWHILE}]}
LOOP, SECOND_TURN = [ASKED, CALLED, RESULT], [ASKED, SAID, {"role": "user", "content": "and now chat"}]
X_ARCH = {"x-arch-model", "x-arch-route", "x-arch-reason", "x-arch-attempts", "x-arch-request-id"}


# -- answered or refused before anything is read -------------------------------------------------------------------


def test_what_needs_no_model_is_answered_at_once() -> None:
    (reply,) = Selection(gateway_of(), wall=WALL).feed(RequestHeaders({":method": "GET", ":path": "/healthz"}, True), 0)
    assert isinstance(reply, Respond)
    assert reply.status == 200 and set(reply.headers) >= X_ARCH and not reply.retry


@pytest.mark.parametrize(
    ("method", "path", "more", "end", "status", "words"),
    [
        ("POST", "/v1/embeddings", {}, False, 404, "archgw does not answer POST /v1/embeddings"),
        ("GET", "/favicon.ico", {}, True, 404, "archgw does not answer GET /favicon.ico"),
        ("GET", "/v1/messages", {}, True, 405, "send a POST"),
        ("DELETE", "/v1/models", {}, True, 405, "send a GET"),
        ("GET", "/v1/models/nonsense", {}, True, 404, "knows no model 'nonsense'"),
        ("POST", "/v1/messages", {}, True, 400, "no body"),
        ("POST", "/v1/messages", {"content-length": str(33 * 1024 * 1024)}, False, 413, "larger than 32 MiB"),
    ],
    ids=["no such path", "a path of browsers", "GET", "DELETE", "no such model", "no body", "too large"],
)
def test_a_request_is_refused_by_its_headers(
    method: str, path: str, more: dict[str, str], end: bool, status: int, words: str
) -> None:
    selection = Selection(gateway_of(), wall=WALL)
    effects = selection.feed(RequestHeaders(headers(path) | {":method": method, **more}, end), 0)
    reply, outcome = one(effects, Respond), recorded(effects)
    assert reply and outcome
    assert reply.status == outcome.status == status
    assert words in json.loads(reply.body)["error"]["message"] and words in outcome.error
    assert set(reply.headers) >= X_ARCH
    assert outcome.kind == "refused"


@pytest.mark.parametrize("path", [MESSAGES, CHAT, f"{MESSAGES}?beta=true"])
def test_a_request_that_may_be_good_is_waited_for(path: str) -> None:
    assert Selection(gateway_of(), wall=WALL).feed(RequestHeaders(headers(path)), 0) == [Proceed()]


# -- bodies --------------------------------------------------------------------------------------------------------

GOOD = json.dumps(request(model=GPT))


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"{", id="truncated"),
        pytest.param(b"[]", id="a list"),
        pytest.param(b"\xff", id="not UTF-8"),
        pytest.param(GOOD.encode("utf-16"), id="UTF-16"),
        pytest.param(GOOD.encode("utf-8-sig"), id="a byte order mark"),
    ],
)
@pytest.mark.parametrize("path", [MESSAGES, CHAT])
def test_a_body_that_is_no_json_object_is_refused(path: str, body: bytes) -> None:
    _, effects = ask(gateway_of(), path=path, body=body)
    reply = one(effects, Respond)
    assert reply and reply.status == 400
    told = json.loads(reply.body)
    assert told["error"]["message"].startswith("the request body")
    assert ("type" in told) == (path == MESSAGES)
    assert recorded(effects)


def test_a_body_nested_too_deeply_for_us_is_the_clients_mistake() -> None:
    block: Any = "x"
    for _ in range(400):
        block = [{"type": "tool_result", "tool_use_id": "t", "content": block}]
    _, effects = ask(gateway_of(), messages=[{"role": "user", "content": block}])
    reply = one(effects, Respond)
    assert reply and reply.status == 400 and "nested more than 200 deep" in reply.body.decode()


def test_a_mistake_in_a_field_is_told_with_its_place() -> None:
    _, effects = ask(gateway_of(), messages=[{"role": "robot", "content": "hi"}])
    reply = one(effects, Respond)
    assert reply and "messages[0].role" in reply.body.decode()


# -- who needs the router model ------------------------------------------------------------------------------------

TITLE = {"format": {"type": "json_schema", "schema": {"type": "object", "properties": {"title": {"type": "string"}}}}}


SEARCH = {"type": "web_search_20250305", "name": "web_search"}
MONITOR = "You are a security monitor for autonomous AI coding agents. ..."


@pytest.mark.parametrize(
    ("fields", "given", "route", "model"),
    [
        pytest.param({"model": CLAUDE}, {}, "explicit", CLAUDE, id="a model by its whole name"),
        pytest.param({"model": "deepseek-chat"}, {}, "explicit", DEEPSEEK, id="a model by its bare name"),
        pytest.param({}, {"x-arch-model": CLAUDE}, "explicit", CLAUDE, id="a model in the header"),
        pytest.param({"model": "arch.fast.v1"}, {}, "fast", GPT, id="the fast lane"),
        pytest.param({"model": "claude-haiku-4-5-20251001"}, {}, "fast", GPT, id="the client's own small model"),
        pytest.param({"tools": [], "output_config": TITLE}, {}, "fast", GPT, id="a title"),
        pytest.param({"max_tokens": 1}, {}, "fast", GPT, id="a probe"),
        pytest.param({"tools": [SEARCH]}, {}, "fast", GPT, id="a search"),
        pytest.param({"system": MONITOR}, {}, "fast", GPT, id="a classifier of permissions"),
        pytest.param({}, {"x-claude-code-request-class": "auxiliary"}, "fast", GPT, id="a side request"),
        pytest.param({}, {"x-claude-code-request-class": "compaction"}, "default", GPT, id="compaction"),
        pytest.param({}, {"x-claude-code-request-class": "side_reply"}, "default", GPT, id="a side question"),
        pytest.param({"model": DEEPSEEK, "max_tokens": 1}, {}, "explicit", DEEPSEEK, id="a probe of a model by name"),
        pytest.param(
            {"messages": [{"role": "user", "content": "<system-reminder>x</system-reminder>"}]},
            {},
            "default",
            GPT,
            id="no words",
        ),
    ],
)
def test_what_is_asked_does_not_matter(fields: dict[str, Any], given: dict[str, str], route: str, model: str) -> None:
    gateway = gateway_of()
    _, (choose,) = ask(gateway, given=given, **fields)
    assert isinstance(choose, Choose)
    exchange = gateway.exchanges.get(choose.exchange)
    assert exchange and (exchange.decision.name, exchange.decision.first.label) == (route, model)
    assert model in exchange.decision.reason


def chain_of(gateway: Gateway, route: str, first: str) -> str:
    return gateway.plan.chains[route, first].name


def test_without_preferences_the_default_answers() -> None:
    gateway = gateway_of("llm_providers: [{model: openai/gpt-4o}, {model: deepseek/deepseek-chat}]")
    _, (choose,) = ask(gateway)
    assert choose == Choose(chain_of(gateway, "default", "openai-gpt-4o"), "id-1", 2, 300.0)


def test_a_user_turn_asks_the_router_model() -> None:
    before = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "hello"}, ASKED]
    _, effects = ask(gateway_of(), messages=before)
    assert effects == [Score("write a parser", ("assistant: hello", "user: hi"))]


def test_the_preference_that_fits_best_leads() -> None:
    gateway = gateway_of()
    selection, _ = ask(gateway)
    effects = selection.feed(Scored(Scores({"coding": 0.7, "small-talk": 0.2}, none=0.1)), 1.0)
    assert effects == [Choose(chain_of(gateway, "coding", "anthropic-claude-sonnet-4-5"), "id-1", 3, 300.0)]
    exchange = gateway.exchanges.get("id-1")
    assert exchange and exchange.decision.reason == f"coding (0.70 over small talk 0.20) -> {CLAUDE}"


@pytest.mark.parametrize(
    ("scores", "words"),
    [
        (Scores({"coding": 0.3, "small-talk": 0.1}, none=0.6), "no preference fits"),
        (Scores(trouble="the router model took longer than 50 ms"), "took longer"),
    ],
    ids=["unsure", "late"],
)
def test_no_answer_of_the_router_model_costs_an_answer(scores: Scores, words: str) -> None:
    gateway = gateway_of()
    selection, _ = ask(gateway)
    (choose,) = selection.feed(Scored(scores), 1.0)
    assert isinstance(choose, Choose) and choose.chain == chain_of(gateway, "default", "openai-gpt-4o-mini")
    exchange = gateway.exchanges.get(choose.exchange)
    assert exchange and words in exchange.decision.reason
    assert bool(exchange.trace.fits) is not bool(scores.trouble), "who did not answer compared nothing"
    assert exchange.trace.trouble == scores.trouble


def test_scores_that_nobody_asked_for_change_nothing() -> None:
    gateway = gateway_of()
    selection, _ = ask(gateway, model=GPT)
    assert selection.feed(Scored(Scores({"coding": 1.0}, none=0.0)), 1.0) == []
    assert len(gateway.exchanges) == 1


def test_a_choice_is_made_once() -> None:
    selection, _ = ask(gateway_of())
    scored = Scored(Scores({"coding": 1.0}, none=0.0))
    assert one(selection.feed(scored, 1.0), Choose)
    assert selection.feed(scored, 2.0) == []


def test_a_client_that_leaves_before_the_choice_leaves_nothing() -> None:
    gateway = gateway_of()
    selection, _ = ask(gateway)
    assert selection.feed(Gone(), 1.0) == []
    assert len(gateway.exchanges) == 0


SUMMARY = {"role": "user", "content": "CRITICAL: Respond with TEXT ONLY. Summarize."}


# -- sessions ------------------------------------------------------------------------------------------------------


def in_session(**more: str) -> Gateway:
    """A gateway in which coding serves the session."""
    gateway = gateway_of()
    exchange_of(gateway, scores={"coding": 0.9}, given=SESSION | more)
    return gateway


@pytest.mark.parametrize(
    ("fields", "given"),
    [
        pytest.param({"messages": LOOP}, {}, id="the results of tools"),
        pytest.param({"messages": SECOND_TURN}, {"x-claude-code-request-class": "compaction"}, id="compaction"),
        pytest.param({"messages": SECOND_TURN}, {"x-claude-code-request-class": "side_reply"}, id="a side question"),
        pytest.param({"messages": [ASKED, CALLED, TYPED]}, {}, id="words that were typed meanwhile"),
        pytest.param(
            {"messages": [*LOOP, {"role": "system", "content": "<system-reminder>note</system-reminder>"}]},
            {},
            id="with a reminder behind them",
        ),
    ],
)
def test_a_turn_stays_with_who_began_it(fields: dict[str, Any], given: dict[str, str]) -> None:
    gateway = in_session()
    _, effects = ask(gateway, given=SESSION | given, **fields)
    choose = one(effects, Choose)
    assert choose and choose.chain == chain_of(gateway, "coding", "anthropic-claude-sonnet-4-5")


def test_the_next_turn_is_routed_anew_and_moves_the_session() -> None:
    gateway = in_session()
    exchange_of(gateway, scores={"small-talk": 0.8}, given=SESSION, messages=SECOND_TURN)
    assert gateway.sessions.pin("s/") == Pin("small-talk", "deepseek-deepseek-chat", 0.8)


def test_a_turn_that_fits_nothing_stays_with_the_session() -> None:
    gateway = in_session()
    exchange = exchange_of(gateway, scores={}, given=SESSION, messages=SECOND_TURN)
    assert exchange.decision.first.label == CLAUDE and "stays with" in exchange.decision.reason


def test_a_new_thread_does_not_stay_with_the_old_one() -> None:
    """/clear keeps the session's id."""
    gateway = in_session()
    assert exchange_of(gateway, scores={}, given=SESSION).decision.first.label == GPT


def test_a_subagent_has_a_thread_of_its_own() -> None:
    gateway = in_session()
    _, effects = ask(gateway, given=SESSION | {"x-claude-code-agent-id": "a"}, messages=LOOP)
    assert one(effects, Score), "nobody has served it yet"


def test_a_session_goes_on_behind_its_summary() -> None:
    summary = "This session is being continued from a previous conversation that ran out of context. ..."
    asked = {"role": "user", "content": [{"type": "text", "text": words} for words in (summary, "and now?")]}
    exchange = exchange_of(in_session(), scores={}, given=SESSION, messages=[asked])
    assert exchange.decision.first.label == CLAUDE and exchange.intent.ask == "and now?"


def test_a_subagents_turns_move_its_own_thread_alone() -> None:
    gateway = in_session()
    exchange_of(gateway, scores={"small-talk": 0.8}, given=SESSION | {"x-claude-code-agent-id": "a"})
    assert gateway.sessions.pin("s/a") == Pin("small-talk", "deepseek-deepseek-chat", 0.8)
    assert gateway.sessions.pin("s/") == Pin("coding", "anthropic-claude-sonnet-4-5", 0.9)


def test_what_was_typed_meanwhile_is_the_ask_of_the_turn_that_goes_on() -> None:
    exchange = exchange_of(in_session(), given=SESSION, messages=[ASKED, CALLED, TYPED])
    assert (exchange.intent.kind, exchange.intent.ask) == ("tool continuation", "and now chat")


def test_a_turn_that_nobody_has_seen_begin_is_routed_by_what_began_it() -> None:
    _, effects = ask(gateway_of(), given=SESSION, messages=LOOP)
    assert effects == [Score("write a parser", ())]


@pytest.mark.parametrize(
    ("letters", "chain"),
    [(100_000, ("coding", "anthropic-claude-sonnet-4-5")), (1_000_000, ("default", "gemini-gemini-2-5-pro"))],
    ids=["it fits", "too long for the session's model"],
)
def test_compaction_goes_to_who_holds_the_whole(letters: int, chain: tuple[str, str]) -> None:
    gateway = gateway_of(f"{THREE.replace('routing_', '  - {model: gemini/gemini-2.5-pro}' + chr(10) + 'routing_')}")
    exchange_of(gateway, scores={"coding": 0.9}, given=SESSION)
    long = [ASKED, {"role": "assistant", "content": "word " * (letters // 5)}, SUMMARY]
    _, effects = ask(gateway, given=SESSION, messages=long)
    choose = one(effects, Choose)
    assert choose and choose.chain == chain_of(gateway, *chain)
    assert gateway.sessions.pin("s/") == Pin("coding", "anthropic-claude-sonnet-4-5", 0.9), "the pin does not move"


@pytest.mark.parametrize(
    ("fields", "patience"),
    [({}, 300.0), ({"stream": True}, 60.0), ({"system": MONITOR}, 15.0)],
    ids=["a whole answer", "a stream", "a verdict that an agent waits for"],
)
def test_how_long_an_attempt_may_take(fields: dict[str, Any], patience: float) -> None:
    assert exchange_of(gateway_of(), **fields).patience == patience


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({"model": DEEPSEEK}, id="a model by name"),
        pytest.param({"max_tokens": 1}, id="a probe"),
        pytest.param({"messages": [*SECOND_TURN[:2], SUMMARY]}, id="compaction"),
        pytest.param({"messages": LOOP}, id="the results of tools"),
    ],
)
def test_only_a_routed_turn_moves_the_session(fields: dict[str, Any]) -> None:
    gateway = in_session()
    exchange_of(gateway, given=SESSION, **fields)
    assert gateway.sessions.pin("s/") == Pin("coding", "anthropic-claude-sonnet-4-5", 0.9)


@pytest.mark.parametrize("name", ["fast", "explicit"])
def test_a_preference_may_have_the_name_of_a_lane(name: str) -> None:
    gateway = gateway_of(THREE.replace("small talk", name))
    exchange_of(gateway, scores={name: 0.9}, given=SESSION)
    assert gateway.sessions.pin("s/") == Pin(name, "deepseek-deepseek-chat", 0.9)


# -- what is kept --------------------------------------------------------------------------------------------------


def test_the_exchange_keeps_what_the_attempts_need() -> None:
    gateway = gateway_of()
    body = json.dumps(request(model=GPT, stream=True)).encode()
    exchange = exchange_of(gateway, model=GPT, path=f"{MESSAGES}?beta=true", body=body, given=SESSION, at=3.0)
    assert (exchange.body, exchange.query, exchange.session) == (body, "beta=true", "s/")
    assert (exchange.started, exchange.wall, exchange.touched) == (3.0, WALL, 3.0)
    assert (exchange.tried, exchange.active, exchange.attempts) == (0, 0, [])


def test_when_there_is_no_room_the_client_is_told_to_come_back() -> None:
    gateway = gateway_of(exchanges=Exchanges(limit=1))
    exchange_of(gateway, model=GPT).active = 1
    _, effects = ask(gateway, model=GPT)
    reply, outcome = one(effects, Respond), recorded(effects)
    assert reply and outcome and reply.status == outcome.status == 503
    told = json.loads(reply.body)["error"]
    assert told["type"] == "overloaded_error" and "limits.requests" in told["message"]
    assert int(reply.headers["retry-after"]) > 0
    assert len(gateway.exchanges) == 1


def test_a_refusal_says_how_long_it_took_and_who_asked() -> None:
    selection = Selection(gateway_of(), wall=WALL)
    selection.feed(RequestHeaders(headers(user_agent="claude-cli/2.1 (external)")), 5.0)
    outcome = recorded(selection.feed(RequestBody(b"{"), 7.5))
    assert outcome and (outcome.started, outcome.duration, outcome.client) == (WALL, 2.5, "claude-cli/2.1")


def test_an_error_of_ours_is_told_as_one() -> None:
    selection, _ = ask(gateway_of())
    effects = selection.give_up("an error in archgw itself", 1.0)
    reply = one(effects, Respond)
    assert reply and reply.status == 500 and recorded(effects)


def test_a_session_that_begins_anew_keeps_its_bill_and_forgets_what_was_read() -> None:
    """After /clear, or when a title was asked for before the first turn."""
    gateway = gateway_of()
    gateway.sessions.put("s/", replace(NEW, spent=1.5, reads={"a": Read(9000, WALL)}))
    exchange_of(gateway, given=SESSION, scores={"coding": 0.9})
    kept = gateway.sessions.get("s/")
    assert (kept.spent, kept.reads) == (1.5, {}) and kept.pin and kept.pin.route == "coding"
