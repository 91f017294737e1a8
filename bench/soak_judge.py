"""Whether what a client of the soak heard is whole and right: grammar of its dialect, checksum, one model. No I/O.

Written apart from the gateway's own readers, and stricter: what an official client would take is no excuse.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from soak_asks import Ask, Call, Wanted

Json = dict[str, Any]


@dataclass(slots=True)
class Heard:
    """What an answer said. `items` is the answer as the client's next request repeats it.

    `ended`: its last word was said. `error`: the message of an error in the client's dialect. `flaws`: what breaks
    the dialect's grammar.
    """

    text: str = ""
    thinking: str = ""
    calls: list[Call] = field(default_factory=list)
    items: list[Json] = field(default_factory=list)
    ended: bool = False
    error: str = ""
    count: int | None = None
    flaws: list[str] = field(default_factory=list)

    @property
    def began(self) -> bool:
        return bool(self.text or self.thinking or self.calls)


def hear(ask: Ask, status: int, headers: Mapping[str, str], raw: bytes, *, cut: bool) -> Heard:
    """Read an answer. `cut`: the connection broke or was left, so its end may be missing."""
    streamed = headers.get("content-type", "").startswith("text/event-stream")
    heard = Heard()
    try:
        if streamed:
            _stream(ask.dialect, raw, heard, cut=cut)
        elif not cut:
            _whole(ask, status, raw, heard)
    except (ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
        heard.flaws.append(f"cannot be read: {type(error).__name__}: {error}")
    if not cut and status == 200 and streamed != ask.streamed and not heard.error:
        heard.flaws.append("streamed though not asked to" if streamed else "not streamed though asked to")
    if not cut and not heard.ended and not heard.error and not heard.flaws:
        heard.flaws.append("ended without its last word and without an error")
    return heard


def mistakes(heard: Heard, wanted: Wanted, model: str) -> list[str]:
    """What is wrong with what was heard, if this model (vendor/model) said it; of an answer that broke off, too."""
    found = list(heard.flaws)
    if wanted.counts:
        if heard.ended and not heard.count:
            found.append("no number of tokens")
        return found
    if not model:
        return [*found, "nobody is said to have answered"] if heard.began else found
    text, whole = wanted.text(model), heard.ended
    if whole and heard.text != text:
        found.append(f"said {_shown(heard.text)} instead of {_shown(text)}")
    if not text.startswith(heard.text):
        found.append(f"began {_shown(heard.text)} instead of {_shown(text)}")
    if not wanted.thinking.startswith(heard.thinking):
        found.append(f"thought {_shown(heard.thinking)} instead of {_shown(wanted.thinking)}")
    if whole:
        found += _call_mistakes(heard, wanted)
    return found


def arguments_broken(heard: Heard, wanted: Wanted) -> bool:
    """Whether all that is wrong is that the model broke off its arguments, which is the model's doing."""
    names = [call.name for call in heard.calls] == [name for name, _ in wanted.calls]
    return bool(wanted.calls) and names and bool(_call_mistakes(heard, wanted)) and not heard.flaws


def _call_mistakes(heard: Heard, wanted: Wanted) -> list[str]:
    called = [(call.name, _object(call.arguments)) for call in heard.calls]
    if called != list(wanted.calls):
        return [f"called {called} instead of {list(wanted.calls)}"]
    if len({call.id for call in heard.calls}) != len(heard.calls) or not all(call.id for call in heard.calls):
        return ["calls share an id, or have none"]
    return []


def _object(arguments: str) -> object:
    try:
        return json.loads(arguments)
    except ValueError:
        return arguments


def _shown(text: str) -> str:
    return repr(text if len(text) < 200 else f"{text[:90]}...{text[-90:]}, {len(text)} characters")


# -- whole answers -------------------------------------------------------------------------------------------------


def _whole(ask: Ask, status: int, raw: bytes, heard: Heard) -> None:
    body = json.loads(raw)
    if status != 200:
        heard.error = _error(ask.dialect, body)
    elif ask.wanted.counts:
        heard.count, heard.ended = int(body["input_tokens"]), True
    else:
        _WHOLE[ask.dialect](body, heard)


