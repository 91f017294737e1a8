"""An Anthropic stream, read: blocks one after another, each opened, filled and closed.

https://platform.claude.com/docs/en/build-with-claude/streaming
"""

from collections.abc import Iterator

from router_service.conversation import (
    Json,
    ReplyEnded,
    ReplyEvent,
    ReplyFailed,
    ReplyStarted,
    StopReason,
    TextDelta,
    TextEnded,
    ThinkingDelta,
    ToolCallDelta,
    ToolCallStarted,
    Usage,
)
from router_service.dialects.anthropic import citations
from router_service.dialects.anthropic.reply import (
    PLAIN,
    REASONS,
    between,
    declined,
    parse_usage,
)
from router_service.dialects.anthropic.searches import Pairs
from router_service.dialects.parts import errors, fit
from router_service.dialects.parts.replies import merged
from router_service.fast_json import loads
from router_service.sse import ServerSentEvent

BROKEN_OFF = "The stream ended before the answer did."
UNREAD = frozenset({"ping", "content_block_stop", "message_stop"})  # their name says all


class Reader:
    """Most streams are only listened to, so data that cannot matter is not parsed."""

    def __init__(self) -> None:
        self._calls: dict[int, int] = {}
        self._count = 0
        self._opaque: Json | None = None
        self._pairs = Pairs()
        self._input: list[str] = []
        self._last = ""  # kind of the block under way, or of the last
        self._letters = 0  # of its text
        self._cited: list[Json] = []
        self._reason: StopReason | None = None
        self._stop_sequence = ""
        self._usage = Usage()
        self._done = False

    def feed(self, event: ServerSentEvent) -> list[ReplyEvent]:
        if self._done:
            return []
        if event.event in UNREAD:
            return list(self._on(event.event, {}))
        try:
            data = loads(event.data)
            kind = data.get("type") or ("error" if "error" in data else "")
            return list(self._on(kind, data))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            if event.data.strip() == "[DONE]":
                return []
            self._done = True
            return [ReplyFailed("api_error", "The provider sent something that is no event of its API.", odd=True)]

    def close(self) -> list[ReplyEvent]:
        if self._done:
            return []
        if self._reason:
            return list(self._end())
        self._done = True
        return [ReplyFailed("api_error", BROKEN_OFF)]

    def _on(self, kind: str, data: Json) -> Iterator[ReplyEvent]:
        match kind:
            case "message_start":
                message = data["message"]
                self._usage = parse_usage(message.get("usage"))
                yield ReplyStarted(str(message.get("id") or ""), str(message.get("model") or ""), self._usage)
            case "content_block_start":
                yield from self._start(data.get("index", 0), data["content_block"])
            case "content_block_delta":
                yield from self._delta(data.get("index", 0), data["delta"])
            case "content_block_stop":
                yield from self._stop()
            case "message_delta":
                delta = data.get("delta") or {}
                self._usage = merged(self._usage, parse_usage(data.get("usage")))
                if reason := delta.get("stop_reason"):
                    self._reason = REASONS.get(str(reason), "end")
                yield from declined(delta)
                self._stop_sequence = str(delta.get("stop_sequence") or self._stop_sequence)
            case "message_stop":
                yield from self._end()
            case "error":
                self._done = True
                yield errors.failed(data)

    def _start(self, index: int, block: Json) -> Iterator[ReplyEvent]:
        before, self._last = self._last, str(block["type"])
        if before == "text":
            yield from between(self._last)
        if self._last in PLAIN:
            yield from self._pairs.close()
        match block["type"]:
            case "text":
                text = str(block.get("text") or "")
                self._letters, self._cited = len(text), list(block.get("citations") or ())
                if text:
                    yield TextDelta(text)
            case "thinking":
                if words := block.get("thinking"):
                    yield ThinkingDelta(str(words))
            case "redacted_thinking":
                yield ThinkingDelta("", str(block["data"]), hidden=True)
            case "tool_use":
                self._calls[index] = self._count
                self._count += 1
                yield ToolCallStarted(self._calls[index], str(block["id"]), str(block["name"]))
                if given := block.get("input"):
                    yield ToolCallDelta(self._calls[index], fit.compact(given))
            case _:
                self._opaque, self._input = block, []

    def _delta(self, index: int, delta: Json) -> Iterator[ReplyEvent]:
        match delta:
            case {"type": "text_delta", "text": str(words)}:
                self._letters += len(words)
                yield TextDelta(words)
            case {"type": "citations_delta", "citation": dict(raw)}:
                self._cited.append(raw)
            case {"type": "thinking_delta", "thinking": str(words)}:
                yield ThinkingDelta(words)
            case {"type": "signature_delta", "signature": str(signature)} if signature:
                yield ThinkingDelta("", signature)
            case {"type": "input_json_delta", "partial_json": str(arguments)}:
                if self._opaque is not None:
                    self._input.append(arguments)
                elif index in self._calls and arguments:
                    yield ToolCallDelta(self._calls[index], arguments)

    def _stop(self) -> Iterator[ReplyEvent]:
        if self._cited:
            yield TextEnded(citations.read(self._cited, "citations", self._letters))
            self._cited = []
        if self._opaque is None:
            return
        block, self._opaque = self._opaque, None
        if any(self._input):
            block = block | {"input": loads("".join(self._input))}
        yield from self._pairs.feed(block)

    def _end(self) -> Iterator[ReplyEvent]:
        self._done = True
        yield from self._pairs.close()
        reason = self._reason or ("tool_calls" if self._count else "end")
        yield ReplyEnded(reason, self._usage, self._stop_sequence)
