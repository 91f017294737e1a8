"""Requests of a given size, shaped like a coding agent's: system prompt, tools, tool calls and their results.

Seed and shape are fixed, so that every target is sent the same bytes but for the model's name.
"""

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]

OPENAI_PATH, ANTHROPIC_PATH = "/v1/chat/completions", "/v1/messages"
PATHS = {  # mode -> the path that is asked
    "openai": OPENAI_PATH,  # chat completions in, chat completions at the provider
    "anthropic": ANTHROPIC_PATH,  # messages in, messages at the provider
    "translate": ANTHROPIC_PATH,  # messages in, chat completions at the provider
    "continued": ANTHROPIC_PATH,  # as translate; a tool's result, in a session whose model has been chosen
    "routed": ANTHROPIC_PATH,  # as translate, and the gateway chooses the model by what is asked
}
BEFORE = {"continued": "routed"}  # mode -> what its session has been asked before, so that a model has been chosen
CREDENTIALS = {"authorization": "Bearer sk-mock", "x-api-key": "sk-mock", "anthropic-version": "2023-06-01"}

_SMALL = 2048  # bytes; up to here a request is one short question
_MAX_TOOLS = 20
_SAMPLE = (  # quotes, newlines and other scripts, for these are what escaping costs
    'the file returns value when called with path and a test that checks "quoted" text\n    def handler(self): '
    "return None # TODO fix import of module error line config update na\u00efve \u2013 \u4f60\u597d \\n \t"
)
_WORDS = _SAMPLE.split(" ")


@dataclass(frozen=True, slots=True)
class Turn:
    """One round of a tool: what the user asked, what the model said and called, what came back, what it concluded."""

    id: int
    ask: str
    said: str
    arguments: Json
    result: str
    concluded: str


@dataclass(frozen=True, slots=True)
class Tool:
    name: str
    description: str
    schema: Json


