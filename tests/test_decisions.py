"""A decision alone: what is told to who asks for one, and what that leaves behind."""

import json
from dataclasses import replace
from typing import Any

import grpc
import pytest
from archgw.commands import top
from dialogue import (
    CHAT,
    CLAUDE,
    DEEPSEEK,
    GPT,
    MESSAGES,
    THREE,
    WALL,
    ask,
    gateway_of,
    headers,
    one,
    plan_of,
    recorded,
    request,
)

from router_service import admission, decisions
from router_service.beliefs import Worth
from router_service.budgets import Asker, account, standings
from router_service.conversation import Usage
from router_service.effects import Advise, Choose, Effect, Proceed, Rate, Recall, Respond, Score
from router_service.events import Recalled, RequestHeaders, Scored
from router_service.feedback import Feedback
from router_service.gateway import Gateway
from router_service.learning import Learned
from router_service.outcome import Outcome
from router_service.pb import ext_proc_pb2 as ext
from router_service.pb import router_pb2 as pb
from router_service.policies.policy import Scores
from router_service.selection import Selection
from router_service.session import Pin, Served, Session, Sessions
from router_service.shell import decisions_api
from router_service.shell.journal import Journal
from router_service.shell.request_log import facts
from router_service.shell.router_api import told as told_of

CODING, TALK = {"coding": 0.9, "small-talk": 0.05}, {"coding": 0.05, "small-talk": 0.9}
RESPONSES = "/v1/responses"
HELLO = [{"role": "user", "content": "hello"}]
NAMED = {"x-session-id": "s1"}
KEY = "sha256:2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae"  # of "foo"


def decided(gateway: Gateway, path: str = MESSAGES, *, scores: Any = None, **more: Any) -> tuple[Any, list[Effect]]:
    """What the reply says, and all that was answered; `scores` where the router model is asked."""
    selection, effects = ask(gateway, path=f"/routing{path}", **more)
    if one(effects, Score):
        effects = selection.feed(Scored(Scores(scores or {}, 1 - sum((scores or {}).values()))), 0.1)
    reply = one(effects, Respond)
    assert reply is not None, effects
    return json.loads(reply.body), effects


def question(gateway: Gateway, body: Any, **more: Any) -> tuple[Any, list[Effect]]:
    return decided(gateway, "/v1/decide", body=json.dumps(body).encode(), **more)


def turn(*said: str) -> list[dict[str, str]]:
    return [{"role": "user" if at % 2 == 0 else "assistant", "content": words} for at, words in enumerate(said)]


def test_all_that_is_told() -> None:
    told, effects = decided(gateway_of(), scores=CODING, given=NAMED)
    assert told == {
        "preference": "coding",
        "lane": "routed",
        "models": [
            {
                "model": CLAUDE,
                "provider": "anthropic",
                "name": "claude-sonnet-4-5",
                "base_url": "https://api.anthropic.com/v1",
                "dialect": "anthropic_messages",
            },
            {
                "model": DEEPSEEK,
                "provider": "deepseek",
                "name": "deepseek-chat",
                "base_url": "https://api.deepseek.com/v1",
                "dialect": "openai_chat",
            },
            {
                "model": GPT,
                "provider": "openai",
                "name": "gpt-4o-mini",
                "base_url": "https://api.openai.com/v1",
                "dialect": "openai_chat",
            },
        ],
        "scores": {"coding": 0.9, "small talk": 0.05, "none": 0.05},
        "difficulty": {},
        "reason": "coding (0.90 over small talk 0.05) -> anthropic/claude-sonnet-4-5",
        "kind": "user turn",
        "request_id": "id-1",
        "session": "s1/",
    }
    reply = one(effects, Respond)
    assert reply and reply.status == 200 and b"key-of" not in reply.body
    assert (reply.headers["x-arch-model"], reply.headers["x-arch-request-id"]) == (CLAUDE, "id-1")


BODIES = {
    MESSAGES: {"messages": HELLO},
    CHAT: {"messages": HELLO},
    RESPONSES: {"input": "hello", "messages": None, "max_tokens": None},
    "/v1/decide": {"prompt": "hello", "messages": None, "max_tokens": None},
}


def whole(path: str, **more: Any) -> bytes:
    return json.dumps({name: value for name, value in (request() | BODIES[path] | more).items() if value}).encode()


