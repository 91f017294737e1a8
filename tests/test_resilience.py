"""What happens when something dies, and under a burst: nothing hangs, nothing is silent, everything comes back."""

import asyncio
import json
import os
import random
import signal
from collections import Counter
from collections.abc import AsyncIterator

import aiohttp
import pytest
import pytest_asyncio
from archgw.simulate import Fault, Simulator
from stack import Gateway, gateway

CONFIG = """
listeners: {egress_traffic: {port: $PORT}}
llm_providers:
  - {model: openai/gpt-4o-mini, access_key: $OPENAI_API_KEY, base_url: "$URL_OPENAI", default: true}
  - {model: anthropic/claude-sonnet-4-5, access_key: $ANTHROPIC_API_KEY, base_url: "$URL_ANTHROPIC"}
failover: {first_content_timeout: 10s, put_aside_after: 100000, cool_at_most: 0}
"""
pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Gateway]:
    async with Simulator("openai", accept_keys={"o"}) as openai, Simulator("anthropic", accept_keys={"a"}) as anthropic:
        providers = {"openai": openai, "anthropic": anthropic}
        keys = {"OPENAI_API_KEY": "o", "ANTHROPIC_API_KEY": "a"}
        async with gateway(tmp_path_factory.mktemp("resilience"), CONFIG, providers, keys, silence=15.0) as running:
            yield running


@pytest_asyncio.fixture(autouse=True, loop_scope="module")
async def calm(running: Gateway) -> None:
    await running.calm()


def hello(text: str = "hello", *, stream: bool = False) -> dict[str, object]:
    return {
        "model": "arch.main.v1",
        "max_tokens": 100,
        "stream": stream,
        "messages": [{"role": "user", "content": text}],
    }


async def test_requests_in_flight_fail_in_words_when_the_router_dies_and_later_ones_work(running: Gateway) -> None:
    running.providers["openai"].fault = Fault("slow_headers", delay_ms=1500)
    under_way = [asyncio.create_task(running.ask(hello(stream=n % 2 == 0))) for n in range(20)]
    await asyncio.sleep(0.5)
    os.kill(running.supervisor.pids["router"], signal.SIGKILL)
    for answer in await asyncio.wait_for(asyncio.gather(*under_way), 20):
        assert answer.status in (500, 502, 503)
        assert answer.json["error"]["message"].startswith("archgw: ")
    running.providers["openai"].clear()
    await running.until_well(hello())
    assert running.supervisor.restarts["router"] == 1


async def test_a_request_while_the_router_is_down_is_refused_in_words(running: Gateway) -> None:
    os.kill(running.supervisor.pids["router"], signal.SIGKILL)
    await asyncio.sleep(0.05)
    answer = await running.ask(hello())
    assert answer.status == 503
    assert "restarted by itself" in answer.json["error"]["message"]
    assert answer.headers["x-arch-model"] == "none"
    await running.until_well(hello())


async def test_envoy_is_restarted(running: Gateway) -> None:
    before = running.supervisor.pids["envoy"]
    os.kill(before, signal.SIGKILL)
    await running.until_well(hello())
    assert running.supervisor.pids["envoy"] != before


async def test_a_router_that_hangs_is_ended_and_started_again(running: Gateway) -> None:
    before = running.supervisor.pids["router"]
    os.kill(before, signal.SIGSTOP)
    for _ in range(900):
        if running.supervisor.pids["router"] != before:
            break
        await asyncio.sleep(0.1)
    assert running.supervisor.pids["router"] != before
    await running.until_well(hello())


async def test_a_burst_of_large_events_slow_readers_and_aborts_crashes_nothing(running: Gateway) -> None:
    """60 KB events, a tenth of the readers slow, a fifth gone in the middle, providers failing in turn."""
    pids = dict(running.supervisor.pids)
    chance = random.Random(7)
    script = "@@" + json.dumps([{"text": "x", "chunks": 20, "bytes": 60_000}]) + "@@"
    seen: Counter[str] = Counter()

    async def client(number: int) -> None:
        kind = chance.choices(["whole", "slow", "abort"], [7, 1, 2])[0]
        model = chance.choice(["openai/gpt-4o-mini", "anthropic/claude-sonnet-4-5"])
        body = hello(script, stream=True) | {"model": model}
        try:
            seen[await asyncio.wait_for(_read(running, body, kind), 60)] += 1
        except aiohttp.ClientError as error:
            seen[type(error).__name__] += 1

    for batch in range(6):
        failing, how = [("openai", "error_first"), ("anthropic", "reset")][batch % 2]
        running.providers[failing].fail_next(Fault(how), times=5)
        await asyncio.gather(*(client(batch * 40 + n) for n in range(40)))
    assert seen["whole"] > 120 and seen["abort"] > 20, seen
    assert set(seen) == {"whole", "abort"}, seen
    assert running.supervisor.pids == pids, "nothing was restarted"
    await running.until_well(hello())
    assert not [leak for provider in running.providers.values() for leak in provider.leaks]


async def _read(running: Gateway, body: dict[str, object], kind: str) -> str:
    headers = {"content-type": "application/json"}
    async with running.client.post(f"{running.url}/v1/messages", json=body, headers=headers) as reply:
        size, body_so_far = 0, b""
        async for chunk in reply.content.iter_chunked(65_536):
            size += len(chunk)
            body_so_far = body_so_far or chunk
            if kind == "abort" and size > 200_000:
                return "abort"
            if kind == "slow":
                await asyncio.sleep(0.02)
        assert reply.status == 200, body_so_far[:600]
    assert size > 1_000_000, f"{kind}: only {size} bytes"
    return "whole"


async def test_exchanges_and_streams_are_let_go(running: Gateway) -> None:
    from archgw import client

    for _ in range(50):
        status = await asyncio.to_thread(client.status, running.home)
        if status.requests_under_way == 0:
            break
        await asyncio.sleep(0.1)
    assert status.requests_under_way == 0 and status.bytes_held == 0
