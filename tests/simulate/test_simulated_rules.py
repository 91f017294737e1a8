"""What each simulated vendor refuses, in its own words: one row a rule, and what it must not refuse."""

import base64
import io
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from archgw.simulate import Simulator, rules
from archgw.simulate.signature import sign
from archgw.simulate.vendors import ALL

HEADERS = {
    "anthropic": {"x-api-key": "k", "anthropic-version": "2023-06-01"},
    "openai": {"authorization": "Bearer k"},
}
PATHS = {"anthropic": "/v1/messages", "openai": "/v1/chat/completions"}
PNG = base64.b64encode(b"\x89PNG\r\n\x1a\nrest").decode()


def user(content: Any = "hi") -> dict[str, Any]:
    return {"role": "user", "content": content}


def assistant(content: Any = "ok", **more: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": content, **more}


async def post(vendor: str, body: dict[str, Any], headers: dict[str, str]) -> tuple[int, Any]:
    async with Simulator(vendor) as sim, aiohttp.ClientSession() as http:
        path = "/messages" if vendor == "anthropic" else "/chat/completions"
        url = f"{sim.url}{sim.vendor.base_path}{path}"
        async with http.post(url, json=body, headers=headers) as response:
            return response.status, await response.json()


# -- Anthropic -----------------------------------------------------------------------------------------------

TOOL = {"name": "w", "input_schema": {"type": "object"}}
USE = {"type": "tool_use", "id": "toolu_1", "name": "w", "input": {}}
RESULT = {"type": "tool_result", "tool_use_id": "toolu_1", "content": "ok"}
EPHEMERAL = {"cache_control": {"type": "ephemeral"}}
THINK = {"type": "enabled", "budget_tokens": 2000}
OWN_THINKING = {"type": "thinking", "thinking": "hm", "signature": sign("hm", "hm")}
OLD, MIDDLE, NEW = "claude-3-5-sonnet-20241022", "claude-sonnet-4-5", "claude-opus-4-8"


def text(words: str = "hi", **more: Any) -> dict[str, Any]:
    return {"type": "text", "text": words, **more}


def image(media_type: str = "image/png", data: str = PNG) -> dict[str, Any]:
    return {"type": "image", "source": {"type": "base64", "media_type": media_type, "data": data}}


def claude(**changes: Any) -> dict[str, Any]:
    return {"model": MIDDLE, "max_tokens": 4000, "messages": [user()], **changes}


def told(*messages: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return claude(messages=list(messages), **changes)


def without(body: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in body.items() if key != name}


SEARCH = {"type": "web_search_20250305", "name": "web_search"}
WEB = {"type": "web_search_result_location", "url": "u", "title": "t", "cited_text": "c", "encrypted_index": "Eo8B"}


def cited(**changes: Any) -> dict[str, Any]:
    return told(user(), assistant([text(citations=[{**WEB, **changes}])]), user())


REFUSED_BY_ANTHROPIC = {
    "citation of another's": (cited(encrypted_index=""), "web_search_result_location.encrypted_index: Invalid"),
    "citation of no kind": (cited(type="url_citation"), "Input tag 'url_citation' found using 'type' does not match"),
    "citation without a page": (cited(type="page_location"), "page_location.document_index: Field required"),
    "search by another name": (claude(tools=[{**SEARCH, "name": "s"}]), "name: Input should be 'web_search'"),
    "search of OpenAI's fields": (
        claude(tools=[{**SEARCH, "filters": {}}]),
        "tools.0.web_search_20250305.filters: Extra inputs are not permitted",
    ),
    "search with both lists": (
        claude(tools=[{**SEARCH, "allowed_domains": ["a.b"], "blocked_domains": ["c.d"]}]),
        "Only one of allowed_domains and blocked_domains may be given",
    ),
    "search that another vendor made": (
        told(user(), assistant([{"type": "server_tool_use", "id": "srvtoolu_archgw_1", "name": "web_search"}]), user()),
        "Invalid encrypted_content",
    ),
    "unknown field": (claude(n=2), "n: Extra inputs are not permitted"),
    "field of OpenAI": (claude(max_completion_tokens=1), "max_completion_tokens: Extra inputs are not permitted"),
    "no max_tokens": (without(claude(), "max_tokens"), "max_tokens: Field required"),
    "no model": (without(claude(), "model"), "model: Field required"),
    "no messages": (without(claude(), "messages"), "messages: Field required"),
    "empty messages": (claude(messages=[]), "messages: at least one message is required"),
    "max_tokens of zero": (claude(max_tokens=0), "max_tokens: Input should be greater than or equal to 1"),
    "max_tokens above 8192": (
        claude(model=OLD, max_tokens=32000),
        f"max_tokens: 32000 > 8192, which is the maximum allowed number of output tokens for {OLD}",
    ),
    "max_tokens above 64000": (claude(max_tokens=128000), "max_tokens: 128000 > 64000, which is the maximum"),
    "stream as text": (claude(stream="yes"), "stream: Input should be a valid boolean"),
    "temperature of 1.5": (claude(temperature=1.5), "temperature: Input should be less than or equal to 1"),
    "temperature and top_p": (claude(temperature=1, top_p=1), "`temperature` and `top_p` cannot both be specified"),
    "temperature on a new model": (
        claude(model=NEW, temperature=1),
        "`temperature` is deprecated for this model.",
    ),
    "blank stop": (claude(stop_sequences=[" "]), "stop_sequences: each stop sequence must contain non-whitespace"),
    "metadata": (claude(metadata={"name": "x"}), "metadata.name: Extra inputs are not permitted"),
    "context_management without beta": (
        claude(context_management={"edits": []}),
        "context_management: Extra inputs are not permitted",
    ),
    "safeguards without beta": (claude(safeguards=[]), "safeguards: Extra inputs are not permitted"),
    "effort without beta": (
        claude(model="claude-opus-4-5", output_config={"effort": "high"}),
        "output_config.effort: Extra inputs are not permitted",
    ),
    "effort on a model without": (
        claude(output_config={"effort": "high"}),
        "This model does not support the effort parameter.",
    ),
    "too long a prompt": (
        told(user("word " * 170_000)),
        "prompt is too long: 212503 tokens > 200000 maximum",
    ),
    "prompt and max_tokens": (
        told(user("word " * 150_000), max_tokens=64000),
        "input length and `max_tokens` exceed context limit: 187503 + 64000 > 200000, decrease",
    ),
    # messages
    "role system": (told({"role": "system", "content": "x"}, user()), 'messages: Unexpected role "system". The'),
    "role tool": (told(user(), {"role": "tool", "content": "x"}), 'messages: Unexpected role "tool".'),
    "assistant first": (told(assistant(), user()), 'messages: first message must use the "user" role'),
    "no content": (told({"role": "user"}), "messages.0.content: Field required"),
    "field in message": (told({**user(), "name": "x"}), "messages.0.name: Extra inputs are not permitted"),
    "empty user content": (told(user("")), "messages.0: user messages must have non-empty content"),
    "empty assistant content": (told(user(), assistant([]), user()), "messages.1: all messages must have non-empty"),
    "empty system content": (
        told(user(), {"role": "system", "content": []}, assistant("so"), user(), model=NEW),
        "messages.1: all messages must have non-empty",
    ),
    "empty text": (told(user([text("")])), "messages: text content blocks must be non-empty"),
    "blank text": (told(user([text(" ")])), "messages: text content blocks must contain non-whitespace text"),
    "empty system text": (claude(system=[text("")]), "system: text content blocks must be non-empty"),
    "unknown block": (told(user([{"type": "audio"}])), "messages.0.content.0: Input tag 'audio' found using 'type'"),
    "unknown field in block": (told(user([text(x=1)])), "messages.0.content.0.text.x: Extra inputs are not permitted"),
    "block of the other role": (told(user([USE])), "messages.0: `tool_use` blocks can only be in `assistant` messages"),
    "blank at the end": (told(user(), assistant("so ")), "messages: final assistant content cannot end with trailing"),
    "prefill on a new model": (
        told(user(), assistant("so"), model=NEW),
        "This model does not support assistant message prefill.",
    ),
    "five cache marks": (
        told(user([text(**EPHEMERAL)] * 5)),
        "A maximum of 4 blocks with cache_control may be provided. Found 5.",
    ),
    "image/bmp": (
        told(user([image("image/bmp")])),
        "messages.0.content.0.image.source.base64.media_type: Input should be 'image/jpeg', 'image/png', "
        "'image/gif' or 'image/webp'",
    ),
    "broken base64": (told(user([image(data="no!")])), "messages.0.content.0.image.source.base64: invalid base64"),
    "mislabelled image": (told(user([image("image/jpeg")])), "the image appears to be a image/png image"),
    # tools
    "tool without schema": (claude(tools=[{"name": "w"}]), "tools.0.custom.input_schema: Field required"),
    "tool of OpenAI": (claude(tools=[{"type": "function", "function": {}}]), "tools.0: Input tag 'function'"),
    "schema without type": (
        claude(tools=[{"name": "w", "input_schema": {}}]),
        "tools.0.custom.input_schema.type: Field required",
    ),
    "tool name": (
        claude(tools=[{**TOOL, "name": "a.b"}]),
        "tools.0.custom.name: String should match pattern '^[a-zA-Z0-9_-]{1,128}$'",
    ),
    "two tools of one name": (claude(tools=[TOOL, TOOL]), "tools: Tool names must be unique."),
    "choice without tools": (claude(tool_choice={"type": "auto"}), "tool_choice may only be specified while"),
    "choice as text": (claude(tools=[TOOL], tool_choice="auto"), "tool_choice: Input should be a valid dictionary"),
    "choice of nothing": (
        claude(tools=[TOOL], tool_choice={"type": "tool", "name": "x"}),
        "Tool 'x' not found in provided tools",
    ),
    "call without result": (
        told(user(), assistant([USE]), user()),
        "messages.1: `tool_use` ids were found without `tool_result` blocks immediately after: toolu_1. Each "
        "`tool_use` block must have a corresponding `tool_result` block in the next message.",
    ),
    "result behind text": (told(user(), assistant([USE]), user([text(), RESULT])), "messages.1: `tool_use` ids were"),
    "result without call": (
        told(user([RESULT])),
        "messages.0.content.0: unexpected `tool_use_id` found in `tool_result` blocks: toolu_1. Each "
        "`tool_result` "
        "block must have a corresponding `tool_use` block in the previous message.",
    ),
    "two results of one call": (
        told(user(), assistant([USE]), user([RESULT, RESULT])),
        "each tool_use must have a single result. Found multiple `tool_result` blocks with id: toolu_1",
    ),
    "calls of one id": (told(user(), assistant([USE, USE]), user([RESULT])), "`tool_use` ids must be unique"),
    "tool id": (
        told(user(), assistant([{**USE, "id": "a:b"}]), user([{**RESULT, "tool_use_id": "a:b"}])),
        "messages.1.content.0.tool_use.id: String should match pattern '^[a-zA-Z0-9_-]+$'",
    ),
    "arguments as text": (
        told(user(), assistant([{**USE, "input": "{}"}]), user([RESULT])),
        "messages.1.content.0.tool_use.input: Input should be a valid dictionary",
    ),
    # thinking
    "thinking on an old model": (claude(model=OLD, thinking=THINK), f"'{OLD}' does not support thinking."),
    "adaptive on an older model": (
        claude(thinking={"type": "adaptive"}),
        "adaptive thinking is not supported on this model",
    ),
    "budget on a newer model": (
        claude(model=NEW, thinking=THINK),
        '"thinking.type.enabled" is not supported for this model. Use "thinking.type.adaptive"',
    ),
    "small budget": (
        claude(thinking={**THINK, "budget_tokens": 100}),
        "thinking.enabled.budget_tokens: Input should be greater than or equal to 1024",
    ),
    "budget above max_tokens": (
        claude(thinking={**THINK, "budget_tokens": 4000}),
        "`max_tokens` must be greater than `thinking.budget_tokens`.",
    ),
    "thinking and a forced tool": (
        claude(thinking=THINK, tools=[TOOL], tool_choice={"type": "any"}),
        "Thinking may not be enabled when tool_choice forces tool use.",
    ),
    "thinking and temperature": (
        claude(thinking=THINK, temperature=0.5),
        "`temperature` may only be set to 1 when thinking is enabled.",
    ),
    "display without beta": (
        claude(model=NEW, thinking={"type": "adaptive", "display": "updates"}),
        "thinking.adaptive.display: Input should be 'summarized' or 'omitted'",
    ),
    "invented signature": (
        told(user(), assistant([{**OWN_THINKING, "signature": "abcd"}, text()]), user()),
        "messages.1.content.0: Invalid `signature` in `thinking` block",
    ),
    "changed thinking": (
        told(user(), assistant([{**OWN_THINKING, "thinking": "ha"}, text()]), user()),
        "messages.1.content.0: Invalid `signature` in `thinking` block",
    ),
    "tool loop without thinking": (
        told(user(), assistant([USE]), user([RESULT]), thinking=THINK, tools=[TOOL]),
        "messages.1.content.0.type: Expected `thinking` or `redacted_thinking`, but found `tool_use`. When "
        "`thinking` is enabled, a final `assistant` message must start with a thinking block",
    ),
    "tool loop that began without thinking": (
        told(
            *(user(), assistant([USE]), user([RESULT])),
            *(assistant([OWN_THINKING, {**USE, "id": "toolu_2"}]), user([{**RESULT, "tool_use_id": "toolu_2"}])),
            thinking=THINK,
            tools=[TOOL],
        ),
        "messages.1.content.0.type: Expected `thinking` or `redacted_thinking`, but found `tool_use`.",
    ),
}


@pytest.mark.parametrize(("body", "message"), REFUSED_BY_ANTHROPIC.values(), ids=REFUSED_BY_ANTHROPIC)
async def test_anthropic_refuses(body, message):
    status, answer = await post("anthropic", body, HEADERS["anthropic"])
    assert (status, answer["type"], answer["error"]["type"]) == (400, "error", "invalid_request_error")
    assert message in answer["error"]["message"]


BETAS = "context-management-2025-06-27,effort-2025-11-24,dangerous-tool-use-2026-09-03,per-turn-control-2026-07-01"
ACCEPTED_BY_ANTHROPIC = {
    "a tool loop that thinks at its start alone": told(
        *(user(), assistant([OWN_THINKING, USE]), user([RESULT])),
        *(assistant([{**USE, "id": "toolu_2"}]), user([{**RESULT, "tool_use_id": "toolu_2"}])),
        thinking=THINK,
        tools=[TOOL],
    ),
    "a tool loop without thinking, long ago": told(
        *(user(), assistant([USE]), user([RESULT]), assistant(), user()), thinking=THINK, tools=[TOOL]
    ),
    "plain": claude(),
    "roles in a row": told(user(), user(), assistant(), assistant(), user()),
    "calls and results": told(user(), assistant([text(), USE]), user([RESULT, text()]), tools=[TOOL]),
    "results in another message": told(user(), assistant([USE]), user([RESULT]), user()),
    "thinking in the loop": told(user(), assistant([OWN_THINKING, USE]), user([RESULT]), thinking=THINK, tools=[TOOL]),
    "adaptive loop without": told(
        user(), assistant([USE]), user([RESULT]), model=NEW, thinking={"type": "adaptive"}, tools=[TOOL]
    ),
    "system in messages of a new model": told(user(), {"role": "system", "content": "x"}, model=NEW),
    "effort in a system message": told(
        user(), {"role": "system", "content": "x", "output_config": {"effort": "low"}}, model=NEW
    ),
    "effort and no words in a system message": told(
        user(),
        {"role": "system", "content": [], "output_config": {"effort": "low"}},
        assistant("so"),
        user(),
        model=NEW,
    ),
    "beta fields": claude(context_management={"edits": []}, safeguards=[]),
    "effort with beta": claude(model="claude-opus-4-5", output_config={"effort": "high"}),
    "effort on a new model": claude(model=NEW, output_config={"effort": "xhigh"}, max_tokens=128000),
    "server tool": claude(tools=[{"type": "web_search_20250305", "name": "web_search", "max_uses": 8}]),
    "citation": cited(),
    "search near somebody": claude(tools=[{**SEARCH, "user_location": {"type": "approximate", "city": "Berlin"}}]),
    "deferred tool": claude(tools=[{**TOOL, "defer_loading": True, **EPHEMERAL}]),
    "tool_reference": told(
        user(), assistant([USE]), user([{**RESULT, "content": [{"type": "tool_reference", "tool_name": "x"}]}])
    ),
    "empty tools": claude(tools=[]),
    "image in a result": told(user(), assistant([USE]), user([{**RESULT, "content": [image()]}])),
    "prefill": told(user(), assistant("so")),
    "four cache marks": told(user([text(**EPHEMERAL)] * 3), system=[text(**EPHEMERAL)]),
}


@pytest.mark.parametrize("body", ACCEPTED_BY_ANTHROPIC.values(), ids=ACCEPTED_BY_ANTHROPIC)
async def test_anthropic_accepts(body):
    status, answer = await post("anthropic", body, {**HEADERS["anthropic"], "anthropic-beta": BETAS})
    assert (status, answer["type"]) == (200, "message"), answer


# -- OpenAI --------------------------------------------------------------------------------------------------

FUNCTION = {"type": "function", "function": {"name": "w", "parameters": {"type": "object", "properties": {}}}}


def gpt(*messages: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {"model": "gpt-4o", "messages": list(messages) or [user()], **changes}


def call(id: str = "call_1", arguments: Any = "{}", name: str = "w") -> dict[str, Any]:
    return {"id": id, "type": "function", "function": {"name": name, "arguments": arguments}}


def calls(*made: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": None, "tool_calls": list(made), **more}


def tool(id: str = "call_1", content: Any = "ok") -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": id, "content": content}


def function(**changes: Any) -> list[dict[str, Any]]:
    return [{"type": "function", "function": {**FUNCTION["function"], **changes}}]


def picture(url: str) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": url}}


def annotated(**place: Any) -> dict[str, Any]:
    return assistant(annotations=[{"type": "url_citation", "url_citation": place}])


REFUSED_BY_OPENAI = {
    "verbosity on a plain model": (
        gpt(verbosity="low"),
        "Unsupported value: 'low' is not supported with this model. Supported values are: 'medium'.",
    ),
    "verbosity of no kind": (
        gpt(model="gpt-5", verbosity="lavish"),
        "Supported values are: 'low', 'medium', and 'high'",
    ),
    "detail of no kind": (
        gpt(user([{"type": "image_url", "image_url": {"url": "https://x/y.png", "detail": "most"}}])),
        "Invalid value: 'most'. Supported values are: 'auto', 'low', and 'high'.",
    ),
    "annotation without a place": (
        gpt(user(), annotated(url="u", title="t"), user()),
        "Missing required parameter: 'messages[1].annotations[0].url_citation.start_index'.",
    ),
    "unknown field": (gpt(thinking={}), "Unrecognized request argument supplied: thinking"),
    "unknown fields": (gpt(top_k=1, system="x"), "Unrecognized request arguments supplied: top_k, system"),
    "effort on a plain model": (
        gpt(reasoning_effort="high"),
        "Unrecognized request argument supplied: reasoning_effort",
    ),
    "no messages": ({"model": "gpt-4o"}, "Missing required parameter: 'messages'."),
    "no model": ({"messages": [user()]}, "you must provide a model parameter"),
    "empty messages": (gpt(messages=[]), "Invalid 'messages': empty array."),
    "max_tokens above 16384": (
        gpt(max_tokens=128000),
        "max_tokens is too large: 128000. This model supports at most 16384 completion tokens, whereas you provided",
    ),
    "max_tokens above 32768": (gpt(model="gpt-4.1", max_tokens=64000), "This model supports at most 32768"),
    "temperature of 3": (
        gpt(temperature=3),
        "Invalid 'temperature': decimal above maximum value. Expected a value <= 2",
    ),
    "five stops": (gpt(stop=list("abcde")), "Invalid 'stop': array too long. Expected an array with maximum length 4"),
    "stream_options without stream": (
        gpt(stream_options={"include_usage": True}),
        "The 'stream_options' parameter is only allowed when 'stream' is enabled.",
    ),
    "too long": (
        gpt(user("word " * 110_000)),
        "This model's maximum context length is 128000 tokens. However, your messages resulted in 137507 tokens.",
    ),
    "o3 and max_tokens": (
        gpt(model="o3", max_tokens=100),
        "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.",
    ),
    "gpt-5 and temperature": (
        gpt(model="gpt-5", temperature=0.2),
        "Unsupported value: 'temperature' does not support 0.2 with this model. Only the default (1) value "
        "is supported.",
    ),
    "gpt-5 and stop": (gpt(model="gpt-5", stop="x"), "Unsupported parameter: 'stop' is not supported with this model."),
    "o1-preview and system": (
        gpt({"role": "system", "content": "x"}, user(), model="o1-preview"),
        "Unsupported value: 'messages[0].role' does not support 'system' with this model.",
    ),
    "o1-preview and tools": (
        gpt(model="o1-preview", tools=[FUNCTION]),
        "Unsupported parameter: 'tools' is not supported with this model.",
    ),
    # tools
    "tools: []": (
        gpt(tools=[]),
        "Invalid 'tools': empty array. Expected an array with minimum length 1, but got an empty array instead.",
    ),
    "choice without tools": (gpt(tool_choice="auto"), "'tool_choice' is only allowed when 'tools' are specified."),
    "choice of nothing": (
        gpt(tools=[FUNCTION], tool_choice={"type": "function", "function": {"name": "x"}}),
        "Invalid value for 'tool_choice': function 'x' not found in 'tools' parameter.",
    ),
    "choice any": (gpt(tools=[FUNCTION], tool_choice="any"), "Invalid value: 'any'. Supported values are: 'none'"),
    "tool of Anthropic": (gpt(tools=[TOOL]), "Missing required parameter: 'tools[0].type'."),
    "tool name": (
        gpt(tools=function(name="a.b")),
        "Invalid 'tools[0].function.name': string does not match pattern. Expected a string that matches the "
        "pattern "
        "'^[a-zA-Z0-9_-]+$'.",
    ),
    "long tool name": (gpt(tools=function(name="w" * 65)), "Expected a string with maximum length 64"),
    "long description": (
        gpt(model="gpt-4", tools=function(description="x" * 2000)),
        "Invalid 'tools[0].function.description': string too long. Expected a string with maximum length 1024",
    ),
    "field in function": (
        gpt(tools=function(cache_control={})),
        "Unknown parameter: 'tools[0].function.cache_control'.",
    ),
    "schema without type": (
        gpt(tools=function(parameters={})),
        "Invalid schema for function 'w': schema must be a JSON Schema of 'type: \"object\"', got 'type: \"None\"'.",
    ),
    "array without items": (
        gpt(tools=function(parameters={"type": "object", "properties": {"a": {"type": "array"}}})),
        "In context=('properties', 'a'), array schema missing items.",
    ),
    # messages
    "role": (gpt({"role": "model", "content": "x"}), "Invalid value: 'model'. Supported values are: 'system'"),
    "null content": (gpt(user(None)), "Invalid value for 'content': expected a string, got null."),
    "block of Anthropic": (gpt(user([USE])), "Invalid value: 'tool_use'. Supported values are: 'text', 'image_url'"),
    "field in message": (
        gpt(assistant("x", reasoning_content="hm"), user()),
        "Unknown parameter: 'messages[0].reasoning",
    ),
    "field in part": (gpt(user([text(**EPHEMERAL)])), "Unknown parameter: 'messages[0].content[0].cache_control'."),
    "image in a result": (
        gpt(user(), calls(call()), tool(content=[picture(f"data:image/png;base64,{PNG}")])),
        "Invalid 'messages[2]'. Image URLs are only allowed for messages with role 'user', but this message "
        "with role "
        "'tool' contains an image URL.",
    ),
    "call without result": (
        gpt(user(), calls(call()), user()),
        "An assistant message with 'tool_calls' must be followed by tool messages responding to each "
        "'tool_call_id'. The "
        "following tool_call_ids did not have response messages: call_1",
    ),
    "one of two results": (
        gpt(user(), calls(call(), call("call_2")), tool()),
        "did not have response messages: call_2",
    ),
    "result without call": (
        gpt(user(), tool()),
        "Invalid parameter: messages with role 'tool' must be a response to a preceeding message with 'tool_calls'.",
    ),
    "result of another call": (gpt(user(), calls(call()), tool("call_2")), "'tool_call_id' of 'call_2' not found"),
    "tool_calls: []": (gpt(user(), assistant(tool_calls=[])), "Invalid 'messages[1].tool_calls': empty array."),
    "long tool id": (
        gpt(user(), calls(call("c" * 43)), tool("c" * 43)),
        "Invalid 'messages[1].tool_calls[0].id': string too long. Expected a string with maximum length 40, "
        "but got a "
        "string with length 43 instead.",
    ),
    "arguments as object": (
        gpt(user(), calls(call(arguments={})), tool()),
        "Invalid type for 'messages[1].tool_calls[0].function.arguments': expected a string, but got an "
        "object instead.",
    ),
    "called name": (gpt(user(), calls(call(name="a.b")), tool()), "string does not match pattern."),
    "image/bmp": (gpt(user([picture(f"data:image/bmp;base64,{PNG}")])), "You uploaded an unsupported image."),
    "broken base64": (gpt(user([picture("data:image/png;base64,no!")])), "Invalid base64 image_url."),
    "file url": (gpt(user([picture("file:///x.png")])), "Expected a valid URL"),
    "image to a text model": (
        gpt(user([picture("https://x/y.png")]), model="o3-mini"),
        "Invalid content type. image_url is only supported by certain models.",
    ),
}


@pytest.mark.parametrize(("body", "message"), REFUSED_BY_OPENAI.values(), ids=REFUSED_BY_OPENAI)
async def test_openai_refuses(body, message):
    status, answer = await post("openai", body, HEADERS["openai"])
    assert (status, answer["error"]["type"]) == (400, "invalid_request_error")
    assert message in answer["error"]["message"]


ACCEPTED_BY_OPENAI = {
    "plain": gpt(),
    "developer": gpt({"role": "developer", "content": "x"}, user()),
    "calls and results in any order": gpt(user(), calls(call(), call("call_2")), tool("call_2"), tool(), user()),
    "image": gpt(user([text(), picture(f"data:image/png;base64,{PNG}")])),
    "parts in results": gpt(user(), calls(call()), tool(content=[text()])),
    "long description on gpt-4o": gpt(tools=function(description="x" * 20000)),
    "reasoning": gpt(model="gpt-5", max_completion_tokens=100, reasoning_effort="low", temperature=1),
    "nulls": gpt(temperature=None, max_tokens=None, stop=None, stream=None, stream_options=None),
    "text beside calls": gpt(user(), calls(call(), content="so"), tool()),
}


@pytest.mark.parametrize("body", ACCEPTED_BY_OPENAI.values(), ids=ACCEPTED_BY_OPENAI)
async def test_openai_accepts(body):
    status, answer = await post("openai", body, HEADERS["openai"])
    assert (status, answer.get("object")) == (200, "chat.completion"), answer


# -- the followers -------------------------------------------------------------------------------------------

NINE = "abcdefgh1"
REFUSED_BY_OTHERS = {
    "deepseek model": ("deepseek", "deepseek-x", {}, 400, "Model Not Exist"),
    "deepseek image": (
        "deepseek",
        "deepseek-chat",
        {"messages": [user([picture("https://x/y.png")])]},
        400,
        "messages[0]: unknown variant `image_url`, expected `text`",
    ),
    "deepseek developer": (
        "deepseek",
        "deepseek-chat",
        {"messages": [{"role": "developer", "content": "x"}, user()]},
        422,
        "messages[0].role: unknown variant `developer`, expected one of `system`, `user`, `assistant`, `tool`",
    ),
    "deepseek max_tokens": (
        "deepseek",
        "deepseek-chat",
        {"max_tokens": 32000},
        400,
        "Invalid max_tokens value, the valid range of max_tokens is [1, 8192]",
    ),
    "deepseek schema": (
        "deepseek",
        "deepseek-v4-pro",
        {"response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": {}}}},
        400,
        "This response_format type is unavailable now",
    ),
    "groq schema": (
        "groq",
        "llama-3.3-70b-versatile",
        {"response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": {}}}},
        400,
        "does not support response format `json_schema`",
    ),
    "mistral field": ("mistral", "mistral-large-latest", {"store": True}, 422, "extra_forbidden"),
    "mistral field in part": (
        "mistral",
        "mistral-large-latest",
        {"messages": [user([text(**EPHEMERAL)])]},
        422,
        "'loc': ['body', 'messages', 0, 'user', 'content', 0, 'text', 'cache_control']",
    ),
    "mistral id": (
        "mistral",
        "mistral-large-latest",
        {"messages": [user(), calls(call()), tool()]},
        400,
        "Tool call id was call_1 but must be a-z, A-Z, 0-9, with a length of 9.",
    ),
    "mistral order": (
        "mistral",
        "mistral-large-latest",
        {"messages": [user(), calls(call(NINE)), tool(NINE), user()]},
        400,
        "Unexpected role 'user' after role 'tool'",
    ),
    "mistral count": (
        "mistral",
        "mistral-large-latest",
        {"messages": [user(), calls(call(NINE)), assistant(), user()]},
        400,
        "Not the same number of function calls and responses",
    ),
    "groq field": ("groq", "llama-3.3-70b-versatile", {"prediction": {}}, 400, "property 'prediction' is unsupported"),
    "groq field in message": (
        "groq",
        "llama-3.3-70b-versatile",
        {"messages": [{**user(), "cache_control": {}}]},
        400,
        "property 'cache_control' is unsupported",
    ),
    "gemini field": ("gemini", "gemini-2.5-pro", {"parallel_tool_calls": True}, 400, "Cannot find field."),
    "xai model": ("xai", "grok-9", {}, 404, "Some requested entity was not found"),
    "xai stop": ("xai", "grok-4", {"stop": ["x"]}, 400, "Argument not supported on this model: stop"),
    "xai effort": ("xai", "grok-4", {"reasoning_effort": "high"}, 400, "does not support parameter reasoningEffort"),
    "groq logprobs": ("groq", "llama-3.3-70b-versatile", {"logprobs": True}, 400, "property 'logprobs' is unsupported"),
    "groq n": ("groq", "llama-3.3-70b-versatile", {"n": 2}, 400, "'n' : number must be at most 1"),
    "groq name": ("groq", "llama-3.3-70b-versatile", {"messages": [{**user(), "name": "x"}]}, 400, "property 'name'"),
    "groq JSON beside tools": (
        "groq",
        "llama-3.3-70b-versatile",
        {"tools": [FUNCTION], "response_format": {"type": "json_object"}},
        400,
        "json mode cannot be combined with tool/function calling",
    ),
    "groq effort": ("groq", "llama-3.3-70b-versatile", {"reasoning_effort": "low"}, 400, "is not supported with"),
    "gemini JSON beside tools": (
        "gemini",
        "gemini-2.5-pro",
        {"tools": [FUNCTION], "response_format": {"type": "json_object"}},
        400,
        "is unsupported",
    ),
    "deepseek forced tool": (
        "deepseek",
        "deepseek-v4-pro",
        {"tools": [FUNCTION], "tool_choice": "required"},
        400,
        "Thinking mode does not support this tool_choice",
    ),
    "deepseek without what it thought": (
        "deepseek",
        "deepseek-v4-pro",
        {"messages": [user(), calls(call()), tool()]},
        400,
        "must be passed back",
    ),
    "kimi heat": ("moonshot", "kimi-k2.6", {"temperature": 0.6}, 400, "only 1 is allowed for this model"),
    "moonshot heat": ("moonshot", "kimi-k2", {"temperature": 1.2}, 400, "invalid temperature"),
    "kimi forced tool": (
        "moonshot",
        "kimi-k2.6",
        {"tools": [FUNCTION], "tool_choice": "required"},
        400,
        "tool_choice 'required' is incompatible with thinking enabled",
    ),
    "kimi certain tool": (
        "moonshot",
        "kimi-k3",
        {"tools": [FUNCTION], "tool_choice": {"type": "function", "function": {"name": "f"}}},
        400,
        "tool_choice 'specified' is incompatible with thinking enabled",
    ),
    "kimi unthinking": ("moonshot", "kimi-k3", {"thinking": {"type": "disabled"}}, 400, "only type=enabled"),
    "kimi two words for one": (
        "moonshot",
        "kimi-k2.6",
        {"thinking": {"type": "enabled"}, "reasoning_effort": "high"},
        400,
        "cannot specify both",
    ),
    "kimi without what it thought": (
        "moonshot",
        "kimi-k2.6",
        {"messages": [user(), calls(call()), tool()]},
        400,
        "reasoning_content is missing in assistant tool call message at index 1",
    ),
    "moonshot window": ("moonshot", "moonshot-v1-8k", {"max_tokens": 8192}, 400, "exceeded model token limit: 8192"),
    "zai tool_choice": ("zai", "glm-4.6", {"tools": [FUNCTION], "tool_choice": "required"}, 400, "1210"),
    "zai stops": ("zai", "glm-4.6", {"stop": ["a", "b"]}, 400, "1210"),
    "zai heat": ("zai", "glm-4.6", {"temperature": 1.5}, 400, "1210"),
    "zai effort": ("zai", "glm-5.3", {"reasoning_effort": "medium"}, 400, "1210"),
    "zai max_tokens": ("zai", "glm-5.3", {"max_tokens": 999_999}, 400, "the valid range is [1,131072]"),
    "zai nobody speaks": ("zai", "glm-4.6", {"messages": [assistant()]}, 400, "The messages parameter is illegal"),
    "together window": (
        "together",
        "Qwen/Qwen2.5-Coder-32B-Instruct",
        {"max_tokens": 32_768},
        422,
        "`inputs` tokens + `max_new_tokens` must be <= 32768",
    ),
    "ollama tools": ("ollama", "gemma3:4b", {"tools": [FUNCTION]}, 400, "library/gemma3:4b does not support tools"),
    "openrouter tools": ("openrouter", "deepseek/deepseek-r1", {"tools": [FUNCTION]}, 404, "that support tool use"),
    "vllm tools": ("vllm", "plain", {"tools": [FUNCTION]}, 400, "--enable-auto-tool-choice"),
    "vllm window": ("vllm", "small", {"max_tokens": 8192}, 400, "in the completion"),
    "lm_studio JSON": (
        "lm_studio",
        "m",
        {"response_format": {"type": "json_object"}},
        400,
        "must be 'json_schema' or 'text'",
    ),
    "lm_studio certain tool": (
        "lm_studio",
        "m",
        {"tools": [FUNCTION], "tool_choice": {"type": "function", "function": {"name": "f"}}},
        400,
        "Invalid tool_choice type: 'object'",
    ),
    "llama_cpp tools": ("llama_cpp", "plain", {"tools": [FUNCTION]}, 500, "tools param requires --jinja flag"),
    "llama_cpp window": (
        "llama_cpp",
        "small",
        {"messages": [user("word " * 9000)]},
        400,
        "exceeds the available context size",
    ),
    "pairing everywhere": ("xai", "grok-2", {"messages": [user(), calls(call()), user()]}, 400, "tool_call_ids"),
}


