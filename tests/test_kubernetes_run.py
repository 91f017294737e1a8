"""The pod of the overlay `dev`, run: the manifests' commands, probes and hooks, with the real Envoy."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import aiohttp
import pytest
from archgw.app import app
from archgw.render import kubernetes_overlays
from pods import Pod
from stack import free_port, until
from test_kubernetes import built, kubectl
from typer.testing import CliRunner

CONFIG = """
listeners: {egress_traffic: {port: $PORT}}
llm_providers:
  - {model: openai/gpt-4o-mini, access_key: $OPENAI_API_KEY, default: true}
  - {model: deepseek/deepseek-chat, access_key: $DEEPSEEK_API_KEY}
  - {model: ollama/llama3.1, base_url: "http://localhost:11434"}
"""
CHUNKS = 40
SLOW = f'@@[{{"text": "{"a long answer " * CHUNKS}", "chunks": {CHUNKS}, "delay_ms": 200}}]@@'
DRAIN_TIME = 2  # instead of the ten seconds that a cluster takes to hear of it


@asynccontextmanager
async def pod(folder: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Pod]:
    """Its ports are free ones: the clusters of Envoy are named after the addresses of the vendors."""
    monkeypatch.setattr(kubernetes_overlays, "FIRST_VENDOR", free_port())
    (folder / "config.yaml").write_text(CONFIG.replace("$PORT", str(free_port())))
    shown = CliRunner().invoke(app, ["render", "kubernetes", str(folder / "config.yaml"), "--out", str(folder / "out")])
    assert shown.exit_code == 0, shown.output
    objects = built(folder / "out" / "overlays" / "dev")
    _drain_faster(objects)
    (secret,) = (one for one in objects if one["kind"] == "Secret")
    del secret["data"]["DEEPSEEK_API_KEY"]
    running = Pod(objects, folder, {"0.0.0.0": "127.0.0.1"})
    try:
        await running.start()
        yield running
    finally:
        await running.kill()


def _drain_faster(objects: list[dict[str, object]]) -> None:
    for one in objects:
        if one["kind"] == "Deployment":
            spec = one["spec"]["template"]["spec"]  # type: ignore[index]
            for container in (*spec["initContainers"], *spec["containers"]):
                command = container["command"]
                for option in {"--drain-time", "--drain-time-s"} & set(command):
                    assert command[command.index(option) + 1] == "10"
                    command[command.index(option) + 1] = str(DRAIN_TIME)


async def ask(client: aiohttp.ClientSession, url: str, text: str, *, stream: bool) -> tuple[int, str]:
    body = {"model": "openai/gpt-4o-mini", "stream": stream, "messages": [{"role": "user", "content": text}]}
    async with client.post(f"{url}/v1/chat/completions", json=body) as reply:
        return reply.status, await reply.text()


async def connections(url: str) -> AsyncIterator[str]:
    """What is said of the connection to one new client after the other, until none is let in."""
    with suppress(aiohttp.ClientConnectionError):
        while True:
            async with aiohttp.ClientSession() as client, client.get(f"{url}/healthz") as reply:
                yield reply.headers.get("connection", "")
            await asyncio.sleep(0.1)


@pytest.mark.skipif(kubectl() is None, reason="kubectl is not installed")
async def test_a_pod_serves_and_ends_without_cutting_anything(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with pod(tmp_path, monkeypatch) as running, aiohttp.ClientSession() as client:
        (envoy,) = running.spec["containers"]
        url = running.url(envoy)
        status, said = await ask(client, url, "hello", stream=False)
        assert status == 200, said

        (tmp_path / "keys" / "DEEPSEEK_API_KEY").write_text("simulated-key-of-deepseek")  # the Secret has changed
        await running.restart("router")
        status, said = await ask(client, url, "hello again", stream=False)
        assert status == 200, f"Envoy knows no chain with deepseek in it: {said}"

        slow = asyncio.create_task(ask(client, url, SLOW, stream=True))
        drained = tmp_path / "sockets" / "drained"
        ending = asyncio.create_task(running.end())

        told = [word async for word in connections(url)]
        assert told[-1] == "close", "while connections were still taken, clients were told to close theirs"
        assert not slow.done() and not drained.exists() and not ending.done()

        status, text = await slow
        assert status == 200 and text.rstrip().endswith("data: [DONE]") and text.count("a long answer") >= CHUNKS // 2
        await ending
        assert drained.exists() and not (tmp_path / "sockets" / "drain").exists()
        assert {name: process.returncode for name, process in running.running.items()} == {
            "vendors": 0, "router": 0, "envoy": 0,
        }  # fmt: skip
        await until(lambda: "stopped" in running.log("router"))
