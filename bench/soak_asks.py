"""What the soak's clients say, in every dialect, and what they must hear: conversations with a checksum. No I/O.

Each answer is asked for by a script (docs/simulate.md) whose `digest` makes the simulated model recite a checksum of
the conversation as it arrived there, so that a word lost, doubled or mixed up on the way shows in the answer.
"""

import base64
import json
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from archgw.simulate.script import Said, digest

Json = dict[str, Any]

CLIENTS_OWN = {  # credentials that no provider may see
    "x-api-key": "sk-ant-api03-the-clients-own-key",
    "authorization": "Bearer sk-proj-the-clients-own-login",
    "cookie": "login=the-clients-own-cookie",
}
LONG = {"chunks": 20, "bytes": 60_000}  # an answer in large events, 1.2 MB in all
_PACES: tuple[Mapping[str, int], ...] = (
    {},
    {"chunks": 12, "bytes": 40, "delay_ms": 20},
    {"chunks": 40, "bytes": 25, "delay_ms": 50},
    {"chunks": 30, "bytes": 2_000, "delay_ms": 10},
    {"chunks": 15, "bytes": 30, "delay_ms": 300},
)
MARK = "confidential-"  # words that no log may hold begin so
_PLAIN = "function returns value when called with path config module error line handler import of update test end"
_WORDS = (
    *_PLAIN.split(),
    *("na\u00efve", "\u2013", "\u4f60\u597d", "\u03bb", "\u2713", "\U0001f642", '"quoted"', "'x'", "\\n", "\\t"),
    *("\n", "\t", "{brace}", "[list]", "<tag>", "&", "\u2028"),
)
_OPENINGS = (
    "Write a function that parses this and returns it.",
    "Find out why this crashes and the test fails.",
    "How should I structure this system, and what are the trade-offs?",
    "Please go on.",
)