def _error(dialect: str, body: Json) -> str:
    """Its message. Raises ValueError where it is no error of the dialect."""
    error = body.get("error")
    if dialect == "messages" and body.get("type") != "error":
        raise ValueError("an error that is not in Anthropic's form")
    if not isinstance(error, dict) or not isinstance(error.get("message"), str) or not error.get("type"):
        raise ValueError("an error without message and type")
    return str(error["message"]) or "(no words)"


def _messages_whole(body: Json, heard: Heard) -> None:
    _expect(heard, body["type"] == "message" and body["role"] == "assistant", "is no message")
    _expect(heard, isinstance(body["usage"]["output_tokens"], int), "no usage")
    for block in body["content"]:
        _block(block, heard)
    heard.items = [{"role": "assistant", "content": body["content"]}]
    wanted = "tool_use" if heard.calls else "end_turn"
    _expect(heard, body["stop_reason"] == wanted, f"stop_reason is {body['stop_reason']}")
    heard.ended = True


def _block(block: Json, heard: Heard) -> None:
    match block["type"]:
        case "text":
            heard.text += block["text"]
        case "thinking":
            heard.thinking += block["thinking"]
        case "tool_use":
            heard.calls.append(Call(block["id"], block["name"], json.dumps(block["input"])))
        case "redacted_thinking":
            pass
        case other:
            heard.flaws.append(f"a block of type {other}")


def _chat_whole(body: Json, heard: Heard) -> None:
    (choice,) = body["choices"]
    message = choice["message"]
    heard.text = message["content"] or ""
    heard.calls = [Call(c["id"], c["function"]["name"], c["function"]["arguments"]) for c in _calls(message)]
    heard.thinking = message.get("reasoning_content") or ""
    heard.items = [_chat_item(heard)]
    _expect(heard, body["object"] == "chat.completion" and message["role"] == "assistant", "is no completion")
    _expect(heard, isinstance(body["usage"]["completion_tokens"], int), "no usage")
    wanted = "tool_calls" if heard.calls else "stop"
    _expect(heard, choice["finish_reason"] == wanted, f"finish_reason is {choice['finish_reason']}")
    heard.ended = True


def _calls(message: Json) -> list[Json]:
    return message.get("tool_calls") or []


def _chat_item(heard: Heard) -> Json:
    item: Json = {"role": "assistant", "content": heard.text or None}
    functions = [(call.id, {"name": call.name, "arguments": call.arguments}) for call in heard.calls]
    calls = [{"id": id, "type": "function", "function": function} for id, function in functions]
    return item | ({"tool_calls": calls} if calls else {})


def _responses_whole(body: Json, heard: Heard) -> None:
    _expect(heard, body["object"] == "response" and body["status"] == "completed", f"status is {body['status']}")
    _expect(heard, isinstance(body["usage"]["output_tokens"], int), "no usage")
    for item in body["output"]:
        _item(item, heard)
    heard.items = list(body["output"])
    heard.ended = True


def _item(item: Json, heard: Heard) -> None:
    match item["type"]:
        case "message":
            heard.text += "".join(part["text"] for part in item["content"])
        case "function_call":
            heard.calls.append(Call(item["call_id"], item["name"], item["arguments"]))
        case "reasoning":
            heard.thinking += "".join(part["text"] for part in item.get("summary") or ())
        case other:
            heard.flaws.append(f"an item of type {other}")


_WHOLE = {"messages": _messages_whole, "chat": _chat_whole, "responses": _responses_whole}


# -- streams -------------------------------------------------------------------------------------------------------


def _stream(dialect: str, raw: bytes, heard: Heard, *, cut: bool) -> None:
    listener = _LISTENERS[dialect](heard)
    over = False
    for name, data in _events(raw, heard, cut=cut):
        if over:
            heard.flaws.append(f"an event after the last: {name or data[:60]}")
            return
        over = listener.on(name, data)
    listener.close()


