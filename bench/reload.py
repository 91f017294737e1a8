"""What a reload costs under load: python bench/reload.py [--reloads 20] [--rate 50] [--streams 20] [--json FILE]

While clients ask so many times a second and hold so many long streams open, the configuration is loaded anew again and
again; each time an alias leads to another model, and a model comes or goes. Told are the requests that failed, the
streams that did not arrive whole, how long a reload takes, and how long until the new configuration answers. Exit 1
when a request failed or a stream was cut.
"""

import argparse
import asyncio
import json
import random
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
from archgw.commands.demo import free_port
from archgw.home import Home
from archgw.simulate import Simulator
from archgw.supervisor import Supervisor
from soak import read
from soak_asks import Dialogue
from soak_verdict import Observed, verdict
from soak_weather import Weather

_MODELS = {  # label -> its simulated provider
    "openai/gpt-4o-mini": "openai",
    "anthropic/claude-sonnet-4-5": "anthropic",
    "deepseek/deepseek-chat": "deepseek",
}
_TARGETS = ("openai/gpt-4o-mini", "anthropic/claude-sonnet-4-5")  # what the alias leads to, in turns
_LASTS = {"chunks": 150, "bytes": 40, "delay_ms": 100}  # a stream of 15 s
_EFFECTIVE_WITHIN = 30.0


@dataclass(slots=True)
class Seen:
    requests: int = 0
    failed: list[str] = field(default_factory=list)
    streams: int = 0
    cut: list[str] = field(default_factory=list)
    latencies: list[float] = field(default_factory=list)  # seconds, while no reload is under way
    during: list[float] = field(default_factory=list)  # seconds, of requests that a reload touched
    reloads: list[float] = field(default_factory=list)
    effective: list[float] = field(default_factory=list)  # seconds from the beginning of a reload
    reloading: bool = False


def config(urls: Mapping[str, str], port: int, number: int) -> str:
    """The configuration of this reload."""
    labels = [label for at, label in enumerate(_MODELS) if at < 2 or number % 2]
    models = [f'  - {{model: {label}, access_key: key, base_url: "{urls[_MODELS[label]]}"}}' for label in labels]
    target = _TARGETS[number % 2]
    lines = [
        f"listeners: {{egress_traffic: {{port: {port}}}}}",
        "llm_providers:",
        *models,
        f"model_aliases: {{current: {{target: {target}}}}}",
        "routing_preferences:",
        f"  - {{name: code, description: writing code, models: [{', '.join(labels[:: 1 if number % 2 else -1])}]}}",
    ]
    return "\n".join(lines) + "\n"


async def ask(http: aiohttp.ClientSession, url: str, model: str) -> tuple[str, str]:
    """Who answered, and what went wrong."""
    body = {"model": model, "max_tokens": 50, "messages": [{"role": "user", "content": "hello"}]}
    try:
        async with http.post(f"{url}/v1/messages", json=body) as reply:
            text = await reply.text()
            trouble = "" if reply.status == 200 and "end_turn" in text else f"{reply.status}: {text[:200]}"
            return reply.headers.get("x-arch-model", ""), trouble
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        return "", f"{type(error).__name__}: {error}"


async def keep_asking(http: aiohttp.ClientSession, url: str, rate: float, seen: Seen) -> None:
    """`rate` times a second, whether or not the last is answered."""

    async def one() -> None:
        began, touched = time.monotonic(), seen.reloading
        _, trouble = await ask(http, url, "arch.main.v1")
        seen.requests += 1
        (seen.during if touched or seen.reloading else seen.latencies).append(time.monotonic() - began)
        if trouble:
            seen.failed.append(trouble)

    async with asyncio.TaskGroup() as asked:
        due = time.monotonic()
        try:
            while True:
                asked.create_task(one())
                due += 1 / rate
                await asyncio.sleep(max(0.0, due - time.monotonic()))
        except asyncio.CancelledError:
            return  # what has been asked is answered yet


async def keep_streaming(http: aiohttp.ClientSession, url: str, number: int, seen: Seen, over: asyncio.Event) -> None:
    """One long stream after another, each judged as the soak judges; the last one to its end."""
    spoken = {label: label for label in _MODELS}
    chance = random.Random(f"stream {number}")
    await asyncio.sleep(chance.uniform(0, 3))
    turns = 0
    while not over.is_set():
        turns += 1
        dialogue = Dialogue(chance.choice(("messages", "chat", "responses")), chance, f"{number}-{turns}")
        dialogue.ask(size=500, pace=_LASTS)
        observed = Observed(dialogue.request("arch.main.v1", streamed=True), time.monotonic())
        await read(http, url, observed, slow=0.0)
        found = verdict(observed, Weather(_MODELS, plans=[(0.0, frozenset(_MODELS))]), spoken)
        seen.streams += 1
        if found.end != "whole":
            seen.cut.append(f"{found.end}: {'; '.join(found.why)} {found.heard.error}")


