"""Tools that only OpenAI's clients have: called with plain text, or known by a namespace and a name in it."""

import json
from typing import Any

import pytest

from router_service.conversation import ReplyEnded, ReplyEvent, ReplyStarted, ToolCallDelta, ToolCallStarted
from router_service.dialects import DIALECTS
from router_service.dialects.dialect import Addressee, Target
from router_service.sse import EventDecoder

PATCH = "*** Begin Patch\n+1\n"
CUSTOM = {"type": "custom", "name": "apply_patch", "description": "edits", "format": {"type": "text"}}
SPACE = {
    "type": "namespace",
    "name": "mcp__files",
    "description": "d",
    "tools": [{"type": "function", "name": "read", "parameters": {"type": "object", "properties": {}}}],
}
RESPONSES: dict[str, Any] = {
    "model": "m",
    "tools": [CUSTOM, SPACE],
    "input": [
        {"role": "user", "content": "go"},
        {"type": "custom_tool_call", "call_id": "c1", "name": "apply_patch", "input": PATCH},
        {"type": "function_call", "call_id": "c2", "namespace": "mcp__files", "name": "read", "arguments": "{}"},
        {"type": "custom_tool_call_output", "call_id": "c1", "output": "patched"},
        {"type": "function_call_output", "call_id": "c2", "output": "text"},
    ],
}
CHAT: dict[str, Any] = {
    "model": "m",
    "tools": [{"type": "custom", "custom": {"name": "apply_patch", "description": "edits"}}],
    "tool_choice": {"type": "custom", "custom": {"name": "apply_patch"}},
    "messages": [
        {"role": "user", "content": "go"},
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": "c1", "type": "custom", "custom": {"name": "apply_patch", "input": PATCH}}],
        },
        {"role": "tool", "tool_call_id": "c1", "content": "patched"},
    ],
}
CALLS: list[ReplyEvent] = [
    ReplyStarted("1", "m"),
    ToolCallStarted(0, "c3", "apply_patch"),
    ToolCallDelta(0, json.dumps({"input": PATCH})[:9]),
    ToolCallDelta(0, json.dumps({"input": PATCH})[9:]),
    ToolCallStarted(1, "c4", "mcp__files__read"),
    ReplyEnded("tool_calls"),
]
TO = Addressee("m", plain=frozenset({"apply_patch"}), spaces={"mcp__files__read": ("mcp__files", "read")})


def test_other_vendors_are_offered_functions() -> None:
    conversation = DIALECTS["openai_responses"].parse_request(RESPONSES)
    made = DIALECTS["anthropic_messages"].render_request(conversation, Target("m"))
    assert [tool["name"] for tool in made.body["tools"]] == ["apply_patch", "mcp__files__read"]
    assert made.body["tools"][0]["input_schema"]["required"] == ["input"]
    said, heard = made.body["messages"][1:]
    assert [(block["name"], block["input"]) for block in said["content"]] == [
        ("apply_patch", {"input": PATCH}),
        ("mcp__files__read", {}),
    ]
    assert [block["content"] for block in heard["content"]] == ["patched", "text"]
    assert made.warnings == ()


@pytest.mark.parametrize(("dialect", "body"), [("openai_responses", RESPONSES), ("openai_chat", CHAT)])
def test_in_their_own_dialect_they_stay_what_they_are(dialect: str, body: Any) -> None:
    spoken = DIALECTS[dialect]
    made = spoken.render_request(spoken.parse_request(body), Target("m")).body
    assert made["tools"] == body["tools"]
    if dialect == "openai_responses":
        assert made["input"][1:] == body["input"][1:]
    else:
        assert made["messages"] == body["messages"]
        assert made["tool_choice"] == body["tool_choice"]


def test_the_client_is_called_as_it_knows_its_tools() -> None:
    whole = DIALECTS["openai_responses"].render_reply(CALLS, TO)
    writer = DIALECTS["openai_responses"].writer(TO)
    told = [json.loads(event.data) for event in EventDecoder().feed(b"".join(map(writer.feed, CALLS)))]
    for output in (whole["output"], told[-1]["response"]["output"]):
        patch, read = output
        assert (patch["type"], patch["name"], patch["input"]) == ("custom_tool_call", "apply_patch", PATCH)
        assert (read["type"], read["namespace"], read["name"]) == ("function_call", "mcp__files", "read")
    assert [event["input"] for event in told if event["type"] == "response.custom_tool_call_input.done"] == [PATCH]


def test_a_chat_client_is_too() -> None:
    events = [*CALLS[:4], CALLS[-1]]
    (call,) = DIALECTS["openai_chat"].render_reply(events, TO)["choices"][0]["message"]["tool_calls"]
    assert call == {"id": "c3", "type": "custom", "custom": {"name": "apply_patch", "input": PATCH}}
    writer, reader = DIALECTS["openai_chat"].writer(TO), DIALECTS["openai_chat"].reader()
    raw = b"".join(map(writer.feed, events))
    heard = [said for event in EventDecoder().feed(raw) for said in reader.feed(event)]
    assert ToolCallDelta(0, json.dumps({"input": PATCH}, separators=(",", ":"))) in heard
    assert isinstance(heard[-1], ReplyEnded) and heard[-1].reason == "tool_calls"


def test_openais_own_calls_of_plain_text_are_read() -> None:
    call = {"id": "c", "type": "custom", "custom": {"name": "p", "input": "x"}}
    body = {
        "id": "1",
        "choices": [{"message": {"role": "assistant", "tool_calls": [call]}, "finish_reason": "tool_calls"}],
    }
    heard = DIALECTS["openai_chat"].parse_reply(body)
    assert heard[1:3] == [ToolCallStarted(0, "c", "p"), ToolCallDelta(0, '{"input":"x"}')]


def test_a_long_name_of_both_stays_within_what_vendors_take() -> None:
    space = SPACE | {"name": "mcp__" + "x" * 70}
    tools = DIALECTS["openai_responses"].parse_request(RESPONSES | {"tools": [space]}).tools
    assert len(tools[0].name) == 64 and tools[0].space == (space["name"], "read")
