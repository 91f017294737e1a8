"""OpenAI to OpenAI: which fields of the client's own bytes the target needs otherwise, and no more."""

from typing import Any

from router_service.conversation import Conversation
from router_service.dialects.dialect import Target
from router_service.dialects.parts import fit

TOKEN_FIELDS = ("max_tokens", "max_completion_tokens")
SAMPLING = ("temperature", "top_p", "frequency_penalty", "presence_penalty", "logprobs", "top_logprobs", "logit_bias")


def takes(conversation: Conversation, target: Target) -> bool:
    system = conversation.system or any(message.role == "system" for message in conversation.messages)
    return (target.system or not system) and (target.tools or not conversation.tools)


def adapt(conversation: Conversation, target: Target) -> dict[str, Any]:
    changes: dict[str, Any] = {}
    if conversation.max_tokens is not None:
        changes |= dict.fromkeys(TOKEN_FIELDS)
        changes[target.token_field] = fit.max_tokens(conversation.max_tokens, target, [])
    if not target.sampling:
        changes |= dict.fromkeys(SAMPLING)
    if not target.stop and conversation.stop:
        changes["stop"] = None
    if not target.reasoning and conversation.reasoning:
        changes["reasoning_effort"] = None
    if not conversation.tools and not conversation.extras.get("tools"):
        changes |= {"tools": None, "tool_choice": None, "parallel_tool_calls": None}
    return changes
