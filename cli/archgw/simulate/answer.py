"""From a request to its answer, all but the I/O: the door, the rule book, the reply, the wire, the fault."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from archgw.simulate import anthropic_wire, openai_wire, responses_wire, routing, vertex
from archgw.simulate.door import enter
from archgw.simulate.faults import INSTEAD, Fault
from archgw.simulate.received import Asked, Received
from archgw.simulate.refusal import Refused, by_status, render
from archgw.simulate.reply import compose, spoiled
from archgw.simulate.rules import check, check_count
from archgw.simulate.script import Cue, Said, cue
from archgw.simulate.steps import Answer, Head
from archgw.simulate.tokens import PromptCache, total
from archgw.simulate.vendors import Dialect, Vendor
from archgw.simulate.wire import Frame, Wire

Json = dict[str, Any]

WIRES: dict[Dialect, Wire] = {
    "anthropic_messages": anthropic_wire,
    "openai_chat": openai_wire,
    "openai_responses": responses_wire,
}
INFERENCE: dict[Dialect, str] = {
    "anthropic_messages": "/messages",
    "openai_chat": "/chat/completions",
    "openai_responses": "/responses",
}
# The vendors that count tokens; the others know no such path.
COUNTING = {"anthropic": "/messages/count_tokens", "openai": "/responses/input_tokens"}


@dataclass(frozen=True, slots=True)
class Office:
    """What answering needs besides the request. `pace`: seconds between content events, unless scripted."""

    vendor: Vendor
    accept_keys: frozenset[str] | None
    cache: PromptCache
    new_id: Callable[[], str]
    pace: float = 0.0


def respond(office: Office, received: Received, fault: Fault | None) -> Answer:
    """The answer to any request outside /_simulate; a refusal is an answer, too."""
    request_id = f"req_{office.new_id()[:24]}"
    received = entered(office.vendor, received)
    office = replace(office, vendor=speaking(office.vendor, received))
    try:
        answer = dispatch(office, received, fault, request_id)
    except Refused as refused:
        return refusal(office.vendor, refused, request_id)
    if fault is None:
        return answer
    return with_failure(answer, office.vendor, fault, request_id)


def dispatch(office: Office, received: Received, fault: Fault | None, request_id: str) -> Answer:
    path, vendor = relative(office.vendor, received.path), office.vendor
    if received.method == "POST" and path == INFERENCE[vendor.dialect]:
        if fault and fault.kind in INSTEAD:
            return json_answer({}, request_id)
        return inference(office, received, fault, request_id)
    if received.method == "POST" and path == COUNTING.get(vendor.name):
        return count_tokens(office, received, request_id)
    if received.method == "GET" and (path == "/models" or path.startswith("/models/")):
        return models(office, received, path[len("/models/") :], request_id)
    raise unknown_path(vendor, received)


def entered(vendor: Vendor, received: Received) -> Received:
    """As the vendor's insides see it."""
    return vertex.inside(received) if vendor.name == "vertex" else received


def speaking(vendor: Vendor, received: Received) -> Vendor:
    """The vendor as it behaves at this path, whose dialect it may speak beside its first."""
    besides = replace(vendor, base_path=vendor.also_base or vendor.base_path)
    path = relative(besides, received.path)
    counts = path == COUNTING.get(vendor.name)  # of those with a second dialect, OpenAI alone: in that one
    dialect = next((dialect for dialect in vendor.also if path == INFERENCE[dialect] or counts), None)
    if dialect is None:
        return vendor
    errors = vendor.also_errors if vendor.errors == "anthropic" else vendor.errors
    return replace(besides, dialect=dialect, errors=errors)


def is_inference(vendor: Vendor, received: Received) -> bool:
    received = entered(vendor, received)
    vendor = speaking(vendor, received)
    return received.method == "POST" and relative(vendor, received.path) == INFERENCE[vendor.dialect]


def relative(vendor: Vendor, path: str) -> str:
    """DeepSeek answers with and without /v1."""
    if path.startswith(vendor.base_path + "/"):
        return path[len(vendor.base_path) :]
    return path if vendor.name == "deepseek" else ""


def unknown_path(vendor: Vendor, received: Received) -> Refused:
    if vendor.dialect == "anthropic_messages":
        return Refused("Not Found", status=404, kind="not_found_error")
    return Refused(f"Invalid URL ({received.method} {received.path})", status=404)


