"""What kind of request this is, and what the user last asked.

Only a user turn is routed by its content. A false "user turn" costs a routing decision; a false side request
costs the user a weaker model, so every doubt falls to the user turn. What clients say and how their own requests
begin stands in `kinds`.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from router_service.asks import Turn, as_ask, last_asked, unwrapped, user_words
from router_service.conversation import Conversation, Message, Text, ToolCall
from router_service.kinds import CLAUDE_CODE, CODEX, MARKS, Hint, Kind, Mark

Headers = Mapping[str, str]
_TITLES = ({"title"}, {"title", "branch"})  # the properties of the object that Claude Code wants, and nothing else
_VERDICTS = {"</block>", "</severity>"}  # where Claude Code stops the classifier of its auto mode
_SUMMARY = "This session is being continued from a previous conversation"
_ALL_MARKS = tuple(mark.system or mark.user for mark in MARKS)
_SUBAGENT = ("x-claude-code-agent-id", "x-openai-subagent", "x-parent-session-id")  # Claude Code, Codex, opencode


@dataclass(frozen=True, slots=True)
class Intent:
    """`ask` is the user's last real words, empty when there are none. `context` is what came before, newest first.

    `begun`: whether anything has been answered in this thread; of one that was compacted, a summary is left. `asked`:
    the ask uncut, and where it stands.
    """

    kind: Kind
    ask: str
    context: tuple[str, ...] = ()
    subagent: bool = False
    begun: bool = False
    asked: Turn | None = field(default=None, compare=False, repr=False)


def read(conversation: Conversation, headers: Headers) -> Intent:
    """What several questions are about is read once: the user's last words, and the texts of the present turn."""
    asked, context = last_asked(conversation)
    texts, answer = _of_turn(conversation), _last_answer(conversation)
    return Intent(
        kind=_kind(conversation, headers, texts, opens=_opens_turn(conversation, asked, answer)),
        ask=as_ask(asked),
        context=context,
        subagent=is_subagent(conversation, headers),
        begun=answer >= 0 or any(text.startswith(_SUMMARY) for text in texts),
        asked=asked,
    )


def is_subagent(conversation: Conversation, headers: Headers) -> bool:
    if any(map(headers.get, _SUBAGENT)) or headers.get("x-claude-code-request-class") in ("subagent", "workflow"):
        return True
    if _of_codex(headers, "thread_source") == "subagent":
        return True
    return bool(conversation.system) and "cc_is_subagent=true" in conversation.system[0].text


# -- kinds -----------------------------------------------------------------------------------------------------


def _kind(conversation: Conversation, headers: Headers, texts: Sequence[str], *, opens: bool) -> Kind:
    """`texts` of the present turn; `opens`: whether it is one of the user's that begins here."""
    hint = _hinted(headers)
    if hint in (None, "auxiliary"):  # a client's own: its shape says which
        hint = _shaped(conversation, headers) or _marked(conversation, texts) or hint
    if hint is None or hint == "turn":
        return "user turn" if opens else "tool continuation"
    return hint


def _hinted(headers: Headers) -> Hint | None:
    said = CLAUDE_CODE.get(headers.get("x-claude-code-request-class", ""))
    return said or CODEX.get(_of_codex(headers, "request_kind"))


def _of_codex(headers: Headers, field: str) -> str:
    metadata = headers.get("x-codex-turn-metadata")
    if metadata is None:
        return ""
    try:
        told = json.loads(metadata)
    except (ValueError, RecursionError):
        return ""
    return str(told.get(field, "")) if isinstance(told, dict) else ""


def _shaped(conversation: Conversation, headers: Headers) -> Kind | None:
    """The kind of a request that is not the user's, by its fields."""
    for kind, has_shape in _SHAPES:
        if has_shape(conversation, headers):
            return kind
    return None


def _is_probe(conversation: Conversation, headers: Headers) -> bool:
    """One word for one message: whether there is somebody, and whether the key is good."""
    return conversation.max_tokens == 1 and not conversation.tools and len(conversation.messages) == 1


def _is_title(conversation: Conversation, headers: Headers) -> bool:
    schema = conversation.output_schema.schema if conversation.output_schema else None
    properties = schema.get("properties") if schema else None
    return not conversation.tools and isinstance(properties, dict) and set(properties) in _TITLES


def _is_web_search(conversation: Conversation, headers: Headers) -> bool:
    """The search that Claude Code's WebSearch makes: nothing is offered but the vendor's own."""
    server_tools = conversation.extras.get("tools")
    if not server_tools or conversation.tools:
        return False
    names = [str(tool.get("type", "")) for tool in server_tools if isinstance(tool, dict)]
    return len(names) == 1 and names[0].startswith("web_search")


def _is_classifier(conversation: Conversation, headers: Headers) -> bool:
    ours = "x-claude-code-session-id" in headers and not conversation.stream and not conversation.tools
    return ours and not _VERDICTS.isdisjoint(conversation.stop)


_SHAPES: tuple[tuple[Kind, Callable[[Conversation, Headers], bool]], ...] = (
    ("probe", _is_probe),
    ("title", _is_title),
    ("web search", _is_web_search),
    ("classifier", _is_classifier),
)


def _marked(conversation: Conversation, texts: Sequence[str]) -> Kind | None:
    """The same by how it begins. Most requests bear no mark at all, which is seen at once."""
    system = [block.text.lstrip() for block in conversation.system]
    if not any(text.startswith(_ALL_MARKS) for text in (*system, *texts)):
        return None
    bare = not conversation.tools
    return next((mark.kind for mark in MARKS if _bears(system if mark.system else texts, mark, bare=bare)), None)


def _bears(texts: Sequence[str], mark: Mark, *, bare: bool) -> bool:
    return (bare or not mark.bare) and any(text.startswith(mark.system or mark.user) for text in texts)


def _of_turn(conversation: Conversation) -> list[str]:
    """How the texts of the user's side begin since the last turn ended: an answer that calls tools ends none. Where a
    text has envelopes, it is there without them, too."""
    texts: list[str] = []
    for message in reversed(conversation.messages):
        if message.role == "assistant" and not _calls_tools(message):
            break
        for part in message.parts if message.role == "user" else ():
            if isinstance(part, Text):
                texts.append(part.text.lstrip())
                if "<" in part.text:
                    texts.append(unwrapped(part.text))
    return texts


# -- turns -----------------------------------------------------------------------------------------------------


def _opens_turn(conversation: Conversation, asked: Turn | None, answer: int) -> bool:
    """Whether words of the user stand after the last answer; what was typed into a tool loop goes on with it."""
    if asked is None or asked.position < answer:
        return False
    messages = conversation.messages
    if answer < 0 or not _calls_tools(messages[answer]):
        return True
    return any(user_words(message, typed_meanwhile=False) for message in messages[answer + 1 :])


def _last_answer(conversation: Conversation) -> int:
    """Its position among the messages; -1 where nothing has been answered."""
    for at in range(len(conversation.messages) - 1, -1, -1):
        if conversation.messages[at].role == "assistant":
            return at
    return -1


def _calls_tools(message: Message) -> bool:
    return any(isinstance(part, ToolCall) for part in message.parts)
