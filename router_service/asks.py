"""What the router model reads of a conversation: the user's last words first, then what was said before.

Clients wrap the user's words in envelopes, and put words of their own beside them: these come off. What is long is
cut in its middle, since an ask stands at the beginning or the end of what is pasted with it; and where room is short,
what was said before gives way to the ask. Shapes as seen from Claude Code 2.1.197 and 2.1.330, Codex, opencode, Cline
and plain SDKs in November 2026.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from router_service.conversation import Conversation, Message, Opaque, Text, ToolCall, ToolResult

MOST_TURNS = 4
_ASK, _USER_BEFORE, _ASSISTANT_BEFORE, _FENCED = 800, 200, 160, 240  # characters

_ENVELOPE = re.compile(
    r"<(system-reminder|environment_details|environment_context|ide_opened_file|ide_diagnostics|user_instructions"
    r"|ide_selection|user-prompt-submit-hook)>"
)
_WRAPPER = re.compile(r"</?(?:task|user_query|user_message|feedback|answer)>")
_NOT_THE_USER = re.compile(
    r"\s*(<local-command-|<bash-input>|<command-name>|<command-message>"
    r"|<bash-stdout>(?:(?!</bash-stdout>).)*</bash-stdout>(?:<bash-stderr>.*</bash-stderr>)?\s*\Z"
    r"|<bash-stderr>(?:(?!</bash-stderr>).)*</bash-stderr>\s*\Z"
    r"|\[Request interrupted by user|<turn_aborted>|This session is being continued|CRITICAL: Respond with TEXT ONLY"
    r"|Tool loaded\.|<task-notification>|\[SYSTEM NOTIFICATION|Stop hook feedback:|Output token limit hit"
    r"|Your response was cut off because it exceeded the output token limit)",
    re.S,
)
# At the beginning of a line only: a tool may read a file that has these words, this one for instance. Tools return
# much, and to look for words is a hundred times cheaper than to try a pattern at every letter.
_QUEUED_WORDS = "The user sent a new message while you were working:"
_QUEUED = re.compile(
    rf"^(?:<system-reminder>)?{_QUEUED_WORDS}\s*"
    r"(.*?)(?:\n\nThis is how Claude Code surfaces|\n\nIMPORTANT: After completing your current task"
    r"|</system-reminder>|\Z)",
    re.S | re.M,
)
_FENCE = re.compile(r"```.*?(?:```|\Z)", re.S)
_FROM_TAB = re.compile(r"\t[ \t]+")


@dataclass(frozen=True, slots=True)
class Turn:
    """A message that says something. `position` counts in the conversation's messages."""

    position: int
    role: str
    words: str


def ask_and_context(conversation: Conversation) -> tuple[str, tuple[str, ...]]:
    """The user's last words (empty when there are none), and the turns before them, newest first."""
    asked, context = last_asked(conversation)
    return as_ask(asked), context


def last_asked(conversation: Conversation) -> tuple[Turn | None, tuple[str, ...]]:
    """The same with the ask uncut, and where it stands."""
    said = turns(conversation)
    asked = next((turn for turn in said if turn.role == "user"), None)
    if asked is None:
        return None, ()
    return asked, tuple(f"{turn.role}: {_of_before(turn)}" for turn in islice(said, MOST_TURNS))


def as_ask(asked: Turn | None) -> str:
    """As the router model reads it."""
    return shortened(asked.words, most=_ASK) if asked else ""


def turns(conversation: Conversation) -> Iterator[Turn]:
    """Every message that says something, newest first."""
    for at in range(len(conversation.messages) - 1, -1, -1):
        message = conversation.messages[at]
        role = "assistant" if message.role == "assistant" else "user"
        words = _assistant_words(message) if role == "assistant" else user_words(message)
        if words:
            yield Turn(at, role, words)


def user_words(message: Message, *, typed_meanwhile: bool = True) -> str:
    """What the user wrote in a message, without what clients wrap around it and put beside it."""
    found = [_words(part.text) for part in message.parts if isinstance(part, Text)] if message.role == "user" else []
    queued = [_queued(text) for text in _all_texts(message)] if typed_meanwhile else []
    return "\n".join(filter(None, [*found, *queued])).strip()


def unwrapped(text: str) -> str:
    """A text without the envelopes that clients put into it."""
    if "<" not in text:  # most have none, and all are looked at
        return text.strip()
    kept: list[str] = []
    at, unclosed = 0, set()
    for opened in _ENVELOPE.finditer(text):
        name = opened[1]
        if opened.start() < at or name in unclosed:
            continue
        end = text.find(f"</{name}>", opened.end())
        if end < 0:
            unclosed.add(name)  # one search to the end for each name: a text may open a million of them
            continue
        kept += [text[at : opened.start()], " "]
        at = end + len(f"</{name}>")
    return "".join([*kept, text[at:]]).strip()


def shortened(text: str, *, most: int) -> str:
    """The beginning and the end of a long text, three to two."""
    if len(text) <= most:
        return text
    head = most * 3 // 5
    return f"{text[:head]} ... {text[head - most :]}"


def preference_text(name: str, description: str) -> str:
    """A preference as the router model reads it."""
    name = " ".join(name.replace("_", " ").split())
    return ": ".join(filter(None, [name, " ".join(description.split())]))


def context_text(context: Sequence[str]) -> str:
    """What was said before as the router model reads it, beside the ask."""
    return " | ".join(" ".join(turn.split()) for turn in context)


def fitted(ask: Sequence[int], context: Sequence[int], room: int) -> tuple[list[int], list[int]]:
    """Both as tokens, in `room` tokens together: the context gives way down to a quarter, the ask loses its middle.

    The context loses its end, which is its oldest part.
    """
    kept = min(len(context), max(room - len(ask), room // 4))
    left = room - kept
    if len(ask) > left:
        head = left * 3 // 5
        ask = [*ask[:head], *ask[head - left :]]
    return list(ask), list(context[:kept])


def as_before(words: str) -> str:
    """What the user said, as the context of a later ask has it."""
    return shortened(words, most=_USER_BEFORE)


def _of_before(turn: Turn) -> str:
    return as_before(turn.words) if turn.role == "user" else shortened(turn.words, most=_ASSISTANT_BEFORE)


def _words(text: str) -> str:
    if _QUEUED_WORDS in text and _QUEUED.search(text):
        return ""
    text = unwrapped(text)
    if not text or _NOT_THE_USER.match(text):
        return ""
    if "<" in text:
        text = _WRAPPER.sub("", text)
    if "```" in text:
        text = _FENCE.sub(lambda fence: shortened(fence.group(0), most=_FENCED), text)
    return _with_single_spaces(text).strip()


def _with_single_spaces(text: str) -> str:
    """One for each run of spaces and tabs; a tab that stands alone stays. A pattern for all of them would stop at every
    space that there is."""
    if "\t" in text:
        text = _FROM_TAB.sub(" ", text).replace(" \t", " ")
    while "  " in text:
        text = text.replace("  ", " ")
    return text


def _queued(text: str) -> str:
    """A message typed while a tool ran: Claude Code delivers it in three places, always with these first words."""
    match = _QUEUED.search(text) if _QUEUED_WORDS in text else None
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
        return _FENCE.sub(" ", said).strip()
    called = [part.name for part in message.parts if isinstance(part, ToolCall)]
    return f"(used {', '.join(dict.fromkeys(called))})" if called else ""
