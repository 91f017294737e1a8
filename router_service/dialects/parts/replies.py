"""The events of a reply, gathered: what stream writers and whole replies have in common."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from router_service.conversation import (
    Citation,
    Json,
    OpaqueBlock,
    ReplyEnded,
    ReplyEvent,
    ReplyFailed,
    ReplyStarted,
    Search,
    StopReason,
    Text,
    TextDelta,
    TextEnded,
    ThinkingDelta,
    ToolCallDelta,
    ToolCallStarted,
    Usage,
)
from router_service.dialects.parts.cited import together


@dataclass(slots=True)
class Block:
    """One block as far as it has come; of a tool call, `text` is its arguments, `signature` what it was signed with.

    Of a text, `citations` are told at its end; `ended`: what follows is another piece, and `apart` another text.
    `more`: what has come of the text and is not in it yet, for a text that grows by each of a thousand pieces is copied
    as often; `gather` puts it there.
    """

    kind: Literal["text", "thinking", "tool_call", "search", "opaque"]
    text: str = ""
    signature: str = ""
    hidden: bool = False
    id: str = ""
    name: str = ""
    dialect: str = ""
    raw: Json = field(default_factory=dict)
    citations: tuple[Citation, ...] = ()
    refusal: bool = False
    search: Search | None = None
    ended: bool = field(default=False, compare=False)
    apart: bool = field(default=False, compare=False)
    more: list[str] = field(default_factory=list, compare=False)

    def gather(self) -> str:
        """All of the text."""
        if self.more:
            self.text += "".join(self.more)
            self.more.clear()
        return self.text


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
            case TextDelta(text, refusal):
                _open(reply, "text", refusal=refusal).more.append(text)
            case TextEnded(citations, apart):
                _end_text(reply, citations, apart=apart)
            case ThinkingDelta(signature=signature, hidden=True):
                reply.blocks.append(Block("thinking", signature=signature, hidden=True))
            case ThinkingDelta(text, signature):
                block = _open(reply, "thinking")
                block.more.append(text)
                block.signature = signature
            case ToolCallStarted(index, call_id, name, state):
                calls[index] = Block("tool_call", id=call_id, name=name, signature=state)
                reply.blocks.append(calls[index])
            case ToolCallDelta(index, arguments):
                calls[index].more.append(arguments)
            case Search():
                reply.blocks.append(Block("search", search=event))
            case OpaqueBlock(dialect, _, raw):
                reply.blocks.append(Block("opaque", dialect=dialect, raw=raw))
            case ReplyEnded():
                reply.reason, reply.stop_sequence = event.reason, event.stop_sequence
                reply.usage = merged(reply.usage, event.usage)
            case ReplyFailed(_, message):
                raise ValueError(message)
    for block in reply.blocks:
        block.gather()
    return reply


def _open(reply: Reply, kind: Literal["text", "thinking"], *, refusal: bool = False) -> Block:
    """The last block when it can go on, else a new one; a signature ends its thinking."""
    last = reply.blocks[-1] if reply.blocks else None
    if last is None or last.kind != kind or last.signature or last.ended or last.refusal != refusal:
        last = Block(kind, refusal=refusal)
        reply.blocks.append(last)
    return last


def _end_text(reply: Reply, citations: tuple[Citation, ...], *, apart: bool) -> None:
    last = reply.blocks[-1] if reply.blocks else None
    if last and last.kind == "text":
        last.citations += citations
        last.ended, last.apart = True, last.apart or apart


def text_of(blocks: Sequence[Block]) -> Text:
    """The pieces of texts as one, with what they rest on."""
    whole, apart = Text(""), False
    for block in blocks:
        piece = Text(block.text, block.citations)
        whole = together(whole, piece, "\n\n" if apart and whole.text else "")
        apart = block.apart
    return whole


def merged(before: Usage, after: Usage) -> Usage:
    """The later word counts, but a vendor that ends with zeros or nothing has not taken the earlier one back."""
    return Usage(
        input=_later(before.input, after.input),
        cached=_later(before.cached, after.cached),
        cache_write=_later(before.cache_write, after.cache_write),
        output=_later(before.output, after.output),
        reasoning=_later(before.reasoning, after.reasoning),
        hour_write=_later(before.hour_write, after.hour_write),
        searches=_later(before.searches, after.searches),
    )


def _later(before: int | None, after: int | None) -> int | None:
    return after or (after if before is None else before)


MOST_TOKENS = 2**31 - 1  # what every column holds, and a thousand times any window


def tokens_of(holder: Any, name: str) -> int | None:
    """A count that a vendor tells; None for whatever is none: no whole number, below zero, beyond all windows."""
    value = holder.get(name) if isinstance(holder, dict) else None
    return value if type(value) is int and 0 <= value <= MOST_TOKENS else None  # a bool is none
