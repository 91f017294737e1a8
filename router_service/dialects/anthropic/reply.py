"""A whole Anthropic message as events and back; the words that streams and whole messages share."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

from router_service.conversation import (
    Citation,
    Json,
    ReplyEnded,
    ReplyEvent,
    ReplyStarted,
    StopReason,
    TextDelta,
    TextEnded,
    ThinkingDelta,
    ToolCallDelta,
    ToolCallStarted,
    Usage,
)
from router_service.dialects.anthropic import citations, content, searches
from router_service.dialects.anthropic.request import NAME
from router_service.dialects.anthropic.searches import Pairs
from router_service.dialects.dialect import Addressee
from router_service.dialects.parts import cited, fit
from router_service.dialects.parts.replies import Block, collect, tokens_of
from router_service.provenance import seal, seal_call

REASONS: dict[str, StopReason] = {
    "end_turn": "end",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "stop_sequence": "stop_sequence",
    "tool_use": "tool_calls",
    "refusal": "refusal",
    "pause_turn": "pause",
}
STOP_REASONS: dict[StopReason, str] = {
    "end": "end_turn",
    "length": "max_tokens",
    "stop_sequence": "stop_sequence",
    "tool_calls": "tool_use",
    "refusal": "refusal",
    "pause": "pause_turn",
}


def parse_reply(body: Json) -> list[ReplyEvent]:
    blocks = body.get("content")
    if body.get("type") != "message" or not isinstance(blocks, list):
        raise ValueError("not an Anthropic message")
    pairs = Pairs()
    read = [event for before, block in pairwise([{}, *blocks]) for event in _events(block, before, pairs)]
    read += pairs.close()
    calls = 0
    events: list[ReplyEvent] = [ReplyStarted(str(body.get("id") or ""), str(body.get("model") or ""))]
    for event in read:
        if isinstance(event, ToolCallStarted):
            event = replace(event, index=calls)
            calls += 1
        elif isinstance(event, ToolCallDelta):
            event = replace(event, index=calls - 1)
        events.append(event)
    reason = REASONS.get(str(body.get("stop_reason")), "tool_calls" if calls else "end")
    return [
        *events,
        *declined(body),
        ReplyEnded(reason, parse_usage(body.get("usage")), str(body.get("stop_sequence") or "")),
    ]


def declined(told: Json) -> Iterator[ReplyEvent]:
    """Why Anthropic refused, which stands behind the content; most clients of other dialects show nothing else."""
    match told.get("stop_details"):
        case {"explanation": str(words)} if words:
            yield TextEnded(apart=True)
            yield TextDelta(words, refusal=True)


PLAIN = ("text", "tool_use", "thinking", "redacted_thinking")


def between(after: str) -> Iterator[ReplyEvent]:
    """What lies between a text and a block of the kind `after`: neighbouring texts are one running text in pieces."""
    if after == "text":
        yield TextEnded()
    elif after not in PLAIN:
        yield TextEnded(apart=True)


def _events(block: Json, before: Json, pairs: Pairs) -> Iterator[ReplyEvent]:
    """A block's events, and what lies between it and the one before; the caller numbers the tool calls."""
    match before, block:
        case {"type": "text"}, {"type": str(kind)}:
            yield from between(kind)
    match block:
        case {"type": str(kind)} if kind in PLAIN:
            yield from pairs.close()
    match block:
        case {"type": "text", "text": str(words)}:
            yield TextDelta(words)
            if told := block.get("citations"):
                yield TextEnded(citations.read(told, "citations", len(words)))
        case {"type": "thinking", "thinking": str(words)}:
            if words:
                yield ThinkingDelta(words)
            if signature := block.get("signature"):
                yield ThinkingDelta("", str(signature))
        case {"type": "redacted_thinking", "data": str(data)}:
            yield ThinkingDelta("", data, hidden=True)
        case {"type": "tool_use", "id": str(call_id), "name": str(name)}:
            yield ToolCallStarted(0, call_id, name)
            yield ToolCallDelta(0, fit.compact(block.get("input") or {}))
        case {"type": str(kind)}:
            yield from pairs.feed(block)
        case _:
            raise ValueError("not a content block of an Anthropic message")


def render_reply(events: Sequence[ReplyEvent], to: Addressee) -> Json:
    reply = collect(events)
    return {
        "id": fit.reply_id("msg_", reply.id),
        "type": "message",
        "role": "assistant",
        "model": to.model,
        "content": [made for block in reply.blocks for made in _blocks(block, to.maker)],
        "stop_reason": STOP_REASONS[reply.reason],
        "stop_sequence": reply.stop_sequence or None,
        "usage": render_usage(reply.usage),
    }


def _blocks(block: Block, maker: str) -> Iterator[Json]:
    if block.kind == "tool_call" and block.signature and maker:
        yield content.thinking("", seal_call(maker, fit.tool_id(block.id), block.signature), hidden=True)
    if block.search:
        yield from searches.blocks(block.search)
    elif made := _block(block, maker):
        yield made


def _block(block: Block, maker: str) -> Json | None:
    match block.kind:
        case "text":
            return content.text(block.text) | _citations(block, maker) if block.text else None
        case "thinking":
            return content.thinking(block.text, seal(maker, block.signature), hidden=block.hidden)
        case "tool_call":
            return content.tool_use(block.id, block.name, block.text)
    return block.raw if block.dialect == NAME else None


def _citations(block: Block, maker: str) -> Json:
    made = [told for one in block.citations if (told := cite(one, maker, block.text))]
    return {"citations": made} if made else {}


def cite(citation: Citation, maker: str, text: str) -> Json | None:
    """Told at the end of the text."""
    start, end = cited.placed(citation, len(text))
    return citations.render(citation, maker, text[start:end])


def sealed(told: Json, maker: str) -> Json:
    """A whole message, or an event that opens or signs a block."""
    match told:
        case {"content": list(blocks)}:
            return told | {"content": [_sealed(block, maker) for block in blocks]}
        case {"content_block": dict(block)}:
            return told | {"content_block": _sealed(block, maker)}
        case {"delta": {"type": "signature_delta"} as delta}:
            return told | {"delta": _sealed(delta, maker)}
    return told


def _sealed(block: Json, maker: str) -> Json:
    held = {name: block[name] for name in ("signature", "data") if isinstance(block.get(name), str) and block[name]}
    return block | {name: seal(maker, state) for name, state in held.items()}


# -- usage -----------------------------------------------------------------------------------------------------


def parse_usage(usage: Any) -> Usage:
    if not isinstance(usage, dict):
        return Usage()
    details = usage.get("output_tokens_details") or {}
    hour_write = tokens_of(usage.get("cache_creation") or {}, "ephemeral_1h_input_tokens")
    return Usage(
        input=tokens_of(usage, "input_tokens"),
        cached=tokens_of(usage, "cache_read_input_tokens"),
        cache_write=tokens_of(usage, "cache_creation_input_tokens"),
        output=tokens_of(usage, "output_tokens"),
        reasoning=tokens_of(details, "thinking_tokens"),
        hour_write=hour_write,
        searches=tokens_of(usage.get("server_tool_use") or {}, "web_search_requests"),
    )


def render_usage(usage: Usage) -> Json:
    """The client's schema wants every number; 0 stands for what the vendor did not say."""
    counted: Json = {
        "input_tokens": usage.input or 0,
        "cache_creation_input_tokens": usage.cache_write or 0,
        "cache_read_input_tokens": usage.cached or 0,
        "output_tokens": usage.output or 0,
    }
    details = {} if usage.reasoning is None else {"output_tokens_details": {"thinking_tokens": usage.reasoning}}
    return counted | details
