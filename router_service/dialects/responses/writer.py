"""A streamed response, written as OpenAI's own clients expect it: one item after another, opened, filled and closed.

Other vendors interleave parallel tool calls. Here the first is written as it comes, and what belongs to later
items waits until it is complete.
"""

import json
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
from router_service.dialects.dialect import Addressee
from router_service.dialects.openai.writer import render_error
from router_service.dialects.parts import fit, plain
from router_service.dialects.parts.replies import Block, merged
from router_service.dialects.responses import citations
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
from router_service.fast_json import dumps, loads
from router_service.sse import encoded


@dataclass(slots=True)
class _Item:
    """An item that waits for its turn or is being written; `unsaid` are its events that are not out yet.

    `annotations` are what its text rests on. `ended`: the next text is another item.
    """

    at: int
    block: Block
    opening: Json
    unsaid: list[tuple[str, Json]] = field(default_factory=list)
    annotations: list[Json] = field(default_factory=list)
    ended: bool = False

    def say(self, kind: str, **fields: Any) -> None:
        place = {"item_id": self.opening["id"], "output_index": self.at}
        self.unsaid.append((f"response.{kind}", place | fields))

    def complete(self) -> bool:
        """Whether nothing can follow, now that another item has begun."""
        if self.block.kind != "tool_call":
            return True
        if not self.block.more:  # nothing has come since it was looked at
            return False
        try:
            return isinstance(loads(self.block.gather()), dict)
        except (ValueError, RecursionError):
            return False


