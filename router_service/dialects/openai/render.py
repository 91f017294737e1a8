"""The neutral model as an OpenAI Chat Completions request, within what its vendors accept."""

from dataclasses import replace

from router_service.conversation import (
    Conversation,
    Json,
    OutputSchema,
    Reasoning,
    Text,
    Tool,
)
from router_service.dialects.dialect import Rendered, Target
from router_service.dialects.openai import messages
from router_service.dialects.openai.request import NAME
from router_service.dialects.parts import fit, names, schemas, thinking, users, vendor_tools


def render_request(conversation: Conversation, target: Target) -> Rendered:
    warnings: list[str] = []
    own, asked = conversation.dialect == NAME, conversation
    conversation = conversation if own else names.shortened(conversation)
    conversation = fit.with_documents_as_images(fit.without_unseen(conversation, target, warnings), target)
    conversation = fit.described(conversation, target, warnings)
    conversation = _without_schema(conversation, target, warnings)
    body: Json = {"model": target.model, "messages": messages.render(conversation, target, warnings)}
    body |= _tools(conversation, target, warnings)
    if conversation.max_tokens is not None:
        body[target.token_field] = fit.max_tokens(conversation.max_tokens, target, warnings)
    body |= fit.sampling(conversation, target, warnings)
    if stops := stop(conversation, target, warnings):
        body["stop"] = stops
    if conversation.reasoning and target.reasoning and (effort := _effort(conversation.reasoning, target)):
        body["reasoning_effort"] = effort
    body |= _response_format(conversation, target, warnings)
    for name, value in forced(conversation, target, warnings).items():
        body[name] = value
    if verbosity := fit.verbosity(conversation, target, warnings):
        body["verbosity"] = verbosity
    fit.thought(conversation, target, warnings)
    if conversation.stream:
        body |= {"stream": True, "stream_options": {"include_usage": True}}
    if own:
        _put_back(conversation, body)
        if vendor_tools.lacking(conversation, target) and "web_search_options" not in target.refuses:
            warnings.append(vendor_tools.cannot_search(target))
            body.pop("web_search_options", None)
    else:
        body |= users.for_openai(conversation, target)
        body |= _search_options(conversation, target, warnings)
        warnings += fit.left_out(asked, target)
    for name in fit.refused(list(body), target, warnings):
        del body[name]
    body = {name: value for name, value in body.items() if value is not None}
    return Rendered(body, tuple(dict.fromkeys(warnings)))


def _put_back(conversation: Conversation, body: Json) -> None:
    extras = conversation.extras
    if conversation.metadata:
        body["metadata"] = conversation.metadata
    if tools := extras.get("tools"):
        body["tools"] = body.get("tools", []) + tools
    if options := extras.get("stream_options"):
        body["stream_options"] = {**options, **body.get("stream_options", {})}
    body |= {name: value for name, value in extras.items() if name not in {"tools", "stream_options"}}


# -- tools and the rest ----------------------------------------------------------------------------------------


def _tools(conversation: Conversation, target: Target, warnings: list[str]) -> Json:
    own, kin = conversation.dialect == NAME, conversation.dialect.startswith("openai_")
    if not conversation.tools:
        return _choice_without_tools(conversation, target, warnings)
    if not target.tools:
        warnings.append(f"tools left out: {target.model} takes none")
        return {}
    body: Json = {"tools": [(own and tool.freeform) or _function(tool, kin=kin) for tool in conversation.tools]}
    choice = conversation.tool_choice
    if choice and choice.mode == "named" and choice.name not in {tool.name for tool in conversation.tools}:
        warnings.append(f"tool_choice left out: there is no tool {choice.name} for this model")
    elif choice:
        plain_ = own and choice.name in {tool.name for tool in conversation.tools if tool.freeform}
        kind = "custom" if plain_ else "function"
        named = {"type": kind, kind: {"name": choice.name}}
        body["tool_choice"] = named if choice.mode == "named" else choice.mode
    if conversation.parallel_tools is not None:
        body["parallel_tool_calls"] = conversation.parallel_tools
    return body


