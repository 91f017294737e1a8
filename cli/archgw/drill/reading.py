"""What a strict client makes of the bytes that came: it takes nothing for whole that its dialect does not end.

Written for the drill alone, on purpose: the gateway's own readers must not be the judges of what they let through.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Reading:
    """`text`: what the model said. `complete`: the answer ended as answers of its dialect do. `error`: what the client
    was told, in words. `flaws`: what no client should have to see."""

    text: str = ""
    complete: bool = False
    error: str = ""
    flaws: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Client:
    """One dialect as its clients speak it."""

    name: str
    path: str
    title: str
    stream: "type[Reader]"
    whole: Callable[[Json], Reading]


@dataclass(slots=True)
class Reader:
    """The events of one stream, in order."""

    text: str = ""
    error: str = ""
    ended: bool = False
    flaws: list[str] = field(default_factory=list)

    def feed(self, name: str, data: str) -> None:
        raise NotImplementedError

    def read(self) -> Reading:
        return Reading(self.text, self.ended and not self.error, self.error, tuple(dict.fromkeys(self.flaws)))

    def flaw(self, words: str) -> None:
        self.flaws.append(words)

    def parsed(self, data: str) -> Json:
        try:
            value = json.loads(data)
        except ValueError:
            value = None
        if isinstance(value, dict):
            return value
        self.flaw("an event that is not JSON")
        return {}


@dataclass(slots=True)
class MessagesReader(Reader):
    """Anthropic's: one message_start, blocks that are numbered and closed, a stop reason, message_stop."""

    started: bool = False
    open: int | None = None
    blocks: int = 0
    stop_reason: str = ""

    def feed(self, name: str, data: str) -> None:
        event = self.parsed(data)
        kind = event.get("type")
        if name != kind:
            self.flaw(f"an event {name or 'without a name'} of type {kind}")
        if kind == "ping":
            return
        if self.ended or self.error:
            self.flaw(f"{kind} after the end")
        if kind == "error":
            self.error = _words(event)
            return
        if not self.started and kind != "message_start":
            self.flaw(f"{kind} before message_start")
        step = _STEPS.get(str(kind))
        if step:
            step(self, event)
        else:
            self.flaw(f"an event of the unknown type {kind}")

    def message_start(self, event: Json) -> None:
        if self.started:
            self.flaw("a second message_start")
        self.started = True

    def block_start(self, event: Json) -> None:
        if self.open is not None:
            self.flaw("a block begins inside another")
        if event.get("index") != self.blocks:
            self.flaw(f"block {event.get('index')} where {self.blocks} is due")
        self.open, self.blocks = event.get("index"), self.blocks + 1

    def block_delta(self, event: Json) -> None:
        if self.open is None or event.get("index") != self.open:
            self.flaw("a piece of a block that is not open")
        self.text += str((event.get("delta") or {}).get("text") or "")

    def block_stop(self, event: Json) -> None:
        if self.open is None or event.get("index") != self.open:
            self.flaw("the end of a block that is not open")
        self.open = None

    def message_delta(self, event: Json) -> None:
        self.stop_reason = str((event.get("delta") or {}).get("stop_reason") or self.stop_reason)

    def message_stop(self, event: Json) -> None:
        if self.open is not None:
            self.flaw("message_stop inside a block")
        if not self.stop_reason:
            self.flaw("message_stop without a stop reason")
        self.ended = True


_STEPS: dict[str, Callable[[MessagesReader, Json], None]] = {
    "message_start": MessagesReader.message_start,
    "content_block_start": MessagesReader.block_start,
    "content_block_delta": MessagesReader.block_delta,
    "content_block_stop": MessagesReader.block_stop,
    "message_delta": MessagesReader.message_delta,
    "message_stop": MessagesReader.message_stop,
}


