"""Anthropic's Messages API as bytes: https://docs.claude.com/en/docs/build-with-claude/streaming."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace

from archgw.simulate.models import CACHE_FROM
from archgw.simulate.received import Asked
from archgw.simulate.reply import Call, Part, Reply, Stop, Text, Thinking, Wish
from archgw.simulate.script import Said
from archgw.simulate.signature import sign
from archgw.simulate.tokens import CACHE_MINIMUM, Piece, PromptCache, Usage, condensed
from archgw.simulate.wire import Frame, FrameKind, Json, compact, listed

# -- reading -------------------------------------------------------------------------------------------------


def said(body: Json) -> list[Said]:
    return [said_by(message) for message in listed(body.get("messages"))]


def said_by(message: Json) -> Said:
    content = message.get("content")
    if isinstance(content, str):
        return Said(message.get("role", "user"), content)
    blocks = listed(content)
    return Said(
        message.get("role", "user"),
        texts(content),
        calls=any(block.get("type") == "tool_use" for block in blocks),
        result="\n".join(texts(block.get("content")) for block in blocks if block.get("type") == "tool_result"),
        images=tuple(seen(block) for block in blocks if block.get("type") == "image"),
    )


def seen(block: Json) -> str:
    source = block.get("source") or {}
    return str(source.get("data") or source.get("url") or source.get("file_id") or "")


def texts(content: object) -> str:
    if isinstance(content, str):
        return content
    return "\n".join(str(block.get("text", "")) for block in listed(content) if block.get("type") == "text")


def wish(asked: Asked) -> Wish:
    body = asked.body
    choice = body.get("tool_choice") or {}
    thinking = (body.get("thinking") or {}).get("type")
    tools = [tool for tool in listed(body.get("tools")) if "input_schema" in tool]
    return Wish(
        thinks=thinking in ("enabled", "adaptive"),
        must_think=thinking == "enabled",
        tools=tuple((tool["name"], tool["input_schema"]) for tool in tools),
        forced={"tool": choice.get("name"), "any": ""}.get(choice.get("type", "")),
        schema=((body.get("output_config") or {}).get("format") or {}).get("schema"),
        max_tokens=body.get("max_tokens"),
        stops=tuple(body.get("stop_sequences") or ()),
    )


def pieces(body: Json) -> list[Piece]:
    """Tools, system, messages: the order in which Anthropic's cache reads a prompt."""
    system = body.get("system") or []
    blocks = [*listed(body.get("tools")), *in_blocks(system)]
    for message in listed(body.get("messages")):
        blocks += in_blocks(message.get("content"))
    found = [piece(block) for block in blocks if not str(block.get("text", "")).startswith(BILLING)]
    if body.get("cache_control") and found:  # on the whole request it means: up to its last block
        found[-1] = replace(found[-1], marked=True)
    return found


def in_blocks(content: object) -> list[Json]:
    """A string is one text."""
    return [{"text": content}] if isinstance(content, str) else listed(content)


BILLING = "x-anthropic-billing-header:"  # Claude Code's first system block; changes with every request


def piece(block: Json) -> Piece:
    """A text is the same with its type and without, as where it came as a string."""
    known = ("cache_control", "type") if block.get("type") == "text" else ("cache_control",)
    bare = {key: value for key, value in block.items() if key not in known}
    return Piece(condensed(compact(bare)), marked=bool(block.get("cache_control")))


def prompt(asked: Asked, cache: PromptCache, now: float) -> Usage:
    name = asked.model.name
    least = next((tokens for names, tokens in CACHE_FROM if any(part in name for part in names)), CACHE_MINIMUM)
    return cache.explicit(name, pieces(asked.body), now, least=least)


# -- writing -------------------------------------------------------------------------------------------------

STOP_REASONS: dict[Stop, str] = {
    "end": "end_turn",
    "length": "max_tokens",
    "stop_sequence": "stop_sequence",
    "tools": "tool_use",
    "refusal": "refusal",
}


def whole(reply: Reply, asked: Asked, _: float) -> Json:
    return {
        **head(reply),
        "content": [block(part, asked) for part in reply.parts],
        "stop_reason": STOP_REASONS[reply.stop],
        "stop_sequence": reply.stop_sequence,
        "usage": usage(reply.usage, reply.usage.output),
    }


