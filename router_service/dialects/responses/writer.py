"""A streamed response, written as OpenAI's own clients expect it: every item opened, filled and closed.

Text and thinking end when something else begins; calls, which other vendors interleave, stay open to the end.
"""

import json
from collections.abc import Generator, Iterator
from typing import Any

from router_service.conversation import (
    Failure,
    Json,
    OpaqueBlock,
    ReplyEnded,
    ReplyEvent,
    ReplyFailed,
    ReplyStarted,
    TextDelta,
    ThinkingDelta,
    ToolCallDelta,
    ToolCallStarted,
    Usage,
)
from router_service.dialects.dialect import Addressee
from router_service.dialects.openai.writer import render_error
from router_service.dialects.parts import fit, plain
from router_service.dialects.parts.replies import Block, merged
from router_service.dialects.responses.reply import (
    block_item,
    envelope,
    item_id,
    opening_item,
    outcome,
    signed_item,
    text_part,
)
from router_service.dialects.responses.request import NAME
from router_service.sse import ServerSentEvent


class _Open:
    """An item under way."""

    def __init__(self, at: int, block: Block, item: Json) -> None:
        self.at, self.block, self.item = at, block, item

    @property
    def place(self) -> Json:
        return {"item_id": self.item["id"], "output_index": self.at}


