"""The neutral model as an OpenAI Responses request, within what OpenAI accepts.

Nothing is stored there: `store` is false, and reasoning comes back encrypted, so that the client's transcript holds
all there is. The API has no stop sequences, and takes no fewer than 16 tokens of output.
"""

import json
from collections.abc import Mapping

from router_service.conversation import (
    Citation,
    Conversation,
    Document,
    Image,
    Json,
    Message,
    Opaque,
    OutputSchema,
    Part,
    Reasoning,
    Search,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolResult,
)
from router_service.dialects.dialect import Rendered, Target
from router_service.dialects.parts import cited, fit, names, plain, thinking, users, vendor_tools
from router_service.dialects.parts.turns import Turn, split, without_orphans
from router_service.dialects.responses import citations, searches
from router_service.dialects.responses.request import NAME

GO_ON = "Continue."
LEAST_OUTPUT = 16
ID_LENGTH = (1, 64)
ENCRYPTED = "reasoning.encrypted_content"


def render_request(conversation: Conversation, target: Target) -> Rendered:
    warnings: list[str] = []
    own = conversation.dialect == NAME
    conversation = conversation if own else names.shortened(conversation)
    conversation = fit.without_unseen(conversation, target, warnings)
    body: Json = {"model": target.model}
    if system := fit.system_words(conversation):
        body["instructions"] = "\n\n".join(system)
    custom = {tool.name for tool in conversation.tools if tool.freeform} if own else set()
    spaces = {tool.name: tool.space for tool in conversation.tools if tool.space} if own else {}
    items = (item for turn in split(conversation.messages) for item in _turn(turn, target, custom, warnings))
    body["input"] = [in_its_space(item, spaces) for item in items]
    if not body["input"]:
        body["input"] = [message("user", [{"type": "input_text", "text": body.pop("instructions", "") or GO_ON}])]
    body |= _tools(conversation, target, warnings)
    if conversation.max_tokens is not None:
        body["max_output_tokens"] = max(fit.max_tokens(conversation.max_tokens, target, warnings), LEAST_OUTPUT)
    body |= fit.sampling(conversation, target, warnings)
    if conversation.stop:
        warnings.append("stop sequences left out: OpenAI's Responses take none")
    body |= _reasoning(conversation.reasoning, target, own=own)
    if text := text_fields(conversation, target, warnings):
        body["text"] = text
    fit.thought(conversation, target, warnings)
    if conversation.stream:
        body["stream"] = True
    body["store"] = False
    if own:
        _put_back(conversation, target, body, warnings)
    else:
        body |= users.for_openai(conversation, target)
        if vendor_tools.searches(conversation, target):
            body["include"] = [*body.get("include", ()), searches.SOURCES]
        warnings += fit.left_out(conversation, target)
    for name in fit.refused(list(body), target, warnings):
        del body[name]
    body = {name: value for name, value in body.items() if value is not None and (name, value) != ("tools", [])}
    return Rendered(body, tuple(dict.fromkeys(warnings)))


def text_fields(conversation: Conversation, target: Target, warnings: list[str]) -> Json:
    wanted = {"verbosity": fit.verbosity(conversation, target, warnings)}
    form_ = {"format": form(conversation.output_schema)} if conversation.output_schema else {}
    return form_ | {name: value for name, value in wanted.items() if value}


def _put_back(conversation: Conversation, target: Target, body: Json, warnings: list[str]) -> None:
    extras = dict(conversation.extras)
    if conversation.metadata:
        body["metadata"] = conversation.metadata
    extras.pop("tools", None)
    if tools := extras.pop("namespaces", []) + vendor_tools.own(conversation, target, warnings):
        body["tools"] = body.get("tools", []) + tools
    for name in ("reasoning", "text"):
        if rest := extras.pop(name, None):
            body[name] = rest | body.get(name, {})
    if included := extras.pop("include", None):
        body["include"] = list(dict.fromkeys([*included, *body.get("include", [])]))
    body |= extras


# -- input -----------------------------------------------------------------------------------------------------


