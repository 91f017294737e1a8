"""Prompt caches through a running gateway: what the vendors get, what they say, and what archgw stats makes of it."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from archgw.app import app
from archgw.simulate import Simulator
from stack import Gateway, gateway, until
from typer.testing import CliRunner

CONFIG = """
listeners: {egress_traffic: {port: $PORT}}
llm_providers:
  - {model: anthropic/claude-sonnet-4-5, access_key: a, base_url: "$URL_ANTHROPIC", default: true}
  - {model: openai/gpt-4o, access_key: o, base_url: "$URL_OPENAI"}
  - {model: xai/grok-4, access_key: x, base_url: "$URL_XAI"}
"""
TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}
SYSTEM = "You are a careful programmer. " * 300
SESSION = "session-of-the-client"


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[Gateway]:
    async with Simulator("anthropic") as claude, Simulator("openai") as gpt, Simulator("xai") as grok:
        providers = {"anthropic": claude, "openai": gpt, "xai": grok}
        async with gateway(tmp_path, CONFIG, providers, watch=False) as it:
            yield it


async def session(it: Gateway, model: str, requests: int = 4) -> list[dict[str, Any]]:
    """The usage that an agent of OpenAI's dialect is told of each request of its session."""
    messages: list[dict[str, Any]] = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": "begin"}]
    told = []
    for number in range(requests):
        body = {"model": model, "max_tokens": 50, "messages": messages, "tools": [TOOL]}
        answer = await it.ask(body, "/v1/chat/completions", **{"x-session-id": SESSION})
        assert answer.status == 200, answer.body
        assert answer.headers["x-arch-model"] == model and answer.headers["x-arch-attempts"] == "1"
        told.append(answer.json["usage"])
        messages += [answer.json["choices"][0]["message"], {"role": "user", "content": f"go on {number} " + "w " * 800}]
    return told


def stats(it: Gateway) -> dict[str, Any]:
    done = CliRunner().invoke(app, ["stats", "--json"], env={"ARCHGW_HOME": str(it.home.folder)})
    lines = json.loads(done.stdout)["lines"] if done.exit_code == 0 else []
    return {line["name"]: line for line in lines}


async def told_of(it: Gateway, enough: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """Rows are written behind the requests' backs."""
    await until(lambda: enough(stats(it)))
    return await asyncio.to_thread(stats, it)


async def test_an_agents_session_is_read_from_the_caches_of_all_three(running: Gateway) -> None:
    models = ("anthropic/claude-sonnet-4-5", "openai/gpt-4o", "xai/grok-4")
    for model in models:
        usages = await session(running, model)
        cached = [usage["prompt_tokens_details"]["cached_tokens"] for usage in usages]
        assert cached[0] == 0 and 2000 < cached[1] < cached[2] < cached[3], model
    claude, gpt, grok = (running.providers[name] for name in ("anthropic", "openai", "xai"))
    assert not (claude.leaks or gpt.leaks or grok.leaks)
    keys = {request.json["prompt_cache_key"] for request in gpt.requests if request.json}
    names = {request.header("x-grok-conv-id") for request in grok.requests}
    assert len(keys) == len(names) == 1 and keys != names
    for provider in (claude, gpt, grok):
        assert all(SESSION not in f"{request.headers}{request.body!r}" for request in provider.requests)
    lines = await told_of(running, lambda found: sum(one["requests"] for one in found.values()) == 12)
    for model in models:
        read = sum(lines[model][name] for name in ("input", "cached", "cache_write"))
        assert (
            lines[model]["hit_rate"] == pytest.approx(lines[model]["cached"] / read) and lines[model]["hit_rate"] > 0.4
        )
