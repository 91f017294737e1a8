"""Streams as vendors really write them, and the strict grammar in which clients get them."""

import json
from collections.abc import Sequence
from typing import Any

import pytest

from router_service.conversation import (
    OpaqueBlock,
    ReplyEnded,
    ReplyEvent,
    ReplyFailed,
    ReplyStarted,
    Search,
    TextDelta,
    ThinkingDelta,
    ToolCallDelta,
    ToolCallStarted,
    Usage,
)
from router_service.dialects import DIALECTS
from router_service.dialects.dialect import Addressee
from router_service.sse import EventDecoder, ServerSentEvent

START = ReplyStarted("1", "m")
BROKEN_OFF = ReplyFailed("api_error", "The stream ended before the answer did.")


def read(dialect: str, *data: Any) -> list[ReplyEvent]:
    """Everything that a stream of these data says; a tuple carries the event's name before its data."""
    reader = DIALECTS[dialect].reader()
    named = [item if isinstance(item, tuple) else ("", item) for item in data]
    events = [ServerSentEvent(d if isinstance(d, str) else json.dumps(d), name) for name, d in named]
    return [said for event in events for said in reader.feed(event)] + reader.close()


def chunk(delta: Any = None, finish: str | None = None, **fields: Any) -> dict[str, Any]:
    return {"id": "1", "model": "m", "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]} | fields


def calls(*calls: Any, finish: str | None = None) -> dict[str, Any]:
    return chunk({"tool_calls": list(calls)}, finish)


def call(arguments: Any, name: str | None = None, **fields: Any) -> dict[str, Any]:
    return {"function": {"arguments": arguments} | ({"name": name} if name else {})} | fields


USED = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15, "prompt_tokens_details": {"cached_tokens": 4}}
USAGE = Usage(input=6, cached=4, output=5)
TWO_CALLS = [
    START,
    ToolCallStarted(0, "a", "f"),
    ToolCallDelta(0, '{"x":1}'),
    ToolCallStarted(1, "b", "g"),
    ToolCallDelta(1, "{}"),
    ReplyEnded("tool_calls"),
]

