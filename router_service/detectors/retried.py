"""The user has the same turn answered once more: no new word, and the answer that there was is gone from the thread."""

import hashlib

from router_service.asks import Turn, last_asked
from router_service.conversation import Conversation, ToolCall, ToolResult
from router_service.detectors.detector import Next

HASTE = 1.0  # seconds; who asks again sooner has not read the answer, and is a program
_SOON = 600.0  # seconds; later, the same end user of an app may well begin anew with the same words


def finds(given: Next) -> int | None:
    """Where nobody is named, a thread's first ask is told from that of another thread by nothing."""
    if not given.turn or given.waited < HASTE:
        return None
    if not (given.named or given.intent.begun or (given.conversation.user and given.waited < _SOON)):
        return None
    now = mark(given.conversation, given.intent.asked)
    if given.intent.kind == "user turn":
        return 0 if _turn(now) == _turn(given.turn) else None
    return 0 if now == given.turn else None


def mark(conversation: Conversation, asked: Turn | None = None) -> str:
    """Two marks: of the turn that is being answered, the same for all of its requests (what was asked, by whom, after
    how many answers), and of the step that it has come to. `asked`: the user's last words,
    where somebody has read them already.
    """
    asked = asked or last_asked(conversation)[0]
    if asked is None:
        return ""
    before = sum(message.role == "assistant" for message in conversation.messages[: asked.position])
    # Who asks without a stream what he had with one mends it.
    told = f"{before}/{conversation.stream:d}/{conversation.user}/{asked.words}"
    since = conversation.messages[asked.position + 1 :]
    parts = [part for message in since for part in message.parts]
    called = [part.id for part in parts if isinstance(part, ToolCall)]
    brought = [part.call_id for part in parts if isinstance(part, ToolResult)]
    step = f"{len(since)}/{called}/{brought}" if since else ""
    return f"{_hashed(told)}/{_hashed(step)}" if step else _hashed(told)


def _turn(mark: str) -> str:
    return mark.partition("/")[0]


def _hashed(text: str) -> str:
    return hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=12).hexdigest()
