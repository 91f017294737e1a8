"""What slow readers cost in memory: python bench/slow_readers.py --streams 200

So many clients ask at once for an answer of a few megabytes that the simulated provider sends as fast as it can, and
read it slowly. Printed: the resident memory of the router service and of Envoy before, at the most, and after, and how
much of the answers was on its way at the most. Without flow control all of them would be: streams x megabytes. The
provider is a process of its own, so that what it holds is not counted.
"""

import argparse
import asyncio
import json
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from archgw import client  # noqa: E402 - found there
from archgw.commands.demo import free_port  # noqa: E402
from stack import Gateway, gateway  # noqa: E402

MIB = 2**20
EVENT = 60_000  # bytes
PATHS = {"untouched": "/v1/chat/completions", "translated": "/v1/messages"}
CONFIG = """
listeners: {egress_traffic: {port: $PORT}}
llm_providers:
  - {model: openai/gpt-4o-mini, access_key: k, base_url: "$PROVIDER", default: true}
failover: {first_content_timeout: 300s}
"""


@dataclass
class Memory:
    """Resident bytes of the two processes, looked at again and again."""

    running: Gateway
    peak: dict[str, int] = field(default_factory=dict)

    def now(self) -> dict[str, int]:
        found = {name: resident(pid) for name, pid in self.running.supervisor.pids.items()}
        self.peak = {name: max(size, self.peak.get(name, 0)) for name, size in found.items()}
        return found

    async def watch(self) -> None:
        while True:
            self.now()
            await asyncio.sleep(0.05)


def resident(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    return 0


async def slow_reader(running: Gateway, path: str, megabytes: float, rate: float) -> int:
    """Reads so many bytes a second until the answer has ended. How many came."""
    script = "@@" + json.dumps([{"text": "x", "chunks": int(megabytes * MIB / EVENT), "bytes": EVENT}]) + "@@"
    messages = [{"role": "user", "content": script}]
    body = json.dumps(
        {"model": "openai/gpt-4o-mini", "max_tokens": 10**7, "stream": True, "messages": messages}
    ).encode()
    port = int(running.url.rpartition(":")[2])
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=16 * 1024)
    head = f"POST {path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\nconnection: close\r\n"
    writer.write(f"{head}content-length: {len(body)}\r\n\r\n".encode() + body)
    came = 0
    try:
        while chunk := await reader.read(16 * 1024):
            came += len(chunk)
            await asyncio.sleep(len(chunk) / rate)
    finally:
        writer.close()
    return came


async def measure(running: Gateway, path: str, streams: int, megabytes: float, rate: float) -> str:
    memory = Memory(running)
    start = memory.now()
    watch = asyncio.create_task(memory.watch())
    begun = time.monotonic()
    came = await asyncio.gather(*(slow_reader(running, path, megabytes, rate) for _ in range(streams)))
    took = time.monotonic() - begun
    watch.cancel()
    short = sum(size < megabytes * MIB * 0.95 for size in came)
    for _ in range(300):
        status = await asyncio.to_thread(client.status, running.home)
        if status.requests_under_way == 0:
            break
        await asyncio.sleep(0.1)
    end = memory.now()
    row = [
        f"{name} {start[name] / MIB:.0f} / {memory.peak[name] / MIB:.0f} / {end[name] / MIB:.0f} MiB" for name in start
    ]
    kept = f"{status.requests_under_way} kept, {status.bytes_held} bytes"
    return f"{'; '.join(row)}; {sum(came) / MIB:.0f} MiB in {took:.0f} s; {short} cut short; {kept}"


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--streams", type=int, default=200)
    parser.add_argument("--megabytes", type=float, default=4.0, help="of each answer")
    parser.add_argument("--rate", type=float, default=256 * 1024, help="bytes a second that each client reads")
    known = parser.parse_args()
    port = free_port()
    command = [sys.executable, "-m", "archgw", "simulate", "openai", "--port", str(port)]
    quiet = asyncio.subprocess.DEVNULL
    provider = await asyncio.create_subprocess_exec(*command, stdout=quiet, stderr=quiet)
    told = f"{known.streams} streams of {known.megabytes:g} MiB, read at {known.rate / 1024:g} KiB/s each"
    print(f"{told}; start / peak / end")
    try:
        for name, path in PATHS.items():
            with tempfile.TemporaryDirectory() as folder:
                config = CONFIG.replace("$PROVIDER", f"http://127.0.0.1:{port}")
                async with gateway(Path(folder), config, {}) as running:
                    print(
                        f"{name}: {await measure(running, path, known.streams, known.megabytes, known.rate)}",
                        flush=True,
                    )
    finally:
        provider.terminate()
        await provider.wait()


if __name__ == "__main__":
    asyncio.run(main())