OPENAI: list[tuple[str, list[Any], list[ReplyEvent]]] = [
    ("no [DONE]", [chunk({"content": "hi"}), chunk({}, "stop")], [START, TextDelta("hi"), ReplyEnded("end")]),
    ("[DONE] alone ends it", [chunk({"content": "hi"}), "[DONE]"], [START, TextDelta("hi"), ReplyEnded("end")]),
    ("no end at all", [chunk({"content": "hi"})], [START, TextDelta("hi"), BROKEN_OFF]),
    ("nothing", [], [BROKEN_OFF]),
    ("nothing after the end counts", [chunk({}, "stop"), "[DONE]", chunk({"content": "x"})],
     [START, ReplyEnded("end")]),
    ("usage behind the end", [chunk({}, "stop"), {"id": "1", "choices": [], "usage": USED}, "[DONE]"],
     [START, ReplyEnded("end", USAGE)]),
    ("usage in the last chunk", [chunk({}, "length", usage=USED)], [START, ReplyEnded("length", USAGE)]),
    ("usage in every chunk", [chunk({"content": "a"}, usage={"prompt_tokens": 10, "completion_tokens": 1}),
                              chunk({}, "stop", usage=USED), "[DONE]"],
     [START, TextDelta("a"), ReplyEnded("end", USAGE)]),
    ("null everywhere", [chunk(None), chunk({"content": None, "tool_calls": None, "role": None}, usage=None),
                         {"choices": None}, chunk({}, "stop")], [START, ReplyEnded("end")]),
    ("Azure's first chunk", [{"id": "", "model": "", "choices": [], "prompt_filter_results": []},
                             chunk({"content": "a"}), chunk({}, "stop")], [START, TextDelta("a"), ReplyEnded("end")]),
    ("reasoning_content", [chunk({"reasoning_content": "hm"}), chunk({"content": "a"}), chunk({}, "stop")],
     [START, ThinkingDelta("hm"), TextDelta("a"), ReplyEnded("end")]),
    ("reasoning", [chunk({"reasoning": "hm", "content": ""}), chunk({}, "stop")],
     [START, ThinkingDelta("hm"), ReplyEnded("end")]),
    ("Mistral's parts", [chunk({"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]},
                                            {"type": "text", "text": "a"}]}), chunk({}, "model_length")],
     [START, ThinkingDelta("hm"), TextDelta("a"), ReplyEnded("length")]),
    ("refusal", [chunk({"refusal": "No."}), chunk({}, "stop")],
     [START, TextDelta("No.", refusal=True), ReplyEnded("refusal")]),
    ("content filter", [chunk({}, "content_filter")], [START, ReplyEnded("refusal")]),
    ("stop although calls came", [calls(call('{"x":1}', "f", index=0, id="a")), calls(call("{}", "g", index=1, id="b")),
                                  chunk({}, "stop")], TWO_CALLS),
    ("calls in one delta", [calls(call('{"x":1}', "f", index=0, id="a"), call("{}", "g", index=1, id="b"),
                                  finish="tool_calls")], TWO_CALLS),
    ("calls without index", [calls(call('{"x":', "f", id="a")), calls(call("1}")), calls(call("{}", "g", id="b")),
                             chunk({}, "tool_calls")],
     [START, ToolCallStarted(0, "a", "f"), ToolCallDelta(0, '{"x":'), ToolCallDelta(0, "1}"), *TWO_CALLS[3:]]),
    ("index 0 for all", [calls(call('{"x":1}', "f", index=0, id="a")), calls(call("{}", "g", index=0, id="b")),
                         chunk({}, "stop")], TWO_CALLS),
    ("id and name in every delta", [calls(call('{"x":', "f", index=0, id="a")), calls(call("1}", "f", index=0, id="a")),
                                    calls(call("{}", "g", index=1, id="b")), chunk({}, "stop")],
     [START, ToolCallStarted(0, "a", "f"), ToolCallDelta(0, '{"x":'), ToolCallDelta(0, "1}"), *TWO_CALLS[3:]]),
    ("indices from 1", [calls(call('{"x":1}', "f", index=1, id="a")), calls(call("{}", "g", index=2, id="b")),
                        chunk({}, "tool_calls")], TWO_CALLS),
    ("arguments as an object", [calls(call({"x": 1}, "f", id="a")), calls(call({}, "g", id="b")), chunk({}, "stop")],
     TWO_CALLS),
    ("the name comes late", [calls(call('{"x"', index=0, id="a")), calls(call(":1}", "f", index=0)),
                             calls(call("{}", "g", index=1, id="b")), chunk({}, "stop")], TWO_CALLS),
    ("an error chunk", [chunk({"content": "a"}), {"error": {"message": "Overloaded", "code": 503}}],
     [START, TextDelta("a"), ReplyFailed("overloaded_error", "Overloaded")]),
    ("vLLM's error", [{"object": "error", "message": "no", "code": 400}], [ReplyFailed("invalid_request_error", "no")]),
    ("an error event", [("error", {"message": "no"})], [ReplyFailed("api_error", "no")]),
    ("OpenRouter's end in error", [chunk({"content": "a"}, "error")],
     [START, TextDelta("a"), ReplyFailed("api_error", "The provider ended its answer with finish_reason error.")]),
    ("broken JSON", [chunk({"content": "a"}), "{oops"],
     [START, TextDelta("a"), ReplyFailed("api_error", "The provider sent something that is no chunk of its API.")]),
    ("no object", ["[1]"], [ReplyFailed("api_error", "The provider sent something that is no chunk of its API.")]),
    ("a second choice", [{"id": "1", "model": "m", "choices": [{"index": 1, "delta": {"content": "b"}},
                                                               {"index": 0, "delta": {"content": "a"}}]}, "[DONE]"],
     [START, TextDelta("a"), ReplyEnded("end")]),
]  # fmt: skip


@pytest.mark.parametrize(("data", "events"), [case[1:] for case in OPENAI], ids=[case[0] for case in OPENAI])
def test_openais_vendors_are_understood(data: list[Any], events: list[ReplyEvent]) -> None:
    assert read("openai_chat", *data) == events