async def keep_reloading(
    http: aiohttp.ClientSession,
    supervisor: Supervisor,
    file: Path,
    urls: Mapping[str, str],
    port: int,
    count: int,
    seen: Seen,
) -> None:
    for number in range(1, count + 1):
        await asyncio.sleep(1.0)
        await asyncio.to_thread(file.write_text, config(urls, port, number))
        began = time.monotonic()
        seen.reloading = True
        effective = asyncio.create_task(_until_effective(http, supervisor.url, _TARGETS[number % 2]))
        await supervisor.reload()  # type: ignore[attr-defined]  # where the supervisor has it
        seen.reloads.append(time.monotonic() - began)
        at = await effective
        seen.reloading = False
        if at is None:
            seen.failed.append(f"reload {number} was not effective within {_EFFECTIVE_WITHIN:g} s")
        else:
            seen.effective.append(at - began)


async def _until_effective(http: aiohttp.ClientSession, url: str, target: str) -> float | None:
    """When the alias first led to its new target, and went on doing so for ten more requests; None for never."""
    end, first, right = time.monotonic() + _EFFECTIVE_WITHIN, 0.0, 0
    while time.monotonic() < end:
        now = time.monotonic()
        served, _ = await ask(http, url, "current")
        right = right + 1 if served == target else 0
        first = now if right == 1 else first
        if right > 10:
            return first
        await asyncio.sleep(0.01)
    return None


async def measure(reloads: int, rate: float, streams: int, folder: Path) -> dict[str, Any]:
    seen = Seen()
    async with AsyncExitStack() as open:
        vendors = _MODELS.values()
        urls = {vendor: (await open.enter_async_context(Simulator(vendor, keep=10))).url for vendor in vendors}
        port, file = free_port(), folder / "config.yaml"
        file.write_text(config(urls, port, 0))
        supervisor = Supervisor(file, Home(folder / "home"), environment={"PATH": "/usr/bin:/bin"})
        await open.enter_async_context(supervisor.running())
        connector = aiohttp.TCPConnector(limit=0)
        http = await open.enter_async_context(aiohttp.ClientSession(connector=connector))
        over = asyncio.Event()
        asking = asyncio.create_task(keep_asking(http, supervisor.url, rate, seen))
        streaming = [
            asyncio.create_task(keep_streaming(http, supervisor.url, number, seen, over)) for number in range(streams)
        ]
        began = time.monotonic()
        try:
            await keep_reloading(http, supervisor, file, urls, port, reloads, seen)
        finally:
            over.set()
            lasted = time.monotonic() - began
            asking.cancel()
            await asyncio.gather(asking, *streaming, return_exceptions=True)
        unasked = dict(supervisor.restarts)
    return {
        "seconds": round(lasted, 1),
        "rate": rate,
        "requests": seen.requests,
        "failed": len(seen.failed),
        "streams": seen.streams,
        "cut": len(seen.cut),
        "reloads": len(seen.reloads),
        "reload_seconds": _spread(seen.reloads),
        "effective_seconds": _spread(seen.effective),
        "latency_ms": {"otherwise": _middle(seen.latencies), "while reloading": _middle(seen.during)},
        "ended_by_itself": unasked,
        "troubles": dict(Counter([*seen.failed, *seen.cut]).most_common(10)),
    }


def _spread(seconds: Sequence[float]) -> dict[str, float]:
    if not seconds:
        return {}
    told = {"least": min(seconds), "median": statistics.median(seconds), "most": max(seconds)}
    return {name: round(value, 3) for name, value in told.items()}


def _middle(seconds: Sequence[float]) -> dict[str, float]:
    if len(seconds) < 2:
        return {}
    cuts = statistics.quantiles(seconds, n=100)
    return {"p50": round(1000 * cuts[49], 1), "p99": round(1000 * cuts[98], 1)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--reloads", type=int, default=20)
    parser.add_argument("--rate", type=float, default=50, help="requests a second")
    parser.add_argument("--streams", type=int, default=20, help="long streams, open at a time")
    parser.add_argument("--json", type=Path, metavar="FILE")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="archgw-reload-") as folder:
        found = asyncio.run(measure(given.reloads, given.rate, given.streams, Path(folder)))
    for name, value in found.items():
        print(f"{name.replace('_', ' '):18} {value}")
    if given.json:
        given.json.write_text(json.dumps(found, indent=1))
    sys.exit(1 if found["failed"] or found["cut"] or found["ended_by_itself"] else 0)


if __name__ == "__main__":
    main()
