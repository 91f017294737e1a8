"""What the cache of answers saves: python bench/cache.py [--runs 30] [--crowd 1000] [--latency 1]

A gateway with the real Envoy and a simulated vendor. How long a request takes the first time and the second, streamed
and whole, where the vendor answers at once (what is left is ours) and where it takes its time; how many calls a crowd
makes that asks the same at once; how long it takes to know a request by its key.
"""

import argparse
import asyncio
import json
import statistics
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import aiohttp
from archgw.commands.demo import free_port
from archgw.home import Home
from archgw.simulate import Simulator
from archgw.supervisor import Supervisor

from router_service import caching
from router_service.config import parse
from router_service.dialects import by_path
from router_service.intent import Intent
from router_service.plan import plan
from router_service.policies import explicit

MODEL, PATH = "openai/gpt-4o-mini", "/v1/chat/completions"
CONFIG = """
listeners: {egress_traffic: {port: PORT}}
llm_providers: [{model: openai/gpt-4o-mini, access_key: k, base_url: "URL/v1"}]
cache: {enabled: true}
"""


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--runs", type=int, default=30)
    parser.add_argument("--crowd", type=int, default=1000)
    parser.add_argument("--latency", type=float, default=1.0, help="seconds that the slow vendor takes")
    given = parser.parse_args()
    for latency in (0.0, given.latency):
        with tempfile.TemporaryDirectory(prefix="archgw-cache-") as folder:
            async with Simulator("openai", latency=latency) as vendor:
                config = Path(folder) / "config.yaml"
                config.write_text(CONFIG.replace("PORT", str(free_port())).replace("URL", vendor.url))
                supervisor = Supervisor(config, Home(Path(folder) / "home"), environment={"PATH": "/usr/bin:/bin"})
                connector = aiohttp.TCPConnector(limit=0)
                async with supervisor.running(), aiohttp.ClientSession(connector=connector) as client:
                    print(f"a vendor that takes {latency:g} s")
                    runs = given.runs if latency == 0 else max(3, given.runs // 5)
                    for stream in (False, True):
                        await twice(client, supervisor.url, runs, stream=stream)
                    if latency:
                        for stream in (False, True):
                            await crowd(client, supervisor.url, vendor, given.crowd, stream=stream)
    for size in (2_000, 50_000, 1_000_000):
        key(size)


async def ask(client: aiohttp.ClientSession, url: str, text: str, *, stream: bool) -> tuple[str, bytes, float]:
    body = {"model": MODEL, "messages": [{"role": "user", "content": text}], "stream": stream}
    began = time.perf_counter()
    async with client.post(f"{url}{PATH}", json=body) as reply:
        told = await reply.read()
        reply.raise_for_status()
        return reply.headers["x-arch-cache"].partition(";")[0], told, time.perf_counter() - began


async def twice(client: aiohttp.ClientSession, url: str, runs: int, *, stream: bool) -> None:
    first, second = [], []
    for number in range(runs):
        text = f"question {number}, {stream}"
        one, other = [await ask(client, url, text, stream=stream) for _ in range(2)]
        assert (one[0], other[0]) == ("miss", "hit") and one[1] == other[1], "the same to the byte"
        first.append(one[2] * 1000)
        second.append(other[2] * 1000)
    middles = statistics.median(first), statistics.median(second)
    form = "streamed" if stream else "whole"
    print(f"  {form:9} first {middles[0]:8.1f} ms, second {middles[1]:6.1f} ms: {middles[0] / middles[1]:6.1f} times")


async def crowd(client: aiohttp.ClientSession, url: str, vendor: Simulator, size: int, *, stream: bool) -> None:
    before, began = len(vendor.requests), time.perf_counter()
    answers = await asyncio.gather(*(ask(client, url, f"all, {stream}", stream=stream) for _ in range(size)))
    took, calls = time.perf_counter() - began, len(vendor.requests) - before
    assert len({body for _, body, _ in answers}) == 1
    marks = dict(Counter(mark for mark, _, _ in answers))
    print(f"  {'streamed' if stream else 'whole':9} {size} at once: {calls} call, {marks}, all in {took:.1f} s")


def key(size: int) -> None:
    """Of a request of so many bytes, in many messages."""
    body: dict[str, Any] = {"model": MODEL, "messages": [{"role": "user", "content": "word " * 100}] * (size // 500)}
    raw, dialect = json.dumps(body).encode(), by_path(PATH)
    planned = plan(parse(CONFIG.replace("PORT", "1").replace("URL", "http://127.0.0.1:1"), file="", environment={}))
    assert dialect is not None
    conversation = dialect.parse_request(body)
    decision = explicit.choose(planned, explicit.Named("explicit", planned.candidates[0]), MODEL)
    terms, intent = caching.Terms(60.0, tools=False, fresh=False), Intent("user turn", "")
    times = []
    for _ in range(20):
        began = time.perf_counter()
        caching.keeping(terms, decision, conversation, intent, raw, headers={}, caller="", path=PATH, query="")
        times.append((time.perf_counter() - began) * 1000)
    print(f"the key of a request of {len(raw):,} bytes: {statistics.median(times):.2f} ms")


if __name__ == "__main__":
    asyncio.run(main())
