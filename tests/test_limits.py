"""Too much, too many, too slow: each is ended in words, with the real Envoy, and nothing of it is kept."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from archgw import client
from archgw.simulate import Fault, Simulator
from dialogue import ask, gateway_of, one, request
from stack import Gateway, gateway

from router_service.config import ConfigErrors, Limits, parse
from router_service.effects import Respond

CONFIG = """
listeners: {egress_traffic: {port: $PORT, timeout: 8s}}
llm_providers:
  - {model: openai/gpt-4o-mini, access_key: k, base_url: "$URL_OPENAI", default: true}
failover: {first_content_timeout: 6s, put_aside_after: 100000, cool_at_most: 0, stall_timeout: 3s}
limits: {body: 100KiB, requests: 4, pause_in_request: 1s}
"""
ANTHROPIC, OPENAI = "/v1/messages", "/v1/chat/completions"
each_client = pytest.mark.parametrize("path", [ANTHROPIC, OPENAI])
real = pytest.mark.asyncio(loop_scope="module")


# -- config and refusals ---------------------------------------------------------------------------------------


def read(limits: str) -> Limits:
    text = f"llm_providers: [{{model: ollama/x}}]\nlimits: {limits}\n"
    return parse(text, file="config.yaml", environment={}).limits


def test_limits_are_read_and_have_their_defaults() -> None:
    assert read("{}") == Limits()
    told = read("{body: 1.5MiB, memory: 1GiB, header_size: 2048, requests: 7, pause_in_request: 2m}")
    assert (told.body, told.memory, told.header_size) == (1_572_864, 2**30, 2048)
    assert (told.requests, told.pause_in_request, told.tools) == (7, 120.0, Limits().tools)


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        ("{body: much}", "limits.body: expected a size such as 64KiB or 32MiB, from 1 KiB to 512 MiB, found 'much'"),
        ("{body: 1GiB}", "limits.body: expected a size"),
        ("{depth: 500}", "limits.depth: expected a whole number from 10 to 400"),
        ("{bodi: 1MiB}", "did you mean 'body'?"),
        ("{memory: 1MiB}", "limits: memory is less than one body may be"),
        ("{pause_in_request: 0}", "limits.pause_in_request: expected a duration"),
    ],
)
def test_a_limit_that_is_none_is_told(limits: str, words: str) -> None:
    with pytest.raises(ConfigErrors) as told:
        read(limits)
    assert words in str(told.value)


SMALL = "\nlimits: {body: 100KiB, depth: 30, values: 2000, messages: 5, tools: 3}"
MESSAGE: dict[str, Any] = {"role": "user", "content": "hi"}
TOOL = {"name": "t", "description": "d", "input_schema": {"type": "object"}}
REFUSED: dict[str, tuple[bytes, int, str]] = {
    "a body": (json.dumps(request(messages=[{"role": "user", "content": "x" * 110_000}])).encode(), 413, "body"),
    "messages": (json.dumps(request(messages=[MESSAGE] * 6)).encode(), 400, "messages"),
    "tools": (json.dumps(request(tools=[TOOL] * 4)).encode(), 400, "tools"),
    "values": (json.dumps(request(metadata={"a": [0] * 2001})).encode(), 400, "values"),
    "values in strings' company": (json.dumps(request(metadata={"a": ['",\\"'] * 2001})).encode(), 400, "values"),
    "depth": (b'{"a":' * 31 + b"1" + b"}" * 31, 400, "depth"),
}
STRICT = {
    "a key twice": (b'{"model": "a", "model": "b"}', '"model" twice'),
    "a key twice within": (b'{"messages": [{"role": "user", "role": "system"}]}', '"role" twice'),
    "NaN": (b'{"temperature": NaN}', "NaN is no JSON number"),
    "infinity": (b'{"temperature": -Infinity}', "-Infinity is no JSON number"),
    "beyond all numbers": (b'{"temperature": 1e999}', "1e999 is more than a number can be"),
    "5,000 digits": (b'{"max_tokens": %s}' % (b"9" * 5000), "a number of 5,000 digits"),
    "a byte order mark": (b"\xef\xbb\xbf{}", "begins with a byte order mark"),
    "UTF-16": ("{}".encode("utf-16"), "begins with a byte order mark"),
    "no UTF-8": (b'{"a": "\xff"}', "byte 7 is no UTF-8"),
    "a second object": (b"{} {}", "line 1 column 4: Extra data"),
    "a control character": (b'{"a": "\n"}', "Invalid control character"),
}


@each_client
@pytest.mark.parametrize(("body", "status", "key"), REFUSED.values(), ids=REFUSED.keys())
def test_what_is_too_much_is_refused_with_the_key_that_allows_it(path: str, body: bytes, status: int, key: str) -> None:
    _, effects = ask(gateway_of(f"llm_providers: [{{model: openai/gpt-4o-mini}}]{SMALL}"), path=path, body=body)
    reply = one(effects, Respond)
    assert reply and reply.status == status
    told = json.loads(reply.body)
    assert f"limits.{key} in the gateway's config.yaml" in told["error"]["message"]
    assert ("type" in told) == (path == ANTHROPIC)


def test_what_is_just_not_too_much_is_taken() -> None:
    gateway = gateway_of(f"llm_providers: [{{model: openai/gpt-4o-mini}}]{SMALL}")
    text = [{"role": "user", "content": '[{",' * 20_000}]  # marks within strings are none
    for fields in (
        {"messages": [MESSAGE] * 5},
        {"tools": [TOOL] * 3},
        {"metadata": {"a": [0] * 1900}},
        {"messages": text},
    ):
        _, effects = ask(gateway, model="openai/gpt-4o-mini", **fields)
        assert one(effects, Respond) is None


@each_client
@pytest.mark.parametrize(("body", "words"), STRICT.values(), ids=STRICT.keys())
def test_json_that_two_parsers_may_read_differently_is_refused_with_its_place(
    path: str, body: bytes, words: str
) -> None:
    _, effects = ask(gateway_of(), path=path, body=body)
    reply = one(effects, Respond)
    assert reply and reply.status == 400
    assert words in json.loads(reply.body)["error"]["message"]


def test_half_a_character_and_nul_are_taken() -> None:
    body = json.dumps(request(model="openai/gpt-4o-mini", messages=[{"role": "user", "content": "\ud83d \0"}])).encode()
    assert one(ask(gateway_of(), body=body)[1], Respond) is None


# -- with the real Envoy ---------------------------------------------------------------------------------------


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Gateway]:
    folder: Path = tmp_path_factory.mktemp("limits")
    async with Simulator("openai") as openai, gateway(folder, CONFIG, {"openai": openai}) as running:
        yield running


async def kept(running: Gateway) -> tuple[int, int]:
    """Requests under way and bytes held, once they are none or after a long wait."""
    for _ in range(400):
        status = await asyncio.to_thread(client.status, running.home)
        if not status.requests_under_way:
            break
        await asyncio.sleep(0.05)
    return status.requests_under_way, status.bytes_held


def hello(text: str = "hello", *, stream: bool = True) -> dict[str, Any]:
    return {
        "model": "openai/gpt-4o-mini",
        "max_tokens": 10**6,
        "stream": stream,
        "messages": [MESSAGE | {"content": text}],
    }


@each_client
@real
async def test_one_request_too_many_is_told_when_to_come_back_and_later_ones_are_served(
    running: Gateway, path: str
) -> None:
    await running.calm()
    openai = running.providers["openai"]
    openai.fault = Fault("slow_first", delay_ms=60_000)
    waiting = [asyncio.create_task(running.ask(hello(), path)) for _ in range(4)]
    for _ in range(400):
        if len(openai.requests) == 4:
            break
        await asyncio.sleep(0.05)
    answers = await asyncio.gather(*(running.ask(hello(), path) for _ in range(8)))
    for answer in answers:
        assert answer.status == 503 and int(answer.headers["Retry-After"]) > 0
        assert "it takes 4 (limits.requests" in answer.json["error"]["message"]
        assert ("type" in answer.json) == (path == ANTHROPIC)
    assert len(openai.requests) == 4, "who is refused costs nobody anything"
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    assert await kept(running) == (0, 0)
    openai.clear()
    assert (await running.ask(hello(), path)).status == 200


@real
async def test_a_request_that_is_refused_need_not_send_its_body(running: Gateway) -> None:
    """And an upload counts as a request from its headers on: it holds its place until it pauses for too long."""
    await running.calm()
    port = int(running.url.rpartition(":")[2])
    head = b"POST /v1/messages HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 90000\r\n\r\n"
    uploads = [await asyncio.open_connection("127.0.0.1", port) for _ in range(4)]
    for _, writer in uploads:
        writer.write(head + b"x" * 100)
    for _ in range(400):
        status = await asyncio.to_thread(client.status, running.home)
        if status.requests_under_way == 4:
            break
        await asyncio.sleep(0.01)
    assert (status.requests_under_way, status.bytes_held) == (4, 360_000)
    answer = await running.ask(hello())
    assert answer.status == 503 and "limits.requests" in answer.json["error"]["message"]
    for reader, writer in uploads:
        told = await asyncio.wait_for(reader.read(), 30)
        assert told.startswith(b"HTTP/1.1 408 ") and b"stopped coming for 1 s" in told
        writer.close()
    assert await kept(running) == (0, 0)


@each_client
@real
async def test_a_provider_that_trickles_for_ever_is_ended_when_the_time_is_up(running: Gateway, path: str) -> None:
    await running.calm()
    script = "@@" + json.dumps([{"text": "x", "chunks": 600, "delay_ms": 100, "bytes": 10}]) + "@@"
    answer = await running.ask(hello(script), path)
    assert answer.status == 200 and b"was not done within 8 s" in answer.body
    assert answer.body.rstrip().splitlines()[-1].startswith(b"data: "), "the last event is whole"
    assert await kept(running) == (0, 0)


@each_client
@real
async def test_a_provider_that_falls_silent_is_ended_after_a_pause(running: Gateway, path: str) -> None:
    await running.calm()
    running.providers["openai"].fail_next(Fault("stall_after_content"))
    answer = await running.ask(hello(), path)
    assert b"fell silent for 3 s" in answer.body
    assert await kept(running) == (0, 0)


@each_client
@real
async def test_a_client_that_reads_nothing_holds_a_bounded_piece_of_the_answer_and_is_let_go(
    running: Gateway, path: str
) -> None:
    """80 MB are on offer; what the provider could get rid of is what there is room for on the way."""
    await running.calm()
    size, events = 60_000, 1400
    body = json.dumps(hello("@@" + json.dumps([{"text": "x", "chunks": events, "bytes": size}]) + "@@")).encode()
    reader, writer = await asyncio.open_connection("127.0.0.1", int(running.url.rpartition(":")[2]), limit=1024)
    head = f"POST {path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    writer.write(head.encode() + body)
    await asyncio.wait_for(reader.read(100), 30)
    assert await kept(running) == (0, 0), "the time was up"
    (asked,) = running.providers["openai"].requests
    assert asked.outcome == "disconnected", "the provider never came to its end, and was let go"
    writer.close()