def test_calls_without_ids_get_ids_of_their_own() -> None:
    events = read("openai_chat", calls(call("{}", "f", index=0), call("{}", "g", index=1)), chunk({}, "stop"))
    ids = [event.id for event in events if isinstance(event, ToolCallStarted)]
    assert len(set(ids)) == 2
    assert all(call_id.startswith("call_") for call_id in ids)
    assert ids != [
        event.id
        for event in read("openai_chat", calls(call("{}", "f"), call("{}", "g")) | {"id": "2"}, "[DONE]")
        if isinstance(event, ToolCallStarted)
    ]


# -- Anthropic's vendors ---------------------------------------------------------------------------------------


def block(index: int, start: dict[str, Any], *deltas: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        {"type": "content_block_start", "index": index, "content_block": start},
        *({"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas),
        {"type": "content_block_stop", "index": index},
    ]


BEGIN = {
    "type": "message_start",
    "message": {"id": "1", "model": "m", "usage": {"input_tokens": 6, "output_tokens": 1}},
}
BEGUN = ReplyStarted("1", "m", Usage(input=6, output=1))
HI = block(0, {"type": "text", "text": ""}, {"type": "text_delta", "text": "hi"})
END = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 5}}
STOP = {"type": "message_stop"}
ENDED = ReplyEnded("end", Usage(input=6, output=5))
SEARCH = {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}}

ANTHROPIC: list[tuple[str, list[Any], list[ReplyEvent]]] = [
    ("in order", [BEGIN, *HI, END, STOP], [BEGUN, TextDelta("hi"), ENDED]),
    ("pings and the unknown", [BEGIN, {"type": "ping"}, ("ping", "no json"), *HI, {"type": "new"}, END, STOP],
     [BEGUN, TextDelta("hi"), ENDED]),
    ("no message_delta", [BEGIN, *HI, STOP], [BEGUN, TextDelta("hi"), ReplyEnded("end", BEGUN.usage)]),
    ("no message_stop", [BEGIN, *HI, END], [BEGUN, TextDelta("hi"), ENDED]),
    ("no end", [BEGIN, *HI], [BEGUN, TextDelta("hi"), BROKEN_OFF]),
    ("[DONE]", [BEGIN, *HI, END, STOP, "[DONE]"], [BEGUN, TextDelta("hi"), ENDED]),
    ("zeros at the end", [BEGIN, END | {"usage": {"input_tokens": 0, "output_tokens": 5}}, STOP], [BEGUN, ENDED]),
    ("usage at the end", [BEGIN | {"message": {"id": "1", "model": "m"}},
                          END | {"usage": {"input_tokens": 6, "output_tokens": 5, "cache_read_input_tokens": 2,
                                           "output_tokens_details": {"thinking_tokens": 3}}}, STOP],
     [START, ReplyEnded("end", Usage(input=6, cached=2, output=5, reasoning=3))]),
    ("signed thinking", [BEGIN, *block(0, {"type": "thinking", "thinking": "", "signature": ""},
                                       {"type": "thinking_delta", "thinking": "hm"},
                                       {"type": "signature_delta", "signature": "c2ln"}), END, STOP],
     [BEGUN, ThinkingDelta("hm"), ThinkingDelta("", "c2ln"), ENDED]),
    ("tools", [BEGIN, *HI, *block(1, {"type": "tool_use", "id": "a", "name": "f", "input": {}},
                                  {"type": "input_json_delta", "partial_json": ""},
                                  {"type": "input_json_delta", "partial_json": "{}"}),
               *block(2, {"type": "tool_use", "id": "b", "name": "g", "input": {"x": 1}}), STOP],
     [BEGUN, TextDelta("hi"), ToolCallStarted(0, "a", "f"), ToolCallDelta(0, "{}"), ToolCallStarted(1, "b", "g"),
      ToolCallDelta(1, '{"x":1}'), ReplyEnded("tool_calls", BEGUN.usage)]),
    ("a server tool", [BEGIN, *block(0, SEARCH, {"type": "input_json_delta", "partial_json": '{"query":'},
                                     {"type": "input_json_delta", "partial_json": '"x"}'}), END, STOP],
     [BEGUN, Search("s", "x"), ENDED]),
    ("a stop sequence", [BEGIN, {"type": "message_delta", "delta": {"stop_reason": "stop_sequence",
                                                                   "stop_sequence": "END"}}, STOP],
     [BEGUN, ReplyEnded("stop_sequence", BEGUN.usage, "END")]),
    ("context used up", [BEGIN, {"type": "message_delta", "delta": {"stop_reason": "model_context_window_exceeded"}}],
     [BEGUN, ReplyEnded("length", BEGUN.usage)]),
    ("an error",
     [BEGIN, ("error", {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}), STOP],
     [BEGUN, ReplyFailed("overloaded_error", "Overloaded")]),
    ("another's error", [{"error": {"message": "no", "type": "server_error"}}], [ReplyFailed("api_error", "no")]),
    ("broken JSON", [BEGIN, ("content_block_delta", "{oops")],
     [BEGUN, ReplyFailed("api_error", "The provider sent something that is no event of its API.")]),
    ("a broken event", [{"type": "content_block_start"}],
     [ReplyFailed("api_error", "The provider sent something that is no event of its API.")]),
]  # fmt: skip


