"""The vendors' own clients read what we write: whole, streamed and as errors."""

import json
from typing import Any

import anthropic
import httpx2
import openai
import pytest

from router_service.conversation import (
    Failure,
    ReplyEnded,
    ReplyEvent,
    ReplyFailed,
    ReplyStarted,
    TextDelta,
    ThinkingDelta,
    ToolCallDelta,
    ToolCallStarted,
    Usage,
)
from router_service.dialects import DIALECTS
from router_service.dialects.dialect import Addressee

ASK: list[Any] = [{"role": "user", "content": "hi"}]
REPLY: list[ReplyEvent] = [
    ReplyStarted("chatcmpl-1", "upstream"),
    ThinkingDelta("hm"),
    TextDelta("Grüß "),
    TextDelta("Gott"),
    ToolCallStarted(0, "a", "f"),
    ToolCallStarted(1, "b", "g"),
    ToolCallDelta(0, '{"x":'),
    ToolCallDelta(1, '{"y":[]}'),
    ToolCallDelta(0, "1}"),
    ReplyEnded("tool_calls", Usage(input=6, cached=4, output=5)),
]


def http(status: int, content: bytes, kind: str) -> httpx2.Client:
    answer = httpx2.Response(status, content=content, headers={"content-type": kind})
    return httpx2.Client(transport=httpx2.MockTransport(lambda request: answer))


def anthropics(status: int, content: bytes, kind: str = "application/json") -> anthropic.Anthropic:
    return anthropic.Anthropic(api_key="k", max_retries=0, http_client=http(status, content, kind))


def openais(status: int, content: bytes, kind: str = "application/json") -> openai.OpenAI:
    return openai.OpenAI(api_key="k", max_retries=0, http_client=http(status, content, kind))


def whole(dialect: str) -> bytes:
    return json.dumps(DIALECTS[dialect].render_reply(REPLY, Addressee("m"))).encode()


def stream(dialect: str, events: list[ReplyEvent] = REPLY) -> bytes:
    writer = DIALECTS[dialect].writer(Addressee("m"))
    return b"".join(writer.feed(event) for event in events)


def check_message(message: Any) -> None:
    assert [block.type for block in message.content] == ["thinking", "text", "tool_use", "tool_use"]
    assert message.content[1].text == "Grüß Gott"
    assert [(c.id, c.name, c.input) for c in message.content[2:]] == [("a", "f", {"x": 1}), ("b", "g", {"y": []})]
    assert (message.id, message.model, message.stop_reason) == ("msg_1", "m", "tool_use")
    assert message.usage.output_tokens == 5


def test_anthropics_client_reads_a_whole_reply() -> None:
    message = anthropics(200, whole("anthropic_messages")).messages.create(model="m", max_tokens=9, messages=ASK)
    check_message(message)
    assert (message.usage.input_tokens, message.usage.cache_read_input_tokens) == (6, 4)


def test_anthropics_client_reads_a_stream() -> None:
    client = anthropics(200, stream("anthropic_messages"), "text/event-stream")
    with client.messages.stream(model="m", max_tokens=9, messages=ASK) as reply:
        check_message(reply.get_final_message())


def check_completion(completion: Any) -> None:
    (choice,) = completion.choices
    assert choice.message.content == "Grüß Gott"
    made = [(c.id, c.function.name, c.function.arguments) for c in choice.message.tool_calls]
    assert made == [("a", "f", '{"x":1}'), ("b", "g", '{"y":[]}')]
    assert (completion.id, completion.model, choice.finish_reason) == ("chatcmpl-1", "m", "tool_calls")
    assert (completion.usage.prompt_tokens, completion.usage.completion_tokens) == (10, 5)


def test_openais_client_reads_a_whole_reply() -> None:
    check_completion(openais(200, whole("openai_chat")).chat.completions.create(model="m", messages=ASK))


def test_openais_client_reads_a_stream() -> None:
    client = openais(200, stream("openai_chat"), "text/event-stream")
    with client.chat.completions.stream(model="m", messages=ASK) as reply:
        check_completion(reply.get_final_completion())


def test_the_clients_raise_what_we_say() -> None:
    failure = Failure(429, "rate_limit_error", "slow down")
    with pytest.raises(anthropic.RateLimitError, match="slow down"):
        anthropics(429, DIALECTS["anthropic_messages"].render_error(failure)).messages.create(
            model="m", max_tokens=9, messages=ASK
        )
    with pytest.raises(openai.RateLimitError, match="slow down") as raised:
        openais(429, DIALECTS["openai_chat"].render_error(failure)).chat.completions.create(model="m", messages=ASK)
    assert raised.value.code == "rate_limit_exceeded"


def test_the_clients_raise_an_error_in_mid_stream() -> None:
    events = [*REPLY[:3], ReplyFailed("overloaded_error", "too busy")]
    client = anthropics(200, stream("anthropic_messages", events), "text/event-stream")
    with (
        pytest.raises(anthropic.APIError, match="too busy"),
        client.messages.stream(model="m", max_tokens=9, messages=ASK) as reply,
    ):
        reply.until_done()
    chunks = openais(200, stream("openai_chat", events), "text/event-stream").chat.completions.create(
        model="m", messages=ASK, stream=True
    )
    with pytest.raises(openai.APIError, match="too busy"):
        list(chunks)
