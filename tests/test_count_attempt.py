"""How many tokens a request comes to: the vendor's own count where it has one, else an estimate that says it is one."""

import gzip
import json
from typing import Any

import pytest
from dialogue import CLAUDE, DEEPSEEK, GPT, JSON, THREE, ask, gateway_of, one, refusal

from router_service.count_attempt import MAX_ANSWER, CountAttempt
from router_service.effects import Ask, Choose, Effect, Record, Respond, Wake
from router_service.events import Event, Gone, RequestHeaders, ResponseBody, ResponseHeaders, Tick
from router_service.selection import COUNT_PATIENCE
from router_service.session import Pin

MESSAGES, RESPONSES = "/v1/messages/count_tokens", "/v1/responses/input_tokens"
ESTIMATE = "input_tokens is an estimate"
SESSION = {"x-claude-code-session-id": "s"}
NUMBER = ResponseBody(b'{"input_tokens": 42}', end=True)


class Story:
    """One question for tokens, and the attempt at whom it is put to."""

    def __init__(self, model: str, *, path: str = MESSAGES, label: str | None = None, **fields: Any) -> None:
        self.gateway = gateway_of(THREE)
        _, (choose,) = ask(self.gateway, path=path, model=model, **fields)
        assert isinstance(choose, Choose) and choose.patience == COUNT_PATIENCE
        exchange = self.gateway.exchanges.get(choose.exchange)
        assert exchange is not None
        candidate = self.gateway.plan.names[label] if label else exchange.decision.first
        self.attempt = CountAttempt(self.gateway, exchange, candidate)
        self.asked = self.attempt.feed(RequestHeaders({}), 0.0)

    def goes_on(self, *events: Event) -> Respond | None:
        effects: list[Effect] = []
        for event in events:
            effects = self.attempt.feed(event, 1.0)
        assert not one(effects, Record), "a count is no answer of a model, and stands in no book"
        return one(effects, Respond)


def told(reply: Respond | None) -> tuple[int, bool]:
    """(status, or tokens where it is 200; whether it is marked as an estimate)."""
    assert reply is not None and not reply.retry and not reply.next
    marked = reply.headers.get("x-arch-warnings") == ESTIMATE
    return (json.loads(reply.body)["input_tokens"] if reply.status == 200 else reply.status), marked


# -- who is asked --------------------------------------------------------------------------------------------------


def test_a_vendor_who_counts_is_asked_with_the_clients_own_bytes() -> None:
    body = b'{"model":"%s", "messages" : [{"role":"user","content":"caf\\u00e9"}],"tools":[]}'
    story = Story(CLAUDE, body=body % CLAUDE.encode())
    asked = one(story.asked, Ask)
    assert asked and asked.headers[":path"] == "/v1/messages/count_tokens"
    assert asked.headers["x-api-key"] == "key-of-anthropic"
    assert asked.body == body % CLAUDE.partition("/")[2].encode()
    assert one(story.asked, Wake) == Wake(COUNT_PATIENCE)


@pytest.mark.parametrize(
    ("path", "model", "fields", "upstream", "asked_with"),
    [
        (MESSAGES, GPT, {}, "/v1/responses/input_tokens", {"model", "input"}),
        (
            MESSAGES,
            GPT,
            {"system": "s", "tools": [{"name": "T", "input_schema": {"type": "object"}}], "temperature": 1},
            "/v1/responses/input_tokens",
            {"model", "input", "instructions", "tools"},
        ),
        (RESPONSES, CLAUDE, {"input": "hello"}, "/v1/messages/count_tokens", {"model", "messages"}),
    ],
)
def test_who_counts_in_another_dialect_is_asked_in_it(
    path: str, model: str, fields: dict[str, Any], upstream: str, asked_with: set[str]
) -> None:
    asked = one(Story(model, path=path, **fields).asked, Ask)
    assert asked and asked.headers[":path"] == upstream
    assert set(json.loads(asked.body)) == asked_with


def test_who_serves_the_session_counts() -> None:
    gateway = gateway_of()
    gateway.sessions.set_pin("s/", Pin("coding", gateway.plan.names[CLAUDE].id, 0.9))
    _, (choose,) = ask(gateway, path=MESSAGES, given=SESSION, model="claude-opus-5-5")
    assert isinstance(choose, Choose) and f".{gateway.plan.names[CLAUDE].id}." in choose.chain
    assert gateway.sessions.pin("s/") == Pin("coding", gateway.plan.names[CLAUDE].id, 0.9)


