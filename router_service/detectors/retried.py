"""The user has the same turn answered once more: no new word, and the answer that there was is gone from the thread."""

import hashlib

from router_service.asks import turns
from router_service.conversation import Conversation
from router_service.detectors.detector import Next
from router_service.intent import has_begun

HASTE = 1.0  # seconds; who asks again sooner has not read the answer, and is a program


def finds(given: Next) -> int | None:
    """Where no session is named, a thread's first ask is told from that of another thread by nothing."""
    if given.intent.kind != "user turn" or not given.turn or given.waited < HASTE:
        return None
    if not (given.named or has_begun(given.conversation)):
        return None
    return 0 if mark(given.conversation) == given.turn else None


def mark(conversation: Conversation) -> str:
    """Of the turn that is being answered, the same for all of its requests: what was asked, after how many answers."""
    asked = next((turn for turn in turns(conversation) if turn.role == "user"), None)
    if asked is None:
        return ""
    before = sum(message.role == "assistant" for message in conversation.messages[: asked.position])
    told = f"{before}/{conversation.stream:d}/{asked.words}"  # who asks without a stream what he had with one mends it
    return hashlib.blake2b(told.encode("utf-8", "replace"), digest_size=12).hexdigest()
