"""An OpenAI Chat Completions request, read into the neutral model.

https://platform.openai.com/docs/api-reference/chat/create. Leading system and developer messages become the
system, later ones stay in place; neighbouring tool messages become one user message. Functions, which tools
replaced in 2023, are refused in words.
"""

from collections.abc import Sequence
from dataclasses import replace
from itertools import chain
from operator import itemgetter
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
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
    WebSearch,
)
from router_service.dialects.openai import citations, details
from router_service.dialects.parts import check, plain, thinking, vendor_tools
from router_service.dialects.parts.messages import DATA_URL, answers_only, image, read_parts, system_apart
from router_service.provenance import opened

NAME = "openai_chat"
WORDS = ("reasoning_content", "reasoning")
THOUGHTS = (*WORDS, details.FIELD)
READ = frozenset(
    {
        "model", "messages", "tools", "tool_choice", "parallel_tool_calls", "max_tokens", "max_completion_tokens",
        "temperature", "top_p", "stop", "stream", "reasoning_effort", "response_format", "metadata", "verbosity",
    }
)  # fmt: skip
ROLES = ("system", "developer", "user", "assistant", "tool")
_OF_RESULTS = (Text, Image, Document, Opaque)
_USUAL = frozenset({"role", "content", "tool_calls"})  # what most messages of the assistant have, and nothing else


def parse_request(body: Json) -> Conversation:
    check.mapping(body, "the body")
    _refuse_functions(body, "")
    system, messages = _messages(body.get("messages"))
    tools, other_tools = _tools(check.optional(check.sequence, body, "tools") or [])
    choice, other_choice = _tool_choice(body.get("tool_choice"))
    extras = {name: value for name, value in body.items() if name not in READ and value is not None}
    streaming = check.optional(check.mapping, body, "stream_options")
    named = {"tools": other_tools, "tool_choice": other_choice, "stream_options": streaming}
    most = check.optional(check.count, body, "max_completion_tokens")
    return Conversation(
        model=check.filled(body.get("model"), "model"),
        messages=messages,
        system=system,
        tools=tools,
        search=_search(options) if (options := body.get("web_search_options")) is not None else None,
        vendor_tools=(vendor_tools.SEARCH,) if options is not None else (),
        tool_choice=choice,
        parallel_tools=check.optional(check.boolean, body, "parallel_tool_calls"),
        max_tokens=check.optional(check.count, body, "max_tokens") if most is None else most,
        temperature=check.optional(check.number, body, "temperature"),
        top_p=check.optional(check.number, body, "top_p"),
        stop=_stop(body.get("stop")),
        stream=check.optional(check.boolean, body, "stream") or False,
        reasoning=thinking.asked(check.optional(check.string, body, "reasoning_effort")),
        output_schema=_output_schema(check.optional(check.mapping, body, "response_format")),
        verbosity=check.optional(check.string, body, "verbosity") or "",
        user=str(body.get("safety_identifier") or body.get("user") or ""),
        metadata=check.optional(check.mapping, body, "metadata") or {},
        extras=extras | {name: value for name, value in named.items() if value},
        dialect=NAME,
        source=tuple(body["messages"]),
        words=frozenset(chain(map(itemgetter("role"), body["messages"]), *body["messages"])),
    )


def _refuse_functions(holder: Json, path: str) -> None:
    for name, instead in (("functions", "tools"), ("function_call", "tool_choice and tool_calls")):
        if holder.get(name):
            raise BadRequest(f"{path}{name}: not supported, use {instead}")


# -- messages --------------------------------------------------------------------------------------------------


def _messages(value: Any) -> tuple[tuple[Text, ...], tuple[Message, ...]]:
    read = [_message(message, f"messages[{at}]") for at, message in enumerate(check.sequence(value, "messages"))]
    if not read:
        raise check.refusal("messages", "at least one message", read)
    texts, odd, rest = system_apart(read)
    return texts, odd + _with_results_joined(rest)


def _with_results_joined(messages: Sequence[Message]) -> tuple[Message, ...]:
    joined: list[Message] = []
    after = False
    for message in messages:
        answers = answers_only(message)
        if answers and after:
            joined[-1] = Message("user", joined[-1].parts + message.parts)
        else:
            joined.append(message)
        after = answers
    return tuple(joined)


