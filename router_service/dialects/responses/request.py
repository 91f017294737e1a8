"""An OpenAI Responses request, read into the neutral model.

https://platform.openai.com/docs/api-reference/responses/create, and what Codex sends beyond it. Instructions and
leading system or developer messages become the system, later ones stay in place. Items of the model's that follow
one another (reasoning, words, calls) become one message, neighbouring outputs of tools one of the user's.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from router_service.conversation import (
    BadRequest,
    Conversation,
    Document,
    Image,
    Json,
    Message,
    Opaque,
    OutputSchema,
    Part,
    Role,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
    WebSearch,
)
from router_service.dialects.parts import check, plain, thinking, vendor_tools
from router_service.dialects.parts.fit import compact, fingerprint
from router_service.dialects.parts.messages import DATA_URL, answers_only, image, read_parts, system_apart
from router_service.dialects.parts.turns import with_call_states
from router_service.dialects.responses import citations, searches
from router_service.provenance import CALL, hidden_state, opened

NAME = "openai_responses"
READ = frozenset(
    {
        "model", "input", "instructions", "tools", "tool_choice", "parallel_tool_calls", "max_output_tokens",
        "temperature", "top_p", "stream", "reasoning", "text", "metadata",
    }
)  # fmt: skip
COUNTED = frozenset(  # https://platform.openai.com/docs/api-reference/responses/input-tokens
    {
        "model", "input", "instructions", "tools", "tool_choice", "parallel_tool_calls", "reasoning", "text",
        "truncation",
    }
)  # fmt: skip
TEXT = ("format", "verbosity")
ROLES = ("system", "developer", "user", "assistant")
KEPT = "archgw keeps no responses; send the whole input with every request, as with store: false"


def parse_request(body: Json) -> Conversation:
    check.mapping(body, "the body")
    _refuse_state(body)
    instructions = check.optional(check.string, body, "instructions")
    system, messages = _input(body.get("input"))
    tools, other_tools, spaces = _tools(check.optional(check.sequence, body, "tools") or [])
    choice, other_choice = _tool_choice(body.get("tool_choice"))
    reasoning = check.optional(check.mapping, body, "reasoning") or {}
    text = check.optional(check.mapping, body, "text") or {}
    check.optional(check.strings, body, "include")
    return Conversation(
        model=check.filled(body.get("model"), "model"),
        messages=messages,
        system=((Text(instructions),) if instructions else ()) + system,
        tools=tools,
        search=_search(other_tools, body.get("max_tool_calls")),
        vendor_tools=vendor_tools.run(other_tools),
        tool_choice=choice,
        parallel_tools=check.optional(check.boolean, body, "parallel_tool_calls"),
        max_tokens=check.optional(check.count, body, "max_output_tokens"),
        temperature=check.optional(check.number, body, "temperature"),
        top_p=check.optional(check.number, body, "top_p"),
        stream=check.optional(check.boolean, body, "stream") or False,
        reasoning=thinking.asked(check.optional(check.string, reasoning, "effort", "reasoning")),
        output_schema=_output_schema(check.optional(check.mapping, text, "format", "text")),
        verbosity=check.optional(check.string, text, "verbosity", "text") or "",
        user=str(body.get("safety_identifier") or body.get("user") or ""),
        metadata=check.optional(check.mapping, body, "metadata") or {},
        extras=_extras(body, reasoning, text, tools=other_tools, namespaces=spaces, tool_choice=other_choice),
        dialect=NAME,
        source=tuple(body["input"]) if isinstance(body["input"], list) else (),
    )


def _refuse_state(body: Json) -> None:
    for name in ("previous_response_id", "conversation", "background"):
        if body.get(name):
            raise BadRequest(f"{name}: not supported, {KEPT}")


# -- input -----------------------------------------------------------------------------------------------------


def _input(value: Any) -> tuple[tuple[Text, ...], tuple[Message, ...]]:
    if isinstance(value, str):
        return (), (Message("user", (Text(value),) if value else ()),)
    if not isinstance(value, list):
        raise check.refusal("input", "a string or a list of items", value)
    if not value:
        raise check.refusal("input", "at least one item", value)
    read = [_item(item, f"input[{at}]") for at, item in enumerate(value)]
    texts, odd, rest = system_apart(read)
    return texts, odd + tuple(_joined(rest))


def _joined(messages: Sequence[Message]) -> Iterator[Message]:
    """What the model said in a row is one message; so are the outputs of tools in a row."""
    waiting: Message | None = None
    for message in messages:
        if waiting and _goes_on(waiting, message):
            waiting = Message(waiting.role, waiting.parts + message.parts)
            continue
        if waiting:
            yield replace(waiting, parts=with_call_states(waiting.parts))
        waiting = message
    if waiting:
        yield replace(waiting, parts=with_call_states(waiting.parts))


def _goes_on(before: Message, message: Message) -> bool:
    if message.role == "assistant":
        return before.role == "assistant"
    return all(answers_only(one) for one in (before, message))


def _item(value: Any, path: str) -> Message:
    item = check.mapping(value, path)
    kind = check.string(item.get("type") or "message", f"{path}.type")
    match kind:
        case "message":
            role = check.one_of(item.get("role"), f"{path}.role", ROLES)
            parts = read_parts(item.get("content"), f"{path}.content", _part)
            return Message("system" if role == "developer" else role, parts)  # type: ignore[arg-type]  # just checked
        case "reasoning":
            return Message("assistant", (read_reasoning(item, path),))
        case "function_call" | "custom_tool_call":
            return Message("assistant", (_call(item, path),))
        case "function_call_output" | "custom_tool_call_output":
            return Message("user", (_result(item, path),))
        case "web_search_call":
            return Message("assistant", (searches.read(item),))
        case "item_reference":
            raise BadRequest(f"{path}: item_reference is not supported, {KEPT}")
    role_: Role = "user" if kind.endswith("_output") or kind == "mcp_approval_response" else "assistant"
    return Message(role_, (Opaque(NAME, kind, item),))


def read_reasoning(item: Json, path: str) -> Thinking:
    """The state is the whole item, for its maker wants it back as it was; where we handed it on, it is under our seal,
    in place of the encrypted content."""
    summary = check.optional(check.sequence, item, "summary", path) or []
    shown = summary or check.optional(check.sequence, item, "content", path) or []
    words = "\n\n".join(str(part.get("text") or "") for part in shown if isinstance(part, dict))
    maker, state = opened(check.optional(check.string, item, "encrypted_content", path) or "")
    if not maker:
        return Thinking(words, compact(item) if state else "", NAME, hidden=not words)
    hidden, state = hidden_state(state)
    return Thinking(words, state, maker, hidden=hidden or state.startswith(CALL))


def _call(item: Json, path: str) -> ToolCall:
    call_id = check.filled_at(item, "call_id", path)
    name = check.filled_at(item, "name", path)
    if space := check.optional(check.string, item, "namespace", path):
        name = flat(space, name)
    if item["type"] == "custom_tool_call":
        return ToolCall(call_id, name, plain.arguments(check.string_at(item, "input", path)))
    return ToolCall(call_id, name, check.optional(check.string, item, "arguments", path) or "{}")


def _result(item: Json, path: str) -> ToolResult:
    output = item.get("output")
    inner = () if output is None else read_parts(output, f"{path}.output", _part)
    return ToolResult(
        call_id=check.filled_at(item, "call_id", path),
        parts=tuple(part for part in inner if isinstance(part, Text | Image | Document | Opaque)),
    )


def _part(value: Any, path: str) -> Part:
    part = check.mapping(value, path)
    kind = check.filled_at(part, "type", path)
    match kind:
        case "input_text" | "output_text" | "text":
            words = check.string_at(part, "text", path)
            return Text(words, citations.read(given, len(words))) if (given := part.get("annotations")) else Text(words)
        case "refusal":
            return Text(check.string_at(part, "refusal", path), refusal=True)
        case "input_image" if part.get("image_url"):
            url = check.string(part["image_url"], f"{path}.image_url")
            return image(url, check.optional(check.string, part, "detail", path) or "")
        case "input_file":
            return _file(part, path)
    return Opaque(NAME, kind, part)


def _file(part: Json, path: str) -> Part:
    title = check.optional(check.string, part, "filename", path) or ""
    if part.get("file_url"):
        return Document(url=check.string(part["file_url"], f"{path}.file_url"), title=title)
    data = DATA_URL.fullmatch(check.optional(check.string, part, "file_data", path) or "")
    if data is None:  # the id of a file that was uploaded to OpenAI
        return Opaque(NAME, "input_file", part)
    return Document(media_type=data[1], data=data[2], title=title)


# -- tools and the rest ----------------------------------------------------------------------------------------


def _tools(values: list[Any]) -> tuple[tuple[Tool, ...], list[Json], list[Json]]:
    """Functions and tools of plain text; as they came those that OpenAI runs itself; and as they came the namespaces,
    whose functions are among the first: Codex has one for each MCP server."""
    tools = [check.mapping(value, f"tools[{at}]") for at, value in enumerate(values)]
    own = tuple(_tool(tool, f"tools[{at}]") for at, tool in enumerate(tools) if tool.get("type") in OWN)
    spaces = [tool for tool in tools if tool.get("type") == "namespace"]
    inside = tuple(
        _inside(space, tool, f"tools[{at}].tools[{within}]")
        for at, space in enumerate(tools)
        if space.get("type") == "namespace"
        for within, tool in enumerate(check.optional(check.sequence, space, "tools", f"tools[{at}]") or [])
        if isinstance(tool, dict) and tool.get("type") in OWN
    )
    return own + inside, [tool for tool in tools if tool.get("type") not in (*OWN, "namespace")], spaces


def _inside(space: Json, value: Json, path: str) -> Tool:
    tool = _tool(value, path)
    within = check.filled(space.get("name"), f"{path.rpartition('.')[0]}.name")
    return replace(tool, name=flat(within, tool.name), space=(within, tool.name))


def flat(space: str, name: str) -> str:
    """One name for both; no vendor takes more than 64 characters."""
    joined = f"{space}__{name}"
    return joined if len(joined) <= LONGEST_NAME else f"{joined[: LONGEST_NAME - 17]}_{fingerprint(joined)}"


LONGEST_NAME = 64
OWN = ("function", "custom")


def _tool(tool: Json, path: str) -> Tool:
    name = check.filled_at(tool, "name", path)
    description = check.optional(check.string, tool, "description", path) or ""
    if tool["type"] == "custom":
        return Tool(name, description, plain.SCHEMA, freeform=tool)
    schema = check.optional(check.mapping, tool, "parameters", path) or {"type": "object", "properties": {}}
    return Tool(name, description, schema, check.optional(check.boolean, tool, "strict", path) or None)


def _search(tools: Sequence[Json], most: Any) -> WebSearch | None:
    """How many calls at most is said of all tools together."""
    found = next((tool for tool in tools if vendor_tools.kind(tool) == vendor_tools.SEARCH), None)
    return vendor_tools.read(found | {"max_uses": most}, found.get("filters")) if found else None


def _tool_choice(value: Any) -> tuple[ToolChoice | None, Json | None]:
    """The choice, or as it came what only OpenAI knows (`allowed_tools`, its own tools)."""
    match value:
        case None:
            return None, None
        case "auto" | "none" | "required":
            return ToolChoice(value), None
        case {"type": "function" | "custom", "name": str(name)} if name:
            return ToolChoice("named", name), None
        case dict() if vendor_tools.kind(value) == vendor_tools.SEARCH:
            return ToolChoice("named", vendor_tools.SEARCH), value
        case dict():
            return None, value
    raise check.refusal("tool_choice", "auto, none, required or a function", value)


def _output_schema(form: Json | None) -> OutputSchema | None:
    match form:
        case {"type": "json_object"}:
            return OutputSchema()
        case {"type": "json_schema", "schema": dict(schema), **named}:
            name, description = (str(named.get(word) or "") for word in ("name", "description"))
            return OutputSchema(name, schema, bool(named.get("strict")), description)
        case {"type": "json_schema"}:
            raise check.refusal("text.format.schema", "an object", None)
    return None


def _extras(body: Json, reasoning: Json, text: Json, **read: Any) -> Json:
    extras = {name: value for name, value in body.items() if name not in READ and value is not None}
    rest = {
        "reasoning": {name: value for name, value in reasoning.items() if name != "effort" and value is not None},
        "text": {name: value for name, value in text.items() if name not in TEXT and value is not None},
    }
    return extras | {name: value for name, value in (read | rest).items() if value}
