"""A streamed response, read: items one after another or side by side, each told by its place in the output.

https://platform.openai.com/docs/api-reference/responses-streaming. Followers of OpenAI leave out deltas and send whole
items only, so what was not said in deltas is said when its item is done.
"""

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
)
from router_service.dialects.parts import errors
from router_service.dialects.responses import citations, reply
from router_service.fast_json import loads
from router_service.sse import ServerSentEvent

UNREAD = frozenset(
    {
        "response.in_progress", "response.content_part.added", "response.queued",
        "response.web_search_call.in_progress", "response.web_search_call.searching",
        "response.web_search_call.completed", "response.output_text.done", "response.refusal.done",
        "response.function_call_arguments.done", "response.custom_tool_call_input.done", "keepalive",
        "response.reasoning_summary_text.done", "response.reasoning_summary_part.done", "response.reasoning_text.done",
    }
)  # fmt: skip
TEXTS = ("response.output_text.delta", "response.refusal.delta")
PART_DONE = "response.content_part.done"  # its name says all
THOUGHTS = ("response.reasoning_summary_text.delta", "response.reasoning_text.delta")
ARGUMENTS = ("response.function_call_arguments.delta",)
ENDS = ("response.completed", "response.incomplete", "response.failed", "response.cancelled")


@dataclass(slots=True)
class _Item:
    """An item as far as it has come; `call` is the number of its tool call."""

    said: bool = False
    call: int = -1
    letters: int = 0  # of the part of its text under way


class Reader:
    def __init__(self) -> None:
        self._items: dict[int, _Item] = {}
        self._calls = 0
        self._started = self._done = self._refused = False

    def feed(self, event: ServerSentEvent) -> list[ReplyEvent]:
        if self._done or event.event in UNREAD:
            return []
        try:
            data = loads(event.data)
            return list(self._on(str(data.get("type") or ("error" if data.get("error") else "")), data))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            if event.data.strip() == "[DONE]":
                return []
            return [self._fail("The provider sent something that is no event of its API.")]

    def close(self) -> list[ReplyEvent]:
        return [] if self._done else [self._fail("The stream ended before the answer did.")]

    def _fail(self, message: str) -> ReplyFailed:
        self._done = True
        return ReplyFailed("api_error", message, odd=True)

    def _on(self, kind: str, data: Json) -> Iterator[ReplyEvent]:
        if kind == "error":
            self._done = True
            yield errors.failed(data)
            return
        if not self._started and kind.startswith("response."):
            yield self._start(data.get("response") or {})
        at = data.get("output_index", 0)
        item = self._items.setdefault(at, _Item())
        if kind in TEXTS or kind in THOUGHTS:
            item.said = True
            words = str(data["delta"])
            yield self._words(item, words, kind) if kind in TEXTS else ThinkingDelta(words)
        elif kind == "response.output_text.annotation.added":
            yield TextEnded((citations.read_one(data["annotation"], item.letters),))
        elif kind == PART_DONE and item.letters:
            item.letters = 0
            yield TextEnded(apart=True)
        elif kind == "response.reasoning_summary_part.added" and data.get("summary_index"):
            yield ThinkingDelta("\n\n")
        elif kind == "response.output_item.added" and data["item"].get("type") == "function_call":
            yield from self._call(item, data["item"])
        elif kind in ARGUMENTS and item.call >= 0 and data["delta"]:
            item.said = True
            yield ToolCallDelta(item.call, str(data["delta"]))
        elif kind == "response.output_item.done":
            yield from self._whole(item, data["item"])
        elif kind in ENDS:
            self._done = True
            yield reply.ended(data["response"], calls=bool(self._calls), refused=self._refused)

    def _words(self, item: _Item, words: str, kind: str) -> TextDelta:
        refusal = kind == "response.refusal.delta"
        self._refused = self._refused or refusal
        item.letters += len(words)
        return TextDelta(words, refusal)

    def _start(self, response: Json) -> ReplyStarted:
        self._started = True
        return ReplyStarted(str(response.get("id") or ""), str(response.get("model") or ""))

    def _call(self, item: _Item, told: Json) -> Iterator[ReplyEvent]:
        item.call = self._calls
        self._calls += 1
        yield ToolCallStarted(item.call, str(told.get("call_id") or told.get("id") or ""), str(told["name"]))

    def _whole(self, item: _Item, told: Json) -> Iterator[ReplyEvent]:
        """What of the item has not been said in deltas."""
        kind: Any = told.get("type")
        if kind == "message" and item.letters:  # no word of its part's end
            yield TextEnded(apart=True)
        elif kind == "function_call" and item.call >= 0:
            if not item.said:
                yield ToolCallDelta(item.call, reply.arguments(told))
        elif kind == "reasoning" and item.said:
            yield from reply.state_of(told, hidden=False)
        elif not item.said:
            yield from reply.item_events(told, self._calls)
            self._calls += kind in reply.CALLS
        item.said = True
