"""Chat completions as bytes, as OpenAI writes them and as those do who follow it.

https://platform.openai.com/docs/api-reference/chat-streaming; what the followers do otherwise is in `Vendor`.
"""

from collections.abc import Iterator, Sequence

from archgw.simulate.received import Asked
from archgw.simulate.reply import Call, Reply, Stop, Text, Thinking, Wish
from archgw.simulate.script import Said
from archgw.simulate.signature import sign
from archgw.simulate.tokens import Piece, PromptCache, Usage, condensed
from archgw.simulate.wire import Frame, FrameKind, Json, compact, listed

# -- reading -------------------------------------------------------------------------------------------------

ROLES = {"developer": "system", "tool": "user"}


def said(body: Json) -> list[Said]:
    return [said_by(message) for message in listed(body.get("messages"))]


def said_by(message: Json) -> Said:
    """A tool message is the user's side of the conversation, with a result and no words."""
    role = str(message.get("role", "user"))
    text = texts(message.get("content"))
    if role == "tool":
        return Said("user", result=text)
    calls = bool(message.get("tool_calls"))
    return Said(ROLES.get(role, role), text, calls=calls, images=images(message.get("content")))  # type: ignore[arg-type]


def images(content: object) -> tuple[str, ...]:
    parts = listed(content) if not isinstance(content, str) else []
    urls = [(part.get("image_url") or {}).get("url") for part in parts if part.get("type") == "image_url"]
    return tuple(bare(str(url)) for url in urls)


def bare(url: str) -> str:
    """The base64 of a data URL; any other as it is."""
    return url.partition(";base64,")[2] or url


def texts(content: object) -> str:
    if isinstance(content, str):
        return content
    return "\n".join(str(part.get("text", "")) for part in listed(content) if part.get("type") == "text")


def wish(asked: Asked) -> Wish:
    body = asked.body
    functions = [tool["function"] for tool in listed(body.get("tools")) if "function" in tool]
    stop = body.get("stop")
    aloud = "reasons_aloud" in asked.model.flags
    return Wish(
        thinks=bool(asked.vendor.reasoning_field),
        must_think=aloud,
        tools=tuple((function["name"], function.get("parameters") or {}) for function in functions),
        forced=forced(body.get("tool_choice")),
        schema=schema(body.get("response_format")),
        max_tokens=body.get("max_completion_tokens") or body.get("max_tokens"),
        stops=(stop,) if isinstance(stop, str) else tuple(stop or ()),
    )


def forced(choice: object) -> str | None:
    if isinstance(choice, dict):
        function = choice.get("function")
        return str(function.get("name", "")) if isinstance(function, dict) else None
    return "" if choice in ("required", "any") else None


def schema(form: object) -> Json | None:
    if not isinstance(form, dict):
        return None
    if form.get("type") == "json_schema":
        wanted = (form.get("json_schema") or {}).get("schema")
        return wanted if isinstance(wanted, dict) else {}
    return {"type": "object"} if form.get("type") == "json_object" else None


def pieces(body: Json) -> list[Piece]:
    return [Piece(condensed(compact(item))) for item in [*listed(body.get("tools")), *listed(body.get("messages"))]]


def prompt(asked: Asked, cache: PromptCache, now: float) -> Usage:
    read, vendor = pieces(asked.body), asked.vendor
    key = str(asked.body.get(vendor.affinity) or asked.headers.get(vendor.affinity, ""))
    return cache.automatic(asked.model.name, read, now, cache.machine(vendor.machines, read, key, now))


# -- writing -------------------------------------------------------------------------------------------------

FINISH_REASONS: dict[Stop, str] = {
    "end": "stop",
    "length": "length",
    "stop_sequence": "stop",
    "tools": "tool_calls",
    "refusal": "content_filter",
}


def whole(reply: Reply, asked: Asked, now: float) -> Json:
    choice = {
        "index": 0,
        "message": message(reply, asked),
        "logprobs": None,
        "finish_reason": FINISH_REASONS[reply.stop],
    }
    head = {"id": reply_id(reply), "object": "chat.completion", "created": int(now), "model": reply.model}
    return {**head, "choices": [choice], "usage": usage(reply.usage), **TAIL}


TAIL = {"service_tier": "default", "system_fingerprint": "fp_simulated"}


