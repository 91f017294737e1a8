"""The neutral model as an Anthropic Messages request, within what Anthropic accepts.

Its rules, each a 400 when broken: results of tools directly behind their calls and first in the message; no
blank text; thinking only where the last answer began with signed thinking, and with neither a forced tool nor
a temperature; a budget below max_tokens.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from router_service.conversation import (
    Conversation,
    Json,
    OutputSchema,
    Part,
    Reasoning,
    Thinking,
)
from router_service.dialects.anthropic import content, searches
from router_service.dialects.anthropic.request import CHOICES, NAME
from router_service.dialects.dialect import Rendered, Target
from router_service.dialects.parts import fit, schemas, thinking, users, vendor_tools
from router_service.dialects.parts.turns import Turn, split, without_orphans

GO_ON = "Continue."
DEFAULT_MAX_TOKENS = 32_000  # what Claude Code asks of a model that it does not know
UNKNOWN_MAX_OUTPUT = 8_192  # what every Claude since 3.5 can write
CHOICE_TYPES = {mode: kind for kind, mode in CHOICES.items()}


def render_request(conversation: Conversation, target: Target) -> Rendered:
    warnings: list[str] = []
    conversation = shown(conversation, target)
    own = conversation.dialect == NAME
    turns = own_turns(conversation, target)
    inline = own and target.inline_system
    body: Json = {"model": target.model, "max_tokens": max_tokens(conversation, target, warnings)}
    if system := [part.text for part in conversation.system if part.text.strip()]:
        body["system"] = system[0] if len(system) == 1 else [content.text(words) for words in system]
    body["messages"] = [m for turn in turns for m in _messages(turn, warnings, inline=inline)]
    if not body["messages"]:
        body["messages"] = [{"role": "user", "content": _last_words(conversation)}]
    if not target.prefill and body["messages"][-1]["role"] == "assistant":
        body["messages"].append({"role": "user", "content": GO_ON})
    _trim_prefill(body["messages"])
    body |= _tools(conversation, target, warnings)
    if stop := _stop(conversation, target, warnings):
        body["stop_sequences"] = stop
    thought = _thinking(conversation, target, turns, body, warnings)
    body |= sampling(conversation, target, warnings, thinks=thinks(thought)) | thought
    if wanted := conversation.output_schema:
        if target.structured and wanted.schema:
            body["output_config"] = body.get("output_config", {}) | _format(wanted, conversation)
        else:
            body["system"] = _with_schema(body.get("system"), wanted, warnings)
    fit.thought(conversation, target, warnings)
    fit.verbosity(conversation, replace(target, verbosity=False), warnings)
    if conversation.stream:
        body["stream"] = True
    if own:
        _put_back(conversation, target, body)
        for name in fit.refused(list(body), target, warnings):
            del body[name]
    else:
        body |= {"metadata": {"user_id": conversation.user}} if conversation.user else {}
        warnings += fit.left_out(conversation, target)
    return Rendered({name: value for name, value in body.items() if value != {}}, tuple(dict.fromkeys(warnings)))


def shown(conversation: Conversation, target: Target) -> Conversation:
    """With a word that the target knows for how much of its thinking is to be seen."""
    display = conversation.extras.get("thinking", {}).get("display")
    if f"display {display}" not in target.refuses:
        return conversation
    return replace(conversation, extras=conversation.extras | {"thinking": {"display": "summarized"}})


def max_tokens(conversation: Conversation, target: Target, warnings: list[str]) -> int:
    if conversation.max_tokens is None:
        return min(DEFAULT_MAX_TOKENS, target.max_output or UNKNOWN_MAX_OUTPUT)
    return fit.max_tokens(conversation.max_tokens, target, warnings)


# -- messages --------------------------------------------------------------------------------------------------


def own_turns(conversation: Conversation, target: Target) -> list[Turn]:
    """The conversation without what other models thought."""
    return [_without_foreign_thinking(turn, target) for turn in split(conversation.messages)]


def _without_foreign_thinking(turn: Turn, target: Target) -> Turn:
    kept = tuple(p for p in turn.assistant if not isinstance(p, Thinking) or is_own(p, target))
    return Turn(kept, turn.results, turn.rest)


def is_own(thinking: Thinking, target: Target) -> bool:
    """Whether the target made it. Without a signature it was never Anthropic's, which would refuse it."""
    return bool(thinking.signature) and thinking.maker in (NAME, target.maker)


