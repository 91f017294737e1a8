"""A whole chat completion as events and back; the words that streams and whole completions share."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

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
from router_service.dialects.dialect import Addressee
from router_service.dialects.openai import citations, details
from router_service.dialects.openai.messages import render_call
from router_service.dialects.openai.request import call_state
from router_service.dialects.parts import fit, plain
from router_service.dialects.parts.replies import Block, collect, text_of, tokens_of
from router_service.provenance import seal

REASONS: dict[str, StopReason] = {
    "stop": "end",
    "length": "length",
    "model_length": "length",  # Mistral
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
    "content_filter": "refusal",
}
# OpenRouter; DeepSeek. The reply broke off, though it says so politely.
FAILURES = {"error": "api_error", "insufficient_system_resource": "overloaded_error"}
FINISH_REASONS: dict[StopReason, str] = {
    "end": "stop",
    "length": "length",
    "stop_sequence": "stop",
    "tool_calls": "tool_calls",
    "refusal": "content_filter",
    "pause": "stop",
}


def parse_reply(body: Json) -> list[ReplyEvent]:
    choices = body.get("choices")
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
        raise ValueError("not a chat completion")
    message = choices[0].get("message")
    if not isinstance(message, dict):
        raise ValueError("not a choice of a chat completion")
    begun = ReplyStarted(str(body.get("id") or fit.fingerprint(fit.compact(body))), str(body.get("model") or ""))
    calls = message.get("tool_calls") or []
    if not isinstance(calls, list):
        raise ValueError("not a list of tool calls of a chat completion")
    events = [
        begun,
        *said(message, _state(message)),
        *_cited(message),
        *(event for at, call in enumerate(calls) for event in _call(begun, at, call)),
    ]
    finish = str(choices[0].get("finish_reason") or "")
    return [*events, ended(finish, parse_usage(body.get("usage")), calls=bool(calls), refused=refuses(message))]


def _state(message: Json) -> Iterator[ReplyEvent]:
    if held := details.listed(message.get(details.FIELD)):
        yield ThinkingDelta("", details.state(held), hidden=not _thought(message))


def _thought(message: Json) -> str:
    thought = message.get("reasoning_content") or message.get("reasoning")
    return thought if isinstance(thought, str) else ""


def said(message: Json, state: Iterable[ReplyEvent] = ()) -> Iterator[ReplyEvent]:
    """Thinking, the state of it, and text of a message or a delta. Mistral's reasoning models write thinking and text
    as a list of parts."""
    if thought := _thought(message):
        yield ThinkingDelta(thought)
    yield from state
    content = message.get("content")
    for part in content if isinstance(content, list) else [content]:
        match part:
            case str(text) | {"type": "text", "text": str(text)} if text:
                yield TextDelta(text)
            case {"type": "thinking", "thinking": list(inner)}:
                yield from (ThinkingDelta(str(item["text"])) for item in inner if item.get("text"))
    if refuses(message):
        yield TextDelta(str(message["refusal"]), refusal=True)


def _cited(message: Json) -> Iterator[ReplyEvent]:
    told = message.get("annotations")
    letters = sum(len(event.text) for event in said(message) if isinstance(event, TextDelta)) if told else 0
    if letters:
        yield TextEnded(citations.read(told, letters))


def refuses(message: Json) -> bool:
    return bool(message.get("refusal"))


def _call(begun: ReplyStarted, index: int, call: Any) -> Iterator[ReplyEvent]:
    custom = call.get("custom") if isinstance(call, dict) else None
    if isinstance(custom, dict):
        call = call | {"function": custom | {"arguments": plain.arguments(str(custom.get("input") or ""))}}
    function = call.get("function") if isinstance(call, dict) else None
    if not isinstance(function, dict):
        raise ValueError("not a tool call of a chat completion")
    id_ = str(call.get("id") or call_id(begun.id, index))
    yield ToolCallStarted(index, id_, str(function.get("name") or ""), call_state(call))
    yield ToolCallDelta(index, arguments(function.get("arguments")) or "{}")


def call_id(reply_id: str, index: int) -> str:
    """An id for a call that its vendor gave none: told apart within and between replies."""
    return f"call_{fit.fingerprint(f'{reply_id} {index}')}"


def arguments(value: Any) -> str:
    """JSON text; some vendors send the object itself."""
    if value is None:
        return ""
    return value if isinstance(value, str) else fit.compact(value)


def ended(finish: str, usage: Usage, *, calls: bool, refused: bool) -> ReplyEnded | ReplyFailed:
    """Many vendors say `stop` although they call tools."""
    if finish in FAILURES:
        return ReplyFailed(FAILURES[finish], f"The provider ended its answer with finish_reason {finish}.")
    reason = REASONS.get(finish, "end")
    if reason == "end" and (calls or refused):
        reason = "tool_calls" if calls else "refusal"
    return ReplyEnded(reason, usage)


def render_reply(events: Sequence[ReplyEvent], to: Addressee) -> Json:
    reply = collect(events)
    texts = [block for block in reply.blocks if block.kind == "text"]
    whole = text_of([block for block in texts if not block.refusal])
    text, refusal = whole.text, "".join(block.text for block in texts if block.refusal)
    thoughts = [block for block in reply.blocks if block.kind == "thinking"]
    thought = "".join(block.text for block in thoughts)
    blocks = [block for block in reply.blocks if block.kind == "tool_call"]
    calls = [render_call(block.id, block.name, block.text, custom=block.name in to.plain) for block in blocks]
    message: Json = {"role": "assistant", "content": text or (None if calls or refusal else "")}
    if told := [made for one in whole.citations if (made := citations.render(one, len(text)))]:
        message["annotations"] = told
    message |= {"reasoning_content": thought} if thought else {}
    if thoughts and to.maker:
        message["reasoning_details"] = [render_detail(at, block, to.maker) for at, block in enumerate(thoughts)]
    message |= {"tool_calls": calls} if calls else {}
    choice = {
        "index": 0,
        "message": message | {"refusal": refusal or None},
        "logprobs": None,
        "finish_reason": finish_reason(reply.reason, refused=bool(refusal)),
    }
    return {
        "id": fit.reply_id("chatcmpl-", reply.id),
        "object": "chat.completion",
        "created": to.created,
        "model": to.model,
        "choices": [choice],
        "usage": render_usage(reply.usage),
    }


def finish_reason(reason: StopReason, *, refused: bool) -> str:
    """A model that declines in words has ended by itself; the filter is who cuts it off."""
    return "stop" if reason == "refusal" and refused else FINISH_REASONS[reason]


def render_detail(index: int, block: Block, maker: str) -> Json:
    """A stretch of thinking as OpenRouter writes it, and whose it is, for agents that give it back."""
    head: Json = {"index": index, "format": "archgw", "id": None}
    if block.hidden:
        return {"type": "reasoning.encrypted", "data": seal(maker, block.signature), **head}
    return {"type": "reasoning.text", "text": block.text, "signature": seal(maker, block.signature), **head}


BEHIND = 1_000  # clients put the pieces of a stream together by their index; no vendor has so many


def sealed(told: Json, maker: str) -> Json:
    """A whole completion, or the chunk that ends one: whose thoughts there are in it."""
    choices = told.get("choices")
    ends = isinstance(choices, list) and any(isinstance(c, dict) and c.get("finish_reason") for c in choices)
    return told | {"choices": [_sealed(choice, maker) for choice in told["choices"]]} if ends else told


def _sealed(choice: Any, maker: str) -> Any:
    """The vendor's own details stay beside ours."""
    if not isinstance(choice, dict) or not choice.get("finish_reason"):
        return choice
    held = "message" if "message" in choice else "delta"
    said = choice.get(held) or {}
    if not isinstance(said, dict):
        return choice
    own = details.listed(said.get(details.FIELD))
    ours = render_detail(len(own) if held == "message" else BEHIND, Block("thinking", hidden=True), maker)
    return choice | {held: said | {details.FIELD: [*own, ours]}}