def _message(value: Any, path: str) -> Message:
    message = check.mapping(value, path)
    role = message.get("role")
    if role not in ROLES:
        check.one_of(role, f"{path}.role", ROLES)
    if role == "assistant":
        return Message("assistant", _assistant(message, path))
    if role == "tool":
        return Message("user", (_tool_result(message, path),))
    return Message("user" if role == "user" else "system", _content(message.get("content"), path))


def _content(value: Any, path: str) -> tuple[Part, ...]:
    if isinstance(value, str):  # as most are
        return (Text(value),) if value else ()
    return read_parts(value, f"{path}.content", _part)


def _assistant(message: Json, path: str) -> tuple[Part, ...]:
    """Of a message as most are, nothing is looked for that it does not have."""
    usual = message.keys() <= _USUAL
    refusal = None
    if not usual:
        _refuse_functions(message, f"{path}.")
        refusal = check.optional(check.string, message, "refusal", path)
    content = message.get("content")
    said = () if content is None else _content(content, path)
    calls = check.optional(check.sequence, message, "tool_calls", path) or []
    called = [_tool_call(call, f"{path}.tool_calls[{at}]") for at, call in enumerate(calls)]
    if usual:
        return (*said, *called)
    words = (Text(refusal, refusal=True),) if refusal else ()
    return (*read_thoughts(message), *_cited(said, message.get("annotations")), *words, *called)


def _cited(parts: tuple[Part, ...], annotations: Any) -> tuple[Part, ...]:
    """With what it rests on at the end of the last text."""
    texts = [part for part in parts if isinstance(part, Text)]
    if not annotations or not texts:
        return parts
    told = replace(texts[-1], citations=citations.read(annotations, sum(len(text.text) for text in texts)))
    return tuple(told if part is texts[-1] else part for part in parts)


def read_thoughts(message: Json) -> tuple[Thinking, ...]:
    """`reasoning_content` is DeepSeek's and others' word, `reasoning` OpenRouter's and Ollama's; neither says whose
    thoughts they are. The details that we add do; what else stands there is OpenRouter's state."""
    given = details.listed(message.get(details.FIELD))
    sealed = [_detail(detail) for detail in given if details.is_ours(detail)]
    theirs = [detail for detail in given if not details.is_ours(detail)]
    words = next((words for name in WORDS if isinstance(words := message.get(name), str) and words), "")
    if theirs:  # ours beside them says whose they are
        maker = next((thought.maker for thought in sealed), NAME)
        return (Thinking(words, details.state(theirs), maker, hidden=not words),)
    if known := tuple(sealed):
        silent = words and not any(thought.text for thought in known)
        return (Thinking(words, maker=known[0].maker), *known) if silent else known
    return (Thinking(words, maker=NAME),) if words else ()


def _detail(detail: Json) -> Thinking:
    hidden = detail.get("type") == "reasoning.encrypted"
    maker, state = opened(str(detail.get("data" if hidden else "signature") or ""))
    return Thinking("" if hidden else str(detail.get("text") or ""), state, maker, hidden)


def _tool_call(value: Any, path: str) -> Part:
    call = check.mapping(value, path)
    if call.get("type") == "custom":
        custom = check.mapping_at(call, "custom", path)
        id_, name = check.filled_at(call, "id", path), check.filled(custom.get("name"), f"{path}.custom.name")
        return ToolCall(id_, name, plain.arguments(check.string(custom.get("input"), f"{path}.custom.input")))
    if call.get("type", "function") != "function":
        return Opaque(NAME, str(call["type"]), call)
    function = check.mapping_at(call, "function", path)
    state = call_state(call)
    id_, path = check.filled_at(call, "id", path), f"{path}.function"
    name = check.filled_at(function, "name", path)
    arguments = check.optional(check.string, function, "arguments", path) or "{}"
    return ToolCall(id_, name, arguments, state, NAME if state else "")


def call_state(call: Json) -> str:
    """What Gemini signs its calls with: https://ai.google.dev/gemini-api/docs/thought-signatures."""
    if "extra_content" not in call:
        return ""
    match call["extra_content"]:
        case {"google": {"thought_signature": str(state)}}:
            return state
    return ""


def _tool_result(message: Json, path: str) -> ToolResult:
    content = message.get("content")
    inner = () if content is None else _content(content, path)
    call_id = check.filled_at(message, "tool_call_id", path)
    return ToolResult(call_id, tuple([part for part in inner if isinstance(part, _OF_RESULTS)]))


