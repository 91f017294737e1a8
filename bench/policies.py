"""Who answers while conditions change: python bench/policies.py [--minutes 14] [--rate 3] [--write] [--json FILE]

A whole gateway with three simulated providers of set speeds and prices. Three preferences, each with the same pool and
another policy (fastest, cheapest, balanced), are asked in turns, every ask a session of its own. After a seventh of the
time the fastest becomes slow, after two it is well again, and for the last seventh a reload changes a price. Told is
each model's share of the answers over time. `--write` draws it into docs/policies.svg.
"""

import argparse
import asyncio
import json
import os
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass
from pathlib import Path

import aiohttp
from archgw.commands.demo import free_port
from archgw.home import Home
from archgw.simulate import Simulator
from archgw.supervisor import Supervisor

MODELS = {
    "anthropic/claude-sonnet-4-5": "anthropic",
    "openai/gpt-4o-mini": "openai",
    "deepseek/deepseek-chat": "deepseek",
}
LATENCY = {"anthropic": 0.15, "openai": 0.5, "deepseek": 1.0}  # seconds to the headers
SLOW = 4.0
PRICES = {
    "anthropic": "{input: 3, output: 15}",
    "openai": "{input: 0.6, output: 2.4}",
    "deepseek": "{input: 0.3, output: 1}",
}
CHANGED = PRICES | {"openai": "{input: 0.1, output: 0.4}"}
ASKS = {  # policy -> what its preference is about
    "fastest": ("writing new functions and scripts in code", "Write a Python function that parses dates, number {}"),
    "cheapest": ("telling jokes and funny stories", "Tell me a funny joke about the number {}"),
    "balanced": (
        "planning trips, hotels and sights in a city",
        "Which sights should I see on a trip to Rome on day {}?",
    ),
}
EVENTS = ((2, "sonnet slow"), (4, "sonnet well again"), (12, "gpt-4o-mini's price falls"))  # minutes of fourteen
BUCKETS = 28
SHADES = {
    "anthropic/claude-sonnet-4-5": "#3b6fb6",
    "openai/gpt-4o-mini": "#e09f3e",
    "deepseek/deepseek-chat": "#7a9e7e",
}


@dataclass(frozen=True, slots=True)
class Answered:
    """`at`: seconds after the beginning; `seconds` until all of the answer was there."""

    policy: str
    at: float
    model: str
    status: int
    seconds: float
    reason: str


def config(urls: Mapping[str, str], port: int, prices: Mapping[str, str]) -> str:
    models = [
        f'  - {{model: {label}, access_key: key, base_url: "{urls[name]}", price: {prices[name]}}}'
        for label, name in MODELS.items()
    ]
    preferences = [
        f"  - {{name: {policy}, description: '{about}', models: [{', '.join(MODELS)}], selection_policy: {policy}}}"
        for policy, (about, _) in ASKS.items()
    ]
    head = [f"listeners: {{egress_traffic: {{port: {port}}}}}", "routing: {deadline: 10s}", "llm_providers:"]
    return "\n".join([*head, *models, "routing_preferences:", *preferences]) + "\n"


async def ask(http: aiohttp.ClientSession, url: str, policy: str, number: int, began: float) -> Answered:
    words = ASKS[policy][1].format(number)
    body = {
        "model": "arch.main.v1",
        "max_tokens": 200,
        "stream": True,
        "messages": [{"role": "user", "content": words}],
    }
    at = time.monotonic()
    async with http.post(f"{url}/v1/messages", json=body) as reply:
        await reply.read()
        told = reply.headers
        model, reason = told.get("x-arch-model", ""), told.get("x-arch-reason", "")
        if told.get("x-arch-route") != policy:
            model = ""
        return Answered(policy, at - began, model, reply.status, time.monotonic() - at, reason)


async def measure(minutes: float, rate: float, folder: Path) -> list[Answered]:
    async with AsyncExitStack() as open:
        names = MODELS.values()
        sims = {name: await open.enter_async_context(Simulator(name, keep=10, latency=LATENCY[name])) for name in names}
        urls, port, file = {name: sim.url for name, sim in sims.items()}, free_port(), folder / "config.yaml"
        file.write_text(config(urls, port, PRICES))
        path = {name: os.environ[name] for name in ("PYTHONPATH",) if name in os.environ}
        supervisor = Supervisor(file, Home(folder / "home"), environment={"PATH": "/usr/bin:/bin", **path})
        await open.enter_async_context(supervisor.running())
        http = await open.enter_async_context(aiohttp.ClientSession())
        minute, began = minutes / 14 * 60, time.monotonic()

        async def conditions() -> None:
            await asyncio.sleep(EVENTS[0][0] * minute)
            sims["anthropic"].latency = SLOW
            await asyncio.sleep((EVENTS[1][0] - EVENTS[0][0]) * minute)
            sims["anthropic"].latency = LATENCY["anthropic"]
            await asyncio.sleep((EVENTS[2][0] - EVENTS[1][0]) * minute)
            await asyncio.to_thread(file.write_text, config(urls, port, CHANGED))
            await supervisor.reload()

        changing = asyncio.create_task(conditions())
        under_way, number = [], 0
        while time.monotonic() - began < minutes * 60:
            policy = list(ASKS)[number % len(ASKS)]
            under_way.append(asyncio.create_task(ask(http, supervisor.url, policy, number, began)))
            number += 1
            await asyncio.sleep(max(0.0, began + number / rate - time.monotonic()))
        found = await asyncio.gather(*under_way)
        await changing
    return found