def body(mode: str, size: int, model: str, *, stream: bool = False, directive: str = "") -> bytes:
    """A request of about `size` bytes. `directive` steers the mock's answer: see mockllm.c."""
    random_words = random.Random(1)
    ask = f"Hello. [[mock {directive}]]" if directive else "Hello."
    render = _RENDERERS.get(mode, _anthropic)
    if size <= _SMALL:
        system = _text(random_words, min(400, size // 4))
        bare = len(json.dumps(render(model, system, [], [], ask, stream=stream)))
        ask = f"{ask} {_text(random_words, max(0, size - bare - 20))}"
        return json.dumps(render(model, system, [], [], ask, stream=stream)).encode()
    system = _text(random_words, size // 10)
    tools = [_tool(random_words, number) for number in range(min(_MAX_TOOLS, size // 4000 + 1))]
    turns: list[Turn] = []
    while (length := len(json.dumps(render(model, system, tools, turns, ask, stream=stream)))) < size:
        turns.append(_turn(random_words, len(turns) + 1, room=size - length))
    return json.dumps(render(model, system, tools, turns, ask, stream=stream)).encode()


def sized(mode: str, size: int, model: str, *, messages: int = 21, stream: bool = False, directive: str = "") -> bytes:
    """A request of about `size` bytes in so many messages of one length, without tools; an odd number of them.

    `body` has the shape of an agent's request, in which the messages grow with the size: here each can grow alone.
    """
    roles = ["user" if number % 2 == 0 else "assistant" for number in range(messages)]
    bare = len(json.dumps([{"role": role, "content": ""} for role in roles])) + 200
    text = _text(random.Random(1), max(4, (size - bare) // messages))
    while len(json.dumps(text)) > max(10, (size - bare) // messages):  # escaping makes it longer
        text = text[: int(len(text) * 0.98)]
    asked = [{"role": role, "content": text} for role in roles]
    if directive:
        asked[-1] = {"role": "user", "content": f"{text} [[mock {directive}]]"}
    extra = {"stream_options": {"include_usage": True}} if stream and PATHS[mode] == OPENAI_PATH else {}
    return json.dumps({"model": model, "max_tokens": 256, "stream": stream, "messages": asked} | extra).encode()


def _text(words: random.Random, length: int) -> str:
    out, have = [], 0
    while have < length:
        out.append(words.choice(_WORDS))
        have += len(out[-1]) + 1
    return " ".join(out)


def _tool(words: random.Random, number: int) -> Tool:
    properties = {
        "path": {"type": "string", "description": _text(words, 80)},
        "limit": {"type": "integer"},
        "mode": {"type": "string", "enum": ["a", "b", "c"]},
    }
    schema = {"type": "object", "required": ["path"], "properties": properties}
    return Tool(f"tool_{number}", _text(words, 500), schema)


def _turn(words: random.Random, id: int, *, room: int) -> Turn:
    return Turn(
        id,
        ask=_text(words, 60),
        said=_text(words, 60),
        arguments={"path": _text(words, 40), "limit": id},
        result=_text(words, min(3000, max(200, room - 600))),
        concluded=_text(words, 60),
    )


# -- dialects ------------------------------------------------------------------------------------------------------


def _anthropic(model: str, system: str, tools: list[Tool], turns: list[Turn], ask: str, *, stream: bool) -> Json:
    messages = [message for turn in turns for message in _anthropic_turn(turn)]
    listed = [{"name": tool.name, "description": tool.description, "input_schema": tool.schema} for tool in tools]
    return {
        "model": model,
        "max_tokens": 256,
        "stream": stream,
        "system": [{"type": "text", "text": system}],
        "messages": [*messages, {"role": "user", "content": ask}],
    } | ({"tools": listed} if listed else {})


def _anthropic_turn(turn: Turn) -> Iterator[Json]:
    id = f"toolu_{turn.id}"
    call = {"type": "tool_use", "id": id, "name": "tool_0", "input": turn.arguments}
    yield {"role": "user", "content": turn.ask}
    yield {"role": "assistant", "content": [{"type": "text", "text": turn.said}, call]}
    yield {"role": "user", "content": [{"type": "tool_result", "tool_use_id": id, "content": turn.result}]}
    yield {"role": "assistant", "content": turn.concluded}


def _continued(model: str, system: str, tools: list[Tool], turns: list[Turn], ask: str, *, stream: bool) -> Json:
    """As `_anthropic`, one step later: the model has called a tool, and here is what it said."""
    asked = _anthropic(model, system, tools, turns, "Read it.", stream=stream)
    call = {"type": "tool_use", "id": "toolu_0", "name": "tool_0", "input": {"path": "a.py"}}
    result = {"type": "tool_result", "tool_use_id": "toolu_0", "content": ask}
    loop = [{"role": "assistant", "content": [call]}, {"role": "user", "content": [result]}]
    return asked | {"messages": [*asked["messages"], *loop]}


def _openai(model: str, system: str, tools: list[Tool], turns: list[Turn], ask: str, *, stream: bool) -> Json:
    messages = [message for turn in turns for message in _openai_turn(turn)]
    listed = [
        {"type": "function", "function": {"name": t.name, "description": t.description, "parameters": t.schema}}
        for t in tools
    ]
    return (
        {
            "model": model,
            "max_tokens": 256,
            "stream": stream,
            "messages": [{"role": "system", "content": system}, *messages, {"role": "user", "content": ask}],
        }
        | ({"stream_options": {"include_usage": True}} if stream else {})
        | ({"tools": listed} if listed else {})
    )


def _openai_turn(turn: Turn) -> Iterator[Json]:
    id = f"call_{turn.id}"
    called = {"name": "tool_0", "arguments": json.dumps(turn.arguments)}
    yield {"role": "user", "content": turn.ask}
    yield {
        "role": "assistant",
        "content": turn.said,
        "tool_calls": [{"id": id, "type": "function", "function": called}],
    }
    yield {"role": "tool", "tool_call_id": id, "content": turn.result}
    yield {"role": "assistant", "content": turn.concluded}


_RENDERERS = {"openai": _openai, "continued": _continued}  # of the others: _anthropic