@pytest.mark.parametrize("path", BODIES)
def test_each_form_is_decided_as_its_request_would_be(path: str) -> None:
    gateway = gateway_of()
    told, effects = decided(gateway, path, body=whole(path), scores=TALK)
    assert (told["preference"], told["models"][0]["model"], told["kind"]) == ("small talk", DEEPSEEK, "user turn")
    assert (told["session"] is None) == (path == "/v1/decide")
    outcome = recorded(effects)
    assert outcome and outcome.decided and (outcome.status, outcome.route) == (200, "small talk")
    assert (outcome.model_served, outcome.attempts, outcome.cost) == ("", (), None)
    assert len(gateway.exchanges) == gateway.exchanges.bytes == 0, "nothing is waited for"


IMAGE = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "aGk="}}
WHAT = {"type": "text", "text": "what?"}
ALIASED = f"{THREE}model_aliases: {{quick: {{target: gpt-4o-mini}}}}\n"


@pytest.mark.parametrize(
    ("fields", "lane", "first", "missing"),
    [
        ({"model": "openai/gpt-4o-mini"}, "explicit", GPT, []),
        ({"model": "quick"}, "explicit", GPT, []),
        ({"model": "arch.fast.v1"}, "fast", GPT, []),
        ({"max_tokens": 1}, "fast", GPT, []),
        ({"messages": [{"role": "user", "content": [IMAGE, WHAT]}]}, "routed", CLAUDE, [DEEPSEEK]),
    ],
    ids=["a model", "an alias", "the fast lane", "a probe", "a picture"],
)  # fmt: skip
def test_what_holds_for_requests_holds_for_decisions(
    fields: dict[str, Any], lane: str, first: str, missing: list[str]
) -> None:
    told, _ = decided(gateway_of(ALIASED), scores=CODING, **fields)
    models = [model["model"] for model in told["models"]]
    assert (told["lane"], models[0]) == (lane, first)
    assert not set(models) & set(missing)
    assert (told["preference"] is None) == (lane != "routed")


def test_who_cools_is_told_last() -> None:
    gateway = gateway_of()
    gateway.cooling.cool("anthropic-claude-sonnet-4-5", 30.0, "answered 429")
    told, _ = decided(gateway, scores=CODING)
    assert [model["model"] for model in told["models"]] == [DEEPSEEK, GPT, CLAUDE]


# -- sessions ------------------------------------------------------------------------------------------------------