def head(reply: Reply) -> Json:
    return {"id": f"msg_01{reply.id[:22]}", "type": "message", "role": "assistant", "model": reply.model}


def usage(used: Usage, output: int) -> Json:
    return {
        "input_tokens": used.input,
        "cache_creation_input_tokens": used.written,
        "cache_read_input_tokens": used.cached,
        "cache_creation": {"ephemeral_5m_input_tokens": used.written, "ephemeral_1h_input_tokens": 0},
        "output_tokens": output,
        "service_tier": "standard",
    }


def block(part: Part, asked: Asked) -> Json:
    match part:
        case Text(text):
            return {"type": "text", "text": text}
        case Thinking(text):
            shown = "" if omits_thinking(asked) else text
            return {"type": "thinking", "thinking": shown, "signature": sign(text, shown)}
        case Call(id, name, arguments):
            return {"type": "tool_use", "id": id, "name": name, "input": parsed(arguments)}


def omits_thinking(asked: Asked) -> bool:
    return bool((asked.body.get("thinking") or {}).get("display") == "omitted")


def parsed(arguments: str) -> Json:
    """Broken arguments cannot be shown unstreamed; Anthropic itself then gives what it could read: nothing."""
    try:
        value = json.loads(arguments)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def frames(reply: Reply, asked: Asked, _: float) -> Iterator[Frame]:
    message = {
        **head(reply),
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": usage(reply.usage, 1),
    }
    yield frame("opening", "message_start", message=message)
    for index, part in enumerate(reply.parts):
        yield from block_frames(index, part, reply, asked)
    delta = {"stop_reason": STOP_REASONS[reply.stop], "stop_sequence": reply.stop_sequence}
    used = {key: value for key, value in usage(reply.usage, reply.usage.output).items() if key in DELTA_USAGE}
    yield frame("closing", "message_delta", delta=delta, usage=used)
    yield frame("closing", "message_stop")


DELTA_USAGE = ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens", "output_tokens")


def block_frames(index: int, part: Part, reply: Reply, asked: Asked) -> Iterator[Frame]:
    seen = isinstance(part, Call)  # the start of a call already names the tool
    opened = {**block(part, asked), **EMPTY[type(part)]}
    yield frame("content" if seen else "block", "content_block_start", index=index, content_block=opened)
    if index == 0:
        yield Frame("block", ping())
    for delta in deltas(part, reply, asked):
        yield frame("content", "content_block_delta", index=index, delta=delta)
    yield frame("block", "content_block_stop", index=index)


EMPTY: dict[type[Part], Json] = {
    Text: {"text": ""},
    Thinking: {"thinking": "", "signature": ""},
    Call: {"input": {}},
}


def deltas(part: Part, reply: Reply, asked: Asked) -> Iterator[Json]:
    match part:
        case Text(text):
            yield from ({"type": "text_delta", "text": cut} for cut in reply.pace.cut(text))
        case Thinking():
            shown = block(part, asked)
            cuts = reply.pace.cut(shown["thinking"])
            yield from ({"type": "thinking_delta", "thinking": cut} for cut in cuts)
            yield {"type": "signature_delta", "signature": shown["signature"]}
        case Call(_, _, arguments):
            yield {"type": "input_json_delta", "partial_json": ""}
            cuts = reply.pace.cut(arguments) if arguments != "{}" else iter(())
            yield from ({"type": "input_json_delta", "partial_json": cut} for cut in cuts)


def frame(kind: FrameKind, event: str, **data: object) -> Frame:
    return Frame(kind, f"event: {event}\ndata: {compact({'type': event, **data})}\n\n".encode())


def ping() -> bytes:
    return b'event: ping\ndata: {"type": "ping"}\n\n'


def error(body: Json | list[Json]) -> bytes:
    return f"event: error\ndata: {compact(body)}\n\n".encode()


# -- the smaller endpoints -----------------------------------------------------------------------------------


def models(names: Sequence[str], owner: str) -> Json:
    data = [model(name, owner) for name in names]
    return {"data": data, "has_more": False, "first_id": names[0], "last_id": names[-1]}


def model(name: str, _: str) -> Json:
    title = name.replace("-", " ").title()
    return {"type": "model", "id": name, "display_name": title, "created_at": "2025-01-01T00:00:00Z"}