def test_nobody_has_to_be_asked_where_the_vendor_does_not_count() -> None:
    _, (reply,) = ask(gateway_of(), path=MESSAGES, model=DEEPSEEK)
    assert isinstance(reply, Respond) and told(reply)[1]
    assert reply.headers["x-arch-model"] == DEEPSEEK
    assert reply.headers["x-arch-reason"] == f"estimated by archgw: {DEEPSEEK} does not count tokens"


@pytest.mark.parametrize(
    ("fields", "words"),
    [({"messages": "hi"}, "messages"), ({"messages": []}, "at least one message"), ({"model": ""}, "model")],
)
def test_a_question_that_cannot_be_read_is_refused(fields: dict[str, Any], words: str) -> None:
    _, effects = ask(gateway_of(), path=MESSAGES, **fields)
    reply = one(effects, Respond)
    assert reply and reply.status == 400 and words in reply.body.decode()


# -- what is made of the answer ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "beside"),
    [(MESSAGES, {}), (RESPONSES, {"object": "response.input_tokens"})],
    ids=["messages", "responses"],
)
def test_the_vendors_number_in_the_clients_dialect(path: str, beside: dict[str, str]) -> None:
    story = Story(CLAUDE, path=path, **({"input": "hello"} if path == RESPONSES else {}))
    reply = story.goes_on(JSON, NUMBER)
    assert reply and json.loads(reply.body) == beside | {"input_tokens": 42}
    assert told(reply) == (42, False)
    assert reply.headers["x-arch-reason"] == f"counted by {CLAUDE}"
    assert not story.gateway.exchanges.get("id-1")


def test_a_packed_number_is_read() -> None:
    packed = ResponseHeaders(200, {"content-encoding": "gzip"})
    reply = Story(CLAUDE).goes_on(packed, ResponseBody(gzip.compress(b'{"input_tokens": 7}'), end=True))
    assert told(reply) == (7, False)


@pytest.mark.parametrize(
    ("events", "words"),
    [
        (refusal(529), "answered 529 (words of a 529)"),
        (refusal(404), "answered 404"),
        (refusal(401), "answered 401"),
        (refusal(400, {"error": {"message": "Model Not Exist"}}), "answered 400 (Model Not Exist)"),
        ((JSON, ResponseBody(b"[]", end=True)), "no number of tokens"),
        ((JSON, ResponseBody(b'{"input_tokens": "7"}', end=True)), "no number of tokens"),
        ((JSON, ResponseBody(b"{", end=True)), "no number of tokens"),
        ((JSON, ResponseBody(b" " * (MAX_ANSWER + 1))), "more than a number"),
        ((ResponseHeaders(200, {"content-encoding": "br"}),), "br"),
        ((Tick(),), "gave no number within 5 s"),
        (
            (ResponseHeaders(503, {}, details="no_healthy_upstream"), ResponseBody(b"no healthy upstream", end=True)),
            "has no address that answers",
        ),
    ],
)
def test_what_goes_wrong_costs_nobody_the_answer(events: tuple[Event, ...], words: str) -> None:
    reply = Story(CLAUDE).goes_on(*events)
    assert told(reply)[1]
    assert reply and words in reply.headers["x-arch-reason"]


def test_an_error_of_our_own_costs_nobody_the_answer() -> None:
    story = Story(CLAUDE)
    assert told(one(story.attempt.give_up("stumbled", 0.0), Respond))[1]
    assert story.attempt.give_up("stumbled", 0.0) == []


def test_what_the_vendor_refuses_to_count_is_refused_in_his_words() -> None:
    reply = Story(CLAUDE).goes_on(*refusal(400))
    assert told(reply) == (400, False)
    assert reply and json.loads(reply.body)["error"]["message"] == "words of a 400"


def test_whoever_steps_in_and_cannot_count_estimates() -> None:
    story = Story(CLAUDE, label=DEEPSEEK)
    assert told(one(story.asked, Respond))[1]


def test_a_client_that_left_leaves_nothing_behind() -> None:
    story = Story(CLAUDE)
    assert story.goes_on(Gone()) is None
    assert len(story.gateway.exchanges) == 0
