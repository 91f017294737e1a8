"""Inputs that nobody would send on purpose: a documented outcome each. `bench/fuzz.py` goes on for longer."""

import gzip
import json
import time
import zlib
from random import Random
from typing import Any

import mangling
import pytest
from dialogue import CLAUDE, DEEPSEEK, GPT, THREE, ask, exchange_of, gateway_of, one, request
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from router_service import asks, request_json, upstream
from router_service.config import ConfigErrors, Limits, parse
from router_service.config.sections import DEEPEST
from router_service.conversation import BadRequest
from router_service.dialects import DIALECTS
from router_service.effects import Respond
from router_service.inflate import Inflater
from router_service.model_field import replace_fields
from router_service.pricing import Price
from router_service.sse import EventDecoder
from router_service.verdict import retry_after

budget = settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
chances = st.randoms(use_true_random=False)
each_dialect = pytest.mark.parametrize("dialect", DIALECTS)


@budget
@given(chance=chances)
def test_any_request_and_any_answer_end_in_one_of_the_ways_that_there_are(chance: Random) -> None:
    assert mangling.one_request(chance) in {"refused", "answered", "replied", "left", "next", "nobody"}


def test_the_inputs_reach_every_way_out() -> None:
    """Else the test above would be one of refusals alone."""
    seen = {mangling.one_request(Random(number)) for number in range(300)}
    assert seen >= {"refused", "answered", "replied", "left", "next"}


@budget
@given(data=st.binary(max_size=300), chance=chances)
def test_the_same_bytes_are_the_same_events_in_whatever_pieces_they_come(data: bytes, chance: Random) -> None:
    data = data if chance.random() < 0.5 else mangling.octets(chance.choice(mangling.replies())[1], chance)
    whole = EventDecoder().feed(data)
    decoder = EventDecoder()
    assert [event for piece in mangling.chunks(data, chance) for event in decoder.feed(piece)] == whole


@budget
@given(data=st.binary(max_size=400), chance=chances)
def test_any_bytes_inflate_or_are_refused(data: bytes, chance: Random) -> None:
    pressed = chance.choice((gzip.compress, zlib.compress))(data)
    inflater = Inflater("gzip")
    assert b"".join(map(inflater.feed, mangling.chunks(pressed, chance))) == data
    broken = Inflater(chance.choice(("gzip", "deflate", "x-gzip")))
    try:
        for piece in mangling.chunks(mangling.octets(pressed, chance), chance):
            broken.feed(piece)
    except ValueError as error:
        assert str(error)


@budget
@given(chance=chances)
def test_a_field_is_replaced_in_any_object_and_nothing_else(chance: Random) -> None:
    body: Any = chance.choice(mangling.requests())[2]
    data = json.dumps(mangling.tree(body, chance), ensure_ascii=chance.random() < 0.5).encode("utf-8", "surrogatepass")
    data = mangling.octets(data, chance) if chance.random() < 0.5 else data
    try:
        parsed = request_json.read(data, Limits())
    except BadRequest as refused:
        assert refused.message
        return
    changed = json.loads(replace_fields(data, {"model": "another", "store": None}))
    assert changed == json.loads(
        json.dumps({k: v for k, v in json.loads(data).items() if k != "store"} | {"model": "another"})
    )
    assert changed.keys() - {"model"} == parsed.keys() - {"model", "store"}


@each_dialect
@budget
@given(chance=chances)
def test_any_whole_reply_is_read_or_is_none(dialect: str, chance: Random) -> None:
    _, data = chance.choice([one for one in mangling.replies() if not one[0]])
    reply = mangling.tree(json.loads(data), chance)
    if not isinstance(reply, dict):  # which is seen to before
        return
    try:
        events = DIALECTS[dialect].parse_reply(reply)
    except ValueError:
        return
    assert isinstance(events, list)


@budget
@given(chance=chances)
def test_any_config_is_read_or_every_mistake_is_told(chance: Random) -> None:
    text = mangling.octets(mangling.CONFIG.encode(), chance).decode("utf-8", "replace")
    try:
        parse(text, file="config.yaml", environment={})
    except ConfigErrors as errors:
        assert errors.mistakes and str(errors)


# -- what was found --------------------------------------------------------------------------------------------

LONG = 200_000  # characters


