"""Responses to Responses: which fields of the client's own bytes the target needs otherwise, and no more."""

from typing import Any

from router_service.conversation import Conversation, Json, Thinking
from router_service.dialects.dialect import Target
from router_service.dialects.parts import fit
from router_service.dialects.responses import render
from router_service.dialects.responses.request import NAME, read_reasoning

SAMPLING = ("temperature", "top_p", "top_logprobs")


def takes(conversation: Conversation, target: Target) -> bool:
    inline = any(message.role == "system" for message in conversation.messages)
    return (
        (target.inline_system or not inline)
        and (target.tools or not conversation.tools)
        and not fit.unseen(conversation, target)
    )


def adapt(conversation: Conversation, target: Target, warnings: list[str]) -> dict[str, Any]:
    changes: dict[str, Any] = {}
    if conversation.max_tokens is not None:
        most = fit.max_tokens(conversation.max_tokens, target, warnings)
        changes |= {"max_output_tokens": most} if most != conversation.max_tokens else {}
    if not target.sampling:
        fit.sampling(conversation, target, warnings, hottest=2.0)
        changes |= dict.fromkeys(SAMPLING)
    if not target.reasoning:
        changes |= _without_reasoning(conversation)
    thoughts = [part for message in conversation.messages for part in message.parts if isinstance(part, Thinking)]
    if any(thought.maker != NAME or not target.reasoning for thought in thoughts):
        changes["input"] = [item for one in conversation.source if (item := _own(one, target))]
    return changes | dict.fromkeys(fit.refused(list(conversation.extras), target, warnings))


def _without_reasoning(conversation: Conversation) -> dict[str, Any]:
    changes: dict[str, Any] = {"reasoning": None}
    included = conversation.extras.get("include")
    if isinstance(included, list) and render.ENCRYPTED in included:
        changes["include"] = [name for name in included if name != render.ENCRYPTED] or None
    return changes


def _own(item: Json, target: Target) -> Json | None:
    """The item as the target is to see it; None for what another model thought."""
    if item.get("type") != "reasoning":
        return item
    thought = read_reasoning(item, "")
    if not target.reasoning or not render.is_own(thought, target):
        return None
    return item if thought.maker == NAME else render.reasoning_item(thought)