CALLING = [
    *HELLO,
    {"role": "assistant", "content": [{"type": "tool_use", "id": "t1", "name": "ls", "input": {}}]},
    {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t1", "content": "a b"}]},
]


@pytest.mark.parametrize("alone", [True, False])
def test_a_turn_that_was_decided_stays_with_its_model(alone: bool) -> None:
    """Whether its tools' results come for a decision, or to the gateway itself."""
    gateway = gateway_of()
    decided(gateway, scores=TALK, given=NAMED)
    if alone:
        told, _ = decided(gateway, messages=CALLING, given=NAMED)
        assert (told["kind"], told["models"][0]["model"]) == ("tool continuation", DEEPSEEK)
        return
    _, effects = ask(gateway, messages=CALLING, given=NAMED)
    chosen = one(effects, Choose)
    assert chosen and "deepseek" in chosen.chain


def test_a_decision_pins_and_says_nothing_of_what_it_cannot_know() -> None:
    gateway = gateway_of()
    decided(gateway, scores=CODING, given=NAMED)
    decided(gateway, scores=TALK, messages=turn("hello", "hi", "chat with me"), given=NAMED)
    kept = gateway.sessions.get("s1/")
    assert kept.pin and kept.pin.candidate == "deepseek-deepseek-chat"
    assert kept == Session(pin=kept.pin)


def test_a_switch_that_was_only_decided_is_not_paid_for() -> None:
    """The gateway itself has answered in the session before, and knows what a switch costs."""
    gateway = gateway_of()
    read = gateway.sessions.get("s1/").answered("deepseek-deepseek-chat", Usage(input=500), WALL, opens_turn=True)
    decided(gateway, scores=TALK, given=NAMED)
    pinned = gateway.sessions.get("s1/")
    gateway.sessions.put("s1/", Session(pin=pinned.pin, reads=read.reads, requests=1, turns=1))
    told, _ = decided(gateway, scores=CODING, messages=turn("hello", "hi", "write code"), given=NAMED)
    assert "left deepseek/deepseek-chat" in told["reason"]
    assert gateway.sessions.get("s1/").switched == 0


def test_a_question_belongs_to_no_session() -> None:
    gateway = gateway_of(sessions=Sessions(shared=True))
    told, effects = question(gateway, {"prompt": "hello"}, scores=CODING, given=NAMED)
    assert told["session"] is None and one(effects, Recall) is None
    assert len(gateway.sessions) == 0 and not gateway.sessions.changed


def test_what_others_know_of_the_session_is_asked_first() -> None:
    gateway = gateway_of(sessions=Sessions(shared=True))
    selection, effects = ask(gateway, path="/routing/v1/messages", given=NAMED)
    recall = one(effects, Recall)
    assert recall and recall.keys == ("s1/",)
    assert one(selection.feed(Recalled(), 0.1), Score)


def test_nothing_is_tried_on_a_decision() -> None:
    def chance() -> float:
        raise AssertionError("nothing is heard of its answer")

    gateway = gateway_of(random=chance, learned={"": Learned(worths={"coding": Worth()})})
    told, _ = decided(gateway, scores=CODING)
    assert told["preference"] == "coding"


def test_a_decision_says_nothing_of_the_answer_before_it() -> None:
    """A proxy may ask as often as it likes, about what it likes; the same sent to the gateway is the user's word."""
    gateway = gateway_of()
    last = Served(DEEPSEEK, "small talk", "", "user turn", "r0", 1, WALL - 10)
    gateway.sessions.put("s1/", Session(pin=Pin("small-talk", "deepseek-deepseek-chat"), served=last))
    another = {"model": GPT, "messages": turn("hello", "hi", "tell me more"), "given": NAMED}
    _, effects = decided(gateway, **another)
    outcome = recorded(effects)
    assert outcome and outcome.signals == ()
    _, effects = ask(gateway, **another)
    chosen = one(effects, Choose)
    exchange = gateway.exchanges.get(chosen.exchange) if chosen else None
    assert exchange and ("r0", "override") in exchange.told


def test_the_cache_has_nothing_to_do_with_a_decision() -> None:
    gateway = gateway_of(f"{THREE}cache: {{enabled: true}}\n")
    _, effects = decided(gateway, model=GPT)
    outcome = recorded(effects)
    assert outcome and outcome.cache == ""


def test_a_caller_that_the_client_made_up_is_none() -> None:
    """By gRPC: the front listener takes it off its metadata, and we off the headers of the request it asks about."""
    made_up = {"X-Archgw-Caller": "ci", ":path": "/elsewhere", "X-Session-Id": "s1"}
    headers = decisions_api._headers(pb.DecisionRequest(dialect="openai_chat", body=b"12", headers=made_up), {})
    want = {":method": "POST", ":path": "/routing/v1/chat/completions", "content-length": "2", "x-session-id": "s1"}
    assert headers == want


# -- questions -----------------------------------------------------------------------------------------------------


def test_a_question_is_read_as_a_conversation_would_be() -> None:
    gateway = gateway_of()
    body = {"prompt": "and now?", "context": ["assistant: done", "user: mend it"]}
    for asked in (body, {"messages": turn("mend it", "done", "and now?")}):
        _, effects = ask(gateway, path=decisions.PATH, body=json.dumps(asked).encode())
        assert one(effects, Score) == Score("and now?", ("assistant: done", "user: mend it"))


WRONG: list[tuple[Any, str]] = [
    ({}, "expected a prompt, or messages, and not both"),
    ({"prompt": "hello", "messages": HELLO}, "expected a prompt, or messages, and not both"),
    ({"prompt": 1}, "prompt: expected words"),
    ({"prompt": "hello", "context": "user: hi"}, "context: expected a list of words"),
    ({"prompt": ""}, "prompt: expected words"),
    ({"prompt": " \n"}, "prompt: expected words"),
    ({"prompt": "hello", "context": ["user: hi", "done"]}, "context[1]: expected who said it"),
    ({"prompt": "hello", "context": ["system: be brief"]}, "context[0]: expected who said it"),
    ({"messages": HELLO, "context": []}, "context: goes with a prompt"),
    ({"prompt": "hello", "model": None}, "model: expected a name"),
    ({"prompt": "hello", "tools": []}, '"tools" is no field of /routing/v1/decide'),
    ({"messages": [{"role": "user", "content": 7}]}, "messages[0]"),
    ([], "must be a JSON object"),
]


@pytest.mark.parametrize(("body", "words"), WRONG, ids=[words[:25] for _, words in WRONG])
def test_a_question_that_is_none_is_refused_in_words(body: Any, words: str) -> None:
    told, effects = question(gateway_of(), body)
    assert told["type"] == "error" and told["error"]["type"] == "invalid_request_error"
    assert words in told["error"]["message"]
    outcome = recorded(effects)
    assert outcome and (outcome.decided, outcome.status) == (True, 400)


@pytest.mark.parametrize(
    ("path", "anthropic"), [("/v1/decide", True), (MESSAGES, True), (CHAT, False), (RESPONSES, False)]
)
def test_errors_are_in_the_dialect_of_the_form(path: str, anthropic: bool) -> None:
    told, _ = decided(gateway_of(), path, body=b"no JSON")
    assert ("type" in told) == anthropic
    assert "not valid JSON" in told["error"]["message"]


@pytest.mark.parametrize(
    ("method", "path", "status", "words"),
    [
        ("GET", "/routing/v1/decide", 405, "send a POST"),
        ("POST", "/routing/v1/decide", 400, "the request has no body"),
        ("POST", "/routing/v1/models", 404, "it answers POST /v1/messages"),
        ("POST", "/nope", 404, "POST /routing/v1/decide, POST /routing/v1/messages, POST /routing/v1/"),
        ("POST", "/routing/v1/messages/count_tokens", 404, "it answers POST /v1/messages"),
    ],
)
def test_what_is_no_question(method: str, path: str, status: int, words: str) -> None:
    head = RequestHeaders(headers(path) | {":method": method}, end=True)
    effects = Selection(gateway_of(), wall=WALL).feed(head, 0.0)
    reply = one(effects, Respond)
    assert reply and reply.status == status and words in reply.body.decode()


# -- who may ask, and for how much -----------------------------------------------------------------------------------

BUDGET = f"{THREE}budgets: [{{name: ours, at_most: $5, per: day, then: block}}]\n"
CLIENTS = f"{THREE}clients: [{{name: laptop, key: '{KEY}'}}]\n"


@pytest.mark.parametrize(("path", "anthropic"), [("/v1/decide", True), (CHAT, False)])
def test_a_budget_that_blocks_blocks_decisions(path: str, anthropic: bool) -> None:
    gateway = gateway_of(BUDGET)
    spend(gateway, 6.0)
    told, effects = decided(gateway, path, body=whole(path))
    reply = one(effects, Respond)
    assert reply and reply.status == 429 and reply.headers["x-arch-reason"] == "over budget"
    assert ("type" in told) == anthropic and "ours" in told["error"]["message"]
    outcome = recorded(effects)
    assert outcome and outcome.decided


def spend(gateway: Gateway, dollars: float) -> None:
    account(gateway.spending, gateway.plan.budgets, Asker(""), cost=dollars, usage=Usage(), at=WALL)


def test_a_budget_that_warns_warns_of_decisions() -> None:
    gateway = gateway_of(BUDGET.replace("block", "warn"))
    spend(gateway, 6.0)
    _, effects = decided(gateway, scores=CODING)
    reply = one(effects, Respond)
    assert reply and reply.status == 200 and "$6 of $5 today" in reply.headers["x-arch-warnings"]


def test_a_decision_spends_nothing() -> None:
    gateway = gateway_of(BUDGET)
    decided(gateway, scores=CODING)
    (ours,) = standings(gateway.plan.budgets, gateway.spending, Asker(""), WALL)
    assert ours.spent == 0


@pytest.mark.parametrize("path", BODIES)
def test_a_client_key_is_wanted_and_names_who_asks(path: str) -> None:
    gateway = gateway_of(CLIENTS)
    told, effects = decided(gateway, path, body=whole(path))
    reply = one(effects, Respond)
    assert reply and reply.status == 403 and "wants a client key" in told["error"]["message"]
    _, effects = decided(gateway, path, body=whole(path), given={"x-api-key": "foo"}, scores=CODING)
    outcome = recorded(effects)
    assert outcome and (outcome.status, outcome.caller) == (200, "laptop")


def test_the_call_is_let_through_with_the_name_of_who_asks() -> None:
    gateway = gateway_of(CLIENTS)
    _, effects = ask(gateway, path=decisions.CALL, given={"authorization": "Bearer foo"}, body=b"grpc")
    assert effects == [Proceed()]
    assert len(gateway.exchanges) == 0, "from here on the call itself is counted"
    selection = Selection(gateway, wall=WALL)
    head = headers(decisions.CALL, x_arch_key="foo")
    assert selection.feed(RequestHeaders(head), 0.0) == [Advise({"x-archgw-caller": "laptop"})]
    assert len(gateway.exchanges) == 1


def test_a_call_without_a_key_is_told_so_in_plain_words() -> None:
    _, effects = ask(gateway_of(CLIENTS), path=decisions.CALL)
    reply = one(effects, Respond)
    assert reply and reply.status == 403 and reply.body.startswith(b"archgw: this gateway wants a client key")


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ({}, ""),
        ({"x-archgw-caller": "ci"}, "ci"),
        ({"x-archgw-caller": "ci", "x-api-key": "foo"}, "ci"),
        ({"x-api-key": "foo"}, "laptop"),
        ({"x-api-key": "bar"}, ""),
    ],
    ids=["nobody", "as the front says", "rather than by a key", "by a key", "by no key of ours"],
)
def test_who_calls(given: dict[str, str], name: str) -> None:
    plan = plan_of(CLIENTS)
    caller = admission.introduced(plan.clients, plan.listener, "", given, WALL)
    assert caller == admission.Caller(name, {"x-api-key": "bar"} if "bar" in given.values() else {})