@pytest.mark.parametrize(
    ("vendor", "model", "changes", "status", "words"), REFUSED_BY_OTHERS.values(), ids=REFUSED_BY_OTHERS
)
async def test_the_others_refuse(vendor, model, changes, status, words):
    answered, answer = await post(vendor, gpt(**{"model": model, **changes}), HEADERS["openai"])
    assert (answered, words in str(answer)) == (status, True), answer


ACCEPTED_BY_OTHERS = {
    "mistral loop": ("mistral", {"model": "mistral-small", "messages": [user(), calls(call(NINE)), tool(NINE)]}),
    "mistral any": ("mistral", {"model": "mistral-small", "tools": [FUNCTION], "tool_choice": "any"}),
    "mistral stream_options": (
        "mistral",
        {"model": "mistral-small", "stream_options": {"include_usage": False}},
    ),
    "deepseek ignores": ("deepseek", {"model": "deepseek-chat", "whatever": 1}),
    "ollama takes any model": ("ollama", {"model": "qwen3-coder:30b", "keep_alive": 5}),
}


@pytest.mark.parametrize(("vendor", "changes"), ACCEPTED_BY_OTHERS.values(), ids=ACCEPTED_BY_OTHERS)
async def test_the_others_accept(vendor, changes):
    status, answer = await post(vendor, gpt(**changes), HEADERS["openai"])
    assert status == 200, answer


