"""Whole replies: what only one vendor says, and what is no reply at all."""

import json
from typing import Any

import pytest

from router_service.conversation import (
    OpaqueBlock,
    ReplyEnded,
    ReplyFailed,
    ReplyStarted,
    TextDelta,
    ThinkingDelta,
    ToolCallDelta,
    ToolCallStarted,
    Usage,
)
from router_service.dialects import DIALECTS
from router_service.dialects.anthropic import reply as anthropic
from router_service.dialects.dialect import Addressee
from router_service.dialects.openai import reply as openai
from router_service.sse import ServerSentEvent

STARTED = ReplyStarted("1", "m")


def completion(finish: str | None = "stop", **message: Any) -> dict[str, Any]:
    return {"id": "1", "model": "m", "choices": [{"message": message, "finish_reason": finish}]}


@pytest.mark.parametrize(
    ("body", "events"),
    [
        (completion(content="a"), [TextDelta("a"), ReplyEnded("end")]),
        (completion(content="a", reasoning="hm"), [ThinkingDelta("hm"), TextDelta("a"), ReplyEnded("end")]),
        (completion(content=None, refusal="No."), [TextDelta("No.", refusal=True), ReplyEnded("refusal")]),
        (completion(None, content="a"), [TextDelta("a"), ReplyEnded("end")]),
        (
            completion(tool_calls=[{"id": "a", "function": {"name": "f", "arguments": ""}}]),
            [ToolCallStarted(0, "a", "f"), ToolCallDelta(0, "{}"), ReplyEnded("tool_calls")],
        ),
        (
            completion("insufficient_system_resource", content=""),
            [
                ReplyFailed(
                    "overloaded_error",
                    "The provider ended its answer with finish_reason insufficient_system_resource.",
                )
            ],
        ),
    ],
    ids=["text", "reasoning", "refusal", "no finish_reason", "stop although a call came", "DeepSeek overloaded"],
)
def test_openais_vendors_whole_replies(body: Any, events: list[Any]) -> None:
    assert openai.parse_reply(body) == [STARTED, *events]


@pytest.mark.parametrize("dialect", DIALECTS.values(), ids=DIALECTS)
@pytest.mark.parametrize("body", [{}, {"choices": []}, {"choices": [{}]}, {"type": "message"}, {"type": "error"}])
def test_what_is_no_reply_is_a_value_error(dialect: Any, body: Any) -> None:
    with pytest.raises(ValueError, match="not a"):
        dialect.parse_reply(body)


def test_broken_arguments_are_kept_whole_where_an_object_is_wanted() -> None:
    events = [STARTED, ToolCallStarted(0, "a", "f"), ToolCallDelta(0, '{"x": oops'), ReplyEnded("tool_calls")]
    (block,) = anthropic.render_reply(events, Addressee("m"))["content"]
    assert block["input"] == {"_raw": '{"x": oops'}


def test_blocks_of_another_dialect_are_left_out() -> None:
    events = [STARTED, OpaqueBlock("openai_responses", "x", {}), TextDelta("a"), ReplyEnded("end")]
    assert anthropic.render_reply(events, Addressee("m"))["content"] == [{"type": "text", "text": "a"}]
    assert openai.render_reply(events, Addressee("m"))["choices"][0]["message"]["content"] == "a"


@pytest.mark.parametrize("dialect", DIALECTS.values(), ids=DIALECTS)
def test_a_failed_reply_cannot_be_rendered(dialect: Any) -> None:
    with pytest.raises(ValueError, match="broke off"):
        dialect.render_reply([STARTED, ReplyFailed("api_error", "broke off")], Addressee("m"))