class Writer:
    def __init__(self, to: Addressee) -> None:
        self._to = to
        self._id = ""
        self._number = 0
        self._usage = Usage()
        self._output: list[Json] = []
        self._open: list[_Open] = []
        self._calls: dict[int, _Open] = {}
        self._started = self._done = False

    def feed(self, event: ReplyEvent) -> bytes:
        return b"" if self._done else b"".join(self._write(event))

    def _write(self, event: ReplyEvent) -> Iterator[bytes]:
        if not self._started and not isinstance(event, ReplyFailed):
            self._started = True
            yield from self._start(event if isinstance(event, ReplyStarted) else ReplyStarted("", ""))
        match event:
            case TextDelta(text) if text:
                yield from self._text(text)
            case ThinkingDelta() if event.text or event.signature:
                yield from self._think(event)
            case ToolCallStarted(index, call_id, name, state):
                yield from self._close_words()
                block = Block("tool_call", id=call_id, name=name, signature=state)
                if state and self._to.maker:
                    yield from self._signed(block)
                self._calls[index] = yield from self._begin(block)
            case ToolCallDelta(index, arguments) if arguments:
                yield from self._argue(self._calls[index], arguments)
            case OpaqueBlock(dialect, _, raw) if dialect == NAME:
                yield from self._close_words()
                opened = yield from self._begin(Block("opaque", dialect=NAME, raw=raw))
                yield from self._close(opened)
            case ReplyEnded():
                yield from self._end(event)
            case ReplyFailed(kind, message):
                yield self._fail(kind, message)

    # -- items -------------------------------------------------------------------------------------------------

    def _text(self, text: str) -> Iterator[bytes]:
        opened = self._last("text")
        if opened is None:
            yield from self._close_words()
            opened = yield from self._begin(Block("text"))
            yield self._event("response.content_part.added", opened, content_index=0, part=text_part(""))
        opened.block.text += text
        yield self._event("response.output_text.delta", opened, content_index=0, delta=text, logprobs=[])

    def _think(self, event: ThinkingDelta) -> Iterator[bytes]:
        opened = None if event.hidden else self._last("thinking")
        if opened is None:
            yield from self._close_words()
            opened = yield from self._begin(Block("thinking", hidden=event.hidden))
        if event.text:
            if not opened.block.text:
                part = {"type": "summary_text", "text": ""}
                yield self._event("response.reasoning_summary_part.added", opened, summary_index=0, part=part)
            opened.block.text += event.text
            yield self._event("response.reasoning_summary_text.delta", opened, summary_index=0, delta=event.text)
        if event.signature:
            opened.block.signature = event.signature
            yield from self._close(opened)

    def _signed(self, call: Block) -> Iterator[bytes]:
        at = len(self._output)
        item = signed_item(item_id(self._id, at), call, self._to.maker)
        self._output.append(item)
        for kind in ("response.output_item.added", "response.output_item.done"):
            yield self._encoded(kind, output_index=at, item=item)

    def _argue(self, opened: _Open, arguments: str) -> Iterator[bytes]:
        """The text for a tool of plain text can only be read when it is all there."""
        opened.block.text += arguments
        if opened.block.name not in self._to.plain:
            yield self._event("response.function_call_arguments.delta", opened, delta=arguments)

    def _last(self, kind: str) -> _Open | None:
        return self._open[-1] if self._open and self._open[-1].block.kind == kind else None

    def _begin(self, block: Block) -> Generator[bytes, None, _Open]:
        at = len(self._output)
        item = opening_item(block, item_id(self._id, at), self._to)
        opened = _Open(at, block, item)
        self._output.append(item)
        self._open.append(opened)
        yield self._encoded("response.output_item.added", output_index=at, item=item)
        return opened

    def _close_words(self) -> Iterator[bytes]:
        """Whatever is no call ends when something else begins."""
        for opened in [opened for opened in self._open if opened.block.kind != "tool_call"]:
            yield from self._close(opened)

    def _close(self, opened: _Open) -> Iterator[bytes]:
        self._open.remove(opened)
        item = block_item(opened.block, item_id(self._id, opened.at), self._to) or opened.item
        self._output[opened.at] = item
        block = opened.block
        match block.kind:
            case "text":
                part = text_part(block.text)
                yield self._event("response.output_text.done", opened, content_index=0, text=block.text, logprobs=[])
                yield self._event("response.content_part.done", opened, content_index=0, part=part)
            case "thinking" if block.text:
                part = {"type": "summary_text", "text": block.text}
                yield self._event("response.reasoning_summary_text.done", opened, summary_index=0, text=block.text)
                yield self._event("response.reasoning_summary_part.done", opened, summary_index=0, part=part)
            case "tool_call" if block.name in self._to.plain:
                text = plain.text(block.text)
                yield self._event("response.custom_tool_call_input.delta", opened, delta=text)
                yield self._event("response.custom_tool_call_input.done", opened, input=text)
            case "tool_call":
                arguments, name = item["arguments"], item["name"]
                yield self._event("response.function_call_arguments.done", opened, name=name, arguments=arguments)
        yield self._encoded("response.output_item.done", output_index=opened.at, item=item)

    # -- beginning and end -------------------------------------------------------------------------------------

    def _start(self, event: ReplyStarted) -> Iterator[bytes]:
        self._id, self._usage = fit.reply_id("resp_", event.id), event.usage
        for kind in ("response.created", "response.in_progress"):
            yield self._encoded(kind, response=envelope(self._id, self._to, ()))

    def _end(self, event: ReplyEnded) -> Iterator[bytes]:
        self._done = True
        for opened in list(self._open):
            yield from self._close(opened)
        told = outcome(event.reason, merged(self._usage, event.usage))
        response = envelope(self._id, self._to, self._output) | told
        yield self._encoded(f"response.{told['status']}", response=response)

    def _fail(self, kind: str, message: str) -> bytes:
        self._done = True
        return _failed(Failure(500, kind, message), envelope(self._id, self._to, self._output), self._number)

    def _event(self, kind: str, opened: _Open, **fields: Any) -> bytes:
        return self._encoded(kind, **opened.place, **fields)

    def _encoded(self, kind: str, **fields: Any) -> bytes:
        number, self._number = self._number, self._number + 1
        return ServerSentEvent(fit.compact({"type": kind, "sequence_number": number, **fields}), kind).encode()


def render_error_event(failure: Failure) -> bytes:
    return _failed(failure, envelope("", Addressee(""), ()), 0)


def _failed(failure: Failure, response: Json, number: int) -> bytes:
    """Codex reads that the response has failed; OpenAI's own SDKs raise only what stands under `error`."""
    error: Json = json.loads(render_error(failure))["error"]
    code = error["code"] or "server_error"
    failed = response | {"status": "failed", "error": {"code": code, "message": failure.message}}
    events: tuple[tuple[str, Json], ...] = (
        ("response.failed", {"response": failed}),
        ("error", {"code": code, "message": failure.message, "param": None, "error": error}),
    )
    return b"".join(
        ServerSentEvent(fit.compact({"type": kind, "sequence_number": at, **fields}), kind).encode()
        for at, (kind, fields) in enumerate(events, number)
    )