class Ends(Exception):
    """As gRPC's own `abort` ends a call."""


class Call:
    def invocation_metadata(self) -> tuple[tuple[str, str], ...]:
        return ()

    async def abort(self, code: grpc.StatusCode, words: str) -> None:
        raise Ends(code, words)


class Broken:
    """A hop whose error says what was asked."""

    def hear(self, message: ext.ProcessingRequest) -> None:
        raise RuntimeError("a prompt, or a key")

    def close(self) -> None:
        pass


async def test_an_error_of_our_own_tells_the_caller_its_kind_and_place_alone(caplog: pytest.LogCaptureFixture) -> None:
    api = decisions_api.DecisionsApi(lambda context, *, role: Broken())
    with pytest.raises(Ends) as raised:
        await api.Decide(pb.DecisionRequest(body=b"{}"), Call())
    code, words = raised.value.args
    assert code is grpc.StatusCode.INTERNAL and "RuntimeError at test_decisions.py:" in words
    assert "a prompt" not in words + caplog.text and "RuntimeError at" in caplog.text


# -- what is kept --------------------------------------------------------------------------------------------------


class Kept:
    """A ledger, or telemetry: of a decision neither is told."""

    def __init__(self) -> None:
        self.outcomes: list[Outcome] = []

    def record(self, outcome: Outcome) -> None:
        self.outcomes.append(outcome)


