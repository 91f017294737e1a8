"""What kind of request this is, and what the user last asked.

Only a user turn is routed by its content. A false "user turn" costs a routing decision; a false side request
costs the user a weaker model, so every doubt falls to the user turn. Shapes as seen from Claude Code 2.1.197 and
2.1.330, Codex, opencode and plain SDKs in November 2026.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from router_service.asks import ask_and_context, user_words
from router_service.conversation import Conversation, Message, Text

Kind = Literal["user turn", "tool continuation", "title", "probe", "compaction", "auxiliary"]

SIDE: frozenset[Kind] = frozenset({"title", "probe", "auxiliary"})

_COMPACTION = "CRITICAL: Respond with TEXT ONLY"


@dataclass(frozen=True, slots=True)
class Intent:
    """`ask` is the user's last real words, empty when there are none. `context` is what came before, newest first."""

    kind: Kind
    ask: str
    context: tuple[str, ...] = ()
    subagent: bool = False


def read(conversation: Conversation, headers: Mapping[str, str]) -> Intent:
    ask, context = ask_and_context(conversation)
    return Intent(_kind(conversation, headers), ask, context, subagent=is_subagent(conversation, headers))


def is_subagent(conversation: Conversation, headers: Mapping[str, str]) -> bool:
    if headers.get("x-claude-code-agent-id") or headers.get("x-claude-code-request-class") == "subagent":
        return True
    return bool(conversation.system) and "cc_is_subagent=true" in conversation.system[0].text


# -- kinds -----------------------------------------------------------------------------------------------------


def _kind(conversation: Conversation, headers: Mapping[str, str]) -> Kind:
    hinted = _hinted(headers)
    if hinted:
        return hinted
    if conversation.max_tokens == 1:
        return "probe"
    if _is_title(conversation):
        return "title"
    last = _last_user_text(conversation)
    if last.startswith(_COMPACTION):
        return "compaction"
    if _is_web_search(conversation):
        return "auxiliary"
    return "user turn" if _opens_turn(conversation) else "tool continuation"


def _hinted(headers: Mapping[str, str]) -> Kind | None:
    """What Claude Code says itself when CLAUDE_CODE_GATEWAY_HINT_HEADERS=1 (`main` and `subagent` say no kind)."""
    hints: dict[str, Kind] = {"auxiliary": "auxiliary", "compaction": "compaction"}
    return hints.get(headers.get("x-claude-code-request-class", ""))


def _is_title(conversation: Conversation) -> bool:
    """A request without tools for a JSON object whose only property is `title`."""
    schema = conversation.output_schema.schema if conversation.output_schema else None
    properties = schema.get("properties") if schema else None
    return not conversation.tools and isinstance(properties, dict) and set(properties) == {"title"}


def _is_web_search(conversation: Conversation) -> bool:
    server_tools = conversation.extras.get("tools") or []
    names = [str(tool.get("type", "")) for tool in server_tools if isinstance(tool, dict)]
    return len(names) == 1 and names[0].startswith("web_search") and not conversation.tools


def _opens_turn(conversation: Conversation) -> bool:
    """Whether what stands after the last answer holds words of the user's, not only tool results."""
    since: list[Message] = []
    for message in reversed(conversation.messages):
        if message.role == "assistant":
            break
        since.append(message)
    return any(user_words(message) for message in since)


def _last_user_text(conversation: Conversation) -> str:
    last = next((message for message in reversed(conversation.messages) if message.role == "user"), None)
    texts = [part.text for part in last.parts if isinstance(part, Text)] if last else []
    return texts[-1].lstrip() if texts else ""
