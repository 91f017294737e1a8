"""What kind of request this is, and what the user last asked, with the clients' envelopes taken off.

Only a user turn is routed by its content. A false "user turn" costs a routing decision; a false side request
costs the user a weaker model, so every doubt falls to the user turn. Shapes as seen from Claude Code 2.1.197 and
2.1.330, Codex, opencode and plain SDKs in November 2026.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from router_service.conversation import Conversation, Message, Opaque, Text, ToolCall, ToolResult

Kind = Literal["user turn", "tool continuation", "title", "probe", "compaction", "auxiliary"]

SIDE: frozenset[Kind] = frozenset({"title", "probe", "auxiliary"})

_REMINDER = re.compile(r"<system-reminder>.*?</system-reminder>", re.S)
_NOT_THE_USER = re.compile(
    r"\s*(<local-command-|<bash-input>|<bash-stdout>|<bash-stderr>|<command-name>|<command-message>"
    r"|\[Request interrupted by user|This session is being continued|CRITICAL: Respond with TEXT ONLY"
    r"|Tool loaded\.|<task-notification>)"
)
# At the beginning of a line only: a tool may read a file that has these words, this one for instance.
_QUEUED = re.compile(
    r"^(?:<system-reminder>)?The user sent a new message while you were working:\s*"
    r"(.*?)(?:\n\nThis is how Claude Code surfaces|</system-reminder>|\Z)",
    re.S | re.M,
)
_COMPACTION = "CRITICAL: Respond with TEXT ONLY"
_FENCE = re.compile(r"```.*?(?:```|\Z)", re.S)
_CONTEXT_TURNS = 3


@dataclass(frozen=True, slots=True)
class Intent:
    """`ask` is the user's last real words, empty when there are none. `context` is what came before, newest first."""

    kind: Kind
    ask: str
    context: tuple[str, ...] = ()
    subagent: bool = False


def read(conversation: Conversation, headers: Mapping[str, str]) -> Intent:
    asks = list(_turns(conversation))
    position, ask = next(((at, text) for at, role, text in asks if role == "user"), (-1, ""))
    context = tuple(f"{role}: {text}" for at, role, text in asks if at < position)[:_CONTEXT_TURNS]
    return Intent(_kind(conversation, headers), ask, context, subagent=is_subagent(conversation, headers))


def is_subagent(conversation: Conversation, headers: Mapping[str, str]) -> bool:
    if headers.get("x-claude-code-agent-id") or headers.get("x-claude-code-request-class") == "subagent":
        return True
    return bool(conversation.system) and "cc_is_subagent=true" in conversation.system[0].text


def shortened(text: str, *, most: int = 600, head: int = 420) -> str:
    """The beginning and the end of a long text: an ask stands at one of them."""
    return text if len(text) <= most else f"{text[:head]} ... {text[head - most :]}"


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
    return any(_user_words(message) for message in since)


def _last_user_text(conversation: Conversation) -> str:
    last = next((message for message in reversed(conversation.messages) if message.role == "user"), None)
    texts = [part.text for part in last.parts if isinstance(part, Text)] if last else []
    return texts[-1].lstrip() if texts else ""


# -- asks ------------------------------------------------------------------------------------------------------


def _turns(conversation: Conversation) -> Iterator[tuple[int, str, str]]:
    """(position, role, words) of every message that says something, newest first."""
    for at in range(len(conversation.messages) - 1, -1, -1):
        message = conversation.messages[at]
        words = _assistant_words(message) if message.role == "assistant" else _user_words(message)
        if words:
            yield at, "assistant" if message.role == "assistant" else "user", shortened(words)


def _user_words(message: Message) -> str:
    """What the user wrote in a message, without what clients wrap around it and put beside it."""
    found = [_words(part.text) for part in message.parts if isinstance(part, Text)] if message.role == "user" else []
    queued = [_queued(text) for text in _all_texts(message)]
    return "\n".join(filter(None, [*found, *queued])).strip()


def _words(text: str) -> str:
    text = _REMINDER.sub(" ", text).strip()
    if not text or _QUEUED.search(text) or _NOT_THE_USER.match(text):
        return ""
    return _FENCE.sub(lambda fence: shortened(fence.group(0), most=200, head=120), text)


def _queued(text: str) -> str:
    """A message typed while a tool ran: Claude Code delivers it in three places, always with these first words."""
    match = _QUEUED.search(text)
    return match.group(1).strip() if match else ""


def _all_texts(message: Message) -> Iterator[str]:
    for part in message.parts:
        match part:
            case Text(text):
                yield text
            case ToolResult(_, parts):
                yield from (inner.text for inner in parts if isinstance(inner, Text))
            case Opaque() | _:
                continue


def _assistant_words(message: Message) -> str:
    said = " ".join(part.text for part in message.parts if isinstance(part, Text)).strip()
    if said:
        return shortened(_FENCE.sub(" ", said), most=160, head=110)
    called = [part.name for part in message.parts if isinstance(part, ToolCall)]
    return f"(used {', '.join(dict.fromkeys(called))})" if called else ""
