"""An answer out of the cache in the other form than it was kept in: its maker is sent back what it made."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from dialogue import CHAT, CLAUDE, MESSAGES, anthropic_message, ask, attempt_of, exchange_of, gateway_of, one
from test_caching import TWO_CLAUDES, followed, kept, whole

from router_service import upstream
from router_service.caching import Entry
from router_service.conversation import Json
from router_service.effects import Ask, Choose, Keep, Look, Respond
from router_service.events import Found
from router_service.gateway import Gateway
from router_service.selection import Selection

RESPONSES = "/v1/responses"
GEMINI, DEEPSEEK, GPT_5 = "gemini/gemini-2.5-pro", "deepseek/deepseek-reasoner", "openai/gpt-5"
CONFIG = """
llm_providers:
  - {model: anthropic/claude-sonnet-4-5, default: true}
  - {model: gemini/gemini-2.5-pro}
  - {model: deepseek/deepseek-reasoner}
  - {model: openai/gpt-5}
cache: {enabled: true, tools: true}
"""
SCHEMA = {"type": "object", "properties": {}}
TOOLS: dict[str, list[Json]] = {
    MESSAGES: [{"name": "ls", "input_schema": SCHEMA}],
    CHAT: [{"type": "function", "function": {"name": "ls", "parameters": SCHEMA}}],
    RESPONSES: [{"type": "function", "name": "ls", "parameters": SCHEMA}],
}
# -- what makers answer ----------------------------------------------------------------------------------------

FUNCTION = {"name": "ls", "arguments": "{}"}
CALL: Json = {"id": "call_1", "type": "function", "function": FUNCTION}
SIGNED = CALL | {"extra_content": {"google": {"thought_signature": "U0lH"}}}
BLOCKS: list[Json] = [{"type": "text", "text": "so"}, {"type": "tool_use", "id": "call_1", "name": "ls", "input": {}}]
THOUGHT = {"type": "thinking", "thinking": "hm", "signature": "U0lH"}
REDACTED = {"type": "redacted_thinking", "data": "UkVE"}
ITEMS: list[Json] = [
    {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "RU5D"},
    {"type": "function_call", "id": "fc_1", "call_id": "call_1", **FUNCTION, "status": "completed"},
]


def completion(call: Json, **more: Any) -> Json:
    message = {"role": "assistant", "content": "so", "tool_calls": [call], **more}
    usage = {"prompt_tokens": 7, "completion_tokens": 5}
    choice = {"index": 0, "message": message, "finish_reason": "tool_calls"}
    return {"id": "c_1", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice], "usage": usage}


def claudes(thought: Json) -> Json:
    return anthropic_message(thought, *BLOCKS, reason="tool_use") | {"role": "assistant", "model": "m"}


RESPONSE = {
    "id": "resp_1",
    "object": "response",
    "created_at": 1,
    "model": "m",
    "status": "completed",
    "output": ITEMS,
    "usage": {"input_tokens": 7, "output_tokens": 5, "total_tokens": 12},
}
# By its maker, in each of the dialects in which it is asked.
MAKERS: dict[str, tuple[str, dict[str, Json]]] = {
    "Claude": (CLAUDE, {"anthropic_messages": claudes(THOUGHT)}),
    "Claude, hidden": (CLAUDE, {"anthropic_messages": claudes(REDACTED)}),
    "Gemini": (GEMINI, {"openai_chat": completion(SIGNED)}),
    "DeepSeek": (
        DEEPSEEK,
        {"openai_chat": completion(CALL, reasoning_content="hm"), "anthropic_messages": claudes(THOUGHT)},
    ),
    "GPT": (GPT_5, {"openai_chat": completion(CALL), "openai_responses": RESPONSE}),
}

# -- what clients make of it -----------------------------------------------------------------------------------


def events(body: bytes) -> list[Json]:
    lines = body.decode().splitlines()
    return [json.loads(line.removeprefix("data: ")) for line in lines if line.startswith("data: {")]


def of_messages(body: bytes) -> list[Json]:
    if body.startswith(b"{"):
        content = json.loads(body)["content"]
    else:
        content = []
        for event in events(body):
            if event["type"] == "content_block_start":
                content.append(event["content_block"])
            for name, value in event.get("delta", {}).items() if event["type"] == "content_block_delta" else ():
                if name not in ("type", "partial_json"):
                    content[-1][name] = content[-1].get(name, "") + value
    result = {"type": "tool_result", "tool_use_id": "call_1", "content": "x"}
    return [
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": content},
        {"role": "user", "content": [result]},
    ]


def of_chat(body: bytes) -> list[Json]:
    if body.startswith(b"{"):
        message = json.loads(body)["choices"][0]["message"]
    else:
        message = {}
        for delta in (choice["delta"] for event in events(body) for choice in event["choices"]):
            for name, value in delta.items():
                message[name] = message[name] + value if name in message and name != "role" else value
        calls: dict[int, Json] = {}
        for piece in message.pop("tool_calls", []):
            call = calls.setdefault(piece.pop("index"), {"function": {}})
            for name, value in piece.pop("function", {}).items():
                call["function"][name] = call["function"].get(name, "") + value
            call |= piece
        message["tool_calls"] = list(calls.values())
    message = {name: value for name, value in message.items() if value is not None}
    return [{"role": "user", "content": "hi"}, message, {"role": "tool", "tool_call_id": "call_1", "content": "x"}]


def of_responses(body: bytes) -> list[Json]:
    response = json.loads(body) if body.startswith(b"{") else events(body)[-1]["response"]
    result = {"type": "function_call_output", "call_id": "call_1", "output": "x"}
    return [{"role": "user", "content": "hi"}, *response["output"], result]


CLIENTS: dict[str, tuple[str, Callable[[bytes], list[Json]]]] = {
    MESSAGES: ("messages", of_messages),
    CHAT: ("messages", of_chat),
    RESPONSES: ("input", of_responses),
}


def asking(path: str, model: str, **more: Any) -> Json:
    asked = {"messages": None, "input": "hi", "include": ["reasoning.encrypted_content"]} if path == RESPONSES else {}
    return {"path": path, "model": model, "tools": TOOLS[path], **asked, **more}


def first(gateway: Gateway, maker: str, fields: Json) -> Entry:
    """What is kept of the maker's answer."""
    model, answers = MAKERS[maker]
    exchange = exchange_looked(gateway, fields)
    dialect = upstream.dialect_of(gateway.plan.names[model], exchange.dialect.name, exchange.conversation)
    attempt = attempt_of(gateway, exchange)
    return kept([effect for event in whole(answers[dialect.name]) for effect in attempt.feed(event, 1.0)])


