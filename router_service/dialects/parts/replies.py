"""The events of a reply, gathered: what stream writers and whole replies have in common."""

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Literal

from router_service.conversation import (
    Json,
    OpaqueBlock,
    ReplyEnded,
    ReplyEvent,
    ReplyFailed,
    ReplyStarted,
    StopReason,
    TextDelta,
    ThinkingDelta,
    ToolCallDelta,
    ToolCallStarted,
    Usage,
)


@dataclass(slots=True)
class Block:
    """One block as far as it has come; of a tool call, `text` is its arguments, `signature` what it was signed with."""

    kind: Literal["text", "thinking", "tool_call", "opaque"]
    text: str = ""
    signature: str = ""
    hidden: bool = False
    id: str = ""
    name: str = ""
    dialect: str = ""
    raw: Json = field(default_factory=dict)


@dataclass(slots=True)
class Reply:
    id: str = ""
    model: str = ""
    blocks: list[Block] = field(default_factory=list)
    reason: StopReason = "end"
    stop_sequence: str = ""
    usage: Usage = field(default_factory=Usage)


def collect(events: Sequence[ReplyEvent]) -> Reply:
    """The reply that the events tell; ValueError when it failed on the way."""
    reply = Reply()
    calls: dict[int, Block] = {}
    for event in events:
        match event:
            case ReplyStarted():
                reply.id, reply.model, reply.usage = event.id, event.model, event.usage
            case TextDelta(text):
                _open(reply, "text").text += text
            case ThinkingDelta(signature=signature, hidden=True):
                reply.blocks.append(Block("thinking", signature=signature, hidden=True))
            case ThinkingDelta(text, signature):
                block = _open(reply, "thinking")
                block.text += text
                block.signature = signature
            case ToolCallStarted(index, call_id, name, state):
                calls[index] = Block("tool_call", id=call_id, name=name, signature=state)
                reply.blocks.append(calls[index])
            case ToolCallDelta(index, arguments):
                calls[index].text += arguments
            case OpaqueBlock(dialect, _, raw):
                reply.blocks.append(Block("opaque", dialect=dialect, raw=raw))
            case ReplyEnded():
                reply.reason, reply.stop_sequence = event.reason, event.stop_sequence
                reply.usage = merged(reply.usage, event.usage)
            case ReplyFailed(_, message):
                raise ValueError(message)
    return reply


def _open(reply: Reply, kind: Literal["text", "thinking"]) -> Block:
    """The last block when it can go on, else a new one; a signature ends its thinking."""
    if not reply.blocks or reply.blocks[-1].kind != kind or reply.blocks[-1].signature:
        reply.blocks.append(Block(kind))
    return reply.blocks[-1]


def merged(before: Usage, after: Usage) -> Usage:
    """The later word counts, but a vendor that ends with zeros or nothing has not taken the earlier one back."""
    told = {f.name: getattr(after, f.name) or getattr(before, f.name) for f in fields(Usage)}
    known = {name: getattr(after, name) if value is None else value for name, value in told.items()}
    return Usage(**known)


def tokens_of(holder: Any, name: str) -> int | None:
    """A count that a vendor tells; None for whatever is no whole number."""
    value = holder.get(name) if isinstance(holder, dict) else None
    return value if isinstance(value, int) and not isinstance(value, bool) else None
