"""The gate of first content, swept: whatever comes before it, however it breaks, the client sees one clean stream."""

import json
from collections.abc import Iterable
from itertools import pairwise, product

import pytest
from dialogue import (
    A_DELTA,
    A_ERROR,
    A_OPEN,
    A_START,
    A_STOP,
    ANTHROPIC_EVENTS,
    CHAT,
    CLAUDE,
    DEEPSEEK,
    MESSAGES,
    O_DONE,
    O_ERROR,
    O_FINISH,
    O_ROLE,
    O_USAGE,
    OPENAI_EVENTS,
    STREAM,
    anthropic_event,
    attempt_of,
    exchange_of,
    gateway_of,
    has_ended,
    openai_chunk,
    sent,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from router_service.attempt import Attempt
from router_service.effects import Effect, Record, Release, Respond, Send, Wake
from router_service.events import Event, Gone, RequestHeaders, ResponseBody, ResponseTrailers, Tick
from router_service.exchange import Exchange
from router_service.gateway import Gateway

RESPONSES, GPT5 = "/v1/responses", "openai/gpt-5.5"
PATHS = (MESSAGES, CHAT, RESPONSES)
CONFIG = f"llm_providers: [{{model: {CLAUDE}}}, {{model: {DEEPSEEK}}}, {{model: {GPT5}}}]"
PAIRS = [pytest.param(path, model, id=f"{model} to {path}") for path, model in product(PATHS, (CLAUDE, DEEPSEEK, GPT5))]


def responses_event(kind: str, **fields: object) -> bytes:
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **fields})}\n\n".encode()


def response(status: str, **more: object) -> dict[str, object]:
    return {"id": "resp_1", "object": "response", "model": "m", "status": status, "output": [], **more}


MESSAGE = {"id": "msg_1", "type": "message", "role": "assistant", "status": "in_progress", "content": []}
PART = {"type": "output_text", "text": "", "annotations": []}
DONE = {**MESSAGE, "status": "completed", "content": [PART | {"text": "hi"}]}
USAGE = {"input_tokens": 7, "output_tokens": 5, "total_tokens": 12}
R_CREATED = responses_event("response.created", response=response("in_progress"))
R_ITEM = responses_event("response.output_item.added", output_index=0, item=MESSAGE)
R_PART = responses_event("response.content_part.added", output_index=0, content_index=0, item_id="msg_1", part=PART)
R_TEXT = responses_event("response.output_text.delta", output_index=0, content_index=0, item_id="msg_1", delta="hi")
R_DONE = responses_event("response.output_item.done", output_index=0, item=DONE)
R_END = responses_event("response.completed", response=response("completed", output=[DONE], usage=USAGE))
R_EMPTY = responses_event("response.completed", response=response("completed", usage=USAGE))
R_ERROR = responses_event("error", code="server_error", message="too many", param=None)

WHOLE: dict[str, tuple[bytes, ...]] = {
    CLAUDE: ANTHROPIC_EVENTS,
    DEEPSEEK: OPENAI_EVENTS,
    GPT5: (R_CREATED, R_ITEM, R_PART, R_TEXT, R_DONE, R_END),
}
EMPTY = {CLAUDE: (A_START, A_DELTA, A_STOP), DEEPSEEK: (O_ROLE, O_FINISH, O_DONE), GPT5: (R_CREATED, R_EMPTY)}
ERROR = {CLAUDE: A_ERROR, DEEPSEEK: O_ERROR, GPT5: R_ERROR}
COMMENT = b": keep-alive\n\n"
BEFORE: dict[str, tuple[bytes, ...]] = {  # what may come before content, in any order
    CLAUDE: (
        A_START,
        A_OPEN,
        COMMENT,
        anthropic_event("ping"),
        anthropic_event("content_block_delta", index=0, delta={"type": "text_delta", "text": ""}),
        anthropic_event(
            "content_block_start", index=0, content_block={"type": "thinking", "thinking": "", "signature": ""}
        ),
        anthropic_event("content_block_stop", index=0),
    ),
    DEEPSEEK: (
        O_ROLE,
        O_USAGE,
        COMMENT,
        openai_chunk({"content": ""}),
        openai_chunk({"content": None, "reasoning_content": None}),
        openai_chunk({}),
    ),
    GPT5: (
        R_CREATED,
        R_ITEM,
        R_PART,
        COMMENT,
        responses_event("response.in_progress", response=response("in_progress")),
        responses_event("keepalive", sequence_number=1),
        R_TEXT.replace(b'"hi"', b'""'),
    ),
}
BREAKS = ("error", "close", "trailers", "empty", "nonsense", "reset", "stall")


