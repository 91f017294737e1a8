"""An Anthropic Messages request, read into the neutral model.

https://platform.claude.com/docs/en/api/messages, and what Claude Code 2.1.330 sends beyond it. What only
Anthropic understands rides along: blocks as `Opaque`, fields and server tools in `extras`.
"""

from functools import partial
from typing import Any

from router_service.conversation import (
    Conversation,
    Document,
    Image,
    Json,
    Message,
    Opaque,
    OutputSchema,
    Part,
    Reasoning,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
)
from router_service.dialects.anthropic import citations, searches
from router_service.dialects.parts import check, vendor_tools
from router_service.dialects.parts.fit import compact
from router_service.dialects.parts.messages import read_parts
from router_service.dialects.parts.turns import with_call_states
from router_service.provenance import opened

NAME = "anthropic_messages"
READ = frozenset(
    {
        "model", "messages", "system", "tools", "tool_choice", "max_tokens", "temperature", "top_p", "stop_sequences",
        "stream", "thinking", "output_config", "output_format", "metadata",
    }
)  # fmt: skip
COUNTED = frozenset(  # https://platform.claude.com/docs/en/api/messages/count_tokens
    {
        "model", "messages", "system", "tools", "tool_choice", "thinking", "output_config", "output_format",
        "context_management", "mcp_servers", "cache_control",
    }
)  # fmt: skip
ROLES = ("user", "assistant", "system")
_OF_RESULTS = (Text, Image, Document, Opaque)
THOUGHTS = ("thinking", "redacted_thinking")
CHOICES = {"auto": "auto", "any": "required", "tool": "named", "none": "none"}


def parse_request(body: Json) -> Conversation:
    check.mapping(body, "the body")
    system, odd = _system(body.get("system"))
    tools, server_tools = _tools(check.optional(check.sequence, body, "tools") or [])
    choice, parallel = _tool_choice(check.optional(check.mapping, body, "tool_choice"))
    output = check.optional(check.mapping, body, "output_config") or {}
    metadata = check.optional(check.mapping, body, "metadata") or {}
    return Conversation(
        model=check.filled(body.get("model"), "model"),
        messages=odd + _messages(body.get("messages")),
        system=system,
        tools=tools,
        search=next(
            (vendor_tools.read(t, t) for t in server_tools if vendor_tools.kind(t) == vendor_tools.SEARCH), None
        ),
        vendor_tools=vendor_tools.run(server_tools),
        tool_choice=choice,
        parallel_tools=parallel,
        max_tokens=check.optional(check.count, body, "max_tokens"),
        temperature=check.optional(check.number, body, "temperature"),
        top_p=check.optional(check.number, body, "top_p"),
        stop=check.optional(check.strings, body, "stop_sequences") or (),
        stream=check.optional(check.boolean, body, "stream") or False,
        reasoning=_reasoning(body, output),
        output_schema=_output_schema(body, output),
        user=str(metadata.get("user_id") or ""),
        metadata=metadata,
        extras=_extras(body, output, server_tools),
        dialect=NAME,
        source=tuple(body["messages"]),
    )


def _system(value: Any) -> tuple[tuple[Text, ...], tuple[Message, ...]]:
    """The texts, and a message of what else there may be one day: the neutral model's system is text."""
    parts = () if value is None else read_parts(value, "system", _part, called="blocks")
    texts = tuple(part for part in parts if isinstance(part, Text))
    odd = tuple(part for part in parts if not isinstance(part, Text))
    return texts, (Message("system", odd),) if odd else ()


def _messages(value: Any) -> tuple[Message, ...]:
    messages = check.sequence(value, "messages")
    if not messages:
        raise check.refusal("messages", "at least one message", messages)
    return tuple([_message(message, f"messages[{at}]") for at, message in enumerate(messages)])


def _message(value: Any, path: str) -> Message:
    message = check.mapping(value, path)
    role = message.get("role")
    if role not in ROLES:
        check.one_of(role, f"{path}.role", ROLES)
    content = message.get("content")
    if isinstance(content, str):  # as most are
        return Message(role, (Text(content),) if content else ())  # type: ignore[arg-type]  # just checked
    parts = with_call_states(read_parts(content, f"{path}.content", _part, called="blocks"))
    if Opaque in map(type, parts):
        parts = tuple(searches.paired(parts))
    return Message(role, parts)  # type: ignore[arg-type]  # just checked


def _part(value: Any, path: str) -> Part:
    block = check.mapping(value, path)
    kind = check.filled_at(block, "type", path)
    match kind:
        case "text":
            words = check.string_at(block, "text", path)
            given = block.get("citations")
            return Text(words, citations.read(given, f"{path}.citations", len(words))) if given else Text(words)
        case "image":
            return _image(block, path)
        case "document":
            return _document(block, path)
        case "thinking" | "redacted_thinking":
            return read_thinking(block, path)
        case "tool_use":
            call_id = check.filled_at(block, "id", path)
            name = check.filled_at(block, "name", path)
            return ToolCall(call_id, name, compact(check.mapping_at(block, "input", path)))
        case "tool_result":
            return _tool_result(block, path)
    return Opaque(NAME, kind, block)


def read_thinking(block: Json, path: str) -> Thinking:
    """A state without a seal is Anthropic's own: the client had it from there."""
    hidden = block["type"] == "redacted_thinking"
    text = "" if hidden else check.string_at(block, "thinking", path)
    sealed = check.optional(check.string, block, "data" if hidden else "signature", path) or ""
    maker, state = opened(sealed)
    return Thinking(text, state, maker or (NAME if state else ""), hidden)


