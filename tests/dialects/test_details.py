"""OpenRouter's `reasoning_details` go back to the model that gave them as they were, whoever kept them in between."""

import json
from typing import Any

import pytest
from openai.lib.streaming._deltas import accumulate_delta

from router_service.dialects import DIALECTS
from router_service.dialects.dialect import Addressee, Target
from router_service.dialects.openai.details import merged
from router_service.dialects.parts.seals import Sealer
from router_service.sse import EventDecoder

MAKER = "openrouter/anthropic/claude-sonnet-4.5"
OPENROUTER = Target("anthropic/claude-sonnet-4.5", thoughts="reasoning_details", maker=MAKER)
DETAILS = [
    {
        "type": "reasoning.text",
        "text": "SECRET thoughts",
        "signature": "Eq8B",
        "format": "anthropic-claude-v1",
        "index": 0,
    },
    {"type": "reasoning.encrypted", "data": "gAAA==", "id": "rs_1", "format": "openai-responses-v1", "index": 1},
]
CALL = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
MESSAGE = {"role": "assistant", "content": "Well.", "reasoning": "SECRET thoughts", "tool_calls": [CALL]}
WHOLE = {
    "id": "gen-1",
    "object": "chat.completion",
    "choices": [{"index": 0, "message": MESSAGE | {"reasoning_details": DETAILS}, "finish_reason": "tool_calls"}],
}
PIECES: list[dict[str, Any]] = [
    {"reasoning": "SECRET ", "reasoning_details": [DETAILS[0] | {"text": "SECRET ", "signature": None}]},
    {"reasoning": "thoughts", "reasoning_details": [{"type": "reasoning.text", "text": "thoughts", "index": 0}]},
    {"reasoning_details": [{"type": "reasoning.text", "signature": "Eq8B", "index": 0}]},
    {"content": "Well."},
    {"tool_calls": [CALL | {"index": 0}], "reasoning_details": [DETAILS[1]]},
]
STREAM = b"".join(
    f"data: {json.dumps({'id': 'gen-1', 'choices': [{'index': 0, 'delta': delta, 'finish_reason': end}]})}\n\n".encode()
    for delta, end in [*((delta, None) for delta in PIECES), ({}, "tool_calls")]
)
TOOL = {"role": "tool", "tool_call_id": "call_1", "content": "done"}


def events(*, streamed: bool) -> list[Any]:
    spoken = DIALECTS["openai_chat"]
    if not streamed:
        return spoken.parse_reply(WHOLE)
    reader = spoken.reader()
    return [e for event in EventDecoder().feed(STREAM) for e in reader.feed(event)] + reader.close()


def kept(client: str, *, streamed: bool, several: bool = True) -> dict[str, Any]:
    """The next request of a client's that had the answer."""
    to, spoken = Addressee("m", maker=MAKER), DIALECTS[client]
    ask = {"role": "user", "content": "go on"}
    if client == "anthropic_messages":
        result = {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "call_1", "content": "done"}]}
        said = {"role": "assistant", "content": spoken.render_reply(events(streamed=streamed), to)["content"]}
        return {"model": "m", "max_tokens": 99, "messages": [ask, said, result]}
    if client == "openai_responses":
        result = {"type": "function_call_output", "call_id": "call_1", "output": "done"}
        return {"model": "m", "input": [ask, *spoken.render_reply(events(streamed=streamed), to)["output"], result]}
    sealer = Sealer(spoken, MAKER)
    if not streamed:
        body = sealer.whole(json.dumps(WHOLE).encode()) if several else json.dumps(WHOLE).encode()
        message = json.loads(body)["choices"][0]["message"]
        return {"model": "m", "messages": [ask, message, TOOL]}
    data = sealer.feed(STREAM, end=True) if several else STREAM
    message = {"role": "assistant"}
    for event in EventDecoder().feed(data):
        message = accumulate_delta(message, json.loads(event.data)["choices"][0]["delta"])
    message["tool_calls"] = [{k: v for k, v in call.items() if k != "index"} for call in message["tool_calls"]]  # type: ignore[attr-defined]
    return {"model": "m", "messages": [ask, message, TOOL]}


def sent(client: str, body: dict[str, Any], target: Target, dialect: str = "openai_chat") -> dict[str, Any]:
    spoken, conversation = DIALECTS[dialect], DIALECTS[client].parse_request(body)
    if client == dialect and spoken.takes(conversation, target):
        return body | spoken.adapt(conversation, target, [])
    return spoken.render_request(conversation, target).body


@pytest.mark.parametrize("several", [True, False], ids=["sealed", "alone"])
@pytest.mark.parametrize("streamed", [True, False], ids=["streamed", "whole"])
@pytest.mark.parametrize("client", DIALECTS)
def test_the_model_has_its_details_back_as_they_were(client: str, streamed: bool, several: bool) -> None:
    body = sent(client, kept(client, streamed=streamed, several=several), OPENROUTER)
    (message,) = [message for message in body["messages"] if message["role"] == "assistant"]
    assert message["reasoning_details"] == DETAILS
    assert message["reasoning"] == "SECRET thoughts"


OTHERS = {
    "the same vendor's other model": (Target("x", thoughts="reasoning_details", maker="openrouter/x"), "openai_chat"),
    "deepseek": (Target("d", thoughts="reasoning_content", maker="deepseek/d"), "openai_chat"),
    "openai": (Target("g", maker="openai/g", refuses_in_messages=frozenset({"reasoning_details"})), "openai_chat"),
    "nobody knows": (Target("n", maker="own/n"), "openai_chat"),
    "claude": (Target("c", maker="anthropic/c"), "anthropic_messages"),
    "responses": (Target("r", reasoning=True, maker="openai/r"), "openai_responses"),
}


@pytest.mark.parametrize("other", OTHERS)
@pytest.mark.parametrize("streamed", [True, False], ids=["streamed", "whole"])
@pytest.mark.parametrize("client", DIALECTS)
def test_nobody_else_is_shown_them(client: str, streamed: bool, other: str) -> None:
    target, dialect = OTHERS[other]
    told = json.dumps(sent(client, kept(client, streamed=streamed), target, dialect))
    assert "Well." in told
    assert not any(secret in told for secret in ("SECRET", "Eq8B", "gAAA==", "archgw1."))


def test_pieces_without_an_index_stand_alone() -> None:
    assert merged([{"type": "a", "text": "x"}, {"type": "a", "text": "y"}]) == [
        {"type": "a", "text": "x"},
        {"type": "a", "text": "y"},
    ]
