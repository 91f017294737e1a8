"""Responses to Responses: which fields of the client's own bytes the target needs otherwise, and no more."""

from collections.abc import Sequence
from typing import Any

from router_service.conversation import Conversation, Json
from router_service.dialects.dialect import Target
from router_service.dialects.parts import fit, thinking, vendor_tools
from router_service.dialects.responses import render
from router_service.dialects.responses.request import NAME, read_reasoning

SAMPLING = ("temperature", "top_p", "top_logprobs")


def takes(conversation: Conversation, target: Target) -> bool:
    inline = any(message.role == "system" for message in conversation.messages)
    return (
        (target.inline_system or not inline)
        and (target.tools or not conversation.tools)
        and not fit.unseen(conversation, target)
        and not vendor_tools.lacking(conversation, target)
    )


def adapt(conversation: Conversation, target: Target, warnings: list[str]) -> dict[str, Any]:
    changes: dict[str, Any] = {}
    fit.thought(conversation, target, warnings)
    if conversation.max_tokens is not None:
        most = fit.max_tokens(conversation.max_tokens, target, warnings)
        changes |= {"max_output_tokens": most} if most != conversation.max_tokens else {}
    if not target.sampling:
        fit.sampling(conversation, target, warnings)
        changes |= dict.fromkeys(SAMPLING)
    if not target.reasoning:
        changes |= _without_reasoning(conversation)
    elif conversation.reasoning and conversation.reasoning.effort:
        changes |= _effort(conversation, conversation.reasoning.effort, target)
    if conversation.verbosity and not target.verbosity:
        text = conversation.extras.get("text", {}) | render.text_fields(conversation, target, warnings)
        changes["text"] = text or None
    if conversation.source and (items := _items(conversation.source, target)) != list(conversation.source):
        changes["input"] = items
    return changes | dict.fromkeys(fit.refused(list(conversation.extras), target, warnings))


def _effort(conversation: Conversation, effort: str, target: Target) -> dict[str, Any]:
    known = thinking.nearest(effort, target.efforts)
    if known == effort:
        return {}
    return {"reasoning": conversation.extras.get("reasoning", {}) | {"effort": known}}


def _without_reasoning(conversation: Conversation) -> dict[str, Any]:
    changes: dict[str, Any] = {"reasoning": None}
    included = conversation.extras.get("include")
    if isinstance(included, list) and render.ENCRYPTED in included:
        changes["include"] = [name for name in included if name != render.ENCRYPTED] or None
    return changes


def _items(source: Sequence[Json], target: Target) -> list[Json]:
    """The client's items without what other models thought. Items are bound to the reasoning before them by their ids,
    so where that goes, the ids go."""
    kept = [_own(item, target) for item in source]
    if None not in kept:
        return [item for item in kept if item is not None]
    return [{name: value for name, value in item.items() if name != "id" or _holds(item)} for item in kept if item]


def _own(item: Json, target: Target) -> Json | None:
    """The item as the target is to see it; None for the state of another model."""
    if not _holds(item):
        return item
    thought = read_reasoning(item, "")
    if not target.reasoning or not (
        render.is_own(thought, target) or (thought.maker == NAME and not thought.signature)
    ):
        return None
    return item if thought.maker == NAME else render.reasoning_item(thought)


def _holds(item: Json) -> bool:
    """Whether it is a state of the model's: its reasoning, or a history that OpenAI has made shorter."""
    return item.get("type") == "reasoning" or "encrypted_content" in item
