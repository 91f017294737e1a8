"""OpenAI's Responses API as bytes: https://platform.openai.com/docs/api-reference/responses-streaming."""

from collections.abc import Iterator
from typing import Any

from archgw.simulate.openai_wire import bare, model, models, ping
from archgw.simulate.received import Asked
from archgw.simulate.reply import Call, Part, Reply, Text, Thinking, Wish
from archgw.simulate.script import Said
from archgw.simulate.signature import sign
from archgw.simulate.tokens import Piece, PromptCache, Usage, condensed
from archgw.simulate.wire import Frame, FrameKind, Json, compact, listed

__all__ = ["error", "frames", "model", "models", "pieces", "ping", "prompt", "said", "whole", "wish"]

# -- reading -------------------------------------------------------------------------------------------------


def said(body: Json) -> list[Said]:
    """What the model said in a row, words and calls, is one message."""
    given = body.get("input")
    if isinstance(given, str):
        return [Said("user", given)]
    joined: list[Said] = []
    for item in listed(given):
        one = said_by(item)
        if joined and one.role == joined[-1].role == "assistant":
            before = joined.pop()
            one = Said("assistant", before.text + one.text, calls=before.calls or one.calls)
        joined.append(one)
    return joined


def said_by(item: Json) -> Said:
    """A tool's output is the user's side of the conversation; a call and its reasoning are the model's."""
    kind = item.get("type", "message")
    if kind.endswith("_output"):
        return Said("user", result=texts(item.get("output")))
    if kind == "message":
        role = str(item.get("role", "user"))
        content = item.get("content")
        return Said(ROLES.get(role, role), texts(content), images=images(content))  # type: ignore[arg-type]
    return Said("assistant", calls=kind != "reasoning")


ROLES = {"developer": "system"}


def texts(content: object) -> str:
    if isinstance(content, str):
        return content
    return "\n".join(str(part.get("text", "")) for part in listed(content) if str(part.get("type")).endswith("_text"))


def images(content: object) -> tuple[str, ...]:
    parts = listed(content) if not isinstance(content, str) else []
    return tuple(bare(str(part.get("image_url") or "")) for part in parts if part.get("type") == "input_image")


def wish(asked: Asked) -> Wish:
    body = asked.body
    tools = [tool for tool in listed(body.get("tools")) if tool.get("type") == "function"]
    form = (body.get("text") or {}).get("format") or {}
    return Wish(
        thinks="reasoning" in asked.model.flags,
        tools=tuple((tool["name"], tool.get("parameters") or {}) for tool in tools),
        forced=forced(body.get("tool_choice")),
        schema=form.get("schema") if form.get("type") == "json_schema" else OBJECT.get(str(form.get("type"))),
        max_tokens=body.get("max_output_tokens"),
    )


OBJECT: dict[str, Json] = {"json_object": {"type": "object"}}


def forced(choice: object) -> str | None:
    if isinstance(choice, dict):
        return str(choice.get("name", ""))
    return "" if choice == "required" else None


def pieces(body: Json) -> list[Piece]:
    given = body.get("input")
    items = [{"text": given}] if isinstance(given, str) else listed(given)
    parts = [*listed(body.get("tools")), {"text": body.get("instructions") or ""}, *items]
    return [Piece(condensed(compact(item))) for item in parts]


def prompt(asked: Asked, cache: PromptCache, now: float) -> Usage:
    read, vendor = pieces(asked.body), asked.vendor
    key = str(asked.body.get(vendor.affinity) or asked.headers.get(vendor.affinity, ""))
    return cache.automatic(asked.model.name, read, now, cache.machine(vendor.machines, read, key, now))


# -- writing -------------------------------------------------------------------------------------------------


def whole(reply: Reply, asked: Asked, now: float) -> Json:
    output = [item(index, part, reply, asked) for index, part in enumerate(reply.parts)]
    return ended(reply, asked, now, output)


def ended(reply: Reply, asked: Asked, now: float, output: list[Json]) -> Json:
    cause = {"length": "max_output_tokens", "refusal": "content_filter"}.get(reply.stop)
    return head(reply, asked, now) | {
        "status": "incomplete" if cause else "completed",
        "incomplete_details": {"reason": cause} if cause else None,
        "output": output,
        "usage": usage(reply.usage),
    }


def head(reply: Reply, asked: Asked, now: float) -> Json:
    body = asked.body
    return {
        "id": f"resp_{reply.id}",
        "object": "response",
        "created_at": int(now),
        "status": "in_progress",
        "background": False,
        "error": None,
        "incomplete_details": None,
        "instructions": body.get("instructions"),
        "max_output_tokens": body.get("max_output_tokens"),
        "model": reply.model,
        "output": [],
        "parallel_tool_calls": body.get("parallel_tool_calls", True),
        "previous_response_id": None,
        "reasoning": {"effort": None, "summary": None} | (body.get("reasoning") or {}),
        "store": body.get("store", True),
        "temperature": body.get("temperature", 1.0),
        "text": {"format": {"type": "text"}} | (body.get("text") or {}),
        "tool_choice": body.get("tool_choice", "auto"),
        "tools": body.get("tools", []),
        "top_p": body.get("top_p", 1.0),
        "truncation": "disabled",
        "usage": None,
        "user": None,
        "metadata": body.get("metadata") or {},
    }


def usage(used: Usage) -> Json:
    return {
        "input_tokens": used.prompt,
        "input_tokens_details": {"cached_tokens": used.cached, "cache_write_tokens": used.written},
        "output_tokens": used.output,
        "output_tokens_details": {"reasoning_tokens": used.reasoning},
        "total_tokens": used.prompt + used.output,
    }