def _messages(turn: Turn, warnings: list[str], *, inline: bool) -> list[Json]:
    said: list[Json] = [{"role": "assistant", "content": content.blocks(turn.assistant, warnings)}]
    heard: list[Json] = [{"role": "user", "content": content.blocks(turn.results, warnings)}]
    for message in turn.rest:
        if message.role == "system" and inline:
            heard.append({"role": "system", "content": content.blocks(message.parts, warnings)})
            continue
        parts = fit.as_user(message, warnings)
        if heard[-1]["role"] != "user":
            heard.append({"role": "user", "content": []})
        heard[-1]["content"] += content.blocks(without_orphans(parts, warnings), warnings)
    return [message | {"content": _short(message["content"])} for message in said + heard if message["content"]]


def _short(blocks: list[Json]) -> str | list[Json]:
    """A lone text is written as a string."""
    return blocks[0]["text"] if len(blocks) == 1 and set(blocks[0]) == {"type", "text"} else blocks


def _last_words(conversation: Conversation) -> str:
    """Somebody must speak: where only the system did, its last words are the user's."""
    return next((part.text for part in reversed(conversation.system) if part.text.strip()), GO_ON)


def _trim_prefill(messages: list[Json]) -> None:
    """Words put into the model's mouth must not end in white space."""
    if messages and messages[-1]["role"] == "assistant" and isinstance(messages[-1]["content"], str):
        messages[-1]["content"] = messages[-1]["content"].rstrip()


# -- tools and sampling ----------------------------------------------------------------------------------------


def _tools(conversation: Conversation, target: Target, warnings: list[str]) -> Json:
    own = conversation.dialect == NAME  # whose schema is within what Anthropic can hold a model to
    server_tools = _server_tools(conversation, target, warnings)
    if not conversation.tools and not server_tools:
        wanted = conversation.tool_choice
        if wanted and wanted.mode in ("named", "required"):
            warnings.append("tool_choice left out: there is no tool for this model to choose")
        return {}
    if not target.tools:
        warnings.append(f"tools left out: {target.model} takes none")
        return {}
    body: Json = {
        "tools": [
            {"name": tool.name}
            | ({"description": tool.description} if tool.description else {})
            | {"input_schema": {"type": "object", **tool.schema}}
            | ({"strict": True} if tool.strict and own else {})
            for tool in conversation.tools
        ]
        + server_tools
    }
    if choice := _tool_choice(conversation, [str(tool.get("name")) for tool in body["tools"]], warnings):
        body["tool_choice"] = choice
    return body


def _server_tools(conversation: Conversation, target: Target, warnings: list[str]) -> list[Json]:
    if conversation.dialect == NAME:
        return vendor_tools.own(conversation, target, warnings)
    wanted = vendor_tools.searches(conversation, target)
    return [searches.tool(wanted)] if wanted else []


def _tool_choice(conversation: Conversation, offered: Sequence[str], warnings: list[str]) -> Json:
    choice = conversation.tool_choice
    kind = CHOICE_TYPES[choice.mode] if choice else "auto"
    named: Json = {}
    if choice and choice.mode == "named":
        if choice.name not in offered:
            warnings.append(f"tool_choice left out: there is no tool {choice.name} for this model")
            return {}
        named = {"name": choice.name}
    if conversation.parallel_tools is False and kind != "none":
        named["disable_parallel_tool_use"] = True
    return {"type": kind, **named} if choice or named else {}


def _stop(conversation: Conversation, target: Target, warnings: list[str]) -> list[str]:
    wanted = fit.stop(conversation, target, warnings)
    if blank := [words for words in wanted if not words.strip()]:
        warnings.append(f"stop sequences of white space left out: {blank}")
    return [words for words in wanted if words.strip()]