async def test_azure_goes_by_the_book_of_openai():
    answered, answer = await post("azure_openai", gpt(whatever=1), {"api-key": "k"})
    assert (answered, answer["error"]["message"]) == (400, "Unrecognized request argument supplied: whatever")


def test_every_rule_book_is_in_the_table():
    files = {file.stem for file in Path(rules.__file__).parent.glob("*.py")}
    assert set(rules.BOOKS) == files & {vendor.name for vendor in ALL}


# -- the door ------------------------------------------------------------------------------------------------

JSON = {"content-type": "application/json"}
AT_THE_DOOR = {
    "anthropic without key": (
        "anthropic",
        {"anthropic-version": "2023-06-01"},
        401,
        "x-api-key header is required",
    ),
    "anthropic without version": ("anthropic", {"x-api-key": "k"}, 400, "anthropic-version: header is required"),
    "anthropic with a wrong version": (
        "anthropic",
        {"x-api-key": "k", "anthropic-version": "1"},
        400,
        "is not a valid version",
    ),
    "anthropic with bearer": ("anthropic", {**HEADERS["openai"], "anthropic-version": "2023-06-01"}, 200, ""),
    "openai without key": ("openai", {}, 401, "You didn't provide an API key."),
    "openai with basic auth": ("openai", {"authorization": "Basic eDp5"}, 401, "You didn't provide an API key."),
    "ollama without key": ("ollama", {}, 200, ""),
    "content type": ("openai", {**HEADERS["openai"], "content-type": "text/plain"}, 400, "Unsupported content type"),
}


