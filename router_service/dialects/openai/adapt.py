"""OpenAI to OpenAI: which fields of the client's own bytes the target needs otherwise, and no more."""

from itertools import pairwise
from typing import Any

from router_service.conversation import Conversation, Json, Message, OutputSchema, ToolCall, ToolResult
from router_service.dialects.dialect import Target
from router_service.dialects.openai.messages import UNSIGNED, own_thoughts
from router_service.dialects.openai.render import beside_tools, forced, stop
from router_service.dialects.openai.request import NAME, THOUGHTS, WORDS, call_state, read_thoughts
from router_service.dialects.parts import fit, thinking, vendor_tools

TOKEN_FIELDS = ("max_tokens", "max_completion_tokens")
USUAL, USUAL_STOPS = Target("").hottest, Target("").most_stops  # who takes that, is the judge of more
SAMPLING = ("temperature", "top_p", "frequency_penalty", "presence_penalty", "logprobs", "top_logprobs", "logit_bias")


def takes(conversation: Conversation, target: Target) -> bool:
    inline = any(message.role == "system" for message in conversation.messages)
    return (
        (target.system or not (conversation.system or inline))
        and (target.inline_system or not inline)
        and target.refuses_in_messages.isdisjoint(conversation.words)
        and (target.tools or not conversation.tools)
        and not fit.unseen(conversation, target)
        and (target.structured or conversation.output_schema in (None, OutputSchema()))
        and fit.with_documents_as_images(conversation, target) is conversation
        and fit.described(conversation, target, []) is conversation
        and (target.tool_id_length is None or _ids_fit(conversation, target.tool_id_length))
        and (not target.strict_order or _in_strict_order(conversation))
    )


def _ids_fit(conversation: Conversation, length: tuple[int, int]) -> bool:
    calls = (part for message in conversation.messages for part in message.parts if isinstance(part, ToolCall))
    return all(fit.tool_id(call.id, length) == call.id for call in calls)


def _in_strict_order(conversation: Conversation) -> bool:
    messages = conversation.messages
    if any(message.role == "system" for message in messages) or (messages[-1:] and messages[-1].role == "assistant"):
        return False
    return all(after.role == "assistant" for before, after in pairwise(messages) if _answers(before))


def _answers(message: Message) -> bool:
    return any(isinstance(part, ToolResult) for part in message.parts)


def adapt(conversation: Conversation, target: Target, warnings: list[str]) -> dict[str, Any]:
    changes: dict[str, Any] = {}
    fit.thought(conversation, target, warnings)
    thinks = not conversation.words.isdisjoint(THOUGHTS)
    messages = [_own(message, target, thinks=thinks) for message in conversation.source]
    if messages != list(conversation.source):
        changes["messages"] = messages
    if conversation.max_tokens is not None:
        changes |= dict.fromkeys(TOKEN_FIELDS)
        changes[target.token_field] = fit.max_tokens(conversation.max_tokens, target, warnings)
    if not target.sampling:
        fit.sampling(conversation, target, warnings)
        missed = [name for name in SAMPLING if conversation.extras.get(name)]
        warnings += [f"{name} left out: {target.model} does not take it" for name in missed]
        changes |= dict.fromkeys(SAMPLING)
    elif (conversation.temperature or 0) > target.hottest < USUAL:
        changes |= fit.sampling(conversation, target, warnings)
    if conversation.stop and (not target.stop or target.most_stops < USUAL_STOPS):
        changes["stop"] = stop(conversation, target, warnings) or None
    if not target.reasoning and conversation.reasoning:
        changes["reasoning_effort"] = None
    elif conversation.reasoning and conversation.reasoning.effort and target.efforts:
        changes["reasoning_effort"] = thinking.nearest(conversation.reasoning.effort, target.efforts)
    if conversation.verbosity and not fit.verbosity(conversation, target, warnings):
        changes["verbosity"] = None
    if not conversation.tools and not conversation.extras.get("tools"):
        changes |= {"tools": None, "tool_choice": None, "parallel_tool_calls": None}
    if beside_tools(conversation, target, warnings):
        changes["response_format"] = None
    changes |= forced(conversation, target, warnings)
    if vendor_tools.lacking(conversation, target) and "web_search_options" not in target.refuses:
        warnings.append(vendor_tools.cannot_search(target))
        changes["web_search_options"] = None
    return changes | dict.fromkeys(fit.refused(_given(conversation, target), target, warnings))


def _own(message: Json, target: Target, *, thinks: bool) -> Json:
    """Without the details that we had added, and of the thoughts only the target's own. `thinks`: whether the messages
    tell any thoughts, which most conversations do not."""
    if message["role"] != "assistant" or not (thinks or message.get("tool_calls")):
        return message
    message = _signed(message, target)
    thoughts, calls = read_thoughts(message) if thinks else (), bool(message.get("tool_calls"))
    if not thoughts and not (calls and target.thoughts):
        return message
    gone = WORDS if all(thought.maker == NAME for thought in thoughts) else THOUGHTS
    kept = {name: value for name, value in message.items() if name not in gone}
    return kept | own_thoughts(thoughts, target, calls=calls)


def _signed(message: Json, target: Target) -> Json:
    """Calls are signed for who signs calls, and for nobody else."""
    calls = message.get("tool_calls") or []
    if not target.signs_calls:
        if not any("extra_content" in call for call in calls):
            return message
        bare = [{name: value for name, value in call.items() if name != "extra_content"} for call in calls]
        return message | {"tool_calls": bare}
    if not calls or call_state(calls[0]):
        return message
    return message | {"tool_calls": [calls[0] | {"extra_content": UNSIGNED}, *calls[1:]]}


def _given(conversation: Conversation, target: Target) -> list[str]:
    """The fields that vendors differ about."""
    given = [*conversation.extras]
    given += ["verbosity"] if conversation.verbosity and target.verbosity else []
    given += ["metadata"] if conversation.metadata else []
    return given + (["parallel_tool_calls"] if conversation.parallel_tools is not None else [])
