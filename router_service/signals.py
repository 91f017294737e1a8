"""What speaks for or against an answer, as far as the requests themselves tell: facts, none of anybody's words.

An answer speaks of itself by how it ends; what the client sends next speaks of the answer before it. Each is read
narrowly, so that what is told may be counted on: a signal that is missed costs less than one that is made up.
"""

import re
from typing import Literal

from router_service.asks import as_before
from router_service.conversation import Conversation, ReplyEnded, Text, ToolResult
from router_service.intent import Intent

Signal = Literal[
    "good", "bad", "should be",  # what the user says of it: feedback
    "override", "re-ask", "correction", "interrupted", "retried", "tool error", "reverted",  # what is sent next
    "refusal", "truncation",  # how it ends
]  # fmt: skip

_SAME = 0.85  # share of their words that two asks have in common
_FEW = 4  # different words, below which nothing is said
_USER = "user: "  # before what the user said earlier, as `Intent.context` has it
# How clients begin a tool's result when the call itself was wrong: no such tool, arguments that do not fit it. What
# merely failed (a test, a command) is no fault of the call. Claude Code 2.1, Codex 0.171, opencode 1.18, Qwen Code 0.24
_BAD_CALL = re.compile(
    r"\s*(<tool_use_error>|failed to parse function arguments|unsupported call|InputValidationError"
    r"|The arguments provided to the tool are invalid|The \S+ tool was called with invalid arguments"
    r"|Model tried to call unavailable tool|Tool \S+ not found|params must have required property)"
)
_NOT_A_WORD = re.compile(r"[\W_]+")


def of_answer(ended: ReplyEnded | None, *, declined: bool) -> Signal | None:
    """`declined`: it said so in words that are marked as such."""
    if declined or (ended and ended.reason == "refusal"):
        return "refusal"
    return "truncation" if ended and ended.reason == "length" else None


def of_next(conversation: Conversation, intent: Intent, *, overridden: bool) -> list[Signal]:
    """What a request of the same thread says of the answer before it. `overridden`: it names another model."""
    if intent.kind == "tool continuation":
        found: list[Signal | None] = [of_calls(conversation)]
    elif intent.kind == "user turn":
        found = [of_ask(intent), "override" if overridden else None]
    else:
        found = []
    return [signal for signal in found if signal]


def of_calls(conversation: Conversation) -> Signal | None:
    """Whether a call of the last answer was wrong, as its result says."""
    for message in reversed(conversation.messages):
        if message.role == "assistant":
            return None
        if any(isinstance(part, ToolResult) and _is_bad_call(part) for part in message.parts):
            return "tool error"
    return None


def of_ask(intent: Intent) -> Signal | None:
    """Whether the user asks what he asked before."""
    before = next((turn.removeprefix(_USER) for turn in intent.context if turn.startswith(_USER)), "")
    return "re-ask" if _alike(as_before(intent.ask), before) else None


def _is_bad_call(result: ToolResult) -> bool:
    first = next((part.text for part in result.parts if isinstance(part, Text)), "")
    return bool(_BAD_CALL.match(first))


def _alike(ask: str, before: str) -> bool:
    """A short one ("go on", "yes, please") may well be said twice."""
    one, other = ({*_NOT_A_WORD.sub(" ", text).casefold().split()} for text in (ask, before))
    return min(len(one), len(other)) >= _FEW and len(one & other) >= _SAME * len(one | other)