@pytest.mark.parametrize(("vendor", "headers", "status", "words"), AT_THE_DOOR.values(), ids=AT_THE_DOOR)
async def test_the_door(vendor, headers, status, words):
    body = claude() if vendor == "anthropic" else gpt()
    answered, answer = await post(vendor, body, {**JSON, **headers})
    assert (answered, words in str(answer).replace('\\"', '"')) == (status, True), answer


@pytest_asyncio.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


@pytest.mark.parametrize("vendor", ["anthropic", "openai"])
async def test_a_body_that_is_no_json_is_refused(http, vendor):
    async with Simulator(vendor) as sim:
        headers = {**JSON, **HEADERS[vendor]}
        async with http.post(sim.url + PATHS[vendor], data=b"{not json", headers=headers) as response:
            assert (response.status, "JSON" in await response.text()) == (400, True)


async def test_a_body_above_32_megabytes_is_too_large(http):
    async with Simulator("anthropic") as sim:
        headers = {**JSON, **HEADERS["anthropic"]}
        data = io.BytesIO(b" " * (32 * 1024 * 1024 + 1))
        async with http.post(f"{sim.url}/v1/messages", data=data, headers=headers) as response:
            answer = await response.json()
        assert (response.status, answer["error"]["type"]) == (413, "request_too_large")