def broken(model: str, how: str) -> list[Event]:
    """How the stream goes wrong, as Envoy and the clock tell it."""
    end = ResponseBody(b"", end=True)
    told: dict[str, list[Event]] = {
        "error": [ResponseBody(ERROR[model])],
        "close": [end],
        "trailers": [ResponseTrailers()],
        "empty": [*map(ResponseBody, EMPTY[model]), end],
        "nonsense": [ResponseBody(b"data: {]\n\n"), end],
        "reset": [Gone()],
        "stall": [Tick()],
    }
    return told[how]


@st.composite
def beginnings(draw: st.DrawFn, model: str) -> list[bytes]:
    """What comes before content, cut anywhere."""
    whole = b"".join(draw(st.lists(st.sampled_from(BEFORE[model]), max_size=6)))
    cuts = draw(st.lists(st.integers(0, len(whole)), max_size=4))
    return [whole[start:end] for start, end in pairwise([0, *sorted(cuts), len(whole)])]


def fed(attempt: Attempt, events: Iterable[Event], *, at: float) -> list[Effect]:
    return [effect for event in events for effect in attempt.feed(event, at)]


def opened(path: str, model: str) -> tuple[Gateway, Exchange]:
    gateway = gateway_of(CONFIG)
    request = {"model": model, "stream": True}
    if path == RESPONSES:
        body = json.dumps(request | {"input": "hello"}).encode()
        return gateway, exchange_of(gateway, path=path, model=model, body=body)
    return gateway, exchange_of(gateway, path=path, **request)


def alone(path: str, model: str) -> bytes:
    """What a client hears when this model is asked and nothing goes wrong."""
    gateway, exchange = opened(path, model)
    attempt = attempt_of(gateway, exchange)
    return sent(fed(attempt, [STREAM, *map(ResponseBody, WHOLE[model]), ResponseBody(b"", end=True)], at=1.0))


@pytest.mark.parametrize("how", BREAKS)
@pytest.mark.parametrize(("path", "model"), PAIRS)
@settings(max_examples=20)
@given(data=st.data())
def test_nothing_goes_out_before_content_and_the_next_answers_alone(
    path: str, model: str, how: str, data: st.DataObject
) -> None:
    gateway, exchange = opened(path, model)
    first = attempt_of(gateway, exchange)
    chunks = data.draw(beginnings(model))
    held = fed(first, [STREAM, *map(ResponseBody, chunks)], at=1.0)
    assert not any(isinstance(effect, Release | Send | Record) for effect in held)
    effects = held + fed(first, broken(model, how), at=exchange.patience + 1.0)
    assert not any(isinstance(effect, Release | Send | Record) for effect in effects)
    replies = [effect for effect in effects if isinstance(effect, Respond)]
    if how == "reset" and not replies:  # Envoy has seen it itself, and comes back
        assert effects == []
    else:
        assert [reply.retry for reply in replies] == [True]
    assert gateway.exchanges.get(exchange.id) is exchange and exchange.active == 0

    other = next(one for one in exchange.decision.chain.candidates if one is not exchange.decision.first)
    second = Attempt(gateway, exchange, other, 70.0)
    asked = fed(second, [RequestHeaders({})], at=70.0)
    assert isinstance(asked[-1], Wake)
    answer = [STREAM, *map(ResponseBody, WHOLE[other.label]), ResponseBody(b"", end=True)]
    said = fed(second, answer, at=71.0)
    assert has_ended(said)
    assert unnamed(sent(said)) == unnamed(alone(path, other.label))


def unnamed(told: bytes) -> bytes:
    """Without the name of the model that the client asked for, which its own stream repeats."""
    for label in (CLAUDE, DEEPSEEK, GPT5):
        told = told.replace(label.encode(), b"MODEL")
    return told


@pytest.mark.parametrize(("path", "model"), PAIRS)
@settings(max_examples=20)
@given(data=st.data())
def test_what_was_held_comes_with_the_first_content(path: str, model: str, data: st.DataObject) -> None:
    """However the stream is cut: one release, then all of it, each byte once."""
    gateway, exchange = opened(path, model)
    whole = b"".join(WHOLE[model])
    cuts = data.draw(st.lists(st.integers(0, len(whole)), max_size=6))
    chunks = [whole[start:end] for start, end in pairwise([0, *sorted(cuts), len(whole)])]
    effects = fed(
        attempt_of(gateway, exchange), [STREAM, *map(ResponseBody, chunks), ResponseBody(b"", end=True)], at=1.0
    )
    order = [type(effect) for effect in effects if isinstance(effect, Release | Send)]
    assert order[0] is Release and order.count(Release) == 1
    assert sent(effects) == alone(path, model)