def _function(tool: Tool, *, kin: bool) -> Json:
    """`strict` only for schemas that were written for OpenAI."""
    function = (
        {"name": tool.name}
        | ({"description": tool.description} if tool.description else {})
        | {"parameters": {"type": "object", "properties": {}, **tool.schema}}
        | ({"strict": tool.strict} if tool.strict is not None and kin else {})
    )
    return {"type": "function", "function": function}


def _choice_without_tools(conversation: Conversation, target: Target, warnings: list[str]) -> Json:
    """OpenAI refuses `tools: []` and a choice among none."""
    choice = conversation.tool_choice
    if choice and choice.mode in ("named", "required") and not vendor_tools.searches(conversation, target):
        warnings.append("tool_choice left out: there is no tool for this model to choose")
    return {}


def forced(conversation: Conversation, target: Target, warnings: list[str]) -> Json:
    """What has to stand in place of the client's choice of a tool, for models that cannot be forced to one."""
    mode = conversation.tool_choice.mode if conversation.tool_choice and conversation.tools else ""
    forces = mode in ("named", "required")
    match target.forcing:
        case "unthinking" if forces:
            warnings.append("thinking turned off for this request: a tool is forced")
            return {"thinking": {"type": "disabled"}, "reasoning_effort": None}
        case "any" if mode == "named":
            warnings.append(f"tool_choice: {target.model} can be made to call a tool, but no certain one")
            return {"tool_choice": "required"}
        case "never" | "auto" if forces:
            warnings.append(f"tool_choice left to {target.model}: it cannot be made to call a tool")
            return {"tool_choice": "auto"}
        case "auto" if mode == "none":
            return dict.fromkeys(("tools", "tool_choice", "parallel_tool_calls"))
    return {}


def stop(conversation: Conversation, target: Target, warnings: list[str]) -> list[str]:
    wanted, most = fit.stop(conversation, target, warnings), target.most_stops
    if len(wanted) > most:
        warnings.append(f"only the first {most} of {len(wanted)} stop sequences given: {target.model} takes no more")
    return wanted[:most]


def _search_options(conversation: Conversation, target: Target, warnings: list[str]) -> Json:
    wanted = vendor_tools.searches(conversation, target)
    if wanted is None:
        return {}
    if wanted.uses or wanted.only or wanted.never:
        warnings.append("domains and number of searches left out: chat completions search without such bounds")
    near = {"user_location": {"type": "approximate", "approximate": wanted.near}} if wanted.near else {}
    return {"web_search_options": near | ({"search_context_size": wanted.depth} if wanted.depth else {})}


def _effort(reasoning: Reasoning, target: Target) -> str:
    """Not to think at all is `low`, the least that every reasoning model takes."""
    return thinking.nearest(thinking.effort(reasoning) if reasoning.enabled else "low", target.efforts)


def _without_schema(conversation: Conversation, target: Target, warnings: list[str]) -> Conversation:
    """Who knows `json_object` alone is told the schema in words."""
    wanted = conversation.output_schema
    if target.structured or wanted is None or wanted.schema is None:
        return conversation
    told = Text(schemas.in_words(wanted, warnings))
    return replace(conversation, system=(*conversation.system, told), output_schema=OutputSchema())


def beside_tools(conversation: Conversation, target: Target, warnings: list[str]) -> bool:
    """Whether a schema is asked for that the target does not take beside tools."""
    if target.schema_beside_tools or not conversation.output_schema or not conversation.tools:
        return False
    warnings.append(f"structured output left out: {target.model} takes none beside tools")
    return True


def _response_format(conversation: Conversation, target: Target, warnings: list[str]) -> Json:
    wanted = conversation.output_schema
    if wanted is None or beside_tools(conversation, target, warnings):
        return {}
    if wanted.schema is None:
        return {"response_format": {"type": "json_object"}}
    named: Json = {"name": wanted.name or "reply", "schema": wanted.schema}
    named |= {"description": wanted.description} if wanted.description else {}
    named |= {"strict": True} if wanted.strict else {}
    return {"response_format": {"type": "json_schema", "json_schema": named}}
