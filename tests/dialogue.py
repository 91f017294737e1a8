"""The two machines without Envoy: a plan from a few lines of YAML, what clients send, what providers say."""

import itertools
import json
from collections.abc import Iterable
from typing import Any, TypeVar

from router_service.attempt import Attempt
from router_service.config import parse
from router_service.conversation import Conversation
from router_service.dialects import by_path
from router_service.effects import Choose, Effect, Record, Respond, Score, Send
from router_service.events import RequestBody, RequestHeaders, ResponseBody, ResponseHeaders, Scored
from router_service.exchange import Exchange, Exchanges
from router_service.gateway import Gateway
from router_service.outcome import Outcome
from router_service.plan import Plan, plan
from router_service.policies.policy import Scores
from router_service.selection import Selection

MESSAGES, CHAT = "/v1/messages", "/v1/chat/completions"
CLAUDE, GPT, DEEPSEEK = "anthropic/claude-sonnet-4-5", "openai/gpt-4o-mini", "deepseek/deepseek-chat"
KEYS = {f"{name}_API_KEY": f"key-of-{name.lower()}" for name in ("OPENAI", "ANTHROPIC", "DEEPSEEK", "GEMINI")}
THREE = """
llm_providers:
  - {model: openai/gpt-4o-mini, default: true}
  - {model: anthropic/claude-sonnet-4-5}
  - {model: deepseek/deepseek-chat}
routing_preferences:
  - {name: coding, description: writing code, models: [claude-sonnet-4-5, deepseek-chat]}
  - {name: small talk, description: chatting, models: [deepseek-chat]}
"""
WALL = 1_700_000_000.0
Kind = TypeVar("Kind")


def plan_of(text: str = THREE, **environment: str) -> Plan:
    return plan(parse(text, file="config.yaml", environment=KEYS | environment))


def gateway_of(text: str = THREE, *, keys: dict[str, str] | None = None, **more: Any) -> Gateway:
    numbers = itertools.count(1)
    planned = plan_of(text, **(keys or {}))
    bounded = {"exchanges": Exchanges(limit=planned.limits.requests, max_bytes=planned.limits.memory)}
    return Gateway(planned, new_id=lambda: f"id-{next(numbers)}", **(bounded | more))


def conversation_of(path: str = MESSAGES, **fields: Any) -> Conversation:
    dialect = by_path(path)
    assert dialect is not None
    return dialect.parse_request(request(**fields))


def request(**fields: Any) -> dict[str, Any]:
    hello = [{"role": "user", "content": "hello"}]
    return {"model": "arch.main.v1", "max_tokens": 100, "messages": hello} | fields


def headers(path: str = MESSAGES, **more: str) -> dict[str, str]:
    named = {name.replace("_", "-"): value for name, value in more.items()}
    return {
        ":method": "POST",
        ":authority": "127.0.0.1:12000",
        ":path": path,
        "content-type": "application/json",
        **named,
    }


def ask(
    gateway: Gateway,
    *,
    path: str = MESSAGES,
    body: bytes | None = None,
    at: float = 0.0,
    given: Any = None,
    **fields: Any,
) -> tuple[Selection, list[Effect]]:
    """A selection that has heard its whole request, and what it answered last. `given` are the request's headers."""
    selection = Selection(gateway, wall=WALL)
    effects = selection.feed(RequestHeaders(headers(path) | (given or {})), at)
    if not one(effects, Respond):
        effects = selection.feed(RequestBody(body or json.dumps(request(**fields)).encode()), at)
    return selection, effects


def exchange_of(
    gateway: Gateway, *, model: str = "arch.main.v1", scores: dict[str, float] | None = None, **more: Any
) -> Exchange:
    """The exchange of a request that was routed; `scores` answer the question for them, where it is asked."""
    selection, effects = ask(gateway, model=model, **more)
    if one(effects, Score):
        known = scores or {}
        effects = selection.feed(Scored(Scores(known, 1 - sum(known.values()))), more.get("at", 0.0))
    choose = one(effects, Choose)
    assert choose is not None, effects
    exchange = gateway.exchanges.get(choose.exchange)
    assert exchange is not None
    return exchange