def _events(raw: bytes, heard: Heard, *, cut: bool) -> Iterator[tuple[str, str]]:
    """Name and data of each event; comments are skipped."""
    *whole, rest = raw.split(b"\n\n")
    if rest and not cut:
        heard.flaws.append(f"an event without its end: {rest[:80]!r}")
    for event in whole:
        lines = [line.partition(": ") for line in event.decode().split("\n")]
        fields = {name: value for name, _, value in lines if name}
        if "data" in fields:
            yield fields.get("event", ""), fields["data"]


class _Messages:
    """https://docs.claude.com/en/docs/build-with-claude/streaming"""

    def __init__(self, heard: Heard) -> None:
        self._heard = heard
        self._blocks: list[Json] = []
        self._open = self._started = self._stopped = False
        self._arguments = ""

    def on(self, name: str, data: str) -> bool:
        """Whether it was the last."""
        heard, event = self._heard, json.loads(data)
        kind = event["type"]
        _expect(heard, kind == name, f"event {name} says it is {kind}")
        if kind == "ping":
            return False
        if kind == "error":
            heard.error = _error("messages", event)
            return True
        _expect(heard, self._started == (kind != "message_start"), f"{kind} out of order")
        match kind:
            case "message_start":
                self._started = True
                _expect(heard, event["message"]["content"] == [], "message_start with content")
                _expect(heard, "usage" in event["message"], "message_start without usage")
            case "content_block_start":
                _expect(heard, not self._open and event["index"] == len(self._blocks), "a block out of order")
                self._blocks.append(dict(event["content_block"]))
                self._open, self._arguments = True, ""
            case "content_block_delta":
                _expect(heard, self._open and event["index"] == len(self._blocks) - 1, "a delta out of order")
                self._delta(event["delta"])
            case "content_block_stop":
                _expect(heard, self._open and event["index"] == len(self._blocks) - 1, "a stop out of order")
                self._close_block()
            case "message_delta":
                _expect(heard, not self._open and not self._stopped, "message_delta out of order")
                _expect(heard, isinstance(event["usage"]["output_tokens"], int), "no usage")
                wanted = "tool_use" if heard.calls else "end_turn"
                reason = event["delta"]["stop_reason"]
                _expect(heard, reason == wanted, f"stop_reason is {reason}")
                self._stopped = True
            case "message_stop":
                _expect(heard, self._stopped, "message_stop without message_delta")
                heard.ended = True
                return True
            case _:
                heard.flaws.append(f"an event of type {kind}")
        return False

    def _delta(self, delta: Json) -> None:
        block = self._blocks[-1]
        match delta["type"]:
            case "text_delta":
                block["text"] += delta["text"]
                self._heard.text += delta["text"]
            case "thinking_delta":
                block["thinking"] += delta["thinking"]
                self._heard.thinking += delta["thinking"]
            case "signature_delta":
                block["signature"] = delta["signature"]
            case "input_json_delta":
                self._arguments += delta["partial_json"]
            case other:
                self._heard.flaws.append(f"a delta of type {other}")

    def _close_block(self) -> None:
        self._open, block = False, self._blocks[-1]
        if block["type"] == "tool_use":
            arguments = self._arguments or "{}"
            self._heard.calls.append(Call(block["id"], block["name"], arguments))
            told = _object(arguments)
            block["input"] = told if isinstance(told, dict) else {}

    def close(self) -> None:
        self._heard.items = [{"role": "assistant", "content": self._blocks}]


