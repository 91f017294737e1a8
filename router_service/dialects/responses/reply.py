"""A whole response as events and back; the words that streams and whole responses share."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from router_service.conversation import (
    Json,
    OpaqueBlock,
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
from router_service.dialects.parts import errors, fit, plain
from router_service.dialects.parts.replies import Block, collect, text_of, tokens_of
from router_service.dialects.responses import citations, searches
from router_service.dialects.responses.render import call_item, in_its_space
from router_service.dialects.responses.request import NAME
from router_service.provenance import seal, seal_call, seal_thought

CALLS = ("function_call", "custom_tool_call")
REASONS: dict[str, StopReason] = {"max_output_tokens": "length", "content_filter": "refusal"}
INCOMPLETE: dict[StopReason, str] = {reason: word for word, reason in REASONS.items()}


def parse_reply(body: Json) -> list[ReplyEvent]:
    output = body.get("output")
    if not isinstance(output, list) or body.get("object", "response") != "response":
        raise ValueError("not a response")
    events: list[ReplyEvent] = [ReplyStarted(str(body.get("id") or ""), str(body.get("model") or ""))]
    calls = 0
    for item in output:
        if not isinstance(item, dict):
            raise ValueError("not an item of a response")
        events += item_events(item, calls)
        calls += item.get("type") in CALLS
    refused = any(_refusals(item) for item in output)
    return [*events, ended(body, calls=bool(calls), refused=refused)]


def item_events(item: Json, index: int) -> Iterator[ReplyEvent]:
    """All that an item says, when nothing of it has been said before; `index` is the number of its call."""
    match item.get("type"):
        case "message":
            for part in _objects(item, "content"):
                yield from _said(part)
        case "reasoning":
            if words := thoughts(item):
                yield ThinkingDelta(words)
            yield from state_of(item, hidden=not words)
        case "function_call" | "custom_tool_call":
            yield ToolCallStarted(index, str(item.get("call_id") or item.get("id") or ""), str(item.get("name") or ""))
            yield ToolCallDelta(index, arguments(item))
        case searches.CALL:
            yield searches.read(item)
        case str(kind):
            yield OpaqueBlock(NAME, kind, item)
        case _:
            raise ValueError("not an item of a response")


def _said(part: Json) -> Iterator[ReplyEvent]:
    """A text with each source told where the letters end that rest on it, as streams tell them."""
    refusal = part.get("type") == "refusal"
    words = str(part.get("refusal" if refusal else "text") or "")
    out = 0
    for raw in _objects(part, "annotations"):
        at = max(len(words) - citations.read_one(raw, len(words)).until, out)
        if at > out:
            yield TextDelta(words[out:at])
        yield TextEnded((citations.read_one(raw, at),))
        out = at
    if words[out:]:
        yield TextDelta(words[out:], refusal)
    if words:
        yield TextEnded(apart=True)


def thoughts(item: Json) -> str:
    shown = _objects(item, "summary") or _objects(item, "content")
    return "\n\n".join(str(part.get("text") or "") for part in shown)


def _objects(item: Json, name: str) -> list[Json]:
    value = item.get(name)
    return [part for part in value if isinstance(part, dict)] if isinstance(value, list) else []


def state_of(item: Json, *, hidden: bool) -> Iterator[ReplyEvent]:
    """What the model wants back: the item as it came. Without its encrypted content nobody could read it."""
    if isinstance(item.get("encrypted_content"), str) and item["encrypted_content"]:
        yield ThinkingDelta("", fit.compact(item), hidden=hidden)


def arguments(item: Json) -> str:
    if item.get("type") == "custom_tool_call":
        return plain.arguments(str(item.get("input") or ""))
    given = item.get("arguments")
    return given if isinstance(given, str) and given else "{}" if given is None or given == "" else fit.compact(given)


def _refusals(item: Json) -> bool:
    return any(part.get("type") == "refusal" for part in _objects(item, "content"))


def ended(response: Json, *, calls: bool, refused: bool) -> ReplyEnded | ReplyFailed:
    error = response.get("error")
    if response.get("status") in ("failed", "cancelled") or error:
        return errors.failed({"error": error if isinstance(error, dict) else {"message": str(error or "")}})
    details = response.get("incomplete_details")
    cause = str(details.get("reason")) if isinstance(details, dict) else ""
    reason = REASONS.get(cause, "length" if response.get("status") == "incomplete" else "end")
    if reason == "end" and (calls or refused):
        reason = "tool_calls" if calls else "refusal"
    return ReplyEnded(reason, parse_usage(response.get("usage")))


# -- rendering -------------------------------------------------------------------------------------------------


def render_reply(events: Sequence[ReplyEvent], to: Addressee) -> Json:
    reply = collect(events)
    id_ = fit.reply_id("resp_", reply.id)
    blocks = enumerate(_in_runs(reply.blocks))
    items = (item for at, block in blocks for item in _items(block, item_id(id_, at), to))
    refused = any(block.refusal for block in reply.blocks)
    return envelope(id_, to, list(items)) | outcome(reply.reason, reply.usage, refused=refused)


def _in_runs(blocks: Sequence[Block]) -> list[Block]:
    """With the pieces of one running text as one."""
    runs: list[Block] = []
    for block in blocks:
        before = runs[-1] if runs else None
        if before and before.kind == block.kind == "text" and not before.apart and before.refusal == block.refusal:
            whole = text_of([before, block])
            runs[-1] = replace(block, text=whole.text, citations=whole.citations)
        else:
            runs.append(block)
    return runs


def item_id(response: str, index: int) -> str:
    return f"{response.removeprefix('resp_')}_{index}"


def _items(block: Block, id_: str, to: Addressee) -> Iterator[Json]:
    if block.kind == "tool_call" and block.signature and to.maker:
        yield signed_item(id_, block, to.maker)
    if item := block_item(block, id_, to):
        yield item


def signed_item(id_: str, call: Block, maker: str) -> Json:
    """What a call was signed with, as reasoning before it."""
    state = seal_call(maker, fit.tool_id(call.id), call.signature)
    return {"id": f"rs_{id_}", "type": "reasoning", "summary": [], "encrypted_content": state}


def block_item(block: Block, id_: str, to: Addressee) -> Json | None:
    """The finished item of a block; None for what only another dialect knows."""
    match block.kind:
        case "text":
            return message_item(id_, text_part(block)) if block.text else None
        case "thinking":
            return reasoning_item(id_, block, to.maker)
        case "tool_call":
            custom = block.name in to.plain
            prefix = "ctc_" if custom else "fc_"
            call = call_item(fit.tool_id(block.id), block.name, block.text, custom=custom)
            return {"id": f"{prefix}{id_}", "status": "completed", **in_its_space(call, to.spaces)}
        case "search" if block.search:
            return searches.item(block.search, id_)
    return block.raw if block.dialect == NAME else None


def opening_item(block: Block, id_: str, to: Addressee) -> Json:
    """The item of a block that has just begun."""
    match block.kind:
        case "text":
            return message_item(id_, None)
        case "thinking":
            return {"id": f"rs_{id_}", "type": "reasoning", "summary": []}
        case "tool_call":
            key = "input" if block.name in to.plain else "arguments"
            return (block_item(block, id_, to) or {}) | {"status": "in_progress", key: ""}
        case "search" if block.search:
            return searches.item(block.search, id_) | {"status": "in_progress"}
    return block.raw


def message_item(id_: str, part: Json | None) -> Json:
    """Without a part it is in progress."""
    content, status = ([part], "completed") if part else ([], "in_progress")
    return {"id": f"msg_{id_}", "type": "message", "status": status, "role": "assistant", "content": content}


def text_part(block: Block) -> Json:
    if block.refusal:
        return {"type": "refusal", "refusal": block.text}
    told = [raw for one in block.citations if (raw := citations.render(one, len(block.text)))]
    return {"type": "output_text", "annotations": told, "logprobs": [], "text": block.text}


def reasoning_item(id_: str, block: Block, maker: str) -> Json:
    summary = [{"type": "summary_text", "text": block.text}] if block.text else []
    return {
        "id": f"rs_{id_}",
        "type": "reasoning",
        "summary": summary,
        "encrypted_content": seal_thought(maker, block.signature, hidden=block.hidden) or None,
    }


def envelope(id_: str, to: Addressee, output: Sequence[Json]) -> Json:
    """A response in progress. What the request had set is not repeated: its defaults stand here."""
    return {
        "id": id_,
        "object": "response",
        "created_at": to.created,
        "status": "in_progress",
        "background": False,
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "max_output_tokens": None,
        "metadata": {},
        "model": to.model,
        "output": list(output),
        "parallel_tool_calls": True,
        "previous_response_id": None,
        "reasoning": {"effort": None, "summary": None},
        "store": False,
        "temperature": None,
        "text": {"format": {"type": "text"}},
        "tool_choice": "auto",
        "tools": [],
        "top_p": None,
        "truncation": "disabled",
        "usage": None,
        "user": None,
    }


def outcome(reason: StopReason, usage: Usage, *, refused: bool) -> Json:
    """How a response ended, to lay over its envelope. A model that declines in words has completed it."""
    cause = None if reason == "refusal" and refused else INCOMPLETE.get(reason)
    return {
        "status": "incomplete" if cause else "completed",
        "incomplete_details": {"reason": cause} if cause else None,
        "usage": render_usage(usage),
    }


def sealed(told: Json, maker: str) -> Json:
    """A whole response, or an event that shows an item or the response."""
    match told:
        case {"output": list(items)}:
            return told | {"output": [_sealed(item, maker) for item in items]}
        case {"item": dict(item)}:
            return told | {"item": _sealed(item, maker)}
        case {"response": {"output": list()} as response}:
            return told | {"response": sealed(response, maker)}
    return told


def _sealed(item: Json, maker: str) -> Json:
    if not isinstance(item.get("encrypted_content"), str) or not item["encrypted_content"]:
        return item
    return item | {"encrypted_content": seal(maker, fit.compact(item))}


# -- usage -----------------------------------------------------------------------------------------------------


def parse_usage(usage: Any) -> Usage:
    """OpenAI's input tokens include the cached ones."""
    if not isinstance(usage, dict):
        return Usage()
    read, written = usage.get("input_tokens_details"), usage.get("output_tokens_details")
    prompt, cached = tokens_of(usage, "input_tokens"), tokens_of(read, "cached_tokens")
    stored = tokens_of(read, "cache_write_tokens")
    return Usage(
        input=None if prompt is None else max(prompt - (cached or 0) - (stored or 0), 0),
        cached=cached,
        cache_write=stored,
        output=tokens_of(usage, "output_tokens"),
        reasoning=tokens_of(written, "reasoning_tokens") or None,
    )


def render_usage(usage: Usage) -> Json:
    """The client's schema wants every number; 0 stands for what the vendor did not say."""
    prompt = (usage.input or 0) + (usage.cached or 0) + (usage.cache_write or 0)
    output = usage.output or 0
    return {
        "input_tokens": prompt,
        "input_tokens_details": {"cached_tokens": usage.cached or 0, "cache_write_tokens": usage.cache_write or 0},
        "output_tokens": output,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning or 0},
        "total_tokens": prompt + output,
    }
