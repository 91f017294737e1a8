"""Anthropic to Anthropic: which fields of the client's own bytes the target needs otherwise, and no more.

Claude Code shapes its request for the model that it believes in; another Claude may know only budgets, only
adaptive thinking, or none, may take no temperature, and write less.
"""

from collections.abc import Sequence
from typing import Any

from router_service.conversation import Conversation, Json, Reasoning
from router_service.dialects.anthropic import citations, content, render, searches
from router_service.dialects.anthropic.request import THOUGHTS, read_thinking
from router_service.dialects.dialect import Target
from router_service.dialects.parts import fit, vendor_tools


def takes(conversation: Conversation, target: Target) -> bool:
    inline = any(message.role == "system" for message in conversation.messages)
    return (
        (target.inline_system or not inline)
        and (target.tools or not conversation.tools)
        and not vendor_tools.lacking(conversation, target)
    )


def adapt(conversation: Conversation, target: Target, warnings: list[str]) -> dict[str, Any]:
    changes: dict[str, Any] = {}
    fit.thought(conversation, target, warnings)
    most = render.max_tokens(conversation, target, warnings)
    if most != conversation.max_tokens:
        changes["max_tokens"] = most
    messages = _messages(conversation.source, target, warnings)
    if not target.prefill and messages and messages[-1]["role"] == "assistant":
        messages.append({"role": "user", "content": render.GO_ON})
    if messages != list(conversation.source):
        changes["messages"] = messages
    if render.hides_user(conversation, target):
        changes["metadata"] = None
    if conversation.reasoning:
        changes |= _thinking(conversation, conversation.reasoning, target, most, warnings)
    changes |= _sampling(conversation, target, warnings)
    return changes | dict.fromkeys(fit.refused(conversation.extras, target, warnings))


def _messages(source: Sequence[Json], target: Target, warnings: list[str]) -> list[Json]:
    """The client's messages without what other models thought, and with the target's own state as it gave it.

    Claude Code 2.1.330 has the system say nothing but an effort: where that is refused, nothing is left of it.
    """
    refused = target.refuses_in_messages
    if refused:
        source = [{name: message[name] for name in message if name not in refused} for message in source]
    kept = [(message, _blocks(message, target, warnings)) for message in source]
    said = [message if blocks is None else message | {"content": blocks} for message, blocks in kept if blocks != []]
    return [message for message in said if message["content"] or message["role"] != "system" or len(message) > 2]


def _blocks(message: Json, target: Target, warnings: list[str]) -> list[Json] | None:
    """None where the message stays as it is."""
    blocks = message["content"]
    if message["role"] != "assistant" or not isinstance(blocks, list):
        return None
    made = [_block(block, target, warnings) for block in blocks]
    return None if made == blocks else [block for block in made if block is not None]


def _block(block: Json, target: Target, warnings: list[str]) -> Json | None:
    if block["type"] == "text" and block.get("citations"):
        return _cited(block, warnings)
    if block["type"] in ("server_tool_use", searches.RESULT) and searches.is_ours(block):
        warnings.append(searches.FOREIGN)
        return None
    if block["type"] not in THOUGHTS:
        return block
    thought = read_thinking(block, "")
    if not render.is_own(thought, target):
        return None
    return block | content.thinking(thought.text, thought.signature, hidden=thought.hidden)


def _cited(block: Json, warnings: list[str]) -> Json:
    """Without the citations that we wrote for other vendors' models."""
    own = [raw for raw in block["citations"] if not citations.is_ours(raw)]
    if len(own) == len(block["citations"]):
        return block
    warnings.append(content.FOREIGN_CITATIONS)
    rest = {name: value for name, value in block.items() if name != "citations"}
    return rest | ({"citations": own} if own else {})


def _thinking(conversation: Conversation, reasoning: Reasoning, target: Target, most: int, warnings: list[str]) -> Json:
    if not target.reasoning:
        return _fields(conversation, {})
    if not reasoning.enabled:
        effortless = reasoning.effort and target.thinking == "budget"  # Claude Code 2.1.197 names one all the same
        return {"output_config": _fields(conversation, {})["output_config"]} if effortless else {}
    if reasoning.implied and target.thinking == "budget":
        return _fields(conversation, {})
    if target.thinking == "budget" and (obstacle := render.mid_loop(render.own_turns(conversation, target))):
        warnings.append(f"thinking turned off for this request: {obstacle}")
        return _fields(conversation, {})
    seen, fields = render.shown(conversation, target), render.thinking_fields(reasoning, target, most)
    if _suits(conversation, reasoning, target, most):
        return {} if seen is conversation else {"thinking": fields["thinking"] | seen.extras["thinking"]}
    if (reasoning.budget is None) != (target.thinking != "budget"):
        warnings.append(f"thinking asked for {_how(fields)}: {target.model} knows no other way")
    return _fields(seen, fields)


def _how(thought: Json) -> str:
    """In words, by what the model is told how hard to think."""
    effort = thought.get("output_config", {}).get("effort")
    budget = thought.get("thinking", {}).get("budget_tokens")
    return f"with a budget of {budget} tokens" if budget else f"with effort {effort}" if effort else "adaptively"


def _suits(conversation: Conversation, reasoning: Reasoning, target: Target, most: int) -> bool:
    """A budget above the client's own max_tokens is its business: with interleaved thinking it is allowed."""
    if reasoning.budget is None:
        return target.thinking != "budget"
    return target.thinking != "adaptive" and (reasoning.budget < most or most == conversation.max_tokens)


def _fields(conversation: Conversation, thought: Json) -> Json:
    """thinking and output_config as they are to be; None where the client's are to go."""
    schema = conversation.output_schema and conversation.output_schema.schema
    form = {"format": {"type": "json_schema", "schema": schema}} if schema else {}
    config = thought.get("output_config", {}) | form | conversation.extras.get("output_config", {})
    changes: Json = {"thinking": thought.get("thinking"), "output_config": config or None}
    if thought.get("thinking"):
        changes["thinking"] = thought["thinking"] | conversation.extras.get("thinking", {})
    elif _clears_thinking(conversation):
        changes["context_management"] = None
    return changes


def _clears_thinking(conversation: Conversation) -> bool:
    """An edit of old thinking is refused when there is to be no thinking."""
    management = conversation.extras.get("context_management")
    return "clear_thinking" in str(management)


def _sampling(conversation: Conversation, target: Target, warnings: list[str]) -> Json:
    """1 is what a model without sampling does anyway, and left out without a word."""
    given = {"temperature": conversation.temperature, "top_p": conversation.top_p}
    given["top_k"] = conversation.extras.get("top_k")
    refused = [name for name, value in given.items() if value is not None] if not target.sampling else []
    warnings += [f"{name} left out: {target.model} does not take it" for name in refused if given[name] != 1]
    kept = fit.stop(conversation, target, warnings)
    return dict.fromkeys([*refused, *(["stop_sequences"] if conversation.stop and not kept else [])])
