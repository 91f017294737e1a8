"""A streamed chat completion, written as OpenAI's own clients expect it."""

from collections.abc import Iterator

from router_service.conversation import (
    TOO_LONG,
    Failure,
    Json,
    ReplyEnded,
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
from router_service.dialects.dialect import Addressee
from router_service.dialects.openai import citations
from router_service.dialects.openai.messages import ID_LENGTH
from router_service.dialects.openai.reply import finish_reason, render_detail, render_usage
from router_service.dialects.parts import fit, plain
from router_service.dialects.parts.replies import Block, merged
from router_service.fast_json import dumps
from router_service.sse import encoded

DONE = b"data: [DONE]\n\n"
# type and code; see https://platform.openai.com/docs/guides/error-codes
ERRORS = {
    "invalid_request_error": ("invalid_request_error", None),
    "authentication_error": ("invalid_request_error", "invalid_api_key"),
    "billing_error": ("insufficient_quota", "insufficient_quota"),
    "permission_error": ("invalid_request_error", "permission_denied"),
    "not_found_error": ("invalid_request_error", "model_not_found"),
    "request_too_large": ("invalid_request_error", "request_too_large"),
    "rate_limit_error": ("rate_limit_error", "rate_limit_exceeded"),
    "timeout_error": ("server_error", "timeout"),
    "overloaded_error": ("server_error", "server_overloaded"),
}


class Writer:
    def __init__(self, to: Addressee) -> None:
        self._to = to
        self._thought: Block | None = None  # under way
        self._thoughts = 0  # done
        self._id = ""
        self._letters = 0  # of the content
        self._apart = self._refused = self._speaking = False
        self._usage = Usage()
        self._empty_calls: set[int] = set()
        self._texts: dict[
            int, list[str]
        ] = {}  # arguments of calls of plain text, which can be read when they are all there
        self._started = self._done = False

    def feed(self, event: ReplyEvent) -> bytes:
        return b"" if self._done else b"".join(self._write(event))

    def _write(self, event: ReplyEvent) -> Iterator[bytes]:
        if not self._started and not isinstance(event, ReplyFailed):
            self._started = True
            yield self._start(event if isinstance(event, ReplyStarted) else ReplyStarted("", ""))
        if isinstance(event, ThinkingDelta):
            self._speaking = False
            yield from self._think(event)
            return
        yield from self._thought_through()
        if not isinstance(event, TextDelta | TextEnded):
            self._speaking = False
        match event:
            case TextDelta(text, refusal=True) if text:
                self._refused = True
                yield self._chunk({"refusal": text})
            case TextDelta(text) if text:
                yield self._text(text)
            case TextEnded(told, apart):
                self._apart = self._apart or (apart and self._speaking)
                if made := [raw for one in told if (raw := citations.render(one, self._letters))]:
                    yield self._chunk({"annotations": made})
            case ToolCallStarted(index, call_id, name):
                call = {"id": fit.tool_id(call_id, ID_LENGTH)}
                if name in self._to.plain:
                    self._texts[index] = []
                    yield self._call(index, call | {"type": "custom", "custom": {"name": name, "input": ""}})
                    return
                self._empty_calls.add(index)
                yield self._call(index, call | {"type": "function", "function": {"name": name, "arguments": ""}})
            case ToolCallDelta(index, arguments) if index in self._texts:
                self._texts[index].append(arguments)
            case ToolCallDelta(index, arguments) if arguments:
                self._empty_calls.discard(index)
                yield self._call(index, {"function": {"arguments": arguments}})
            case ReplyEnded():
                yield from self._end(event)
            case ReplyFailed(kind, message):
                self._done = True
                yield render_error_event(Failure(500, kind, message))

    def _text(self, text: str) -> bytes:
        """All texts are one content."""
        if self._apart and self._letters:
            text = f"\n\n{text}"
        self._apart, self._speaking = False, True
        self._letters += len(text)
        return self._chunk({"content": text})

    def _think(self, event: ThinkingDelta) -> Iterator[bytes]:
        if event.hidden:
            yield from self._thought_through()
        self._thought = self._thought or Block("thinking", hidden=event.hidden)
        self._thought.more.append(event.text)
        self._thought.signature = event.signature
        if event.text:
            yield self._chunk({"reasoning_content": event.text})
        if event.signature:
            yield from self._thought_through()

    def _thought_through(self) -> Iterator[bytes]:
        """Says whose thinking it was, once that has ended."""
        if self._thought and self._to.maker:
            self._thought.gather()
            yield self._chunk({"reasoning_details": [render_detail(self._thoughts, self._thought, self._to.maker)]})
            self._thoughts += 1
        self._thought = None

    def _start(self, event: ReplyStarted) -> bytes:
        self._id, self._usage = fit.reply_id("chatcmpl-", event.id), event.usage
        return self._chunk({"role": "assistant", "content": ""})

    def _end(self, event: ReplyEnded) -> Iterator[bytes]:
        """Clients parse the arguments, so a call without any gets an empty object."""
        self._done = True
        for index, arguments in self._texts.items():
            yield self._call(index, {"custom": {"input": plain.text("".join(arguments))}})
        for index in sorted(self._empty_calls):
            yield self._call(index, {"function": {"arguments": "{}"}})
        yield self._chunk({}, finish=finish_reason(event.reason, refused=self._refused))
        if self._to.include_usage:
            usage = render_usage(merged(self._usage, event.usage))
            yield self._encoded({"choices": [], "usage": usage})
        yield DONE

    def _call(self, index: int, call: Json) -> bytes:
        return self._chunk({"tool_calls": [{"index": index, **call}]})

    def _chunk(self, delta: Json, *, finish: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        return self._encoded({"choices": [choice]} | ({"usage": None} if self._to.include_usage else {}))

    def _encoded(self, fields: Json) -> bytes:
        head = {
            "id": self._id,
            "object": "chat.completion.chunk",
            "created": self._to.created,
            "model": self._to.model,
        }
        return encoded(dumps(head | fields))


def render_error(failure: Failure) -> bytes:
    kind, code = ERRORS.get(failure.kind, ("server_error", None))
    if TOO_LONG in failure.message:
        code = "context_length_exceeded"
    error = {"message": failure.message, "type": kind, "param": None, "code": code}
    return dumps({"error": error})


def render_error_event(failure: Failure) -> bytes:
    return encoded(render_error(failure))