@pytest.mark.parametrize(("vendor", "status"), [("openai", 401), ("anthropic", 401), ("xai", 400), ("deepseek", 401)])
async def test_only_accepted_keys_pass_and_others_are_recorded(http, vendor, status):
    async with Simulator(vendor, accept_keys={"good"}) as sim:
        headers = {"authorization": "Bearer bad", "anthropic-version": "2023-06-01"}
        if vendor != "anthropic":
            del headers["anthropic-version"]
        path = "/v1/messages" if vendor == "anthropic" else "/v1/chat/completions"
        async with http.post(sim.url + path, json=gpt(), headers=headers) as response:
            assert response.status == status
        assert [(leak.header, leak.value) for leak in sim.leaks] == [("authorization", "Bearer bad")]


LEAKS = {
    "gateway's own": ("openai", "x-arch-route"),
    "Envoy's": ("openai", "x-envoy-attempt-count"),
    "proxy's": ("anthropic", "x-forwarded-for"),
    "cookie": ("openai", "cookie"),
    "client's": ("anthropic", "x-claude-code-session-id"),
    "Anthropic's key at OpenAI": ("openai", "x-api-key"),
    "Anthropic's version at OpenAI": ("openai", "anthropic-version"),
    "Anthropic's beta at Groq": ("groq", "anthropic-beta"),
    "OpenAI's at Anthropic": ("anthropic", "openai-organization"),
}