def _part(value: Any, path: str) -> Part:
    part = check.mapping(value, path)
    kind = check.filled_at(part, "type", path)
    match kind:
        case "text" | "refusal":
            return Text(check.string(part.get(kind), f"{path}.{kind}"), refusal=kind == "refusal")
        case "thinking":  # Mistral's reasoning models
            inner = check.optional(check.sequence, part, "thinking", path) or []
            return Thinking("".join(str(one.get("text") or "") for one in inner if isinstance(one, dict)), maker=NAME)
        case "image_url":
            shown = part.get("image_url")  # Mistral takes the bare string as well
            shown = {"url": shown} if isinstance(shown, str) else check.mapping(shown, f"{path}.image_url")
            detail = check.optional(check.string, shown, "detail", f"{path}.image_url") or ""
            return image(check.filled(shown.get("url"), f"{path}.image_url.url"), detail)
        case "file":
            return _file(part, path)
    return Opaque(NAME, kind, part)


def _file(part: Json, path: str) -> Part:
    file = check.mapping_at(part, "file", path)
    data = DATA_URL.fullmatch(check.optional(check.string, file, "file_data", f"{path}.file") or "")
    if data is None:  # the id of a file that was uploaded to OpenAI
        return Opaque(NAME, "file", part)
    title = check.optional(check.string, file, "filename", f"{path}.file") or ""
    return Document(media_type=data[1], data=data[2], title=title)


# -- tools and the rest ----------------------------------------------------------------------------------------


def _tools(values: list[Any]) -> tuple[tuple[Tool, ...], list[Json]]:
    """Functions and tools of plain text, and as they came the tools of other kinds."""
    tools = [check.mapping(value, f"tools[{at}]") for at, value in enumerate(values)]
    own = tuple(_tool(tool, f"tools[{at}]") for at, tool in enumerate(tools) if tool.get("type") in OWN)
    return own, [tool for tool in tools if tool.get("type") not in OWN]


OWN = ("function", "custom")


def _search(options: Any) -> WebSearch:
    """Where the user is stands one deeper than in Responses."""
    known: Json = options if isinstance(options, dict) else {}
    near = known.get("user_location")
    found = vendor_tools.read(known, None)
    return replace(found, near=vendor_tools.read_place(near.get("approximate"))) if isinstance(near, dict) else found


def _tool(tool: Json, path: str) -> Tool:
    if tool["type"] == "custom":
        custom = check.mapping_at(tool, "custom", path)
        description = check.optional(check.string, custom, "description", f"{path}.custom") or ""
        return Tool(check.filled(custom.get("name"), f"{path}.custom.name"), description, plain.SCHEMA, freeform=tool)
    path = f"{path}.function"
    function = check.mapping(tool.get("function"), path)
    return Tool(
        name=check.filled_at(function, "name", path),
        description=check.optional(check.string, function, "description", path) or "",
        schema=check.optional(check.mapping, function, "parameters", path) or {"type": "object", "properties": {}},
        strict=check.optional(check.boolean, function, "strict", path),
    )


def _tool_choice(value: Any) -> tuple[ToolChoice | None, Json | None]:
    """The choice, or as it came what only OpenAI knows (`allowed_tools`)."""
    match value:
        case None:
            return None, None
        case "auto" | "none" | "required":
            return ToolChoice(value), None
        case {"type": "function", "function": {"name": str(name)}} | {"type": "custom", "custom": {"name": str(name)}}:
            return ToolChoice("named", name), None
        case dict():
            return None, value
    raise check.refusal("tool_choice", "auto, none, required or a function", value)


def _stop(value: Any) -> tuple[str, ...]:
    if isinstance(value, str):
        return (value,)
    return () if value is None else check.strings(value, "stop")


def _output_schema(form: Json | None) -> OutputSchema | None:
    match form:
        case {"type": "json_object"}:
            return OutputSchema()
        case {"type": "json_schema", "json_schema": {"schema": dict(schema)} as named}:
            name, description = (str(named.get(word) or "") for word in ("name", "description"))
            return OutputSchema(name, schema, bool(named.get("strict")), description)
        case {"type": "json_schema"}:
            raise check.refusal("response_format.json_schema.schema", "an object", None)
    return None