def _turn(turn: Turn, target: Target, custom: set[str], warnings: list[str]) -> list[Json]:
    """`custom` are the names of the tools that take plain text."""
    items = [item for part in cited.in_runs(turn.assistant) if (item := _said(part, target, custom, warnings))]
    while items and items[-1]["type"] == "reasoning":  # refused where nothing came of it
        items.pop()
    called = {item["call_id"] for item in items if item["type"] == "custom_tool_call"}
    items += [_output(result, called, warnings) for result in turn.results]
    return items + [_heard(message, target, warnings) for message in turn.rest]


def _said(part: Part, target: Target, custom: set[str], warnings: list[str]) -> Json | None:
    match part:
        case Text(words, refusal=True):
            return message("assistant", [{"type": "refusal", "refusal": words}]) if words else None
        case Text(words, told):
            output = {"type": "output_text", "text": words} | _annotations(words, told, warnings)
            return message("assistant", [output]) if words else None
        case Thinking():
            return reasoning_item(part) if is_own(part, target) else None
        case ToolCall(call_id, name, arguments):
            return call_item(fit.tool_id(call_id, ID_LENGTH), name, arguments, custom=name in custom)
        case Search():
            return searches.replayed(part)
        case Opaque(dialect, _, raw) if dialect == NAME:
            return raw
        case Opaque(_, kind, _):
            warnings.append(f"{kind} left out: this model's vendor does not know it")
    return None


def _annotations(words: str, told: tuple[Citation, ...], warnings: list[str]) -> Json:
    made = [raw for one in told if (raw := citations.render(one, len(words)))]
    if len(made) < len(told):
        warnings.append("citations left out: OpenAI knows only those of the web")
    return {"annotations": made} if made else {}


def is_own(thought: Thinking, target: Target) -> bool:
    """Whether the target made it and its state is an item of this dialect."""
    return thought.maker in (NAME, target.maker) and thought.signature.startswith("{")


def reasoning_item(thought: Thinking) -> Json:
    item: Json = json.loads(thought.signature)
    return item


def call_item(call_id: str, name: str, arguments: str, *, custom: bool = False) -> Json:
    if custom:
        return {"type": "custom_tool_call", "call_id": call_id, "name": name, "input": plain.text(arguments)}
    return {"type": "function_call", "call_id": call_id, "name": name, "arguments": arguments or "{}"}


def in_its_space(item: Json, spaces: Mapping[str, tuple[str, str]]) -> Json:
    """A call by the two names that the client knows the tool by."""
    if not str(item.get("type")).endswith("_call") or item.get("name") not in spaces:
        return item
    space, name = spaces[item["name"]]
    return item | {"namespace": space, "name": name}


def message(role: str, parts: list[Json]) -> Json:
    return {"type": "message", "role": role, "content": parts}


def _output(result: ToolResult, custom: set[str], warnings: list[str]) -> Json:
    """Text as a string; what can be seen as parts. OpenAI has no word for a failed tool but the text's own."""
    parts = [made for part in result.parts if (made := _part(part, warnings))]
    if result.is_error and not (parts and str(parts[0].get("text", "")).lower().startswith("error")):
        parts = _prefixed("Error: ", parts)
    words_only = all(part["type"] == "input_text" for part in parts)
    output = "\n".join(part["text"] for part in parts) if words_only else parts
    call_id = fit.tool_id(result.call_id, ID_LENGTH)
    kind = "custom_tool_call_output" if call_id in custom else "function_call_output"
    return {"type": kind, "call_id": call_id, "output": output}


def _prefixed(words: str, parts: list[Json]) -> list[Json]:
    if parts and parts[0]["type"] == "input_text":
        return [parts[0] | {"text": words + parts[0]["text"]}, *parts[1:]]
    return [{"type": "input_text", "text": words}, *parts]


def _heard(heard: Message, target: Target, warnings: list[str]) -> Json:
    inline = heard.role == "system" and target.inline_system
    parts = heard.parts if inline else fit.as_user(heard, warnings)
    made = [block for part in without_orphans(parts, warnings) if (block := _part(part, warnings))]
    return message("developer" if inline else "user", made or [{"type": "input_text", "text": ""}])