@pytest.mark.parametrize(
    "words", ["<system-reminder>", "<system-reminder></system-reminder>", "```", "<task>", "\t ", "data:"]
)
def test_what_a_user_repeats_takes_no_longer_than_it_is_long(words: str) -> None:
    """100,000 characters of an envelope that nobody closes once held the whole gateway up for 44 seconds."""

    def took(length: int) -> float:
        text = words * (length // len(words))
        best = 1e9
        for _ in range(3):
            begun = time.process_time()
            ask(gateway_of(), messages=[{"role": "user", "content": text}], system=text)
            best = min(best, time.process_time() - begun)
        return best

    took(LONG // 16)
    assert took(LONG) < 64 * took(LONG // 16) + 0.05, "sixteen times as long, and no square of it"


def test_envelopes_are_taken_off_as_they_were() -> None:
    inner = "<system-reminder>c<ide_selection>d</ide_selection></system-reminder>"
    told = f"<system-reminder>a</system-reminder>b<task>{inner}e"
    assert asks.unwrapped(told) == "b<task> e"
    assert asks.unwrapped("<ide_selection>a<system-reminder>b</system-reminder>") == "<ide_selection>a"
    assert (
        asks.unwrapped("<system-reminder>a<ide_selection>b</system-reminder>c</ide_selection>") == "c</ide_selection>"
    )


@each_dialect
@pytest.mark.parametrize("deep", ["[" * 100_000, '{"a":' * 100_000], ids=["lists", "objects"])
def test_an_answer_nested_without_end_is_a_failure_in_words(dialect: str, deep: str) -> None:
    spoken = DIALECTS[dialect]
    said = [told for event in EventDecoder().feed(f"data: {deep}\n\n".encode()) for told in spoken.reader().feed(event)]
    assert len(said) == 1 and said[0].message  # type: ignore[union-attr]
    assert spoken.parse_error(400, deep.encode()).odd, "what is no JSON is never handed on as it stands"


@pytest.mark.parametrize(
    "words",
    [
        "try again in 1",
        "context length is 5 tokens",
        "model ",
        '"retryDelay":"',
        "maximum context 9 tokens in the your ",
    ],
)
def test_what_a_vendor_repeats_takes_no_longer_than_it_is_long(words: str) -> None:
    def took(length: int) -> float:
        body = json.dumps({"error": {"message": words * (length // len(words)), "type": "x"}}).encode()
        begun = time.process_time()
        for spoken in DIALECTS.values():
            spoken.parse_error(400, body)
        retry_after({}, body)
        return time.process_time() - begun

    took(LONG // 16)
    assert took(LONG) < 64 * took(LONG // 16) + 0.05


def nested(depth: int) -> dict[str, Any]:
    """A request of so many levels: itself, the messages, a message, its parts and the call are five of them."""
    inner: Any = {}
    for _ in range(depth - 6):
        inner = {"a": inner}
    call = {"type": "tool_use", "id": "a", "name": "b", "input": inner}
    return {"messages": [{"role": "user", "content": "x"}, {"role": "assistant", "content": [call]}]}


@pytest.mark.parametrize(("depth", "refused"), [(200, False), (201, True), (900, True), (100_000, True)])
def test_a_request_may_be_as_deep_as_the_limit_says(depth: int, refused: bool) -> None:
    deep = (
        json.dumps(request(**nested(100)))
        .encode()
        .replace(b"{}", b'{"a":' * (depth - 100) + b"{}" + b"}" * (depth - 100))
    )
    _, effects = ask(gateway_of(), body=deep)
    reply = one(effects, Respond)
    assert bool(reply) == refused
    if reply:
        told = json.loads(reply.body)["error"]["message"]
        assert reply.status == 400 and "more than 200 deep" in told and "limits.depth" in told


@pytest.mark.parametrize("model", [GPT, CLAUDE, DEEPSEEK])
def test_what_is_as_deep_as_any_config_allows_can_be_sent_to_everyone(model: str) -> None:
    schema: Any = {"type": "string"}
    for _ in range((DEEPEST - 6) // 2):
        schema = {"type": "object", "properties": {"a": schema}}
    tools = [{"name": "b", "description": "c", "input_schema": schema}]
    gateway = gateway_of(THREE + f"limits: {{depth: {DEEPEST}}}")
    exchange = exchange_of(gateway, model=model, tools=tools, **nested(DEEPEST))
    assert json.loads(upstream.render(exchange, exchange.decision.first).body)["tools"]


@pytest.mark.parametrize("name", ["x" * 3_000_000, "[" * 3_000_000], ids=["letters", "brackets"])
def test_a_models_name_of_megabytes_is_refused_at_once(name: str) -> None:
    begun = time.process_time()
    _, effects = ask(gateway_of(), model=name)
    reply = one(effects, Respond)
    assert reply and reply.status == 404 and len(reply.body) < 1000
    assert time.process_time() - begun < 5


def test_numbers_that_no_vendor_means_are_numbers() -> None:
    """Tokens that no float holds, a wait of five thousand digits."""
    assert Price(1.0, 0.1, 1.25, 2.0).bill(input=10**400, output=10**400) < float("inf")
    assert retry_after({"retry-after-ms": "9" * 5000}, b"").isdecimal()
    assert retry_after({"retry-after-ms": "²"}, b"") == ""