def attempt_of(gateway: Gateway, exchange: Exchange, label: str | None = None, *, at: float = 0.0) -> Attempt:
    """The attempt at the chain's first candidate, or at another; already asked."""
    candidate = gateway.plan.names[label] if label else exchange.decision.first
    attempt = Attempt(gateway, exchange, candidate, at)
    attempt.feed(RequestHeaders({}), at)
    return attempt


# -- what a provider says ------------------------------------------------------------------------------------------

STREAM = ResponseHeaders(200, {":status": "200", "content-type": "text/event-stream"})
JSON = ResponseHeaders(200, {":status": "200", "content-type": "application/json"})


def refusal(status: int, body: Any = None, **more: str) -> tuple[ResponseHeaders, ResponseBody]:
    told = {name.replace("_", "-"): value for name, value in more.items()}
    head = ResponseHeaders(status, {":status": str(status), "content-type": "application/json", **told})
    error = {"error": {"type": "some_error", "message": f"words of a {status}"}} if body is None else body
    return head, ResponseBody(json.dumps(error).encode(), end=True)


def anthropic_event(kind: str, **fields: Any) -> bytes:
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **fields})}\n\n".encode()


def openai_chunk(delta: dict[str, Any] | None = None, *, finish: str | None = None, **fields: Any) -> bytes:
    choices = [] if delta is None else [{"index": 0, "delta": delta, "finish_reason": finish}]
    return f"data: {json.dumps({'id': 'chatcmpl-1', 'model': 'm', 'choices': choices} | fields)}\n\n".encode()


def anthropic_message(*content: dict[str, Any], reason: str = "end_turn") -> dict[str, Any]:
    usage = {"input_tokens": 7, "output_tokens": 5}
    return {"id": "msg_1", "type": "message", "content": list(content), "stop_reason": reason, "usage": usage}


def openai_completion(text: str = "hi") -> dict[str, Any]:
    choice = {"message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    return {"id": "chatcmpl-1", "choices": [choice], "usage": {"prompt_tokens": 7, "completion_tokens": 5}}


A_START = anthropic_event(
    "message_start",
    message={
        "id": "msg_1",
        "model": "m",
        "usage": {"input_tokens": 7, "cache_read_input_tokens": 3, "output_tokens": 1},
    },
)
A_OPEN = anthropic_event("content_block_start", index=0, content_block={"type": "text", "text": ""})
A_TEXT = anthropic_event("content_block_delta", index=0, delta={"type": "text_delta", "text": "hi"})
A_CLOSE = anthropic_event("content_block_stop", index=0)
A_DELTA = anthropic_event("message_delta", delta={"stop_reason": "end_turn"}, usage={"output_tokens": 5})
A_STOP = anthropic_event("message_stop")
A_ERROR = anthropic_event("error", error={"type": "overloaded_error", "message": "too many"})
ANTHROPIC_EVENTS = (A_START, A_OPEN, A_TEXT, A_CLOSE, A_DELTA, A_STOP)

O_ROLE = openai_chunk({"role": "assistant", "content": ""})
O_TEXT = openai_chunk({"content": "hi"})
O_FINISH = openai_chunk({}, finish="stop")
O_USAGE = openai_chunk(
    usage={"prompt_tokens": 10, "completion_tokens": 5, "prompt_tokens_details": {"cached_tokens": 3}}
)
O_DONE = b"data: [DONE]\n\n"
O_ERROR = b'data: {"error":{"message":"too many","code":"engine_overloaded"}}\n\n'
OPENAI_EVENTS = (O_ROLE, O_TEXT, O_FINISH, O_USAGE, O_DONE)


# -- what the machines want done -----------------------------------------------------------------------------------


def one(effects: Iterable[Effect], kind: type[Kind]) -> Kind | None:
    """The one effect of this kind; None when there is none."""
    found = [effect for effect in effects if isinstance(effect, kind)]
    assert len(found) <= 1, found
    return found[0] if found else None


def sent(effects: Iterable[Effect]) -> bytes:
    return b"".join(effect.chunk for effect in effects if isinstance(effect, Send))


def has_ended(effects: Iterable[Effect]) -> bool:
    return any(isinstance(effect, Send) and effect.end for effect in effects)


def recorded(effects: Iterable[Effect]) -> Outcome | None:
    record = one(effects, Record)
    return record.outcome if record else None
