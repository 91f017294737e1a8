"""An Anthropic stream, written: blocks one after another, each opened, filled and closed."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from router_service.conversation import (
    Citation,
    Failure,
    Json,
    OpaqueBlock,
    ReplyEnded,
    ReplyEvent,
    ReplyFailed,
    ReplyStarted,
    Search,
    TextDelta,
    TextEnded,
    ThinkingDelta,
    ToolCallDelta,
    ToolCallStarted,
    Usage,
)
from router_service.dialects.anthropic import content, searches
from router_service.dialects.anthropic.reply import (
    STOP_REASONS,
    cite,
    render_usage,
)
from router_service.dialects.anthropic.request import NAME
from router_service.dialects.dialect import Addressee
from router_service.dialects.parts import fit
from router_service.dialects.parts.replies import merged
from router_service.fast_json import dumps, loads
from router_service.provenance import seal, seal_call
from router_service.sse import encoded


@dataclass(slots=True)
class _Block:
    """A block that waits for its turn or is being written; `unsaid` are its deltas that are not out yet."""

    start: Json
    unsaid: list[Json] = field(default_factory=list)
    arguments: str = ""
    more: list[str] = field(default_factory=list)  # of them, since it was last looked whether they are complete
    signed: bool = False
    said: list[str] = field(default_factory=list)
    ended: bool = False

    @property
    def kind(self) -> str:
        return str(self.start["type"])

    def complete(self) -> bool:
        """Whether nothing can follow, now that another block has begun."""
        if self.kind != "tool_use":
            return True
        if not self.more:
            return False
        self.arguments += "".join(self.more)
        self.more.clear()
        try:
            return isinstance(loads(self.arguments), dict)
        except (ValueError, RecursionError):
            return False


class Writer:
    """Usage is always written, and no time ever: the schema has it so.

    Other vendors interleave parallel tool calls. Here one block follows another, so the first is written as
    it comes, and what belongs to later ones waits until it is complete."""

    def __init__(self, to: Addressee) -> None:
        self._to = to
        self._queue: list[_Block] = []
        self._calls: dict[int, _Block] = {}
        self._index = 0
        self._opened = False
        self._usage = Usage()
        self._started = self._done = False

    def feed(self, event: ReplyEvent) -> bytes:
        return b"" if self._done else b"".join(self._write(event))

    def _write(self, event: ReplyEvent) -> Iterator[bytes]:
        if not self._started and not isinstance(event, ReplyFailed):
            self._started = True
            yield self._start(event if isinstance(event, ReplyStarted) else ReplyStarted("", ""))
        match event:
            case ReplyEnded():
                yield from self._drain(to_the_end=True)
                yield from self._end(event)
            case ReplyFailed(kind, message):
                self._done = True
                yield render_error_event(Failure(500, kind, message))
            case _:
                self._take(event)
                yield from self._drain(to_the_end=False)

    def _take(self, event: ReplyEvent) -> None:
        match event:
            case TextDelta(text) if text:
                block = self._last("text", {"type": "text", "text": ""})
                block.said.append(text)
                block.unsaid.append({"type": "text_delta", "text": text})
            case TextEnded(told):
                self._end_text(told)
            case ThinkingDelta(signature=state, hidden=True):
                self._begin(content.thinking("", seal(self._to.maker, state), hidden=True))
            case ThinkingDelta(text, signature) if text or signature:
                block = self._last("thinking", content.thinking("", "", hidden=False))
                if text:
                    block.unsaid.append({"type": "thinking_delta", "thinking": text})
                if signature:
                    self._sign(block, signature)
            case ToolCallStarted(index, call_id, name, state):
                if state and self._to.maker:
                    signed = seal_call(self._to.maker, fit.tool_id(call_id), state)
                    self._begin(content.thinking("", signed, hidden=True))
                start = {"type": "tool_use", "id": fit.tool_id(call_id), "name": name, "input": {}}
                self._calls[index] = self._begin(start)
            case ToolCallDelta(index, arguments) if arguments:
                self._calls[index].more.append(arguments)
                self._calls[index].unsaid.append({"type": "input_json_delta", "partial_json": arguments})
            case Search():
                for raw in searches.blocks(event):
                    self._begin_whole(raw)
            case OpaqueBlock(dialect, _, raw) if dialect == NAME:
                self._begin_whole(raw)

    def _end_text(self, told: tuple[Citation, ...]) -> None:
        block = self._queue[-1] if self._queue else None
        if block and block.kind == "text":
            block.ended = True
            text = "".join(block.said) if told else ""
            made = (cite(one, self._to.maker, text) for one in told)
            block.unsaid += [{"type": "citations_delta", "citation": raw} for raw in made if raw]

    def _sign(self, block: _Block, state: str) -> None:
        """Thinking whose maker signs nothing is still known as the maker's when it comes back."""
        if sealed := seal(self._to.maker, state):
            block.unsaid.append({"type": "signature_delta", "signature": sealed})
        block.signed = True

    def _last(self, kind: str, start: Json) -> _Block:
        """The last block when it can go on, else a new one; a signature ends its thinking."""
        last = self._queue[-1] if self._queue else None
        if last and last.kind == kind and not last.signed and not last.ended:
            return last
        return self._begin(start)

    def _begin(self, start: Json) -> _Block:
        self._queue.append(_Block(start))
        return self._queue[-1]

    def _begin_whole(self, raw: Json) -> None:
        """Clients gather what a tool is called with out of deltas."""
        given = raw.get("input")
        block = self._begin(raw | {"input": {}} if given else raw)
        if given:
            block.unsaid.append({"type": "input_json_delta", "partial_json": fit.compact(given)})

    def _drain(self, *, to_the_end: bool) -> Iterator[bytes]:
        while self._queue:
            block = self._queue[0]
            if not self._opened:
                self._opened = True
                yield _event("content_block_start", index=self._index, content_block=block.start)
            ends = to_the_end or (len(self._queue) > 1 and block.complete())
            if ends and block.kind == "thinking" and not block.signed:
                self._sign(block, "")
            for delta in block.unsaid:
                yield _event("content_block_delta", index=self._index, delta=delta)
            block.unsaid = []
            if not ends:
                return
            yield _event("content_block_stop", index=self._index)
            self._queue.pop(0)
            self._opened = False
            self._index += 1

    def _start(self, event: ReplyStarted) -> bytes:
        self._usage = event.usage
        message: Json = {
            "id": fit.reply_id("msg_", event.id),
            "type": "message",
            "role": "assistant",
            "model": self._to.model,
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": render_usage(event.usage),
        }
        return _event("message_start", message=message)

    def _end(self, event: ReplyEnded) -> Iterator[bytes]:
        self._done = True
        delta = {"stop_reason": STOP_REASONS[event.reason], "stop_sequence": event.stop_sequence or None}
        yield _event("message_delta", delta=delta, usage=render_usage(merged(self._usage, event.usage)))
        yield _event("message_stop")


def render_error(failure: Failure) -> bytes:
    return dumps(_error(failure))


def render_error_event(failure: Failure) -> bytes:
    return encoded(dumps(_error(failure)), "error")


def _error(failure: Failure) -> Json:
    return {"type": "error", "error": {"type": failure.kind, "message": failure.message}}


def _event(kind: str, **fields: Any) -> bytes:
    return encoded(dumps({"type": kind} | fields), kind)