def sampling(conversation: Conversation, target: Target, warnings: list[str], *, thinks: bool) -> Json:
    wanted = fit.sampling(conversation, target, warnings, hottest=1.0)
    if thinks and wanted.get("temperature", 1) != 1:
        warnings.append("temperature left out: it cannot be set while the model thinks")
        del wanted["temperature"]
    if thinks and wanted.get("top_p", 1) < 0.95:
        warnings.append("top_p left out: it cannot be below 0.95 while the model thinks")
        del wanted["top_p"]
    if {"temperature", "top_p"} <= set(wanted):  # refused together since Claude Opus 4.1
        if wanted["top_p"] != 1:
            warnings.append("top_p left out: it cannot be set together with temperature")
        del wanted["top_p"]
    return wanted


# -- thinking and structured output ----------------------------------------------------------------------------


def _thinking(
    conversation: Conversation, target: Target, turns: Sequence[Turn], body: Json, warnings: list[str]
) -> Json:
    reasoning = conversation.reasoning
    if reasoning is None or not target.reasoning:
        return {}
    if not reasoning.enabled:
        return {"thinking": {"type": "disabled"}}
    obstacle = _forced(body) or (target.thinking != "adaptive" and mid_loop(turns)) or None
    if obstacle:
        warnings.append(f"thinking turned off for this request: {obstacle}")
        return {}
    fields = thinking_fields(reasoning, target, body["max_tokens"])
    if not thinks(fields):
        warnings.append(f"thinking left out: max_tokens {body['max_tokens']} leaves no room for it")
    return fields


def thinking_fields(reasoning: Reasoning, target: Target, most: int) -> Json:
    """`thinking` and `output_config` as the target is to be asked, with at most `most` tokens to write."""
    if target.thinking == "adaptive":
        effort = thinking.effort(reasoning).replace("minimal", "low")
        return {"thinking": {"type": "adaptive"}} | ({"output_config": {"effort": effort}} if effort else {})
    budget = thinking.budget(reasoning)
    if budget >= most:
        budget = max(most // 2, thinking.LEAST_BUDGET)
    return {"thinking": {"type": "enabled", "budget_tokens": budget}} if budget < most else {}


def thinks(fields: Json) -> bool:
    asked = fields.get("thinking") or {}
    return bool(asked.get("type", "disabled") != "disabled")


def _forced(body: Json) -> str:
    return "a tool is forced" if body.get("tool_choice", {}).get("type") in {"any", "tool"} else ""


def mid_loop(turns: Sequence[Turn]) -> str:
    """With a budget, an answer that goes on must have begun with thinking that Anthropic signed.

    It began behind the last words of the user's: further rounds of its tool loop need no thinking of their own.
    """
    first = None
    for turn in reversed(turns):
        if not turn.assistant or (turn.rest and not turn.results):  # words behind results are within the loop
            break
        first = turn
    if first is None or _is_signed(first.assistant[0]):
        return ""
    return "the answer that goes on was begun by another model"


def _is_signed(part: Part) -> bool:
    return isinstance(part, Thinking)


def _format(wanted: OutputSchema, conversation: Conversation) -> Json:
    """Its name is OpenAI's alone; what is said about it can stand in the schema."""
    schema = wanted.schema or {}
    if conversation.dialect != NAME:
        about = {"description": wanted.description} if wanted.description else {}
        schema = schemas.strict(about | schema)
    return {"format": {"type": "json_schema", "schema": schema}}


def _with_schema(system: Any, wanted: OutputSchema, warnings: list[str]) -> list[Json]:
    """For models that know no structured output, or none without a schema: asked for in words."""
    before = [content.text(system)] if isinstance(system, str) else system or []
    return [*before, content.text(schemas.in_words(wanted, warnings))]


def hides_user(conversation: Conversation, target: Target) -> bool:
    """The vendor of another maker's API is not told whose account it is."""
    return users.is_account(conversation.user) and not target.accounts


def _put_back(conversation: Conversation, target: Target, body: Json) -> None:
    extras = conversation.extras
    if conversation.metadata and not hides_user(conversation, target):
        body["metadata"] = conversation.metadata
    if thinks(body):
        body["thinking"] = body["thinking"] | extras.get("thinking", {})
    if config := extras.get("output_config"):
        body["output_config"] = body.get("output_config", {}) | config
    body |= {name: value for name, value in extras.items() if name not in {"tools", "thinking", "output_config"}}