class _Chat:
    """https://platform.openai.com/docs/api-reference/chat-streaming"""

    def __init__(self, heard: Heard) -> None:
        self._heard = heard
        self._calls: list[Json] = []
        self._ids: set[str] = set()
        self._models: set[str] = set()
        self._finish = ""
        self._usage = self._started = False

    def on(self, _: str, data: str) -> bool:
        heard = self._heard
        if data == "[DONE]":
            if heard.error:
                return True
            wanted = "tool_calls" if self._calls else "stop"
            _expect(heard, self._finish == wanted, f"finish_reason is {self._finish or 'missing'}")
            _expect(heard, self._usage, "no usage")
            heard.ended = True
            return True
        chunk = json.loads(data)
        if "error" in chunk:
            heard.error = _error("chat", chunk)
            return False  # [DONE] may follow
        _expect(heard, not heard.error, "went on after an error")
        self._ids.add(chunk["id"])
        self._models.add(chunk["model"])
        _expect(heard, len(self._ids) == 1 and len(self._models) == 1, "chunks of several answers")
        _expect(heard, chunk["object"] == "chat.completion.chunk", "is no chunk")
        self._usage = self._usage or bool(chunk.get("usage"))
        for choice in chunk["choices"]:
            _expect(heard, not self._finish, "a delta after the last")
            self._delta(choice["delta"])
            self._finish = choice["finish_reason"] or ""
        return False

    def _delta(self, delta: Json) -> None:
        heard = self._heard
        _expect(heard, ("role" in delta) != self._started, "the answer begins twice, or without a role")
        self._started = True
        heard.text += delta.get("content") or ""
        heard.thinking += delta.get("reasoning_content") or ""
        for part in delta.get("tool_calls") or ():
            if part["index"] == len(self._calls):
                self._calls.append({"id": part["id"], "name": part["function"]["name"], "arguments": ""})
            _expect(heard, part["index"] == len(self._calls) - 1, "a tool call out of order")
            self._calls[part["index"]]["arguments"] += part["function"].get("arguments") or ""

    def close(self) -> None:
        heard = self._heard
        heard.calls = [Call(call["id"], call["name"], call["arguments"]) for call in self._calls]
        heard.items = [_chat_item(heard)]


class _Responses:
    """https://platform.openai.com/docs/api-reference/responses-streaming"""

    def __init__(self, heard: Heard) -> None:
        self._heard = heard
        self._next = 0
        self._items: list[Json] = []
        self._open = self._started = False

    def on(self, name: str, data: str) -> bool:
        heard, event = self._heard, json.loads(data)
        kind = event["type"]
        _expect(heard, kind == name, f"event {name} says it is {kind}")
        if kind == "error":
            heard.error = str(event.get("message") or "")
            _expect(heard, bool(heard.error), "an error without a message")
            return True
        if kind == "response.failed":  # its number is not looked at: who breaks off may have lost count
            heard.error = str((event["response"].get("error") or {}).get("message") or "")
            _expect(heard, bool(heard.error), "a failure without a message")
            return False  # an error event may follow: OpenAI's own SDKs raise that alone
        _expect(heard, not heard.error, "went on after an error")
        number = event["sequence_number"]
        _expect(heard, number == self._next, f"sequence_number {number} where {self._next} was due")
        self._next = number + 1
        _expect(heard, self._started == (kind != "response.created"), f"{kind} out of order")
        match kind:
            case "response.created":
                self._started = True
            case "response.output_item.added":
                _expect(heard, not self._open and event["output_index"] == len(self._items), "an item out of order")
                self._open = True
            case "response.output_item.done":
                _expect(heard, self._open and event["output_index"] == len(self._items), "an item out of order")
                self._open = False
                self._items.append(event["item"])
                if event["item"]["type"] == "function_call":
                    _item(event["item"], heard)
            case "response.output_text.delta":
                _expect(heard, self._open, "a delta out of order")
                heard.text += event["delta"]
            case "response.reasoning_summary_text.delta":
                heard.thinking += event["delta"]
            case "response.completed":
                last = Heard()
                _responses_whole(event["response"], last)
                same = (last.text, last.thinking, last.calls) == (heard.text, heard.thinking, heard.calls)
                _expect(heard, same, "the last word is not what was said before")
                _expect(heard, not self._open, "ended within an item")
                heard.flaws += last.flaws
                heard.ended = True
                return True
            case "response.incomplete":
                heard.flaws.append("incomplete")
                return True
        return False

    def close(self) -> None:
        self._heard.items = self._items


_LISTENERS = {"messages": _Messages, "chat": _Chat, "responses": _Responses}


def _expect(heard: Heard, true: bool, otherwise: str) -> None:
    if not true and otherwise not in heard.flaws:
        heard.flaws.append(otherwise)
