"""The vendors' own clients read what we write: whole, streamed and as errors."""

import json
from typing import Any

import anthropic
import httpx2
import openai
import pytest

from router_service.conversation import (
    Citation,
    Failure,
    ReplyEnded,
    ReplyEvent,
    ReplyFailed,
    ReplyStarted,
    Search,
    TextDelta,
    TextEnded,
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


PAGE = "https://envoyproxy.io/1.40"
SEARCHED: list[ReplyEvent] = [
    ReplyStarted("1", "upstream"),
    Search("ws_1", "Envoy news", ((PAGE, "1.40"),)),
    TextDelta("It came out "),
    TextDelta("in October"),
    TextEnded((Citation("", {}, PAGE, "1.40", since=10),)),
    TextDelta("."),
    TextEnded(apart=True),
    TextDelta("Anything else?"),
    ReplyEnded("end"),
]


def test_anthropics_client_gathers_a_search_and_what_is_cited() -> None:
    client = anthropics(200, stream("anthropic_messages", SEARCHED), "text/event-stream")
    with client.messages.stream(model="m", max_tokens=9, messages=ASK) as reply:
        asked, found, cited, rest, more = reply.get_final_message().content
    assert asked.type == "server_tool_use"
    assert asked.input == {"query": "Envoy news"}
    assert found.type == "web_search_tool_result"
    assert isinstance(found.content, list)
    assert [page.url for page in found.content] == [PAGE]
    assert cited.type == rest.type == more.type == "text"
    assert [cited.text, rest.text, more.text] == ["It came out in October", ".", "Anything else?"]
    (citation,) = cited.citations or ()
    assert citation.type == "web_search_result_location"
    assert (citation.url, citation.cited_text) == (PAGE, "in October")


def test_openais_client_gathers_a_search_and_what_is_cited() -> None:
    client = openais(200, stream("openai_responses", SEARCHED), "text/event-stream")
    with client.responses.stream(model="m", input="?") as reply:
        at = [event.output_index for event in reply if event.type == "response.output_item.done"]
        search, message, more = reply.get_final_response().output
    assert at == [0, 1, 2]
    assert search.type == "web_search_call"
    assert message.type == more.type == "message"
    (text,) = message.content
    assert text.type == "output_text"
    assert text.text == "It came out in October."
    (annotation,) = text.annotations
    assert annotation.type == "url_citation"
    assert text.text[annotation.start_index : annotation.end_index] == "in October"


def test_openais_client_of_chat_has_the_pages_too() -> None:
    body = json.dumps(DIALECTS["openai_chat"].render_reply(SEARCHED, Addressee("m"))).encode()
    (choice,) = openais(200, body).chat.completions.create(model="m", messages=ASK).choices
    assert choice.message.content == "It came out in October.\n\nAnything else?"
    (annotation,) = choice.message.annotations or ()
    place = annotation.url_citation
    assert choice.message.content[place.start_index : place.end_index] == "in October"


def test_items_come_in_order_though_a_call_ends_late() -> None:
    events = [
        ReplyStarted("1", "upstream"),
        ToolCallStarted(0, "a", "f"),
        ToolCallDelta(0, '{"x":'),
        TextDelta("meanwhile"),
        ToolCallStarted(1, "b", "g"),
        ToolCallDelta(1, "{}"),
        ToolCallDelta(0, "1}"),
        ReplyEnded("tool_calls"),
    ]
    client = openais(200, stream("openai_responses", events), "text/event-stream")
    with client.responses.stream(model="m", input="?") as reply:
        told = [(e.type, e.output_index) for e in reply if e.type.startswith("response.output_item.")]  # type: ignore[union-attr]
        output = reply.get_final_response().output
    kinds = ("response.output_item.added", "response.output_item.done")
    assert told == [(kind, at) for at in range(3) for kind in kinds]
    assert [item.type for item in output] == ["function_call", "message", "function_call"]
    assert output[0].arguments == '{"x":1}'  # type: ignore[union-attr]