USAGES = [
    ("OpenAI", {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}, Usage(input=10, output=5)),
    (
        "cached",
        {"prompt_tokens": 10, "completion_tokens": 5, "prompt_tokens_details": {"cached_tokens": 4}},
        Usage(input=6, cached=4, output=5),
    ),
    (
        "DeepSeek",
        {"prompt_tokens": 10, "completion_tokens": 5, "prompt_cache_hit_tokens": 4, "prompt_cache_miss_tokens": 6},
        Usage(input=6, cached=4, output=5),
    ),
    (
        "reasoning within the completion",
        {
            "prompt_tokens": 10,
            "completion_tokens": 5,
            "total_tokens": 15,
            "completion_tokens_details": {"reasoning_tokens": 3},
        },
        Usage(input=10, output=5, reasoning=3),
    ),
    (
        "xAI: reasoning beside the completion",
        {
            "prompt_tokens": 10,
            "completion_tokens": 5,
            "total_tokens": 18,
            "completion_tokens_details": {"reasoning_tokens": 3},
        },
        Usage(input=10, output=8, reasoning=3),
    ),
    ("Gemini: only the total tells", {"prompt_tokens": 10, "total_tokens": 13}, Usage(input=10, output=3)),
    ("nothing", None, Usage()),
    ("nonsense", {"prompt_tokens": "10", "prompt_tokens_details": []}, Usage()),
    ("less than nothing", {"prompt_tokens": -5, "completion_tokens": -1, "cached_tokens": -9}, Usage()),
    ("beyond all windows", {"prompt_tokens": 10**30, "completion_tokens": 2**31}, Usage()),
]


@pytest.mark.parametrize(("told", "usage"), [case[1:] for case in USAGES], ids=[case[0] for case in USAGES])
def test_openais_vendors_usage(told: Any, usage: Usage) -> None:
    assert openai.parse_usage(told) == usage


@pytest.mark.parametrize(
    ("reason", "anthropics", "openais"),
    [
        ("end", "end_turn", "stop"),
        ("length", "max_tokens", "length"),
        ("stop_sequence", "stop_sequence", "stop"),
        ("tool_calls", "tool_use", "tool_calls"),
        ("refusal", "refusal", "content_filter"),
        ("pause", "pause_turn", "stop"),
    ],
)
def test_reasons_have_a_word_in_each_dialect(reason: Any, anthropics: str, openais: str) -> None:
    events = [STARTED, TextDelta("a"), ReplyEnded(reason)]
    assert anthropic.render_reply(events, Addressee("m"))["stop_reason"] == anthropics
    assert openai.render_reply(events, Addressee("m"))["choices"][0]["finish_reason"] == openais


@pytest.mark.parametrize(
    ("given", "msg", "chatcmpl"),
    [("chatcmpl-1", "msg_1", "chatcmpl-1"), ("msg_1", "msg_1", "chatcmpl-1"), ("a/b", "msg_a_b", "chatcmpl-a_b")],
)
def test_ids_get_the_dialects_prefix(given: str, msg: str, chatcmpl: str) -> None:
    events = [ReplyStarted(given, "m"), ReplyEnded("end")]
    assert anthropic.render_reply(events, Addressee("m"))["id"] == msg
    assert openai.render_reply(events, Addressee("m"))["id"] == chatcmpl


def test_why_anthropic_refused_is_told_to_openais_clients() -> None:
    details = {"type": "refusal", "category": "cyber", "explanation": "It could harm."}
    told = {"type": "message", "id": "msg_1", "content": [], "stop_reason": "refusal", "stop_details": details}
    events = DIALECTS["anthropic_messages"].parse_reply(told)
    (choice,) = DIALECTS["openai_chat"].render_reply(events, Addressee("m"))["choices"]
    assert (choice["message"]["refusal"], choice["message"]["content"]) == ("It could harm.", None)
    assert choice["finish_reason"] == "stop"
    response = DIALECTS["openai_responses"].render_reply(events, Addressee("m"))
    assert response["output"][0]["content"] == [{"type": "refusal", "refusal": "It could harm."}]
    assert response["status"] == "completed"
    lines = [
        {"type": "message_start", "message": {"id": "msg_1", "model": ""}},
        {"type": "message_delta", "delta": {"stop_reason": "refusal", "stop_details": details}},
        {"type": "message_stop"},
    ]
    reader = DIALECTS["anthropic_messages"].reader()
    heard = [e for line in lines for e in reader.feed(ServerSentEvent(json.dumps(line), str(line["type"])))]
    assert heard == events


def test_who_is_cut_off_by_a_filter_has_not_declined() -> None:
    events = [ReplyStarted("1", "m"), TextDelta("Well"), ReplyEnded("refusal")]
    (choice,) = DIALECTS["openai_chat"].render_reply(events, Addressee("m"))["choices"]
    assert (choice["finish_reason"], choice["message"]["refusal"]) == ("content_filter", None)
    response = DIALECTS["openai_responses"].render_reply(events, Addressee("m"))
    assert response["incomplete_details"] == {"reason": "content_filter"}