@pytest.mark.parametrize(("vendor", "header"), LEAKS.values(), ids=LEAKS)
async def test_a_header_that_should_not_arrive_is_refused_by_name(vendor, header):
    known = HEADERS["anthropic" if vendor == "anthropic" else "openai"]
    status, answer = await post(vendor, claude() if vendor == "anthropic" else gpt(), {**known, header: "x"})
    assert (status, header in str(answer)) == (400, True)


async def test_a_key_of_another_vendor_is_a_leak(http):
    async with Simulator("openai", refuse_leaks=False) as sim:
        headers = {"authorization": "Bearer sk-ant-123"}
        async with http.post(f"{sim.url}/v1/chat/completions", json=gpt(), headers=headers) as response:
            assert response.status == 200
        assert [leak.reason for leak in sim.leaks] == ["a key of anthropic"]


@pytest.mark.parametrize("vendor", ["anthropic", "openai"])
async def test_an_unknown_path_is_not_found(http, vendor):
    async with (
        Simulator(vendor) as sim,
        http.post(f"{sim.url}/v1/nothing", json={}, headers=HEADERS[vendor]) as response,
    ):
        assert response.status == 404


async def test_count_tokens_takes_no_max_tokens(http):
    async with Simulator("anthropic") as sim:
        url = f"{sim.url}/v1/messages/count_tokens?beta=true"
        async with http.post(url, json=claude(), headers=HEADERS["anthropic"]) as refused:
            assert "max_tokens: Extra inputs are not permitted" in await refused.text()
        async with http.post(
            url, json=without(claude(tools=[]), "max_tokens"), headers=HEADERS["anthropic"]
        ) as counted:
            assert (await counted.json())["input_tokens"] > 0