def exchange_looked(gateway: Gateway, fields: Json) -> Any:
    selection, effects = ask(gateway, **fields)
    assert one(effects, Look)
    choose = one(selection.feed(Found(None), 0.0), Choose)
    assert choose is not None
    return gateway.exchanges.get(choose.exchange)


def sent_next(gateway: Gateway, path: str, model: str, body: bytes) -> list[Json]:
    """What the maker is sent of its own answer, once the client has given it back."""
    field, read = CLIENTS[path]
    fields = asking(path, model, given={"x-arch-cache": "off"}) | {field: read(body)}
    rendered = json.loads(upstream.render(exchange_of(gateway, **fields), gateway.plan.names[model]).body)
    return list(rendered.get("messages") or rendered["input"])


@pytest.mark.parametrize("stream", [False, True], ids=["kept whole", "kept as a stream"])
@pytest.mark.parametrize("maker", MAKERS)
@pytest.mark.parametrize("path", CLIENTS)
def test_a_maker_gets_its_own_state_back_whichever_way_it_was_told(path: str, maker: str, stream: bool) -> None:
    gateway, model = gateway_of(CONFIG), MAKERS[maker][0]
    entry = first(gateway, maker, asking(path, model, stream=stream))
    selection, effects = ask(gateway, **asking(path, model, stream=not stream))
    look = one(effects, Look)
    again = selection.feed(Found(entry), 10.0)
    reply, beside = one(again, Respond), one(again, Look)
    if reply is None:
        assert look is not None and beside is not None and beside.keeping.key != look.keeping.key
        assert path != MESSAGES
        return
    assert sent_next(gateway, path, model, reply.body) == sent_next(gateway, path, model, entry.body)


def thought(gateway: Gateway, path: str, *, stream: bool) -> Entry:
    return first(gateway, "Claude", asking(path, CLAUDE, stream=stream))


def looking(gateway: Gateway, path: str, *, stream: bool, **more: Any) -> tuple[Selection, Look]:
    selection, effects = ask(gateway, **asking(path, CLAUDE, stream=stream, **more))
    look = one(effects, Look)
    assert look is not None
    return selection, look


@pytest.mark.parametrize("path", [CHAT, RESPONSES])
def test_what_cannot_be_told_otherwise_is_kept_in_both_forms_beside_each_other(path: str) -> None:
    gateway = gateway_of(CONFIG)
    entry = thought(gateway, path, stream=False)
    selection, look = looking(gateway, path, stream=True)
    beside = one(selection.feed(Found(entry), 10.0), Look)
    assert beside is not None and beside.exchange == look.exchange and not beside.alone
    assert beside.patience == look.patience - 10.0, "what is left of his time"
    choose = one(selection.feed(Found(None), 10.0), Choose)
    exchange = gateway.exchanges.get(look.exchange)
    assert choose is not None and exchange is not None
    attempt = attempt_of(gateway, exchange)
    answer = whole(MAKERS["Claude"][1]["anthropic_messages"])
    keep = one([effect for event in answer for effect in attempt.feed(event, 11.0)], Keep)
    assert keep is not None and keep.key == beside.keeping.key
    selection, _ = looking(gateway, path, stream=True)
    assert one(selection.feed(Found(entry), 20.0), Look) == Look(beside.keeping, "id-3", 0.0)
    reply = one(selection.feed(Found(keep.entry), 20.0), Respond)
    assert reply is not None and reply.body == keep.entry.body


def test_once_the_first_is_asked_anew_so_is_what_stands_beside_it() -> None:
    gateway = gateway_of(CONFIG)
    entry = thought(gateway, CHAT, stream=False)
    _, look = looking(gateway, CHAT, stream=True)
    newer = Entry(entry.at + 1.0, entry.until, "m", "m", "", "", b"")
    assert look.keeping.beside(entry).key != look.keeping.beside(newer).key


def test_who_waits_in_the_second_hop_looks_beside_it_as_well() -> None:
    gateway = gateway_of(f"{TWO_CLAUDES.partition('cache:')[0]}cache: {{enabled: true, tools: true}}\n")
    fields = {name: value for name, value in asking(CHAT, CLAUDE).items() if name != "model"}
    entry = thought(gateway, CHAT, stream=False)
    attempt = followed(gateway, stream=True, **fields)
    look = one(attempt.feed(Found(entry), 100.0), Look)
    assert look is not None and look.patience == 600.0 - 100.0 - 60.0
    assert one(attempt.feed(Found(None), 200.0), Ask)
