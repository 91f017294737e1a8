"""What the simulated model answers: played from a script, or a short default that names vendor and model."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal

from archgw.simulate.received import Asked
from archgw.simulate.script import Cue
from archgw.simulate.tokens import CHARACTERS, Usage, count

Json = dict[str, Any]
Stop = Literal["end", "length", "stop_sequence", "tools", "refusal"]


@dataclass(frozen=True, slots=True)
class Text:
    text: str


@dataclass(frozen=True, slots=True)
class Thinking:
    text: str


@dataclass(frozen=True, slots=True)
class Call:
    """`arguments` is JSON text as the model wrote it; it may be broken on purpose."""

    id: str
    name: str
    arguments: str


Part = Text | Thinking | Call


@dataclass(frozen=True, slots=True)
class Pace:
    """How a text is cut into events: into `chunks`, or `bytes` each; `delay` seconds between them."""

    chunks: int = 0
    bytes: int = 0
    delay: float = 0.0

    def cut(self, text: str) -> Iterator[str]:
        size = self.bytes or max(1, -(-len(text) // (self.chunks or DELTAS)))
        yield from (text[at : at + size] for at in range(0, len(text), size))

    def stretch(self, text: str) -> str:
        """With chunks and bytes both given, the text is repeated until it fills them."""
        wanted = self.chunks * self.bytes
        return (text * (-(-wanted // len(text))))[:wanted] if wanted and text else text


@dataclass(frozen=True, slots=True)
class Reply:
    id: str
    model: str
    parts: tuple[Part, ...]
    stop: Stop
    usage: Usage
    stop_sequence: str | None = None
    pace: Pace = Pace()


@dataclass(frozen=True, slots=True)
class Wish:
    """What the request demands of any answer, read from it by the wire."""

    thinks: bool = False  # may show its thinking
    must_think: bool = False
    tools: tuple[tuple[str, Json], ...] = ()  # (name, JSON schema of its arguments)
    forced: str | None = None  # a tool's name; "" for any
    schema: Json | None = None  # the answer has to be JSON of this shape
    max_tokens: int | None = None
    stops: tuple[str, ...] = ()


DELTAS = 5
ECHO = 80


def compose(asked: Asked, wish: Wish, cue: Cue, prompt: Usage, new_id: Callable[[], str]) -> Reply:
    parts = scripted(asked, cue, new_id) if cue.steps else default(asked, wish, cue, new_id)
    parts = with_thinking(parts, wish, cue)
    orders = merged(cue.steps)
    pace = Pace(orders.get("chunks", 0), orders.get("bytes", 0), orders.get("delay_ms", 0) / 1000)
    parts = tuple(Text(pace.stretch(part.text)) if isinstance(part, Text) else part for part in parts)
    reply = Reply(new_id(), str(asked.body["model"]), parts, ending(parts, orders), prompt, pace=pace)
    reply = stopped(reply, wish.stops)
    if not cue.steps:
        reply = limited(reply, wish.max_tokens)
    return replace(reply, usage=costs(reply, orders.get("usage", {})))


def merged(steps: tuple[Json, ...]) -> Json:
    return {key: value for step in steps for key, value in step.items()}


# -- parts ---------------------------------------------------------------------------------------------------


def scripted(asked: Asked, cue: Cue, new_id: Callable[[], str]) -> tuple[Part, ...]:
    return tuple(part for step in cue.steps for part in played(asked, step, cue.digest, new_id))


def played(asked: Asked, step: Json, digest: str, new_id: Callable[[], str]) -> Iterator[Part]:
    if "thinking" in step:
        yield Thinking(str(step["thinking"]))
    if "text" in step:
        yield Text(str(step["text"]))
    if step.get("digest"):
        yield Text(f"{digest} {asked.vendor.name}/{asked.body['model']};")
    if step.get("refuse"):
        yield Text("I can't help with that.")
    if "tool" in step:
        arguments = step.get("arguments", json.dumps(step.get("input", {})))
        yield Call(str(step.get("id") or tool_id(asked, new_id)), str(step["tool"]), str(arguments))


def default(asked: Asked, wish: Wish, cue: Cue, new_id: Callable[[], str]) -> tuple[Part, ...]:
    if wish.forced is not None and wish.tools:
        name, schema = next((tool for tool in wish.tools if tool[0] == wish.forced), wish.tools[0])
        return (Call(tool_id(asked, new_id), name, json.dumps(example(schema))),)
    if cue.route:
        return (Text(cue.route),)
    if wish.schema is not None:
        return (Text(json.dumps(example(wish.schema))),)
    return (Text(words(asked, cue)),)


def words(asked: Asked, cue: Cue) -> str:
    name = f"simulated {asked.vendor.name}/{asked.body['model']}"
    if cue.flaw:
        return f"{name}: cannot read your script: {cue.flaw}"
    if cue.turn:
        return f"{name}: done after {cue.turn} tool turns, the last result was: {shortened(cue.result)}"
    return f"{name}: you asked: {shortened(cue.question)}"


def shortened(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= ECHO else line[: ECHO - 3] + "..."


def tool_id(asked: Asked, new_id: Callable[[], str]) -> str:
    vendor = asked.vendor
    return vendor.tool_id_prefix + (new_id() * 2)[: vendor.tool_id_letters]


def with_thinking(parts: tuple[Part, ...], wish: Wish, cue: Cue) -> tuple[Part, ...]:
    """Thinking shows only where the request or the model allows it."""
    if not wish.thinks:
        return tuple(part for part in parts if not isinstance(part, Thinking))
    if wish.must_think and not isinstance(parts[0] if parts else None, Thinking):
        return (Thinking(f"simulated thinking about: {shortened(cue.question)}"), *parts)
    return parts


def example(schema: Json) -> Any:
    """The smallest value that a JSON schema accepts, near enough."""
    if "const" in schema or schema.get("enum"):
        return schema["const"] if "const" in schema else schema["enum"][0]
    for union in ("anyOf", "oneOf", "allOf"):
        if schema.get(union):
            return example(schema[union][0])
    kind = schema.get("type")
    kind = kind[0] if isinstance(kind, list) and kind else kind
    if kind == "object" or "properties" in schema:
        properties = schema.get("properties", {})
        return {name: example(properties.get(name, {})) for name in schema.get("required", [])}
    if kind == "array":
        return [example(schema.get("items", {})) for _ in range(schema.get("minItems", 0))]
    return EXAMPLES.get(str(kind), "simulated")


EXAMPLES: dict[str, Any] = {"integer": 1, "number": 1.0, "boolean": True, "null": None, "string": "simulated"}


# -- endings -------------------------------------------------------------------------------------------------


def ending(parts: tuple[Part, ...], orders: Json) -> Stop:
    if orders.get("refuse"):
        return "refusal"
    if "stop" in orders:
        return STOPS.get(str(orders["stop"]), "end")
    return "tools" if any(isinstance(part, Call) for part in parts) else "end"


STOPS: dict[str, Stop] = {
    "end": "end",
    "length": "length",
    "max_tokens": "length",
    "tools": "tools",
    "refusal": "refusal",
}


def stopped(reply: Reply, stops: tuple[str, ...]) -> Reply:
    """Cut at the first stop sequence of the request, as a real model would."""
    for index, part in enumerate(reply.parts):
        found = [(part.text.find(stop), stop) for stop in stops if stop in part.text] if isinstance(part, Text) else []
        if isinstance(part, Text) and found:
            at, stop = min(found)
            kept = (*reply.parts[:index], Text(part.text[:at]))
            return replace(reply, parts=kept, stop="stop_sequence", stop_sequence=stop)
    return reply


def limited(reply: Reply, max_tokens: int | None) -> Reply:
    """Only default answers are cut at max_tokens: a script knows what it wants."""
    last = reply.parts[-1] if reply.parts else None
    if max_tokens is None or not isinstance(last, Text) or count(last.text) <= max_tokens:
        return reply
    return replace(reply, parts=(*reply.parts[:-1], Text(last.text[: max_tokens * CHARACTERS])), stop="length")


def costs(reply: Reply, ordered: Json) -> Usage:
    reasoning = sum(count(part.text) for part in reply.parts if isinstance(part, Thinking))
    output = reasoning + sum(count(spoken(part)) for part in reply.parts if not isinstance(part, Thinking))
    usage = replace(reply.usage, output=max(1, output), reasoning=reasoning)
    known = {key: int(value) for key, value in ordered.items() if key in Usage.__dataclass_fields__}
    return replace(usage, **known)


def spoken(part: Part) -> str:
    return part.name + part.arguments if isinstance(part, Call) else part.text


def spoiled(reply: Reply) -> Reply:
    """With the arguments of every tool call broken off, as models at their token limit do."""
    parts = (
        replace(part, arguments=part.arguments[: len(part.arguments) // 2] or "{") if isinstance(part, Call) else part
        for part in reply.parts
    )
    return replace(reply, parts=tuple(parts))