async def test_a_decision_is_remembered_and_counted_and_in_no_ledger() -> None:
    kept: Any = Kept()
    journal = Journal(kept, kept)
    _, effects = decided(gateway_of(), scores=CODING)
    outcome = recorded(effects)
    assert outcome
    journal.record(outcome)
    journal.record(replace(outcome, id="id-2", decided=False))
    assert [one.id for one in kept.outcomes] == ["id-2", "id-2"], "the ledger and telemetry"
    assert journal.find("id-1") is outcome
    assert journal.figures.decisions == {("2xx", "coding", "user turn"): 1} == journal.figures.requests
    assert facts(outcome)["decided"] is True and "decided" not in facts(replace(outcome, decided=False))


def test_top_says_what_it_is() -> None:
    _, effects = decided(gateway_of(), scores=CODING)
    outcome = recorded(effects)
    assert outcome
    cells = top._cells(told_of(outcome))
    assert cells[3:7] == ["coding", "0.90", CLAUDE, "decided only"]
    _, effects = question(gateway_of(), {})
    refused = recorded(effects)
    assert refused and top._cells(told_of(refused))[5:7] == ["error 400", "0"]


async def test_nobody_can_say_how_an_answer_was_that_we_have_not_seen() -> None:
    journal = Journal()
    _, effects = decided(gateway_of(), scores=CODING)
    outcome = recorded(effects)
    assert outcome
    journal.record(outcome)
    assert journal._recent(Rate(Feedback("id-1"), "")) is None
    assert journal._recent(Rate(Feedback("last"), "")) is None