def item(index: int, part: Part, reply: Reply, asked: Asked) -> Json:
    id_ = f"{reply.id[:24]}{index:02d}"
    match part:
        case Text(text):
            content = [{"type": "output_text", "annotations": [], "logprobs": [], "text": text}]
            return {"id": f"msg_{id_}", "type": "message", "status": "completed", "content": content} | ASSISTANT
        case Thinking(text):
            shown = summary(text, asked)
            made = {"id": f"rs_{id_}", "type": "reasoning", "summary": shown}
            wanted = "reasoning.encrypted_content" in (asked.body.get("include") or ())
            return made | ({"encrypted_content": encrypted(made)} if wanted else {})
        case Call(call_id, name, words) if name in plain(asked):
            told = {"input": words, "call_id": call_id, "name": name}
            return {"id": f"ctc_{id_}", "type": "custom_tool_call", "status": "completed"} | told
        case Call(call_id, name, arguments):
            told = {"arguments": arguments, "call_id": call_id, "name": name}
            return {"id": f"fc_{id_}", "type": "function_call", "status": "completed"} | told


def plain(asked: Asked) -> set[str]:
    """The names of tools that take plain text: a script gives it under `arguments`."""
    return {str(tool.get("name")) for tool in listed(asked.body.get("tools")) if tool.get("type") == "custom"}


ASSISTANT = {"role": "assistant"}


def summary(text: str, asked: Asked) -> list[Json]:
    """Only who asks for a summary sees something of the reasoning."""
    wanted = (asked.body.get("reasoning") or {}).get("summary")
    return [{"type": "summary_text", "text": text}] if wanted else []


def encrypted(reasoning: Json) -> str:
    return sign(bound(reasoning), bound(reasoning))


def bound(reasoning: Json) -> str:
    """What of an item its encrypted content is bound to."""
    return compact([reasoning["id"], reasoning["summary"]])


def frames(reply: Reply, asked: Asked, now: float) -> Iterator[Frame]:
    numbers = iter(range(10**9))

    def frame(kind: FrameKind, event: str, **data: Any) -> Frame:
        told = compact({"type": event, "sequence_number": next(numbers), **data})
        return Frame(kind, f"event: {event}\ndata: {told}\n\n".encode())

    for event in ("response.created", "response.in_progress"):
        yield frame("opening", event, response=head(reply, asked, now))
    output: list[Json] = []
    for index, part in enumerate(reply.parts):
        done = item(index, part, reply, asked)
        output.append(done)
        seen: FrameKind = "content" if isinstance(part, Call) else "block"
        yield frame(seen, "response.output_item.added", output_index=index, item=begun(done))
        for kind, event, fields in told(part, done, reply):
            place = {"item_id": done["id"], "output_index": index}
            yield frame(kind, f"response.{event}", **place, **fields)
        yield frame("block", "response.output_item.done", output_index=index, item=done)
    last = ended(reply, asked, now, output)
    yield frame("closing", f"response.{last['status']}", response=last)


def begun(done: Json) -> Json:
    empty: dict[str, Json] = {
        "message": {"content": [], "status": "in_progress"},
        "reasoning": {"summary": []},
        "function_call": {"arguments": "", "status": "in_progress"},
        "custom_tool_call": {"input": "", "status": "in_progress"},
    }
    return done | empty[done["type"]]


def told(part: Part, done: Json, reply: Reply) -> Iterator[tuple[FrameKind, str, Json]]:
    match part:
        case Text(text):
            blank = done["content"][0] | {"text": ""}
            yield "block", "content_part.added", {"content_index": 0, "part": blank}
            for cut in reply.pace.cut(text):
                yield "content", "output_text.delta", {"content_index": 0, "delta": cut, "logprobs": []}
            yield "block", "output_text.done", {"content_index": 0, "text": text, "logprobs": []}
            yield "block", "content_part.done", {"content_index": 0, "part": done["content"][0]}
        case Thinking() if done["summary"]:
            shown = done["summary"][0]
            yield "block", "reasoning_summary_part.added", {"summary_index": 0, "part": shown | {"text": ""}}
            for cut in reply.pace.cut(shown["text"]):
                yield "content", "reasoning_summary_text.delta", {"summary_index": 0, "delta": cut}
            yield "block", "reasoning_summary_text.done", {"summary_index": 0, "text": shown["text"]}
            yield "block", "reasoning_summary_part.done", {"summary_index": 0, "part": shown}
        case Call(_, _, words) if done["type"] == "custom_tool_call":
            for cut in reply.pace.cut(words):
                yield "content", "custom_tool_call_input.delta", {"delta": cut}
            yield "block", "custom_tool_call_input.done", {"input": words}
        case Call(_, name, arguments):
            for cut in reply.pace.cut(arguments):
                yield "content", "function_call_arguments.delta", {"delta": cut}
            yield "block", "function_call_arguments.done", {"name": name, "arguments": arguments}


def error(body: Json | list[Json]) -> bytes:
    """A response that fails under way says so in an event of its own."""
    told = body["error"] if isinstance(body, dict) else {}
    code = told.get("code") or "server_error"
    failed = {"object": "response", "status": "failed", "error": {"code": code, "message": told.get("message")}}
    event = {"type": "response.failed", "sequence_number": 0, "response": failed}
    return f"event: response.failed\ndata: {compact(event)}\n\n".encode()
