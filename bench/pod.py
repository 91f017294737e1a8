"""What the two containers of a pod take of processor and memory: the overlay `dev`, run as tests/pods.py runs it.

    python bench/pod.py config.yaml

Prints, for each phase, milli-cores (1000: one core), memory in MiB, and what a request costs. Needs kubectl.
"""

import asyncio
import json
import os
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import aiohttp

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from archgw.render import kubernetes_overlays  # noqa: E402
from pods import Pod  # noqa: E402
from stack import free_port  # noqa: E402
from test_kubernetes import built  # noqa: E402

Work = Callable[[float], Awaitable[int]]
STREAM = '@@[{"text": "' + "a word " * 60 + '", "chunks": 60, "delay_ms": 100}]@@'  # six seconds
_TICKS = os.sysconf("SC_CLK_TCK")


async def main(text: str) -> None:
    kubernetes_overlays.FIRST_VENDOR = free_port()
    with tempfile.TemporaryDirectory(prefix="archgw-pod-") as name:
        folder = Path(name)
        listener = f"\nlisteners: {{egress_traffic: {{port: {free_port()}}}}}\n"
        (folder / "config.yaml").write_text(text + listener)
        render = (sys.executable, "-m", "archgw", "render", "kubernetes", str(folder / "config.yaml"))
        rendering = await asyncio.create_subprocess_exec(*render, "--out", str(folder / "out"))
        assert await rendering.wait() == 0
        pod = Pod(built(folder / "out" / "overlays" / "dev"), folder, {"0.0.0.0": "127.0.0.1"})
        began = time.monotonic()
        try:
            await pod.start()
            print(f"ready after {time.monotonic() - began:.1f} s")
            await measure(pod)
        finally:
            await pod.kill()


async def measure(pod: Pod) -> None:
    url = pod.url(pod.spec["containers"][0])
    phases: list[tuple[str, float, Work]] = [
        ("at rest", 15, _rest),
        ("32 agents, streams of 6 s", 24, _load(url, 32, 4_000, STREAM)),
        ("200 agents, streams of 6 s", 30, _load(url, 200, 4_000, STREAM)),
        ("8 at once, answered at once", 15, _load(url, 8, 4_000, "")),
        ("8 at once, prompts of 400 kB", 15, _load(url, 8, 400_000, "")),
        ("at rest", 10, _rest),
    ]
    for name, seconds, work in phases:
        before, began = {one: _cpu(process.pid) for one, process in pod.running.items()}, time.monotonic()
        requests = await work(seconds)
        took = time.monotonic() - began
        print(f"{name}: {requests / took:.1f} requests a second")
        for one, process in pod.running.items():
            spent = _cpu(process.pid) - before[one]
            each = f", {1000 * spent / requests:.1f} ms a request" if requests else ""
            print(f"  {one:8} {1000 * spent / took:6.0f} m, {_memory(process.pid):5.0f} MiB{each}")


async def _rest(seconds: float) -> int:
    await asyncio.sleep(seconds)
    return 0


def _load(url: str, agents: int, characters: int, script: str) -> Work:
    """So many who ask again as soon as they are answered."""

    async def run(seconds: float) -> int:
        answered, end = 0, time.monotonic() + seconds

        async def agent(number: int) -> None:
            nonlocal answered
            while time.monotonic() < end:
                said = f"Create function {number}-{answered}. " + "def f(x): return x\n" * (characters // 19) + script
                message = {"role": "user", "content": said}
                body = {"model": "arch.main.v1", "stream": True, "max_tokens": 500, "messages": [message]}
                headers = {"content-type": "application/json"}
                sent = json.dumps(body).encode()
                async with client.post(f"{url}/v1/chat/completions", data=sent, headers=headers) as reply:
                    await reply.read()
                    assert reply.status == 200, reply.status
                answered += 1

        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as client:
            await asyncio.gather(*map(agent, range(agents)))
        return answered

    return run


def _cpu(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def _memory(pid: int) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]).read_text()))