# -- the endpoints -------------------------------------------------------------------------------------------


def inference(office: Office, received: Received, fault: Fault | None, request_id: str) -> Answer:
    asked = enter(office.vendor, received, office.accept_keys)
    check(asked)
    wire = WIRES[asked.vendor.dialect]
    prompt = wire.prompt(asked, office.cache, received.time)
    reply = compose(asked, wire.wish(asked), cued(wire.said(asked.body)), prompt, office.new_id)
    if fault and fault.kind == "bad_arguments":
        reply = spoiled(reply)
    if not asked.streamed:
        return json_answer(wire.whole(reply, asked, received.time), request_id)
    head = Head(200, (("content-type", "text/event-stream; charset=utf-8"), *STREAM, *identity(asked, request_id)))
    delay = reply.pace.delay or office.pace
    return Answer(head, wire.frames(reply, asked, received.time), delay, ping=wire.ping())


def cued(conversation: list[Said]) -> Cue:
    """No script is looked for in a routing prompt: what others said stands in it."""
    route = routing.answered(conversation)
    return Cue(route=route) if route else cue(conversation)


STREAM = (("cache-control", "no-cache"),)


def identity(asked: Asked, request_id: str) -> tuple[tuple[str, str], ...]:
    name = "request-id" if asked.vendor.dialect == "anthropic_messages" else "x-request-id"
    return ((name, request_id),)


def count_tokens(office: Office, received: Received, request_id: str) -> Answer:
    asked = enter(office.vendor, received, office.accept_keys)
    check_count(asked)
    if asked.vendor.dialect == "openai_responses":
        counted = {"object": "response.input_tokens", "input_tokens": total(responses_wire.pieces(asked.body))}
        return json_answer(counted, request_id)
    return json_answer({"input_tokens": total(anthropic_wire.pieces(asked.body))}, request_id)


def models(office: Office, received: Received, name: str, request_id: str) -> Answer:
    vendor, wire = office.vendor, WIRES[office.vendor.dialect]
    if not name:
        names = [model.name for model in vendor.models] or [f"{vendor.name}-model"]
        return json_answer(wire.models(names, vendor.name), request_id)
    if vendor.model(name) is None:
        raise by_status(vendor, 404)
    return json_answer(wire.model(name, vendor.name), request_id)


# -- answers -------------------------------------------------------------------------------------------------


def json_answer(value: Any, request_id: str, *, status: int = 200, headers: tuple[tuple[str, str], ...] = ()) -> Answer:
    body = json.dumps(value).encode()
    return Answer(json_head(body, request_id, status=status, headers=headers), halves(body), ping=b"\n", streamed=False)


def json_head(body: bytes, request_id: str, *, status: int, headers: tuple[tuple[str, str], ...] = ()) -> Head:
    length = ("content-length", str(len(body)))
    ids = (("request-id", request_id), ("x-request-id", request_id))
    return Head(status, (("content-type", "application/json"), length, *ids, *headers))


def halves(body: bytes) -> Iterator[Frame]:
    middle = len(body) // 2
    yield Frame("content", body[:middle])
    yield Frame("closing", body[middle:])


def refusal(vendor: Vendor, refused: Refused, request_id: str) -> Answer:
    return json_answer(render(vendor, refused, request_id), request_id, status=refused.status)


def with_failure(answer: Answer, vendor: Vendor, fault: Fault, request_id: str) -> Answer:
    """The vendor's error, ready for faults that need one: as a whole answer and as an event in a stream."""
    refused = by_status(vendor, fault.status or BAD_DAY[vendor.dialect])
    refused.message = fault.message or refused.message
    body = render(vendor, refused, request_id)
    raw = json.dumps(body).encode()
    waiting = (("retry-after", f"{fault.retry_after:g}"),) if fault.retry_after is not None else ()
    return replace(
        answer,
        failure=raw,
        failure_head=json_head(raw, request_id, status=refused.status, headers=waiting),
        error_event=WIRES[vendor.dialect].error(body) if answer.streamed else raw,
    )


BAD_DAY: dict[Dialect, int] = {"anthropic_messages": 529, "openai_chat": 503, "openai_responses": 503}