@dataclass(frozen=True, slots=True)
class Call:
    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the answer to a request must be, if it is whole. `calls` are names and arguments."""

    digest: str = ""
    chunks: int = 0
    bytes: int = 0
    calls: tuple[tuple[str, Json], ...] = ()
    thinking: str = ""
    counts: bool = False

    def text(self, model: str) -> str:
        """As the model of this name, vendor/model, says it."""
        unit = f"{self.digest} {model};"
        wanted = self.chunks * self.bytes
        return (unit * (-(-wanted // len(unit))))[:wanted] if wanted else unit


@dataclass(frozen=True, slots=True)
class Ask:
    """One request, ready to send."""

    dialect: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    streamed: bool
    seeing: bool  # it shows images
    model: str
    wanted: Wanted


@dataclass(frozen=True, slots=True)
class Form:
    """How a dialect says what a client has to say."""

    path: str
    count_path: str
    user: Callable[[str, Sequence[str]], Json]
    results: Callable[[Sequence[tuple[str, str]]], list[Json]]
    body: Callable[["Dialogue", str, bool], Json]
    headers: Mapping[str, str] = field(default_factory=dict)


class Dialogue:
    """A session: user turns, tool loops, and all that was heard, in one dialect."""

    def __init__(self, dialect: str, chance: random.Random, name: str) -> None:
        self.dialect, self.form = dialect, FORMS[dialect]
        self.thinks = dialect == "messages" and chance.random() < 0.25
        self.messages: list[Json] = []
        self._chance, self._name = chance, name
        self._told: list[Said] = []
        self._turns: list[list[Json]] = []  # what is left of the script
        self._seeing = False

    @property
    def size(self) -> int:
        return sum(len(said.text) + len(said.result) + sum(map(len, said.images)) for said in self._told)

    @property
    def seeing(self) -> bool:
        return self._seeing

    def ask(self, *, size: int, images: int = 0, tool_turns: int = 0, pace: Mapping[str, int] | None = None) -> None:
        """The user says about `size` characters and shows so many images of 1 MB; `tool_turns` calls come first.

        `pace`: how the answers come, in a script's words (chunks, bytes, delay_ms); drawn by lot if not given.
        """
        self._turns = [self._turn(turn, tools=turn < tool_turns, pace=pace) for turn in range(tool_turns + 1)]
        opening = self._chance.choice(_OPENINGS)
        words = f"{opening} {self._words(size)} @@{json.dumps(self._turns)}@@"
        shown = tuple(self._image() for _ in range(images))
        self._seeing = self._seeing or bool(shown)
        self.messages.append(self.form.user(words, shown))
        self._told.append(Said("user", words, images=shown))

    def request(self, model: str, *, streamed: bool, counts: bool = False) -> Ask:
        """The next request of the session; asking again gives the same one again."""
        body = self.form.body(self, model, streamed)
        wanted = Wanted(counts=True) if counts else self._wanted()
        if counts:
            body = {key: value for key, value in body.items() if key not in _NOT_COUNTED}
        headers = {"content-type": "application/json", "x-session-id": self._name, **CLIENTS_OWN, **self.form.headers}
        path = self.form.count_path if counts else self.form.path
        sent = json.dumps(body, ensure_ascii=self._chance.random() < 0.5).encode()
        return Ask(self.dialect, path, headers, sent, streamed and not counts, self._seeing, model, wanted)

    def heard(self, items: Sequence[Json], text: str, calls: Sequence[Call]) -> bool:
        """The answer goes into the history, and the results of its calls. Whether the model is to be asked again."""
        self.messages += items
        self._told.append(Said("assistant", text))
        self._turns = self._turns[1:]
        if not calls:
            return False
        size = self._chance.choices([60, 3_000, 40_000], [6, 3, 1])[0]
        results = [(call.id, self._words(size)) for call in calls]
        self.messages += self.form.results(results)
        self._told += [Said("user", result=result) for _, result in results]
        return True

    def _wanted(self) -> Wanted:
        steps = self._turns[0]
        orders = {key: value for step in steps for key, value in step.items()}
        calls = tuple((step["tool"], step["input"]) for step in steps if "tool" in step)
        told = digest(self._told)
        thinking = orders.get("thinking", "")
        return Wanted(told, orders.get("chunks", 0), orders.get("bytes", 0), calls, thinking)

    def _turn(self, number: int, *, tools: bool, pace: Mapping[str, int] | None) -> list[Json]:
        chance = self._chance
        if pace is None:
            pace = chance.choices(_PACES, [4, 3, 2, 1, 1])[0]
        steps: list[Json] = [{"digest": True, **pace}]
        if self.thinks or chance.random() < 0.3:  # who must think thinks something else unless told
            steps.insert(0, {"thinking": f"hm, {self._name} {number}"})
        if tools:
            calls = range(chance.choice((1, 1, 2)))
            steps += [{"tool": "look", "input": {"place": f"{self._name}/{number}", "number": at}} for at in calls]
        return steps

    def _words(self, size: int) -> str:
        found = [f"{MARK}{self._name}-{self._chance.getrandbits(40):x}"]
        length = len(found[0])
        while length < size:
            found.append(self._chance.choice(_WORDS))
            length += len(found[-1]) + 1
        return " ".join(found)

    def _image(self) -> str:
        return base64.b64encode(b"\x89PNG\r\n\x1a\n" + self._chance.randbytes(750_000)).decode()


# -- the dialects --------------------------------------------------------------------------------------------------

_SCHEMA = {
    "type": "object",
    "properties": {"place": {"type": "string"}, "number": {"type": "integer"}},
    "required": ["place", "number"],
    "additionalProperties": False,
}
_SYSTEM = "You are an agent in a soak test. Say what you are asked to say."
_NOT_COUNTED = ("max_tokens", "stream", "stream_options", "store", "include", "max_output_tokens")


def _messages_user(words: str, images: Sequence[str]) -> Json:
    sources = [{"type": "base64", "media_type": "image/png", "data": data} for data in images]
    blocks = [{"type": "text", "text": words}, *({"type": "image", "source": source} for source in sources)]
    return {"role": "user", "content": blocks if images else words}


def _messages_results(results: Sequence[tuple[str, str]]) -> list[Json]:
    blocks = [{"type": "tool_result", "tool_use_id": id, "content": result} for id, result in results]
    return [{"role": "user", "content": blocks}]


def _messages_body(dialogue: Dialogue, model: str, streamed: bool) -> Json:
    return {
        "model": model,
        "max_tokens": 4096,
        "stream": streamed,
        "system": [{"type": "text", "text": _SYSTEM}],
        "tools": [{"name": "look", "description": "Look somewhere.", "input_schema": _SCHEMA}],
        "messages": dialogue.messages,
    } | ({"thinking": {"type": "enabled", "budget_tokens": 1024}} if dialogue.thinks else {})


def _chat_user(words: str, images: Sequence[str]) -> Json:
    shown = [{"type": "image_url", "image_url": {"url": f"data:image/png;base64,{data}"}} for data in images]
    return {"role": "user", "content": [{"type": "text", "text": words}, *shown] if images else words}


def _chat_results(results: Sequence[tuple[str, str]]) -> list[Json]:
    return [{"role": "tool", "tool_call_id": id, "content": result} for id, result in results]


def _chat_body(dialogue: Dialogue, model: str, streamed: bool) -> Json:
    look = {"name": "look", "description": "Look somewhere.", "parameters": _SCHEMA}
    return {
        "model": model,
        "stream": streamed,
        "tools": [{"type": "function", "function": look}],
        "messages": [{"role": "system", "content": _SYSTEM}, *dialogue.messages],
    } | ({"stream_options": {"include_usage": True}} if streamed else {})


def _responses_user(words: str, images: Sequence[str]) -> Json:
    shown = [{"type": "input_image", "detail": "auto", "image_url": f"data:image/png;base64,{data}"} for data in images]
    return {"type": "message", "role": "user", "content": [{"type": "input_text", "text": words}, *shown]}


def _responses_results(results: Sequence[tuple[str, str]]) -> list[Json]:
    return [{"type": "function_call_output", "call_id": id, "output": result} for id, result in results]


def _responses_body(dialogue: Dialogue, model: str, streamed: bool) -> Json:
    return {
        "model": model,
        "stream": streamed,
        "store": False,
        "include": ["reasoning.encrypted_content"],
        "instructions": _SYSTEM,
        "tools": [{"type": "function", "name": "look", "description": "Look somewhere.", "parameters": _SCHEMA}],
        "input": dialogue.messages,
    }


FORMS = {
    "messages": Form(
        "/v1/messages",
        "/v1/messages/count_tokens",
        _messages_user,
        _messages_results,
        _messages_body,
        {"anthropic-version": "2023-06-01"},
    ),
    "chat": Form("/v1/chat/completions", "", _chat_user, _chat_results, _chat_body),
    "responses": Form(
        "/v1/responses", "/v1/responses/input_tokens", _responses_user, _responses_results, _responses_body
    ),
}
