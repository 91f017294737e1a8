"""A conversation as turns: what the model said, then everything that came before it spoke again.

Both vendors want the results of tool calls directly behind the calls, but clients put reminders and
queued words in between, and the results into any order.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from router_service.conversation import Message, Part, Text, Thinking, ToolCall, ToolResult
from router_service.provenance import call_state


@dataclass(frozen=True, slots=True)
class Turn:
    """`results` answer the calls in `assistant`; `rest` is what else was said, in order, without them."""

    assistant: tuple[Part, ...]
    results: tuple[ToolResult, ...]
    rest: tuple[Message, ...]


def split(messages: Sequence[Message]) -> list[Turn]:
    """Neighbouring messages of the assistant become one, as Anthropic itself reads them."""
    spoken: list[tuple[list[Part], list[Message]]] = [([], [])]
    for message in messages:
        said, heard = spoken[-1]
        if message.role != "assistant":
            heard.append(message)
        elif heard:
            spoken.append((list(message.parts), []))
        else:
            said.extend(message.parts)
    return [_turn(tuple(said), heard) for said, heard in spoken]


def _turn(assistant: tuple[Part, ...], heard: Sequence[Message]) -> Turn:
    calls = {part.id for part in assistant if isinstance(part, ToolCall)}
    if not calls:
        return Turn(assistant, (), tuple(heard))

    def answers(part: Part) -> bool:
        return isinstance(part, ToolResult) and part.call_id in calls

    results = tuple(
        part for message in heard for part in message.parts if isinstance(part, ToolResult) and answers(part)
    )
    rest = tuple(_without(message, [part for part in message.parts if answers(part)]) for message in heard)
    kept = tuple(message for message, before in zip(rest, heard, strict=True) if message.parts or not before.parts)
    return Turn(assistant, results, kept)


def _without(message: Message, gone: Sequence[Part]) -> Message:
    return replace(message, parts=tuple(part for part in message.parts if part not in gone)) if gone else message


def with_call_states(parts: Sequence[Part]) -> tuple[Part, ...]:
    """Calls with what their maker had signed them with, which the client kept as hidden thinking before them."""
    if Thinking not in map(type, parts):
        return tuple(parts)
    signed: dict[str, tuple[str, str]] = {}
    kept: list[Part] = []
    for part in parts:
        call_id, state = call_state(part.signature) if isinstance(part, Thinking) and part.hidden else ("", "")
        if isinstance(part, Thinking) and call_id:
            signed[call_id] = (state, part.maker)
        elif isinstance(part, ToolCall) and part.id in signed:
            state, maker = signed[part.id]
            kept.append(replace(part, state=state, maker=maker))
        else:
            kept.append(part)
    return tuple(kept)


def without_orphans(parts: Iterable[Part], warnings: list[str]) -> list[Part]:
    """A result whose call is not in the message before is refused: its words are kept as text."""
    kept: list[Part] = []
    for part in parts:
        if isinstance(part, ToolResult):
            warnings.append(f"result of tool call {part.call_id} given as text: the call is not right before it")
            kept += [Text(f"Result of tool call {part.call_id}:"), *part.parts]
        else:
            kept.append(part)
    return kept
