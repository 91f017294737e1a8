"""A streamed chat completion, read as leniently as its many vendors write it."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from router_service.conversation import (
    Json,
    ReplyEvent,
    ReplyFailed,
    ReplyStarted,
    TextDelta,
    TextEnded,
    ThinkingDelta,
    ToolCallDelta,
    ToolCallStarted,
    Usage,
)
from router_service.dialects.openai import citations, details, reply
from router_service.dialects.openai.request import call_state
from router_service.dialects.parts import errors, fit, plain
from router_service.dialects.parts.replies import merged
from router_service.fast_json import loads
from router_service.sse import ServerSentEvent


@dataclass(slots=True)
class _Call:
    """A tool call as far as it has come; it starts for the client when its name is known."""

    index: int
    id: str
    name: str = ""
    unsaid: str = ""
    custom: bool = False  # of plain text, which is told when it is all there


class Reader:
    """The end is told by [DONE] or by the stream's own: usage may follow the finish_reason."""

    def __init__(self) -> None:
        self._id = ""
        self._started = self._done = self._refused = False
        self._calls: list[_Call] = []
        self._by_index: dict[int, _Call] = {}
        self._finish = ""
        self._letters = 0  # of all texts so far
        self._cited: list[Any] = []
        self._details: list[Json] = []
        self._thinking = False
        self._usage = Usage()

    def feed(self, event: ServerSentEvent) -> list[ReplyEvent]:
        if self._done:
            return []
        if event.data.strip() == "[DONE]":
            return self._end()
        try:
            return list(self._on(loads(event.data), event))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return [self._fail("The provider sent something that is no chunk of its API.")]

    def close(self) -> list[ReplyEvent]:
        if self._done:
            return []
        return self._end() if self._finish else [self._fail("The stream ended before the answer did.")]

    def _end(self) -> list[ReplyEvent]:
        self._done = True
        texts = [ToolCallDelta(call.index, plain.arguments(call.unsaid)) for call in self._calls if call.custom]
        return [
            *self._state(),
            *self._citations(),
            *texts,
            reply.ended(self._finish, self._usage, calls=bool(self._calls), refused=self._refused),
        ]

    def _fail(self, message: str) -> ReplyFailed:
        self._done = True
        return ReplyFailed("api_error", message, odd=True)

    def _on(self, chunk: Any, event: ServerSentEvent) -> Iterator[ReplyEvent]:
        listed = isinstance(chunk, list) and any("error" in one for one in chunk if isinstance(one, dict))  # Gemini's
        if listed or event.event == "error" or chunk.get("error") or chunk.get("object") == "error":
            self._done = True
            yield errors.failed(chunk)
            return
        choices = [choice for choice in chunk.get("choices") or [] if not choice.get("index")]
        if not self._started and (choices or chunk.get("id")):
            self._started = True
            self._id = str(chunk.get("id") or fit.fingerprint(event.data))
            yield ReplyStarted(self._id, str(chunk.get("model") or ""))
        if usage := chunk.get("usage"):
            self._usage = merged(self._usage, reply.parse_usage(usage))
        for choice in choices:
            yield from self._on_delta(choice.get("delta") or {})
            self._finish = str(choice.get("finish_reason") or self._finish)

    def _on_delta(self, delta: Json) -> Iterator[ReplyEvent]:
        self._details += details.listed(delta.get(details.FIELD))
        for event in reply.said(delta):
            if isinstance(event, TextDelta):
                yield from self._state()
                self._letters += len(event.text)
            else:
                self._thinking = True
            yield event
        self._refused = self._refused or reply.refuses(delta)
        if told := delta.get("annotations"):
            self._cited += told
        if pieces := delta.get("tool_calls"):
            yield from self._state()
            yield from self._citations()
            for piece in pieces:
                yield from self._on_call(piece)

    def _state(self) -> Iterator[ReplyEvent]:
        """What the model wants back of its thinking so far."""
        if self._details:
            held = details.state(details.merged(self._details))
            yield ThinkingDelta("", held, hidden=not self._thinking)
            self._details, self._thinking = [], False

    def _citations(self) -> Iterator[ReplyEvent]:
        """At the end of the text, whenever they came: some vendors tell them first."""
        told, self._cited = self._cited, []
        if told and self._letters:
            yield TextEnded(citations.read(told, self._letters))

    def _on_call(self, piece: Json) -> Iterator[ReplyEvent]:
        function = piece.get("function") or piece.get("custom") or {}
        call = self._call_of(piece, function)
        call.custom = call.custom or "custom" in piece
        call.unsaid += reply.arguments(function.get("input" if call.custom else "arguments"))
        if not call.name and function.get("name"):
            call.name = str(function["name"])
            yield ToolCallStarted(call.index, call.id, call.name, call_state(piece))
        if call.name and call.unsaid and not call.custom:
            yield ToolCallDelta(call.index, call.unsaid)
            call.unsaid = ""

    def _call_of(self, piece: Json, function: Json) -> _Call:
        """The call that a piece belongs to. Some vendors give no index, some no id, Gemini the index 0 to all."""
        index, given = piece.get("index"), str(piece.get("id") or "")
        known = self._by_index.get(index) if isinstance(index, int) else self._without_index(given, function)
        if known and not (given and given != known.id and function.get("name")):
            return known
        call = _Call(len(self._calls), given or reply.call_id(self._id, len(self._calls)))
        self._calls.append(call)
        if isinstance(index, int):
            self._by_index[index] = call
        return call

    def _without_index(self, given: str, function: Json) -> _Call | None:
        """A known id goes on, a name begins anew, anything else belongs to the last call."""
        if given:
            return next((call for call in self._calls if call.id == given), None)
        return self._calls[-1] if self._calls and not function.get("name") else None