@dataclass(slots=True)
class ChatReader(Reader):
    """OpenAI's: chunks of one id and one model, one finish_reason, [DONE]."""

    id: str | None = None
    model: str | None = None
    finished: str = ""

    def feed(self, name: str, data: str) -> None:
        if self.ended:
            self.flaw("something after [DONE]")
        if data == "[DONE]":
            if not self.finished and not self.error:
                self.flaw("[DONE] without a finish_reason")
            self.ended = True
            return
        chunk = self.parsed(data)
        if "error" in chunk:
            self.error = _words(chunk)
            return
        if self.error:
            self.flaw("a chunk after the error")
        if not isinstance(chunk.get("choices"), list):
            self.flaw("a chunk without choices")
            return
        self.same("id", chunk)
        self.same("model", chunk)
        for choice in chunk["choices"]:
            self.choice(choice)

    def same(self, name: str, chunk: Json) -> None:
        known = getattr(self, name)
        if known is not None and chunk.get(name) != known:
            self.flaw(f"chunks with another {name}")
        setattr(self, name, known if known is not None else chunk.get(name))

    def choice(self, choice: Json) -> None:
        said = str((choice.get("delta") or {}).get("content") or "")
        if said and self.finished:
            self.flaw("words after the finish_reason")
        self.text += said
        if choice.get("finish_reason"):
            if self.finished:
                self.flaw("a second finish_reason")
            self.finished = str(choice["finish_reason"])


def whole_message(body: Json) -> Reading:
    content = body.get("content")
    if body.get("type") != "message" or not isinstance(content, list):
        return Reading(flaws=("a body that is no message",))
    text = "".join(str(block.get("text") or "") for block in content)
    usage = {"input_tokens", "output_tokens"} <= (body.get("usage") or {}).keys()
    flaws = [words for good, words in ((body.get("stop_reason"), "no stop reason"), (usage, "no usage")) if not good]
    return Reading(text, complete=not flaws, flaws=tuple(flaws))


def whole_completion(body: Json) -> Reading:
    choices = body.get("choices")
    if not isinstance(choices, list) or len(choices) != 1:
        return Reading(flaws=("a body that is no completion",))
    text = str((choices[0].get("message") or {}).get("content") or "")
    flaws = () if choices[0].get("finish_reason") else ("no finish_reason",)
    return Reading(text, complete=not flaws, flaws=flaws)


CLIENTS = {
    client.name: client
    for client in (
        Client("anthropic", "/v1/messages", "an Anthropic client", MessagesReader, whole_message),
        Client("openai", "/v1/chat/completions", "an OpenAI client", ChatReader, whole_completion),
    )
}


def read(client: Client, *, status: int, kind: str, body: bytes, streamed: bool) -> Reading:
    """`kind` is the content type of the reply, `streamed` what the client asked for."""
    if status != 200:
        return _refused(body)
    if not streamed:
        try:
            value = json.loads(body)
        except ValueError:
            value = None
        return client.whole(value) if isinstance(value, dict) else Reading(flaws=("a 200 whose body is not JSON",))
    reader = client.stream()
    if not kind.startswith("text/event-stream"):
        reader.flaw(f"a stream of the type {kind or 'nothing'}")
    text = body.decode("utf-8", "replace").replace("\r\n", "\n")
    for name, data in events(text):
        reader.feed(name, data)
    return reader.read()


def has_content(client: Client, body: bytes) -> bool:
    """Whether a model has said something in what has come of a stream."""
    reader = client.stream()
    for name, data in events(body.decode("utf-8", "replace").replace("\r\n", "\n")):
        reader.feed(name, data)
    return bool(reader.text)


def events(text: str) -> Iterator[tuple[str, str]]:
    """Name and data of each event that has come whole; comments are none, and half an event is not read."""
    for block in text.split("\n\n")[:-1]:
        fields = [line.partition(":") for line in block.split("\n") if line and not line.startswith(":")]
        data = [value.removeprefix(" ") for name, _, value in fields if name == "data"]
        if data:
            names = [value.removeprefix(" ") for name, _, value in fields if name == "event"]
            yield (names[-1] if names else "", "\n".join(data))


def _refused(body: bytes) -> Reading:
    """An error as a reply of its own."""
    try:
        value = json.loads(body)
    except ValueError:
        value = None
    words = _words(value) if isinstance(value, dict) else ""
    return Reading(error=words, flaws=() if words else ("an error without words",))


def _words(event: Json) -> str:
    error = event.get("error")
    return str(error.get("message") or "") if isinstance(error, dict) else ""