def reply_id(reply: Reply) -> str:
    return f"chatcmpl-{reply.id[:29]}"


def message(reply: Reply, asked: Asked) -> Json:
    text = "".join(part.text for part in reply.parts if isinstance(part, Text))
    calls = [call(part) for part in reply.parts if isinstance(part, Call)]
    if calls and "signs_calls" in asked.model.flags:
        calls[0] |= signed(calls[0])
    shown: Json = {"role": "assistant", "content": text or None, "refusal": None, "annotations": []}
    if thinking := "".join(part.text for part in reply.parts if isinstance(part, Thinking)):
        shown[asked.vendor.reasoning_field] = thinking
    return {**shown, "tool_calls": calls} if calls else shown


def call(part: Call) -> Json:
    return {"id": part.id, "type": "function", "function": {"name": part.name, "arguments": part.arguments}}


def signed(call: Json) -> Json:
    """Gemini signs the first call of a step: https://ai.google.dev/gemini-api/docs/thought-signatures."""
    bound = call["function"]["name"]
    return {"extra_content": {"google": {"thought_signature": sign(bound, bound)}}}


def usage(used: Usage) -> Json:
    return {
        "prompt_tokens": used.prompt,
        "completion_tokens": used.output,
        "total_tokens": used.prompt + used.output,
        "prompt_tokens_details": {"cached_tokens": used.cached, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": used.reasoning,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


def frames(reply: Reply, asked: Asked, now: float) -> Iterator[Frame]:
    head: Json = {
        "id": reply_id(reply),
        "object": "chat.completion.chunk",
        "created": int(now),
        "model": reply.model,
        **TAIL,
    }
    wanted = bool((asked.body.get("stream_options") or {}).get("include_usage"))
    if wanted:
        head["usage"] = None
    yield data("opening", {**head, "choices": [choice({"role": "assistant", "content": "", "refusal": None})]})
    for delta in deltas(reply, asked):
        yield data("content", {**head, "choices": [choice(delta)]})
    last = {**head, "choices": [choice({}, FINISH_REASONS[reply.stop])]}
    if asked.vendor.usage == "always":
        last["usage"] = usage(reply.usage)
    yield data("closing", last)
    if wanted and asked.vendor.usage == "asked":
        yield data("closing", {**head, "choices": [], "usage": usage(reply.usage)})
    yield Frame("closing", b"data: [DONE]\n\n")


def choice(delta: Json, finish: str | None = None) -> Json:
    return {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}


def deltas(reply: Reply, asked: Asked) -> Iterator[Json]:
    called = -1
    for part in reply.parts:
        match part:
            case Text(text):
                yield from ({"content": cut} for cut in reply.pace.cut(text))
            case Thinking(text):
                yield from ({asked.vendor.reasoning_field: cut} for cut in reply.pace.cut(text))
            case Call():
                called += 1
                yield from call_deltas(called, part, reply, asked)


def call_deltas(index: int, part: Call, reply: Reply, asked: Asked) -> Iterator[Json]:
    """OpenAI opens a call and then trickles its arguments; several followers send it in one piece."""
    if asked.vendor.whole_tool_calls:
        whole = call(part)
        whole |= signed(whole) if index == 0 and "signs_calls" in asked.model.flags else {}
        yield {"tool_calls": [{"index": index, **whole}]}
        return
    opened = call(part)
    opened["function"]["arguments"] = ""
    yield {"tool_calls": [{"index": index, **opened}]}
    for cut in reply.pace.cut(part.arguments):
        yield {"tool_calls": [{"index": index, "function": {"arguments": cut}}]}


def data(kind: FrameKind, chunk: Json) -> Frame:
    return Frame(kind, f"data: {compact(chunk)}\n\n".encode())


def ping() -> bytes:
    """A comment, as DeepSeek sends while it queues a request."""
    return b": keep-alive\n\n"


def error(body: Json | list[Json]) -> bytes:
    return f"data: {compact(body)}\n\n".encode()


# -- the smaller endpoints -----------------------------------------------------------------------------------


def models(names: Sequence[str], owner: str) -> Json:
    return {"object": "list", "data": [model(name, owner) for name in names]}


def model(name: str, owner: str) -> Json:
    return {"id": name, "object": "model", "created": 1735689600, "owned_by": owner}
