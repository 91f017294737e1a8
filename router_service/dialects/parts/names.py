"""Names of tools that are too long for OpenAI's dialects: Anthropic takes 128 letters, and MCP servers use them."""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from router_service.conversation import Conversation, Message, Part, ReplyEvent, ToolCall, ToolCallStarted
from router_service.dialects.parts.fit import fingerprint

LONGEST = 64  # letters, in chat completions and in responses


def short(name: str) -> str:
    """The name where it is short enough, else its beginning and what tells it from others with the same."""
    return name if len(name) <= LONGEST else f"{name[: LONGEST - 9]}_{fingerprint(name)[:8]}"


def shortened(conversation: Conversation) -> Conversation:
    """With short names, wherever a tool is named; the same conversation where none is long."""
    called = (part.name for message in conversation.messages for part in message.parts if isinstance(part, ToolCall))
    if all(len(name) <= LONGEST for name in (*called, *(tool.name for tool in conversation.tools))):
        return conversation
    choice = conversation.tool_choice
    return replace(
        conversation,
        messages=tuple(_shortened(message) for message in conversation.messages),
        tools=tuple(replace(tool, name=short(tool.name)) for tool in conversation.tools),
        tool_choice=choice and replace(choice, name=short(choice.name)),
    )


def _shortened(message: Message) -> Message:
    parts: tuple[Part, ...] = tuple(
        replace(part, name=short(part.name)) if isinstance(part, ToolCall) else part for part in message.parts
    )
    return replace(message, parts=parts)


def long_names(conversation: Conversation) -> dict[str, str]:
    """What the client calls those tools whose names were shortened."""
    return {short(tool.name): tool.name for tool in conversation.tools if len(tool.name) > LONGEST}


def restored(events: Iterable[ReplyEvent], long: Mapping[str, str]) -> list[ReplyEvent]:
    """The calls by the names that the client knows."""
    return [
        replace(event, name=long[event.name]) if isinstance(event, ToolCallStarted) and event.name in long else event
        for event in events
    ]