@pytest.mark.parametrize("named", [True, False], ids=["named", "unnamed"])
@pytest.mark.parametrize(("data", "events"), [case[1:] for case in ANTHROPIC], ids=[case[0] for case in ANTHROPIC])
def test_anthropics_vendors_are_understood(data: list[Any], events: list[ReplyEvent], named: bool) -> None:
    named_data = [(d.get("type", ""), d) if named and isinstance(d, dict) else d for d in data]
    assert read("anthropic_messages", *named_data) == events


# -- writers ---------------------------------------------------------------------------------------------------


def written(dialect: str, events: Sequence[ReplyEvent], **wish: Any) -> list[dict[str, Any]]:
    writer = DIALECTS[dialect].writer(Addressee("m", **wish))
    data = b"".join(writer.feed(event) for event in events)
    return [json.loads(event.data) for event in EventDecoder().feed(data) if event.data != "[DONE]"]


def check_grammar(events: list[dict[str, Any]]) -> None:
    """One start, every block opened, filled and closed with the next index, usage, one stop."""
    kinds = [event["type"] for event in events]
    assert kinds[0] == "message_start"
    assert kinds[-2:] == ["message_delta", "message_stop"]
    assert events[-2]["usage"].keys() >= {"input_tokens", "output_tokens"}
    opened, index = False, -1
    for event in events[1:-2]:
        match event["type"]:
            case "content_block_start":
                assert not opened
                opened, index = True, index + 1
            case "content_block_stop":
                assert opened
                opened = False
            case _:
                assert opened
        assert event["index"] == index
    assert not opened


def blocks(events: list[dict[str, Any]]) -> list[Any]:
    """What each block holds in the end."""
    held: list[Any] = []
    for event in events:
        if event["type"] == "content_block_start":
            held.append([event["content_block"].get("name", event["content_block"]["type"]), ""])
        elif event["type"] == "content_block_delta":
            delta = event["delta"]
            held[-1][1] += next(delta[name] for name in delta if name != "type")
    return [tuple(block) for block in held]


def begin(index: int) -> ReplyEvent:
    return ToolCallStarted(index, f"id{index}", f"f{index}")