def _image(block: Json, path: str) -> Part:
    source = check.mapping_at(block, "source", path)
    match source.get("type"):
        case "base64":
            return Image(
                media_type=check.filled(source.get("media_type"), f"{path}.source.media_type"),
                data=check.string(source.get("data"), f"{path}.source.data"),
            )
        case "url":
            return Image(url=check.filled(source.get("url"), f"{path}.source.url"))
    return Opaque(NAME, "image", block)


def _document(block: Json, path: str) -> Part:
    source = check.mapping_at(block, "source", path)
    told = partial(
        Document,
        title=check.optional(check.string, block, "title", path) or "",
        context=check.optional(check.string, block, "context", path) or "",
        cited=(check.optional(check.mapping, block, "citations", path) or {}).get("enabled") is True,
    )
    data = source.get("url" if source.get("type") == "url" else "data")
    match source.get("type"):
        case "base64":
            media_type = check.filled(source.get("media_type"), f"{path}.source.media_type")
            return told(media_type=media_type, data=check.string(data, f"{path}.source.data"))
        case "text":
            return told(media_type="text/plain", text=check.string(data, f"{path}.source.data"))
        case "url":
            return told(url=check.filled(data, f"{path}.source.url"))
    return Opaque(NAME, "document", block)


def _tool_result(block: Json, path: str) -> ToolResult:
    content = block.get("content")
    parts: tuple[Any, ...] = () if content is None else read_parts(content, f"{path}.content", _part, called="blocks")
    if not all(isinstance(part, _OF_RESULTS) for part in parts):
        raise check.refusal(f"{path}.content", "no tool calls or thinking in a tool's result", content)
    return ToolResult(
        call_id=check.filled_at(block, "tool_use_id", path),
        parts=parts,
        is_error=check.optional(check.boolean, block, "is_error", path) or False,
    )


# -- tools -----------------------------------------------------------------------------------------------------


def _tools(values: list[Any]) -> tuple[tuple[Tool, ...], list[Json]]:
    """Functions of the client's, and the tools that Anthropic runs itself as they came."""
    tools = [check.mapping(value, f"tools[{at}]") for at, value in enumerate(values)]
    functions = tuple(
        _tool(tool, f"tools[{at}]") for at, tool in enumerate(tools) if tool.get("type") in (None, "custom")
    )
    return functions, [tool for tool in tools if tool.get("type") not in (None, "custom")]


def _tool(tool: Json, path: str) -> Tool:
    return Tool(
        name=check.filled_at(tool, "name", path),
        description=check.optional(check.string, tool, "description", path) or "",
        schema=check.mapping_at(tool, "input_schema", path),
        strict=check.optional(check.boolean, tool, "strict", path),
    )


def _tool_choice(choice: Json | None) -> tuple[ToolChoice | None, bool | None]:
    if choice is None:
        return None, None
    kind = CHOICES[check.one_of(choice.get("type"), "tool_choice.type", CHOICES)]
    name = check.filled(choice.get("name"), "tool_choice.name") if kind == "named" else ""
    disabled = check.optional(check.boolean, choice, "disable_parallel_tool_use", "tool_choice")
    parallel = None if disabled is None else not disabled
    return ToolChoice(kind, name), parallel  # type: ignore[arg-type]  # out of CHOICES


# -- the rest --------------------------------------------------------------------------------------------------


def _reasoning(body: Json, output: Json) -> Reasoning | None:
    effort = check.optional(check.string, output, "effort", "output_config") or ""
    thinking = check.optional(check.mapping, body, "thinking")
    if thinking is None:
        return Reasoning(enabled=True, effort=effort, implied=True) if effort else None
    kind = check.filled(thinking.get("type"), "thinking.type")
    budget = check.optional(check.count, thinking, "budget_tokens", "thinking")
    return Reasoning(enabled=kind != "disabled", effort=effort, budget=budget)


def _output_schema(body: Json, output: Json) -> OutputSchema | None:
    """`output_format` is what the field was called before `output_config.format`."""
    form = check.optional(check.mapping, output, "format", "output_config")
    form = form or check.optional(check.mapping, body, "output_format")
    if form is None:
        return None
    return OutputSchema(schema=check.mapping(form.get("schema"), "output_config.format.schema"))


def _extras(body: Json, output: Json, server_tools: list[Json]) -> Json:
    extras = {name: value for name, value in body.items() if name not in READ and value is not None}
    config = {name: value for name, value in output.items() if name not in {"effort", "format"}}
    thinking = {"display": body["thinking"]["display"]} if (body.get("thinking") or {}).get("display") else {}
    named = {"tools": server_tools, "output_config": config, "thinking": thinking}
    if "cache_control" not in extras and (mark := _cache_mark(body)):
        extras["cache_control"] = mark
    return extras | {name: value for name, value in named.items() if value}


def _cache_mark(body: Json) -> Json | None:
    """The last mark of the prompt cache. On the whole request it means the last block: should the request have
    to be written anew, its prompt stays cached, though the marks of single blocks are gone."""
    contents = [body.get("tools"), body.get("system"), *(message["content"] for message in body["messages"])]
    for content in reversed(contents):
        for block in content if isinstance(content, list) else ():
            if isinstance(mark := block.get("cache_control"), dict):
                return mark
    return None