def _part(part: Part, warnings: list[str]) -> Json | None:
    match part:
        case Text(words):
            return {"type": "input_text", "text": words} if words else None
        case Image(media_type, data, url, detail):
            shown = {"type": "input_image", "image_url": url or f"data:{media_type};base64,{data}"}
            return shown | ({"detail": detail} if detail else {})
        case Document(url=url, title=title) if url:
            return {"type": "input_file", "file_url": url}
        case Document(media_type, data, title=title) if data:
            file = f"data:{media_type};base64,{data}"
            return {"type": "input_file", "filename": title or "document.pdf", "file_data": file}
        case Document(text=words, title=title):
            return {"type": "input_text", "text": f"{title}\n\n{words}" if title else words}
        case Opaque(dialect, _, raw) if dialect == NAME:
            return raw
        case Opaque(_, kind, raw):
            if known := plain.words(kind, raw):
                return {"type": "input_text", "text": known}
            warnings.append(f"{kind} left out: this model's vendor does not know it")
    return None


# -- tools and the rest ----------------------------------------------------------------------------------------


def _tools(conversation: Conversation, target: Target, warnings: list[str]) -> Json:
    own, kin = conversation.dialect == NAME, conversation.dialect.startswith("openai_")
    choice = conversation.tool_choice
    wanted = None if own else vendor_tools.searches(conversation, target)
    if not conversation.tools and not wanted:
        if choice and choice.mode in ("named", "required") and not (own and conversation.extras.get("tools")):
            warnings.append("tool_choice left out: there is no tool for this model to choose")
        return {}
    if not target.tools:
        warnings.append(f"tools left out: {target.model} takes none")
        return {}
    offered = [tool for tool in conversation.tools if not (own and tool.space)]  # those in namespaces are put back
    body: Json = {"tools": [(own and tool.freeform) or _function(tool, kin=kin) for tool in offered]}
    if wanted:
        body["tools"].append(searches.tool(wanted))
        body |= {"max_tool_calls": wanted.uses} if wanted.uses else {}
    named = {tool.name for tool in conversation.tools}
    if choice and choice.name == vendor_tools.SEARCH and choice.name not in named:
        body |= {"tool_choice": {"type": vendor_tools.SEARCH}} if wanted else {}
    elif choice and choice.mode == "named" and choice.name not in named:
        warnings.append(f"tool_choice left out: there is no tool {choice.name} for this model")
    elif choice:
        kind = (
            "custom"
            if own and choice.name in {tool.name for tool in conversation.tools if tool.freeform}
            else "function"
        )
        body["tool_choice"] = {"type": kind, "name": choice.name} if choice.mode == "named" else choice.mode
    if conversation.parallel_tools is not None:
        body["parallel_tool_calls"] = conversation.parallel_tools
    return body


def _function(tool: Tool, *, kin: bool) -> Json:
    """`strict` is the API's default, and would refuse most schemas that were not written for it."""
    return (
        {"type": "function", "name": tool.name}
        | ({"description": tool.description} if tool.description else {})
        | {"parameters": {"type": "object", "properties": {}, **tool.schema}}
        | {"strict": bool(tool.strict) and kin}
    )


def _reasoning(reasoning: Reasoning | None, target: Target, *, own: bool) -> Json:
    """Whoever can reason is asked for the state of it, for the next request of a tool loop."""
    if not target.reasoning:
        return {}
    asked: Json = {"include": [ENCRYPTED]}
    if reasoning and (effort := "low" if not reasoning.enabled else thinking.effort(reasoning)):
        asked["reasoning"] = {"effort": thinking.nearest(effort, target.efforts)} | ({} if own else {"summary": "auto"})
    return asked


def form(wanted: OutputSchema) -> Json:
    if wanted.schema is None:
        return {"type": "json_object"}
    named: Json = {"type": "json_schema", "name": wanted.name or "reply", "schema": wanted.schema}
    named |= {"description": wanted.description} if wanted.description else {}
    return named | ({"strict": True} if wanted.strict else {})