def shares(answers: Sequence[Answered], policy: str, minutes: float) -> list[dict[str, float]]:
    """By bucket of time: each model's share of the answers."""
    length = minutes * 60 / BUCKETS
    told = []
    for bucket in range(BUCKETS):
        counts = Counter(a.model for a in answers if a.policy == policy and int(a.at / length) == bucket and a.model)
        told.append({model: counts[model] / counts.total() if counts else 0.0 for model in MODELS})
    return told


def table(answers: Sequence[Answered], minutes: float) -> str:
    """Shares between the changes, and how long an answer took there."""
    edges = [0.0, *(at * minutes / 14 * 60 for at, _ in EVENTS), minutes * 60]
    names = ["as written", *(name for _, name in EVENTS)]
    lines = [
        "| policy | from minute | | sonnet | gpt-4o-mini | deepseek | median seconds |",
        "|---|---|---|---|---|---|---|",
    ]
    for policy in ASKS:
        for name, start, end in zip(names, edges, edges[1:], strict=False):
            mine = [a for a in answers if a.policy == policy and start <= a.at < end and a.model]
            counts = Counter(a.model for a in mine)
            each = " | ".join(f"{100 * counts[model] / max(1, len(mine)):.0f} %" for model in MODELS)
            took = sorted(a.seconds for a in mine)
            middle = f"{took[len(took) // 2]:.2f}" if took else "-"
            lines.append(f"| {policy} | {start / 60:.0f} | {name} | {each} | {middle} |")
    return "\n".join(lines)


def drawn(answers: Sequence[Answered], minutes: float) -> str:
    """Three strips of stacked shares over time, as SVG."""
    width, height, left, gap = 640, 90, 80, 34
    across = width / BUCKETS
    total = 40 + len(ASKS) * (height + gap)
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {left + width + 20} {total + 20}" '
        'font-family="sans-serif" font-size="12">',
        f'<rect width="{left + width + 20}" height="{total + 20}" fill="white"/>',
    ]
    for at, (model, shade) in enumerate(SHADES.items()):
        x = left + at * 210
        out.append(f'<rect x="{x}" y="8" width="12" height="12" fill="{shade}"/>')
        out.append(f'<text x="{x + 17}" y="18">{model}</text>')
    for row, policy in enumerate(ASKS):
        top = 40 + row * (height + gap)
        out.append(f'<text x="{left - 8}" y="{top + height / 2 + 4}" text-anchor="end">{policy}</text>')
        for bucket, share in enumerate(shares(answers, policy, minutes)):
            y = float(top + height)
            for model, shade in SHADES.items():
                tall = share[model] * height
                y -= tall
                if tall:
                    out.append(
                        f'<rect x="{left + bucket * across:.1f}" y="{y:.1f}" width="{across:.1f}" height="{tall:.1f}" '
                        f'fill="{shade}"/>'
                    )
        for minute, name in EVENTS:
            x = left + minute / 14 * width
            out.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{top - 4}" y2="{top + height}" stroke="black"/>')
            if row == 0:
                anchor = "end" if minute > 10 else "start"
                out.append(f'<text x="{x:.1f}" y="{top - 7}" text-anchor="{anchor}" font-size="11">{name}</text>')
        for minute in range(0, 15, 2):
            x, told = left + minute / 14 * width, minute * minutes / 14
            out.append(f'<text x="{x:.1f}" y="{top + height + 14}" text-anchor="middle" fill="#555">{told:g}</text>')
    out.append(f'<text x="{left + width / 2}" y="{total + 10}" text-anchor="middle" fill="#555">minutes</text></svg>')
    return "\n".join(out) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=14)
    parser.add_argument("--rate", type=float, default=3, help="asks a second, a third of them for each policy")
    parser.add_argument("--write", action="store_true", help="draw docs/policies.svg")
    parser.add_argument("--json", type=Path, metavar="FILE")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="archgw-policies-") as folder:
        answers = asyncio.run(measure(given.minutes, given.rate, Path(folder)))
    lost = sum(a.status != 200 for a in answers)
    astray = sum(not a.model for a in answers)
    print(f"{len(answers)} asks, {lost} without an answer, {astray} taken for another preference\n")
    print(table(answers, given.minutes))
    print(f"\n{'minute':8}" + "".join(f"{policy:>24}" for policy in ASKS) + "   (sonnet / gpt-4o-mini / deepseek, %)")
    strips = {policy: shares(answers, policy, given.minutes) for policy in ASKS}
    for bucket in range(BUCKETS):
        told = (" / ".join(f"{100 * strips[p][bucket][m]:3.0f}" for m in MODELS) for p in ASKS)
        print(f"{bucket * given.minutes / BUCKETS:<8.1f}" + "".join(f"{one:>24}" for one in told))
    if given.write:
        (Path(__file__).parent.parent / "docs" / "policies.svg").write_text(drawn(answers, given.minutes))
    if given.json:
        given.json.write_text(json.dumps([asdict(a) for a in answers]))


if __name__ == "__main__":
    main()
