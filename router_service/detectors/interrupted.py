"""The user stopped the answer: the client says so with what he writes next, or it had left in the middle of it."""

from router_service.conversation import Message
from router_service.detectors.detector import Next, texts

# Claude Code 2.1 says `for tool use]` behind it where it was a call that was stopped or not allowed; Codex 0.171.
MARKS = ("[Request interrupted by user", "<turn_aborted>")


def finds(given: Next) -> int | None:
    """Words of the user's before the mark are an ask of which nothing was answered: then nothing was there to stop."""
    if given.intent.kind != "user turn":
        return None
    marked = [text.lstrip().startswith(MARKS) for text in texts(given.since)]
    if not any(marked):
        return 0 if given.left else None
    return 0 if _answers(given.conversation.messages) and not any(_asked(given)) else None


def _answers(messages: tuple[Message, ...]) -> bool:
    return any(message.role == "assistant" for message in messages)


def _asked(given: Next) -> list[str]:
    """What stands before the first mark, but for what clients themselves put there."""
    before: list[str] = []
    for text in texts(given.since):
        if text.lstrip().startswith(MARKS):
            break
        if not text.lstrip().startswith("<"):
            before.append(text)
    return before