# -- usage -----------------------------------------------------------------------------------------------------


def parse_usage(usage: Any) -> Usage:
    """OpenAI's prompt tokens include the cached ones. Gemini and xAI leave reasoning out of the completion
    tokens but not out of the total, so the total decides."""
    if not isinstance(usage, dict):
        return Usage()
    prompt, completion, total = (tokens_of(usage, f"{name}_tokens") for name in ("prompt", "completion", "total"))
    details = usage.get("prompt_tokens_details") or {}
    elsewhere = ((usage, "prompt_cache_hit_tokens"), (usage, "cached_tokens"))  # DeepSeek, Moonshot
    told = (tokens_of(*place) for place in ((details, "cached_tokens"), *elsewhere))
    cached = next((count for count in told if count is not None), None)
    written = tokens_of(details, "cache_write_tokens")
    if total is not None and prompt is not None:
        completion = max(completion or 0, total - prompt)
    return Usage(
        input=None if prompt is None else max(prompt - (cached or 0) - (written or 0), 0),
        cached=cached,
        cache_write=written,
        output=completion,
        reasoning=tokens_of(usage.get("completion_tokens_details") or {}, "reasoning_tokens"),
    )


def render_usage(usage: Usage) -> Json:
    prompt = (usage.input or 0) + (usage.cached or 0) + (usage.cache_write or 0)
    output = usage.output or 0
    counted: Json = {"prompt_tokens": prompt, "completion_tokens": output, "total_tokens": prompt + output}
    read = {"cached_tokens": usage.cached, "cache_write_tokens": usage.cache_write}
    written = {"reasoning_tokens": usage.reasoning}
    for name, counts in (("prompt_tokens_details", read), ("completion_tokens_details", written)):
        if known := {key: value for key, value in counts.items() if value is not None}:
            counted[name] = known
    return counted