class Writer:
    def __init__(self, to: Addressee) -> None:
        self._to = to
        self._id = ""
        self._number = 0
        self._usage = Usage()
        self._output: list[Json] = []  # of the items that are written
        self._queue: list[_Item] = []
        self._calls: dict[int, _Item] = {}
        self._begun = 0
        self._started = self._done = self._refused = False

    def feed(self, event: ReplyEvent) -> bytes:
        return b"" if self._done else b"".join(self._write(event))

    def _write(self, event: ReplyEvent) -> Iterator[bytes]:
        if not self._started and not isinstance(event, ReplyFailed):
            self._started = True
            yield from self._start(event if isinstance(event, ReplyStarted) else ReplyStarted("", ""))
        match event:
            case ReplyEnded():
                yield from self._drain(to_the_end=True)
                yield self._end(event)
            case ReplyFailed(kind, message):
                yield self._fail(kind, message)
            case _:
                self._take(event)
                yield from self._drain(to_the_end=False)

    # -- items -------------------------------------------------------------------------------------------------

    def _take(self, event: ReplyEvent) -> None:
        match event:
            case TextDelta(text, refusal) if text:
                self._text(text, refusal=refusal)
            case TextEnded(told, apart):
                self._end_text(told, apart=apart)
            case ThinkingDelta() if event.text or event.signature:
                self._think(event)
            case ToolCallStarted(index, call_id, name, state):
                block = Block("tool_call", id=call_id, name=name, signature=state)
                if state and self._to.maker:
                    signing = signed_item(item_id(self._id, self._begun), block, self._to.maker)
                    self._begin(Block("opaque", dialect=NAME, raw=signing))
                self._calls[index] = self._begin(block)
            case ToolCallDelta(index, arguments) if arguments:
                self._argue(self._calls[index], arguments)
            case Search():
                item = self._begin(Block("search", search=event))
                for word in ("in_progress", "searching", "completed"):
                    item.say(f"web_search_call.{word}")
            case OpaqueBlock(dialect, _, raw) if dialect == NAME:
                self._begin(Block("opaque", dialect=NAME, raw=raw))

    def _text(self, text: str, *, refusal: bool) -> None:
        item = self._last("text")
        if item is None or item.block.refusal != refusal:
            self._refused = self._refused or refusal
            item = self._begin(Block("text", refusal=refusal))
            item.say("content_part.added", content_index=0, part=text_part(item.block))
        item.block.more.append(text)
        if refusal:
            item.say("refusal.delta", content_index=0, delta=text)
        else:
            item.say("output_text.delta", content_index=0, delta=text, logprobs=[])

    def _end_text(self, told: tuple[Citation, ...], *, apart: bool) -> None:
        item = self._last("text")
        if item is None or item.block.refusal:
            return
        for citation in told:
            if raw := citations.render(citation, len(item.block.gather())):
                at = {"content_index": 0, "annotation_index": len(item.annotations)}
                item.say("output_text.annotation.added", **at, annotation=raw)
                item.annotations.append(raw)
        item.ended = apart

    def _think(self, event: ThinkingDelta) -> None:
        item = None if event.hidden else self._last("thinking")
        item = item or self._begin(Block("thinking", hidden=event.hidden))
        if event.text:
            if not (item.block.text or item.block.more):
                part = {"type": "summary_text", "text": ""}
                item.say("reasoning_summary_part.added", summary_index=0, part=part)
            item.block.more.append(event.text)
            item.say("reasoning_summary_text.delta", summary_index=0, delta=event.text)
        if event.signature:
            item.block.signature = event.signature
            item.ended = True

    def _argue(self, item: _Item, arguments: str) -> None:
        """The text for a tool of plain text can only be read when it is all there."""
        item.block.more.append(arguments)
        if item.block.name not in self._to.plain:
            item.say("function_call_arguments.delta", delta=arguments)

    def _last(self, kind: str) -> _Item | None:
        last = self._queue[-1] if self._queue else None
        return last if last and last.block.kind == kind and not last.ended else None

    def _begin(self, block: Block) -> _Item:
        opening = opening_item(block, item_id(self._id, self._begun), self._to)
        item = _Item(self._begun, block, opening)
        item.unsaid.append(("response.output_item.added", {"output_index": item.at, "item": opening}))
        self._begun += 1
        self._queue.append(item)
        return item

    def _drain(self, *, to_the_end: bool) -> Iterator[bytes]:
        while self._queue:
            item = self._queue[0]
            ends = to_the_end or item.block.kind in ("opaque", "search") or (len(self._queue) > 1 and item.complete())
            done = self._close(item) if ends else None
            for kind, fields in item.unsaid:
                yield self._encoded(kind, **fields)
            item.unsaid = []
            if done is None:
                return
            self._output.append(done)
            yield self._encoded("response.output_item.done", output_index=item.at, item=done)
            self._queue.pop(0)

    def _close(self, item: _Item) -> Json:
        """The item as it is in the end; its last events are still to be said."""
        block = item.block
        block.gather()
        done = block_item(block, item_id(self._id, item.at), self._to) or item.opening
        match block.kind:
            case "text":
                part = text_part(block) | ({} if block.refusal else {"annotations": item.annotations})
                if block.refusal:
                    item.say("refusal.done", content_index=0, refusal=block.text)
                else:
                    item.say("output_text.done", content_index=0, text=block.text, logprobs=[])
                item.say("content_part.done", content_index=0, part=part)
                return done | {"content": [part]}
            case "thinking" if block.text:
                part = {"type": "summary_text", "text": block.text}
                item.say("reasoning_summary_text.done", summary_index=0, text=block.text)
                item.say("reasoning_summary_part.done", summary_index=0, part=part)
            case "tool_call" if block.name in self._to.plain:
                text = plain.text(block.text)
                item.say("custom_tool_call_input.delta", delta=text)
                item.say("custom_tool_call_input.done", input=text)
            case "tool_call":
                item.say("function_call_arguments.done", name=done["name"], arguments=done["arguments"])
        return done

    # -- beginning and end -------------------------------------------------------------------------------------

    def _start(self, event: ReplyStarted) -> Iterator[bytes]:
        self._id, self._usage = fit.reply_id("resp_", event.id), event.usage
        for kind in ("response.created", "response.in_progress"):
            yield self._encoded(kind, response=envelope(self._id, self._to, ()))

    def _end(self, event: ReplyEnded) -> bytes:
        self._done = True
        told = outcome(event.reason, merged(self._usage, event.usage), refused=self._refused)
        response = envelope(self._id, self._to, self._output) | told
        return self._encoded(f"response.{told['status']}", response=response)

    def _fail(self, kind: str, message: str) -> bytes:
        self._done = True
        return _failed(Failure(500, kind, message), envelope(self._id, self._to, self._output), self._number)

    def _encoded(self, kind: str, **fields: Any) -> bytes:
        number, self._number = self._number, self._number + 1
        return encoded(dumps({"type": kind, "sequence_number": number, **fields}), kind)


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
        encoded(dumps({"type": kind, "sequence_number": at, **fields}), kind)
        for at, (kind, fields) in enumerate(events, number)
    )