WRITTEN: list[tuple[str, list[ReplyEvent], list[Any]]] = [
    ("text", [TextDelta("a"), TextDelta(""), TextDelta("b")], [("text", "ab")]),
    ("thinking, then text", [ThinkingDelta("hm"), ThinkingDelta("", "sig"), TextDelta("a")],
     [("thinking", "hmsig"), ("text", "a")]),
    ("two thoughts", [ThinkingDelta("a"), ThinkingDelta("", "s"), ThinkingDelta("b"), ThinkingDelta("", "t")],
     [("thinking", "as"), ("thinking", "bt")]),
    ("nothing", [], []),
    ("calls one after another", [begin(0), ToolCallDelta(0, '{"a":'), ToolCallDelta(0, "1}"), begin(1),
                                 ToolCallDelta(1, "{}")], [("f0", '{"a":1}'), ("f1", "{}")]),
    ("calls interleaved", [begin(0), begin(1), ToolCallDelta(0, '{"a"'), ToolCallDelta(1, '{"b"'),
                           ToolCallDelta(0, ":1}"), ToolCallDelta(1, ":2}"), begin(2), ToolCallDelta(2, "{}")],
     [("f0", '{"a":1}'), ("f1", '{"b":2}'), ("f2", "{}")]),
    ("calls without arguments", [begin(0), begin(1)], [("f0", ""), ("f1", "")]),
    ("text between halves of a call", [begin(0), ToolCallDelta(0, "{"), TextDelta("x"), ToolCallDelta(0, "}")],
     [("f0", "{}"), ("text", "x")]),
    ("broken arguments", [begin(0), ToolCallDelta(0, "{"), begin(1), ToolCallDelta(1, "{}")],
     [("f0", "{"), ("f1", "{}")]),
    ("blocks of its own", [OpaqueBlock("anthropic_messages", "x", {"type": "x"}), TextDelta("a")],
     [("x", ""), ("text", "a")]),
    ("blocks of another dialect", [OpaqueBlock("openai_responses", "x", {"type": "x"}), TextDelta("a")],
     [("text", "a")]),
]  # fmt: skip


@pytest.mark.parametrize("started", [True, False], ids=["started", "not started"])
@pytest.mark.parametrize(("events", "held"), [case[1:] for case in WRITTEN], ids=[case[0] for case in WRITTEN])
def test_anthropics_grammar_is_kept(events: list[ReplyEvent], held: list[Any], started: bool) -> None:
    out = written("anthropic_messages", [*([START] if started else []), *events, ReplyEnded("end")])
    check_grammar(out)
    assert blocks(out) == held


def test_the_first_call_is_streamed_while_the_second_waits() -> None:
    writer = DIALECTS["anthropic_messages"].writer(Addressee("m"))
    writer.feed(START)
    assert b"content_block_start" in writer.feed(begin(0))
    assert b'"partial_json":"{' in writer.feed(ToolCallDelta(0, "{"))
    assert writer.feed(begin(1)) == b""
    assert writer.feed(ToolCallDelta(1, "{}")) == b""
    assert b"id1" in writer.feed(ToolCallDelta(0, "}"))


def test_event_lines_name_the_type() -> None:
    writer = DIALECTS["anthropic_messages"].writer(Addressee("m"))
    data = b"".join(writer.feed(event) for event in (START, TextDelta("a"), ReplyEnded("end")))
    for event in EventDecoder().feed(data):
        assert event.event == json.loads(event.data)["type"]


def test_openai_stream_says_usage_only_when_asked() -> None:
    events = [START, TextDelta("a"), ReplyEnded("end", USAGE)]
    *chunks, last = written("openai_chat", events)
    assert last["choices"] == []
    assert last["usage"] == USED
    assert [c["usage"] for c in chunks] == [None] * 3
    assert not any("usage" in c for c in written("openai_chat", events, include_usage=False))


def test_openai_calls_without_arguments_get_an_empty_object() -> None:
    chunks = written("openai_chat", [START, begin(0), begin(1), ToolCallDelta(1, '{"a":1}'), ReplyEnded("tool_calls")])
    pieces = [piece for c in chunks for choice in c["choices"] for piece in choice["delta"].get("tool_calls", [])]
    arguments = {0: "", 1: ""}
    for piece in pieces:
        arguments[piece["index"]] += piece["function"]["arguments"]
    assert arguments == {0: "{}", 1: '{"a":1}'}


@pytest.mark.parametrize(
    ("dialect", "expected"),
    [
        ("anthropic_messages", {"type": "error", "error": {"type": "overloaded_error", "message": "no"}}),
        (
            "openai_chat",
            {"error": {"message": "no", "type": "server_error", "param": None, "code": "server_overloaded"}},
        ),
    ],
)
def test_a_failure_is_the_last_word(dialect: str, expected: Any) -> None:
    events = [START, TextDelta("a"), ReplyFailed("overloaded_error", "no"), TextDelta("b"), ReplyEnded("end")]
    assert written(dialect, events)[-1] == expected
